/* The variables of extension modules that Cython made. Until 0.29 it lists its strings in a
 * table of {variable, text, size, ...}; constants that are no strings lie in variables
 * among them. In Cython 3 all of them are members of one structure. Cython keeps one more
 * kind of variable, which borrows: global names that were looked up, each beside the
 * version of the dict it came from, where dicts have versions (until 3.11). */
#include "base/search.h"
#include "roots/roots_internal.h"
#include "roots/roots_rows.h"
#include "roots/statics.h"
#include "values/object.h"

#define TEXT_MAX (UINT64_C(1) << 20)
#define STRINGS_MIN 8u
#define ENTRIES_MAX (1u << 20)

struct cython_scan {
	struct pyr_roots *roots;
	struct pyr_types *types;
	const struct pyr_heap *heap;
	const struct pyr_layout *layout;
	struct pyr_python *python;
	struct pyr_reader reader;
	PYR_VEC(pyr_addr) strings; /* variables that the table of the image names */
	bool cython_3;             /* a variable is the type of Cython's functions */
	bool failed;
};

static const struct pyr_type *type_of(struct cython_scan *s, pyr_addr object)
{
	uint32_t id = pyr_heap_id(s->heap, object);

	return id == PYR_NO_ID ? NULL : pyr_types_at(s->types, s->heap->type[id]);
}

static bool has_text(struct cython_scan *s, pyr_addr object, pyr_addr text, uint64_t length)
{
	const struct pyr_type *type = type_of(s, object);
	char *utf8;
	const void *there;
	pyr_error *err;
	uint64_t size;
	bool same;

	if (!type || !type->exact_shape || length > TEXT_MAX)
		return false;
	if (type->shape == PYR_SHAPE_BYTES) {
		if (!pyr_get_u64(s->layout, &s->reader, object, PyVarObject, ob_size, &size) ||
		    size != length)
			return false;
		if (!length)
			return true;
		there = pyr_peek(&s->reader, text, length);
		utf8 = there ? malloc(length) : NULL;
		if (!utf8)
			return false;
		memcpy(utf8, there, length);
		there = pyr_peek(&s->reader,
				 object + (pyr_addr)pyr_offset(s->layout, PyBytesObject, ob_sval),
				 length);
		same = there && !memcmp(utf8, there, length);
		free(utf8);
		return same;
	}
	if (type->shape != PYR_SHAPE_STR)
		return false;
	if ((err = pyr_str_utf8(s->types, &s->reader, object, TEXT_MAX, &utf8, NULL))) {
		pyr_error_destroy(err);
		return false;
	}
	there = length ? pyr_peek(&s->reader, text, length) : "";
	same = there && strlen(utf8) == length && !memcmp(utf8, there, length);
	free(utf8);
	return same;
}

/* An entry of the table of strings at @slot, whose variable is one of the same image. */
static void look_for_string(struct cython_scan *s, const struct pyr_image *image, pyr_addr slot,
			    pyr_addr variable)
{
	uint64_t object, text, size;

	if (variable < image->start || variable + 8 > image->end || variable & 7 ||
	    !pyr_try_u64(&s->reader, variable, &object) || !object ||
	    !pyr_try_u64(&s->reader, slot + 8, &text) || !text || text >> 48 ||
	    !pyr_try_u64(&s->reader, slot + 16, &size) || !size || size > TEXT_MAX ||
	    !has_text(s, object, text, size - 1))
		return;
	if (!pyr_vec_push(&s->strings, variable))
		s->failed = true;
}

static bool is_function_type(struct cython_scan *s, pyr_addr object)
{
	static const char suffix[] = "cython_function_or_method";
	const struct pyr_type *meta = type_of(s, object), *type;
	const char *name;
	size_t length;

	if (!meta || meta->shape != PYR_SHAPE_TYPE ||
	    !(type = pyr_types_get(s->types, &s->reader, object)))
		return false;
	name = pyr_type_name(s->types, type);
	length = strlen(name);
	return length >= sizeof(suffix) - 1 &&
	       !strcmp(name + length - (sizeof(suffix) - 1), suffix);
}

/* May the variable be one that borrows? Then its neighbour is a version: a number. */
static bool beside_number(struct cython_scan *s, pyr_addr slot)
{
	uint64_t word;
	int i;

	for (i = -8; i <= 8; i += 16)
		if (!pyr_try_u64(&s->reader, slot + (pyr_addr)i, &word) ||
		    (word && pyr_heap_id(s->heap, word) == PYR_NO_ID))
			return true;
	return false;
}

static bool is_constant(const struct pyr_type *type)
{
	if (!type->exact_shape)
		return false;
	switch (type->shape) {
	case PYR_SHAPE_CODE:
	case PYR_SHAPE_TUPLE:
	case PYR_SHAPE_SLICE:
	case PYR_SHAPE_INT:
	case PYR_SHAPE_FLOAT:
		return true;
	default:
		return false;
	}
}

