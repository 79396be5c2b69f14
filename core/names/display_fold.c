/* Folding: a greedy match at each step of the chain, then whatever may follow it. */
#include "names/display_fold.h"

#include <stdlib.h>

#include "names/labels_internal.h"

/* CO_FAST_FREE (pycore_code.h) */
#define KIND_FREE 0x80

struct fold {
	struct pyr_label_writer w; /* w.out is never NULL here */
	const struct pyr_step *steps;
	size_t count;
};

static enum pyr_edge_kind kind(const struct pyr_step *step)
{
	return PYR_REF_KIND(step->label);
}

/* Is the step by the member @name of a C structure? */
static bool is_member(struct fold *f, const struct pyr_step *step, const char *name)
{
	char *owned;
	const char *found = pyr_label_member_of(&f->w, step, &owned);
	bool same = found && !strcmp(found, name);

	free(owned);
	return same;
}

static const struct pyr_step *at(const struct fold *f, size_t i)
{
	return i < f->count ? &f->steps[i] : NULL;
}

static bool from(const struct fold *f, size_t i, enum pyr_shape shape)
{
	return i < f->count && f->steps[i].type->shape == shape;
}

/* --- names of variables --- */

static uint64_t free_variables_before(struct fold *f, pyr_addr code)
{
	pyr_addr kinds = pyr_get_addr(f->w.l, f->w.reader, code, PyCodeObject, co_localspluskinds);
	uint64_t n = 0, count = 0;
	const uint8_t *bytes;
	pyr_addr data;
	pyr_error *err;

	if (!kinds)
		return 0;
	err = pyr_bytes_view(f->w.types, f->w.reader, PYR_SHAPE_BYTES, kinds, &data, &count);
	if (err) {
		pyr_error_destroy(err);
		return 0;
	}
	bytes = count < 1 << 20 ? pyr_peek(f->w.reader, data, count) : NULL;
	while (bytes && n < count && !(bytes[n] & KIND_FREE))
		n++;
	return n;
}

/* Free variable @index of the function: cell @index of its closure. */
static char *cell_name(struct fold *f, pyr_addr function, uint64_t index)
{
	pyr_addr code = pyr_get_addr(f->w.l, f->w.reader, function, PyFunctionObject, func_code);

	if (!code)
		return NULL;
	if (pyr_has(f->w.l, PyCodeObject, co_freevars))
		return pyr_label_tuple_name(
			&f->w, pyr_get_addr(f->w.l, f->w.reader, code, PyCodeObject, co_freevars),
			index);
	return pyr_label_tuple_name(
		&f->w, pyr_get_addr(f->w.l, f->w.reader, code, PyCodeObject, co_localsplusnames),
		free_variables_before(f, code) + index);
}

/* The argument that has default @index of the tuple @defaults: they belong to the
 * last positional ones. */
static char *argument_name(struct fold *f, pyr_addr function, pyr_addr defaults, uint64_t index)
{
	pyr_addr code = pyr_get_addr(f->w.l, f->w.reader, function, PyFunctionObject, func_code);
	uint64_t arguments = 0, count = 0;
	pyr_addr names;

	if (!code ||
	    !pyr_get_u64(f->w.l, f->w.reader, code, PyCodeObject, co_argcount, &arguments) ||
	    !pyr_get_u64(f->w.l, f->w.reader, defaults, PyVarObject, ob_size, &count) ||
	    count > arguments)
		return NULL;
	names = pyr_has(f->w.l, PyCodeObject, co_localsplusnames)
			? pyr_get_addr(f->w.l, f->w.reader, code, PyCodeObject, co_localsplusnames)
			: pyr_get_addr(f->w.l, f->w.reader, code, PyCodeObject, co_varnames);
	return pyr_label_tuple_name(&f->w, names, arguments - count + index);
}

static void add_quoted(struct fold *f, const char *what, const char *name, uint64_t index)
{
	if (name)
		pyr_strbuf_printf(f->w.out, "%s \"%s\"", what, name);
	else
		pyr_strbuf_printf(f->w.out, "%s %llu", what, (unsigned long long)index);
}

