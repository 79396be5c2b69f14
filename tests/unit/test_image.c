/* Images of a real process: this test, copied and run as a child that sleeps,
 * and dumped as a kernel would dump it. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "core_builder.h"
#include "mock_target.h"
#include "target/elf_file.h"
#include "target/image.h"
#include "target/reader.h"

uint64_t planted_global[16] = {0x1122334455667788, 2};
static const char planted_text[] = "this text lies in .rodata and is in no dump";
static __attribute__((noinline, used)) int planted_static(int x)
{
	return x * 3 + (int)planted_global[1];
}

static char directory[] = "/var/tmp/pyretain-unit-XXXXXX";
static char exe[sizeof(directory) + 8], path[sizeof(directory) + 8], aside[sizeof(directory) + 8];
static struct pyr_control control;
static struct core_builder core;

/* What the child says of itself. */
static struct {
	uint64_t global, text, function, abort;
} told;

static void child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	told.global = (uint64_t)(uintptr_t)planted_global;
	told.text = (uint64_t)(uintptr_t)planted_text;
	told.function = (uint64_t)(uintptr_t)planted_static;
	told.abort = (uint64_t)(uintptr_t)abort;
	if (write(1, &told, sizeof(told)) != sizeof(told))
		_exit(1);
	for (;;)
		pause();
}

static void copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	char buf[65536];
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			abort();
	close(in);
	close(out);
}

