#define _GNU_SOURCE
#include "cli/front.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Quick answers need no progress. */
#define PROGRESS_AFTER_NS UINT64_C(500000000)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pyr_front_end(struct pyr_front *front)
{
	static const char erase[] = "\r\033[K";

	if (front->progress_shown && write(STDERR_FILENO, erase, sizeof(erase) - 1) < 0)
		return; /* a terminal that is gone: nothing to erase */
	front->progress_shown = false;
}

static void write_all(int fd, const char *text, size_t length)
{
	struct pollfd ready = {.fd = fd, .events = POLLOUT};
	ssize_t n;

	while (length) {
		n = write(fd, text, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			poll(&ready, 1, -1);
			continue;
		}
		if (n < 0)
			_exit(errno == EPIPE ? 141 : 1);
		text += n;
		length -= (size_t)n;
	}
}

static void front_write(void *ctx, int stream, const char *text, size_t length)
{
	pyr_front_end(ctx);
	write_all(stream == 2 ? STDERR_FILENO : STDOUT_FILENO, text, length);
}

static int front_progress(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	struct pyr_front *front = ctx;
	char line[160];
	int length, room = front->sink.width > 1 ? front->sink.width - 1 : 79;

	if (now_ns() - front->command_began < PROGRESS_AFTER_NS)
		return 0;
	if (total)
		length = snprintf(line, sizeof(line), "%s … %" PRIu64 " %%", phase,
				  (uint64_t)(100.0 * (double)done / (double)total));
	else
		length = snprintf(line, sizeof(line), "%s …", phase);
	if (length > (int)sizeof(line) - 1)
		length = sizeof(line) - 1;
	if (length > room)
		length = room;
	pyr_front_end(front);
	write_all(STDERR_FILENO, line, (size_t)length);
	front->progress_shown = true;
	return 0;
}

static bool wants_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && no_color[0]) && term && strcmp(term, "dumb");
}

void pyr_front_begin(struct pyr_front *front)
{
	struct winsize size;

	front->command_began = now_ns();
	front->sink.width = 0;
	if (isatty(STDOUT_FILENO)) {
		front->sink.width = 80;
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
			front->sink.width = size.ws_col;
	}
	front->sink.color = wants_color();
}

void pyr_front_init(struct pyr_front *front)
{
	memset(front, 0, sizeof(*front));
	front->sink.ctx = front;
	front->sink.write = front_write;
	front->sink.progress = isatty(STDERR_FILENO) ? front_progress : NULL;
	front->sink.catch_sigint = 1;
	pyr_front_begin(front);
}
