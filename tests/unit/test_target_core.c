/* Core files: what is there, what is not, and what is wrong with them. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core_builder.h"
#include "random.h"
#include "target/compressed.h"
#include "target/reader.h"
#include "target/target.h"

#define PAGE 4096u
#define TMPFS 0x01021994

static char directory[] = "/var/tmp/pyretain-unit-XXXXXX";
static char path[sizeof(directory) + 16];
static struct pyr_control control;
static const struct pyr_target_options plain;

static int make_directory(void **state)
{
	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof(path), "%s/core", directory);
	pyr_control_init(&control);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	pyr_control_deinit(&control);
	unlink(path);
	return rmdir(directory);
}

static struct pyr_target *open_ok(void)
{
	struct pyr_target *target = NULL;
	pyr_error *err = pyr_target_open_core(&control, path, &plain, &target);

	if (err)
		fail_msg("%s", err->message);
	return target;
}

static void write_file(const void *bytes, size_t size)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

/* Opening fails with @code and a message that contains @words and the path. */
static void open_fails(enum pyr_error_code code, const char *words)
{
	struct pyr_target *target = (void *)-1;
	pyr_error *err = pyr_target_open_core(&control, path, &plain, &target);

	assert_non_null(err);
	assert_ptr_equal(target, (void *)-1);
	if (err->code != code || !strstr(err->message, words) || !strstr(err->message, path))
		fail_msg("%s: %s", pyr_error_code_name(err->code), err->message);
	pyr_error_destroy(err);
}

static const char *incomplete(const struct pyr_target *target, const char *words)
{
	size_t i;

	for (i = 0; i < target->incomplete.count; i++)
		if (strstr(target->incomplete.data[i], words))
			return target->incomplete.data[i];
	return NULL;
}

static bool diagnosed(const char *words)
{
	size_t i;

	for (i = 0; i < control.diagnostic_count; i++)
		if (strstr(control.diagnostics[i].message, words))
			return true;
	return false;
}

static void not_cores(void **state)
{
	Elf64_Ehdr h = {.e_type = ET_CORE, .e_machine = EM_X86_64};
	static const struct {
		const char *bytes, *words;
	} others[] = {
		{"\xfd"
		 "7zXZ and more",
		 "xz -dk"},
		{"BZh91AY", "bzip2 -dk"},
		{"MDMPxxxx", "minidump"},
		{"#!/bin/sh\n", "a script"},
		{"hello, world", "not an ELF file"},
		{"\177EL", "not an ELF file"},
	};
	size_t i;

	(void)state;
	unlink(path);
	open_fails(PYR_E_BAD_FILE, "No such file");
	write_file("", 0);
	open_fails(PYR_E_BAD_FILE, "an empty file");
	for (i = 0; i < sizeof(others) / sizeof(*others); i++) {
		write_file(others[i].bytes, strlen(others[i].bytes));
		open_fails(PYR_E_BAD_FILE, others[i].words);
	}
	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	write_file(&h, 40);
	open_fails(PYR_E_BAD_FILE, "only 40 bytes");
	write_file(&h, sizeof(h));
	open_fails(PYR_E_BAD_FILE, "without program headers");
	h.e_phnum = 3;
	h.e_phoff = sizeof(h);
	h.e_phentsize = sizeof(Elf64_Phdr);
	write_file(&h, sizeof(h));
	open_fails(PYR_E_BAD_FILE, "breaks off before its program headers");
	h.e_phentsize = 32;
	write_file(&h, sizeof(h));
	open_fails(PYR_E_BAD_FILE, "damaged");
	h.e_type = ET_DYN;
	h.e_phentsize = sizeof(Elf64_Phdr);
	write_file(&h, sizeof(h));
	open_fails(PYR_E_BAD_FILE, "an executable or shared library");
	h.e_machine = EM_RISCV;
	write_file(&h, sizeof(h));
	open_fails(PYR_E_UNSUPPORTED_BUILD, "riscv");
	h.e_machine = EM_386;
	h.e_ident[EI_CLASS] = ELFCLASS32;
	write_file(&h, sizeof(h));
	open_fails(PYR_E_UNSUPPORTED_BUILD, "32-bit ELF file (i386)");
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2MSB;
	h.e_machine = (Elf64_Half)(EM_S390 << 8);
	write_file(&h, sizeof(h));
	open_fails(PYR_E_UNSUPPORTED_BUILD, "big-endian ELF file (s390)");
}

