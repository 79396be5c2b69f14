#define _GNU_SOURCE
#include "cli/front.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#define HISTORY_LINES 1000

static const struct {
	const char *name, *help;
} shell_commands[] = {
#define SHELL(name, help) {#name, help},
#include "cli/shell.def"
#undef SHELL
};
#define SHELL_COMMANDS (sizeof(shell_commands) / sizeof(shell_commands[0]))

enum { RUN_QUIT = -1 };

/* Is the first word of @line @word, alone? */
static bool is_word(const char *line, const char *word)
{
	size_t length = strlen(word);

	line += strspn(line, " \t");
	return !strncmp(line, word, length) &&
	       line[length + strspn(line + length, " \t\r\n")] == '\0';
}

static int run_line(pyr_session *session, struct pyr_front *front, const char *line)
{
	size_t i;
	int status;

	line += strspn(line, " \t\r\n");
	if (!*line || *line == '#')
		return 0;
	if (is_word(line, "quit") || is_word(line, "exit"))
		return RUN_QUIT;
	if (is_word(line, "refresh")) {
		pyr_session_invalidate(session);
		return 0;
	}
	pyr_front_begin(front);
	status = pyr_run_line(session, line, &front->sink);
	if (is_word(line, "help")) {
		printf("\nThe shell itself\n");
		for (i = 0; i < SHELL_COMMANDS; i++)
			printf("  %-23s %s\n", shell_commands[i].name, shell_commands[i].help);
		fflush(stdout);
	}
	pyr_front_end(front);
	return status;
}

/* --- a script: one command a line, the worst status answered --- */

static int run_script(pyr_session *session, struct pyr_front *front)
{
	char *line = NULL;
	size_t capacity = 0;
	int status, worst = 0;

	while (getline(&line, &capacity, stdin) >= 0) {
		status = run_line(session, front, line);
		if (status == RUN_QUIT)
			break;
		if (status > worst)
			worst = status;
	}
	free(line);
	return worst;
}

/* --- a terminal --- */

static void make_parents(char *path)
{
	char *slash;

	for (slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
}

/* $XDG_STATE_HOME/pyretain/history, by default under ~/.local/state; NULL: nowhere. */
static char *history_path(void)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char *path = NULL;

	if (state && state[0] == '/') {
		if (asprintf(&path, "%s/pyretain/history", state) < 0)
			return NULL;
	} else if (home && home[0] == '/') {
		if (asprintf(&path, "%s/.local/state/pyretain/history", home) < 0)
			return NULL;
	}
	if (path)
		make_parents(path);
	return path;
}

static char *prompt(EditLine *edit)
{
	static char text[] = "pyretain> ";

	(void)edit;
	return text;
}

struct shell {
	pyr_session *session;
	struct pyr_front *front;
	/* of the completion at work */
	char **words;
	size_t count;
};

static void add_word(void *ctx, const char *word)
{
	struct shell *shell = ctx;
	char **grown = realloc(shell->words, (shell->count + 1) * sizeof(*grown));

	if (!grown)
		return;
	shell->words = grown;
	grown[shell->count] = strdup(word);
	if (grown[shell->count])
		shell->count++;
}

static void list_words(const struct shell *shell)
{
	size_t i, widest = 0, columns, length;

	for (i = 0; i < shell->count; i++) {
		length = strlen(shell->words[i]);
		widest = length > widest ? length : widest;
	}
	columns = (size_t)shell->front->sink.width / (widest + 2);
	columns = columns ? columns : 1;
	printf("\n");
	for (i = 0; i < shell->count; i++)
		printf("%-*s%s", (int)widest + 2, shell->words[i],
		       (i + 1) % columns == 0 || i + 1 == shell->count ? "\n" : "");
	fflush(stdout);
}

/* Tab: complete the word as far as all candidates agree, else list them. */
static unsigned char complete(EditLine *edit, int key)
{
	const LineInfo *info = el_line(edit);
	struct shell *shell;
	char *line, *common;
	size_t i, typed, length;
	unsigned char ret = CC_ERROR;

	(void)key;
	if (el_get(edit, EL_CLIENTDATA, &shell) != 0)
		return CC_ERROR;
	line = strndup(info->buffer, (size_t)(info->cursor - info->buffer));
	if (!line)
		return CC_ERROR;
	shell->words = NULL;
	shell->count = 0;
	pyr_complete(shell->session, line, add_word, shell);
	if (!strpbrk(line, " \t"))
		for (i = 0; i < SHELL_COMMANDS; i++)
			if (!strncmp(shell_commands[i].name, line, strlen(line)))
				add_word(shell, shell_commands[i].name);
	for (typed = 0; typed < strlen(line) && !strchr(" \t", line[strlen(line) - typed - 1]);)
		typed++;
	if (shell->count) {
		common = shell->words[0];
		length = strlen(common);
		for (i = 1; i < shell->count; i++) {
			size_t same = 0;

			while (same < length && shell->words[i][same] == common[same])
				same++;
			length = same;
		}
		if (length > typed) {
			common = strndup(common + typed, length - typed);
			if (common && el_insertstr(edit, common) == 0)
				ret = CC_REFRESH;
			free(common);
			if (shell->count == 1 &&
			    shell->words[0][strlen(shell->words[0]) - 1] != '=')
				el_insertstr(edit, " ");
		} else if (shell->count == 1) {
			el_insertstr(edit, " ");
			ret = CC_REFRESH;
		} else {
			list_words(shell);
			ret = CC_REDISPLAY;
		}
	}
	for (i = 0; i < shell->count; i++)
		free(shell->words[i]);
	free(shell->words);
	free(line);
	return ret;
}

