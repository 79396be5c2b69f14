/* Python frames: the chain of a thread, and the frame of a generator. */
#define _GNU_SOURCE
#include "runtime/frames.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/access.h"
#include "runtime/raw.h"

/* Deeper than any recursion limit that works; a longer chain is cut and said. */
#define FRAMES_MAX 1000000u
/* co_nlocalsplus + co_stacksize of a code object, at most. */
#define SLOTS_MAX 65536u
#define NAME_MAX_LENGTH 1000u
#define PATH_MAX_LENGTH 4096u

/* enum _frameowner, pycore_frame.h; the shims' numbers differ (trait frame_owner). */
#define OWNER_GENERATOR 1
#define OWNER_FRAME_OBJECT 2

struct walk {
	struct pyr_types *types;
	struct pyr_reader *reader;
	const struct pyr_layout *layout;
	struct pyr_raw raw;
};

static struct walk walk_init(struct pyr_types *types, struct pyr_reader *reader)
{
	const struct pyr_layout *l = &pyr_types_python(types)->layout;

	return (struct walk){ .types = types, .reader = reader, .layout = l,
			      .raw = { .layout = l, .reader = reader } };
}

static pyr_addr get(struct walk *w, pyr_addr base, enum pyr_field field)
{
	return pyr_field_addr(w->layout, w->reader, base, field);
}

static void cut(struct pyr_frames *frames, const char *format, ...)
{
	va_list args;

	frames->truncated = true;
	va_start(args, format);
	if (!frames->why && vasprintf(&frames->why, format, args) < 0)
		frames->why = NULL;
	va_end(args);
}

static void frame_deinit(struct pyr_frame *f)
{
	size_t i;

	for (i = 0; i < f->variables.count; i++)
		free(f->variables.data[i].name);
	pyr_vec_deinit(&f->variables);
	free(f->name);
	free(f->filename);
}

void pyr_frames_deinit(struct pyr_frames *frames)
{
	size_t i;

	for (i = 0; i < frames->frames.count; i++)
		frame_deinit(&frames->frames.data[i]);
	pyr_vec_deinit(&frames->frames);
	free(frames->why);
	memset(frames, 0, sizeof(*frames));
}

/* --- variables --- */

/* One slot of localsplus. From 3.14 on a slot is a stack reference: bit 0 set
 * means that it is not counted, both low bits set a tagged int. */
static bool add_variable(struct walk *w, struct pyr_frame *f, pyr_addr slot, char *name,
			 enum pyr_variable_kind kind)
{
	struct pyr_variable v = { .name = name, .slot = slot, .kind = kind, .counted = true };

	if (!pyr_try_u64(w->reader, slot, &v.value)) {
		free(name);
		return false;
	}
	if (pyr_is(w->layout, frame_layout, STACKREFS)) {
		v.counted = !(v.value & 1);
		v.value = (v.value & 3) >= 2 ? 0 : v.value & ~UINT64_C(3);
	}
	if (!v.value || !pyr_vec_push(&f->variables, v))
		free(name);
	return true;
}

static char *tuple_name(struct walk *w, pyr_addr tuple, uint64_t index)
{
	pyr_addr items, name;
	uint64_t count;

	if (!tuple || !pyr_raw_tuple(w->raw, tuple, &items, &count) || index >= count ||
	    !pyr_try_u64(w->reader, items + index * 8, &name))
		return NULL;
	return pyr_raw_str(w->raw, name, NAME_MAX_LENGTH);
}

static uint64_t tuple_count(struct walk *w, pyr_addr tuple)
{
	pyr_addr items;
	uint64_t count;

	return tuple && pyr_raw_tuple(w->raw, tuple, &items, &count) && count < SLOTS_MAX ? count : 0;
}

