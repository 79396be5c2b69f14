/* Plans: what instances of each type own, compiled once per type. */
#include "heap/refs_walk.h"
#include "runtime/object.h"

#include <stdlib.h>

/* Rows of refs.def, flattened: a type, then its fields. */
struct row {
	const char *type; /* NULL: a field of the type above */
	enum pyr_walker walker;
	enum pyr_field field;
	uint32_t flags;
	const char *name;
	uint32_t size, offset; /* AT */
};

#define NO_FIELD ((enum pyr_field)PYR_F_COUNT)

static const struct row rows[] = {
#define NATIVE(title, how) {.type = title, .walker = PYR_WALK_##how},
#define VISIT(s, f, text)                                                                          \
	{.field = PYR_FIELD(s, f), .flags = PYR_REF_TRAVERSED | PYR_REF_OWNED, .name = text},
#define OWN(s, f, text) {.field = PYR_FIELD(s, f), .flags = PYR_REF_OWNED, .name = text},
#define PASS(s, f, text) {.field = PYR_FIELD(s, f), .flags = PYR_REF_TRAVERSED, .name = text},
#define AT(bytes, at, text)                                                                        \
	{.field = NO_FIELD, .flags = PYR_REF_OWNED, .name = text, .size = bytes, .offset = at},
#include "heap/refs.def"
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
#include "heap/refs_names.def"
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

static const struct row *row_of(struct pyr_refs *refs, const struct pyr_type *type)
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
static const struct row *native_row(struct pyr_refs *refs, struct pyr_reader *reader,
				    const struct pyr_type *type)
{
	pyr_addr traverse = type->traverse;
	const struct row *row;
	unsigned depth;

	for (depth = 0; depth < 200 && type && type->traverse == traverse; depth++) {
		if ((row = row_of(refs, type)))
			return row;
		type = type->base ? pyr_types_get(refs->types, reader, type->base) : NULL;
	}
	return NULL;
}

#define STRUCT_SEQUENCE_MAX 64 /* items; os.stat_result has 23 */

struct builder {
	struct pyr_refs *refs;
	struct pyr_reader *reader;
	PYR_VEC(struct pyr_plan_field) fields;
	bool failed;
	struct pyr_plan plan; /* without its fields */
};

static void add_field(struct builder *b, int32_t offset, uint32_t label, uint64_t detail)
{
	struct pyr_plan_field f = {.offset = offset, .label = label, .detail = detail};

	if (offset >= 0 && !pyr_vec_push(&b->fields, f))
		b->failed = true;
}

/* @only_owned: leave out what is visited. */
static void add_row_fields(struct builder *b, const struct row *row, const struct pyr_type *type,
			   bool only_owned)
{
	uint32_t header = pyr_sizeof(b->refs->layout, PyObject);
	const struct row *r;
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
static void add_slots(struct builder *b, const struct pyr_type *type)
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

static void set_dict(struct builder *b, const struct pyr_type *type)
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
static const struct pyr_type *add_subtype(struct builder *b, const struct pyr_type *type)
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

/* What a type owns whose traverse function is asked (or that has none): what refs.def
 * knows of it and of its bases that is not visited. */
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

static void add_owned(struct builder *b, const struct pyr_type *type)
{
	const struct row *row;
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
static bool tells_all(const struct pyr_refs *refs, const struct row *row,
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
static uint64_t struct_sequence_items(struct builder *b, const struct pyr_type *type)
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

static struct pyr_plan *compile(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type)
{
	struct builder b = {.refs = refs, .reader = reader};
	const struct pyr_type *base = type;
	const struct row *row;
	struct pyr_plan *plan = NULL;
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

const struct pyr_plan *pyr_refs_plan(struct pyr_refs *refs, struct pyr_reader *reader,
				     const struct pyr_type *type)
{
	struct pyr_plan *plan, *none = NULL;

	if (type->index >= refs->capacity)
		return NULL;
	plan = atomic_load_explicit(&refs->plans[type->index], memory_order_acquire);
	if (plan)
		return plan;
	plan = compile(refs, reader, type);
	if (plan && !atomic_compare_exchange_strong(&refs->plans[type->index], &none, plan)) {
		free(plan);
		plan = none;
	}
	return plan;
}

enum pyr_coverage pyr_plan_coverage(const struct pyr_type *type, const struct pyr_plan *plan)
{
	if (plan->walker == PYR_WALK_UNKNOWN ||
	    atomic_load_explicit(&plan->state, memory_order_relaxed) == PYR_PLAN_REFUTED)
		return type->gc ? PYR_REFS_UNKNOWN : PYR_REFS_NONE;
	return plan->walker == PYR_WALK_MODULE ? PYR_REFS_PARTIAL : PYR_REFS_NATIVE;
}

enum pyr_coverage pyr_refs_walk(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
				void *ctx)
{
	struct pyr_walk w = {.refs = refs,
			     .reader = reader,
			     .type = type,
			     .addr = addr,
			     .fn = fn,
			     .ctx = ctx,
			     .details = true,
			     .plan = pyr_refs_plan(refs, reader, type)};

	if (!w.plan)
		return PYR_REFS_UNKNOWN;
	pyr_walk_object(&w);
	return w.damaged ? PYR_REFS_DAMAGED : pyr_plan_coverage(type, w.plan);
}

struct owned {
	pyr_ref_fn fn;
	void *ctx;
	bool all; /* also what the function would have visited: it was not asked */
};

static void tell_owned(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct owned *o = ctx;

	if (label & PYR_REF_OWNED && (o->all || !(label & PYR_REF_TRAVERSED)))
		o->fn(o->ctx, target, label & ~PYR_REF_TRAVERSED, detail);
}

bool pyr_refs_walk_besides(struct pyr_refs *refs, struct pyr_reader *reader,
			   const struct pyr_type *type, pyr_addr addr,
			   const struct pyr_visited *visited, pyr_ref_fn fn, void *ctx)
{
	struct owned o = {.fn = fn, .ctx = ctx, .all = !visited};
	struct pyr_walk w = {.refs = refs,
			     .reader = reader,
			     .type = type,
			     .addr = addr,
			     .fn = fn,
			     .ctx = ctx,
			     .details = true,
			     .visited = visited,
			     .plan = pyr_refs_plan(refs, reader, type)};
	const struct pyr_plan_field *f;
	pyr_addr target, place;
	uint32_t label, i;

	if (!w.plan)
		return true;
	/* The function that was asked visits the fields of such plans itself. */
	if (w.plan->walker != PYR_WALK_UNKNOWN) {
		w.fn = tell_owned;
		w.ctx = &o;
	}
	for (i = 0; i < w.plan->count; i++) {
		f = &w.plan->fields[i];
		place = addr + (pyr_addr)f->offset +
			(f->behind_items ? pyr_walk_items_size(&w) : 0);
		if ((f->label & PYR_REF_TRAVERSED || !visited ||
		     !pyr_visited_word(visited, (uint32_t)f->offset)) &&
		    pyr_try_u64(reader, place, &target))
			pyr_walk_tell(&w, target, f->label, f->detail);
	}
	if (w.plan->dict_mode != PYR_DICT_NOT_VISITED)
		pyr_walk_instance_dict(&w);
	label = (w.plan->visits_type ? PYR_REF_TRAVERSED : 0) |
		(w.plan->owns_type && !(visited && visited->type) ? PYR_REF_OWNED : 0);
	if (label)
		pyr_walk_tell(&w, type->address, PYR_EDGE_TYPE | label, 0);
	w.fn = tell_owned;
	w.ctx = &o;
	if (w.plan->owner != PYR_WALK_UNKNOWN)
		pyr_walk_rest(&w, w.plan->owner);
	return !w.damaged;
}

const struct pyr_type *pyr_refs_asked(struct pyr_refs *refs, struct pyr_reader *reader,
				      const struct pyr_type *type)
{
	const struct pyr_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? plan->asked : type;
}

static void count_visits(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	(void)target;
	(void)detail;
	*(size_t *)ctx += (label & PYR_REF_TRAVERSED) != 0;
}

void pyr_refs_settle(struct pyr_refs *refs, struct pyr_reader *reader, const struct pyr_type *type,
		     pyr_addr addr)
{
	struct pyr_plan *plan = (struct pyr_plan *)pyr_refs_plan(refs, reader, type);
	size_t visited, known = 0;
	struct pyr_walk w = {.refs = refs,
			     .reader = reader,
			     .type = type,
			     .addr = addr,
			     .fn = count_visits,
			     .ctx = &known,
			     .plan = plan};

	if (!plan || atomic_load(&plan->state) != PYR_PLAN_UNSETTLED)
		return;
	if (!refs->ask || !refs->ask(refs->ask_ctx, type, addr, &visited)) {
		/* Heap types are expected to visit their type since 3.9 (bpo-40217). */
		plan->visits_type |= !pyr_is(refs->layout, subtype_visits_type, ALWAYS);
		atomic_store(&plan->state, PYR_PLAN_SETTLED);
		return;
	}
	pyr_walk_object(&w);
	if (visited == known + 1 && !plan->visits_type && type->heap)
		plan->visits_type = true;
	else if (visited != known)
		atomic_store(&plan->state, PYR_PLAN_REFUTED);
	if (atomic_load(&plan->state) == PYR_PLAN_UNSETTLED)
		atomic_store(&plan->state, PYR_PLAN_SETTLED);
}

enum pyr_walker pyr_refs_owner(struct pyr_refs *refs, struct pyr_reader *reader,
			       const struct pyr_type *type)
{
	const struct pyr_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? plan->owner : PYR_WALK_UNKNOWN;
}

bool pyr_refs_must_ask(struct pyr_refs *refs, struct pyr_reader *reader,
		       const struct pyr_type *type, pyr_addr addr)
{
	const struct pyr_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan &&
	       (atomic_load_explicit(&plan->state, memory_order_relaxed) == PYR_PLAN_UNSETTLED ||
		pyr_walk_must_ask(refs, reader, plan, addr));
}

bool pyr_refs_nothing(struct pyr_refs *refs, struct pyr_reader *reader, const struct pyr_type *type)
{
	const struct pyr_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan && !plan->count && plan->dict_mode == PYR_DICT_NOT_VISITED &&
	       !plan->visits_type && !plan->owns_type &&
	       (plan->walker == PYR_WALK_FIELDS ||
		(plan->walker == PYR_WALK_UNKNOWN &&
		 pyr_plan_coverage(type, plan) == PYR_REFS_NONE));
}

enum pyr_coverage pyr_refs_coverage(struct pyr_refs *refs, struct pyr_reader *reader,
				    const struct pyr_type *type)
{
	const struct pyr_plan *plan = pyr_refs_plan(refs, reader, type);

	return plan ? pyr_plan_coverage(type, plan) : PYR_REFS_UNKNOWN;
}

/* subtype_traverse() is a local symbol. It is the traverse function that most
 * heap types share whose bases are not their definers: asked of the symbol table
 * first, then of the classes that are known by now. */
static pyr_addr find_subtype_traverse(struct pyr_types *types)
{
	struct pyr_python *python = pyr_types_python(types);
	struct {
		pyr_addr traverse;
		unsigned votes;
	} best[64] = {0};
	const struct pyr_type *type;
	uint32_t i, count = pyr_types_count(types);
	unsigned k, most = 0;
	pyr_addr found;

	if (python->image &&
	    pyr_image_symbol(python->target, python->image, "subtype_traverse", &found, NULL))
		return found;
	for (i = 0; i < count; i++) {
		type = pyr_types_at(types, i);
		if (!type || !type->heap || !type->gc || !type->traverse)
			continue;
		for (k = 0; k < 64 && best[k].traverse && best[k].traverse != type->traverse; k++)
			;
		if (k < 64) {
			best[k].traverse = type->traverse;
			best[k].votes++;
		}
	}
	for (k = 1; k < 64; k++)
		if (best[k].votes > best[most].votes)
			most = k;
	return best[most].traverse;
}

/* lookdict(), the lookup function of tables with keys of any type, is a local
 * symbol. The subclasses of `object` are such a table in every process: their
 * keys are ints. */
static pyr_addr find_lookdict(struct pyr_types *types)
{
	struct pyr_python *python = pyr_types_python(types);
	const struct pyr_layout *l = &python->layout;
	pyr_addr dict, keys;

	if (!pyr_is(l, dict_keys, LOOKUP_FN))
		return 0;
	dict = pyr_get_addr(l, &python->reader, python->known[PYR_KNOWN_OBJECT_TYPE], PyTypeObject,
			    tp_subclasses);
	keys = dict ? pyr_get_addr(l, &python->reader, dict, PyDictObject, ma_keys) : 0;
	return keys ? pyr_get_addr(l, &python->reader, keys, PyDictKeysObject, dk_lookup) : 0;
}

bool pyr_refs_add_interned(struct pyr_refs *refs, pyr_addr dict)
{
	size_t i;

	for (i = 0; i < refs->interned.count; i++)
		if (refs->interned.data[i] == dict)
			return true;
	return pyr_vec_push(&refs->interned, dict);
}

const pyr_addr *pyr_refs_interned(const struct pyr_refs *refs, size_t *count)
{
	*count = refs->interned.count;
	return refs->interned.data;
}

/* The tables of interned strings that can be had without looking through the heap. */
static bool find_interned(struct pyr_refs *refs)
{
	struct pyr_python *python = pyr_types_python(refs->types);
	pyr_addr place, dict = 0;
	size_t i;

	if (pyr_is(refs->layout, interned_location, STATIC))
		return !python->image ||
		       !pyr_image_symbol(python->target, python->image, "interned", &place, NULL) ||
		       !pyr_try_u64(&python->reader, place, &dict) || !dict ||
		       pyr_refs_add_interned(refs, dict);
	for (i = 0; i < python->interpreters.count; i++) {
		dict = pyr_get_addr(refs->layout, &python->reader,
				    python->interpreters.data[i].address, PyInterpreterState,
				    interned_strings);
		if (dict && !pyr_refs_add_interned(refs, dict))
			return false;
	}
	return true;
}

pyr_error *pyr_refs_create(struct pyr_types *types, struct pyr_refs **ret)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;
	struct pyr_refs *refs = calloc(1, sizeof(*refs));

	if (!refs)
		return pyr_error_no_memory();
	refs->types = types;
	refs->layout = l;
	/* Types that appear later than this are walked as unknown. */
	refs->capacity = pyr_types_count(types) + 4096;
	refs->plans = calloc(refs->capacity, sizeof(*refs->plans));
	if (!refs->plans) {
		free(refs);
		return pyr_error_no_memory();
	}
	refs->ob_type = pyr_offset(l, PyObject, ob_type);
	refs->lookup_in_keys = pyr_is(l, dict_keys, LOOKUP_FN);
	refs->ob_size = pyr_offset(l, PyVarObject, ob_size);
	refs->list_items = pyr_offset(l, PyListObject, ob_item);
	refs->list_allocated = pyr_offset(l, PyListObject, allocated);
	refs->tuple_items = pyr_offset(l, PyTupleObject, ob_item);
	refs->ma_keys = pyr_offset(l, PyDictObject, ma_keys);
	refs->ma_values = pyr_offset(l, PyDictObject, ma_values);
	refs->rule = pyr_is(l, managed_dict_traversal, DICT_FIRST)     ? PYR_RULE_DICT_FIRST
		     : pyr_is(l, managed_dict_traversal, VALUES_FIRST) ? PYR_RULE_VALUES_FIRST
								       : PYR_RULE_UNDECIDED;
	refs->subtype_traverse = find_subtype_traverse(types);
	refs->lookdict = find_lookdict(types);
	if (!find_interned(refs)) {
		pyr_refs_destroy(refs);
		return pyr_error_no_memory();
	}
	*ret = refs;
	return NULL;
}

void pyr_refs_ask(struct pyr_refs *refs,
		  bool (*ask)(void *ctx, const struct pyr_type *type, pyr_addr object,
			      size_t *visited),
		  void *ctx)
{
	refs->ask = ask;
	refs->ask_ctx = ctx;
}

void pyr_refs_destroy(struct pyr_refs *refs)
{
	uint32_t i;

	if (!refs)
		return;
	for (i = 0; i < refs->capacity; i++)
		free(atomic_load(&refs->plans[i]));
	free(refs->plans);
	pyr_vec_deinit(&refs->interned);
	free(refs);
}
