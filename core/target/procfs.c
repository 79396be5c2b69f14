#define _GNU_SOURCE
#include "target/procfs.h"

#include <ctype.h>
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STAT_FLAGS 9 /* the flags of include/linux/sched.h, of which two are asked for: */
#define PF_EXITING 4u
#define PF_KTHREAD 0x200000u
#define CAP_SYS_PTRACE_BIT 19

pyr_error *pyr_process_gone(const struct pyr_process *process)
{
	return pyr_error_create(PYR_E_TARGET_GONE, "process %d has exited", (int)process->pid);
}

pyr_error *pyr_process_check(const struct pyr_process *process)
{
	char state = pyr_process_thread_state(process, process->pid, NULL);

	return state == 0 || state == 'Z' || state == 'X' ? pyr_process_gone(process) : NULL;
}

/* A whole small file below @dir; NULL with errno on failure. */
static char *slurp(int dir, const char *name, size_t *size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	size_t length = 0, capacity = 0;
	char *data = NULL, *grown;
	ssize_t n;
	int saved;

	if (fd < 0)
		return NULL;
	for (;;) {
		if (capacity - length < 4096) {
			capacity = capacity ? capacity * 2 : 16384;
			grown = realloc(data, capacity);
			if (!grown) {
				errno = ENOMEM;
				goto fail;
			}
			data = grown;
		}
		n = read(fd, data + length, capacity - length - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			goto fail;
		if (n == 0)
			break;
		length += (size_t)n;
	}
	close(fd);
	data[length] = '\0';
	if (size)
		*size = length;
	return data;
fail:
	saved = errno;
	close(fd);
	free(data);
	errno = saved;
	return NULL;
}

static pyr_error *proc_error(const struct pyr_process *process, const char *what, int error)
{
	if (error == ESRCH || error == ENOENT)
		return pyr_process_gone(process);
	if (error == EACCES || error == EPERM)
		return pyr_process_no_permission(process);
	if (error == ENOMEM)
		return pyr_error_no_memory();
	return pyr_error_create(PYR_E_UNREADABLE, "/proc/%d/%s: %s", (int)process->pid, what,
				strerror(error));
}

pyr_error *pyr_process_file(const struct pyr_process *process, const char *name, char **ret,
			    size_t *ret_size)
{
	char *data = slurp(process->dir, name, ret_size);

	if (!data)
		return proc_error(process, name, errno);
	*ret = data;
	return NULL;
}

char *pyr_process_link(const struct pyr_process *process, const char *name)
{
	char buf[PATH_MAX + 16];
	ssize_t n = readlinkat(process->dir, name, buf, sizeof(buf) - 1);

	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return strdup(buf);
}

/* "Uid:\t1000\t..." in the text of a status file. */
static bool status_field(const char *text, const char *name, int base, uint64_t *ret)
{
	const char *p = text;
	size_t length = strlen(name);

	while (p) {
		if (!strncmp(p, name, length) && p[length] == ':') {
			*ret = strtoull(p + length + 1, NULL, base);
			return true;
		}
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return false;
}

static char status_state(const char *text)
{
	const char *p = strstr(text, "State:");

	p = p ? p + 6 : "";
	while (*p == '\t' || *p == ' ')
		p++;
	return *p;
}

static bool have_ptrace_capability(void)
{
	uint64_t caps = 0;
	char *status = slurp(AT_FDCWD, "/proc/self/status", NULL);
	bool have = status && status_field(status, "CapEff", 16, &caps) &&
		    caps >> CAP_SYS_PTRACE_BIT & 1;

	free(status);
	return have;
}

/* A number of /proc/PID/stat by its place as proc(5) counts, found behind the
 * name, which may hold anything. False: nothing is left of the process. */
static bool stat_field(const struct pyr_process *process, int wanted, uint64_t *ret)
{
	char *stat = slurp(process->dir, "stat", NULL), *p = stat ? strrchr(stat, ')') : NULL;
	int field = 2;

	while (p && *p && field < wanted)
		if (*p++ == ' ')
			field++;
	if (p)
		*ret = strtoull(p, NULL, 10);
	free(stat);
	return p != NULL;
}

/* A process that exits gives up its memory first; from then on its files are root's. */
static bool is_exiting(const struct pyr_process *process)
{
	uint64_t flags;

	return !stat_field(process, STAT_FLAGS, &flags) || flags & PF_EXITING;
}

pyr_error *pyr_process_no_permission(const struct pyr_process *process)
{
	const char *who = process->name;
	int pid = (int)process->pid, scope = 0;
	char *yama;

	if (is_exiting(process))
		return pyr_process_gone(process);
	if (process->uid != geteuid() && geteuid() != 0)
		return pyr_error_create(
			PYR_E_NO_PERMISSION,
			"process %d (%s) belongs to uid %u and this is uid %u: run as "
			"that user or as root (CAP_SYS_PTRACE)",
			pid, who, (unsigned)process->uid, (unsigned)geteuid());
	yama = slurp(AT_FDCWD, "/proc/sys/kernel/yama/ptrace_scope", NULL);
	if (yama)
		scope = atoi(yama);
	free(yama);
	if (scope >= 3)
		return pyr_error_create(
			PYR_E_NO_PERMISSION,
			"process %d (%s): kernel.yama.ptrace_scope is %d, so this "
			"machine lets nobody read another process until it is rebooted",
			pid, who, scope);
	if (geteuid() == 0 && !have_ptrace_capability())
		return pyr_error_create(
			PYR_E_NO_PERMISSION,
			"process %d (%s): root without CAP_SYS_PTRACE may not read it; "
			"start the container with --cap-add=SYS_PTRACE",
			pid, who);
	if (scope >= 1 && !have_ptrace_capability())
		return pyr_error_create(
			PYR_E_NO_PERMISSION,
			"process %d (%s): kernel.yama.ptrace_scope is %d, so only %s "
			"may read it: run as root (CAP_SYS_PTRACE)",
			pid, who, scope, scope == 1 ? "its own ancestors" : "an administrator");
	return pyr_error_create(
		PYR_E_NO_PERMISSION,
		"process %d (%s) is protected (it changed its user, gained privileges, "
		"or lies in another user namespace): run as root (CAP_SYS_PTRACE)",
		pid, who);
}

/* Which processor the program was made for: the first bytes of its file. */
static pyr_error *check_machine(struct pyr_process *process)
{
	Elf64_Ehdr header;
	int fd = openat(process->dir, "exe", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return proc_error(process, "exe", errno);
	n = pread(fd, &header, sizeof(header), 0);
	close(fd);
	if (n < (ssize_t)sizeof(header) || memcmp(header.e_ident, ELFMAG, SELFMAG))
		return pyr_error_create(PYR_E_BAD_FILE,
					"process %d (%s): its executable is no ELF file",
					(int)process->pid, process->name);
	if (header.e_ident[EI_CLASS] != ELFCLASS64)
		return pyr_error_create(
			PYR_E_UNSUPPORTED_BUILD,
			"process %d (%s) is a 32-bit program; pyretain reads 64-bit ones",
			(int)process->pid, process->name);
	if (header.e_machine == EM_X86_64)
		process->machine = PYR_MACHINE_X86_64;
	else if (header.e_machine == EM_AARCH64)
		process->machine = PYR_MACHINE_AARCH64;
	else
		return pyr_error_create(
			PYR_E_UNSUPPORTED_BUILD,
			"process %d (%s) runs on ELF machine %d; pyretain reads x86-64 "
			"and aarch64",
			(int)process->pid, process->name, header.e_machine);
	return NULL;
}

static uint64_t start_time(const struct pyr_process *process)
{
	uint64_t ticks = 0;

	stat_field(process, 22, &ticks);
	return ticks;
}

static pyr_error *read_identity(struct pyr_process *process, const char *status)
{
	char *maps, *comm;
	uint64_t value;
	size_t size;
	int error;

	process->state = status_state(status);
	if (status_field(status, "Uid", 10, &value))
		process->uid = (uid_t)value;
	if (status_field(status, "TracerPid", 10, &value))
		process->tracer = (pid_t)value;
	if ((comm = slurp(process->dir, "comm", NULL))) {
		comm[strcspn(comm, "\n")] = '\0';
		snprintf(process->name, sizeof(process->name), "%s", comm);
		free(comm);
	}
	process->start_time = start_time(process);
	if (process->state == 'Z' || process->state == 'X')
		return pyr_error_create(
			PYR_E_TARGET_GONE,
			"process %d (%s) is a zombie: it has exited and its memory is gone",
			(int)process->pid, process->name);
	if (!strstr(status, "\nVmSize:")) {
		if (stat_field(process, STAT_FLAGS, &value) && value & PF_KTHREAD)
			return pyr_error_create(
				PYR_E_NOT_PYTHON,
				"process %d (%s) is a kernel thread and has no memory of its own",
				(int)process->pid, process->name);
		return pyr_error_create(PYR_E_TARGET_GONE,
					"process %d (%s) is exiting: its memory is gone",
					(int)process->pid, process->name);
	}
	/* Reading maps asks for less than reading memory; the descriptor of mem
	 * is given out only to who may also stop the process. */
	process->mem = openat(process->dir, "mem", O_RDONLY | O_CLOEXEC);
	if (process->mem < 0)
		return proc_error(process, "mem", errno);
	if (!(maps = slurp(process->dir, "maps", &size))) {
		error = errno;
		return proc_error(process, "maps", error);
	}
	free(maps);
	if (!size)
		return pyr_process_gone(process);
	return check_machine(process);
}

pyr_error *pyr_process_open(pid_t pid, struct pyr_process *ret)
{
	struct pyr_process process = {.pid = pid, .dir = -1, .mem = -1, .pagemap = -1};
	char path[64], *status = NULL;
	uint64_t tgid;
	pyr_error *err;

	process.page_size = (uint64_t)sysconf(_SC_PAGESIZE);
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	process.dir = pid > 0 ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (process.dir < 0)
		return pyr_error_create(PYR_E_TARGET_GONE, "there is no process %d", (int)pid);
	if (!(status = slurp(process.dir, "status", NULL))) {
		err = proc_error(&process, "status", errno);
		goto fail;
	}
	/* A thread's id names its process. */
	if (status_field(status, "Tgid", 10, &tgid) && (pid_t)tgid != pid && tgid > 0) {
		free(status);
		close(process.dir);
		return pyr_process_open((pid_t)tgid, ret);
	}
	if (pid == getpid()) {
		err = pyr_error_create(PYR_E_USAGE, "process %d is pyretain itself", (int)pid);
		goto fail;
	}
	if ((err = read_identity(&process, status)))
		goto fail;
	process.pagemap = openat(process.dir, "pagemap", O_RDONLY | O_CLOEXEC);
	free(status);
	*ret = process;
	return NULL;
fail:
	free(status);
	pyr_process_close(&process);
	return err;
}

void pyr_process_close(struct pyr_process *process)
{
	if (process->dir >= 0)
		close(process->dir);
	if (process->mem >= 0)
		close(process->mem);
	if (process->pagemap >= 0)
		close(process->pagemap);
	process->dir = process->mem = process->pagemap = -1;
}

pyr_error *pyr_process_tids(const struct pyr_process *process, pid_t **ret, size_t *ret_count)
{
	PYR_VEC(pid_t) tids = {0};
	int fd = openat(process->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return pyr_process_gone(process);
	}
	while ((entry = readdir(dir))) {
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    !pyr_vec_push(&tids, (pid_t)atoi(entry->d_name))) {
			closedir(dir);
			pyr_vec_deinit(&tids);
			return pyr_error_no_memory();
		}
	}
	closedir(dir);
	if (!tids.count)
		return pyr_process_gone(process);
	*ret = tids.data;
	*ret_count = tids.count;
	return NULL;
}

void pyr_process_thread_name(const struct pyr_process *process, pid_t tid, char ret[16])
{
	char name[64], *comm;

	snprintf(name, sizeof(name), "task/%d/comm", (int)tid);
	comm = slurp(process->dir, name, NULL);
	ret[0] = '\0';
	if (comm) {
		comm[strcspn(comm, "\n")] = '\0';
		snprintf(ret, 16, "%.15s", comm);
	}
	free(comm);
}

char pyr_process_thread_state(const struct pyr_process *process, pid_t tid, pid_t *tracer)
{
	char name[64], *status, state;
	uint64_t value;

	snprintf(name, sizeof(name), "task/%d/status", (int)tid);
	status = slurp(process->dir, name, NULL);
	if (!status)
		return 0;
	state = status_state(status);
	if (tracer)
		*tracer = status_field(status, "TracerPid", 10, &value) ? (pid_t)value : 0;
	free(status);
	return state;
}

bool pyr_process_thread_blocked_at(const struct pyr_process *process, pid_t tid, pyr_addr *sp,
				   pyr_addr *pc)
{
	char name[64], *text, *p;
	unsigned long a, b;
	bool found = false;

	/* "nr arg1 ... arg6 sp pc", "-1 sp pc", or "running" */
	snprintf(name, sizeof(name), "task/%d/syscall", (int)tid);
	text = slurp(process->dir, name, NULL);
	if (!text)
		return false;
	text[strcspn(text, "\n")] = '\0';
	if ((p = strrchr(text, ' '))) {
		*p = '\0';
		b = strtoul(p + 1, NULL, 16);
		p = strrchr(text, ' ');
		a = p ? strtoul(p + 1, NULL, 16) : 0;
		if (a && b) {
			*sp = a;
			*pc = b;
			found = true;
		}
	}
	free(text);
	return found;
}

char *pyr_process_root(const struct pyr_process *process)
{
	char ours[64] = "", *root = pyr_process_link(process, "root"), path[64];
	char *theirs = pyr_process_link(process, "ns/mnt");
	ssize_t n = readlink("/proc/self/ns/mnt", ours, sizeof(ours) - 1);
	struct stat a, b;
	bool same;

	ours[n > 0 ? n : 0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/root", (int)process->pid);
	/* The same root directory in the same namespace: paths mean the same. */
	same = root && theirs && !strcmp(theirs, ours) && stat(path, &a) == 0 &&
	       stat("/", &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
	free(root);
	free(theirs);
	return same ? NULL : strdup(path);
}