/* co_localsplusnames and co_localspluskinds, pycore_code.h (3.11+). */
static uint64_t add_localsplus(struct walk *w, struct pyr_frame *f, pyr_addr slots)
{
	pyr_addr names = get(w, f->code, PYR_FIELD(PyCodeObject, co_localsplusnames));
	pyr_addr kinds = get(w, f->code, PYR_FIELD(PyCodeObject, co_localspluskinds)), data = 0;
	uint64_t count = tuple_count(w, names), length = 0, i;
	const uint8_t *kind;

	if (!kinds || !pyr_raw_bytes(w->raw, kinds, &data, &length))
		length = 0;
	for (i = 0; i < count; i++) {
		kind = i < length ? pyr_peek(w->reader, data + i, 1) : NULL;
		if (!add_variable(w, f, slots + i * 8, tuple_name(w, names, i),
				  kind && *kind & 0x80   ? PYR_VARIABLE_FREE
				  : kind && *kind & 0x40 ? PYR_VARIABLE_CELL
							 : PYR_VARIABLE_LOCAL))
			break;
	}
	return count;
}

/* co_varnames, co_cellvars, co_freevars, in this order (up to 3.10). */
static uint64_t add_fast_locals(struct walk *w, struct pyr_frame *f, pyr_addr slots)
{
	static const struct {
		enum pyr_field names;
		enum pyr_variable_kind kind;
	} groups[] = {
		{ PYR_FIELD(PyCodeObject, co_varnames), PYR_VARIABLE_LOCAL },
		{ PYR_FIELD(PyCodeObject, co_cellvars), PYR_VARIABLE_CELL },
		{ PYR_FIELD(PyCodeObject, co_freevars), PYR_VARIABLE_FREE },
	};
	uint64_t slot = 0, i, count;
	pyr_addr names;
	size_t g;

	for (g = 0; g < sizeof(groups) / sizeof(*groups); g++) {
		names = get(w, f->code, groups[g].names);
		count = tuple_count(w, names);
		for (i = 0; i < count; i++, slot++)
			if (!add_variable(w, f, slots + slot * 8, tuple_name(w, names, i),
					  groups[g].kind))
				return slot;
	}
	return slot;
}

static void add_stack(struct walk *w, struct pyr_frame *f, pyr_addr slots, uint64_t from, int64_t to)
{
	uint64_t i;

	if (to < 0 || to > (int64_t)SLOTS_MAX)
		return;
	for (i = from; i < (uint64_t)to; i++)
		if (!add_variable(w, f, slots + i * 8, NULL, PYR_VARIABLE_STACK))
			break;
}

/* --- what a frame runs --- */

static void describe_code(struct walk *w, struct pyr_frame *f)
{
	pyr_addr name = get(w, f->code, PYR_FIELD(PyCodeObject, co_qualname));
	int64_t first = 0;

	if (!name)
		name = get(w, f->code, PYR_FIELD(PyCodeObject, co_name));
	f->name = name ? pyr_raw_str(w->raw, name, NAME_MAX_LENGTH) : NULL;
	name = get(w, f->code, PYR_FIELD(PyCodeObject, co_filename));
	f->filename = name ? pyr_raw_str(w->raw, name, PATH_MAX_LENGTH) : NULL;
	if (!f->name)
		f->name = strdup("?");
	if (!f->filename)
		f->filename = strdup("?");
	pyr_get_i64(w->layout, w->reader, f->code, PyCodeObject, co_firstlineno, &first);
	f->first_line = (int32_t)first;
	pyr_error_destroy(pyr_code_line(w->types, w->reader, f->code, f->lasti, &f->line));
}

/* A frame without the names is of no use: out of memory ends the walk. */
static pyr_error *push(struct pyr_frames *frames, struct pyr_frame *f)
{
	if (f->name && f->filename && pyr_vec_push(&frames->frames, *f))
		return NULL;
	frame_deinit(f);
	return pyr_error_no_memory();
}

/* --- frame objects, up to 3.10 --- */

