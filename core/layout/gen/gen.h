/* pyretain-layouts: writes core/layout/tables from debug info.
 *
 * It begins with the builds that the checked-in tables describe, reads the images that
 * it is given, replaces what it knew of those builds, computes the derived ones again
 * and writes every table. So a machine that has only some of the images keeps the
 * tables of the others. */
#ifndef PYR_LAYOUT_GEN_H
#define PYR_LAYOUT_GEN_H

#include "base/vec.h"
#include "layout/dwarf.h"
#include "layout/tables.h"

struct gen_entry {
	struct pyr_build build;
	enum pyr_provenance provenance;
	char origin[160];
	struct pyr_dwarf_places places;
	char table[96]; /* "cpython-3.11.7-debian": given while writing */
};

struct gen_entries {
	PYR_VEC(struct gen_entry *) list;
};

struct gen_options {
	const char *root;   /* the images' file system; NULL: this machine's */
	const char *vendor; /* "" or "Debian": who patched and built them */
};

/* image.c: read the interpreter image at @path with its extension modules. */
pyr_error *gen_image_read(const char *path, const struct gen_options *options,
			  struct gen_entry **ret);
/* headers.c: compile the headers under @prefix for @flavour ("debug", "trace-refs",
 * "debug-trace-refs"); structures they do not declare come from @release. */
pyr_error *gen_headers_read(const char *prefix, const char *flavour,
			    const struct gen_entry *release, struct gen_entry **ret);
/* derive.c: add the builds that no debug info describes. */
pyr_error *gen_derive(struct gen_entries *entries);
/* Apply the rules to builds that have debug info on both sides, print the outcome and set
 * *@status to 1 where a rule is wrong. */
pyr_error *gen_verify_rules(const struct gen_entries *entries, int *status);
/* write.c */
pyr_error *gen_write(const char *directory, struct gen_entries *entries);

/* Add @entry, in the place of another one of the same build; takes ownership. */
pyr_error *gen_add(struct gen_entries *entries, struct gen_entry *entry);
bool gen_places_equal(const struct pyr_dwarf_places *a, const struct pyr_dwarf_places *b,
		      bool tell);
const char *gen_flavour(const struct pyr_build *build); /* "", "-debug", ... */
unsigned gen_minor(const struct pyr_build *build);

#endif
