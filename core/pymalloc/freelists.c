#include "pymalloc/freelists.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "runtime/access.h"
#include "runtime/raw.h"
#include "values/values.h"
#include "target/image.h"

#define COUNT_MAX 100000 /* no list is a tenth as long: beyond this a count is damage */
#define LENGTHS 20       /* PyTuple_MAXSAVESIZE */

enum form { LINKED, ARRAY, SLOT, BY_LENGTH };

#define NONE (-1)
#define PYR_F_NONE NONE

enum list {
#define LIST(id, type, gc, struct_id, link, maximum) LIST_##id,
#include "pymalloc/freelists.def"
	LIST_COUNT
};

static const struct {
	const char *type;
	bool gc;
	enum pyr_struct structure;
	int link; /* enum pyr_field */
	uint64_t maximum;
} specs[] = {
#define LIST(id, type, gc, struct_id, link, maximum)                                               \
	{type, gc, PYR_STRUCT(struct_id), PYR_F_##link, maximum},
#include "pymalloc/freelists.def"
};

static const struct {
	enum list list;
	enum form form;
	const char *file, *head, *count;
} statics[] = {
#define STATIC(id, form, file, head, count) {LIST_##id, form, file, head, count},
#include "pymalloc/freelists.def"
};

/* Fields: of the interpreter, then of the structure there; -1: none. */
struct freelist_place {
	enum list list;
	enum form form;
	int field, head, count;
};

static const struct freelist_place per_type[] = {
#define PER_TYPE(id, form, field, head, count)                                                     \
	{LIST_##id, form, PYR_FIELD(PyInterpreterState, field), PYR_F_##head, PYR_F_##count},
#include "pymalloc/freelists.def"
};

static const struct freelist_place in_arrays[] = {
#define IN_ARRAYS(id, form, items, count)                                                          \
	{LIST_##id, form, PYR_FIELD(PyInterpreterState, freelists),                                \
	 PYR_FIELD(_Py_freelists, items), PYR_FIELD(_Py_freelists, count)},
#include "pymalloc/freelists.def"
};

static const struct freelist_place in_chains[] = {
#define IN_CHAINS(id, form, field)                                                                 \
	{LIST_##id, form, PYR_FIELD(PyInterpreterState, freelists),                                \
	 PYR_FIELD(_Py_freelists, field), NONE},
#include "pymalloc/freelists.def"
};

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

struct freelist_walk {
	struct pyr_types *types;
	struct pyr_python *python;
	const struct pyr_layout *l;
	const struct pyr_obmalloc *obmalloc;
	struct pyr_freelists *out;
	bool out_of_memory;
};

/* One list that was found: where its head and its count are. */
struct head {
	enum list list;
	size_t interpreter;
	const char *source;
	uint32_t length;
	pyr_addr first;   /* of the pointer to the first object, or of the array */
	uint64_t slots;   /* ARRAY: pointers it has room for */
	int32_t link;     /* LINKED: offset of the link in an object */
	int64_t recorded; /* -1: switched off */
};

static uint64_t structure_size(const struct freelist_walk *w, enum list list, uint32_t length,
			       pyr_addr addr)
{
	uint64_t size = pyr_layout_size(w->l, specs[list].structure), items;

	if (list == LIST_dictkeys)
		return pyr_dict_keys_size(w->types, &w->python->reader, addr);
	if (list == LIST_object_stacks)
		return 256 * 8; /* pycore_object_stack.h, _PyObjectStackChunk */
	if (length)
		size += 8 * (length - 1);
	if (list == LIST_frames &&
	    pyr_get_u64(w->l, &w->python->reader, addr, PyVarObject, ob_size, &items) &&
	    items < COUNT_MAX)
		size += 8 * items;
	return size + (specs[list].gc ? pyr_layout_gc_head_size(w->l) : 0);
}

/* Is @addr memory that may be an object, and no object that was met before on @list? The
 * length is bounded besides. */
static bool add_entry(struct freelist_walk *w, struct pyr_freelist *list, const struct head *h,
		      pyr_addr addr)
{
	struct pyr_block block;
	uint64_t word;

	if (addr & 7 || !pyr_try_u64(&w->python->reader, addr, &word))
		return false;
	if (!pyr_vec_push(&w->out->entries,
			  (struct pyr_freelist_entry){addr, (uint32_t)w->out->lists.count})) {
		w->out_of_memory = true;
		return false;
	}
	if (w->obmalloc && pyr_obmalloc_block_at(w->obmalloc, &w->python->reader, addr, &block)) {
		if (!block.allocated) {
			w->out->entries.count--;
			return false;
		}
		list->bytes += block.size;
	} else {
		list->bytes += structure_size(w, h->list, h->length, addr);
		list->estimated++;
	}
	list->objects++;
	return true;
}

static void walk_list(struct freelist_walk *w, enum form form, const struct head *h)
{
	struct pyr_freelist list = {.type = specs[h->list].type,
				    .source = h->source,
				    .interpreter = h->interpreter,
				    .length = h->length,
				    .recorded = h->recorded,
				    .maximum = specs[h->list].maximum};
	struct pyr_reader *reader = &w->python->reader;
	uint64_t i, bound = h->recorded > 0 ? (uint64_t)h->recorded : 0;
	bool closes = true;
	pyr_addr at = 0;

	if (bound > COUNT_MAX || (form == ARRAY && bound > h->slots)) {
		bound = form == ARRAY && h->slots < COUNT_MAX ? h->slots : COUNT_MAX;
		closes = false;
	}
	if (form == ARRAY) {
		for (i = 0; i < bound && closes; i++)
			closes = pyr_try_u64(reader, h->first + 8 * i, &at) &&
				 add_entry(w, &list, h, at);
	} else if (h->recorded >= 0) {
		/* One more than there should be tells that the chain is longer. */
		closes = pyr_try_u64(reader, h->first, &at) && closes;
		for (i = 0; at && closes && i <= bound; i++)
			closes = add_entry(w, &list, h, at) &&
				 (form == SLOT ? (at = 0, true)
					       : pyr_try_u64(reader, at + (uint64_t)h->link, &at));
	}
	if (form == SLOT && closes)
		list.recorded = (int64_t)list.objects;
	list.agrees = closes && list.objects == (uint64_t)(list.recorded > 0 ? list.recorded : 0);
	if (!pyr_vec_push(&w->out->lists, list))
		w->out_of_memory = true;
}

/* Until 3.10 index and length of tuples are the same, and the first is the empty tuple, which
 * is no spare one (tupleobject.c). Since 3.11 it is a static object. */
static bool indexed_by_length(const struct freelist_walk *w)
{
	return !pyr_has(w->l, _PyRuntimeState, tuple_empty);
}

static int64_t read_count(struct freelist_walk *w, pyr_addr at, uint64_t width)
{
	uint32_t narrow;
	uint64_t wide;

	if (width == 4)
		return pyr_try_u32(&w->python->reader, at, &narrow) ? (int32_t)narrow : 0;
	return pyr_try_u64(&w->python->reader, at, &wide) ? (int64_t)wide : 0;
}

/* Heads at @first, counts at @counts (@width bytes each); one pair each @stride bytes. */
static void walk_lengths(struct freelist_walk *w, struct head h, pyr_addr first, uint64_t stride,
			 pyr_addr counts, uint64_t width, uint64_t count_stride)
{
	uint32_t i = indexed_by_length(w) ? 1 : 0;

	for (; i < LENGTHS; i++) {
		h.length = indexed_by_length(w) ? i : i + 1;
		h.first = first + i * stride;
		h.recorded = read_count(w, counts + i * count_stride, width);
		walk_list(w, LINKED, &h);
	}
}

static void walk_place(struct freelist_walk *w, const struct freelist_place *p, size_t interpreter)
{
	const bool chained = pyr_is(w->l, freelists, CHAINS);
	pyr_addr base = w->python->interpreters.data[interpreter].address;
	int32_t field = pyr_layout_offset(w->l, (enum pyr_field)p->field);
	struct head h = {.list = p->list, .interpreter = interpreter, .source = "interpreter"};
	uint64_t width = 8;
	pyr_addr counts;

	if (field < 0 || (p->head >= 0 && !pyr_layout_has(w->l, (enum pyr_field)p->head)) ||
	    (p->count >= 0 && !pyr_layout_has(w->l, (enum pyr_field)p->count)))
		return;
	base += (uint64_t)field;
	h.first = base;
	if (p->head >= 0) {
		h.first += (uint64_t)pyr_layout_offset(w->l, (enum pyr_field)p->head);
		h.slots = pyr_layout_place(w->l, (enum pyr_field)p->head)->size / 8;
	}
	if (chained) {
		counts = h.first + (uint64_t)pyr_offset(w->l, _Py_freelist, size);
		h.first += (uint64_t)pyr_offset(w->l, _Py_freelist, freelist);
	} else {
		h.link = pyr_layout_offset(w->l, (enum pyr_field)specs[p->list].link);
		counts = base;
		if (p->count >= 0) {
			counts += (uint64_t)pyr_layout_offset(w->l, (enum pyr_field)p->count);
			width = pyr_layout_place(w->l, (enum pyr_field)p->count)->size;
		}
	}
	if (h.link < 0)
		return;
	if (p->form == BY_LENGTH) {
		/* the counts are ints in an array */
		walk_lengths(w, h, h.first, chained ? pyr_sizeof(w->l, _Py_freelist) : 8, counts,
			     chained ? 8 : 4, chained ? pyr_sizeof(w->l, _Py_freelist) : 4);
		return;
	}
	h.recorded = p->form == SLOT ? 1 : read_count(w, counts, width);
	walk_list(w, p->form, &h);
}

/* exceptions.c; in the interpreter since 3.10. */
static void walk_memory_errors(struct freelist_walk *w, size_t interpreter)
{
	struct head h = {
		.list = LIST_memory_errors, .interpreter = interpreter, .source = "interpreter"};
	pyr_addr base = w->python->interpreters.data[interpreter].address;
	int64_t count;

	if (!pyr_has(w->l, PyInterpreterState, memerrors_freelist) ||
	    !pyr_get_i64(w->l, &w->python->reader, base, PyInterpreterState, memerrors_numfree,
			 &count))
		return;
	h.first = base + (uint64_t)pyr_offset(w->l, PyInterpreterState, memerrors_freelist);
	h.link = pyr_offset(w->l, PyBaseExceptionObject, dict);
	h.recorded = count;
	walk_list(w, LINKED, &h);
}

/* Is @image the extension module that is made from @file: "_asyncio.cpython-38-...so" from
 * "_asynciomodule.c"? */
static bool is_module(const struct pyr_image *image, const char *file)
{
	const char *end = strstr(file, "module.c"), *name;

	name = image->path ? strrchr(image->path, '/') : NULL;
	return name && end && !strncmp(name + 1, file, (size_t)(end - file)) &&
	       name[1 + (end - file)] == '.';
}

/* The image that has a static variable of that source file: the interpreter's own, or that of
 * an extension module. */
static bool find_static(struct freelist_walk *w, const char *file, const char *name,
			pyr_addr *address, uint64_t *size)
{
	struct pyr_target *target = w->python->target;
	size_t i;

	if (w->python->image && pyr_image_file_symbol(w->python->image, file, name, address, size))
		return true;
	for (i = 0; i < target->image_count; i++)
		if (is_module(&target->images[i], file) &&
		    pyr_image_file_symbol(&target->images[i], file, name, address, size))
			return true;
	return false;
}

static void walk_static(struct freelist_walk *w, size_t index, bool *found)
{
	struct head h = {.list = statics[index].list,
			 .interpreter = PYR_FREELIST_OF_PROCESS,
			 .source = "symbol"};
	uint64_t size, width = 0;
	pyr_addr counts = 0;

	if (!find_static(w, statics[index].file, statics[index].head, &h.first, &size) ||
	    (statics[index].count &&
	     !find_static(w, statics[index].file, statics[index].count, &counts, &width)))
		return;
	*found = true;
	h.slots = size / 8;
	h.link = pyr_layout_offset(w->l, (enum pyr_field)specs[h.list].link);
	if (h.link < 0)
		return;
	if (statics[index].form == BY_LENGTH) {
		walk_lengths(w, h, h.first, 8, counts, 4, 4);
		return;
	}
	h.recorded = statics[index].count ? read_count(w, counts, width) : 1;
	walk_list(w, statics[index].form, &h);
}

/* --- asyncio's FutureIter, where no symbol tells --- */

#define STATE_MAX 8192u /* bytes of a module's state, or of static data, that are looked at */

/* The type's name is checked: what lies on the list keeps its type, and has no references. */
static bool is_future_iter(struct freelist_walk *w, pyr_addr addr)
{
	const struct pyr_type *type;
	uint64_t refcount, address;

	if (!addr || addr & 7 ||
	    !pyr_get_u64(w->l, &w->python->reader, addr, PyObject, ob_refcnt, &refcount) ||
	    refcount || !pyr_get_u64(w->l, &w->python->reader, addr, PyObject, ob_type, &address))
		return false;
	type = pyr_types_get(w->types, &w->python->reader, address);
	return type && !strcmp(pyr_type_name(w->types, type), specs[LIST_futureiters].type);
}

/* Length of the chain that begins at @addr; 0: it is none. */
static uint64_t future_iters(struct freelist_walk *w, pyr_addr addr)
{
	int32_t link = pyr_offset(w->l, futureiterobject, future);
	uint64_t n;

	for (n = 0; addr; n++)
		if (link < 0 || n == specs[LIST_futureiters].maximum || !is_future_iter(w, addr) ||
		    !pyr_try_u64(&w->python->reader, addr + (uint64_t)link, &addr))
			return 0;
	return n;
}

/* The list whose head is a word of [@start, @start + @size). That there is none means that
 * it is empty. */
static bool scan_for_asyncio(struct freelist_walk *w, pyr_addr start, uint64_t size,
			     size_t interpreter)
{
	struct head h = {.list = LIST_futureiters, .interpreter = interpreter, .source = "shape"};
	struct pyr_freelist empty = {.type = specs[LIST_futureiters].type,
				     .source = "shape",
				     .interpreter = interpreter,
				     .maximum = specs[LIST_futureiters].maximum,
				     .agrees = true};
	pyr_addr at, word;
	uint64_t n;

	for (at = start; at + 8 <= start + size; at += 8) {
		if (!pyr_try_u64(&w->python->reader, at, &word))
			return false;
		if (!(n = future_iters(w, word)))
			continue;
		h.first = at;
		h.recorded = (int64_t)n;
		h.link = pyr_offset(w->l, futureiterobject, future);
		walk_list(w, LINKED, &h);
		return true;
	}
	if (!pyr_vec_push(&w->out->lists, empty))
		w->out_of_memory = true;
	return true;
}

/* In the module's state, of each interpreter (3.12, 3.13), else in its static data. */
static bool walk_asyncio(struct freelist_walk *w, const struct pyr_image *image)
{
	struct pyr_raw raw = {w->l, &w->python->reader};
	pyr_addr module, state, definition, ranges[4][2];
	bool found = false, any = false;
	uint64_t size = 0;
	size_t i, n;

	for (i = 0; i < w->python->interpreters.count; i++) {
		module = pyr_raw_dict_get(raw, w->python->interpreters.data[i].modules, "_asyncio");
		state = module ? pyr_raw_get(raw, module, PYR_FIELD(PyModuleObject, md_state)) : 0;
		definition =
			module ? pyr_raw_get(raw, module, PYR_FIELD(PyModuleObject, md_def)) : 0;
		if (!state || !definition ||
		    !pyr_raw_field(raw, definition, PYR_FIELD(PyModuleDef, m_size), &size) ||
		    !size || size > STATE_MAX)
			continue;
		any = true;
		found |= scan_for_asyncio(w, state, size, i);
	}
	if (any)
		return found;
	n = pyr_image_writable(w->python->target, image, ranges, 4);
	for (i = 0; i < n && i < 4; i++) {
		size = ranges[i][1] - ranges[i][0];
		if (size <= 8 * STATE_MAX &&
		    scan_for_asyncio(w, (ranges[i][0] + 7) & ~UINT64_C(7), size & ~UINT64_C(7),
				     PYR_FREELIST_OF_PROCESS))
			return true;
	}
	return false;
}

/* Variables of one name in several files: the file tells. Gone where a list has moved into
 * the interpreter, but for those of extension modules. */
static void walk_statics(struct freelist_walk *w)
{
	const struct pyr_target *target = w->python->target;
	bool any = false, deques = false, asyncio = false, *found;
	size_t i;

	for (i = 0; i < COUNT_OF(statics); i++) {
		found = statics[i].list == LIST_deque_blocks  ? &deques
			: statics[i].list == LIST_futureiters ? &asyncio
							      : &any;
		if (found == &any && !pyr_is(w->l, freelists, STATIC))
			continue;
		walk_static(w, i, found);
	}
	w->out->statics_unknown = pyr_is(w->l, freelists, STATIC) && !any;
	w->out->deques_unknown = !deques && !pyr_has(w->l, dequeobject, freeblocks);
	if (asyncio || pyr_is(w->l, freelists, CHAINS))
		return;
	for (i = 0; i < target->image_count; i++)
		if (is_module(&target->images[i], "_asynciomodule.c") &&
		    !walk_asyncio(w, &target->images[i]))
			w->out->asyncio_unknown = true;
}

static int by_address(const void *a, const void *b)
{
	const struct pyr_freelist_entry *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

void pyr_freelists_sort(struct pyr_freelists *freelists)
{
	if (freelists->entries.count)
		qsort(freelists->entries.data, freelists->entries.count,
		      sizeof(*freelists->entries.data), by_address);
}

pyr_error *pyr_freelists_read(struct pyr_types *types, const struct pyr_obmalloc *obmalloc,
			      struct pyr_freelists *ret)
{
	struct pyr_freelists out;
	struct freelist_walk w = {.types = types, .obmalloc = obmalloc, .out = &out};
	const struct freelist_place *places = NULL;
	size_t i, k, count = 0;
	pyr_error *err;

	memset(&out, 0, sizeof(out));
	w.python = pyr_types_python(types);
	w.l = &w.python->layout;
	if (pyr_is(w.l, freelists, PER_TYPE))
		places = per_type, count = COUNT_OF(per_type);
	else if (pyr_is(w.l, freelists, ARRAYS))
		places = in_arrays, count = COUNT_OF(in_arrays);
	else if (pyr_is(w.l, freelists, CHAINS))
		places = in_chains, count = COUNT_OF(in_chains);
	for (i = 0; i < w.python->interpreters.count; i++) {
		for (k = 0; k < count; k++)
			walk_place(&w, &places[k], i);
		walk_memory_errors(&w, i);
	}
	walk_statics(&w);
	err = w.out_of_memory ? pyr_error_no_memory() : pyr_reader_check(&w.python->reader);
	if (err) {
		pyr_freelists_deinit(&out);
		return err;
	}
	pyr_freelists_sort(&out);
	*ret = out;
	return NULL;
}

void pyr_freelists_deinit(struct pyr_freelists *freelists)
{
	pyr_vec_deinit(&freelists->lists);
	pyr_vec_deinit(&freelists->entries);
}

const struct pyr_freelist *pyr_freelists_at(const struct pyr_freelists *freelists, pyr_addr start,
					    pyr_addr end)
{
	const struct pyr_freelist_entry *entry = freelists->entries.data;
	size_t i = pyr_search(k, freelists->entries.count, entry[k].address < start);

	if (i == freelists->entries.count || entry[i].address >= end)
		return NULL;
	return &freelists->lists.data[entry[i].list];
}
