/* What the control group of the house counts, and its processes: text, which the host reads. */
#define _GNU_SOURCE
#include "agent.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const FILES[] = {"cpu.stat", "memory.current", "memory.peak", "memory.max", "memory.stat",
				    "memory.events", "pids.current", "pids.max", "io.stat"};

static size_t read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t got;
	while (fd >= 0 && used < room && (got = read(fd, text + used, room - used)) > 0)
		used += (size_t)got;
	if (fd >= 0)
		close(fd);
	return used;
}

/* Each file behind a line "== its name". */
size_t figures_text(char *text, size_t room)
{
	size_t used = 0;
	for (unsigned i = 0; i < sizeof FILES / sizeof FILES[0] && room - used > 400; i++) {
		char path[64];
		used += (size_t)snprintf(text + used, room - used, "== %s\n", FILES[i]);
		snprintf(path, sizeof path, "/cgroup/house/%s", FILES[i]);
		used += read_file(path, text + used, room - used);
	}
	if (room - used > 2000) {
		used += (size_t)snprintf(text + used, room - used, "== meminfo\n");
		used += read_file("/proc/meminfo", text + used, room - used);
	}
	return used;
}

/* For each process: a line "== its pid", its stat, status, and command line with newlines for zeros. */
size_t table_text(char *text, size_t room)
{
	static const char *const parts[] = {"stat", "status", "cmdline"};
	size_t used = 0;
	char line[32];
	FILE *list = fopen("/cgroup/house/cgroup.procs", "re");
	while (list != NULL && fgets(line, sizeof line, list) != NULL && room - used > 8192) {
		used += (size_t)snprintf(text + used, room - used, "== %d\n", atoi(line));
		for (unsigned i = 0; i < 3; i++) {
			char path[64];
			snprintf(path, sizeof path, "/proc/%d/%s", atoi(line), parts[i]);
			size_t got = read_file(path, text + used, i == 2 ? 2048 : 4096);
			for (size_t at = 0; at < got && i == 2; at++)
				if (text[used + at] == 0 || text[used + at] == '\n')
					text[used + at] = ' ';
			used += got;
		}
		text[used++] = '\n';
	}
	if (list != NULL)
		fclose(list);
	return used;
}

uint64_t oom_kills(void)
{
	char text[512] = "";
	read_file("/cgroup/house/memory.events", text, sizeof text - 1);
	const char *found = strstr(text, "oom_kill ");
	return found ? strtoull(found + 9, NULL, 10) : 0;
}
