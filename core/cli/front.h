/* The `pyretain` command: a front-end like gdb's and lldb's, in C. It sees the
 * core only through pyretain.h. */
#ifndef PYR_CLI_FRONT_H
#define PYR_CLI_FRONT_H

#include <stdbool.h>

#include "pyretain.h"

/* The terminal, or what stands in its place: front_terminal.c */
struct pyr_front {
	struct pyr_sink sink;
	bool progress_shown;    /* a progress line stands on standard error */
	uint64_t command_began; /* ns */
};

void pyr_front_init(struct pyr_front *front);
/* Width and colours may have changed since the last command. */
void pyr_front_begin(struct pyr_front *front);
/* Remove the progress line. */
void pyr_front_end(struct pyr_front *front);

/* Commands from standard input until it ends: with line editing on a terminal,
 * one command a line otherwise. Answers the exit status. front_shell.c */
int pyr_front_shell(pyr_session *session, struct pyr_front *front);

#endif
