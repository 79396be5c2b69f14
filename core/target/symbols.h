/* A table of ELF symbols in memory of ours: found by name through the table's
 * own GNU hash or an index built on first use, and by address through a sorted
 * list built on first use. */
#ifndef PYR_TARGET_SYMBOLS_H
#define PYR_TARGET_SYMBOLS_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/vec.h"

struct pyr_symbols {
	const uint8_t *table; /* Elf64_Sym, not necessarily aligned */
	size_t count;
	const char *strings;
	size_t strings_size;
	const uint8_t *gnu_hash; /* DT_GNU_HASH, or NULL */
	size_t gnu_hash_size;
	uint32_t *index; /* symbol number by hash of its name; 0: empty */
	size_t index_size;
};

/* A defined symbol with an address (no TLS, sections, files). A global one is
 * preferred to a local one of the same name. False also when memory ran out. */
bool pyr_symbols_find(struct pyr_symbols *symbols, const char *name, Elf64_Sym *ret);
/* The one of that name among those of a source file ("floatobject.c"): local symbols follow
 * that of their file. Linear. */
bool pyr_symbols_find_in_file(const struct pyr_symbols *symbols, const char *file, const char *name,
			      Elf64_Sym *ret);
void pyr_symbols_deinit(struct pyr_symbols *symbols); /* what was built, not the table */

struct pyr_symbol_span {
	uint64_t start, end, highest; /* highest end of this and all before it */
	const char *name;
	bool global;
};

struct pyr_symbol_spans {
	PYR_VEC(struct pyr_symbol_span) v;
};

/* Add the functions and data of a table; sort once at the end. */
bool pyr_symbol_spans_add(struct pyr_symbol_spans *spans, const struct pyr_symbols *symbols);
void pyr_symbol_spans_sort(struct pyr_symbol_spans *spans);
/* The innermost span that contains @address (link time), or NULL. */
const struct pyr_symbol_span *pyr_symbol_spans_at(const struct pyr_symbol_spans *spans,
						  uint64_t address);

#endif
