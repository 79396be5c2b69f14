#define _GNU_SOURCE
#include "target/headroom.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/strbuf.h"

#define MIB (1024ull * 1024)

/* A whole file as text; "" when it cannot be read. Caller frees; NULL: no memory. */
static char *read_text(const char *path)
{
	struct pyr_strbuf buf = {.data = NULL};
	char chunk[4096];
	size_t n;
	FILE *f = fopen(path, "re");

	pyr_strbuf_add(&buf, "");
	while (f && (n = fread(chunk, 1, sizeof(chunk), f)) > 0)
		pyr_strbuf_add_bytes(&buf, chunk, n);
	if (f)
		fclose(f);
	return pyr_strbuf_take(&buf);
}

/* The number behind @key ("MemAvailable:", or "" for a file that is a number). */
static bool keyed_number(const char *text, const char *key, uint64_t *ret)
{
	size_t length = strlen(key);
	const char *p = text;
	char *end;

	while (p && *p) {
		if (!strncmp(p, key, length)) {
			*ret = strtoull(p + length, &end, 10);
			return end != p + length;
		}
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return false;
}

static bool file_number(const char *dir, const char *name, const char *key, uint64_t *ret)
{
	char *path, *text;
	bool found = false;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return false;
	text = read_text(path);
	found = text && keyed_number(text, key, ret);
	free(text);
	free(path);
	return found;
}

/* The path in the line of /proc/PID/cgroup for the memory controller: "0::PATH"
 * (version 2) or "N:memory:PATH". */
static char *group_path(const char *cgroup, bool v2)
{
	const char *line, *next, *first, *second;
	char *names, *token, *save;
	bool match;

	for (line = cgroup; *line; line = next) {
		next = strchr(line, '\n');
		next = next ? next + 1 : line + strlen(line);
		first = memchr(line, ':', (size_t)(next - line));
		second = first ? memchr(first + 1, ':', (size_t)(next - first - 1)) : NULL;
		if (!second || !(names = strndup(first + 1, (size_t)(second - first - 1))))
			continue;
		match = v2 && !*names && *line == '0';
		for (token = strtok_r(names, ",", &save); token && !v2;
		     token = strtok_r(NULL, ",", &save))
			match |= !strcmp(token, "memory");
		free(names);
		if (match)
			return strndup(second + 1, strcspn(second + 1, "\n"));
	}
	return NULL;
}

/* One mount: "36 35 0:31 ROOT MOUNTPOINT opts [tags] - TYPE SOURCE SUPEROPTS". */
static bool memory_mount(const char *line, bool v2, char **root, char **point)
{
	char r[4096], p[4096], type[64], super[1024];
	const char *dash = strstr(line, " - ");
	char *save, *option;

	if (!dash || sscanf(line, "%*s %*s %*s %4095s %4095s", r, p) < 2 ||
	    sscanf(dash, " - %63s %*s %1023s", type, super) < 2)
		return false;
	if (strcmp(type, v2 ? "cgroup2" : "cgroup"))
		return false;
	if (!v2) {
		for (option = strtok_r(super, ",", &save); option && strcmp(option, "memory");
		     option = strtok_r(NULL, ",", &save))
			;
		if (!option)
			return false;
	}
	*root = strdup(r);
	*point = strdup(p);
	if (*root && *point)
		return true;
	free(*root);
	free(*point);
	return false;
}

static bool locate(const char *mountinfo, const char *cgroup, bool v2, char **mount, char **path)
{
	char *root = NULL, *point = NULL, *group, *copy, *line, *save;
	bool found = false;
	size_t n;

	if (!(group = group_path(cgroup, v2)) || !(copy = strdup(mountinfo))) {
		free(group);
		return false;
	}
	for (line = strtok_r(copy, "\n", &save); line && !found; line = strtok_r(NULL, "\n", &save))
		found = memory_mount(line, v2, &root, &point);
	free(copy);
	if (!found) {
		free(group);
		return false;
	}
	/* The mount may show a subtree only (a container without a namespace of
	 * its own for control groups): then paths begin with its root. */
	n = strcmp(root, "/") ? strlen(root) : 0;
	if (n && (strncmp(group, root, n) || (group[n] && group[n] != '/')))
		n = strlen(group); /* elsewhere: all that can be seen is the mount's root */
	memmove(group, group + n, strlen(group + n) + 1);
	if (!strcmp(group, "/"))
		*group = '\0';
	free(root);
	*mount = point;
	*path = group;
	return true;
}

bool pyr_cgroup_locate(const char *mountinfo, const char *cgroup, bool *v2, char **mount,
		       char **path)
{
	/* With both versions mounted, the memory controller belongs to one of
	 * them: to version 1 when a line of /proc/PID/cgroup names it. */
	*v2 = false;
	if (locate(mountinfo, cgroup, false, mount, path))
		return true;
	*v2 = true;
	return locate(mountinfo, cgroup, true, mount, path);
}

/* What one group has left. Cached file pages that are not in use go first. */
static uint64_t group_room(const char *dir, bool v2)
{
	uint64_t limit, used, cached = 0;

	if (!file_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes", "", &limit) ||
	    !file_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes", "", &used) ||
	    limit >= INT64_MAX / 2) /* version 1 says "none" with a huge number */
		return PYR_UNLIMITED;
	file_number(dir, "memory.stat", v2 ? "inactive_file " : "total_inactive_file ", &cached);
	used -= cached < used ? cached : used;
	return used < limit ? limit - used : 0;
}

/* Is @ancestor @path or above it? Both are "" or "/a/b". */
static bool within(const char *path, const char *ancestor)
{
	size_t n = strlen(ancestor);

	return !strncmp(path, ancestor, n) && (!path[n] || path[n] == '/');
}

/* From our group up to the root: the tightest limit, and the tightest of those
 * that also bind the target. */
static void measure_groups(const char *mountinfo, const char *ours, const char *theirs,
			   struct pyr_headroom *room)
{
	char *mount = NULL, *path = NULL, *their_mount = NULL, *their_path = NULL, *dir, *slash;
	bool v2, their_v2, comparable;
	uint64_t left;

	if (!pyr_cgroup_locate(mountinfo, ours, &v2, &mount, &path))
		return;
	comparable = theirs &&
		     pyr_cgroup_locate(mountinfo, theirs, &their_v2, &their_mount, &their_path);
	for (;;) {
		if (asprintf(&dir, "%s%s", mount, path) < 0)
			break;
		left = group_room(dir, v2);
		if (left < room->memory)
			room->memory = left;
		if (left < room->shared && comparable && within(their_path, path)) {
			room->shared = left;
			free(room->group);
			room->group = strdup(*path ? path : "/");
		}
		free(dir);
		slash = strrchr(path, '/');
		if (!slash)
			break;
		*slash = '\0';
	}
	free(mount);
	free(path);
	free(their_mount);
	free(their_path);
}

/* What an address-space limit (ulimit -v) leaves. */
static uint64_t rlimit_room(void)
{
	struct rlimit limit;
	unsigned long pages;
	uint64_t used;
	char *statm;

	if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY)
		return PYR_UNLIMITED;
	statm = read_text("/proc/self/statm");
	pages = statm ? strtoul(statm, NULL, 10) : 0;
	free(statm);
	used = pages * (uint64_t)sysconf(_SC_PAGESIZE);
	return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

void pyr_headroom_measure(const struct pyr_process *process, struct pyr_headroom *ret)
{
	struct pyr_headroom room = {.memory = PYR_UNLIMITED, .shared = PYR_UNLIMITED};
	char *meminfo = read_text("/proc/meminfo"), *mountinfo = read_text("/proc/self/mountinfo");
	char *ours = read_text("/proc/self/cgroup"), *theirs = NULL;
	uint64_t kib, left;

	if (meminfo && keyed_number(meminfo, "MemAvailable:", &kib))
		room.memory = kib * 1024;
	left = rlimit_room();
	if (left < room.memory)
		room.memory = left;
	pyr_error_destroy(pyr_process_file(process, "cgroup", &theirs, NULL));
	if (mountinfo && ours)
		measure_groups(mountinfo, ours, theirs, &room);
	free(meminfo);
	free(mountinfo);
	free(ours);
	free(theirs);
	*ret = room;
}

void pyr_headroom_deinit(struct pyr_headroom *room)
{
	free(room->group);
	room->group = NULL;
}

/* At most 32 bytes for an object, and few Python heaps have objects that are
 * smaller than 80 bytes on average. */
uint64_t pyr_analysis_estimate(uint64_t resident)
{
	return 32 * MIB + resident / 5 * 2;
}

enum pyr_copy_place pyr_copy_place(uint64_t resident, uint64_t free_memory, uint64_t free_disk)
{
	uint64_t analysis = pyr_analysis_estimate(resident);

	if (resident < free_memory / 4 && resident + analysis < free_memory / 2)
		return PYR_COPY_IN_MEMORY;
	/* Leave the disk a tenth more than the copy takes. */
	if (resident + resident / 10 + 64 * MIB < free_disk)
		return PYR_COPY_IN_FILE;
	return PYR_COPY_NOWHERE;
}

uint64_t pyr_disk_room(const char *dir)
{
	struct statfs fs;

	if (statfs(dir, &fs) || access(dir, W_OK | X_OK))
		return 0;
	if (fs.f_type == TMPFS_MAGIC || (unsigned long)fs.f_type == RAMFS_MAGIC)
		return 0;
	return (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize;
}

const char *pyr_copy_directory(const char *tmpdir)
{
	const char *environment = getenv("TMPDIR");

	if (tmpdir)
		return tmpdir;
	if (environment && *environment && pyr_disk_room(environment))
		return environment;
	return pyr_disk_room("/var/tmp") ? "/var/tmp" : "/tmp";
}
