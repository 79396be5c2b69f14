/* C variables that own what they refer to, known by what surrounds them, so that no symbols
 * are needed: tables and caches of CPython that were static variables before they
 * moved into the interpreter, and those that the preprocessor and Argument Clinic make in
 * every extension module. Words of which no such thing can be said are roots_native.c's. */
#include "base/search.h"
#include "roots/roots_internal.h"
#include "roots/roots_rows.h"
#include "roots/statics.h"
#include "values/object.h"

#define NAME_MAX_BYTES 512u
#define KEYWORDS_MAX 256u
#define TABLE 256u    /* entries of a table of one-character strings */
#define TABLE_MIN 8u  /* that are there in any process */
#define CACHE_MIN 64u /* filled entries of the method cache */
#define CACHE_MAX 4096u
#define CHECK_EVERY 4096u
#define RANGE_MAX (UINT64_C(256) << 20)
#define SIGNALS 64u /* Linux */

struct static_scan {
	struct pyr_roots *roots;
	struct pyr_types *types;
	const struct pyr_heap *heap;
	const struct pyr_layout *layout;
	struct pyr_reader reader;
	struct pyr_python *python;
	uint32_t object;              /* the first object at or above the slot */
	pyr_addr end;                 /* of the object before it */
	pyr_addr strings, bytes;      /* verified tables, 0: none yet */
	pyr_addr cache, cache_end;    /* the method cache: its values are borrowed */
	pyr_addr ast_first, ast_last; /* variables with types of the ast module */
	uint32_t ast_count;
	pyr_addr handlers; /* of signals; 0: not found yet */
	pyr_addr none;
};

/* How much an object that is a C variable takes: of a type less than its tp_basicsize,
 * which is that of heap types. */
static pyr_addr static_size(const struct pyr_layout *l, const struct pyr_type *type)
{
	if (type && type->shape == PYR_SHAPE_TYPE && pyr_sizeof(l, PyTypeObject))
		return pyr_sizeof(l, PyTypeObject);
	return type ? (pyr_addr)type->basicsize : 0;
}

/* Is the word inside of an object that is a C variable? Then it is an edge. */
static bool in_object(struct static_scan *s, pyr_addr slot)
{
	const struct pyr_type *type;

	while (s->object < s->heap->count && s->heap->address[s->object] <= slot) {
		type = pyr_types_at(s->types, s->heap->type[s->object]);
		s->end = s->heap->address[s->object] + static_size(s->layout, type);
		s->object++;
	}
	return slot < s->end;
}

static bool same_text(struct static_scan *s, pyr_addr str, pyr_addr text)
{
	pyr_error *err;
	char *name;
	bool same;

	if (!text || text & (UINT64_C(0xffff) << 48))
		return false;
	if ((err = pyr_read_cstring(&s->reader, text, NAME_MAX_BYTES, &name))) {
		pyr_error_destroy(err);
		return false;
	}
	same = *name && pyr_str_equals(s->types, &s->reader, str, name);
	free(name);
	return same;
}

static pyr_addr word_at(struct static_scan *s, pyr_addr addr)
{
	uint64_t word;

	return pyr_try_u64(&s->reader, addr, &word) ? word : 0;
}

static bool of_type(struct static_scan *s, pyr_addr object, enum pyr_known known)
{
	uint64_t type;

	return object && s->python->known[known] && pyr_heap_id(s->heap, object) != PYR_NO_ID &&
	       pyr_get_u64(s->layout, &s->reader, object, PyObject, ob_type, &type) &&
	       type == s->python->known[known];
}

