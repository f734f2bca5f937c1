/* Process 1 of a machine: brings the machine up, says READY, then does what the host says.
 *
 * A machine is frozen right after READY and copied; everything that must differ from copy to copy (time,
 * randomness, names) comes with SETUP.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define MODULES "/modules"
#define PORTS "/sys/class/virtio-ports"
#define MOST_POLLS 1024

static void complain(const char *what)
{
	fprintf(stderr, "lodge-agent: %s: %s\n", what, strerror(errno));
}

static void mount_basics(void)
{
	static const struct {
		const char *place, *type, *data;
		unsigned long flags;
	} basics[] = {
		{"/proc", "proc", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"/sys", "sysfs", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
		{"/dev", "devtmpfs", "mode=755", MS_NOSUID},
		{"/run", "tmpfs", "mode=755", MS_NOSUID | MS_NODEV},
		{"/cgroup", "cgroup2", "", MS_NOSUID | MS_NODEV | MS_NOEXEC},
	};
	for (unsigned i = 0; i < sizeof basics / sizeof basics[0]; i++) {
		mkdir(basics[i].place, 0755);
		if (mount(basics[i].type, basics[i].place, basics[i].type, basics[i].flags, basics[i].data) < 0)
			complain(basics[i].place);
	}
	int fd = open("/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
	static const char *const controllers[] = {"+cpu", "+memory", "+pids", "+io"};
	for (unsigned i = 0; fd >= 0 && i < sizeof controllers / sizeof controllers[0]; i++)
		if (write(fd, controllers[i], strlen(controllers[i])) < 0)
			complain(controllers[i]);
	close(fd);
	mkdir("/cgroup/house", 0755);
}

/* The list names one module a line, each after those that it needs. */
static void load_modules(void)
{
	char line[256];
	FILE *list = fopen(MODULES "/list", "re");
	while (list != NULL && fgets(line, sizeof line, list) != NULL) {
		char path[300];
		line[strcspn(line, "\n")] = 0;
		snprintf(path, sizeof path, MODULES "/%s", line);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
			complain(path);
		close(fd);
	}
	if (list != NULL)
		fclose(list);
}

/* The port of that name; it may take a moment to come up. */
static int open_port(const char *wanted)
{
	for (int tries = 0; tries < 1000; tries++) {
		DIR *ports = opendir(PORTS);
		struct dirent *entry;
		while (ports != NULL && (entry = readdir(ports)) != NULL) {
			char path[300], name[64] = "";
			snprintf(path, sizeof path, PORTS "/%s/name", entry->d_name);
			int fd = open(path, O_RDONLY | O_CLOEXEC);
			if (fd < 0)
				continue;
			ssize_t got = read(fd, name, sizeof name - 1);
			close(fd);
			if (got <= 0)
				continue;
			name[strcspn(name, "\n")] = 0;
			if (strcmp(name, wanted) != 0)
				continue;
			snprintf(path, sizeof path, "/dev/%s", entry->d_name);
			closedir(ports);
			return open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
		}
		if (ports != NULL)
			closedir(ports);
		usleep(10000);
	}
	errno = ENODEV;
	return -1;
}

static int files_port = -1;

static void handle(uint8_t kind, uint16_t channel, const uint8_t *payload, uint32_t length)
{
	struct failure failure = {0};
	struct field_at number = {0, length, payload};
	static char text[192 * 1024];

	switch (kind) {
	case SETUP:
		if (relay_start(files_port, "/run/files", &failure) == 0)
			house_set_up(payload, length, &failure);
		answer(channel, &failure);
		break;
	case SPAWN:
		program_spawn(channel, payload, length);
		break;
	case START:
		program_start(channel);
		break;
	case INPUT:
		program_input(channel, payload, length);
		break;
	case INPUT_END:
		program_input_end(channel);
		break;
	case CREDIT:
		program_credit(channel, field_u32(&number));
		break;
	case RESIZE:
		program_resize(channel, field_u32(&number) & 0xffff, field_u32(&number) >> 16);
		break;
	case SIGNAL:
		program_signal(channel, (int)field_u32(&number));
		break;
	case FIGURES:
		answer_text(channel, text, figures_text(text, sizeof text));
		break;
	case TABLE:
		answer_text(channel, text, table_text(text, sizeof text));
		break;
	case SYNC:
		house_sync(length > 0 && payload[0]);
		answer(channel, &failure);
		break;
	case GROUP: {
		char *assignment = field_text(&number);
		group_write(assignment, &failure);
		free(assignment);
		answer(channel, &failure);
		break;
	}
	case NAME_ANSWER:
		names_answer(payload, length);
		break;
	default:
		failed(&failure, AT_PROTOCOL, ENOSYS, "unknown order %u", kind);
		answer(channel, &failure);
	}
}

static void say_ready(void)
{
	struct utsname names;
	uname(&names);
	uint8_t head[4] = {PROTOCOL_VERSION & 0xff, 0, 0, 0};
	wire_send2(READY, 0, head, sizeof head, names.release, (uint32_t)strlen(names.release));
}

static void serve(void)
{
	static struct pollfd polls[MOST_POLLS];
	uint64_t killed = 0;
	sigset_t all_open;
	sigemptyset(&all_open);
	for (;;) {
		polls[0] = (struct pollfd){.fd = wire_fd(), .events = wire_wants()};
		polls[1] = (struct pollfd){.fd = names_fd(), .events = POLLIN};
		unsigned count = 2 + programs_poll(polls + 2, MOST_POLLS - 2);
		/* SIGCHLD is open only while it waits, so that no death is slept over. */
		if (ppoll(polls, count, NULL, &all_open) > 0) {
			if (polls[0].revents & POLLOUT)
				wire_flush();
			if (polls[1].revents & POLLIN)
				names_ready();
			programs_ready(polls + 2, count - 2);
			if (polls[0].revents & (POLLIN | POLLHUP) && wire_receive(handle) < 0)
				reboot(RB_POWER_OFF);
			if (polls[0].revents & POLLHUP)
				usleep(20000);
		}
		programs_reap();
		uint64_t now = init_pid() ? oom_kills() : 0;
		if (now > killed)
			wire_send(OUT_OF_MEMORY, 0, NULL, 0);
		killed = now;
	}
}

static void nothing(int number)
{
	(void)number;
}

/* On the host: how many thousand ticks the time stamp counter makes in a second. */
static int measure_tsc(void)
{
#if defined(__x86_64__)
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	unsigned long long ticks = __builtin_ia32_rdtsc();
	usleep(100000);
	clock_gettime(CLOCK_MONOTONIC, &end);
	ticks = __builtin_ia32_rdtsc() - ticks;
	double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("%.0f\n", (double)ticks / seconds / 1000);
	return 0;
#else
	return 1;
#endif
}

int main(int count, char **words)
{
	if (count > 1 && strcmp(words[1], "tsc") == 0)
		return measure_tsc();
	struct sigaction action = {.sa_handler = nothing};
	mount_basics();
	load_modules();
	sigset_t children;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, NULL);
	sigaction(SIGCHLD, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	int port = open_port("lodge.agent");
	files_port = open_port("lodge.files");
	if (port < 0 || files_port < 0) {
		complain("no port to the host");
		reboot(RB_POWER_OFF);
	}
	wire_open(port);
	say_ready();
	serve();
}
