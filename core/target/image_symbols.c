#include <stdlib.h>
#include <string.h>

#include "target/image_parts.h"

/* What is copied of a symbol table that only the target holds; the largest
 * libraries' are some tens of megabytes. */
#define TABLE_MAX (256u * 1024 * 1024)
#define DYNAMIC_MAX 4096u

/* Where the dynamic symbols are read from: the file when there is one, else
 * the target's own pages. All addresses are link-time ones. */
struct source {
	struct pyr_target *target;
	const struct pyr_image *image;
	struct pyr_reader reader;
	const struct pyr_elf *file; /* or NULL */
};

/* @size bytes at @address, valid as long as the image; NULL when absent. */
static const void *fetch(struct source *s, uint64_t address, uint64_t size)
{
	struct pyr_image_state *state = pyr_image_state(s->image);
	const uint8_t *run;
	pyr_error *err;
	void *copy;

	if (s->file)
		return pyr_elf_at_address(s->file, address, size);
	if (!size || size > TABLE_MAX) {
		if (size)
			pyr_control_diagnose(s->target->control,
					     "a table of %s is left out: it claims %llu bytes",
					     s->image->path, (unsigned long long)size);
		return NULL;
	}
	address += s->image->bias;
	/* A dump's bytes stay; what came through a debugger may be forgotten. */
	if (pyr_target_concurrent(s->target) &&
	    pyr_peek_run(&s->reader, address, size, &run) == size)
		return run;
	copy = pyr_peek(&s->reader, address + size - 1, 1) ? malloc(size) : NULL;
	if (!copy)
		return NULL;
	err = pyr_read(&s->reader, address, copy, size);
	if (err || !pyr_vec_push(&state->copies, copy)) {
		pyr_error_destroy(err);
		free(copy);
		return NULL;
	}
	return copy;
}

static bool fetch_u32(struct source *s, uint64_t address, uint32_t *ret)
{
	const void *bytes;

	if (!s->file)
		return pyr_try_u32(&s->reader, address + s->image->bias, ret);
	bytes = pyr_elf_at_address(s->file, address, 4);
	return bytes ? (memcpy(ret, bytes, 4), true) : false;
}

static bool fetch_pair(struct source *s, uint64_t address, uint64_t pair[2])
{
	const void *bytes = s->file ? pyr_elf_at_address(s->file, address, 16)
				    : pyr_peek(&s->reader, address + s->image->bias, 16);

	return bytes ? (memcpy(pair, bytes, 16), true) : false;
}

struct dynamic {
	uint64_t symtab, strtab, strsz, hash, gnu_hash;
};

/* glibc relocates these in place, musl does not; the file never is. */
static uint64_t link_time(const struct source *s, uint64_t value)
{
	if (!s->file && value >= s->image->start && value < s->image->end)
		return value - s->image->bias;
	return value;
}

static bool read_dynamic(struct source *s, uint64_t at, struct dynamic *ret)
{
	struct dynamic d = {0};
	uint64_t entry[2];
	size_t i;

	for (i = 0; i < DYNAMIC_MAX && fetch_pair(s, at + 16 * i, entry); i++) {
		switch (entry[0]) {
		case DT_NULL:
			*ret = d;
			return d.symtab && d.strtab && d.strsz;
		case DT_SYMTAB:
			d.symtab = link_time(s, entry[1]);
			break;
		case DT_STRTAB:
			d.strtab = link_time(s, entry[1]);
			break;
		case DT_STRSZ:
			d.strsz = entry[1];
			break;
		case DT_HASH:
			d.hash = link_time(s, entry[1]);
			break;
		case DT_GNU_HASH:
			d.gnu_hash = link_time(s, entry[1]);
			break;
		}
	}
	return false;
}

/* Number of symbols by DT_GNU_HASH: the end of the chain of the last bucket. */
static bool count_by_gnu_hash(struct source *s, uint64_t at, size_t *ret_count, size_t *ret_size)
{
	uint32_t head[4], i, last = 0, h;
	const uint8_t *buckets;
	uint64_t chain;

	for (i = 0; i < 4; i++)
		if (!fetch_u32(s, at + 4 * i, &head[i]))
			return false;
	/* buckets, first symbol, words of the filter */
	buckets = fetch(s, at + 16 + 8 * (uint64_t)head[2], 4 * (uint64_t)head[0]);
	if (!buckets)
		return false;
	for (i = 0; i < head[0]; i++) {
		memcpy(&h, buckets + 4 * (size_t)i, 4);
		last = h > last ? h : last;
	}
	chain = at + 16 + 8 * (uint64_t)head[2] + 4 * (uint64_t)head[0];
	if (last < head[1]) {
		*ret_count = head[1];
		*ret_size = chain - at;
		return true;
	}
	do {
		if (!fetch_u32(s, chain + 4 * (uint64_t)(last - head[1]), &h))
			return false;
		last++;
	} while (!(h & 1) && last < UINT32_MAX);
	*ret_count = last;
	*ret_size = chain - at + 4 * (uint64_t)(last - head[1]);
	return true;
}

