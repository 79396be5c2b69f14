/* pyretain: CPython's memory, read from outside and explained.
 *
 * This is the only header a front-end sees. Everything is an opaque session
 * and one call that runs a command line. All functions are for one thread at a
 * time, except pyr_session_interrupt(), which may be called from anywhere.
 * No function prints, exits or changes signal handlers, except that pyr_run()
 * takes SIGINT for its duration when the sink asks for it. */
#ifndef PYRETAIN_H
#define PYRETAIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PYR_API __attribute__((visibility("default")))

typedef struct pyr_session pyr_session;

/* "0.1.0" */
PYR_API const char *pyr_version(void);

/* NULL only when memory ran out. */
PYR_API pyr_session *pyr_session_create(void);
PYR_API void pyr_session_destroy(pyr_session *session);

/* What the next command looks at. Nothing is opened until then, so these only
 * fail (-1) when memory ran out. Setting a source forgets the previous one and
 * all that was known about it. */
PYR_API int pyr_session_use_core(pyr_session *session, const char *path);
PYR_API int pyr_session_use_pid(pyr_session *session, int pid);

/* "exe", "sysroot", "debug-dir", "tmpdir", "no-stop", "max-pause", "force";
 * -1: no such option or a bad value. Takes effect when the source is opened. */
PYR_API int pyr_session_option(pyr_session *session, const char *name, const char *value);

/* --- a debugger as the source --- */

/* Reads through a debugger, on the calling thread only. */
struct pyr_debugger {
	void *ctx;
	/* Copy @len bytes at @addr into @buf. 0: done; 1: not readable; 2: the
	 * user interrupted; 3: the target is gone. Must not throw. */
	int (*read)(void *ctx, uint64_t addr, void *buf, size_t len);
	const char *description; /* "remote target", for messages; copied */
	const char *machine;     /* "x86_64" or "aarch64" */
	int pid;                 /* as the debugger tells; 0: unknown */
	const char *exe;         /* the executable's path as the debugger tells, or NULL */
	const uint8_t *auxv;     /* the auxiliary vector's bytes, or NULL; copied */
	size_t auxv_size;
};

/* The facts are copied; @debugger->read and ->ctx must live as long as the
 * source. Then tell the mappings (optional; without them the images are found
 * through the dynamic linker's list) and the threads. */
PYR_API int pyr_session_use_debugger(pyr_session *session, const struct pyr_debugger *debugger);
/* @flags: "rwxp" as in /proc/PID/maps; @path NULL or "" for anonymous. */
PYR_API int pyr_debugger_add_mapping(pyr_session *session, uint64_t start, uint64_t end,
				     const char *flags, uint64_t file_offset, const char *path);
PYR_API int pyr_debugger_add_thread(pyr_session *session, uint64_t tid, uint64_t tls, uint64_t sp,
				    uint64_t pc, const char *name);
/* The general registers of a thread that was added, for what they hold: x86-64's in the
 * order r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi, aarch64's x0 .. x30. */
PYR_API int pyr_debugger_set_registers(pyr_session *session, uint64_t tid, const uint64_t *values,
				       size_t count);
/* How C frames are named. @frame_at is called while a command runs, on the calling
 * thread, when a word of a C stack is shown: it writes the name of the function whose
 * frame of thread @tid the stack address @addr lies in to @name, NUL-terminated UTF-8 of
 * at most @size bytes, and answers 0; anything else: not known. Must not throw. It must
 * live as long as the source. */
PYR_API int pyr_debugger_name_frames(pyr_session *session,
				     int (*frame_at)(void *ctx, uint64_t tid, uint64_t addr,
						     char *name, size_t size),
				     void *ctx);
/* Offer a faster way to the same bytes: a core file (path) or a process (pid)
 * that is believed to be what the debugger shows. Before it is used the 16
 * AT_RANDOM bytes and a sample of stack words are compared through both
 * routes; if they differ every read goes through the callback. */
PYR_API int pyr_debugger_offer_core(pyr_session *session, const char *path);
PYR_API int pyr_debugger_offer_pid(pyr_session *session, int pid);

/* The debuggee ran: forget memory contents and everything derived from them. */
PYR_API void pyr_session_invalidate(pyr_session *session);

/* --- running a command --- */

struct pyr_sink {
	void *ctx;
	/* @stream 1: output, 2: errors and warnings. UTF-8, in order. */
	void (*write)(void *ctx, int stream, const char *text, size_t length);
	/* Called about ten times a second during long work, on the calling
	 * thread; @total 0: unknown. Nonzero cancels the command. May be NULL. */
	int (*progress)(void *ctx, const char *phase, uint64_t done, uint64_t total);
	int width;        /* columns of the terminal; 0: unlimited */
	int color;        /* nonzero: SGR sequences are welcome */
	int catch_sigint; /* nonzero: Ctrl-C cancels this command */
};

/* Run one command; argv[0] is its name. Answers the exit status: 0 answered,
 * 1 could not answer, 2 wrong usage. */
PYR_API int pyr_run(pyr_session *session, int argc, const char *const *argv,
		    const struct pyr_sink *sink);
/* The same from one line, split like a shell would (quotes, backslash). */
PYR_API int pyr_run_line(pyr_session *session, const char *line, const struct pyr_sink *sink);

/* Cancel the running command. Async-signal-safe, any thread. */
PYR_API void pyr_session_interrupt(pyr_session *session);

/* Addresses of the objects that the last command listed, in order of
 * appearance: for $pyr1, $pyr2, ... */
PYR_API size_t pyr_result_count(const pyr_session *session);
PYR_API uint64_t pyr_result_address(const pyr_session *session, size_t index);

/* --- the table of commands --- */

PYR_API size_t pyr_command_count(void);
PYR_API const char *pyr_command_name(size_t index);    /* "census" */
PYR_API const char *pyr_command_summary(size_t index); /* one line */
/* Bit i set: positional argument i is an address (debuggers evaluate
 * expressions there). An option's value that is one: pyr_option_is_address(). */
PYR_API unsigned pyr_command_address_arguments(const char *command);
PYR_API int pyr_option_is_address(const char *command, const char *option);
/* Does the option take a value? -1: no such option. */
PYR_API int pyr_option_takes_value(const char *command, const char *option);
/* Help as plain text, NULL name: the overview. Valid until the next call; NULL: no such command. */
PYR_API const char *pyr_help(pyr_session *session, const char *command);
/* Completions of the last word of @line (which is what was typed up to the
 * cursor), one call of @add each. */
PYR_API void pyr_complete(pyr_session *session, const char *line,
			  void (*add)(void *ctx, const char *word), void *ctx);

#ifdef __cplusplus
}
#endif
#endif
