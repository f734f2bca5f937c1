/* The programs of the house: started, their streams carried, their ends told.
 *
 * The first is process 1 of namespaces of its own, as in a container; it stands before its execve until START. The
 * others join it. The end of the first is told after all of its output; the end of another at once, since what it
 * left behind may hold its streams open for ever.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define STREAMS 3
#define MOST_BACKLOG (512u * 1024u)

struct program {
	struct program *next;
	uint16_t channel;
	pid_t pid;
	int init, reaper;
	int streams[STREAMS]; /* ours: input to write, outputs to read; a terminal is in [1], its copy in [0] */
	int terminal;
	int gate, report; /* write to let it execve; read what came of it */
	int reported, started;
	uint32_t credit;
	uint8_t *input;
	size_t input_used;
	int input_ending;
	int ended, told;
	int32_t code;
};

static struct program *programs;
static struct program *first;
static pid_t the_init;

pid_t init_pid(void)
{
	return the_init;
}

static struct program *find(uint16_t channel)
{
	struct program *program = programs;
	while (program != NULL && program->channel != channel)
		program = program->next;
	return program;
}

static void shut(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

struct wishes {
	int init, input, null_streams, terminal, reaper;
	unsigned rows, columns;
};

static void read_wishes(const uint8_t *payload, uint32_t length, struct wishes *wishes)
{
	struct field_at field;
	uint32_t offset = 0;
	while (next_field(payload, length, &offset, &field) > 0)
		switch (field.tag) {
		case F_INIT:
			wishes->init = 1;
			break;
		case F_STDIN:
			wishes->input = 1;
			break;
		case F_NULL_STREAMS:
			wishes->null_streams = 1;
			break;
		case F_REAPER:
			wishes->reaper = 1;
			break;
		case F_TERMINAL:
			wishes->terminal = 1;
			wishes->rows = field_u32(&field) & 0xffff;
			wishes->columns = field_u32(&field) >> 16;
			break;
		default:
			break;
		}
}

/* The child's ends of its streams. A terminal is opened by the child, in its own mount namespace. */
static void open_streams(struct program *program, const struct wishes *wishes, int *theirs)
{
	int ends[2];
	for (int i = 0; i < STREAMS; i++)
		theirs[i] = -1;
	if (wishes->terminal)
		return;
	for (int i = 0; i < STREAMS; i++) {
		if (wishes->null_streams || (i == 0 && !wishes->input)) {
			theirs[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
			continue;
		}
		if (pipe2(ends, O_CLOEXEC) < 0)
			continue;
		theirs[i] = ends[i > 0];
		program->streams[i] = ends[i == 0];
		fcntl(program->streams[i], F_SETFL, O_NONBLOCK);
	}
}

/* ---- in the child */

static int child_gate, child_report;
static int child_is_reaper;

static void report(const struct failure *failure)
{
	if (write(child_report, failure, sizeof *failure) < 0)
		_exit(126);
}

/* Process 1 of a container with --init: passes signals on, collects orphans, ends as its child ends. */
static void reap_for(pid_t child)
{
	sigset_t all;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	for (int fd = 0; fd < 1024; fd++)
		close(fd);
	for (;;) {
		int status, number;
		pid_t dead;
		while ((dead = waitpid(-1, &status, WNOHANG)) > 0)
			if (dead == child)
				_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
		if (sigwait(&all, &number) == 0 && number != SIGCHLD)
			kill(child, number);
	}
}

static void open_signals(void)
{
	sigset_t none;
	sigemptyset(&none);
	for (int number = 1; number < 65; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* All is ready up to execve: say so, and wait until it is wanted. */
static int stand_at_gate(void)
{
	struct failure none = {0};
	char go;
	report(&none);
	if (read(child_gate, &go, 1) != 1)
		_exit(0);
	if (child_is_reaper) {
		pid_t child = fork();
		if (child > 0)
			reap_for(child);
	}
	open_signals();
	return 0;
}

/* A terminal of the container's own devpts; the master goes to the agent by the socket that the report uses. */
static int take_terminal(const struct wishes *wishes, int sock, struct failure *failure)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC), unlock = 0;
	if (master < 0)
		return failed(failure, AT_IDENTITY, errno, "a terminal can't be opened: %s", strerror(errno));
	ioctl(master, TIOCSPTLCK, &unlock);
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	if (slave < 0)
		return failed(failure, AT_IDENTITY, errno, "a terminal can't be opened: %s", strerror(errno));
	struct winsize size = {.ws_row = (unsigned short)wishes->rows, .ws_col = (unsigned short)wishes->columns};
	if (size.ws_row != 0)
		ioctl(master, TIOCSWINSZ, &size);
	char word = 't', control[CMSG_SPACE(sizeof(int))];
	struct iovec vector = {&word, 1};
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &master, sizeof(int));
	if (sendmsg(sock, &message, 0) < 0)
		return failed(failure, AT_IDENTITY, errno, "a terminal can't be handed over: %s", strerror(errno));
	close(master);
	for (int fd = 0; fd < STREAMS; fd++)
		dup2(slave, fd);
	ioctl(0, TIOCSCTTY, 0);
	/* A container's own terminal is its /dev/console too. */
	char name[64];
	ssize_t got = readlink("/proc/self/fd/0", name, sizeof name - 1);
	if (wishes->init && got > 0) {
		name[got] = 0;
		close(open("/dev/console", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0620));
		if (mount(name, "/dev/console", NULL, MS_BIND, NULL) < 0)
			return failed(failure, AT_MOUNT, errno, "/dev/console: %s", strerror(errno));
	}
	return 0;
}

static int join(pid_t target)
{
	static const char *const kinds[] = {"ipc", "uts", "cgroup", "mnt"};
	int fds[4];
	for (int i = 0; i < 4; i++) {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/ns/%s", target, kinds[i]);
		fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0)
			return -1;
	}
	for (int i = 0; i < 4; i++)
		if (setns(fds[i], 0) < 0)
			return -1;
	return 0;
}

