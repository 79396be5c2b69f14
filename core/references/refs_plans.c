/* Plans: what instances of each type own, compiled once per type. */
#include "references/refs_plan.h"
#include "values/object.h"

#include <stdlib.h>

/* Rows of refs.def, flattened: a type, then its fields. */
struct plan_row {
	const char *type; /* NULL: a field of the type above */
	enum pyr_walker walker;
	enum pyr_field field;
	uint32_t flags;
	const char *name;
	uint32_t size, offset; /* AT */
};

#define NO_FIELD ((enum pyr_field)PYR_F_COUNT)

static const struct plan_row rows[] = {
#define NATIVE(title, how) {.type = title, .walker = PYR_WALK_##how},
#define VISIT(s, f, text)                                                                          \
	{.field = PYR_FIELD(s, f), .flags = PYR_REF_TRAVERSED | PYR_REF_OWNED, .name = text},
#define OWN(s, f, text) {.field = PYR_FIELD(s, f), .flags = PYR_REF_OWNED, .name = text},
#define PASS(s, f, text) {.field = PYR_FIELD(s, f), .flags = PYR_REF_TRAVERSED, .name = text},
#define AT(bytes, at, text)                                                                        \
	{.field = NO_FIELD, .flags = PYR_REF_OWNED, .name = text, .size = bytes, .offset = at},
#include "references/refs.def"
#undef NATIVE
#undef VISIT
#undef OWN
#undef PASS
#undef AT
};
#define ROWS (sizeof(rows) / sizeof(*rows))

/* Names of references that walkers make up themselves. */
static const char *const extra_names[] = {
#define NAME(text) text,
#include "references/refs_names.def"
#undef NAME
};
#define EXTRA_NAMES (sizeof(extra_names) / sizeof(*extra_names))

const char *pyr_ref_name(uint32_t name)
{
	if (name < EXTRA_NAMES)
		return extra_names[name];
	name -= EXTRA_NAMES;
	return name < ROWS && rows[name].name ? rows[name].name : "?";
}

/* Types of extensions have no module where their names have no dot, and are called builtin
 * then (Cython's "generator"): their code is not the interpreter's. */
static bool is_foreign(struct pyr_refs *refs, const struct pyr_type *type, const char *name)
{
	const struct pyr_image *image = pyr_types_python(refs->types)->image;
	pyr_addr code = type->traverse ? type->traverse : type->heap ? 0 : type->address;

	return image && code && !strncmp(name, "builtins.", 9) &&
	       (code < image->start || code >= image->end);
}

static const struct plan_row *row_of(struct pyr_refs *refs, const struct pyr_type *type)
{
	const char *name = pyr_type_name(refs->types, type);
	size_t i;

	/* Some of the standard library's have such names too: they are asked, and so
	 * their rows say UNKNOWN. */
	for (i = 0; i < ROWS; i++)
		if (rows[i].type && !strcmp(rows[i].type, name) &&
		    (rows[i].walker == PYR_WALK_UNKNOWN || !is_foreign(refs, type, name)))
			return &rows[i];
	return NULL;
}

/* The row of the type that brings @type's tp_traverse: of the nearest base with the same
 * function that refs.def knows. NULL when it knows none of them. */
static const struct plan_row *native_row(struct pyr_refs *refs, struct pyr_reader *reader,
					 const struct pyr_type *type)
{
	pyr_addr traverse = type->traverse;
	const struct plan_row *row;
	unsigned depth;

	for (depth = 0; depth < 200 && type && type->traverse == traverse; depth++) {
		if ((row = row_of(refs, type)))
			return row;
		type = type->base ? pyr_types_get(refs->types, reader, type->base) : NULL;
	}
	return NULL;
}

#define STRUCT_SEQUENCE_MAX 64 /* items; os.stat_result has 23 */

