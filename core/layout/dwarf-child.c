#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "layout/dwarf-child.h"

#define SECONDS 30

/* What parent and child share. */
struct report {
	struct pyr_dwarf_places places;
	bool done;
	enum pyr_error_code code; /* meaningful when message is not empty */
	char message[512];
};

/* The child is a copy of a debugger, say: what that installed for its own crashes and its
 * own terminal is not to run here. */
static void settle(void)
{
	static const int fatal[] = {SIGSEGV, SIGBUS,  SIGABRT, SIGFPE, SIGILL,
				    SIGALRM, SIGTERM, SIGPIPE, SIGXCPU};
	struct rlimit none = {0, 0}, cpu = {SECONDS, SECONDS};
	sigset_t empty;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		signal(fatal[i], SIG_DFL);
	signal(SIGINT, SIG_IGN);
	sigemptyset(&empty);
	sigprocmask(SIG_SETMASK, &empty, NULL);
	setrlimit(RLIMIT_CORE, &none);
	setrlimit(RLIMIT_CPU, &cpu);
	alarm(2 * SECONDS);
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0) { /* for what libc says when it aborts */
		dup2(fd, 1);
		dup2(fd, 2);
	}
}

static void run_child(const struct pyr_dwarf_file *file, struct report *report)
{
	struct pyr_dwarf *dwarf = NULL;
	pyr_error *err;

	settle();
	pyr_dwarf_places_init(&report->places);
	if (!(err = pyr_dwarf_open(file, &dwarf)))
		err = pyr_dwarf_scan(dwarf, NULL, &report->places, NULL);
	if (err) {
		report->code = err->code;
		snprintf(report->message, sizeof(report->message), "%s", err->message);
	}
	report->done = true;
	_exit(0); /* leaves libdwarf's memory to the kernel, and the parent's files alone */
}

pyr_error *pyr_dwarf_read_apart(const struct pyr_dwarf_file *file, struct pyr_dwarf_places *ret)
{
	struct report *report = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pyr_error *err = NULL;
	int status = 0;
	pid_t child;

	if (report == MAP_FAILED)
		return pyr_error_no_memory();
	child = fork();
	if (child == 0)
		run_child(file, report);
	if (child < 0) {
		err = pyr_error_create(PYR_E_NO_MEMORY, "fork: %s", strerror(errno));
		goto out;
	}
	/* A host that reaps every child itself is no error; the report tells. */
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	report->message[sizeof(report->message) - 1] = '\0';
	if (!report->done)
		err = pyr_error_create(
			PYR_E_BAD_FILE,
			"the debug info in %s is damaged (its reader ended by signal %d)",
			file->path, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	else if (report->message[0])
		err = pyr_error_create(report->code, "%s", report->message);
	else
		*ret = report->places;
out:
	munmap(report, sizeof(*report));
	return err;
}
