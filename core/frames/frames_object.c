/* Frame objects, until 3.10 (frameobject.c). */
#include "frames/frames_fill.h"

/* Nothing that the compiler makes has more; a damaged code object might. */
#define SLOTS_MAX 100000

struct slots {
	pyr_addr at;
	uint64_t limit;
};

/* @count variables from *@slots on, named by the tuple @names. */
static void add_named(struct pyr_frame_walk *walk, struct pyr_frame *frame, struct slots *slots,
		      pyr_addr names, uint64_t count, enum pyr_variable_kind kind)
{
	struct pyr_variable v = {.kind = kind, .counted = true};
	uint64_t i;

	for (i = 0; i < count && slots->limit; i++, slots->limit--, slots->at += 8) {
		if (!pyr_try_u64(walk->raw.reader, slots->at, &v.value) || !v.value)
			continue;
		v.slot = slots->at;
		v.name = pyr_frame_name(walk, names, i);
		if (!v.name)
			v.name = strdup("?");
		pyr_frame_add(frame, &v);
	}
}

static uint64_t tuple_count(struct pyr_frame_walk *walk, pyr_addr tuple)
{
	pyr_addr items;
	uint64_t count;

	return tuple && pyr_raw_tuple(walk->raw, tuple, &items, &count) ? count : 0;
}

/* How many operands are on the stack; false while the frame runs: the pointer is
 * in a register of the evaluation loop then. */
static bool stack_depth(struct pyr_frame_walk *walk, pyr_addr address, pyr_addr bottom,
			uint64_t *ret)
{
	uint64_t top;

	if (pyr_has(walk->raw.layout, PyFrameObject, f_stackdepth)) {
		top = pyr_raw_get(walk->raw, address, PYR_FIELD(PyFrameObject, f_stackdepth));
		*ret = top;
		return (int32_t)top >= 0;
	}
	top = pyr_raw_get(walk->raw, address, PYR_FIELD(PyFrameObject, f_stacktop));
	*ret = (top - bottom) / 8;
	return top >= bottom && top;
}

static void add_stack(struct pyr_frame_walk *walk, pyr_addr address, pyr_addr code,
		      struct pyr_frame *frame)
{
	pyr_addr bottom = pyr_raw_get(walk->raw, address, PYR_FIELD(PyFrameObject, f_valuestack));
	uint64_t size = pyr_raw_get(walk->raw, code, PYR_FIELD(PyCodeObject, co_stacksize));
	struct pyr_variable v = {.kind = PYR_VARIABLE_STACK, .counted = true};
	uint64_t depth, i;

	if (!bottom)
		return;
	v.possible = !stack_depth(walk, address, bottom, &depth);
	if (v.possible || depth > size)
		depth = size;
	for (i = 0; i < depth && i < SLOTS_MAX; i++) {
		v.slot = bottom + 8 * i;
		if (pyr_try_u64(walk->raw.reader, v.slot, &v.value) && v.value &&
		    (!v.possible || pyr_frame_is_object(walk, v.value)))
			pyr_frame_add(frame, &v);
	}
}

bool pyr_frame_object_read(struct pyr_frame_walk *walk, pyr_addr address, struct pyr_frame *frame,
			   pyr_addr *next)
{
	struct pyr_raw raw = walk->raw;
	const struct pyr_layout *l = raw.layout;
	int32_t localsplus = pyr_offset(l, PyFrameObject, f_localsplus), lasti;
	struct slots slots = {address + (uint64_t)localsplus, SLOTS_MAX};
	pyr_addr code, names;

	if (localsplus < 0 ||
	    !pyr_raw_field(raw, address, PYR_FIELD(PyFrameObject, f_code), &code) ||
	    !pyr_raw_field(raw, address, PYR_FIELD(PyFrameObject, f_back), next) || !code ||
	    (walk->python->known[PYR_KNOWN_CODE_TYPE] &&
	     pyr_raw_type(raw, code) != walk->python->known[PYR_KNOWN_CODE_TYPE]))
		return false;
	lasti = (int32_t)pyr_raw_get(raw, address, PYR_FIELD(PyFrameObject, f_lasti));
	if (lasti > 0 && pyr_is(l, lasti, UNITS))
		lasti = lasti < INT32_MAX / 2 ? lasti * 2 : INT32_MAX;
	frame->address = frame->frame_object = address;
	frame->generator = pyr_raw_get(raw, address, PYR_FIELD(PyFrameObject, f_gen));
	pyr_frame_set_code(walk, code, lasti, frame);

	add_named(walk, frame, &slots, pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_varnames)),
		  (uint32_t)pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_nlocals)),
		  PYR_VARIABLE_LOCAL);
	names = pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_cellvars));
	add_named(walk, frame, &slots, names, tuple_count(walk, names), PYR_VARIABLE_CELL);
	names = pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_freevars));
	add_named(walk, frame, &slots, names, tuple_count(walk, names), PYR_VARIABLE_FREE);
	add_stack(walk, address, code, frame);
	return true;
}
