#define _GNU_SOURCE
#include "target/compressed.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "target/byte_size.h"
#include "target/elf_file.h"

#define OUT_SIZE (1024u * 1024)
#define IN_SIZE (1024u * 1024)
#define LZ4_MAGIC 0x184d2204u
#define HOLE 4096u /* zero blocks of this size become holes */
/* Kernel and gdb write a core's program headers at its very start; more of
 * them than fit here is not looked at (the limit on expansion is then off). */
#define HEADERS_MAX (64u * 1024 * 1024)

/* What a decoder did with one call. */
enum step {
	STEP_MORE,  /* consumed or produced something */
	STEP_FRAME, /* a frame (member) is complete; another may follow */
	STEP_BAD,   /* the input is damaged */
};

/* One decoder behind one call: from *@in (at @in_size bytes) to *@out; both
 * sizes come back as what was consumed and produced. */
struct decoder {
	enum pyr_compression kind;
	ZSTD_DStream *zstd;
	LZ4F_dctx *lz4;
	z_stream gzip;
	bool gzip_ready;
};

struct expansion {
	struct pyr_control *control;
	const struct pyr_target_options *options;
	int fd;
	const char *directory;
	uint64_t written;
	uint64_t limit; /* nothing of use behind it; 0: not known yet */
	bool checked;   /* the first bytes are ELF and there is room for the rest */
};

enum pyr_compression pyr_compression_of(const uint8_t *bytes, size_t size)
{
	uint32_t magic, skip;
	size_t at = 0;

	/* Skippable frames are common to zstd and lz4; pzstd begins with one. */
	while (size - at >= 8) {
		memcpy(&magic, bytes + at, sizeof(magic));
		if ((magic & ZSTD_MAGIC_SKIPPABLE_MASK) != ZSTD_MAGIC_SKIPPABLE_START)
			break;
		memcpy(&skip, bytes + at + 4, sizeof(skip));
		at += 8;
		at = skip > size - at ? size : at + skip;
	}
	if (size - at < sizeof(magic))
		return PYR_COMPRESSION_NONE;
	memcpy(&magic, bytes + at, sizeof(magic));
	if (magic == ZSTD_MAGICNUMBER)
		return PYR_COMPRESSION_ZSTD;
	if (magic == LZ4_MAGIC)
		return PYR_COMPRESSION_LZ4;
	if (bytes[0] == 0x1f && bytes[1] == 0x8b && bytes[2] == Z_DEFLATED)
		return PYR_COMPRESSION_GZIP;
	return PYR_COMPRESSION_NONE;
}

const char *pyr_compression_name(enum pyr_compression compression)
{
	static const char *const names[] = {"plain", "zstd", "lz4", "gzip"};

	return names[compression];
}

static bool decoder_init(struct decoder *d, enum pyr_compression kind)
{
	memset(d, 0, sizeof(*d));
	d->kind = kind;
	switch (kind) {
	case PYR_COMPRESSION_ZSTD:
		/* --long=31 archives decode too. */
		return (d->zstd = ZSTD_createDStream()) &&
		       !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax, 31));
	case PYR_COMPRESSION_LZ4:
		return !LZ4F_isError(LZ4F_createDecompressionContext(&d->lz4, LZ4F_VERSION));
	case PYR_COMPRESSION_GZIP:
		d->gzip_ready = inflateInit2(&d->gzip, 15 + 16) == Z_OK;
		return d->gzip_ready;
	default:
		return false;
	}
}

static void decoder_deinit(struct decoder *d)
{
	ZSTD_freeDStream(d->zstd);
	LZ4F_freeDecompressionContext(d->lz4);
	if (d->gzip_ready)
		inflateEnd(&d->gzip);
}

static enum step decode(struct decoder *d, const uint8_t *in, size_t *in_size, uint8_t *out,
			size_t *out_size)
{
	ZSTD_inBuffer zin = {.src = in, .size = *in_size};
	ZSTD_outBuffer zout = {.dst = out, .size = *out_size};
	size_t n;
	int status;

	switch (d->kind) {
	case PYR_COMPRESSION_ZSTD:
		n = ZSTD_decompressStream(d->zstd, &zout, &zin);
		*in_size = zin.pos;
		*out_size = zout.pos;
		return ZSTD_isError(n) ? STEP_BAD : n ? STEP_MORE : STEP_FRAME;
	case PYR_COMPRESSION_LZ4:
		n = LZ4F_decompress(d->lz4, out, out_size, in, in_size, NULL);
		if (LZ4F_isError(n)) {
			*in_size = *out_size = 0;
			return STEP_BAD;
		}
		return n ? STEP_MORE : STEP_FRAME;
	default:
		d->gzip.next_in = (Bytef *)in;
		d->gzip.avail_in = (uInt)*in_size;
		d->gzip.next_out = out;
		d->gzip.avail_out = (uInt)*out_size;
		status = inflate(&d->gzip, Z_NO_FLUSH);
		*in_size -= d->gzip.avail_in;
		*out_size -= d->gzip.avail_out;
		if (status == Z_STREAM_END)
			return inflateReset(&d->gzip) == Z_OK ? STEP_FRAME : STEP_BAD;
		return status == Z_OK || status == Z_BUF_ERROR ? STEP_MORE : STEP_BAD;
	}
}

