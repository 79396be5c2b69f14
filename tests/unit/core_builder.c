#define _GNU_SOURCE
#include "core_builder.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAPPING_MAX (64u << 20)

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

void core_builder_init(struct core_builder *b)
{
	memset(b, 0, sizeof(*b));
	b->machine = EM_X86_64;
}

void core_builder_deinit(struct core_builder *b)
{
	size_t i;

	for (i = 0; i < b->segments.count; i++)
		free(b->segments.data[i].owned);
	pyr_vec_deinit(&b->notes);
	pyr_vec_deinit(&b->segments);
	pyr_vec_deinit(&b->file);
}

void core_builder_segment(struct core_builder *b, uint64_t start, uint64_t memsz, unsigned flags,
			  const void *bytes, uint64_t filesz)
{
	struct core_builder_segment s = {.bytes = bytes};

	s.header.p_type = PT_LOAD;
	s.header.p_flags = flags;
	s.header.p_vaddr = start;
	s.header.p_memsz = memsz;
	s.header.p_filesz = filesz;
	s.header.p_align = 4096;
	CHECK(pyr_vec_push(&b->segments, s));
}

static uint8_t *grow(struct core_builder *b, size_t n)
{
	CHECK(pyr_vec_reserve(&b->notes, n));
	memset(b->notes.data + b->notes.count, 0, n);
	b->notes.count += n;
	return b->notes.data + b->notes.count - n;
}

void core_builder_note(struct core_builder *b, const char *name, unsigned type, const void *bytes,
		       size_t size)
{
	Elf64_Nhdr h = {.n_namesz = (Elf64_Word)strlen(name) + 1,
			.n_descsz = (Elf64_Word)size,
			.n_type = type};

	memcpy(grow(b, sizeof(h)), &h, sizeof(h));
	memcpy(grow(b, (h.n_namesz + 3) & ~3u), name, h.n_namesz);
	if (size)
		memcpy(grow(b, (size + 3) & ~(size_t)3), bytes, size);
}

void core_builder_thread(struct core_builder *b, unsigned tid, uint64_t base)
{
	uint64_t status[49] = {0}; /* 392 bytes: aarch64's, the larger */
	size_t i, n = b->machine == EM_AARCH64 ? 34 : 27;

	((uint8_t *)status)[12] = 6; /* pr_cursig: SIGABRT */
	memcpy((uint8_t *)status + 32, &tid, 4);
	for (i = 0; i < n; i++)
		status[14 + i] = base + i;
	core_builder_note(b, "CORE", NT_PRSTATUS, status, 112 + 8 * n + 8);
}

void core_builder_auxv(struct core_builder *b, const uint64_t *pairs, size_t count)
{
	core_builder_note(b, "CORE", NT_AUXV, pairs, 16 * count);
}

void core_builder_files(struct core_builder *b, const struct core_builder_file *files, size_t count)
{
	size_t size = 16 + 24 * count, i;
	uint64_t *note;
	char *names;

	for (i = 0; i < count; i++)
		size += strlen(files[i].path) + 1;
	CHECK((note = calloc(1, size)));
	note[0] = count;
	note[1] = 4096;
	names = (char *)(note + 2 + 3 * count);
	for (i = 0; i < count; i++) {
		note[2 + 3 * i] = files[i].start;
		note[3 + 3 * i] = files[i].end;
		note[4 + 3 * i] = files[i].page;
		names = stpcpy(names, files[i].path) + 1;
	}
	core_builder_note(b, "CORE", NT_FILE, note, size);
	free(note);
}

void core_builder_finish(struct core_builder *b)
{
	size_t count = b->segments.count + 1, at = sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr),
	       i;
	bool extended = b->extended || count >= PN_XNUM;
	Elf64_Phdr note = {
		.p_type = PT_NOTE, .p_offset = at, .p_filesz = b->notes.count, .p_align = 4};
	Elf64_Shdr zero = {.sh_info = (Elf64_Word)count};
	Elf64_Ehdr h = {.e_type = ET_CORE,
			.e_machine = (Elf64_Half)b->machine,
			.e_version = EV_CURRENT,
			.e_phoff = sizeof(h),
			.e_ehsize = sizeof(h),
			.e_phentsize = sizeof(note),
			.e_shentsize = sizeof(zero)};

	memcpy(h.e_ident, ELFMAG, SELFMAG);
	h.e_ident[EI_CLASS] = ELFCLASS64;
	h.e_ident[EI_DATA] = ELFDATA2LSB;
	h.e_ident[EI_VERSION] = EV_CURRENT;
	h.e_phnum = extended ? PN_XNUM : (Elf64_Half)count;
	at = (at + b->notes.count + 4095) & ~(size_t)4095;
	b->first_data = at;
	for (i = 0; i < b->segments.count; i++) {
		b->segments.data[i].header.p_offset = at;
		at += b->segments.data[i].header.p_filesz;
	}
	if (extended) {
		h.e_shoff = at;
		h.e_shnum = 1;
		at += sizeof(zero);
	}
	CHECK(pyr_vec_reserve(&b->file, at));
	b->file.count = at;
	memset(b->file.data, 0, at);
	memcpy(b->file.data, &h, sizeof(h));
	memcpy(b->file.data + sizeof(h), &note, sizeof(note));
	if (b->notes.count)
		memcpy(b->file.data + note.p_offset, b->notes.data, b->notes.count);
	for (i = 0; i < b->segments.count; i++) {
		const struct core_builder_segment *s = &b->segments.data[i];

		memcpy(b->file.data + sizeof(h) + (i + 1) * sizeof(note), &s->header,
		       sizeof(s->header));
		if (s->bytes)
			memcpy(b->file.data + s->header.p_offset, s->bytes, s->header.p_filesz);
	}
	if (extended)
		memcpy(b->file.data + h.e_shoff, &zero, sizeof(zero));
}