static void close_others(void)
{
	int high = child_gate > child_report ? child_gate : child_report;
	int low = child_gate < child_report ? child_gate : child_report;
	syscall(SYS_close_range, 3u, (unsigned)low - 1, 0);
	if (high - low > 1)
		syscall(SYS_close_range, (unsigned)low + 1, (unsigned)high - 1, 0);
	syscall(SYS_close_range, (unsigned)high + 1, ~0u, 0);
}

static void be_child(const struct wishes *wishes, const uint8_t *payload, uint32_t length, int *theirs, int group)
{
	struct failure failure = {0};
	int done = 0;
	setsid();
	if (write(group, "0", 1) < 0)
		failed(&failure, AT_SETUP, errno, "the control group can't be entered: %s", strerror(errno));
	if (wishes->init) {
		unshare(CLONE_NEWCGROUP);
		done = house_enter(&failure);
	} else if (join(the_init) < 0) {
		done = failed(&failure, AT_SETUP, errno, "the container can't be entered: %s", strerror(errno));
	}
	if (done == 0 && wishes->terminal) {
		done = take_terminal(wishes, child_report, &failure);
	} else if (done == 0) {
		for (int fd = 0; fd < STREAMS; fd++)
			dup2(theirs[fd], fd);
	}
	if (done == 0) {
		close_others();
		identity_become(payload, length, stand_at_gate, &failure);
	}
	report(&failure);
	_exit(126);
}

/* ---- in the agent */

static pid_t fork_into(int init)
{
	if (init)
		return (pid_t)syscall(SYS_clone,
				      CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
	/* A pid namespace is for children only: step in, fork, step back. */
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/ns/pid", the_init);
	int theirs = open(path, O_RDONLY | O_CLOEXEC), ours = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
	pid_t pid = -1;
	if (theirs >= 0 && ours >= 0 && setns(theirs, CLONE_NEWPID) == 0)
		pid = fork();
	if (pid != 0 && setns(ours, CLONE_NEWPID) < 0)
		abort();
	if (pid != 0) {
		close(theirs);
		close(ours);
	}
	return pid;
}

static int begin(struct program *program, const struct wishes *wishes, const uint8_t *payload, uint32_t length,
		 struct failure *failure)
{
	int theirs[STREAMS], gates[2], reports[2];
	int group = group_procs_fd();
	if (pipe2(gates, O_CLOEXEC) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, reports) < 0)
		return failed(failure, AT_SETUP, errno, "no descriptors: %s", strerror(errno));
	open_streams(program, wishes, theirs);
	child_gate = gates[0];
	child_report = reports[1];
	child_is_reaper = wishes->reaper;
	pid_t pid = fork_into(wishes->init);
	if (pid == 0)
		be_child(wishes, payload, length, theirs, group);
	int error = errno;
	close(group);
	close(gates[0]);
	close(reports[1]);
	for (int i = 0; i < STREAMS; i++)
		shut(&theirs[i]);
	program->gate = gates[1];
	program->report = reports[0];
	program->pid = pid;
	if (pid < 0)
		return failed(failure, AT_SETUP, error, "a process can't be made: %s", strerror(error));
	return 0;
}

