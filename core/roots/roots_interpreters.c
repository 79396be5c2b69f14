/* What interpreters, threads and the runtime own: pycore_interp*.h, pystate.h,
 * pycore_runtime.h. */
#include "roots/roots_internal.h"
#include "roots/roots_rows.h"

#define CALLBACKS_MAX (UINT64_C(1) << 20)
#define IDENTIFIERS_MAX (UINT64_C(1) << 20)

enum of { OF_THREAD, OF_INTERPRETER, OF_RUNTIME, OF_GC };

struct interpreter_row {
	enum of of;
	enum pyr_field field;
	const char *text;
};

#define NO_FIELD ((enum pyr_field)PYR_F_COUNT)

static const struct interpreter_row rows[] = {
#define ROOT_FIELD(of, s, f, text) {OF_##of, PYR_FIELD(s, f), text},
#define ROOT_SPECIAL(of, id, text) {OF_##of, NO_FIELD, text},
#include "roots/roots_fields.def"
#undef ROOT_FIELD
#undef ROOT_SPECIAL
};
#define ROWS PYR_ROOT_ROWS

struct interpreter_place {
	struct pyr_roots *roots;
	struct pyr_reader *reader;
	const struct pyr_layout *layout;
	enum pyr_root_kind kind;
	uint64_t number; /* of the thread or interpreter */
};

/* The reference in the word at @slot. */
static void push_word(const struct interpreter_place *p, pyr_addr slot, uint64_t row,
		      uint64_t index)
{
	uint64_t word;

	if (pyr_try_u64(p->reader, slot, &word) && word)
		pyr_roots_push(p->roots, p->kind, PYR_ROOT_OWNED, word, slot, p->number,
			       row | index << 32);
}

/* The rows of one structure at @base. */
static void push_rows(const struct interpreter_place *p, enum of of, enum pyr_struct structure,
		      pyr_addr base)
{
	const struct pyr_field_place *place;
	size_t i, k;

	for (i = 0; i < ROWS; i++) {
		if (rows[i].of != of || rows[i].field == NO_FIELD ||
		    pyr_layout_field_struct(rows[i].field) != structure ||
		    !pyr_layout_has(p->layout, rows[i].field))
			continue;
		place = pyr_layout_place(p->layout, rows[i].field);
		for (k = 0; k < (place->size <= 8 ? 1 : place->size / 8); k++)
			push_word(p, base + (pyr_addr)place->offset + 8 * k, i, k);
	}
}

/* --- threads --- */

static void push_thread(struct interpreter_place *p, pyr_addr tstate)
{
	static const struct {
		enum pyr_field field;
		uint64_t row;
	} items[] = {
		{PYR_FIELD(_PyErr_StackItem, exc_type), PYR_ROOT_ROW_EXC_STATE_TYPE},
		{PYR_FIELD(_PyErr_StackItem, exc_value), PYR_ROOT_ROW_EXC_STATE_VALUE},
		{PYR_FIELD(_PyErr_StackItem, exc_traceback), PYR_ROOT_ROW_EXC_STATE_TRACEBACK},
	};
	int32_t state = pyr_offset(p->layout, PyThreadState, exc_state), at;
	size_t i;

	p->kind = PYR_ROOT_THREAD;
	push_rows(p, OF_THREAD, PYR_STRUCT(PyThreadState), tstate);
	push_rows(p, OF_THREAD, PYR_STRUCT(_PyThreadStateImpl), tstate);
	/* The items of the exc_info chain that are not generators' own. */
	for (i = 0; state >= 0 && i < sizeof(items) / sizeof(*items); i++)
		if ((at = pyr_layout_offset(p->layout, items[i].field)) >= 0)
			push_word(p, tstate + (pyr_addr)state + (pyr_addr)at, items[i].row, 0);
}

/* --- interpreters --- */

/* atexit: an array of pointers to {func, args, kwargs} (3.10-3.13, atexitmodule.c), or a
 * list (3.14+). */
static void push_atexit(const struct interpreter_place *p, pyr_addr interpreter)
{
	int32_t at = pyr_offset(p->layout, PyInterpreterState, atexit_callbacks);
	pyr_addr array, callback;
	uint64_t count, i, k;

	if (at < 0)
		return;
	if (!pyr_get_u64(p->layout, p->reader, interpreter, PyInterpreterState, atexit_ncallbacks,
			 &count)) {
		push_word(p, interpreter + (pyr_addr)at, PYR_ROOT_ROW_ATEXIT, 0);
		return;
	}
	array = pyr_get_addr(p->layout, p->reader, interpreter, PyInterpreterState,
			     atexit_callbacks);
	for (i = 0; array && (uint32_t)count < CALLBACKS_MAX && i < (uint32_t)count; i++)
		if (pyr_try_u64(p->reader, array + 8 * i, &callback) && callback)
			for (k = 0; k < 3; k++)
				push_word(p, callback + 8 * k, PYR_ROOT_ROW_ATEXIT, i);
}