static pyr_error *read_frame_object(struct walk *w, pyr_addr addr, struct pyr_frames *frames,
				    pyr_addr *back)
{
	const struct pyr_layout *l = w->layout;
	struct pyr_frame f = { .address = addr, .frame_object = addr, .lasti = -1 };
	pyr_addr slots = addr + (pyr_addr)pyr_offset(l, PyFrameObject, f_localsplus), top, stack;
	int64_t lasti = -1, depth = -1;
	uint64_t variables;

	if (!(f.code = get(w, addr, PYR_FIELD(PyFrameObject, f_code))) ||
	    !pyr_get_i64(l, w->reader, addr, PyFrameObject, f_lasti, &lasti)) {
		cut(frames, "the frame at 0x%llx is not in the target", (unsigned long long)addr);
		*back = 0;
		return NULL;
	}
	f.lasti = (int32_t)(pyr_is(l, lasti, UNITS) && lasti > 0 ? lasti * 2 : lasti);
	f.generator = get(w, addr, PYR_FIELD(PyFrameObject, f_gen));
	describe_code(w, &f);
	variables = add_fast_locals(w, &f, slots);
	if (pyr_has(l, PyFrameObject, f_stackdepth)) {
		pyr_get_i64(l, w->reader, addr, PyFrameObject, f_stackdepth, &depth);
	} else {
		top = get(w, addr, PYR_FIELD(PyFrameObject, f_stacktop));
		stack = get(w, addr, PYR_FIELD(PyFrameObject, f_valuestack));
		if (top >= stack && stack)
			depth = (int64_t)((top - stack) / 8);
	}
	if (depth > 0)
		add_stack(w, &f, slots, variables, (int64_t)variables + depth);
	*back = get(w, addr, PYR_FIELD(PyFrameObject, f_back));
	return push(frames, &f);
}

/* --- interpreter frames, 3.11+ --- */

static bool is_shim(const struct pyr_layout *l, uint64_t owner)
{
	return !pyr_is(l, frame_owner, NO_SHIMS) && owner > OWNER_FRAME_OBJECT;
}

/* Byte offset of the last instruction begun: _PyInterpreterFrame_LASTI(). The field
 * is prev_instr in 3.11 and 3.12. */
static int64_t lasti_of(struct walk *w, pyr_addr frame, pyr_addr code)
{
	pyr_addr start = code + (pyr_addr)pyr_offset(w->layout, PyCodeObject, co_code_adaptive);

	return (int64_t)(get(w, frame, PYR_FIELD(_PyInterpreterFrame, instr_ptr)) - start);
}

/* _PyFrame_IsIncomplete(): the frame has not reached its RESUME; CPython does
 * not show it either. */
static bool incomplete(struct walk *w, const struct pyr_frame *f, uint64_t owner)
{
	int64_t first = 0;

	if (owner == OWNER_GENERATOR)
		return false;
	pyr_get_i64(w->layout, w->reader, f->code, PyCodeObject, _co_firsttraceable, &first);
	return f->lasti < first * 2;
}

static int64_t stack_depth(struct walk *w, pyr_addr frame, pyr_addr slots)
{
	pyr_addr pointer;
	int64_t top = -1;

	if (!pyr_has(w->layout, _PyInterpreterFrame, stackpointer)) {
		pyr_get_i64(w->layout, w->reader, frame, _PyInterpreterFrame, stacktop, &top);
		return top;
	}
	pointer = get(w, frame, PYR_FIELD(_PyInterpreterFrame, stackpointer));
	return pointer >= slots ? (int64_t)((pointer - slots) / 8) : -1;
}

static pyr_error *read_interpreter_frame(struct walk *w, pyr_addr addr, struct pyr_frames *frames,
					 pyr_addr *previous)
{
	const struct pyr_layout *l = w->layout;
	bool tagged = pyr_is(l, frame_layout, STACKREFS);
	struct pyr_frame f = { .address = addr };
	pyr_addr slots = addr + (pyr_addr)pyr_offset(l, _PyInterpreterFrame, localsplus);
	uint64_t owner, variables;
	int64_t lasti;

	*previous = 0;
	if (!pyr_get_u64(l, w->reader, addr, _PyInterpreterFrame, owner, &owner) ||
	    !pyr_get_u64(l, w->reader, addr, _PyInterpreterFrame, previous, previous)) {
		cut(frames, "the frame at 0x%llx is not in the target", (unsigned long long)addr);
		return NULL;
	}
	if (is_shim(l, owner))
		return NULL;
	f.code = get(w, addr, PYR_FIELD(_PyInterpreterFrame, f_executable));
	f.function = get(w, addr, PYR_FIELD(_PyInterpreterFrame, f_funcobj));
	if (tagged) {
		f.code &= ~UINT64_C(3);
		f.function &= ~UINT64_C(3);
	}
	f.frame_object = get(w, addr, PYR_FIELD(_PyInterpreterFrame, frame_obj));
	if (owner == OWNER_GENERATOR)
		f.generator = addr - (pyr_addr)pyr_offset(l, PyGenObject, gi_iframe);
	lasti = lasti_of(w, addr, f.code);
	f.lasti = lasti < 0 || lasti > INT32_MAX ? -1 : (int32_t)lasti;
	if (incomplete(w, &f, owner))
		return NULL;
	describe_code(w, &f);
	variables = add_localsplus(w, &f, slots);
	add_stack(w, &f, slots, variables, stack_depth(w, addr, slots));
	return push(frames, &f);
}