/* " of f", by its __name__: the last part of what tells where it is. */
static void add_function(struct fold *f, pyr_addr function)
{
	pyr_addr name = pyr_get_addr(f->w.l, f->w.reader, function, PyFunctionObject, func_name);
	char *text = NULL;

	pyr_error_destroy(name ? pyr_str_utf8(f->w.types, f->w.reader, name, 100, &text, NULL)
			       : NULL);
	if (text)
		pyr_strbuf_printf(f->w.out, " of %s", text);
	free(text);
}

/* --- matches: how many steps from @i on are one thing, its name written; 0: none --- */

/* instance.__dict__['user'] */
static size_t match_attribute(struct fold *f, size_t i)
{
	const struct pyr_step *value = at(f, i + 1);

	if (!value || kind(value) != PYR_EDGE_VALUE || value->type->shape != PYR_SHAPE_DICT ||
	    !is_member(f, &f->steps[i], "__dict__") || !pyr_label_attribute(&f->w, value->detail))
		return 0;
	return 2;
}

/* function.__closure__[0].cell_contents */
static size_t match_closure(struct fold *f, size_t i)
{
	const struct pyr_step *item = at(f, i + 1);
	char *name;

	if (!from(f, i, PYR_SHAPE_FUNCTION) || !item || kind(item) != PYR_EDGE_ITEM ||
	    !is_member(f, &f->steps[i], "__closure__"))
		return 0;
	name = cell_name(f, f->steps[i].owner, item->detail);
	add_quoted(f, "closure cell", name, item->detail);
	add_function(f, f->steps[i].owner);
	free(name);
	return from(f, i + 2, PYR_SHAPE_CELL) ? 3 : 2;
}

/* function.__defaults__[0], function.__kwdefaults__['limit'] */
static size_t match_default(struct fold *f, size_t i)
{
	const struct pyr_step *item = at(f, i + 1);
	char *name = NULL;

	if (!from(f, i, PYR_SHAPE_FUNCTION) || !item)
		return 0;
	if (kind(item) == PYR_EDGE_ITEM && is_member(f, &f->steps[i], "__defaults__")) {
		name = argument_name(f, f->steps[i].owner, item->owner, item->detail);
	} else if (kind(item) == PYR_EDGE_VALUE && is_member(f, &f->steps[i], "__kwdefaults__")) {
		pyr_error_destroy(
			pyr_str_utf8(f->w.types, f->w.reader, item->detail, 100, &name, NULL));
	} else {
		return 0;
	}
	add_quoted(f, "default argument", name, item->detail);
	add_function(f, f->steps[i].owner);
	free(name);
	return 2;
}

/* class.__bases__[0], class.__mro__[1] */
static size_t match_base(struct fold *f, size_t i)
{
	const struct pyr_step *item = at(f, i + 1);

	if (!item || kind(item) != PYR_EDGE_ITEM ||
	    !(f->steps[i].type->flags & PYR_TPFLAGS_TYPE_SUBCLASS))
		return 0;
	if (is_member(f, &f->steps[i], "__bases__"))
		pyr_strbuf_add(f->w.out, "base class");
	else if (is_member(f, &f->steps[i], "__mro__"))
		pyr_strbuf_printf(f->w.out, "__mro__[%llu]", (unsigned long long)item->detail);
	else
		return 0;
	return 2;
}

/* A generator's variable through its frame, and a variable's cell. */
static size_t match_local(struct fold *f, size_t i)
{
	size_t n = is_member(f, &f->steps[i], "gi_frame") && from(f, i + 1, PYR_SHAPE_FRAME);

	if (!at(f, i + n) || kind(&f->steps[i + n]) != PYR_EDGE_LOCAL)
		return 0;
	pyr_label_local(&f->w, &f->steps[i + n]);
	n++;
	return from(f, i + n, PYR_SHAPE_CELL) && kind(&f->steps[i + n]) == PYR_EDGE_FIELD ? n + 1
											  : n;
}

