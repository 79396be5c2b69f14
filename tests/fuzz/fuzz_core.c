/* A core file of any bytes: opened, its images and symbols asked for, its
 * memory read; no crash, no hang, no large allocation. For libFuzzer:
 *
 *   clang -fsanitize=fuzzer,address,undefined -Icore -Icore/include -o fuzz_core \
 *       tests/fuzz/fuzz_core.c core/target/<all>.c core/base/<all>.c -lzstd -llz4 -lz
 *
 * `make check` runs it from tests/unit/test_fuzz_core.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "target/image.h"
#include "target/reader.h"
#include "target/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void look_around(struct pyr_target *target)
{
	struct pyr_reader r;
	const char *text;
	uint64_t v, size;
	pyr_addr ranges[8][2];
	uint32_t crc;
	size_t i;

	pyr_reader_init(&r, target);
	for (i = 0; i < target->segments.count; i++) {
		const struct pyr_segment *s = &target->segments.data[i];

		/* The first and the last byte of every segment are ours to read. */
		if (s->start >= s->end || !pyr_peek(&r, s->start, 1) ||
		    !pyr_peek(&r, s->end - 1, 1))
			abort();
		if (i && s->start < s[-1].end)
			abort();
		v = s->bytes[0] + s->bytes[s->end - s->start - 1];
		pyr_try_u64(&r, s->end - 4, &v);
	}
	for (i = 0; i < target->mappings.count; i++)
		pyr_target_mapping_at(target, target->mappings.data[i].start);
	for (i = 0; i < target->image_count && i < 64; i++) {
		const struct pyr_image *image = &target->images[i];

		pyr_target_image_at(target, image->start);
		pyr_image_symbol(target, image, "_PyRuntime", &v, &size);
		pyr_image_symbol_at(target, image, image->start + 64, &text, &v);
		pyr_image_section(target, image, ".data", &v, &size);
		pyr_image_debuglink(image, &text, &crc);
		pyr_image_writable(target, image, ranges, 8);
	}
	pyr_reader_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct pyr_target_options options = {.force = true};
	struct pyr_target *target = NULL;
	struct pyr_control control;
	char path[64];
	pyr_error *err;
	int fd;

	fd = memfd_create("fuzz", 0);
	if (fd < 0)
		return 0;
	if (size && write(fd, bytes, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pyr_control_init(&control);
	err = pyr_target_open_core(&control, path, &options, &target);
	if (err) {
		if (target || !err->message || !*err->message)
			abort();
		pyr_error_destroy(err);
	} else {
		look_around(target);
		pyr_target_destroy(target);
	}
	pyr_control_deinit(&control);
	close(fd);
	return 0;
}
