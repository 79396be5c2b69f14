/* Shared by the files of labels and by folding; private to this room. */
#ifndef PYR_NAMES_LABELS_INTERNAL_H
#define PYR_NAMES_LABELS_INTERNAL_H

#include "names/labels.h"
#include "runtime/access.h"
#include "values/values.h"

struct pyr_label_writer {
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *l;
	struct pyr_strbuf *out;
};

/* A key or a similar value inside a name: bounded, one level deep. */
void pyr_label_value(struct pyr_label_writer *w, pyr_addr object);
/* `.name`, or `.__dict__['odd name']`; false when @name is no str. */
bool pyr_label_attribute(struct pyr_label_writer *w, pyr_addr name);
/* `local "x" of gen at app.py:3`: variable @index of the frame of @owner, a frame
 * or a generator. */
void pyr_label_local(struct pyr_label_writer *w, const struct pyr_step *step);
/* Item @index of the tuple @names as UTF-8, or NULL; to be freed. */
char *pyr_label_tuple_name(struct pyr_label_writer *w, pyr_addr names, uint64_t index);
/* The C string at @name when it is UTF-8, or NULL; to be freed. */
char *pyr_label_c_name(struct pyr_label_writer *w, pyr_addr name);

/* `[3]`, or `.st_mode` of a struct sequence. */
void pyr_label_item(struct pyr_label_writer *w, const struct pyr_type *type, uint64_t index);

/* labels_members.c: the member of the C structure at @offset, "func", or NULL;
 * *@owned is to be freed when it is set. */
const char *pyr_label_member(struct pyr_label_writer *w, const struct pyr_type *type,
			     uint64_t offset, char **owned);
/* The name of a FIELD or WORD edge, "__dict__", or NULL; likewise. */
const char *pyr_label_member_of(struct pyr_label_writer *w, const struct pyr_step *step,
				char **owned);

/* labels_getters.c: the name of the getter of @type that returns this word; to be freed. */
char *pyr_label_getter(struct pyr_label_writer *w, const struct pyr_type *type, uint64_t offset);

/* labels_visited.c: what was visited outside of the instance's own words. */
void pyr_label_visited(struct pyr_label_writer *w, const struct pyr_step *step);

#endif
