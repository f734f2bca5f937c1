/* Docker's user strings (`name`, `uid`, either with `:group` or `:gid`), by the image's own files.
 *
 * The rules are those of runtime/process/users.py: a number is never looked up as a name, supplementary groups come
 * from /etc/group only when no group was asked for, and only the files' first MiB is read.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST (1u << 20)
#define FIELDS 7

static char *read_whole(const char *path)
{
	char *text = calloc(1, MOST + 1);
	size_t used = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return text;
	while (used < MOST && (got = read(fd, text + used, MOST - used)) > 0)
		used += (size_t)got;
	close(fd);
	text[used] = 0;
	return text;
}

/* Cut the next line that has fields off `rest`; the number of its fields, 0 at the end. */
static unsigned next_line(char **rest, char **fields)
{
	char *line;
	while ((line = strsep(rest, "\n")) != NULL) {
		line += strspn(line, " \t\r");
		if (*line == 0 || *line == '#')
			continue;
		unsigned count = 0;
		while (count < FIELDS && line != NULL)
			fields[count++] = strsep(&line, ":");
		return count;
	}
	return 0;
}

/* Whether a text is a number, and which; out of range is -2. */
static long long number_of(const char *text)
{
	char *end;
	if (*text == 0 || strlen(text) > 19 || strspn(text, "+-0123456789") != strlen(text))
		return -1;
	long long value = strtoll(text, &end, 10);
	if (*end != 0)
		return -1;
	return value < 0 || value > 0x7fffffff ? -2 : value;
}

static int out_of_range(struct failure *failure)
{
	return failed(failure, AT_USER, EINVAL, "uids and gids must be in range 0-2147483647");
}

static void add_group(struct account *account, uint32_t gid)
{
	for (unsigned i = 0; i < account->group_count; i++)
		if (account->groups[i] == gid)
			return;
	if (account->group_count < sizeof account->groups / sizeof account->groups[0])
		account->groups[account->group_count++] = gid;
}

static int group_number(const char *name, uint32_t *gid, struct failure *failure)
{
	long long number = number_of(name);
	if (number == -2)
		return out_of_range(failure);
	if (number >= 0) {
		*gid = (uint32_t)number;
		return 0;
	}
	char *fields[FIELDS], *text = read_whole("/etc/group"), *rest = text;
	unsigned count;
	int found = -1;
	while (found < 0 && (count = next_line(&rest, fields)) > 0)
		if (count >= 3 && strcmp(fields[0], name) == 0 && (number = number_of(fields[2])) >= 0) {
			*gid = (uint32_t)number;
			found = 0;
		}
	free(text);
	if (found < 0)
		failed(failure, AT_USER, ENOENT, "unable to find group %s: no matching entries in group file", name);
	return found;
}

static void add_memberships(struct account *account, const char *name)
{
	char *fields[FIELDS], *text = read_whole("/etc/group"), *rest = text;
	unsigned count;
	while ((count = next_line(&rest, fields)) > 0) {
		if (count < 4 || number_of(fields[2]) < 0)
			continue;
		char *members = fields[3], *member;
		while ((member = strsep(&members, ",")) != NULL)
			if (strcmp(member, name) == 0)
				add_group(account, (uint32_t)number_of(fields[2]));
	}
	free(text);
}

/* The entry of a name, or of a number; whether there is one. */
static int find_entry(const char *who, long long uid, struct account *account, char *name, size_t room)
{
	char *fields[FIELDS], *text = read_whole("/etc/passwd"), *rest = text;
	unsigned count;
	int found = 0;
	while (!found && (count = next_line(&rest, fields)) > 0) {
		if (count < 4 || number_of(fields[2]) < 0)
			continue;
		if (uid >= 0 ? number_of(fields[2]) != uid : strcmp(fields[0], who) != 0)
			continue;
		found = 1;
		account->uid = (uint32_t)number_of(fields[2]);
		account->gid = number_of(fields[3]) < 0 ? 0 : (uint32_t)number_of(fields[3]);
		if (count > 5 && fields[5][0] != 0)
			snprintf(account->home, sizeof account->home, "%s", fields[5]);
		snprintf(name, room, "%s", fields[0]);
	}
	free(text);
	return found;
}

int users_resolve(const char *user, char **groups, unsigned group_count, struct account *account,
		  struct failure *failure)
{
	char who[256], name[256] = "";
	const char *colon = strchr(user, ':');
	snprintf(who, sizeof who, "%.*s", colon ? (int)(colon - user) : (int)strlen(user), user);
	memset(account, 0, sizeof *account);
	strcpy(account->home, "/");
	long long uid = who[0] ? number_of(who) : 0;
	int known = find_entry(who, uid == -2 ? 1LL << 40 : uid, account, name, sizeof name);
	if (!known && uid == -2)
		return out_of_range(failure);
	if (!known && uid < 0)
		return failed(failure, AT_USER, ENOENT, "unable to find user %s: no matching entries in passwd file", who);
	if (!known)
		account->uid = (uint32_t)uid;
	if (colon != NULL && colon[1] != 0 && group_number(colon + 1, &account->gid, failure) < 0)
		return -1;
	add_group(account, account->gid);
	if ((colon == NULL || colon[1] == 0) && known)
		add_memberships(account, name);
	for (unsigned i = 0; i < group_count; i++) {
		uint32_t gid;
		if (group_number(groups[i], &gid, failure) < 0)
			return -1;
		add_group(account, gid);
	}
	return 0;
}

void users_home(uint32_t uid, char *home, size_t room)
{
	struct account account = {0};
	char name[256];
	strcpy(account.home, "/");
	find_entry("", uid, &account, name, sizeof name);
	snprintf(home, room, "%s", account.home);
}