static void not_regular_files(void **state)
{
	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	open_fails(PYR_E_BAD_FILE, "not a regular file"); /* and does not wait */
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	open_fails(PYR_E_BAD_FILE, "a directory");
	rmdir(path);
}

/* What the dump does not hold is absent, and never reads as zeros. */
static void tails_are_absent(void **state)
{
	static uint8_t bytes[2 * PAGE];
	struct pyr_target *target;
	struct core_builder b;
	struct pyr_reader r;
	uint64_t v;

	(void)state;
	memset(bytes, 0xab, sizeof(bytes));
	core_builder_init(&b);
	core_builder_segment(&b, 0x10000, 4 * PAGE, PF_R | PF_W, bytes, 2 * PAGE);
	core_builder_segment(&b, 0x20000, 2 * PAGE, PF_R | PF_X, NULL, 0);
	core_builder_segment(&b, 0x30000, PAGE, PF_R, bytes, 2 * PAGE); /* more than memsz */
	core_builder_thread(&b, 7, 0x1000);
	core_builder_finish(&b);
	core_builder_write(&b, path, SIZE_MAX);
	target = open_ok();
	pyr_reader_init(&r, target);
	assert_true(pyr_try_u64(&r, 0x11ff8, &v));
	assert_int_equal(v, 0xabababababababab);
	assert_false(pyr_try_u64(&r, 0x11ff9, &v));
	assert_false(pyr_try_u64(&r, 0x12000, &v));
	assert_false(pyr_try_u64(&r, 0x20000, &v));
	assert_true(pyr_try_u64(&r, 0x30ff8, &v));
	assert_false(pyr_try_u64(&r, 0x31000, &v));
	assert_int_equal(target->mappings.count, 3);
	assert_int_equal(target->mappings.data[0].present, 2 * PAGE);
	assert_true(target->mappings.data[0].write && !target->mappings.data[0].exec);
	assert_false(target->mappings.data[0].cut);
	assert_int_equal(target->mappings.data[1].present, 0);
	assert_true(target->mappings.data[1].exec);
	assert_int_equal(target->incomplete.count, 0);
	assert_true(pyr_target_concurrent(target));
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);
	core_builder_deinit(&b);
}

