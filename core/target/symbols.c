#include "target/symbols.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "target/elf_file.h"

/* Only a forged table has longer runs of equal hashes. */
#define PROBES_MAX 4096u

static bool symbol_at(const struct pyr_symbols *s, size_t index, Elf64_Sym *ret)
{
	if (index >= s->count)
		return false;
	memcpy(ret, s->table + index * sizeof(*ret), sizeof(*ret));
	return true;
}

static bool has_address(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx != SHN_COMMON && type != STT_TLS &&
	       type != STT_SECTION && type != STT_FILE;
}

static const char *name_of(const struct pyr_symbols *s, const Elf64_Sym *symbol)
{
	return pyr_elf_string(s->strings, s->strings_size, symbol->st_name);
}

/* Does symbol @index have that name and an address? */
static bool is_named(const struct pyr_symbols *s, size_t index, const char *name, Elf64_Sym *ret)
{
	const char *text;
	Elf64_Sym symbol;

	if (!symbol_at(s, index, &symbol) || !has_address(&symbol))
		return false;
	text = name_of(s, &symbol);
	if (!text || strcmp(text, name))
		return false;
	*ret = symbol;
	return true;
}

static uint32_t hash_name(const char *name)
{
	uint32_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (uint8_t)*name;
	return h;
}

static uint32_t word(const uint8_t *bytes, size_t index)
{
	uint32_t v;

	memcpy(&v, bytes + 4 * index, sizeof(v));
	return v;
}

/* As elf/dl-lookup.c, check_match() reaches it: bucket, then the chain until a
 * hash with its lowest bit set. False also when the table makes no sense. */
static bool find_by_gnu_hash(const struct pyr_symbols *s, const char *name, Elf64_Sym *ret)
{
	size_t words = s->gnu_hash_size / 4, buckets, first, bloom, chain, i;
	uint32_t hash = hash_name(name), h;

	if (words < 4)
		return false;
	buckets = word(s->gnu_hash, 0);
	first = word(s->gnu_hash, 1);
	bloom = 2 * (size_t)word(s->gnu_hash, 2);
	if (!buckets || bloom > words - 4 || buckets > words - 4 - bloom)
		return false;
	chain = 4 + bloom + buckets;
	i = word(s->gnu_hash, 4 + bloom + hash % buckets);
	if (i < first)
		return false;
	for (; i - first < words - chain; i++) {
		h = word(s->gnu_hash, chain + i - first);
		if ((h | 1) == (hash | 1) && is_named(s, i, name, ret))
			return true;
		if (h & 1)
			return false;
	}
	return false;
}

/* Globals go in first, so that a flood of equal local names hides none. */
static void index_class(struct pyr_symbols *s, bool local)
{
	size_t i, slot, probes;
	const char *name;
	Elf64_Sym symbol;

	for (i = 1; symbol_at(s, i, &symbol); i++) {
		if (!has_address(&symbol) ||
		    (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) != local ||
		    !(name = name_of(s, &symbol)) || !*name)
			continue;
		slot = hash_name(name) & (s->index_size - 1);
		for (probes = 0; s->index[slot] && probes < PROBES_MAX; probes++)
			slot = (slot + 1) & (s->index_size - 1);
		if (!s->index[slot])
			s->index[slot] = (uint32_t)i;
	}
}

static bool build_index(struct pyr_symbols *s)
{
	size_t size = 16;

	if (s->count > UINT32_MAX)
		return false;
	while (size < 2 * s->count)
		size *= 2;
	s->index = calloc(size, sizeof(*s->index));
	if (!s->index)
		return false;
	s->index_size = size;
	index_class(s, false);
	index_class(s, true);
	return true;
}

bool pyr_symbols_find(struct pyr_symbols *s, const char *name, Elf64_Sym *ret)
{
	size_t slot;

	if (s->gnu_hash)
		return find_by_gnu_hash(s, name, ret);
	if (!s->count || (!s->index && !build_index(s)))
		return false;
	for (slot = hash_name(name) & (s->index_size - 1); s->index[slot];
	     slot = (slot + 1) & (s->index_size - 1))
		if (is_named(s, s->index[slot], name, ret))
			return true;
	return false;
}

bool pyr_symbols_find_in_file(const struct pyr_symbols *s, const char *file, const char *name,
			      Elf64_Sym *ret)
{
	bool inside = false;
	const char *text;
	Elf64_Sym symbol;
	size_t i;

	for (i = 1; symbol_at(s, i, &symbol); i++) {
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FILE) {
			text = name_of(s, &symbol);
			inside = text && !strcmp(text, file);
		} else if (inside && ELF64_ST_BIND(symbol.st_info) == STB_LOCAL &&
			   is_named(s, i, name, ret)) {
			return true;
		}
	}
	return false;
}

void pyr_symbols_deinit(struct pyr_symbols *s)
{
	free(s->index);
	memset(s, 0, sizeof(*s));
}

bool pyr_symbol_spans_add(struct pyr_symbol_spans *spans, const struct pyr_symbols *s)
{
	struct pyr_symbol_span span = {0};
	Elf64_Sym symbol;
	unsigned type;
	size_t i;

	for (i = 1; symbol_at(s, i, &symbol); i++) {
		type = ELF64_ST_TYPE(symbol.st_info);
		/* Without a type: assembler labels, and aarch64's mapping symbols. */
		if (!has_address(&symbol) || symbol.st_shndx == SHN_ABS ||
		    (type != STT_FUNC && type != STT_OBJECT && type != STT_GNU_IFUNC) ||
		    !(span.name = name_of(s, &symbol)) || !*span.name)
			continue;
		span.start = symbol.st_value;
		if (__builtin_add_overflow(symbol.st_value, symbol.st_size ? symbol.st_size : 1,
					   &span.end))
			continue;
		span.global = ELF64_ST_BIND(symbol.st_info) != STB_LOCAL;
		if (!pyr_vec_push(&spans->v, span))
			return false;
	}
	return true;
}

/* Of aliases the global name comes last, and so is found first. */
static int span_order(const void *a, const void *b)
{
	const struct pyr_symbol_span *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	if (x->end != y->end)
		return x->end > y->end ? -1 : 1;
	if (x->global != y->global)
		return x->global ? 1 : -1;
	return strcmp(y->name, x->name);
}

void pyr_symbol_spans_sort(struct pyr_symbol_spans *spans)
{
	uint64_t highest = 0;
	size_t i;

	if (!spans->v.count)
		return;
	qsort(spans->v.data, spans->v.count, sizeof(*spans->v.data), span_order);
	for (i = 0; i < spans->v.count; i++) {
		if (spans->v.data[i].end > highest)
			highest = spans->v.data[i].end;
		spans->v.data[i].highest = highest;
	}
}

const struct pyr_symbol_span *pyr_symbol_spans_at(const struct pyr_symbol_spans *spans,
						  uint64_t address)
{
	const struct pyr_symbol_span *v = spans->v.data;
	size_t i = pyr_search(k, spans->v.count, v[k].start <= address);

	while (i-- > 0 && v[i].highest > address)
		if (address < v[i].end)
			return &v[i];
	return NULL;
}
