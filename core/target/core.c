#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/byte_size.h"
#include "target/compressed.h"
#include "target/core_notes.h"
#include "target/elf_file.h"
#include "target/image.h"
#include "target/reader.h"
#include "target/target.h"

/* The core is mapped, never read into memory: the kernel's page cache is the
 * only copy. Nothing is populated ahead: the kernel maps 16 pages or a large
 * folio per fault, and MADV_POPULATE_READ, MADV_SEQUENTIAL and MADV_WILLNEED
 * made no scan of a gigabyte measurably faster, cached or not. Its length is taken once. A file
 * that is truncated *while* it is mapped would fault; whoever keeps a target over time (the
 * session) compares device, inode, size and mtime before each command. */
struct core_state {
	uint8_t *bytes;
	size_t size;
};

/* A PT_LOAD, with sums checked. */
struct load {
	pyr_addr start, end; /* p_memsz */
	uint64_t dumped;     /* bytes that the dump says it holds, from start */
	uint64_t held;       /* of those, what lies inside the file */
	uint64_t offset;
	uint32_t flags; /* PF_* */
};

struct core_parts {
	struct pyr_target *target;
	struct pyr_elf elf;
	struct pyr_core_notes notes;
	PYR_VEC(struct load) loads;
	size_t next_file;  /* add_pieces() */
	uint64_t expected; /* file size by the headers */
};

static void core_destroy(struct pyr_target *target)
{
	struct core_state *state = target->state;

	if (state && state->bytes)
		munmap(state->bytes, state->size);
	free(state);
}

static const struct pyr_target_ops core_ops = {.read = NULL, .destroy = core_destroy};

static pyr_error *map_file(int fd, uint64_t size, struct core_state *ret)
{
	void *bytes;

	if (size > SIZE_MAX)
		return pyr_error_create(PYR_E_BAD_FILE, "larger than the address space");
	bytes = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		return pyr_error_create(errno == ENOMEM ? PYR_E_NO_MEMORY : PYR_E_BAD_FILE,
					"cannot be mapped: %s", strerror(errno));
	ret->bytes = bytes;
	ret->size = (size_t)size;
	return NULL;
}

