/* Compressed core files are expanded into an unlinked, sparse file. */
#ifndef PYR_TARGET_COMPRESSED_H
#define PYR_TARGET_COMPRESSED_H

#include <stddef.h>
#include <stdint.h>

#include "target/target.h"

enum pyr_compression {
	PYR_COMPRESSION_NONE,
	PYR_COMPRESSION_ZSTD,
	PYR_COMPRESSION_LZ4,
	PYR_COMPRESSION_GZIP
};

/* By the first bytes; the file's name means nothing. */
enum pyr_compression pyr_compression_of(const uint8_t *bytes, size_t size);
const char *pyr_compression_name(enum pyr_compression compression);

struct pyr_expanded {
	int fd; /* the expanded file, unlinked; the caller's to close */
	uint64_t size;
	char directory[256]; /* where it lies, for messages */
	char *cut;           /* why it holds less than it should, or NULL; the caller's */
};

/* Expand the @size bytes of a compressed core under options->tmpdir, else
 * $TMPDIR, else /var/tmp. What was decoded before the input broke off or went
 * bad is kept (ret->cut tells). Bytes behind the last segment that the core's
 * own headers name are not decoded, so a bomb ends there. no_space: the
 * directory is in memory (tmpfs) or has not enough room, in words that say
 * what to try; bad_file: what comes out is no ELF file. */
pyr_error *pyr_expand(struct pyr_control *control, enum pyr_compression compression,
		      const uint8_t *bytes, size_t size, const struct pyr_target_options *options,
		      struct pyr_expanded *ret);

#endif