/* The words of an image's variables: @fn for each that is not 0. */
static pyr_error *each_word(struct cython_scan *s, const struct pyr_statics *statics,
			    const struct pyr_image *image, struct pyr_control *control,
			    void (*fn)(struct cython_scan *s, const struct pyr_image *image,
				       pyr_addr slot, pyr_addr word))
{
	const struct pyr_static_range *range;
	const uint8_t *run;
	pyr_addr slot, word;
	pyr_error *err;
	size_t i, k, n;

	for (i = 0; i < statics->ranges.count; i++) {
		range = &statics->ranges.data[i];
		if (range->image != image)
			continue;
		slot = (range->start + 7) & ~UINT64_C(7);
		while (pyr_peek_words(&s->reader, &slot, range->end, &run, &n)) {
			if ((err = pyr_control_check(control)))
				return err;
			for (k = 0; k < n; k++, slot += 8) {
				memcpy(&word, run + 8 * k, 8);
				if (word)
					fn(s, image, slot, word);
			}
		}
	}
	return NULL;
}

static void look(struct cython_scan *s, const struct pyr_image *image, pyr_addr slot, pyr_addr word)
{
	if (!s->cython_3 && is_function_type(s, word))
		s->cython_3 = true;
	if (s->strings.count < ENTRIES_MAX)
		look_for_string(s, image, slot, word);
}

static void push(struct cython_scan *s, pyr_addr slot, pyr_addr object)
{
	pyr_roots_push(s->roots, PYR_ROOT_RUNTIME, PYR_ROOT_OWNED, object, slot, 0,
		       PYR_ROOT_ROW_CYTHON);
}

/* An instance of a class of the module: its free list may still point to it. */
static bool is_own(const struct pyr_type *type, const struct pyr_image *image)
{
	return (type->address >= image->start && type->address < image->end) ||
	       (type->traverse >= image->start && type->traverse < image->end);
}

/* Everything in the structure of Cython 3 where nothing borrows. */
static void push_any(struct cython_scan *s, const struct pyr_image *image, pyr_addr slot,
		     pyr_addr word)
{
	const struct pyr_type *type = type_of(s, word);

	if (type && !is_own(type, image) && !pyr_roots_known_static(s->roots, slot))
		push(s, slot, word);
}

static void push_constant(struct cython_scan *s, const struct pyr_image *image, pyr_addr slot,
			  pyr_addr word)
{
	const struct pyr_type *type = type_of(s, word);

	(void)image;
	if (type && is_constant(type) && !beside_number(s, slot) &&
	    !pyr_roots_known_static(s->roots, slot))
		push(s, slot, word);
}

static pyr_error *scan_image(struct cython_scan *s, const struct pyr_statics *statics,
			     const struct pyr_image *image, struct pyr_control *control)
{
	pyr_addr previous = 0, object;
	pyr_error *err;
	size_t i;

	s->strings.count = 0;
	s->cython_3 = false;
	if ((err = each_word(s, statics, image, control, look)))
		return err;
	if (s->cython_3 && pyr_is(s->layout, static_type_state, PER_INTERPRETER))
		return each_word(s, statics, image, control, push_any);
	if (s->strings.count < STRINGS_MIN || !s->cython_3)
		return NULL;
	qsort(s->strings.data, s->strings.count, sizeof(*s->strings.data), pyr_by_word);
	for (i = 0; i < s->strings.count; i++) {
		if (s->strings.data[i] != previous &&
		    pyr_try_u64(&s->reader, s->strings.data[i], &object) &&
		    !pyr_roots_known_static(s->roots, s->strings.data[i]))
			push(s, s->strings.data[i], object);
		previous = s->strings.data[i];
	}
	return each_word(s, statics, image, control, push_constant);
}

pyr_error *pyr_roots_cython(struct pyr_roots *roots, struct pyr_control *control)
{
	struct pyr_python *python = pyr_roots_python(roots);
	struct cython_scan s = {.roots = roots,
				.types = roots->model->heap->types,
				.heap = roots->model->heap,
				.layout = &python->layout,
				.python = python};
	struct pyr_statics statics;
	pyr_error *err;
	size_t i;

	if ((err = pyr_statics_init(python->target, &statics)))
		return err;
	pyr_reader_init(&s.reader, python->target);
	for (i = 0; i < python->target->image_count && !err; i++)
		if (&python->target->images[i] != python->image)
			err = scan_image(&s, &statics, &python->target->images[i], control);
	if (!err)
		err = s.failed ? pyr_error_no_memory() : pyr_reader_check(&s.reader);
	pyr_reader_deinit(&s.reader);
	pyr_vec_deinit(&s.strings);
	pyr_statics_deinit(&statics);
	return err;
}
