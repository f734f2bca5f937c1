/* The guest agent: process 1 of a machine. What its parts share.
 *
 * main.c      boots: file systems, modules, ports; the loop
 * wire.c      frames on the port, fields in frames
 * house.c     the root file system of the program and all that is mounted in it
 * programs.c  starts programs, carries their streams, tells how they end
 * identity.c  who a program is: user, groups, capabilities, limits, filter
 * users.c     Docker's user strings, by the image's own /etc/passwd and /etc/group
 * relay.c     carries FUSE requests of this kernel to the host's file server
 * names.c     carries questions for names to the host
 * figures.c   counts for `stats` and `top`
 *
 * The vocabulary is described in runtime/vm/protocol.py; tests compare its numbers with these.
 */
#ifndef LODGE_AGENT_H
#define LODGE_AGENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROTOCOL_VERSION 1u
#define FRAME_LIMIT (1u << 20)
#define WINDOW (256u * 1024u)
#define CHUNK (32u * 1024u)

enum kind {
	/* the host says */
	SETUP = 1,
	SPAWN = 2,
	START = 3,
	INPUT = 4,
	INPUT_END = 5,
	CREDIT = 6,
	RESIZE = 7,
	SIGNAL = 8,
	FIGURES = 9,
	TABLE = 10,
	SYNC = 11,
	GROUP = 12,
	NAME_ANSWER = 13,
	/* the guest says */
	READY = 65,
	ANSWER = 66,
	OUTPUT = 67,
	OUTPUT_END = 68,
	EXITED = 69,
	TAKEN = 70,
	OUT_OF_MEMORY = 71,
	NAME_QUERY = 72,
};

enum field {
	F_TIME = 1,
	F_ENTROPY = 2,
	F_HOSTNAME = 3,
	F_DOMAINNAME = 4,
	F_READ_ONLY = 6,
	F_MOUNT = 7,
	F_NODE = 8,
	F_MASK = 9,
	F_READ_ONLY_PATH = 10,
	F_SYSCTL = 11,
	F_GROUP_FILE = 12,
	F_NETLINK = 13,
	F_UPPER = 15,
	F_NAMES = 16,
	F_ARG = 20,
	F_ENV = 21,
	F_CWD = 22,
	F_UID = 23,
	F_GID = 24,
	F_GROUPS = 25,
	F_UMASK = 26,
	F_CAPABILITIES = 27,
	F_NO_NEW_PRIVILEGES = 28,
	F_RLIMIT = 29,
	F_TERMINAL = 30,
	F_SECCOMP = 31,
	F_INIT = 32,
	F_STDIN = 33,
	F_USER = 34,
	F_GROUP = 35,
	F_OOM_SCORE = 36,
	F_NULL_STREAMS = 37,
	F_REAPER = 38,
};

/* What went wrong, and at which step: goes into an ANSWER. */
enum stage {
	AT_NOTHING = 0,
	AT_SETUP = 1,
	AT_MOUNT = 2,
	AT_USER = 3,
	AT_CWD = 4,
	AT_LOOKUP = 5,
	AT_EXEC = 6,
	AT_IDENTITY = 7,
	AT_PROTOCOL = 8,
};

struct failure {
	int32_t error;
	uint32_t stage;
	char text[240];
};

struct field_at {
	uint16_t tag;
	uint32_t length;
	const uint8_t *bytes;
};

/* Walks the fields of a payload; 0 at the end, -1 when the payload is malformed. */
int next_field(const uint8_t *payload, uint32_t length, uint32_t *offset, struct field_at *found);
/* A field as text: a copy with a final 0, cut off at none. Never freed: for processes that are about to exec. */
char *field_text(const struct field_at *field);
uint32_t field_u32(const struct field_at *field);
uint64_t field_u64(const struct field_at *field, unsigned index);

/* wire.c: the port to the host. */
void wire_open(int fd);
int wire_fd(void);
short wire_wants(void);
/* Read what is there and call back for each frame; -1 when the host speaks nonsense. */
int wire_receive(void (*handle)(uint8_t kind, uint16_t channel, const uint8_t *payload, uint32_t length));
void wire_flush(void);
void wire_send(uint8_t kind, uint16_t channel, const void *payload, uint32_t length);
void wire_send2(uint8_t kind, uint16_t channel, const void *head, uint32_t head_length, const void *payload,
		uint32_t length);
/* Bytes that wait for the host: programs are not read while there are many. */
size_t wire_backlog(void);
void answer(uint16_t channel, const struct failure *failure);
void answer_text(uint16_t channel, const char *text, size_t length);

/* house.c */
int house_set_up(const uint8_t *payload, uint32_t length, struct failure *failure);
int house_enter(struct failure *failure);
int group_procs_fd(void);
int group_write(const char *assignment, struct failure *failure);
void house_sync(int drop);

/* programs.c */
void program_spawn(uint16_t channel, const uint8_t *payload, uint32_t length);
void program_start(uint16_t channel);
void program_input(uint16_t channel, const uint8_t *bytes, uint32_t length);
void program_input_end(uint16_t channel);
void program_credit(uint16_t channel, uint32_t bytes);
void program_resize(uint16_t channel, unsigned rows, unsigned columns);
void program_signal(uint16_t channel, int number);
void programs_reap(void);
struct pollfd;
unsigned programs_poll(struct pollfd *polls, unsigned room);
void programs_ready(const struct pollfd *polls, unsigned count);
pid_t init_pid(void);

/* identity.c: becomes who the payload says; returns only when it failed. `wait` is called right before execve. */
void identity_become(const uint8_t *payload, uint32_t length, int (*wait)(void), struct failure *failure);

/* users.c */
struct account {
	uint32_t uid, gid;
	uint32_t groups[256];
	unsigned group_count;
	char home[256];
};
int users_resolve(const char *user, char **groups, unsigned group_count, struct account *account,
		  struct failure *failure);
void users_home(uint32_t uid, char *home, size_t room);

/* names.c */
void names_open(void);
int names_fd(void);
void names_ready(void);
void names_answer(const uint8_t *payload, uint32_t length);

/* relay.c */
int relay_start(int port, const char *place, struct failure *failure);

/* figures.c */
size_t figures_text(char *text, size_t room);
size_t table_text(char *text, size_t room);
uint64_t oom_kills(void);

int failed(struct failure *failure, uint32_t stage, int error, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