/* struct _Py_unicode_ids: a size and an array (3.10+). */
static void push_identifiers(const struct interpreter_place *p, pyr_addr interpreter)
{
	int32_t at = pyr_offset(p->layout, PyInterpreterState, unicode_ids);
	pyr_addr array;
	uint64_t size, i;

	if (at < 0 || !pyr_try_u64(p->reader, interpreter + (pyr_addr)at, &size) ||
	    !pyr_try_u64(p->reader, interpreter + (pyr_addr)at + 8, &array) ||
	    size > IDENTIFIERS_MAX)
		return;
	for (i = 0; i < size; i++)
		push_word(p, array + 8 * i, PYR_ROOT_ROW_UNICODE_IDS, i);
}

/* The cache of type attributes owns its names, and borrows its values (typeobject.c). */
static void push_type_cache(const struct interpreter_place *p, pyr_addr interpreter)
{
	const struct pyr_field_place *place =
		pyr_layout_place(p->layout, PYR_FIELD(PyInterpreterState, type_cache));
	int32_t name = pyr_offset(p->layout, type_cache_entry, name);
	uint32_t size = pyr_sizeof(p->layout, type_cache_entry), i;

	if (place->offset < 0 || !size || name < 0)
		return;
	for (i = 0; i < place->size / size; i++)
		push_word(p, interpreter + (pyr_addr)place->offset + i * size + (pyr_addr)name,
			  PYR_ROOT_ROW_TYPE_CACHE, i);
}

/* What static types keep in the interpreter (3.12+). The walker of types tells the
 * first dict there is as the type's own: the others are here. */
static void push_static_types(const struct interpreter_place *p, pyr_addr interpreter,
			      enum pyr_field array)
{
	const struct pyr_field_place *place = pyr_layout_place(p->layout, array);
	struct pyr_types *types = p->roots->model->heap->types;
	int32_t dict = pyr_offset(p->layout, managed_static_type_state, tp_dict);
	int32_t subclasses = pyr_offset(p->layout, managed_static_type_state, tp_subclasses);
	uint32_t size = pyr_sizeof(p->layout, managed_static_type_state), i;
	const struct pyr_type *type;
	pyr_addr entry, address;

	if (place->offset < 0 || !size || dict < 0 || subclasses < 0)
		return;
	for (i = 0; i < place->size / size; i++) {
		entry = interpreter + (pyr_addr)place->offset + i * size;
		address =
			pyr_get_addr(p->layout, p->reader, entry, managed_static_type_state, type);
		type = address ? pyr_types_get(types, p->reader, address) : NULL;
		if (!type)
			continue;
		push_word(p, entry + (pyr_addr)subclasses, PYR_ROOT_ROW_TYPE_SUBCLASSES, i);
		if (pyr_get_addr(p->layout, p->reader, entry, managed_static_type_state, tp_dict) !=
		    pyr_type_dict(types, p->reader, type))
			push_word(p, entry + (pyr_addr)dict, PYR_ROOT_ROW_TYPE_DICT, i);
	}
}

static void push_one(struct interpreter_place *p, const struct pyr_interpreter *in)
{
	int32_t at = pyr_offset(p->layout, PyInterpreterState, modules);

	p->kind = PYR_ROOT_MODULE;
	if (at >= 0)
		push_word(p, in->address + (pyr_addr)at, 0, 0);
	p->kind = PYR_ROOT_INTERPRETER;
	push_rows(p, OF_INTERPRETER, PYR_STRUCT(PyInterpreterState), in->address);
	push_atexit(p, in->address);
	push_identifiers(p, in->address);
	push_type_cache(p, in->address);
	push_static_types(p, in->address, PYR_FIELD(PyInterpreterState, types_builtins));
	push_static_types(p, in->address, PYR_FIELD(PyInterpreterState, types_for_extensions));
	if (in->gc && pyr_is(p->layout, gc_location, INTERPRETER))
		push_rows(p, OF_GC, PYR_STRUCT(_gc_runtime_state), in->gc);
}

/* The tables are owned by a C variable, or each by its interpreter (3.12+). */
static void push_interned(struct interpreter_place *p)
{
	int32_t at = pyr_offset(p->layout, PyInterpreterState, interned_strings);
	struct pyr_python *python = pyr_roots_python(p->roots);
	const pyr_addr *tables;
	size_t count, i;

	p->kind = PYR_ROOT_INTERNED;
	if (at >= 0 && pyr_is(p->layout, interned_location, INTERPRETER)) {
		for (i = 0; i < python->interpreters.count; i++) {
			p->number = i;
			push_word(p, python->interpreters.data[i].address + (pyr_addr)at, 0, 0);
		}
		return;
	}
	tables = pyr_refs_interned(pyr_traverse_refs(p->roots->model->traverse), &count);
	for (i = 0; i < count; i++)
		pyr_roots_push(p->roots, p->kind, PYR_ROOT_OWNED, tables[i], 0, 0, 0);
}