static pyr_error *no_space(const char *why)
{
	return pyr_error_create(PYR_E_NO_SPACE,
				"%s; name a directory with room on a disk with --tmpdir (or in "
				"TMPDIR), or expand the core yourself",
				why);
}

static pyr_error *open_temporary(struct expansion *e)
{
	struct statfs fs;
	char *path;
	int saved;

	e->directory = e->options->tmpdir;
	if (!e->directory || !*e->directory)
		e->directory = getenv("TMPDIR");
	if (!e->directory || !*e->directory)
		e->directory = "/var/tmp";
	if (statfs(e->directory, &fs))
		return pyr_error_create(PYR_E_NO_SPACE,
					"no directory for the expanded core: %s: %s; name one with "
					"--tmpdir",
					e->directory, strerror(errno));
	if (!e->options->force && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC))
		return pyr_error_create(PYR_E_NO_SPACE,
					"%s lies in memory (tmpfs), and the core would be expanded "
					"into it; name a directory on a disk with --tmpdir (or in "
					"TMPDIR), or say --force",
					e->directory);
	e->fd = open(e->directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (e->fd >= 0)
		return NULL;
	/* File systems without O_TMPFILE (NFS, older overlayfs). */
	if (asprintf(&path, "%s/pyretain-XXXXXX", e->directory) < 0)
		return pyr_error_no_memory();
	e->fd = mkostemp(path, O_CLOEXEC);
	saved = errno;
	if (e->fd >= 0)
		unlink(path);
	free(path);
	if (e->fd >= 0)
		return NULL;
	return pyr_error_create(saved == ENOSPC || saved == EDQUOT ? PYR_E_NO_SPACE
								   : PYR_E_NO_PERMISSION,
				"cannot make a file for the expanded core in %s: %s; name another "
				"directory with --tmpdir",
				e->directory, strerror(saved));
}

static bool is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && !memcmp(p, p + 1, n - 1);
}

static pyr_error *write_all(struct expansion *e, const uint8_t *bytes, size_t size, uint64_t at)
{
	struct pyr_byte_size done;
	pyr_error *err;
	char *why;
	ssize_t n;

	while (size) {
		n = pwrite(e->fd, bytes, size, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			int code = n ? errno : ENOSPC;

			if (code != ENOSPC && code != EDQUOT && code != EFBIG)
				return pyr_error_create(PYR_E_NO_SPACE,
							"writing the expanded core in %s: %s",
							e->directory, strerror(code));
			done = pyr_byte_size(e->written);
			if (asprintf(&why, "%s is full after %s of the expanded core", e->directory,
				     done.text) < 0)
				return pyr_error_no_memory();
			err = no_space(why);
			free(why);
			return err;
		}
		bytes += n;
		at += (uint64_t)n;
		size -= (size_t)n;
	}
	return NULL;
}

/* Write what is not zero; the caller sets the length at the end. */
static pyr_error *write_sparse(struct expansion *e, const uint8_t *bytes, size_t size)
{
	size_t at = 0, run, n;
	pyr_error *err;

	while (at < size) {
		for (run = at; run < size; run += n) {
			n = HOLE - (size_t)((e->written + run) % HOLE);
			n = n < size - run ? n : size - run;
			if (is_zero(bytes + run, n))
				break;
		}
		if (run > at && (err = write_all(e, bytes + at, run - at, e->written + at)))
			return err;
		for (at = run; at < size; at += n) {
			n = HOLE - (size_t)((e->written + at) % HOLE);
			n = n < size - at ? n : size - at;
			if (!is_zero(bytes + at, n))
				break;
		}
	}
	e->written += size;
	return NULL;
}

/* Where the last byte of use ends, by the core's own headers, as soon as all
 * of those are written; 0 before. */
static uint64_t useful_end(struct expansion *e)
{
	uint64_t end = 0, headers;
	struct pyr_elf elf;
	pyr_error *err;
	Elf64_Phdr p;
	size_t i;
	void *map;

	headers = e->written < HEADERS_MAX ? e->written : HEADERS_MAX;
	/* A file that ends before the map does faults; so make it long enough. */
	if (ftruncate(e->fd, (off_t)e->written))
		return 0;
	map = mmap(NULL, headers, PROT_READ, MAP_PRIVATE, e->fd, 0);
	if (map == MAP_FAILED)
		return 0;
	err = pyr_elf_open(map, headers, &elf);
	if (!err && elf.segment_count == elf.segments_named && elf.segment_count) {
		for (i = 0; pyr_elf_segment(&elf, i, &p); i++) {
			if (p.p_offset > UINT64_MAX - p.p_filesz)
				continue;
			if (p.p_offset + p.p_filesz > end)
				end = p.p_offset + p.p_filesz;
		}
		/* The true number of segments is in a section header at the end. */
		if (elf.header.e_phnum == PN_XNUM)
			end = elf.header.e_shoff + sizeof(Elf64_Shdr) > end
				      ? elf.header.e_shoff + sizeof(Elf64_Shdr)
				      : end;
	}
	pyr_error_destroy(err);
	munmap(map, headers);
	return end;
}

