/* The CPythons of this machine, for tests that ask them: pyenv's, the system's, and
 * those of the Debian roots (tests/roots.py; entering a root needs root). */
#ifndef TESTS_UNIT_PYTHONS_H
#define TESTS_UNIT_PYTHONS_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define PYTHONS_MAX 64

struct python {
	char path[512]; /* inside the root, if any */
	char root[512]; /* "": none */
	char name[600]; /* for messages */
};

/* Fills @ret, answers how many. Prints a line for each minor version 3.6-3.15 that is
 * missing; with MATRIX=full in the environment the test fails then. */
size_t pythons_find(struct python ret[PYTHONS_MAX]);

/* @each of them; there is one at least. */
void pythons_each(void (*each)(const struct python *python));

/* tests/@name, a program that a test runs: its path and its text, to be freed. Tests are run at
 * the top of the project. */
char *program_path(const char *name);
char *program_text(const char *name);

/* Run `python -c @script` with a pipe to its standard input and from its output. */
struct python_process {
	pid_t pid;
	FILE *in, *out;
};
void python_start(const struct python *python, const char *script, struct python_process *ret);
/* Closes its input, waits, and answers the exit status. */
int python_finish(struct python_process *process);

#endif