/* memoryview.obj through the managed buffer */
static size_t match_view(struct fold *f, size_t i)
{
	if (!from(f, i, PYR_SHAPE_MEMORYVIEW) || !at(f, i + 1) ||
	    !is_member(f, &f->steps[i], "buffer") || !is_member(f, &f->steps[i + 1], "exporter"))
		return 0;
	pyr_strbuf_add(f->w.out, ".obj");
	return 2;
}

/* An unbounded lru_cache keeps results in its dict. */
static size_t match_cache(struct fold *f, size_t i)
{
	const struct pyr_step *value = at(f, i + 1);

	if (!value || kind(value) != PYR_EDGE_VALUE || !is_member(f, &f->steps[i], "cache") ||
	    strcmp(pyr_type_name(f->w.types, f->steps[i].type), "functools._lru_cache_wrapper") !=
		    0)
		return 0;
	pyr_strbuf_add(f->w.out, "cached result for key ");
	pyr_label_value(&f->w, value->detail);
	return 2;
}

/* A context's variables are the leaves of a tree (Python/hamt.c). */
static size_t match_context(struct fold *f, size_t i)
{
	const char *name = pyr_type_name(f->w.types, f->steps[i].type);
	size_t n = 1, before = f->w.out->length;

	/* tp_name had no module until 3.9 */
	if (strcmp(name, "_contextvars.Context") != 0 && strcmp(name, "builtins.Context") != 0)
		return 0;
	while (at(f, i + n) &&
	       !strncmp(pyr_type_name(f->w.types, f->steps[i + n].type), "builtins.hamt", 13))
		n++;
	if (n < 2)
		return 0;
	pyr_step_write(f->w.types, f->w.reader, &f->steps[i + n - 1], f->w.out);
	if (f->w.out->data && !strncmp(f->w.out->data + before, "context variable ", 17))
		return n;
	f->w.out->length = before;
	if (f->w.out->data)
		f->w.out->data[before] = '\0';
	return 0;
}

static size_t (*const matches[])(struct fold *f, size_t i) = {
	match_attribute, match_closure, match_default, match_base,
	match_local,     match_view,    match_cache,   match_context,
};

/* --- what may follow: `.args` and then `[0]`, `[3]` and then `.__self__` --- */

static bool follows(struct fold *f, size_t i)
{
	const struct pyr_step *step = &f->steps[i], *before = &f->steps[i - 1];
	char *owned;
	const char *member;
	bool named;

	switch (step->type->shape) {
	case PYR_SHAPE_METHOD:
	case PYR_SHAPE_STATICMETHOD:
	case PYR_SHAPE_CLASSMETHOD:
		return kind(step) == PYR_EDGE_FIELD && kind(before) != PYR_EDGE_STACK;
	case PYR_SHAPE_TUPLE:
	case PYR_SHAPE_DICT:
		if (!step->type->exact_shape ||
		    (kind(step) != PYR_EDGE_ITEM && kind(step) != PYR_EDGE_VALUE))
			return false;
		member = pyr_label_member_of(&f->w, before, &owned);
		named = member &&
			(step->type->shape == PYR_SHAPE_TUPLE || !strcmp(member, "keywords"));
		free(owned);
		return named;
	default:
		return false;
	}
}

static size_t fold_at(struct fold *f, size_t i)
{
	size_t n = 0, k;

	for (k = 0; !n && k < sizeof(matches) / sizeof(matches[0]); k++)
		n = matches[k](f, i);
	if (!n) {
		pyr_step_write(f->w.types, f->w.reader, &f->steps[i], f->w.out);
		n = 1;
	}
	for (; i + n < f->count && follows(f, i + n); n++)
		pyr_step_write(f->w.types, f->w.reader, &f->steps[i + n], f->w.out);
	return n;
}

size_t pyr_display_fold_first(struct pyr_types *types, struct pyr_reader *reader,
			      const struct pyr_step *steps, size_t count, struct pyr_strbuf *out)
{
	struct pyr_strbuf unused = {0};
	struct fold f = {{types, reader, &pyr_types_python(types)->layout, out ? out : &unused},
			 steps,
			 count};
	size_t n = count ? fold_at(&f, 0) : 0;

	pyr_strbuf_deinit(&unused);
	return n;
}

