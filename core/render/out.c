#define _GNU_SOURCE
#include "render/out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "render/text.h"

#define FLUSH_AT 65536u

void pyr_out_init(struct pyr_out *out, const struct pyr_sink *sink, int stream)
{
	memset(out, 0, sizeof(*out));
	out->sink = sink;
	out->stream = stream;
	out->width = sink->width > 0 ? sink->width : 0;
	out->color = sink->color != 0;
	out->fd = -1;
}

pyr_error *pyr_out_to_file(struct pyr_out *out, const char *path)
{
	bool created = true;
	char *copy;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST) {
		created = false;
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return pyr_error_create(errno == EACCES || errno == EPERM ? PYR_E_NO_PERMISSION
					: errno == ENOSPC                 ? PYR_E_NO_SPACE
									  : PYR_E_BAD_FILE,
					"cannot write %s: %s", path, strerror(errno));
	copy = strdup(path);
	if (!copy) {
		close(fd);
		return pyr_error_no_memory();
	}
	out->fd = fd;
	out->path = copy;
	out->created = created;
	out->width = 0;
	out->color = false;
	return NULL;
}

static void write_file(struct pyr_out *out, const char *bytes, size_t length)
{
	struct stat st;
	ssize_t n;

	if (!out->written && !out->created && fstat(out->fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    ftruncate(out->fd, 0) != 0)
		out->failure = errno;
	out->written = true;
	while (length && !out->failure) {
		n = write(out->fd, bytes, length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			out->failure = errno;
			return;
		}
		bytes += n;
		length -= (size_t)n;
	}
}

static void flush(struct pyr_out *out)
{
	if (out->buffer.length) {
		if (out->fd >= 0)
			write_file(out, out->buffer.data, out->buffer.length);
		else if (out->sink->write)
			out->sink->write(out->sink->ctx, out->stream, out->buffer.data,
					 out->buffer.length);
	}
	if (out->buffer.failed && !out->failure)
		out->failure = ENOMEM;
	pyr_strbuf_clear(&out->buffer);
}

pyr_error *pyr_out_finish(struct pyr_out *out)
{
	flush(out);
	if (out->fd >= 0 && !out->written)
		write_file(out, "", 0);
	if (!out->failure)
		return NULL;
	if (out->failure == ENOMEM)
		return pyr_error_no_memory();
	return pyr_error_create(out->failure == ENOSPC || out->failure == EDQUOT ? PYR_E_NO_SPACE
										 : PYR_E_BAD_FILE,
				"cannot write %s: %s", out->path ? out->path : "the output",
				strerror(out->failure));
}

void pyr_out_deinit(struct pyr_out *out)
{
	flush(out);
	if (out->fd >= 0) {
		close(out->fd);
		if (out->created && !out->written)
			unlink(out->path);
	}
	free(out->path);
	pyr_strbuf_deinit(&out->buffer);
	pyr_strbuf_deinit(&out->scratch);
}

void pyr_out_raw(struct pyr_out *out, const char *bytes, size_t length)
{
	pyr_strbuf_add_bytes(&out->buffer, bytes, length);
	if (out->buffer.length >= FLUSH_AT || out->buffer.failed)
		flush(out);
}

void pyr_out_text(struct pyr_out *out, const char *text)
{
	pyr_text_clean(&out->buffer, text, strlen(text), true);
	if (out->buffer.length >= FLUSH_AT || out->buffer.failed)
		flush(out);
}

static void print(struct pyr_out *out, const char *format, va_list args)
{
	pyr_strbuf_clear(&out->scratch);
	pyr_strbuf_vprintf(&out->scratch, format, args);
	pyr_out_text(out, pyr_strbuf_str(&out->scratch));
}

void pyr_out_printf(struct pyr_out *out, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	print(out, format, args);
	va_end(args);
}

void pyr_out_style(struct pyr_out *out, enum pyr_style style)
{
	static const char *const sgr[] = {
		[PYR_STYLE_PLAIN] = "\033[0m",    [PYR_STYLE_STRONG] = "\033[1m",
		[PYR_STYLE_HEADING] = "\033[4m",  [PYR_STYLE_FAINT] = "\033[2m",
		[PYR_STYLE_WARNING] = "\033[33m", [PYR_STYLE_ERROR] = "\033[31m",
	};

	if (out->color)
		pyr_strbuf_add(&out->buffer, sgr[style]);
}

void pyr_out_styled(struct pyr_out *out, enum pyr_style style, const char *format, ...)
{
	va_list args;

	pyr_out_style(out, style);
	va_start(args, format);
	print(out, format, args);
	va_end(args);
	pyr_out_style(out, PYR_STYLE_PLAIN);
}

void pyr_out_paragraph(struct pyr_out *out, enum pyr_style style, const char *text)
{
	struct pyr_strbuf wrapped = {0};

	pyr_text_wrap(&wrapped, text, out->width > 0 ? (size_t)out->width : 100, 0);
	pyr_out_styled(out, style, "%s", pyr_strbuf_str(&wrapped));
	pyr_strbuf_deinit(&wrapped);
}