/* The one character of a str, or the one byte of a bytes; -1: it has more or less. */
static int only_character(struct static_scan *s, pyr_addr object, enum pyr_known known)
{
	uint64_t length;
	uint8_t byte;
	pyr_addr at;
	char text[8];

	if (!of_type(s, object, known))
		return -1;
	if (known == PYR_KNOWN_BYTES_TYPE) {
		at = object + (pyr_addr)pyr_offset(s->layout, PyBytesObject, ob_sval);
		if (!pyr_get_u64(s->layout, &s->reader, object, PyVarObject, ob_size, &length) ||
		    length != 1 || !pyr_peek(&s->reader, at, 1))
			return -1;
		memcpy(&byte, pyr_peek(&s->reader, at, 1), 1);
		return byte;
	}
	if (!pyr_get_u64(s->layout, &s->reader, object, PyASCIIObject, length, &length) ||
	    length != 1)
		return -1;
	/* ASCII lies behind the short header, Latin-1 behind the long one. */
	at = object + pyr_sizeof(s->layout, PyASCIIObject);
	if (pyr_peek(&s->reader, at, 1)) {
		memcpy(&byte, pyr_peek(&s->reader, at, 1), 1);
		text[0] = (char)byte;
		text[1] = '\0';
		if (byte && byte < 0x80 && pyr_str_equals(s->types, &s->reader, object, text))
			return byte;
	}
	at = object + pyr_sizeof(s->layout, PyCompactUnicodeObject);
	if (!pyr_peek(&s->reader, at, 1))
		return -1;
	memcpy(&byte, pyr_peek(&s->reader, at, 1), 1);
	return byte >= 0x80 ? byte : -1;
}

/* Does @slot lie in an array of the 256 one-character strings (unicode_latin1) or bytes
 * (characters)? *@table is remembered. */
static bool in_table(struct static_scan *s, pyr_addr slot, pyr_addr object, enum pyr_known known,
		     pyr_addr *table)
{
	unsigned i, filled = 0;
	pyr_addr base, entry;
	int c;

	if (*table && slot >= *table && slot < *table + 8 * TABLE)
		return true;
	c = *table ? -1 : only_character(s, object, known);
	if (c < 0)
		return false;
	base = slot - 8 * (unsigned)c;
	for (i = 0; i < TABLE; i++) {
		entry = word_at(s, base + 8 * i);
		if (!entry)
			continue;
		/* U+0000 is told by neither of its bytes. */
		if (i && only_character(s, entry, known) != (int)i)
			return false;
		filled++;
	}
	if (filled < TABLE_MIN)
		return false;
	*table = base;
	return true;
}

/* struct _PyArg_Parser, getargs.c: the tuple of the names in the array @keywords from the
 * first that may be given by name on. */
static bool is_parser(struct static_scan *s, pyr_addr slot, pyr_addr keywords, pyr_addr tuple)
{
	pyr_addr items, item;
	uint64_t count, i;
	uint32_t first;
	pyr_error *err;

	if (!keywords || !pyr_try_u32(&s->reader, slot - 16, &first) || first > KEYWORDS_MAX)
		return false;
	if ((err = pyr_sequence_items(s->types, &s->reader, tuple, &items, &count))) {
		pyr_error_destroy(err);
		return false;
	}
	if (!count || count > KEYWORDS_MAX)
		return false;
	for (i = 0; i < count; i++)
		if (!pyr_try_u64(&s->reader, items + 8 * i, &item) ||
		    !of_type(s, item, PYR_KNOWN_UNICODE_TYPE) ||
		    !same_text(s, item, word_at(s, keywords + 8 * (first + i))))
			return false;
	return true;
}

/* property_descr_get() of 3.6 and 3.7 (descrobject.c) keeps the tuple of its one argument
 * for the next call, and does not own what is in it: an object that the collector
 * tracks, in a tuple that it does not. The edge of the tuple then does not count. */
static bool is_kept_arguments(struct static_scan *s, uint32_t id, pyr_addr tuple)
{
	struct pyr_model *model = s->roots->model;
	struct pyr_object_header header, item;
	pyr_addr items, first;
	uint64_t count, e;
	pyr_error *err;

	if (pyr_has(s->layout, PyInterpreterState, type_cache) || pyr_heap_id(s->heap, tuple) != id)
		return false;
	if ((err = pyr_sequence_items(s->types, &s->reader, tuple, &items, &count))) {
		pyr_error_destroy(err);
		return false;
	}
	if (count != 1 || !pyr_try_u64(&s->reader, items, &first))
		return false;
	if ((err = pyr_object_header(s->types, &s->reader, tuple, &header)) ||
	    (err = pyr_object_header(s->types, &s->reader, first, &item))) {
		pyr_error_destroy(err);
		return false;
	}
	if (header.tracked || header.refcount != 1 || !item.tracked)
		return false;
	for (e = model->graph.out_start[id]; e < model->graph.out_start[id + 1]; e++)
		model->flags[e] &= (uint8_t)~PYR_MODEL_OWNED;
	return true;
}