struct plan_builder {
	struct pyr_refs *refs;
	struct pyr_reader *reader;
	PYR_VEC(struct pyr_traverse_plan_field) fields;
	bool failed;
	struct pyr_traverse_plan plan; /* without its fields */
};

static void add_field(struct plan_builder *b, int32_t offset, uint32_t label, uint64_t detail)
{
	struct pyr_traverse_plan_field f = {.offset = offset, .label = label, .detail = detail};

	if (offset >= 0 && !pyr_vec_push(&b->fields, f))
		b->failed = true;
}

/* @only_owned: leave out what is visited. */
static void add_row_fields(struct plan_builder *b, const struct plan_row *row,
			   const struct pyr_type *type, bool only_owned)
{
	uint32_t header = pyr_sizeof(b->refs->layout, PyObject);
	const struct plan_row *r;
	int32_t offset;

	for (r = row + 1; r < rows + ROWS && !r->type; r++) {
		if (only_owned && r->flags & PYR_REF_TRAVERSED)
			continue;
		if (r->field != NO_FIELD)
			offset = pyr_layout_offset(b->refs->layout, r->field);
		else
			offset = type->basicsize == (int64_t)(header + r->size)
					 ? (int32_t)(header + r->offset)
					 : -1;
		add_field(b, offset,
			  PYR_EDGE_FIELD | (r->flags & PYR_BOTH) |
				  (uint32_t)(EXTRA_NAMES + (size_t)(r - rows)) << 16,
			  0);
	}
}

/* T_OBJECT_EX members behind the heap type: traverse_slots(), typeobject.c. */
static void add_slots(struct plan_builder *b, const struct pyr_type *type)
{
	const struct pyr_layout *l = b->refs->layout;
	const struct pyr_type *meta;
	uint64_t metatype, kind, flags, count = 0;
	int64_t offset;
	pyr_addr member, name;
	uint32_t size = pyr_sizeof(l, PyMemberDef);

	if (!type->heap || !size ||
	    !pyr_get_u64(l, b->reader, type->address, PyObject, ob_type, &metatype) ||
	    !(meta = pyr_types_get(b->refs->types, b->reader, metatype)) ||
	    !pyr_get_u64(l, b->reader, type->address, PyVarObject, ob_size, &count) ||
	    count > 10000)
		return;
	for (member = type->address + (pyr_addr)meta->basicsize; count; count--, member += size) {
		if (!pyr_get_u64(l, b->reader, member, PyMemberDef, type, &kind) ||
		    !pyr_get_i64(l, b->reader, member, PyMemberDef, offset, &offset))
			return;
		name = pyr_get_addr(l, b->reader, member, PyMemberDef, name);
		/* T_OBJECT_EX (structmember.h) */
		if (kind != 16 || offset <= 0 || offset >= 1 << 20)
			continue;
		add_field(b, (int32_t)offset, PYR_EDGE_SLOT | PYR_BOTH, name);
		/* _Py_AFTER_ITEMS (descrobject.h) */
		if (b->fields.count && !b->failed && type->itemsize &&
		    pyr_get_u64(l, b->reader, member, PyMemberDef, flags, &flags) && flags & 16)
			b->fields.data[b->fields.count - 1].behind_items = true;
	}
}

static enum pyr_dict_mode dict_mode(const struct pyr_layout *l, const struct pyr_type *type)
{
	if (type->flags & l->type_flags & PYR_TPFLAGS_MANAGED_DICT) {
		switch (pyr_trait(l, instance_dict)) {
		case PYR_TRAIT(instance_dict, MANAGED_TWO_POINTERS):
			return PYR_DICT_MANAGED_POINTERS;
		case PYR_TRAIT(instance_dict, MANAGED_TAGGED):
			return PYR_DICT_MANAGED_TAGGED;
		case PYR_TRAIT(instance_dict, MANAGED_INLINE):
			return PYR_DICT_MANAGED_INLINE;
		default:
			return PYR_DICT_NOT_VISITED;
		}
	}
	if (type->dictoffset > 0)
		return PYR_DICT_AT_OFFSET;
	return type->dictoffset < 0 ? PYR_DICT_FROM_END : PYR_DICT_NOT_VISITED;
}