/* One more step to show; false without memory. */
static bool add_step(struct pyr_display *display, size_t first, size_t count,
		     const struct pyr_strbuf *text)
{
	struct pyr_display_step *step;

	if (text->failed || !pyr_vec_reserve(&display->steps, 1))
		return false;
	step = &display->steps.data[display->steps.count];
	step->first = first;
	step->count = count;
	step->edge = strdup(pyr_strbuf_str(text));
	if (!step->edge)
		return false;
	display->steps.count++;
	return true;
}

pyr_error *pyr_display_fold(struct pyr_types *types, struct pyr_reader *reader,
			    const struct pyr_step *steps, size_t count, bool raw,
			    struct pyr_display *ret)
{
	struct pyr_display display = {0};
	struct pyr_strbuf text = {0};
	size_t i, n;
	bool ok = true;

	for (i = 0; i < count && ok; i += n) {
		pyr_strbuf_clear(&text);
		n = 1;
		if (raw)
			pyr_step_write(types, reader, &steps[i], &text);
		else
			n = pyr_display_fold_first(types, reader, steps + i, count - i, &text);
		ok = add_step(&display, i, n, &text);
	}
	pyr_strbuf_deinit(&text);
	if (!ok) {
		pyr_display_deinit(&display);
		return pyr_error_no_memory();
	}
	*ret = display;
	return NULL;
}

void pyr_display_deinit(struct pyr_display *display)
{
	size_t i;

	for (i = 0; i < display->steps.count; i++)
		free(display->steps.data[i].edge);
	pyr_vec_deinit(&display->steps);
}

bool pyr_display_fold_may_pass(const struct pyr_type *type)
{
	switch (type->shape) {
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_TUPLE:
		return type->exact_shape;
	case PYR_SHAPE_CELL:
	case PYR_SHAPE_FRAME:
	case PYR_SHAPE_METHOD:
	case PYR_SHAPE_STATICMETHOD:
	case PYR_SHAPE_CLASSMETHOD:
		return true;
	default:
		/* managed buffers and the nodes of contexts: small types without shapes */
		return type->name && (!strcmp(type->name, "builtins.managedbuffer") ||
				      !strncmp(type->name, "builtins.hamt", 13));
	}
}

bool pyr_display_fold_may_continue(struct pyr_types *types, struct pyr_reader *reader,
				   const struct pyr_step *step, const struct pyr_type *type)
{
	static const char *const dicts[] = {"__dict__", "__kwdefaults__", "keywords", "cache"};
	struct pyr_label_writer w = {types, reader, &pyr_types_python(types)->layout, NULL};
	char *owned;
	const char *member;
	bool found = false;
	size_t i;

	if (!pyr_display_fold_may_pass(type))
		return false;
	if (type->shape != PYR_SHAPE_DICT)
		return true;
	/* Not the globals of a function, nor any other dict that happens to be held. */
	member = pyr_label_member_of(&w, step, &owned);
	for (i = 0; member && i < sizeof(dicts) / sizeof(dicts[0]); i++)
		found = found || !strcmp(member, dicts[i]);
	free(owned);
	return found;
}

/* --- one reference between two objects --- */

struct fold_search {
	struct pyr_step best;
	uint64_t count;
};

static void consider(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct fold_search *s = ctx;

	if (target != s->best.target)
		return;
	if (!s->count++ || pyr_label_rank(label) < pyr_label_rank(s->best.label)) {
		s->best.label = label;
		s->best.detail = detail;
	}
}

bool pyr_step_find(struct pyr_traverse *traverse, struct pyr_reader *reader,
		   const struct pyr_type *type, pyr_addr owner, pyr_addr target,
		   struct pyr_step *ret, uint64_t *count)
{
	struct fold_search s = {.best = {.owner = owner, .target = target, .type = type}};

	pyr_traverse_walk(traverse, reader, type, owner, consider, &s);
	if (!s.count)
		return false;
	*ret = s.best;
	if (count)
		*count = s.count;
	return true;
}