static void threads_of(unsigned machine, unsigned nregs, unsigned sp, unsigned pc, uint64_t tls)
{
	static const uint8_t byte[PAGE];
	static const uint64_t auxv[] = {AT_PAGESZ, 65536, AT_RANDOM, 0x10010, AT_NULL, 0, 1, 2};
	char psinfo[136] = {0};
	const uint64_t tpidr = 0xfeed;
	struct pyr_target *target;
	struct core_builder b;
	uint64_t v;

	psinfo[24] = 42;
	strcpy(psinfo + 40, "worker-main");
	strcpy(psinfo + 56, "python3 \x01work.py   ");
	core_builder_init(&b);
	b.machine = machine;
	core_builder_segment(&b, 0x10000, PAGE, PF_R | PF_W, byte, PAGE);
	core_builder_thread(&b, 43, 100);
	core_builder_note(&b, "CORE", NT_PRPSINFO, psinfo, sizeof(psinfo));
	core_builder_auxv(&b, auxv, 4);
	core_builder_thread(&b, 42, 1000);
	core_builder_note(&b, "LINUX", NT_ARM_TLS, &tpidr, 8);
	core_builder_note(&b, "CORE", NT_PRSTATUS, psinfo, 40); /* cut short */
	core_builder_note(&b, "", 0, NULL, 0);
	core_builder_finish(&b);
	core_builder_write(&b, path, SIZE_MAX);
	target = open_ok();
	assert_int_equal(target->machine,
			 machine == EM_AARCH64 ? PYR_MACHINE_AARCH64 : PYR_MACHINE_X86_64);
	assert_int_equal(target->threads.count, 2);
	assert_int_equal(target->threads.data[0].tid, 43);
	assert_string_equal(target->threads.data[0].name, "");
	assert_int_equal(target->threads.data[0].nregs, nregs);
	assert_int_equal(target->threads.data[0].sp, 100 + sp);
	assert_int_equal(target->threads.data[0].pc, 100 + pc);
	assert_int_equal(target->threads.data[1].regs[3], 1003);
	assert_int_equal(target->threads.data[1].tls, tls);
	assert_string_equal(target->threads.data[1].name, "worker-main");
	assert_int_equal(target->pid, 42);
	assert_int_equal(target->signal, 6);
	assert_string_equal(target->command_name, "python3 ?work.py");
	assert_int_equal(target->page_size, 65536);
	assert_true(pyr_target_auxv(target, AT_RANDOM, &v) && v == 0x10010);
	assert_false(pyr_target_auxv(target, 1, &v)); /* behind AT_NULL */
	assert_string_equal(target->mappings.data[0].path, "[stack]");
	assert_true(diagnosed("registers are cut short"));
	pyr_control_clear(&control);
	pyr_target_destroy(target);
	core_builder_deinit(&b);
}

static void threads_of_both_machines(void **state)
{
	(void)state;
	threads_of(EM_X86_64, 27, 19, 16, 1021);
	threads_of(EM_AARCH64, 34, 31, 32, 0xfeed);
}

/* A stack that was not dumped, neither cut off: coredump_filter said so. */
static void stacks_not_dumped(void **state)
{
	static uint8_t bytes[PAGE];
	struct pyr_target *target;
	struct core_builder b;
	size_t filesz;

	(void)state;
	for (filesz = 0; filesz <= PAGE; filesz += PAGE) {
		core_builder_init(&b);
		core_builder_segment(&b, 0x10000, PAGE, PF_R, bytes, PAGE);
		core_builder_segment(&b, 0x20000, PAGE, PF_R | PF_W, bytes, filesz);
		core_builder_thread(&b, 1, 0x20000);
		core_builder_finish(&b);
		core_builder_write(&b, path, SIZE_MAX);
		target = open_ok();
		if (filesz)
			assert_null(incomplete(target, "coredump_filter"));
		else
			assert_non_null(incomplete(target, "coredump_filter"));
		pyr_target_destroy(target);
		core_builder_deinit(&b);
	}
}

/* NT_FILE names parts of PT_LOADs, and mappings that have none. */
static void files_split_mappings(void **state)
{
	static uint8_t bytes[8 * PAGE];
	static const struct core_builder_file files[] = {
		{0x30000, 0x32000, 5, "/dev/zero (deleted)"},
		{0x11000, 0x13000, 1, "/usr/lib/libx.so.1 (deleted)"},
		{0x15000, 0x18000, 0, "/data"},
		{0x50000, 0x50000, 0, "/empty"},
	};
	static const struct {
		pyr_addr start, end;
		uint64_t offset;
		const char *path;
	} want[] = {
		{0x10000, 0x11000, 0, NULL},       {0x11000, 0x13000, PAGE, "/usr/lib/libx.so.1"},
		{0x13000, 0x15000, 0, NULL},       {0x15000, 0x16000, 0, "/data"},
		{0x16000, 0x18000, PAGE, "/data"}, {0x30000, 0x32000, 5 * PAGE, "/dev/zero"},
	};
	struct pyr_target *target;
	struct core_builder b;
	size_t i;

	(void)state;
	core_builder_init(&b);
	core_builder_segment(&b, 0x10000, 6 * PAGE, PF_R | PF_W, bytes, 6 * PAGE);
	core_builder_files(&b, files, 4);
	core_builder_finish(&b);
	core_builder_write(&b, path, SIZE_MAX);
	target = open_ok();
	assert_int_equal(target->mappings.count, 6);
	for (i = 0; i < 6; i++) {
		const struct pyr_mapping *m = &target->mappings.data[i];

		assert_int_equal(m->start, want[i].start);
		assert_int_equal(m->end, want[i].end);
		assert_int_equal(m->file_offset, want[i].offset);
		if (want[i].path)
			assert_string_equal(m->path, want[i].path);
		else
			assert_null(m->path);
		assert_int_equal(m->write, i < 4);
	}
	assert_true(target->mappings.data[1].deleted && !target->mappings.data[1].shared);
	assert_true(target->mappings.data[5].deleted && target->mappings.data[5].shared);
	pyr_target_destroy(target);
	core_builder_deinit(&b);
}

