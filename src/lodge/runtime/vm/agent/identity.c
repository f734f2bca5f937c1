/* Becoming the program: directory, limits, user, capabilities, filter, execve. Nothing here is undone.
 *
 * The texts are those of runc, for clients look for them.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define MOST_WORDS 65536

struct wish {
	char **args, **env;
	unsigned arg_count, env_count;
	char *cwd, *user, *groups[256];
	unsigned group_count;
	uint32_t uid, gid, umask;
	struct field_at further, capabilities, seccomp;
	int no_new_privileges, by_name;
	int32_t oom_score;
	struct field_at limits[32];
	unsigned limit_count;
};

static char *lower_reason(int error)
{
	static char text[128];
	snprintf(text, sizeof text, "%s", strerror(error));
	text[0] = (char)tolower(text[0]);
	return text;
}

static int read_wish(const uint8_t *payload, uint32_t length, struct wish *wish, struct failure *failure)
{
	struct field_at field;
	uint32_t offset = 0;
	int more;
	wish->args = calloc(MOST_WORDS + 2, sizeof(char *));
	wish->env = calloc(MOST_WORDS + 2, sizeof(char *));
	wish->umask = 022;
	wish->cwd = "/";
	wish->oom_score = 0;
	while ((more = next_field(payload, length, &offset, &field)) > 0)
		switch (field.tag) {
		case F_ARG:
			if (wish->arg_count < MOST_WORDS)
				wish->args[wish->arg_count++] = field_text(&field);
			break;
		case F_ENV:
			if (wish->env_count < MOST_WORDS)
				wish->env[wish->env_count++] = field_text(&field);
			break;
		case F_CWD:
			wish->cwd = field_text(&field);
			break;
		case F_UID:
			wish->uid = field_u32(&field);
			break;
		case F_GID:
			wish->gid = field_u32(&field);
			break;
		case F_GROUPS:
			wish->further = field;
			break;
		case F_UMASK:
			wish->umask = field_u32(&field);
			break;
		case F_CAPABILITIES:
			wish->capabilities = field;
			break;
		case F_NO_NEW_PRIVILEGES:
			wish->no_new_privileges = 1;
			break;
		case F_SECCOMP:
			wish->seccomp = field;
			break;
		case F_OOM_SCORE:
			wish->oom_score = (int32_t)field_u32(&field);
			break;
		case F_USER:
			wish->by_name = 1;
			wish->user = field_text(&field);
			break;
		case F_GROUP:
			if (wish->group_count < 256)
				wish->groups[wish->group_count++] = field_text(&field);
			break;
		case F_RLIMIT:
			if (wish->limit_count < 32)
				wish->limits[wish->limit_count++] = field;
			break;
		default:
			break;
		}
	if (more < 0 || wish->arg_count == 0)
		return failed(failure, AT_PROTOCOL, EPROTO, "the program can't be read");
	return 0;
}

static const char *variable(const struct wish *wish, const char *name)
{
	size_t length = strlen(name);
	const char *value = NULL;
	for (unsigned i = 0; i < wish->env_count; i++)
		if (strncmp(wish->env[i], name, length) == 0 && wish->env[i][length] == '=')
			value = wish->env[i] + length + 1;
	return value;
}

static void set_home(struct wish *wish, const char *home)
{
	char *text = malloc(strlen(home) + 6);
	const char *given = variable(wish, "HOME");
	if (given != NULL && *given != 0)
		return;
	sprintf(text, "HOME=%s", home);
	for (unsigned i = 0; i < wish->env_count; i++)
		if (strcmp(wish->env[i], "HOME=") == 0) {
			wish->env[i] = text;
			return;
		}
	wish->env[wish->env_count++] = text;
}

static int find_account(struct wish *wish, struct account *account, struct failure *failure)
{
	if (wish->by_name) {
		if (users_resolve(wish->user, wish->groups, wish->group_count, account, failure) < 0)
			return -1;
	} else {
		memset(account, 0, sizeof *account);
		account->uid = wish->uid;
		account->gid = wish->gid;
		struct field_at number = wish->further;
		for (; number.length >= 4 && account->group_count < 256; number.bytes += 4, number.length -= 4)
			account->groups[account->group_count++] = field_u32(&number);
		users_home(account->uid, account->home, sizeof account->home);
	}
	set_home(wish, account->home);
	return 0;
}

static int is_program(const char *path)
{
	struct stat found;
	return stat(path, &found) == 0 && !S_ISDIR(found.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

static char *find_program(const struct wish *wish, struct failure *failure)
{
	const char *name = wish->args[0], *search = variable(wish, "PATH");
	struct stat found;
	if (strchr(name, '/') != NULL) {
		if (stat(name, &found) < 0)
			failed(failure, AT_LOOKUP, errno, "exec: \"%s\": stat %s: %s", name, name, lower_reason(errno));
		else if (S_ISDIR(found.st_mode))
			failed(failure, AT_LOOKUP, EISDIR, "exec: \"%s\": is a directory: permission denied", name);
		else if (faccessat(AT_FDCWD, name, X_OK, AT_EACCESS) < 0)
			failed(failure, AT_LOOKUP, EACCES, "exec: \"%s\": permission denied", name);
		else
			return strdup(name);
		return NULL;
	}
	char *list = strdup(search ? search : ""), *directory;
	while (*name != 0 && (directory = strsep(&list, ":")) != NULL) {
		char path[4096];
		snprintf(path, sizeof path, "%s/%s", directory, name);
		if (directory[0] == '/' && is_program(path))
			return strdup(path);
	}
	failed(failure, AT_LOOKUP, ENOENT, "exec: \"%s\": executable file not found in $PATH", name);
	return NULL;
}

static int set_limits(const struct wish *wish, struct failure *failure)
{
	for (unsigned i = 0; i < wish->limit_count; i++) {
		struct field_at values = wish->limits[i];
		uint32_t resource = field_u32(&values);
		values.bytes += 4;
		values.length -= 4;
		struct rlimit limit = {field_u64(&values, 0), field_u64(&values, 1)};
		if (setrlimit((int)resource, &limit) < 0)
			return failed(failure, AT_IDENTITY, errno, "error setting rlimit %u: %s", resource, strerror(errno));
	}
	return 0;
}

static int set_capabilities(const uint64_t effective, const uint64_t permitted, const uint64_t inheritable)
{
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];
	for (int i = 0; i < 2; i++) {
		data[i].effective = (uint32_t)(effective >> (32 * i));
		data[i].permitted = (uint32_t)(permitted >> (32 * i));
		data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
	}
	return (int)syscall(SYS_capset, &header, data);
}

static void drop_bounding(uint64_t kept)
{
	for (int number = 0; number < 64; number++)
		if (!(kept >> number & 1) && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
			break;
}

static int load_filter(const struct wish *wish)
{
	if (wish->seccomp.length < 12)
		return 0;
	uint32_t flags = field_u32(&wish->seccomp);
	struct sock_fprog program = {(unsigned short)((wish->seccomp.length - 4) / 8),
				     malloc(wish->seccomp.length)};
	memcpy(program.filter, wish->seccomp.bytes + 4, wish->seccomp.length - 4);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

/* Without no_new_privs the filter takes CAP_SYS_ADMIN, so it comes first. */
static int limit_rights(const struct wish *wish, struct failure *failure)
{
	uint64_t effective = field_u64(&wish->capabilities, 0), permitted = field_u64(&wish->capabilities, 1),
		 inheritable = field_u64(&wish->capabilities, 2), ambient = field_u64(&wish->capabilities, 4);
	if (wish->no_new_privileges)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	else if (load_filter(wish) < 0)
		return failed(failure, AT_IDENTITY, errno, "the system call filter can't be loaded: %s", strerror(errno));
	if (set_capabilities(effective & permitted, permitted, inheritable) < 0)
		return failed(failure, AT_IDENTITY, errno, "unable to apply caps: %s", strerror(errno));
	for (int number = 0; number < 64; number++)
		if (ambient >> number & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0);
	if (wish->no_new_privileges && load_filter(wish) < 0)
		return failed(failure, AT_IDENTITY, errno, "the system call filter can't be loaded: %s", strerror(errno));
	return 0;
}