/* --- chains --- */

static pyr_addr innermost(struct walk *w, pyr_addr thread)
{
	pyr_addr cframe;

	if (pyr_is(w->layout, frame_layout, FRAME_OBJECTS))
		return get(w, thread, PYR_FIELD(PyThreadState, frame));
	if (pyr_has(w->layout, PyThreadState, current_frame))
		return get(w, thread, PYR_FIELD(PyThreadState, current_frame));
	cframe = get(w, thread, PYR_FIELD(PyThreadState, cframe));
	return cframe ? get(w, cframe, PYR_FIELD(_PyCFrame, current_frame)) : 0;
}

pyr_error *pyr_thread_frames(struct pyr_types *types, struct pyr_reader *reader, size_t thread,
			     struct pyr_frames *ret)
{
	struct walk w = walk_init(types, reader);
	struct pyr_frames frames = { 0 };
	bool objects = pyr_is(w.layout, frame_layout, FRAME_OBJECTS);
	struct pyr_python *python = pyr_types_python(types);
	/* Brent's cycle search: the frame met a power of two steps ago. */
	pyr_addr frame = innermost(&w, python->threads.data[thread].address), seen = 0;
	uint32_t steps = 0, limit = 64;
	pyr_error *err = NULL;

	while (frame && !err) {
		pyr_addr next = 0;

		if (frame == seen || steps == FRAMES_MAX) {
			cut(&frames, "the chain of frames runs into itself at 0x%llx",
			    (unsigned long long)frame);
			break;
		}
		if (++steps == limit) {
			seen = frame;
			limit *= 2;
		}
		err = objects ? read_frame_object(&w, frame, &frames, &next)
			      : read_interpreter_frame(&w, frame, &frames, &next);
		frame = next;
	}
	if (!err)
		err = pyr_reader_check(reader);
	if (err) {
		pyr_frames_deinit(&frames);
		return err;
	}
	*ret = frames;
	return NULL;
}

/* Is there still a frame in the generator? genobject.h, the trait gen_state. */
static bool generator_has_frame(struct walk *w, pyr_addr gen)
{
	int64_t state;

	return pyr_get_i64(w->layout, w->reader, gen, PyGenObject, gi_frame_state, &state) &&
	       (pyr_is(w->layout, gen_state, UNSIGNED_3_15) ? state < 5 : state < 1);
}

pyr_error *pyr_generator_frame(struct pyr_types *types, struct pyr_reader *reader, pyr_addr gen,
			       struct pyr_frames *ret)
{
	struct walk w = walk_init(types, reader);
	struct pyr_frames frames = { 0 };
	pyr_addr frame, next;
	pyr_error *err = NULL;

	if (pyr_is(w.layout, gen_state, FRAME_OBJECT)) {
		frame = get(&w, gen, PYR_FIELD(PyGenObject, gi_frame));
		if (frame)
			err = read_frame_object(&w, frame, &frames, &next);
	} else if (generator_has_frame(&w, gen)) {
		frame = gen + (pyr_addr)pyr_offset(w.layout, PyGenObject, gi_iframe);
		err = read_interpreter_frame(&w, frame, &frames, &next);
	}
	if (!err)
		err = pyr_reader_check(reader);
	if (err) {
		pyr_frames_deinit(&frames);
		return err;
	}
	*ret = frames;
	return NULL;
}