/* More segments than e_phnum can say; also when the section header that has
 * the number is cut off. */
static void extended_numbering(void **state)
{
	const size_t count = 70000;
	struct pyr_target *target;
	struct core_builder b;
	struct pyr_reader r;
	uint64_t value = 1;
	uint32_t v;
	size_t i, cut;

	(void)state;
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0);
	for (i = 0; i < count; i++)
		core_builder_segment(&b, 0x10000 + i * 2 * PAGE, PAGE, PF_R | PF_W, &value, 8);
	core_builder_finish(&b);
	for (cut = 0; cut < 2; cut++) {
		core_builder_write(&b, path, cut ? b.file.count - sizeof(Elf64_Shdr) : SIZE_MAX);
		target = open_ok();
		assert_int_equal(target->mappings.count, count);
		assert_int_equal(target->incomplete.count, 0);
		pyr_reader_init(&r, target);
		for (i = 0; i < count; i += 997) {
			assert_true(pyr_try_u32(&r, 0x10000 + i * 2 * PAGE, &v));
			assert_int_equal(v, 1);
		}
		pyr_reader_deinit(&r);
		pyr_target_destroy(target);
	}
	/* Cut inside the program headers. */
	core_builder_write(&b, path, sizeof(Elf64_Ehdr) + 100 * sizeof(Elf64_Phdr) + 5);
	target = open_ok();
	assert_non_null(incomplete(target, "100 of 70001"));
	assert_int_equal(target->mappings.count, 99);
	pyr_target_destroy(target);
	core_builder_deinit(&b);
}

static void cut_anywhere(void **state)
{
	static uint8_t bytes[4 * PAGE];
	struct pyr_target *target;
	struct core_builder b;
	struct pyr_reader r;
	uint64_t v;
	size_t size;

	(void)state;
	memset(bytes, 0x11, sizeof(bytes));
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0);
	core_builder_segment(&b, 0x10000, PAGE, PF_R | PF_W, bytes, PAGE);
	core_builder_segment(&b, 0x20000, 2 * PAGE, PF_R | PF_W, bytes, 2 * PAGE);
	core_builder_segment(&b, 0x30000, PAGE, PF_R | PF_W, NULL, 0);
	core_builder_finish(&b);
	core_builder_write(&b, path, b.first_data + PAGE + 100);
	target = open_ok();
	assert_non_null(incomplete(target, "of 16.0 KiB; 7.9 KiB of memory in 1 mappings"));
	pyr_reader_init(&r, target);
	assert_true(pyr_try_u64(&r, 0x20000 + 92, &v));
	assert_false(pyr_try_u64(&r, 0x20000 + 93, &v));
	assert_false(target->mappings.data[0].cut);
	assert_true(target->mappings.data[1].cut);
	assert_false(target->mappings.data[2].cut);
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);
	for (size = 1; size < b.file.count; size += size < 1024 ? 1 : 509) {
		pyr_error *err;

		core_builder_write(&b, path, size);
		err = pyr_target_open_core(&control, path, &plain, &target);
		if (!err) {
			assert_true(target->incomplete.count > 0);
			pyr_target_destroy(target);
		} else {
			assert_int_equal(err->code, PYR_E_BAD_FILE);
		}
		pyr_error_destroy(err);
	}
	pyr_control_clear(&control);
	core_builder_deinit(&b);
}