void core_builder_write(const struct core_builder *b, const char *path, size_t size)
{
	FILE *f = fopen(path, "wb");

	CHECK(f);
	if (size > b->file.count)
		size = b->file.count;
	CHECK(fwrite(b->file.data, 1, size, f) == size);
	CHECK(!fclose(f));
}

static size_t slurp(pid_t pid, const char *name, char **ret)
{
	size_t size = 0, n;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	CHECK((f = fopen(path, "rb")));
	CHECK((*ret = malloc(1 << 20)));
	while ((n = fread(*ret + size, 1, (1 << 20) - 1 - size, f)) > 0)
		size += n;
	(*ret)[size] = '\0';
	fclose(f);
	return size;
}

/* NT_PRSTATUS with the true stack pointer and counter, which is what readers
 * of a core use most. */
static void add_thread(struct core_builder *b, pid_t pid)
{
	bool arm = b->machine == EM_AARCH64;
	uint64_t value;
	uint8_t *regs;
	char *text, *at;

	/* "running" until it sleeps, and it is about to. */
	while (slurp(pid, "syscall", &text), !strchr(text, ' ')) {
		free(text);
		usleep(1000);
	}
	core_builder_thread(b, (unsigned)pid, 0);
	/* The registers end 8 bytes before the note does. */
	regs = b->notes.data + b->notes.count - 8 - 8 * (arm ? 34 : 27);
	CHECK((at = strrchr(text, ' ')));
	value = strtoull(at, NULL, 16);
	memcpy(regs + 8 * (arm ? 32 : 16), &value, 8);
	*at = '\0';
	CHECK((at = strrchr(text, ' ')));
	value = strtoull(at, NULL, 16);
	memcpy(regs + 8 * (arm ? 31 : 19), &value, 8);
	free(text);
}

static void add_mapping(struct core_builder *b, int mem, const char *path, uint64_t start,
			uint64_t end, uint64_t offset, unsigned flags, bool written)
{
	uint64_t filesz = written || !strcmp(path, "[vdso]") ? end - start : 0;
	void *bytes = NULL;

	/* The sanitizers' shadow. */
	if (filesz > MAPPING_MAX)
		filesz = 0;

	if (!filesz && *path == '/' && !offset)
		filesz = 4096;
	if (filesz) {
		CHECK((bytes = malloc(filesz)));
		if (pread(mem, bytes, filesz, (off_t)start) != (ssize_t)filesz) {
			free(bytes); /* [vvar] */
			bytes = NULL;
			filesz = 0;
		}
	}
	core_builder_segment(b, start, end - start, flags, bytes, filesz);
	b->segments.data[b->segments.count - 1].owned = bytes;
}

void core_builder_from_process(struct core_builder *b, pid_t pid)
{
	PYR_VEC(struct core_builder_file) files = {NULL, 0, 0};
	uint64_t start = 0, end = 0, offset = 0, inode, kb;
	char *maps, *auxv, *line, *save, *path = NULL, perms[5], mem_path[64];
	unsigned flags = 0;
	int mem, used;
	size_t size;

	core_builder_init(b);
#if defined(__aarch64__)
	b->machine = EM_AARCH64;
#endif
	snprintf(mem_path, sizeof(mem_path), "/proc/%d/mem", (int)pid);
	CHECK((mem = open(mem_path, O_RDONLY)) >= 0);
	add_thread(b, pid);
	size = slurp(pid, "auxv", &auxv);
	core_builder_note(b, "CORE", NT_AUXV, auxv, size);
	slurp(pid, "smaps", &maps);
	for (line = strtok_r(maps, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "Anonymous: %" SCNu64, &kb) == 1)
			add_mapping(b, mem, path, start, end, offset, flags, kb > 0);
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %" SCNu64 " %n",
			   &start, &end, perms, &offset, &inode, &used) != 5)
			continue;
		path = line + used;
		if (*path == '/') {
			struct core_builder_file f = {start, end, offset / 4096, path};

			CHECK(pyr_vec_push(&files, f));
		}
		flags = (perms[0] == 'r' ? PF_R : 0u) | (perms[1] == 'w' ? PF_W : 0u) |
			(perms[2] == 'x' ? PF_X : 0u);
	}
	core_builder_files(b, files.data, files.count);
	pyr_vec_deinit(&files);
	free(auxv);
	free(maps);
	close(mem);
	core_builder_finish(b);
}