static void forget(struct program *program)
{
	struct program **at = &programs;
	while (*at != program)
		at = &(*at)->next;
	*at = program->next;
	for (int i = 0; i < STREAMS; i++)
		shut(&program->streams[i]);
	shut(&program->gate);
	shut(&program->report);
	if (program == first)
		first = NULL;
	free(program->input);
	free(program);
}

void program_spawn(uint16_t channel, const uint8_t *payload, uint32_t length)
{
	struct failure failure = {0};
	struct wishes wishes = {0};
	read_wishes(payload, length, &wishes);
	if (channel == 0 || find(channel) != NULL)
		failed(&failure, AT_PROTOCOL, EEXIST, "channel %u is in use", channel);
	else if (wishes.init ? the_init != 0 : first == NULL || first->ended)
		failed(&failure, AT_PROTOCOL, ESRCH, "the container is not running");
	if (failure.error) {
		answer(channel, &failure);
		return;
	}
	struct program *program = calloc(1, sizeof *program);
	*program = (struct program){.channel = channel,
				    .init = wishes.init,
				    .streams = {-1, -1, -1},
				    .terminal = wishes.terminal,
				    .credit = WINDOW,
				    .gate = -1,
				    .report = -1,
				    .next = programs};
	programs = program;
	if (begin(program, &wishes, payload, length, &failure) < 0) {
		answer(channel, &failure);
		forget(program);
		return;
	}
	if (wishes.init) {
		first = program;
		the_init = program->pid;
	}
}

void program_start(uint16_t channel)
{
	struct program *program = find(channel);
	struct failure failure = {0};
	if (program == NULL || program->started || !program->reported) {
		failed(&failure, AT_PROTOCOL, ESRCH, "nothing waits to be started");
		answer(channel, &failure);
		return;
	}
	program->started = 1;
	if (write(program->gate, "g", 1) < 0)
		fprintf(stderr, "lodge-agent: the program is gone before its start\n");
	shut(&program->gate);
}

static void receive_terminal(struct program *program, struct msghdr *message)
{
	struct cmsghdr *header = CMSG_FIRSTHDR(message);
	if (header == NULL || header->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&program->streams[1], CMSG_DATA(header), sizeof(int));
	fcntl(program->streams[1], F_SETFL, O_NONBLOCK);
	program->streams[0] = dup(program->streams[1]);
}