static int no_directory(const char *cwd, struct failure *failure)
{
	return failed(failure, AT_CWD, errno, "chdir to cwd (\"%s\") set in config.json failed: %s", cwd,
		      lower_reason(errno));
}

static int change_user(const struct wish *wish, const struct account *account, struct failure *failure)
{
	/* The rights of the agent itself, with which the set-up goes on until the very end. */
	uint64_t all = 0;
	for (int number = 0; prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0; number++)
		all |= 1ull << number;
	drop_bounding(field_u64(&wish->capabilities, 3));
	prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
	if (setgroups(account->group_count, (const gid_t *)account->groups) < 0 ||
	    setresgid(account->gid, account->gid, account->gid) < 0 ||
	    setresuid(account->uid, account->uid, account->uid) < 0)
		return failed(failure, AT_USER, errno, "unable to setup user %u:%u: %s", account->uid, account->gid,
			      strerror(errno));
	prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0);
	if (set_capabilities(all, all, 0) < 0)
		return failed(failure, AT_IDENTITY, errno, "unable to apply caps: %s", strerror(errno));
	return 0;
}

static void set_oom_score(int32_t score)
{
	char text[16];
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	int length = snprintf(text, sizeof text, "%d", score);
	if (fd >= 0 && write(fd, text, (size_t)length) < 0)
		perror("lodge-agent: oom_score_adj");
	close(fd);
}

void identity_become(const uint8_t *payload, uint32_t length, int (*wait)(void), struct failure *failure)
{
	struct wish wish = {0};
	static struct account account;
	if (read_wish(payload, length, &wish, failure) < 0 || find_account(&wish, &account, failure) < 0)
		return;
	umask(wish.umask);
	set_oom_score(wish.oom_score);
	for (int fd = 0; fd < 3; fd++)
		if (fchown(fd, account.uid, (gid_t)-1) < 0)
			continue;
	int reached = chdir(wish.cwd);
	if (reached < 0 && errno != EACCES) {
		no_directory(wish.cwd, failure);
		return;
	}
	if (set_limits(&wish, failure) < 0 || change_user(&wish, &account, failure) < 0)
		return;
	if (reached < 0 && chdir(wish.cwd) < 0) {
		no_directory(wish.cwd, failure);
		return;
	}
	char *path = find_program(&wish, failure);
	if (path == NULL || limit_rights(&wish, failure) < 0 || wait() < 0)
		return;
	execve(path, wish.args, wish.env);
	failed(failure, AT_EXEC, errno, "exec %s: %s", path, lower_reason(errno));
}
