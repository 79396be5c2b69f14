/* Members of C structures by their offsets: from the fields that are known, and from
 * the member descriptors and getters of the type itself. */
#include <stdlib.h>

#include "names/labels_internal.h"

struct member_row {
	const char *type; /* NULL: a member of the type above */
	enum pyr_field field;
	const char *name;
};

static const struct member_row rows[] = {
#define NATIVE(type, walker) {type, 0, NULL},
#define TYPE(type) {type, 0, NULL},
#define VISIT(s, f, name) {NULL, PYR_FIELD(s, f), name},
#define OWN(s, f, name) {NULL, PYR_FIELD(s, f), name},
#define PASS(s, f, name) {NULL, PYR_FIELD(s, f), name},
#define AT(size, offset, name)
#define MEMBER(s, f, name) {NULL, PYR_FIELD(s, f), name},
#include "references/refs.def"
#include "references/members.def"
#undef NATIVE
#undef TYPE
#undef VISIT
#undef OWN
#undef PASS
#undef AT
#undef MEMBER
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

#define MEMBERS_MAX 1000u
#define BASES_MAX 200u

static const char *known_member(struct pyr_label_writer *w, const struct pyr_type *type,
				uint64_t offset)
{
	const char *name = pyr_type_name(w->types, type);
	size_t i, k;

	for (i = 0; i < ROWS; i++) {
		if (!rows[i].type || strcmp(rows[i].type, name) != 0)
			continue;
		for (k = i + 1; k < ROWS && !rows[k].type; k++)
			if (pyr_layout_has(w->l, rows[k].field) &&
			    (uint64_t)pyr_layout_offset(w->l, rows[k].field) == offset)
				return rows[k].name;
	}
	return NULL;
}

/* tp_members: an array of PyMemberDef that ends with a NULL name (structmember.h). */
static char *described_member(struct pyr_label_writer *w, const struct pyr_type *type,
			      uint64_t offset)
{
	pyr_addr member = pyr_get_addr(w->l, w->reader, type->address, PyTypeObject, tp_members);
	uint32_t size = pyr_sizeof(w->l, PyMemberDef);
	uint64_t kind, flags;
	int64_t at;
	pyr_addr name;
	unsigned i;

	for (i = 0; member && size && i < MEMBERS_MAX; i++, member += size) {
		name = pyr_get_addr(w->l, w->reader, member, PyMemberDef, name);
		if (!name || !pyr_get_u64(w->l, w->reader, member, PyMemberDef, type, &kind) ||
		    !pyr_get_i64(w->l, w->reader, member, PyMemberDef, offset, &at))
			return NULL;
		/* T_OBJECT, T_OBJECT_EX; not those behind the items (_Py_AFTER_ITEMS) */
		if ((kind != 6 && kind != 16) || at < 0 || (uint64_t)at != offset ||
		    (pyr_get_u64(w->l, w->reader, member, PyMemberDef, flags, &flags) &&
		     flags & 16))
			continue;
		return pyr_label_c_name(w, name);
	}
	return NULL;
}

const char *pyr_label_member(struct pyr_label_writer *w, const struct pyr_type *type,
			     uint64_t offset, char **owned)
{
	const struct pyr_type *base;
	const char *name;
	unsigned depth;

	*owned = NULL;
	if (offset == (uint64_t)pyr_offset(w->l, PyObject, ob_type))
		return "__class__";
	if (type->dictoffset > 0 && offset == (uint64_t)type->dictoffset)
		return "__dict__";
	for (base = type, depth = 0; base && depth < BASES_MAX; depth++) {
		if ((name = known_member(w, base, offset)))
			return name;
		if ((*owned = described_member(w, base, offset)) ||
		    (*owned = pyr_label_getter(w, base, offset)))
			return *owned;
		base = base->base ? pyr_types_get(w->types, w->reader, base->base) : NULL;
	}
	return NULL;
}

const char *pyr_label_member_of(struct pyr_label_writer *w, const struct pyr_step *step,
				char **owned)
{
	*owned = NULL;
	switch (PYR_REF_KIND(step->label)) {
	case PYR_EDGE_FIELD:
		return pyr_ref_name(PYR_REF_NAME(step->label));
	case PYR_EDGE_WORD:
		return pyr_label_member(w, step->type, step->detail, owned);
	default:
		return NULL;
	}
}