static pyr_error *open_regular(const char *path, int *ret_fd, uint64_t *ret_size)
{
	struct stat st;
	pyr_error *err;
	int fd;

	/* Not blocking: it might be a FIFO. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return pyr_error_create(errno == EACCES || errno == EPERM ? PYR_E_NO_PERMISSION
									  : PYR_E_BAD_FILE,
					"%s", strerror(errno));
	if (fstat(fd, &st))
		err = pyr_error_create(PYR_E_BAD_FILE, "%s", strerror(errno));
	else if (S_ISDIR(st.st_mode))
		err = pyr_error_create(PYR_E_BAD_FILE, "a directory, not a core file");
	else if (!S_ISREG(st.st_mode))
		err = pyr_error_create(PYR_E_BAD_FILE,
				       "not a regular file; a core is read at many "
				       "places at once, so save it to a file first");
	else if (!st.st_size)
		err = pyr_error_create(PYR_E_BAD_FILE,
				       "an empty file; the dump was refused or the disk was full "
				       "(see ulimit -c and /proc/sys/kernel/core_pattern)");
	else
		err = NULL;
	if (err) {
		close(fd);
		return err;
	}
	*ret_fd = fd;
	*ret_size = (uint64_t)st.st_size;
	return NULL;
}

/* What a file that is not ELF is, by its first bytes. */
static pyr_error *not_elf(const uint8_t *bytes, size_t size)
{
	static const struct {
		const char *magic;
		size_t size;
		const char *text;
	} known[] = {
		{"\xfd"
		 "7zXZ",
		 5, "an xz file; expand it first (xz -dk)"},
		{"BZh", 3, "a bzip2 file; expand it first (bzip2 -dk)"},
		{"PK\3\4", 4, "a zip archive; unpack it first"},
		{"\x02\x21\x4c\x18", 4, "a legacy lz4 file; expand it first (lz4 -d)"},
		{"MDMP", 4, "a minidump; an ELF core is needed (gcore, or a kernel core)"},
		{"KDUMP   ", 8, "a kernel crash dump, not the core of a process"},
		{"\xcf\xfa\xed\xfe", 4, "a Mach-O file; pyretain reads Linux ELF cores"},
		{"#!", 2, "a script, not a core file"},
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (size >= known[i].size && !memcmp(bytes, known[i].magic, known[i].size))
			return pyr_error_create(PYR_E_BAD_FILE, "%s", known[i].text);
	return NULL;
}

static pyr_error *check_is_core(const struct core_state *state, struct pyr_elf *ret)
{
	struct pyr_elf elf;
	pyr_error *err;

	if ((err = not_elf(state->bytes, state->size)) ||
	    (err = pyr_elf_open(state->bytes, state->size, &elf)))
		return err;
	if (elf.header.e_type == ET_EXEC || elf.header.e_type == ET_DYN)
		return pyr_error_create(PYR_E_BAD_FILE,
					"an executable or shared library, not a core; the core is "
					"wanted here (the executable that made it: -e)");
	if (elf.header.e_type != ET_CORE)
		return pyr_error_create(PYR_E_BAD_FILE, "an ELF file of type %u, not a core",
					elf.header.e_type);
	if (!elf.segment_count)
		return pyr_error_create(
			PYR_E_BAD_FILE,
			elf.segments_named
				? "a core file that breaks off before its program headers"
				: "a core file without program headers");
	*ret = elf;
	return NULL;
}

static pyr_error *read_notes(struct core_parts *c)
{
	uint64_t size;
	pyr_error *err;
	Elf64_Phdr p;
	size_t i;

	for (i = 0; pyr_elf_segment(&c->elf, i, &p); i++) {
		if (p.p_type != PT_NOTE || p.p_offset >= c->elf.size)
			continue;
		size = c->elf.size - p.p_offset;
		if (p.p_filesz < size)
			size = p.p_filesz;
		err = pyr_core_read_notes(c->target, c->elf.bytes + p.p_offset, (size_t)size,
					  (unsigned)p.p_align, &c->notes);
		if (err)
			return err;
	}
	for (i = 0; i < c->target->threads.count; i++) {
		struct pyr_thread *t = &c->target->threads.data[i];

		if (t->tid == (uint64_t)c->target->pid)
			memcpy(t->name, c->notes.comm, sizeof(t->name));
	}
	if (!c->target->pid && c->target->threads.count)
		c->target->pid = (pid_t)c->target->threads.data[0].tid;
	return NULL;
}

/* Collect the PT_LOADs. */
static pyr_error *read_loads(struct core_parts *c)
{
	struct load load;
	Elf64_Phdr p;
	uint64_t end;
	size_t i;

	for (i = 0; pyr_elf_segment(&c->elf, i, &p); i++) {
		if (__builtin_add_overflow(p.p_offset, p.p_filesz, &end)) {
			pyr_control_diagnose(c->target->control,
					     "program header %zu is damaged (offset 0x%llx, size "
					     "0x%llx)",
					     i, (unsigned long long)p.p_offset,
					     (unsigned long long)p.p_filesz);
			continue;
		}
		if (p.p_filesz && end > c->expected)
			c->expected = end;
		if (p.p_type != PT_LOAD)
			continue;
		load.start = p.p_vaddr;
		if (__builtin_add_overflow(p.p_vaddr, p.p_memsz, &load.end))
			load.end = UINT64_MAX;
		load.offset = p.p_offset;
		load.flags = p.p_flags;
		load.dumped = p.p_filesz;
		if (load.end > load.start && !pyr_vec_push(&c->loads, load))
			return pyr_error_no_memory();
	}
	return NULL;
}

static int load_by_start(const void *a, const void *b)
{
	const struct load *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* Sort the PT_LOADs and add the segments. Mappings do not overlap, so where
 * one runs into the next its size is damaged, not the start of the next. */
static pyr_error *add_segments(struct core_parts *c)
{
	pyr_error *err;
	size_t i;

	if (c->loads.count)
		qsort(c->loads.data, c->loads.count, sizeof(*c->loads.data), load_by_start);
	for (i = 0; i < c->loads.count; i++) {
		struct load *load = &c->loads.data[i];

		if (i + 1 < c->loads.count && load->end > load[1].start &&
		    load->start < load[1].start)
			load->end = load[1].start;
		if (load->dumped > load->end - load->start)
			load->dumped = load->end - load->start;
		load->held = load->offset >= c->elf.size ? 0 : c->elf.size - load->offset;
		if (load->held > load->dumped)
			load->held = load->dumped;
		if (load->held &&
		    (err = pyr_target_add_segment(c->target, load->start, load->start + load->held,
						  c->elf.bytes + load->offset, 0)))
			return err;
	}
	return NULL;
}

static int file_by_start(const void *a, const void *b)
{
	const struct pyr_core_file_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static bool holds(pyr_addr start, pyr_addr end, uint64_t addr)
{
	return addr >= start && addr < end;
}

/* Names that /proc/PID/maps would show and the core does not. */
static const char *anonymous_name(const struct pyr_target *target, pyr_addr start, pyr_addr end)
{
	uint64_t value;

	if (pyr_target_auxv(target, AT_SYSINFO_EHDR, &value) && holds(start, end, value))
		return "[vdso]";
	/* create_elf_tables() copies the 16 bytes to the stack. */
	if (pyr_target_auxv(target, AT_RANDOM, &value) && holds(start, end, value))
		return "[stack]";
	if (target->machine == PYR_MACHINE_X86_64 && start == 0xffffffffff600000u)
		return "[vsyscall]";
	return NULL;
}

static pyr_error *add_piece(struct core_parts *c, const struct load *load,
			    const struct pyr_core_file_range *file, pyr_addr start, pyr_addr end)
{
	struct pyr_mapping m = {.start = start, .end = end, .read = true};
	static const char gone[] = " (deleted)";
	size_t length;
	char *path = NULL;
	pyr_error *err;

	if (load) {
		m.read = load->flags & PF_R;
		m.write = load->flags & PF_W;
		m.exec = load->flags & PF_X;
		m.cut = load->held < load->dumped && start < load->start + load->dumped &&
			end > load->start + load->held;
	}
	if (!file) {
		m.path = anonymous_name(c->target, start, end);
		return pyr_target_add_mapping(c->target, &m);
	}
	m.file_offset = file->file_offset + (start - file->start);
	m.path = file->path;
	length = strlen(file->path);
	if (length >= sizeof(gone) && !strcmp(file->path + length - (sizeof(gone) - 1), gone)) {
		m.path = path = strndup(file->path, length - (sizeof(gone) - 1));
		if (!path)
			return pyr_error_no_memory();
		m.deleted = true;
		/* How mm/shmem.c and ipc/shm.c name what is always shared. */
		m.shared = !strcmp(path, "/dev/zero") || !strncmp(path, "/SYSV", 5);
	}
	err = pyr_target_add_mapping(c->target, &m);
	free(path);
	return err;
}

/* Add [start, end), which is of @load (NULL: no PT_LOAD covers it, and only
 * what NT_FILE names is known), split where files begin and end. Calls come in
 * ascending order. */
static pyr_error *add_pieces(struct core_parts *c, const struct load *load, pyr_addr start,
			     pyr_addr end)
{
	const struct pyr_core_file_range *files = c->notes.files.data;
	size_t count = c->notes.files.count, k;
	pyr_addr at = start, from, to;
	pyr_error *err;

	while (c->next_file < count && files[c->next_file].end <= start)
		c->next_file++;
	for (k = c->next_file; k < count && files[k].start < end && at < end; k++) {
		from = files[k].start > at ? files[k].start : at;
		to = files[k].end < end ? files[k].end : end;
		if (to <= from)
			continue;
		if (load && from > at && (err = add_piece(c, load, NULL, at, from)))
			return err;
		if ((err = add_piece(c, load, &files[k], from, to)))
			return err;
		at = to;
		c->next_file = k;
	}
	if (load && at < end)
		return add_piece(c, load, NULL, at, end);
	return NULL;
}

/* Every PT_LOAD was a mapping; NT_FILE says which were files', and names
 * mappings that gcore and filters left out altogether. */
static pyr_error *add_mappings(struct core_parts *c)
{
	pyr_addr at = 0, start;
	pyr_error *err;
	size_t i;

	if (c->notes.files.count)
		qsort(c->notes.files.data, c->notes.files.count, sizeof(*c->notes.files.data),
		      file_by_start);
	for (i = 0; i < c->loads.count; i++) {
		const struct load *load = &c->loads.data[i];

		start = load->start > at ? load->start : at;
		if (load->end <= start)
			continue;
		if ((start > at && (err = add_pieces(c, NULL, at, start))) ||
		    (err = add_pieces(c, load, start, load->end)))
			return err;
		at = load->end;
	}
	return add_pieces(c, NULL, at, UINT64_MAX);
}

/* What a core lacks that it says it has. */
static void mark_cut(struct core_parts *c)
{
	struct pyr_byte_size have = pyr_byte_size(c->elf.size);
	struct pyr_byte_size all = pyr_byte_size(c->expected), lost;
	uint64_t bytes = 0;
	size_t i, mappings = 0;

	if (c->elf.segment_count < c->elf.segments_named)
		pyr_target_mark_incomplete(c->target,
					   "the core file is truncated inside its program headers: "
					   "%zu of %llu are there",
					   c->elf.segment_count,
					   (unsigned long long)c->elf.segments_named);
	for (i = 0; i < c->loads.count; i++) {
		bytes += c->loads.data[i].dumped - c->loads.data[i].held;
		mappings += c->loads.data[i].dumped > c->loads.data[i].held;
	}
	if (c->expected <= c->elf.size)
		return;
	lost = pyr_byte_size(bytes);
	pyr_target_mark_incomplete(c->target,
				   "the core file is truncated: %s of %s; %s of memory in %zu "
				   "mappings are missing",
				   have.text, all.text, lost.text, mappings);
}

static pyr_error *read_parts(struct core_parts *c)
{
	pyr_error *err;

	if ((err = read_notes(c)) || (err = read_loads(c)) || (err = add_segments(c)) ||
	    (err = add_mappings(c)))
		return err;
	mark_cut(c);
	if (!c->loads.count)
		return pyr_error_create(PYR_E_BAD_FILE, "a core file that holds no memory");
	if (!c->notes.any)
		pyr_target_mark_incomplete(c->target,
					   "the core has no notes: threads, registers and "
					   "names of mapped files are unknown");
	return NULL;
}

/* Map @path, expanded if it is compressed. @cut: see struct pyr_expanded. */
static pyr_error *map_core(struct pyr_control *control, const char *path,
			   const struct pyr_target_options *options, struct core_state *ret,
			   char **ret_description, char **ret_cut)
{
	struct pyr_expanded expanded = {.fd = -1};
	enum pyr_compression compression;
	struct core_state state;
	char *description = NULL;
	uint64_t size = 0;
	pyr_error *err;
	int fd = -1, n;

	if ((err = open_regular(path, &fd, &size)))
		return err;
	err = map_file(fd, size, &state);
	close(fd);
	if (err)
		return err;
	compression = pyr_compression_of(state.bytes, state.size);
	if (compression == PYR_COMPRESSION_NONE) {
		n = asprintf(&description, "core file %s", path);
	} else {
		madvise(state.bytes, state.size, MADV_SEQUENTIAL);
		err = pyr_expand(control, compression, state.bytes, state.size, options, &expanded);
		munmap(state.bytes, state.size);
		if (err)
			return err;
		err = map_file(expanded.fd, expanded.size, &state);
		close(expanded.fd);
		if (err) {
			free(expanded.cut);
			return err;
		}
		n = asprintf(&description, "core file %s (%s, expanded to %s in %s)", path,
			     pyr_compression_name(compression), pyr_byte_size(expanded.size).text,
			     expanded.directory);
	}
	if (n < 0) {
		munmap(state.bytes, state.size);
		free(expanded.cut);
		return pyr_error_no_memory();
	}
	*ret = state;
	*ret_description = description;
	*ret_cut = expanded.cut;
	return NULL;
}

/* A dump without stacks is one without any private memory: no heap either. */
static void mark_filtered(struct pyr_target *target)
{
	const struct pyr_mapping *m;
	bool known = false;
	size_t i;

	for (i = 0; i < target->threads.count; i++) {
		m = pyr_target_mapping_at(target, target->threads.data[i].sp);
		if (m && (m->present || m->cut))
			return;
		known |= m != NULL;
	}
	if (known)
		pyr_target_mark_incomplete(target,
					   "the core holds no stack, so private memory was not "
					   "dumped: see /proc/PID/coredump_filter, bit 0");
}

/* Whether the bytes that a thread pushed last are all zeros; it has called something, so they
 * were not. */
static bool stack_is_zeros(struct pyr_reader *reader, pyr_addr sp)
{
	const uint8_t *bytes;
	size_t n = pyr_peek_run(reader, sp, 1024, &bytes), i = 0;

	while (i < n && !bytes[i])
		i++;
	return n && i == n;
}

/* gdb's gcore reads a mapping in chunks of a megabyte and leaves out those that it cannot read
 * whole: a thread's stack is in one with its guard page where glibc 2.42 made that page. */
static void mark_lost_stacks(struct pyr_target *target)
{
	struct pyr_reader reader;
	size_t i, lost = 0;

	pyr_reader_init(&reader, target);
	for (i = 0; i < target->threads.count; i++)
		lost += stack_is_zeros(&reader, target->threads.data[i].sp);
	pyr_reader_deinit(&reader);
	if (!lost)
		return;
	target->stacks_lost = true;
	pyr_target_mark_incomplete(target,
				   "the core has only zeros for the stacks of %zu of %zu threads: "
				   "gdb's gcore cannot read past their guard pages; a core that "
				   "the kernel writes has them",
				   lost, (size_t)target->threads.count);
}

static pyr_error *build_target(struct core_parts *c, const struct pyr_target_options *options)
{
	pyr_error *err;

	c->target->machine =
		c->elf.header.e_machine == EM_AARCH64 ? PYR_MACHINE_AARCH64 : PYR_MACHINE_X86_64;
	err = read_parts(c);
	pyr_core_notes_deinit(&c->notes);
	pyr_vec_deinit(&c->loads);
	if (err || (err = pyr_target_find_images(c->target, options)))
		return err;
	mark_filtered(c->target);
	mark_lost_stacks(c->target);
	return NULL;
}

pyr_error *pyr_target_open_core(struct pyr_control *control, const char *path,
				const struct pyr_target_options *options, struct pyr_target **ret)
{
	char *description = NULL, *cut = NULL;
	struct core_parts parts = {0};
	struct core_state *state;
	pyr_error *err;

	state = calloc(1, sizeof(*state));
	if (!state)
		return pyr_error_no_memory();
	if ((err = map_core(control, path, options, state, &description, &cut)))
		goto fail;
	if ((err = check_is_core(state, &parts.elf)) ||
	    (err = pyr_target_create(control, PYR_TARGET_CORE, &core_ops, state, &parts.target))) {
		munmap(state->bytes, state->size);
		goto fail;
	}
	parts.target->description = description;
	if (cut)
		pyr_target_mark_incomplete(parts.target, "%s", cut);
	free(cut);
	if ((err = build_target(&parts, options))) {
		pyr_target_destroy(parts.target);
		return pyr_error_wrap(err, "%s", path);
	}
	*ret = parts.target;
	return NULL;
fail:
	free(state);
	free(description);
	free(cut);
	return pyr_error_wrap(err, "%s", path);
}