static void set_dict(struct plan_builder *b, const struct pyr_type *type)
{
	const struct pyr_layout *l = b->refs->layout;

	b->plan.dict_mode = dict_mode(l, type);
	b->plan.dictoffset = type->dictoffset;
	b->plan.inline_values = (type->flags & l->type_flags & PYR_TPFLAGS_INLINE_VALUES) != 0;
	b->plan.cached_keys =
		pyr_get_addr(l, b->reader, type->address, PyHeapTypeObject, ht_cached_keys);
}

/* subtype_traverse(), typeobject.c: the slots of every class down to the first
 * base with another traverse function, the instance dict if that base has none of
 * its own, the type, then the base's function. */
static const struct pyr_type *add_subtype(struct plan_builder *b, const struct pyr_type *type)
{
	const struct pyr_layout *l = b->refs->layout;
	const struct pyr_type *base = type, *next;
	unsigned depth;

	for (depth = 0; depth < 200 && base->traverse == b->refs->subtype_traverse; depth++) {
		add_slots(b, base);
		next = pyr_types_get(b->refs->types, b->reader, base->base);
		if (!next)
			return NULL;
		base = next;
	}
	if (type->dictoffset != base->dictoffset)
		set_dict(b, type);
	b->plan.visits_type = type->heap && (pyr_is(l, subtype_visits_type, ALWAYS) ||
					     !base->traverse || !base->heap);
	return base;
}

/* Every Cython version names its module differently. */
static bool is_cython_function(struct pyr_refs *refs, const struct pyr_type *type)
{
	static const char *const names[] = {".cython_function_or_method", ".fused_cython_function"};
	const char *name = pyr_type_name(refs->types, type);
	size_t length = strlen(name), n, i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		n = strlen(names[i]);
		if (length > n && !strcmp(name + length - n, names[i]))
			return true;
	}
	return false;
}

/* What a type owns whose traverse function is asked (or that has none): what refs.def
 * knows of it and of its bases that is not visited. */
static void add_owned(struct plan_builder *b, const struct pyr_type *type)
{
	const struct plan_row *row;
	unsigned depth;

	for (depth = 0; depth < 200 && type; depth++) {
		if ((row = row_of(b->refs, type))) {
			add_row_fields(b, row, type, true);
			if (row->walker != PYR_WALK_UNKNOWN && row->walker != PYR_WALK_FIELDS &&
			    b->plan.owner == PYR_WALK_UNKNOWN)
				b->plan.owner = row->walker;
		}
		if (b->plan.owner == PYR_WALK_UNKNOWN && is_cython_function(b->refs, type))
			b->plan.owner = PYR_WALK_CYTHON_FUNCTION;
		type = type->base ? pyr_types_get(b->refs->types, b->reader, type->base) : NULL;
	}
}

/* Does the row of @type make asking its function unnecessary? */
static bool tells_all(const struct pyr_refs *refs, const struct plan_row *row,
		      const struct pyr_type *type)
{
	switch (row->walker) {
	case PYR_WALK_UNKNOWN:
		return false;
	case PYR_WALK_MANAGED:
		return (type->flags & refs->layout->type_flags & PYR_TPFLAGS_MANAGED_DICT) != 0;
	default:
		return true;
	}
}

/* A struct sequence: a tuple with a traverse function of its own, whose class tells how many
 * items it really has (structseq_traverse(), structseq.c). 0: it is none. */