/* The child reports: its terminal; that it stands before execve; why it can't go on; by its silence, success. */
static void report_ready(struct program *program)
{
	struct failure failure = {0};
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec vector = {&failure, sizeof failure};
	struct msghdr message = {
		.msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t got = recvmsg(program->report, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == 1) {
		receive_terminal(program, &message);
		return;
	}
	if (got == (ssize_t)sizeof failure) {
		failure.text[sizeof failure.text - 1] = 0;
		program->reported = 1;
		answer(program->channel, &failure);
		if (failure.error)
			shut(&program->report);
		return;
	}
	/* The end: the program took its place, or died on the way. */
	if (program->started)
		answer(program->channel, &failure);
	else if (!program->reported) {
		failed(&failure, AT_SETUP, EIO, "the first process died before it was ready");
		answer(program->channel, &failure);
	}
	shut(&program->report);
}

void program_input(uint16_t channel, const uint8_t *bytes, uint32_t length)
{
	struct program *program = find(channel);
	if (program == NULL || program->streams[0] < 0 || program->input_used + length > 2 * WINDOW)
		return;
	program->input = realloc(program->input, program->input_used + length + 1);
	memcpy(program->input + program->input_used, bytes, length);
	program->input_used += length;
}

static void give_input(struct program *program)
{
	ssize_t put = write(program->streams[0], program->input, program->input_used);
	if (put < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	uint32_t taken = put < 0 ? (uint32_t)program->input_used : (uint32_t)put;
	uint8_t bytes[4] = {(uint8_t)taken, (uint8_t)(taken >> 8), (uint8_t)(taken >> 16), (uint8_t)(taken >> 24)};
	if (put < 0)
		shut(&program->streams[0]);
	memmove(program->input, program->input + taken, program->input_used - taken);
	program->input_used -= taken;
	wire_send(TAKEN, program->channel, bytes, sizeof bytes);
}

static void end_input_if_due(struct program *program)
{
	if (program->input_ending && program->input_used == 0 && !program->terminal)
		shut(&program->streams[0]);
}

void program_input_end(uint16_t channel)
{
	struct program *program = find(channel);
	if (program != NULL) {
		program->input_ending = 1;
		end_input_if_due(program);
	}
}

void program_credit(uint16_t channel, uint32_t bytes)
{
	struct program *program = find(channel);
	if (program != NULL)
		program->credit += bytes;
}

void program_resize(uint16_t channel, unsigned rows, unsigned columns)
{
	struct program *program = find(channel);
	struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
	if (program != NULL && program->terminal && program->streams[1] >= 0)
		ioctl(program->streams[1], TIOCSWINSZ, &size);
}

static void signal_all(int number)
{
	char text[16];
	FILE *list = fopen("/cgroup/house/cgroup.procs", "re");
	if (number == SIGKILL && the_init != 0)
		kill(the_init, SIGKILL);
	while (list != NULL && fgets(text, sizeof text, list) != NULL)
		if (atoi(text) > 1)
			kill(atoi(text), number);
	if (list != NULL)
		fclose(list);
}

void program_signal(uint16_t channel, int number)
{
	struct program *program = find(channel);
	if (channel == 0)
		signal_all(number);
	else if (program != NULL && !program->ended)
		kill(program->pid, number);
}

static void carry_output(struct program *program, int stream)
{
	uint8_t bytes[CHUNK], head = (uint8_t)stream;
	uint32_t most = program->credit < sizeof bytes ? program->credit : sizeof bytes;
	ssize_t got = read(program->streams[stream], bytes, most);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0) {
		program->credit -= (uint32_t)got;
		wire_send2(OUTPUT, program->channel, &head, 1, bytes, (uint32_t)got);
		return;
	}
	shut(&program->streams[stream]);
	if (program->terminal)
		shut(&program->streams[0]);
	wire_send(OUTPUT_END, program->channel, &head, 1);
}

static void tell_end(struct program *program)
{
	if (program->told || !program->ended || program->report >= 0)
		return;
	if (program->init && (program->streams[1] >= 0 || program->streams[2] >= 0))
		return;
	if (program->init)
		sync();
	program->told = 1;
	uint8_t bytes[4] = {(uint8_t)program->code, (uint8_t)(program->code >> 8), 0, 0};
	wire_send(EXITED, program->channel, bytes, sizeof bytes);
}

void programs_reap(void)
{
	int status;
	pid_t dead;
	while ((dead = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct program *program = programs; program != NULL; program = program->next)
			if (program->pid == dead && !program->ended) {
				program->ended = 1;
				program->code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
				/* Its last words are read before its end is told. */
				while (program->report >= 0)
					report_ready(program);
			}
	for (struct program *program = programs, *next; program != NULL; program = next) {
		next = program->next;
		tell_end(program);
		if (program->told && program->streams[1] < 0 && program->streams[2] < 0)
			forget(program);
	}
}

unsigned programs_poll(struct pollfd *polls, unsigned room)
{
	unsigned count = 0;
	int congested = wire_backlog() > MOST_BACKLOG;
	for (struct program *program = programs; program != NULL && count + 4 <= room; program = program->next) {
		if (program->report >= 0)
			polls[count++] = (struct pollfd){.fd = program->report, .events = POLLIN};
		if (program->streams[0] >= 0 && program->input_used > 0)
			polls[count++] = (struct pollfd){.fd = program->streams[0], .events = POLLOUT};
		for (int stream = 1; stream < STREAMS && !congested && program->credit > 0; stream++)
			if (program->streams[stream] >= 0)
				polls[count++] = (struct pollfd){.fd = program->streams[stream], .events = POLLIN};
	}
	return count;
}

static int is_ready(const struct pollfd *polls, unsigned count, int fd)
{
	for (unsigned i = 0; fd >= 0 && i < count; i++)
		if (polls[i].fd == fd && polls[i].revents != 0)
			return 1;
	return 0;
}

void programs_ready(const struct pollfd *polls, unsigned count)
{
	for (struct program *program = programs; program != NULL; program = program->next) {
		if (is_ready(polls, count, program->report))
			report_ready(program);
		if (program->input_used > 0 && is_ready(polls, count, program->streams[0])) {
			give_input(program);
			end_input_if_due(program);
		}
		for (int stream = 1; stream < STREAMS; stream++)
			if (program->credit > 0 && is_ready(polls, count, program->streams[stream]))
				carry_output(program, stream);
	}
}