static pyr_error *check_room(struct expansion *e)
{
	struct pyr_byte_size need, have;
	struct statvfs vfs;
	uint64_t room;
	pyr_error *err;
	char *why;

	if (e->options->force || fstatvfs(e->fd, &vfs))
		return NULL;
	room = (uint64_t)vfs.f_bavail * vfs.f_frsize + e->written;
	if (e->limit <= room)
		return NULL;
	need = pyr_byte_size(e->limit);
	have = pyr_byte_size(room);
	if (asprintf(&why, "the core expands to %s and %s has room for %s", need.text, e->directory,
		     have.text) < 0)
		return pyr_error_no_memory();
	err = no_space(why);
	free(why);
	return err;
}

static pyr_error *check_headers(struct expansion *e, const uint8_t *first, size_t size)
{
	if (!e->written && (size < SELFMAG || memcmp(first, ELFMAG, SELFMAG)))
		return pyr_error_create(PYR_E_BAD_FILE,
					"compressed, but what comes out is not an ELF core");
	return NULL;
}

static pyr_error *take(struct expansion *e, const uint8_t *bytes, size_t size)
{
	pyr_error *err;

	if ((err = check_headers(e, bytes, size)))
		return err;
	if (e->limit && size > e->limit - e->written)
		size = (size_t)(e->limit - e->written);
	if ((err = write_sparse(e, bytes, size)))
		return err;
	if (!e->limit && e->written <= HEADERS_MAX && (e->limit = useful_end(e))) {
		if (e->limit < e->written)
			e->limit = e->written;
		return check_room(e);
	}
	return NULL;
}

static char *cut_text(const char *what, enum pyr_compression kind, uint64_t in, uint64_t out)
{
	struct pyr_byte_size a = pyr_byte_size(in), b = pyr_byte_size(out);
	char *text;

	if (asprintf(&text, "the %s file %s after %s, which expand to %s",
		     pyr_compression_name(kind), what, a.text, b.text) < 0)
		return NULL;
	return text;
}

/* Decode all frames; *cut is set when the input ends or breaks before its end. */
static pyr_error *run(struct expansion *e, struct decoder *d, const uint8_t *bytes, size_t size,
		      uint8_t *out, char **cut)
{
	const char *phase = "expanding the core";
	enum step step = STEP_MORE;
	size_t at = 0, filled = 0, n, m;
	const char *what = NULL;
	pyr_error *err;

	while (!(e->limit && e->written >= e->limit)) {
		n = size - at < IN_SIZE ? size - at : IN_SIZE;
		m = OUT_SIZE - filled;
		/* Between frames padding and foreign trailers are not worth a word. */
		if (step == STEP_FRAME && (!n || (d->kind != PYR_COMPRESSION_ZSTD &&
						  pyr_compression_of(bytes + at, n) != d->kind)))
			break;
		step = decode(d, bytes + at, &n, out + filled, &m);
		at += n;
		filled += m;
		if (step == STEP_BAD)
			what = "is damaged";
		else if (!n && !m && at == size && step == STEP_MORE)
			what = "breaks off";
		else if (!n && !m)
			what = "is damaged";
		if (filled == OUT_SIZE || what) {
			if (filled && (err = take(e, out, filled)))
				return err;
			filled = 0;
			if ((err = pyr_control_progress(e->control, phase, at, size)))
				return err;
		}
		if (what)
			break;
	}
	if (filled && (err = take(e, out, filled)))
		return err;
	if (what && !(e->limit && e->written >= e->limit))
		*cut = cut_text(what, d->kind, at, e->written);
	return NULL;
}

pyr_error *pyr_expand(struct pyr_control *control, enum pyr_compression compression,
		      const uint8_t *bytes, size_t size, const struct pyr_target_options *options,
		      struct pyr_expanded *ret)
{
	struct expansion e = {.control = control, .options = options, .fd = -1};
	uint8_t *out = malloc(OUT_SIZE);
	struct decoder decoder;
	char *cut = NULL;
	pyr_error *err;

	if (!decoder_init(&decoder, compression) || !out) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = open_temporary(&e)) || (err = run(&e, &decoder, bytes, size, out, &cut)))
		goto out;
	if (!e.written) {
		err = pyr_error_create(PYR_E_BAD_FILE, "%s", cut ? cut : "holds nothing");
		goto out;
	}
	if (ftruncate(e.fd, (off_t)e.written)) {
		err = pyr_error_create(PYR_E_NO_SPACE, "writing the expanded core in %s: %s",
				       e.directory, strerror(errno));
		goto out;
	}
	ret->fd = e.fd;
	ret->size = e.written;
	ret->cut = cut;
	snprintf(ret->directory, sizeof(ret->directory), "%s", e.directory);
	e.fd = -1;
	cut = NULL;
out:
	if (e.fd >= 0)
		close(e.fd);
	free(cut);
	decoder_deinit(&decoder);
	free(out);
	return err;
}