static uint64_t struct_sequence_items(struct plan_builder *b, const struct pyr_type *type)
{
	const struct pyr_type *tuple = pyr_types_get(b->refs->types, b->reader, type->base);
	pyr_addr dict, n_fields;
	int64_t count = 0;
	pyr_error *err;

	if (!tuple || !(tuple->flags & PYR_TPFLAGS_TUPLE_SUBCLASS) || !tuple->exact_shape ||
	    !type->traverse || type->traverse == tuple->traverse ||
	    !(dict = pyr_type_dict(b->refs->types, b->reader, type)) ||
	    !(n_fields = pyr_dict_get(b->refs->types, b->reader, dict, "n_fields")))
		return 0;
	if ((err = pyr_int_value(b->refs->types, b->reader, n_fields, &count)))
		pyr_error_destroy(err);
	return count > 0 && count <= STRUCT_SEQUENCE_MAX ? (uint64_t)count : 0;
}

static void add_pointers(struct plan_builder *b)
{
	struct pyr_traverse_plan *plan = &b->plan;

	switch (plan->walker) {
	case PYR_WALK_LIST:
		plan->pointers[0] = b->refs->list_items;
		return;
	case PYR_WALK_DICT:
		plan->pointers[0] = b->refs->ma_keys;
		plan->pointers[1] = b->refs->ma_values;
		return;
	case PYR_WALK_SET:
		plan->pointers[0] = pyr_offset(b->refs->layout, PySetObject, table);
		return;
	default:
		break;
	}
	/* The words before an instance, as pyr_walk_instance_dict() reads them. */
	if (plan->dict_mode == PYR_DICT_MANAGED_POINTERS)
		plan->pointers[0] = -32;
	else if (plan->dict_mode == PYR_DICT_MANAGED_TAGGED)
		plan->pointers[0] = -24;
}

struct pyr_traverse_plan *pyr_traverse_plan_compile(struct pyr_refs *refs,
						    struct pyr_reader *reader,
						    const struct pyr_type *type)
{
	struct plan_builder b = {.refs = refs, .reader = reader};
	const struct pyr_type *base = type;
	const struct plan_row *row;
	struct pyr_traverse_plan *plan = NULL;
	uint64_t items, i;

	b.plan.walker = PYR_WALK_UNKNOWN;
	b.plan.asked = type;
	b.plan.basicsize = (uint64_t)type->basicsize;
	b.plan.owns_type = type->heap;
	if (type->gc && type->traverse && type->traverse == refs->subtype_traverse)
		base = add_subtype(&b, type);
	/* A base without a traverse function holds nothing that the collector sees. */
	if (base && !base->traverse)
		b.plan.walker = PYR_WALK_FIELDS;
	if (base && (row = native_row(refs, reader, base)) && tells_all(refs, row, base)) {
		b.plan.walker = row->walker;
		if (row->walker == PYR_WALK_MANAGED)
			set_dict(&b, type);
		add_row_fields(&b, row, base, false);
		b.plan.state = base->traverse && base->heap ? PYR_PLAN_UNSETTLED : PYR_PLAN_SETTLED;
		if (row->walker == PYR_WALK_LRU_CACHE) {
			/* Of its fields more or less were visited from version to version. */
			b.plan.state = PYR_PLAN_UNSETTLED;
			b.plan.owner = row->walker;
		}
	} else if (base && (items = struct_sequence_items(&b, base))) {
		b.plan.walker = PYR_WALK_FIELDS;
		b.plan.state = PYR_PLAN_UNSETTLED;
		for (i = 0; i < items; i++)
			add_field(&b, refs->tuple_items + (int32_t)i * 8, PYR_EDGE_ITEM | PYR_BOTH,
				  i);
	} else if (base) {
		b.plan.asked = base;
		add_owned(&b, base);
	}
	add_pointers(&b);
	if (!b.failed &&
	    (plan = calloc(1, sizeof(*plan) + b.fields.count * sizeof(*plan->fields)))) {
		*plan = b.plan;
		plan->count = (uint32_t)b.fields.count;
		if (b.fields.count)
			memcpy(plan->fields, b.fields.data, b.fields.count * sizeof(*plan->fields));
	}
	pyr_vec_deinit(&b.fields);
	return plan;
}