static void absurd_numbers(void **state)
{
	static uint8_t bytes[PAGE];
	struct pyr_target *target;
	struct core_builder b;
	struct pyr_reader r;
	Elf64_Phdr p;
	uint64_t v, huge[8] = {UINT64_MAX / 2, 4096, 1, 2, 3, 4, 5, 6};
	size_t i;

	(void)state;
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0);
	core_builder_note(&b, "CORE", NT_FILE, huge, sizeof(huge));
	core_builder_segment(&b, 0x10000, PAGE, PF_R | PF_W, bytes, PAGE);
	core_builder_segment(&b, UINT64_MAX - 100, PAGE, PF_R, bytes, PAGE); /* wraps */
	core_builder_segment(&b, 0x20000, UINT64_MAX, PF_R, bytes, PAGE);
	core_builder_segment(&b, 0x30000, 0, PF_R, bytes, PAGE);
	core_builder_segment(&b, 0x40000, PAGE, PF_R, NULL, 0);
	core_builder_segment(&b, 0x50000, PAGE, PF_R, NULL, 0);
	core_builder_finish(&b);
	for (i = 5; i < 7; i++) {
		uint8_t *at = b.file.data + sizeof(Elf64_Ehdr) + i * sizeof(p);

		memcpy(&p, at, sizeof(p));
		p.p_offset = i == 5 ? UINT64_MAX - 10 : UINT64_MAX / 4;
		p.p_filesz = UINT64_MAX / 4;
		memcpy(at, &p, sizeof(p));
	}
	core_builder_write(&b, path, SIZE_MAX);
	target = open_ok();
	pyr_reader_init(&r, target);
	assert_true(pyr_try_u64(&r, 0x10000, &v));
	assert_true(pyr_try_u64(&r, UINT64_MAX - 100, &v));
	assert_false(pyr_try_u64(&r, UINT64_MAX - 4, &v));
	assert_true(pyr_try_u64(&r, 0x20000, &v));
	assert_false(pyr_try_u64(&r, 0x50000, &v));
	/* The one that claims everything ends where the next begins. */
	assert_int_equal(target->mappings.data[1].start, 0x20000);
	assert_int_equal(target->mappings.data[1].end, 0x50000);
	assert_true(diagnosed("program header 5 is damaged"));
	assert_true(diagnosed("the list of mapped files is damaged"));
	assert_non_null(incomplete(target, "truncated"));
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);
	pyr_control_clear(&control);
	core_builder_deinit(&b);
}

/* --- compressed --- */

static uint8_t *compress_with(enum pyr_compression kind, const uint8_t *in, size_t size,
			      size_t *ret)
{
	size_t room = size + size / 2 + 100000, n;
	uint8_t *out = malloc(room);
	z_stream z = {0};

	assert_non_null(out);
	switch (kind) {
	case PYR_COMPRESSION_ZSTD:
		n = ZSTD_compress(out, room, in, size, 1);
		assert_false(ZSTD_isError(n));
		break;
	case PYR_COMPRESSION_LZ4:
		n = LZ4F_compressFrame(out, room, in, size, NULL);
		assert_false(LZ4F_isError(n));
		break;
	default:
		assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY),
				 Z_OK);
		z.next_in = (Bytef *)in;
		z.avail_in = (uInt)size;
		z.next_out = out;
		z.avail_out = (uInt)room;
		assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
		n = z.total_out;
		deflateEnd(&z);
	}
	*ret = n;
	return out;
}