static int make_core(void **state)
{
	int fds[2];
	pid_t pid;

	(void)state;
	if (!mkdtemp(directory))
		return -1;
	snprintf(exe, sizeof(exe), "%s/exe", directory);
	snprintf(path, sizeof(path), "%s/core", directory);
	snprintf(aside, sizeof(aside), "%s/aside", directory);
	copy_file("/proc/self/exe", exe);
	pyr_control_init(&control);
	if (pipe(fds) || (pid = fork()) < 0)
		return -1;
	if (!pid) {
		dup2(fds[1], 1);
		execl(exe, exe, "--child", NULL);
		_exit(1);
	}
	if (read(fds[0], &told, sizeof(told)) != sizeof(told))
		return -1;
	core_builder_from_process(&core, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	close(fds[1]);
	core_builder_write(&core, path, SIZE_MAX);
	return 0;
}

static int remove_core(void **state)
{
	(void)state;
	core_builder_deinit(&core);
	pyr_control_deinit(&control);
	unlink(path);
	unlink(exe);
	unlink(aside);
	return rmdir(directory);
}

static struct pyr_target *open_core(const struct pyr_target_options *options)
{
	struct pyr_target *target = NULL;
	pyr_error *err = pyr_target_open_core(&control, path, options, &target);

	if (err)
		fail_msg("%s", err->message);
	return target;
}

static const struct pyr_image *exe_image(const struct pyr_target *target)
{
	size_t i;

	for (i = 0; i < target->image_count; i++)
		if (target->images[i].is_exe)
			return &target->images[i];
	return NULL;
}

static const struct pyr_image *image_named(const struct pyr_target *target, const char *part)
{
	size_t i;

	for (i = 0; i < target->image_count; i++)
		if (strstr(target->images[i].path, part))
			return &target->images[i];
	return NULL;
}

static bool has_text(struct pyr_target *target)
{
	struct pyr_reader r;
	char *text = NULL;
	pyr_error *err;
	bool same;

	pyr_reader_init(&r, target);
	err = pyr_read_cstring(&r, told.text, 100, &text);
	same = !err && !strcmp(text, planted_text);
	free(text);
	pyr_error_destroy(err);
	pyr_reader_deinit(&r);
	return same;
}

/* Everything a file gives, from a target whose executable was found. */
static void check_exe(struct pyr_target *target)
{
	const struct pyr_image *image = exe_image(target), *libc = image_named(target, "libc.so");
	uint64_t size, offset, v;
	pyr_addr at, ranges[4][2];
	struct pyr_reader r;
	const char *name;
	size_t i, n;
	bool inside = false;

	assert_non_null(image);
	assert_non_null(image->file);
	assert_null(image->why_no_file);
	assert_true(image->build_id_size >= 8);
	assert_ptr_equal(pyr_target_image_at(target, told.global), image);
	assert_ptr_equal(pyr_target_image_at(target, told.function), image);
	assert_null(pyr_target_image_at(target, 16));
	assert_true(pyr_image_symbol(target, image, "planted_global", &at, &size));
	assert_int_equal(at, told.global);
	assert_int_equal(size, sizeof(planted_global));
	assert_true(pyr_image_symbol(target, image, "planted_static", &at, NULL)); /* .symtab */
	assert_int_equal(at, told.function);
	assert_false(pyr_image_symbol(target, image, "no_such_symbol", &at, &size));
	assert_true(pyr_image_symbol_at(target, image, told.global + 8, &name, &offset));
	assert_string_equal(name, "planted_global");
	assert_int_equal(offset, 8);
	assert_true(pyr_image_symbol_at(target, image, told.function + 1, &name, &offset));
	assert_string_equal(name, "planted_static");
	assert_int_equal(offset, 1);
	assert_true(pyr_image_section(target, image, ".data", &at, &size));
	assert_true(told.global >= at && told.global < at + size);
	assert_false(pyr_image_section(target, image, ".no.such.section", &at, &size));
	n = pyr_image_writable(target, image, ranges, 4);
	assert_true(n > 0);
	for (i = 0; i < n; i++)
		inside |= told.global >= ranges[i][0] && told.global < ranges[i][1];
	assert_true(inside);
	pyr_reader_init(&r, target);
	assert_true(pyr_try_u64(&r, told.global, &v)); /* the target's own */
	assert_int_equal(v, 0x1122334455667788);
	pyr_reader_deinit(&r);
	assert_true(has_text(target)); /* the file's */

	assert_non_null(libc);
	assert_non_null(libc->file);
	assert_true(pyr_image_symbol(target, libc, "abort", &at, NULL)); /* .dynsym */
	assert_int_equal(at, told.abort);
}

static void everything_is_here(void **state)
{
	struct pyr_target_options options = {0};
	struct pyr_target *target = open_core(&options);

	(void)state;
	assert_string_equal(target->exe, exe);
	check_exe(target);
	assert_null(image_named(target, "vdso"));
	pyr_target_destroy(target);
}

static void the_file_is_gone(void **state)
{
	struct pyr_target_options options = {0};
	const struct pyr_image *image;
	struct pyr_target *target;
	struct pyr_reader r;
	uint64_t v;
	pyr_addr at;

	(void)state;
	assert_int_equal(rename(exe, aside), 0);
	target = open_core(&options);
	image = exe_image(target);
	assert_non_null(image);
	assert_null(image->file);
	assert_non_null(strstr(image->why_no_file, "not on this machine"));
	assert_true(image->build_id_size >= 8); /* from the dumped first page */
	assert_false(has_text(target));
	assert_false(pyr_image_symbol(target, image, "planted_static", &at, NULL));
	pyr_reader_init(&r, target);
	assert_true(pyr_try_u64(&r, told.global, &v));
	pyr_reader_deinit(&r);
	pyr_target_destroy(target);

	/* -e gives it back ... */
	options.exe = aside;
	target = open_core(&options);
	assert_string_equal(exe_image(target)->file, aside);
	check_exe(target);
	pyr_target_destroy(target);

	/* ... but not another program, */
	options.exe = "/bin/sh";
	target = open_core(&options);
	assert_null(exe_image(target)->file);
	assert_int_equal(control.diagnostic_count, 1);
	assert_non_null(strstr(control.diagnostics[0].message, "another build-id"));
	pyr_control_clear(&control);
	pyr_target_destroy(target);

	/* nor one that took its path. */
	options.exe = NULL;
	copy_file("/bin/sh", exe);
	target = open_core(&options);
	assert_null(exe_image(target)->file);
	assert_non_null(strstr(exe_image(target)->why_no_file, "another build-id"));
	pyr_target_destroy(target);
	assert_int_equal(rename(aside, exe), 0);
}

static void under_a_sysroot(void **state)
{
	char root[sizeof(directory) + 16], sub[sizeof(root) + sizeof(exe)], *slash;
	struct pyr_target_options options = {.sysroot = root};
	struct pyr_target *target;

	(void)state;
	snprintf(root, sizeof(root), "%s/root", directory);
	snprintf(sub, sizeof(sub), "%s%s", root, exe);
	for (slash = strchr(sub + strlen(directory) + 1, '/'); slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(sub, 0700);
		*slash = '/';
	}
	assert_int_equal(rename(exe, sub), 0);
	target = open_core(&options);
	assert_string_equal(exe_image(target)->file, sub);
	check_exe(target);
	pyr_target_destroy(target);
	assert_int_equal(rename(sub, exe), 0);
	for (slash = strrchr(sub, '/'); strlen(sub) > strlen(directory);
	     slash = strrchr(sub, '/')) {
		*slash = '\0';
		if (strlen(sub) > strlen(directory))
			assert_int_equal(rmdir(sub), 0);
	}
}

/* Change every note of @type to one that nobody knows, in the written core. */
static void without_note(uint32_t type)
{
	const size_t count = core.file.count;
	uint8_t *bytes = malloc(count);
	size_t i, hits = 0;
	FILE *f;

	assert_non_null(bytes);
	memcpy(bytes, core.file.data, count);
	for (i = 0; i + 16 < core.first_data; i += 4) {
		if (!memcmp(bytes + i, &type, 4) && !memcmp(bytes + i + 4, "CORE", 5)) {
			memset(bytes + i, 0x55, 4);
			hits++;
		}
	}
	assert_int_equal(hits, 1);
	assert_non_null((f = fopen(path, "wb")));
	assert_int_equal(fwrite(bytes, 1, count, f), count);
	fclose(f);
	free(bytes);
}

/* NT_FILE lost: the dynamic linker's list has the same. */
static void by_the_linkers_list(void **state)
{
	struct pyr_target_options options = {0};
	struct pyr_target *target;

	(void)state;
	without_note(NT_FILE);
	target = open_core(&options);
	check_exe(target);
	pyr_target_destroy(target);
	core_builder_write(&core, path, SIZE_MAX);
}

/* No notes at all: ELF headers in memory, and from there the linker's list.
 * The executable has no name then; -e gives it one. */
static void by_headers(void **state)
{
	struct pyr_target_options options = {.exe = exe};
	uint8_t *bytes = core.file.data + sizeof(Elf64_Ehdr);
	struct pyr_target *target;
	uint32_t type = PT_NULL;

	(void)state;
	memcpy(bytes, &type, 4);
	core_builder_write(&core, path, SIZE_MAX);
	target = open_core(&options);
	assert_int_equal(target->threads.count, 0);
	check_exe(target);
	pyr_target_destroy(target);
	type = PT_NOTE;
	memcpy(bytes, &type, 4);
	core_builder_write(&core, path, SIZE_MAX);
}

/* ELF headers not dumped (coredump_filter without bit 4), so no build-ids: the
 * dynamic section vouches for the file, and tells another one apart. */
static void without_headers(void **state)
{
	struct pyr_target_options options = {0};
	struct pyr_target *target;
	struct core_builder b;
	size_t i, dropped = 0;

	(void)state;
	core_builder_init(&b);
	b.machine = core.machine;
	assert_true(pyr_vec_reserve(&b.notes, core.notes.count));
	memcpy(b.notes.data, core.notes.data, core.notes.count);
	b.notes.count = core.notes.count;
	for (i = 0; i < core.segments.count; i++) {
		const Elf64_Phdr *p = &core.segments.data[i].header;
		bool header = p->p_filesz == 4096 && p->p_memsz >= 4096 && !(p->p_flags & PF_W) &&
			      !memcmp(core.segments.data[i].bytes, ELFMAG, SELFMAG);

		dropped += header;
		core_builder_segment(&b, p->p_vaddr, p->p_memsz, p->p_flags,
				     core.segments.data[i].bytes, header ? 0 : p->p_filesz);
	}
	assert_true(dropped >= 3);
	core_builder_finish(&b);
	core_builder_write(&b, path, SIZE_MAX);
	target = open_core(&options);
	check_exe(target);
	pyr_target_destroy(target);

	assert_int_equal(rename(exe, aside), 0);
	copy_file("/bin/sh", exe);
	target = open_core(&options);
	assert_non_null(exe_image(target));
	assert_null(exe_image(target)->file);
	assert_non_null(exe_image(target)->why_no_file);
	pyr_target_destroy(target);
	assert_int_equal(rename(aside, exe), 0);
	core_builder_deinit(&b);
	core_builder_write(&core, path, SIZE_MAX);
}

/* A library that was mapped as data is no image, nor is shared memory with code in it. */
static void data_is_no_image(void **state)
{
	struct pyr_target_options options = {0};
	struct core_builder_file files[3] = {
		{0x10000000, 0x10400000, 0, exe},
		{0x20000000, 0x20001000, 0, "/usr/share/data"},
		{0x30000000, 0x30001000, 0, "/dev/zero (deleted)"},
	};
	struct pyr_target *target;
	struct core_builder b;
	uint8_t *bytes = calloc(1, 4096);
	FILE *f = fopen(exe, "rb");

	(void)state;
	assert_int_equal(fread(bytes, 1, 4096, f), 4096);
	fclose(f);
	core_builder_init(&b);
	core_builder_segment(&b, 0x10000000, 0x400000, PF_R, bytes, 4096);
	core_builder_segment(&b, 0x20000000, 0x1000, PF_R, NULL, 4096);
	core_builder_segment(&b, 0x30000000, 0x1000, PF_R | PF_W | PF_X, NULL, 0);
	core_builder_files(&b, files, 3);
	core_builder_finish(&b);
	core_builder_write(&b, path, SIZE_MAX);
	target = open_core(&options);
	assert_int_equal(target->image_count, 0);
	pyr_target_destroy(target);
	core_builder_deinit(&b);
	free(bytes);
	core_builder_write(&core, path, SIZE_MAX);
}

/* The same memory through a callback, without mappings: what a debugger's stub
 * gives. libc's build-id is changed there, so that its file is not the right
 * one, and symbols must come from the target's own pages. */
static void through_a_callback(void **state)
{
	struct pyr_target *dump = open_core(&(struct pyr_target_options){0});
	const struct pyr_image *libc = image_named(dump, "libc.so");
	struct pyr_target_options options = {0};
	uint8_t page[4096], *id;
	struct mock_target mock;
	struct pyr_reader r;
	const char *name;
	uint64_t offset;
	pyr_addr at;
	size_t i;

	(void)state;
	assert_non_null(libc);
	pyr_reader_init(&r, dump);
	assert_null(pyr_read(&r, libc->start, page, sizeof(page)));
	pyr_reader_deinit(&r);
	id = memmem(page, sizeof(page), libc->build_id, libc->build_id_size);
	assert_non_null(id);
	*id ^= 0xff;
	mock_target_init(&mock, true);
	mock.target->machine = dump->machine;
	mock_target_add(&mock, libc->start, page, sizeof(page));
	for (i = 0; i < dump->segments.count; i++)
		mock_target_add(&mock, dump->segments.data[i].start, dump->segments.data[i].bytes,
				dump->segments.data[i].end - dump->segments.data[i].start);
	for (i = 0; i < dump->auxv.count; i++)
		assert_true(pyr_vec_push(&mock.target->auxv, dump->auxv.data[i]));
	assert_null(pyr_target_find_images(mock.target, &options));
	assert_string_equal(mock.target->exe, exe);
	/* Writable pages are never taken from a file there. */
	for (i = 0; i < mock.target->segments.count; i++)
		assert_true(told.global < mock.target->segments.data[i].start ||
			    told.global >= mock.target->segments.data[i].end);
	libc = pyr_target_image_at(mock.target, told.abort);
	assert_non_null(libc);
	assert_non_null(strstr(libc->path, "libc.so"));
	assert_null(libc->file);
	assert_non_null(strstr(libc->why_no_file, "another build-id"));
	assert_true(pyr_image_symbol(mock.target, libc, "abort", &at, NULL));
	assert_int_equal(at, told.abort);
	assert_false(pyr_image_symbol(mock.target, libc, "no_such_symbol", &at, NULL));
	assert_true(pyr_image_symbol_at(mock.target, libc, told.abort + 3, &name, &offset));
	assert_string_equal(name, "abort");
	assert_int_equal(offset, 3);
	mock_target_deinit(&mock);
	pyr_target_destroy(dump);
}

/* zlib's own crc32 is the one that .gnu_debuglink uses. */
static void debuglink(void **state)
{
	static const char hex[] = "0123456789";
	struct {
		Elf64_Ehdr h;
		char names[32], link[16];
		Elf64_Shdr s[3];
	} file = {0};
	struct pyr_image image = {
		.file = (char *)"x", .file_bytes = (void *)&file, .file_size = sizeof(file)};
	const uint32_t crc = (uint32_t)crc32(0, (const Bytef *)hex, 10);
	const char *name;
	uint32_t got;

	(void)state;
	memcpy(file.h.e_ident, ELFMAG, SELFMAG);
	file.h.e_ident[EI_CLASS] = ELFCLASS64;
	file.h.e_ident[EI_DATA] = ELFDATA2LSB;
	file.h.e_machine = EM_X86_64;
	file.h.e_shoff = offsetof(__typeof__(file), s);
	file.h.e_shentsize = sizeof(Elf64_Shdr);
	file.h.e_shnum = 3;
	file.h.e_shstrndx = 1;
	memcpy(file.names, "\0.gnu_debuglink", 16);
	memcpy(file.link, "py.debug\0\0\0", 12);
	memcpy(file.link + 12, &crc, 4);
	file.s[1] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
				 .sh_size = 32,
				 .sh_offset = offsetof(__typeof__(file), names)};
	file.s[2] = (Elf64_Shdr){.sh_type = SHT_PROGBITS,
				 .sh_size = 16,
				 .sh_name = 1,
				 .sh_offset = offsetof(__typeof__(file), link)};
	assert_true(pyr_image_debuglink(&image, &name, &got));
	assert_string_equal(name, "py.debug");
	assert_int_equal(got, 0xa684c7c6); /* of "0123456789" */
	file.s[2].sh_size = 14;
	assert_false(pyr_image_debuglink(&image, &name, &got));
	file.s[2].sh_offset = UINT64_MAX;
	assert_false(pyr_image_debuglink(&image, &name, &got));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_here), cmocka_unit_test(the_file_is_gone),
		cmocka_unit_test(under_a_sysroot),    cmocka_unit_test(by_the_linkers_list),
		cmocka_unit_test(by_headers),         cmocka_unit_test(without_headers),
		cmocka_unit_test(data_is_no_image),   cmocka_unit_test(through_a_callback),
		cmocka_unit_test(debuglink),
	};

	if (argc > 1 && !strcmp(argv[1], "--child"))
		child();
	return cmocka_run_group_tests(tests, make_core, remove_core);
}
