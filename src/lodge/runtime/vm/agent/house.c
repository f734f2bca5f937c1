/* The program's root: the image, read-only, under an upper directory; and all that is mounted in it.
 *
 * `house_set_up` runs in the agent and remembers the payload; `house_enter` runs in the program's first process,
 * in a mount namespace of its own. Paths are looked up after the change of root, so links in the image stay in it.
 */
#define _GNU_SOURCE
#include "agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <linux/netlink.h>
#include <linux/random.h>

#define LOWER "/run/lower"
#define MOST_MOUNTS 256
#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 4
#endif
#define AT_RECURSIVE 0x8000

static uint8_t *setup;
static uint32_t setup_length;

struct attributes {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0)
			fprintf(stderr, "lodge-agent: %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

static void stir_in(const struct field_at *field)
{
	struct {
		int entropy, size;
		uint8_t bytes[512];
	} pool;
	uint32_t length = field->length < sizeof pool.bytes ? field->length : sizeof pool.bytes;
	memcpy(pool.bytes, field->bytes, length);
	pool.entropy = (int)length * 8;
	pool.size = (int)length;
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	ioctl(fd, RNDADDENTROPY, &pool);
	ioctl(fd, RNDRESEEDCRNG);
	close(fd);
}

static void set_time(uint64_t nanoseconds)
{
	struct timespec now = {(time_t)(nanoseconds / 1000000000u), (long)(nanoseconds % 1000000000u)};
	clock_settime(CLOCK_REALTIME, &now);
}

/* Devices may have come into slots that were empty before the freeze: let the driver look again. */
static void bind_devices(void)
{
	/* In the order of the slots, for the order of network cards is their order here. */
	for (int number = 0; number < 16; number++) {
		char name[32], driver[128];
		snprintf(name, sizeof name, "LNRO0005:%02x", number);
		snprintf(driver, sizeof driver, "/sys/bus/platform/devices/%s/driver", name);
		if (access(driver, F_OK) == 0)
			continue;
		int fd = open("/sys/bus/platform/drivers/virtio-mmio/bind", O_WRONLY | O_CLOEXEC);
		/* An empty slot refuses, which is no error. */
		if (fd >= 0 && write(fd, name, strlen(name)) < 0)
			errno = 0;
		close(fd);
	}
}

static int mount_lower(struct failure *failure)
{
	char path[64] = "";
	mkdir(LOWER, 0755);
	for (char letter = 'a'; letter <= 'h'; letter++) {
		char serial[32] = "";
		snprintf(path, sizeof path, "/sys/block/vd%c/serial", letter);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t got = read(fd, serial, sizeof serial - 1);
		close(fd);
		if (got < 5 || strncmp(serial, "image", 5) != 0)
			continue;
		snprintf(path, sizeof path, "/dev/vd%c", letter);
		if (mount(path, LOWER, "erofs", MS_RDONLY, "") == 0)
			return 0;
		return failed(failure, AT_MOUNT, errno, "the image can't be mounted: %s", strerror(errno));
	}
	return failed(failure, AT_MOUNT, ENODEV, "the image's disk is missing");
}

/* Ask the kernel to do what the host has written out: links, addresses, routes. */
static int send_netlink(const struct field_at *field, struct failure *failure)
{
	uint8_t reply[8192];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	if (fd < 0 || send(fd, field->bytes, field->length, 0) < 0 || recv(fd, reply, sizeof reply, 0) < 0) {
		failed(failure, AT_SETUP, errno, "the network can't be set up: %s", strerror(errno));
		close(fd);
		return -1;
	}
	close(fd);
	const struct nlmsghdr *header = (const void *)reply;
	const struct nlmsgerr *error = NLMSG_DATA(header);
	if (header->nlmsg_type == NLMSG_ERROR && error->error != 0 && error->error != -EEXIST)
		return failed(failure, AT_SETUP, -error->error, "the network can't be set up: %s",
			      strerror(-error->error));
	return 0;
}

int group_write(const char *assignment, struct failure *failure)
{
	char path[300];
	const char *equals = strchr(assignment, '=');
	if (equals == NULL || strchr(assignment, '/') != NULL)
		return failed(failure, AT_PROTOCOL, EINVAL, "not an assignment: %s", assignment);
	snprintf(path, sizeof path, "/cgroup/house/%.*s", (int)(equals - assignment), assignment);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t done = fd < 0 ? -1 : write(fd, equals + 1, strlen(equals + 1));
	int error = errno;
	close(fd);
	if (done < 0)
		return failed(failure, AT_SETUP, error, "%s: %s", assignment, strerror(error));
	return 0;
}

int group_procs_fd(void)
{
	return open("/cgroup/house/cgroup.procs", O_WRONLY | O_CLOEXEC);
}

static void raise_loopback(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

int house_set_up(const uint8_t *payload, uint32_t length, struct failure *failure)
{
	struct field_at field;
	uint32_t offset = 0;
	int more;

	if (setup != NULL)
		return failed(failure, AT_PROTOCOL, EALREADY, "this machine has been set up already");
	setup = malloc(length + 1);
	memcpy(setup, payload, length);
	setup_length = length;
	raise_loopback();
	bind_devices();
	/* Memory is limited where it is used, as in a container on a large host: by the control group. */
	write_file("/proc/sys/vm/overcommit_memory", "1");
	while ((more = next_field(setup, length, &offset, &field)) > 0) {
		int bad = 0;
		switch (field.tag) {
		case F_TIME:
			set_time(field_u64(&field, 0));
			break;
		case F_ENTROPY:
			stir_in(&field);
			break;
		case F_NAMES:
			names_open();
			break;
		case F_GROUP_FILE:
			bad = group_write(field_text(&field), failure);
			break;
		case F_NETLINK:
			bad = send_netlink(&field, failure);
			break;
		case F_HOSTNAME:
			sethostname((const char *)field.bytes, field.length);
			break;
		case F_DOMAINNAME:
			bad = setdomainname((const char *)field.bytes, field.length);
			break;
		default:
			break;
		}
		if (bad)
			return -1;
	}
	if (more < 0)
		return failed(failure, AT_PROTOCOL, EPROTO, "the setup can't be read");
	return mount_lower(failure);
}

/* Make what a mount goes on: directories, and a file for a file. */
static void make_place(const char *place, int directory)
{
	char path[4096];
	snprintf(path, sizeof path, "%s", place);
	for (char *at = path + 1; *at != 0; at++)
		if (*at == '/') {
			*at = 0;
			mkdir(path, 0755);
			*at = '/';
		}
	if (directory)
		mkdir(path, 0755);
	else
		close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
}

static int is_directory(int fd)
{
	struct stat found;
	return fstat(fd, &found) == 0 && S_ISDIR(found.st_mode);
}

struct order {
	uint64_t flags, attr_set, attr_clr;
	const char *source, *target, *type, *data;
	int tree;
};

/* A mount on the wire: three numbers, then source, target, type and data, each ended by a 0. */
static int read_order(const struct field_at *field, struct order *order, struct failure *failure)
{
	if (field->length < 28 || field->bytes[field->length - 1] != 0)
		return failed(failure, AT_PROTOCOL, EPROTO, "a mount can't be read");
	const char *end = (const char *)field->bytes + field->length;
	const char *at = (const char *)field->bytes + 24;
	const char **texts[] = {&order->source, &order->target, &order->type, &order->data};
	order->flags = field_u64(field, 0);
	order->attr_set = field_u64(field, 1);
	order->attr_clr = field_u64(field, 2);
	order->tree = -1;
	for (unsigned i = 0; i < 4; i++) {
		if (at >= end)
			return failed(failure, AT_PROTOCOL, EPROTO, "a mount lacks a text");
		*texts[i] = at;
		at += strlen(at) + 1;
	}
	return 0;
}

/* What binds show is opened before the change of root, for afterwards it is out of sight. */
static int open_sources(struct order *orders, unsigned *count, struct failure *failure)
{
	struct field_at field;
	uint32_t offset = 0;
	*count = 0;
	while (next_field(setup, setup_length, &offset, &field) > 0) {
		if (field.tag != F_MOUNT)
			continue;
		if (*count == MOST_MOUNTS)
			return failed(failure, AT_MOUNT, E2BIG, "too many mounts");
		struct order *order = &orders[(*count)++];
		if (read_order(&field, order, failure) < 0)
			return -1;
		if (!(order->flags & MS_BIND))
			continue;
		order->tree = (int)syscall(SYS_open_tree, AT_FDCWD, order->source,
					   OPEN_TREE_CLONE | O_CLOEXEC | (order->flags & MS_REC ? AT_RECURSIVE : 0));
		if (order->tree < 0)
			return failed(failure, AT_MOUNT, errno, "error mounting %s: %s", order->source, strerror(errno));
	}
	return 0;
}

static int do_mount(const struct order *order, struct failure *failure)
{
	int result;
	make_place(order->target, order->tree < 0 || is_directory(order->tree));
	if (order->tree >= 0) {
		result = (int)syscall(SYS_move_mount, order->tree, "", AT_FDCWD, order->target, MOVE_MOUNT_F_EMPTY_PATH);
		uint64_t wanted = order->flags & ~(uint64_t)(MS_BIND | MS_REC);
		if (result == 0 && wanted != 0)
			result = mount(NULL, order->target, NULL, MS_REMOUNT | MS_BIND | wanted, NULL);
		close(order->tree);
	} else {
		result = mount(order->source, order->target, order->type, order->flags, order->data);
	}
	if (result == 0 && (order->attr_set || order->attr_clr)) {
		struct attributes change = {order->attr_set, order->attr_clr, 0, 0};
		result = (int)syscall(SYS_mount_setattr, AT_FDCWD, order->target, AT_RECURSIVE, &change, sizeof change);
	}
	if (result < 0)
		return failed(failure, AT_MOUNT, errno, "error mounting \"%s\" to rootfs at \"%s\": %s", order->source,
			      order->target, strerror(errno));
	return 0;
}

static int mount_root(struct failure *failure)
{
	struct field_at field;
	uint32_t offset = 0;
	char options[512] = "";
	while (next_field(setup, setup_length, &offset, &field) > 0)
		if (field.tag == F_UPPER)
			snprintf(options, sizeof options,
				 "lowerdir=" LOWER ",upperdir=%.*s/upper,workdir=%.*s/work,index=off,redirect_dir=off,metacopy=off",
				 (int)field.length, field.bytes, (int)field.length, field.bytes);
	if (options[0] == 0) {
		mkdir("/run/upper", 0755);
		if (mount("tmpfs", "/run/upper", "tmpfs", 0, "mode=755") < 0)
			return failed(failure, AT_MOUNT, errno, "no place for the program's files: %s", strerror(errno));
		mkdir("/run/upper/upper", 0755);
		mkdir("/run/upper/work", 0755);
		snprintf(options, sizeof options, "lowerdir=" LOWER ",upperdir=/run/upper/upper,workdir=/run/upper/work");
	}
	mkdir("/run/root", 0755);
	if (mount("overlay", "/run/root", "overlay", 0, options) < 0)
		return failed(failure, AT_MOUNT, errno, "the root can't be mounted (%s): %s", options, strerror(errno));
	return 0;
}

static void make_nodes(void)
{
	struct field_at field;
	uint32_t offset = 0;
	umask(0);
	while (next_field(setup, setup_length, &offset, &field) > 0) {
		if (field.tag != F_NODE || field.length < 21)
			continue;
		struct field_at number = field;
		uint32_t values[5];
		for (int i = 0; i < 5; i++, number.bytes += 4, number.length -= 4)
			values[i] = field_u32(&number);
		char *path = field_text(&number);
		make_place(path, 0);
		unlink(path);
		if (mknod(path, values[0], makedev(values[1], values[2])) == 0 && chown(path, values[3], values[4]) < 0)
			fprintf(stderr, "lodge-agent: %s: %s\n", path, strerror(errno));
	}
	umask(022);
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},	      {"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"}, {"/proc/self/fd/2", "/dev/stderr"},
		{"pts/ptmx", "/dev/ptmx"},
	};
	for (unsigned i = 0; i < sizeof links / sizeof links[0]; i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			fprintf(stderr, "lodge-agent: %s: %s\n", links[i][1], strerror(errno));
}

static void set_sysctl(const char *assignment)
{
	char path[300];
	const char *equals = strchr(assignment, '=');
	if (equals == NULL)
		return;
	snprintf(path, sizeof path, "/proc/sys/%.*s", (int)(equals - assignment), assignment);
	for (char *at = path + strlen("/proc/sys/"); *at != 0; at++)
		if (*at == '.')
			*at = '/';
	write_file(path, equals + 1);
}

/* What the engine does not want seen or written, as in a container. */
static void cover(const char *path, int hide)
{
	struct stat found;
	if (stat(path, &found) < 0)
		return;
	int result;
	if (!hide)
		result = mount(path, path, NULL, MS_BIND | MS_REC, NULL) < 0
				 ? -1
				 : mount(NULL, path, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
					 NULL);
	else if (S_ISDIR(found.st_mode))
		result = mount("tmpfs", path, "tmpfs", MS_RDONLY, "nr_blocks=1,nr_inodes=1");
	else
		result = mount("/dev/null", path, NULL, MS_BIND, NULL);
	if (result < 0)
		fprintf(stderr, "lodge-agent: %s: %s\n", path, strerror(errno));
}

static int finish_root(struct failure *failure)
{
	struct field_at field;
	uint32_t offset = 0;
	while (next_field(setup, setup_length, &offset, &field) > 0)
		switch (field.tag) {
		case F_SYSCTL:
			set_sysctl(field_text(&field));
			break;
		case F_READ_ONLY_PATH:
			cover(field_text(&field), 0);
			break;
		case F_MASK:
			cover(field_text(&field), 1);
			break;
		case F_READ_ONLY:
			if (mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
				return failed(failure, AT_MOUNT, errno, "the root can't be made read-only: %s",
					      strerror(errno));
			break;
		default:
			break;
		}
	return 0;
}

int house_enter(struct failure *failure)
{
	static struct order orders[MOST_MOUNTS];
	unsigned count;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount_root(failure) < 0 || open_sources(orders, &count, failure) < 0)
		return -1;
	/* As switch_root does: the first root of all can't be left by pivot_root. */
	if (chdir("/run/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return failed(failure, AT_MOUNT, errno, "the root can't be entered: %s", strerror(errno));
	for (unsigned i = 0; i < count; i++)
		if (do_mount(&orders[i], failure) < 0)
			return -1;
	make_nodes();
	return finish_root(failure);
}

void house_sync(int drop)
{
	sync();
	if (drop)
		write_file("/proc/sys/vm/drop_caches", "2");
}