pyr_error *pyr_roots_interpreters(struct pyr_roots *roots, struct pyr_control *control)
{
	struct pyr_python *python = pyr_roots_python(roots);
	struct interpreter_place p = {
		.roots = roots, .reader = &python->reader, .layout = &python->layout};
	pyr_error *err;
	size_t i;

	for (i = 0; i < python->interpreters.count; i++) {
		p.number = i;
		push_one(&p, &python->interpreters.data[i]);
		if ((err = pyr_control_check(control)))
			return err;
	}
	push_interned(&p);
	if (pyr_is(p.layout, gc_location, RUNTIME) && python->interpreters.count &&
	    python->interpreters.data[0].gc) {
		p.kind = PYR_ROOT_RUNTIME;
		p.number = 0;
		push_rows(&p, OF_GC, PYR_STRUCT(_gc_runtime_state),
			  python->interpreters.data[0].gc);
	}
	for (i = 0; i < python->threads.count; i++) {
		p.number = i;
		push_thread(&p, python->threads.data[i].address);
		if ((err = pyr_control_check(control)))
			return err;
	}
	return pyr_reader_check(&python->reader);
}

/* --- names --- */

void pyr_root_thread_name(const struct pyr_roots *roots, size_t thread, struct pyr_strbuf *out)
{
	struct pyr_python *python = pyr_roots_python(roots);
	const struct pyr_python_thread *t;

	if (thread >= python->threads.count) {
		pyr_strbuf_add(out, "a thread");
		return;
	}
	t = &python->threads.data[thread];
	pyr_strbuf_add(out, "thread ");
	if (t->native_id)
		pyr_strbuf_printf(out, "%llu", (unsigned long long)t->native_id);
	else
		pyr_strbuf_printf(out, "0x%llx", (unsigned long long)t->thread_id);
	if (t->name)
		pyr_strbuf_printf(out, " \"%s\"", t->name);
}

static void interpreter(const struct pyr_roots *roots, uint64_t index, struct pyr_strbuf *out)
{
	struct pyr_python *python = pyr_roots_python(roots);

	pyr_strbuf_printf(out, "interpreter %lld",
			  index < python->interpreters.count
				  ? (long long)python->interpreters.data[index].id
				  : (long long)index);
}

/* The static type whose state holds the slot. */
static const char *type_of_state(const struct pyr_roots *roots, const struct pyr_root *root,
				 enum pyr_field field)
{
	struct pyr_types *types = roots->model->heap->types;
	struct pyr_python *python = pyr_roots_python(roots);
	pyr_addr entry = root->slot - (pyr_addr)pyr_layout_offset(&python->layout, field);
	const struct pyr_type *type =
		pyr_types_get(types, &python->reader,
			      pyr_get_addr(&python->layout, &python->reader, entry,
					   managed_static_type_state, type));

	return type ? pyr_type_name(types, type) : "?";
}

static void row_name(const struct pyr_roots *roots, const struct pyr_root *root,
		     struct pyr_strbuf *out)
{
	uint32_t number = (uint32_t)root->b, index = (uint32_t)(root->b >> 32);
	const struct interpreter_row *row = number < ROWS ? &rows[number] : NULL;

	if (!row) {
		pyr_strbuf_add(out, "?");
	} else if (number == PYR_ROOT_ROW_TYPE_DICT) {
		pyr_strbuf_printf(
			out, "__dict__ of static type %s",
			type_of_state(roots, root, PYR_FIELD(managed_static_type_state, tp_dict)));
	} else if (number == PYR_ROOT_ROW_TYPE_SUBCLASSES) {
		pyr_strbuf_printf(
			out, "__subclasses__ of static type %s",
			type_of_state(roots, root,
				      PYR_FIELD(managed_static_type_state, tp_subclasses)));
	} else {
		pyr_strbuf_add(out, row->text);
		if (index ||
		    (row->field != NO_FIELD &&
		     pyr_layout_place(&pyr_roots_python(roots)->layout, row->field)->size > 8))
			pyr_strbuf_printf(out, " %u", index);
	}
}

void pyr_root_interpreter_name(const struct pyr_roots *roots, const struct pyr_root *root,
			       struct pyr_strbuf *out)
{
	switch ((enum pyr_root_kind)root->kind) {
	case PYR_ROOT_MODULE:
	case PYR_ROOT_INTERNED:
		pyr_strbuf_add(out, root->kind == PYR_ROOT_MODULE
					    ? "sys.modules"
					    : "the table of interned strings");
		if (pyr_roots_python(roots)->interpreters.count > 1) {
			pyr_strbuf_add(out, " of ");
			interpreter(roots, root->a, out);
		}
		break;
	case PYR_ROOT_THREAD:
		pyr_root_thread_name(roots, (size_t)root->a, out);
		pyr_strbuf_add(out, ": ");
		row_name(roots, root, out);
		break;
	case PYR_ROOT_RUNTIME:
		pyr_strbuf_add(out, "runtime: ");
		row_name(roots, root, out);
		break;
	default:
		interpreter(roots, root->a, out);
		pyr_strbuf_add(out, ": ");
		row_name(roots, root, out);
		break;
	}
}
