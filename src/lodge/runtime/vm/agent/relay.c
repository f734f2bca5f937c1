/* FUSE over the second port: what this kernel asks of a file system is answered by a server on the host.
 *
 * Two mounts share the port: `upper`, the program's own files, which nobody else changes, and `shares`, its
 * volumes and binds. A message is the FUSE message itself behind a frame header whose channel says which mount.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNTS 2
#define HEADER 8u

static const char *const names[MOUNTS] = {"upper", "shares"};

static void write_all(int fd, const uint8_t *bytes, size_t length)
{
	while (length > 0) {
		ssize_t put = write(fd, bytes, length);
		if (put < 0 && errno == EAGAIN) {
			struct pollfd room = {.fd = fd, .events = POLLOUT};
			poll(&room, 1, -1);
			continue;
		}
		if (put <= 0)
			_exit(1);
		bytes += put;
		length -= (size_t)put;
	}
}

static void carry_request(int port, int channel, int fuse)
{
	static uint8_t message[HEADER + FRAME_LIMIT + 65536];
	ssize_t got = read(fuse, message + HEADER, sizeof message - HEADER);
	if (got <= 0)
		return;
	memset(message, 0, HEADER);
	message[2] = (uint8_t)channel;
	for (int i = 0; i < 4; i++)
		message[4 + i] = (uint8_t)((uint32_t)got >> (8 * i));
	write_all(port, message, HEADER + (size_t)got);
}

static void carry_answers(int port, const int *fuse)
{
	static uint8_t bytes[2 * (HEADER + FRAME_LIMIT + 65536)];
	static size_t used;
	ssize_t got = read(port, bytes + used, sizeof bytes - used);
	if (got <= 0)
		return;
	used += (size_t)got;
	size_t start = 0;
	while (used - start >= HEADER) {
		const uint8_t *frame = bytes + start;
		size_t length = frame[4] | frame[5] << 8 | frame[6] << 16 | (size_t)frame[7] << 24;
		if (length > FRAME_LIMIT + 65536 || frame[2] >= MOUNTS)
			_exit(1);
		if (used - start - HEADER < length)
			break;
		/* ENOENT says that the request was interrupted and nobody waits any more. */
		if (write(fuse[frame[2]], frame + HEADER, length) < 0 && errno != ENOENT)
			perror("lodge-agent: relay");
		start += HEADER + length;
	}
	memmove(bytes, bytes + start, used - start);
	used -= start;
}

static void serve(int port, const int *fuse)
{
	struct pollfd polls[MOUNTS + 1] = {{.fd = port, .events = POLLIN}};
	for (int i = 0; i < MOUNTS; i++)
		polls[i + 1] = (struct pollfd){.fd = fuse[i], .events = POLLIN};
	for (;;) {
		if (poll(polls, MOUNTS + 1, -1) < 0)
			continue;
		if (polls[0].revents & POLLIN)
			carry_answers(port, fuse);
		for (int i = 0; i < MOUNTS; i++)
			if (polls[i + 1].revents & POLLIN)
				carry_request(port, i, fuse[i]);
	}
}

int relay_start(int port, const char *place, struct failure *failure)
{
	int fuse[MOUNTS];
	mkdir(place, 0755);
	for (int i = 0; i < MOUNTS; i++) {
		char target[64], options[128];
		fuse[i] = open("/dev/fuse", O_RDWR | O_CLOEXEC);
		snprintf(target, sizeof target, "%s/%s", place, names[i]);
		snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions",
			 fuse[i]);
		mkdir(target, 0755);
		if (fuse[i] < 0 || mount("lodge", target, "fuse", 0, options) < 0)
			return failed(failure, AT_MOUNT, errno, "%s: %s", target, strerror(errno));
	}
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGPIPE, SIG_IGN);
		close(wire_fd());
		serve(port, fuse);
	}
	for (int i = 0; i < MOUNTS; i++)
		close(fuse[i]);
	return pid < 0 ? failed(failure, AT_SETUP, errno, "no relay: %s", strerror(errno)) : 0;
}