/* The types of the ast module and their one instances, static variables until 3.9. */
static bool is_ast(struct static_scan *s, uint32_t id, bool *is_type)
{
	const struct pyr_type *type = pyr_types_at(s->types, s->heap->type[id]);
	const char *name;

	*is_type = type && type->shape == PYR_SHAPE_TYPE;
	if (*is_type)
		type = pyr_types_get(s->types, &s->reader, s->heap->address[id]);
	if (!type || !type->heap)
		return false;
	name = pyr_type_name(s->types, type);
	return !strncmp(name, "_ast.", 5) || !strncmp(name, "ast.", 4);
}

static void push(struct static_scan *s, uint32_t id, pyr_addr slot, uint64_t row)
{
	pyr_roots_push_id(s->roots, PYR_ROOT_RUNTIME, PYR_ROOT_OWNED, id, slot, 0, row);
	if (!pyr_vec_push(&s->roots->state->statics, slot))
		s->roots->state->failed = true;
}

static void look(struct static_scan *s, pyr_addr slot, pyr_addr object, uint32_t id, bool python)
{
	uint64_t row;
	bool type;

	if (of_type(s, object, PYR_KNOWN_UNICODE_TYPE)) {
		if (same_text(s, object, word_at(s, slot - 8)))
			row = PYR_ROOT_ROW_IDENTIFIER; /* struct _Py_Identifier, object.h */
		else if (same_text(s, object, word_at(s, slot - 48)))
			row = PYR_ROOT_ROW_SLOT_NAME; /* struct wrapperbase, descrobject.h */
		else if (python && in_table(s, slot, object, PYR_KNOWN_UNICODE_TYPE, &s->strings))
			row = PYR_ROOT_ROW_CHARACTER;
		else
			return;
	} else if (of_type(s, object, PYR_KNOWN_BYTES_TYPE)) {
		if (!python || !in_table(s, slot, object, PYR_KNOWN_BYTES_TYPE, &s->bytes))
			return;
		row = PYR_ROOT_ROW_BYTE;
	} else if (of_type(s, object, PYR_KNOWN_TUPLE_TYPE)) {
		/* Since 3.13 there is a word more between them. */
		if (is_parser(s, slot, word_at(s, slot - 40), object) ||
		    is_parser(s, slot, word_at(s, slot - 48), object))
			row = PYR_ROOT_ROW_PARSER;
		else if (python && is_kept_arguments(s, id, object))
			row = PYR_ROOT_ROW_ARGUMENTS;
		else
			return;
	} else if (python && is_ast(s, id, &type)) {
		row = PYR_ROOT_ROW_AST;
		s->ast_first = s->ast_first ? s->ast_first : slot;
		s->ast_last = slot;
		s->ast_count++;
	} else {
		return;
	}
	push(s, id, slot, row);
}

/* An entry of the method cache (typeobject.c): {version, name, value}, zero or a str's
 * name under a version. *@filled tells which. */
static bool is_cache_entry(struct static_scan *s, pyr_addr entry, bool *filled)
{
	uint64_t version, name;

	if (!pyr_try_u64(&s->reader, entry, &version) ||
	    !pyr_try_u64(&s->reader,
			 entry + (pyr_addr)pyr_offset(s->layout, type_cache_entry, name), &name))
		return false;
	*filled = name && name != s->none;
	if (version > UINT32_MAX || (*filled && !of_type(s, name, PYR_KNOWN_UNICODE_TYPE)))
		return false;
	/* A type whose version could not be had left its name. */
	*filled = *filled && version;
	return true;
}

struct run {
	PYR_VEC(pyr_addr) filled;
};

/* Of the run's entries those that one table has room for: most of them. Zeros around the
 * table and words that look like an entry make a run longer than the table. */