/* A core of 8 MiB, half of it noise, a quarter zeros; in two frames. */
static void compressed_kind(enum pyr_compression kind)
{
	const size_t size = 8u << 20, quarter = size / 4;
	uint8_t *bytes = calloc(1, size), *first, *second, *both, *got = malloc(size);
	size_t n1, n2, i, half;
	struct pyr_target *target;
	struct core_builder b;
	struct pyr_reader r;

	for (i = 0; i < 2 * quarter; i++)
		bytes[i] = (uint8_t)random_word();
	memset(bytes + 3 * quarter, 'x', quarter);
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0);
	core_builder_segment(&b, 0x100000, size, PF_R | PF_W, bytes, size);
	core_builder_finish(&b);
	half = b.file.count / 2 + 1234;
	first = compress_with(kind, b.file.data, half, &n1);
	second = compress_with(kind, b.file.data + half, b.file.count - half, &n2);
	both = malloc(n1 + n2);
	memcpy(both, first, n1);
	memcpy(both + n1, second, n2);
	write_file(both, n1 + n2);
	target = open_ok();
	assert_int_equal(target->incomplete.count, 0);
	assert_non_null(strstr(target->description, pyr_compression_name(kind)));
	pyr_reader_init(&r, target);
	assert_null(pyr_read(&r, 0x100000, got, size));
	assert_memory_equal(got, bytes, size);
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);

	/* Without the second frame's end: the first is all there. */
	write_file(both, n1 + n2 / 2);
	target = open_ok();
	assert_non_null(incomplete(target, "breaks off after"));
	assert_non_null(incomplete(target, "truncated"));
	pyr_reader_init(&r, target);
	assert_null(pyr_read(&r, 0x100000, got, half - b.first_data));
	assert_memory_equal(got, bytes, half - b.first_data);
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);

	/* Damaged in the second frame's header. */
	memset(both + n1 + 4, 0xff, 12);
	write_file(both, n1 + n2);
	target = open_ok();
	assert_non_null(incomplete(target, "is damaged after"));
	pyr_target_destroy(target);

	free(first);
	free(second);
	first = compress_with(kind, (const uint8_t *)"just some text, no core", 23, &n1);
	write_file(first, n1);
	open_fails(PYR_E_BAD_FILE, "what comes out is not an ELF core");
	free(first);
	free(both);
	free(bytes);
	free(got);
	core_builder_deinit(&b);
}

static void compressed_cores(void **state)
{
	(void)state;
	compressed_kind(PYR_COMPRESSION_ZSTD);
	compressed_kind(PYR_COMPRESSION_LZ4);
	compressed_kind(PYR_COMPRESSION_GZIP);
}

static bool refuse(void *ctx, const char *phase, uint64_t done, uint64_t total)
{
	(void)phase;
	assert_true(done <= total);
	++*(int *)ctx;
	return false;
}

/* A gigabyte of zeros in a few kilobytes: expanded sparsely; nothing behind
 * the last segment is decoded; progress is told, and can say stop. */