static void on_sigint(int number)
{
	(void)number; /* it interrupts the read of the line */
}

/* Read without waiting: a Ctrl-C throws away what was typed before it, so that nothing
 * may be left of what ppoll() saw. */
static ssize_t read_now(char *byte)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL), error;
	ssize_t n;

	fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK);
	n = read(STDIN_FILENO, byte, 1);
	error = errno;
	fcntl(STDIN_FILENO, F_SETFL, flags);
	errno = error;
	return n;
}

/* One character from the terminal. SIGINT is blocked but for the wait, so that a
 * Ctrl-C between two characters is not lost. */
static int get_character(EditLine *edit, wchar_t *ret)
{
	struct pollfd ready = {.fd = STDIN_FILENO, .events = POLLIN};
	mbstate_t state = {0};
	sigset_t open;
	size_t length;
	ssize_t got;
	char byte;

	(void)edit;
	pthread_sigmask(SIG_SETMASK, NULL, &open);
	sigdelset(&open, SIGINT);
	for (;;) {
		if (ppoll(&ready, 1, NULL, &open) < 0)
			return -1; /* EINTR: Ctrl-C */
		if (ready.revents & (POLLHUP | POLLERR) && !(ready.revents & POLLIN))
			return 0;
		got = read_now(&byte);
		if (got < 0 && errno == EAGAIN)
			continue;
		if (got <= 0)
			return (int)got;
		length = mbrtowc(ret, &byte, 1, &state);
		if (length == (size_t)-1) { /* not in this locale: taken as it is */
			*ret = (unsigned char)byte;
			return 1;
		}
		if (length != (size_t)-2)
			return 1;
	}
}

static int run_terminal(pyr_session *session, struct pyr_front *front)
{
	struct shell shell = {.session = session, .front = front};
	struct sigaction action = {.sa_handler = on_sigint};
	sigset_t interrupt;
	char *path = history_path();
	History *past = history_init();
	HistEvent event;
	EditLine *edit;
	const char *line;
	int count, status = 0;
	bool interrupted;

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	edit = el_init("pyretain", stdin, stdout, stderr);
	if (!edit || !past) {
		free(path);
		return run_script(session, front);
	}
	history(past, &event, H_SETSIZE, HISTORY_LINES);
	history(past, &event, H_SETUNIQUE, 1);
	if (path)
		history(past, &event, H_LOAD, path);
	el_set(edit, EL_CLIENTDATA, &shell);
	el_set(edit, EL_PROMPT, prompt);
	el_set(edit, EL_EDITOR, "emacs");
	el_set(edit, EL_HIST, history, past);
	el_set(edit, EL_ADDFN, "pyretain-complete", "complete the word", complete);
	el_set(edit, EL_BIND, "^I", "pyretain-complete", NULL);
	el_set(edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_set(edit, EL_GETCFN, get_character);
	el_source(edit, NULL); /* ~/.editrc */
	printf("pyretain %s: `help` lists the commands, Ctrl-D leaves.\n", pyr_version());
	for (;;) {
		fflush(stdout);
		/* before the prompt, not after it: a key pressed in between would be lost */
		el_set(edit, EL_PREP_TERM, 1);
		pthread_sigmask(SIG_BLOCK, &interrupt, NULL);
		errno = 0;
		line = el_gets(edit, &count);
		interrupted = !line && count == -1 && errno == EINTR;
		pthread_sigmask(SIG_UNBLOCK, &interrupt, NULL);
		if (interrupted) { /* Ctrl-C: begin the line anew */
			printf("^C\n");
			el_reset(edit);
			continue;
		}
		if (!line || count <= 0) {
			printf("\n");
			break;
		}
		if (line[strspn(line, " \t\r\n")])
			history(past, &event, H_ENTER, line);
		status = run_line(session, front, line);
		if (status == RUN_QUIT)
			break;
	}
	if (path)
		history(past, &event, H_SAVE, path);
	history_end(past);
	el_end(edit);
	free(path);
	return 0;
}

int pyr_front_shell(pyr_session *session, struct pyr_front *front)
{
	if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO)) {
		setlocale(LC_CTYPE, "");
		return run_terminal(session, front);
	}
	return run_script(session, front);
}