static bool push_cache(struct static_scan *s, const struct run *run, uint32_t size)
{
	const pyr_addr *filled = run->filled.data;
	size_t i, first = 0, best = 0, most = 0;
	pyr_addr name;

	for (i = 0; i < run->filled.count; i++) {
		while (filled[i] - filled[first] >= (pyr_addr)CACHE_MAX * size)
			first++;
		if (i - first + 1 > most) {
			most = i - first + 1;
			best = first;
		}
	}
	if (most < CACHE_MIN)
		return false;
	s->cache = filled[best];
	s->cache_end = filled[best + most - 1] + size;
	for (i = best; i < best + most; i++) {
		name = filled[i] + (pyr_addr)pyr_offset(s->layout, type_cache_entry, name);
		pyr_roots_push(s->roots, PYR_ROOT_RUNTIME, PYR_ROOT_OWNED, word_at(s, name), name,
			       0, PYR_ROOT_ROW_STATIC_TYPE_CACHE);
	}
	return true;
}

/* The cache of type attributes as a static variable (until 3.9) owns its names: the only
 * long run of such entries. */
static pyr_error *find_cache(struct static_scan *s, const struct pyr_static_range *range,
			     struct pyr_control *control)
{
	uint32_t size = pyr_sizeof(s->layout, type_cache_entry), phase;
	bool filled, found = false;
	pyr_error *err = NULL;
	struct run run = {0};
	uint64_t steps = 0;
	pyr_addr entry;

	/* Only a damaged file has more variables. */
	if (range->end - range->start > RANGE_MAX)
		return NULL;
	for (phase = 0; phase < size && !found && !err; phase += 8) {
		run.filled.count = 0;
		for (entry = range->start + phase; entry + size <= range->end && !found && !err;
		     entry += size) {
			if (steps++ % CHECK_EVERY == 0)
				err = pyr_control_check(control);
			if (!is_cache_entry(s, entry, &filled)) {
				found = push_cache(s, &run, size);
				run.filled.count = 0;
			} else if (filled && !pyr_vec_push(&run.filled, entry)) {
				err = pyr_error_no_memory();
			}
		}
		found = found || (!err && push_cache(s, &run, size));
	}
	pyr_vec_deinit(&run.filled);
	return err;
}

/* The names of the fields of ast nodes are members of one structure with the types
 * (Python-ast.c, astmodulestate, 3.9): strings where most words are types. */
static void push_ast_names(struct static_scan *s)
{
	pyr_addr slot, word;

	if ((s->ast_last - s->ast_first) / 8 > 2 * (uint64_t)s->ast_count)
		return;
	for (slot = s->ast_first; slot < s->ast_last; slot += 8)
		if ((word = word_at(s, slot)) && of_type(s, word, PYR_KNOWN_UNICODE_TYPE))
			push(s, pyr_heap_id(s->heap, word), slot, PYR_ROOT_ROW_AST);
}

/* An entry of the table of signal handlers, {tripped, function} (signalmodule.c, Handlers;
 * pycore_signal.h), seen from its function. */
static bool is_handler(struct static_scan *s, pyr_addr slot)
{
	return word_at(s, slot - 8) <= 1 && pyr_heap_id(s->heap, word_at(s, slot)) != PYR_NO_ID;
}

/* The table has an entry for each signal from 1 on; most are the same int, SIG_DFL.
 * It lies in a static variable, or in the runtime (3.11+). @slot has an int. */
static void push_handlers(struct static_scan *s, pyr_addr slot)
{
	pyr_addr first = slot, word = word_at(s, slot);
	unsigned i, same = 0;

	for (i = 0; i < SIGNALS && is_handler(s, first - 16); i++)
		first -= 16;
	for (i = 0; i < SIGNALS; i++) {
		if (!is_handler(s, first + 16 * i))
			return;
		same += word_at(s, first + 16 * i) == word;
	}
	if (same < SIGNALS / 2 || word_at(s, first - 16))
		return;
	for (i = 0; i < SIGNALS; i++)
		push(s, pyr_heap_id(s->heap, word_at(s, first + 16 * i)), first + 16 * i,
		     PYR_ROOT_ROW_SIGNAL | (uint64_t)(i + 1) << 32);
	s->handlers = first;
}