static void bombs_and_brakes(void **state)
{
	struct pyr_target_options options = {.tmpdir = directory};
	const size_t zeros = 64u << 20;
	uint8_t *bytes = calloc(1, zeros), *head, *tail, *bomb;
	size_t n1, n2, at, i;
	struct pyr_expanded expanded;
	struct core_builder b;
	struct stat st;
	pyr_error *err;
	int calls = 0;

	(void)state;
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0);
	core_builder_segment(&b, 0x100000, zeros, PF_R | PF_W, bytes, zeros);
	core_builder_finish(&b);
	head = compress_with(PYR_COMPRESSION_ZSTD, b.file.data, b.file.count, &n1);
	tail = compress_with(PYR_COMPRESSION_ZSTD, bytes, zeros, &n2);
	bomb = malloc(n1 + 1000 * n2);
	memcpy(bomb, head, n1);
	for (at = n1, i = 0; i < 1000; i++, at += n2)
		memcpy(bomb + at, tail, n2);
	err = pyr_expand(&control, PYR_COMPRESSION_ZSTD, bomb, at, &options, &expanded);
	assert_null(err);
	assert_null(expanded.cut);
	assert_int_equal(expanded.size, b.file.count);
	assert_int_equal(fstat(expanded.fd, &st), 0);
	assert_int_equal(st.st_size, b.file.count);
	assert_int_equal(st.st_nlink, 0);
	assert_true((uint64_t)st.st_blocks * 512 < 1u << 20);
	close(expanded.fd);
	control.progress = refuse;
	control.progress_ctx = &calls;
	err = pyr_expand(&control, PYR_COMPRESSION_ZSTD, bomb, at, &options, &expanded);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_INTERRUPTED);
	assert_int_equal(calls, 1);
	pyr_error_destroy(err);
	control.progress = NULL;
	pyr_control_clear(&control);

	options.tmpdir = "/nonexistent/directory";
	err = pyr_expand(&control, PYR_COMPRESSION_ZSTD, bomb, at, &options, &expanded);
	assert_int_equal(err->code, PYR_E_NO_SPACE);
	assert_non_null(strstr(err->message, "--tmpdir"));
	pyr_error_destroy(err);
	free(bytes);
	free(head);
	free(tail);
	free(bomb);
	core_builder_deinit(&b);
}

/* A core that says it is larger than the disk. */
static void no_room(void **state)
{
	struct pyr_target_options options = {.tmpdir = directory};
	static uint8_t bytes[4 << 20];
	struct pyr_expanded expanded;
	struct core_builder b;
	struct statfs fs;
	uint8_t *packed;
	pyr_error *err;
	Elf64_Phdr p;
	size_t n;

	(void)state;
	core_builder_init(&b);
	core_builder_segment(&b, 0x100000, sizeof(bytes), PF_R | PF_W, bytes, sizeof(bytes));
	core_builder_finish(&b);
	memcpy(&p, b.file.data + sizeof(Elf64_Ehdr) + sizeof(p), sizeof(p));
	p.p_filesz = p.p_memsz = (uint64_t)1 << 60;
	memcpy(b.file.data + sizeof(Elf64_Ehdr) + sizeof(p), &p, sizeof(p));
	packed = compress_with(PYR_COMPRESSION_LZ4, b.file.data, b.file.count, &n);
	err = pyr_expand(&control, PYR_COMPRESSION_LZ4, packed, n, &options, &expanded);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_NO_SPACE);
	assert_non_null(strstr(err->message, "1.0 EiB"));
	assert_non_null(strstr(err->message, "--tmpdir"));
	pyr_error_destroy(err);
	options.force = true;
	assert_null(pyr_expand(&control, PYR_COMPRESSION_LZ4, packed, n, &options, &expanded));
	assert_int_equal(expanded.size, b.file.count);
	assert_null(expanded.cut);
	close(expanded.fd);
	options.force = false;
	if (!statfs("/dev/shm", &fs) && fs.f_type == TMPFS) {
		options.tmpdir = "/dev/shm";
		err = pyr_expand(&control, PYR_COMPRESSION_LZ4, packed, n, &options, &expanded);
		assert_non_null(err);
		assert_int_equal(err->code, PYR_E_NO_SPACE);
		assert_non_null(strstr(err->message, "in memory (tmpfs)"));
		pyr_error_destroy(err);
	}
	free(packed);
	core_builder_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_cores),          cmocka_unit_test(not_regular_files),
		cmocka_unit_test(tails_are_absent),   cmocka_unit_test(threads_of_both_machines),
		cmocka_unit_test(stacks_not_dumped),  cmocka_unit_test(files_split_mappings),
		cmocka_unit_test(extended_numbering), cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(absurd_numbers),     cmocka_unit_test(compressed_cores),
		cmocka_unit_test(bombs_and_brakes),   cmocka_unit_test(no_room),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