static void load_table(struct source *s, const struct dynamic *d, struct pyr_symbols *ret)
{
	struct pyr_symbols symbols = {0};
	size_t hash_size = 0;
	uint32_t count;

	if (d->gnu_hash && count_by_gnu_hash(s, d->gnu_hash, &symbols.count, &hash_size)) {
		symbols.gnu_hash = fetch(s, d->gnu_hash, hash_size);
		symbols.gnu_hash_size = symbols.gnu_hash ? hash_size : 0;
	} else if (d->hash && fetch_u32(s, d->hash + 4, &count)) {
		symbols.count = count; /* nchain */
	}
	if (!symbols.count)
		return;
	symbols.table = fetch(s, d->symtab, symbols.count * sizeof(Elf64_Sym));
	symbols.strings = fetch(s, d->strtab, d->strsz);
	symbols.strings_size = d->strsz;
	if (symbols.table && symbols.strings)
		*ret = symbols;
}

static struct pyr_symbols *dynamic_symbols(struct pyr_target *target, const struct pyr_image *image)
{
	struct pyr_image_state *state = pyr_image_state(image);
	struct source s = {.target = target, .image = image};
	struct dynamic d;
	struct pyr_elf elf;
	pyr_error *err;
	size_t i;

	if (state->dynamic_sought)
		return &state->dynamic;
	state->dynamic_sought = true;
	if (image->file) {
		err = pyr_elf_open(image->file_bytes, image->file_size, &elf);
		if (!err)
			s.file = &elf;
		pyr_error_destroy(err);
	}
	pyr_reader_init(&s.reader, target);
	for (i = 0; i < state->segment_count; i++) {
		if (state->segments[i].p_type == PT_DYNAMIC &&
		    read_dynamic(&s, state->segments[i].p_vaddr, &d)) {
			load_table(&s, &d, &state->dynamic);
			break;
		}
	}
	/* An interruption is no absence: ask again next time. */
	err = pyr_reader_check(&s.reader);
	if (err && !state->dynamic.count)
		state->dynamic_sought = false;
	pyr_error_destroy(err);
	pyr_reader_deinit(&s.reader);
	return &state->dynamic;
}

static bool load_symtab(const struct pyr_elf *elf, struct pyr_symbols *ret)
{
	struct pyr_symbols symbols = {0};
	Elf64_Shdr s, strings;
	size_t i;

	for (i = 1; pyr_elf_section(elf, i, &s); i++) {
		if (s.sh_type != SHT_SYMTAB || !pyr_elf_section(elf, s.sh_link, &strings) ||
		    strings.sh_type != SHT_STRTAB)
			continue;
		symbols.table = pyr_elf_at(elf, s.sh_offset, s.sh_size);
		symbols.count = s.sh_size / sizeof(Elf64_Sym);
		symbols.strings = pyr_elf_at(elf, strings.sh_offset, strings.sh_size);
		symbols.strings_size = strings.sh_size;
		if (symbols.table && symbols.strings && symbols.count) {
			*ret = symbols;
			return true;
		}
	}
	return false;
}

/* .symtab of the file, or of its separate debug file. */
static struct pyr_symbols *static_symbols(const struct pyr_image *image)
{
	struct pyr_image_state *state = pyr_image_state(image);
	const struct pyr_mapped_elf *debug;
	struct pyr_elf elf;
	pyr_error *err;

	if (state->static_sought)
		return &state->statics;
	state->static_sought = true;
	if (image->file) {
		err = pyr_elf_open(image->file_bytes, image->file_size, &elf);
		if (!err && load_symtab(&elf, &state->statics))
			return &state->statics;
		pyr_error_destroy(err);
	}
	debug = pyr_image_debug_file(image);
	if (debug)
		load_symtab(&debug->elf, &state->statics);
	return &state->statics;
}

bool pyr_image_symbol(struct pyr_target *target, const struct pyr_image *image, const char *name,
		      pyr_addr *address, uint64_t *size)
{
	Elf64_Sym symbol;

	if (!pyr_symbols_find(dynamic_symbols(target, image), name, &symbol) &&
	    !pyr_symbols_find(static_symbols(image), name, &symbol))
		return false;
	if (address)
		*address = symbol.st_shndx == SHN_ABS ? symbol.st_value
						      : symbol.st_value + image->bias;
	if (size)
		*size = symbol.st_size;
	return true;
}

bool pyr_image_file_symbol(const struct pyr_image *image, const char *file, const char *name,
			   pyr_addr *address, uint64_t *size)
{
	Elf64_Sym symbol;

	if (!pyr_symbols_find_in_file(static_symbols(image), file, name, &symbol))
		return false;
	*address = symbol.st_value + image->bias;
	*size = symbol.st_size;
	return true;
}

bool pyr_image_symbol_at(struct pyr_target *target, const struct pyr_image *image, pyr_addr addr,
			 const char **name, uint64_t *offset)
{
	struct pyr_image_state *state = pyr_image_state(image);
	const struct pyr_symbol_span *span;

	if (!state->spans_sought) {
		/* Without memory for all there are fewer names, never wrong ones. */
		state->spans_sought = true;
		if (pyr_symbol_spans_add(&state->spans, dynamic_symbols(target, image)))
			pyr_symbol_spans_add(&state->spans, static_symbols(image));
		pyr_symbol_spans_sort(&state->spans);
	}
	span = pyr_symbol_spans_at(&state->spans, addr - image->bias);
	if (!span)
		return false;
	*name = span->name;
	*offset = addr - image->bias - span->start;
	return true;
}