static pyr_error *find_handlers(struct static_scan *s, const struct pyr_static_range *range,
				struct pyr_control *control)
{
	pyr_addr slot = (range->start + 7) & ~UINT64_C(7), word;
	const uint8_t *run;
	pyr_error *err;
	size_t n, i;

	while (!s->handlers && pyr_peek_words(&s->reader, &slot, range->end, &run, &n)) {
		if ((err = pyr_control_check(control)))
			return err;
		for (i = 0; i < n && !s->handlers; i++, slot += 8) {
			memcpy(&word, run + 8 * i, 8);
			if (word && of_type(s, word, PYR_KNOWN_LONG_TYPE))
				push_handlers(s, slot);
		}
	}
	return NULL;
}

static pyr_error *scan_range(struct static_scan *s, const struct pyr_static_range *range,
			     struct pyr_control *control)
{
	pyr_addr runtime = s->python->runtime;
	pyr_addr runtime_end = runtime + pyr_sizeof(s->layout, _PyRuntimeState);
	bool python = range->image == s->python->image;
	pyr_addr slot = (range->start + 7) & ~UINT64_C(7), word;
	const uint8_t *run;
	pyr_error *err;
	uint32_t id;
	size_t n, i;

	s->object = 0;
	s->end = 0;
	while (pyr_peek_words(&s->reader, &slot, range->end, &run, &n)) {
		if ((err = pyr_control_check(control)))
			return err;
		for (i = 0; i < n; i++, slot += 8) {
			memcpy(&word, run + 8 * i, 8);
			if (!word || (runtime && slot >= runtime && slot < runtime_end) ||
			    (slot >= s->cache && slot < s->cache_end))
				continue;
			id = pyr_heap_id(s->heap, word);
			if (id != PYR_NO_ID && !in_object(s, slot))
				look(s, slot, word, id, python);
		}
	}
	return NULL;
}

pyr_error *pyr_roots_statics(struct pyr_roots *roots, struct pyr_control *control)
{
	struct pyr_python *python = pyr_roots_python(roots);
	struct static_scan s = {.roots = roots,
				.types = roots->model->heap->types,
				.heap = roots->model->heap,
				.layout = &python->layout,
				.python = python,
				.none = python->known[PYR_KNOWN_NONE]};
	struct pyr_statics statics;
	pyr_error *err;
	size_t i;

	if ((err = pyr_statics_init(python->target, &statics)))
		return err;
	pyr_reader_init(&s.reader, python->target);
	if (!pyr_has(s.layout, PyInterpreterState, type_cache) &&
	    pyr_sizeof(s.layout, type_cache_entry))
		for (i = 0; i < statics.ranges.count && !err; i++)
			if (statics.ranges.data[i].image == python->image)
				err = find_cache(&s, &statics.ranges.data[i], control);
	for (i = 0; i < statics.ranges.count && !err; i++)
		if (statics.ranges.data[i].image == python->image)
			err = find_handlers(&s, &statics.ranges.data[i], control);
	for (i = 0; i < statics.ranges.count && !err; i++)
		err = scan_range(&s, &statics.ranges.data[i], control);
	if (!err && s.ast_count)
		push_ast_names(&s);
	if (roots->state->statics.count)
		qsort(roots->state->statics.data, roots->state->statics.count,
		      sizeof(*roots->state->statics.data), pyr_by_word);
	if (!err)
		err = pyr_reader_check(&s.reader);
	pyr_reader_deinit(&s.reader);
	pyr_statics_deinit(&statics);
	return err;
}

bool pyr_roots_known_static(const struct pyr_roots *roots, pyr_addr slot)
{
	const struct pyr_heap *heap = roots->model->heap;
	const pyr_addr *told = roots->state->statics.data;
	size_t i = pyr_search(k, roots->state->statics.count, told[k] < slot);
	const struct pyr_type *type;

	if (i < roots->state->statics.count && told[i] == slot)
		return true;
	/* The object that starts at or below it. */
	i = pyr_search(k, heap->count, heap->address[k] <= slot);
	type = i ? pyr_types_at(heap->types, heap->type[i - 1]) : NULL;
	return type &&
	       slot < heap->address[i - 1] + static_size(&pyr_roots_python(roots)->layout, type);
}
