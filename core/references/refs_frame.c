/* References of frames and generators. frame_traverse(), gen_traverse(),
 * _PyFrame_Traverse(): Objects/frameobject.c, genobject.c, Python/frame.c. */
#include "references/refs_plan.h"

/* More than any code object's co_nlocalsplus + co_stacksize. */
#define SLOTS_MAX (UINT64_C(1) << 20)

static pyr_addr field(struct pyr_walk *w, pyr_addr base, enum pyr_field f)
{
	return pyr_field_addr(w->refs->layout, w->reader, base, f);
}

static inline __attribute__((always_inline)) void
tell(struct pyr_walk *w, pyr_addr base, enum pyr_field f, uint32_t flags, const char *name)
{
	pyr_walk_tell(w, field(w, base, f), PYR_FIELD_LABEL(flags, name), 0);
}

static bool stackrefs(const struct pyr_walk *w)
{
	return pyr_is(w->refs->layout, frame_layout, STACKREFS);
}

/* A _PyStackRef (3.14+): bit 0 set means that the reference is not counted;
 * both low bits set, a tagged int. Before, a plain owned pointer. */
static void tell_stackref(struct pyr_walk *w, uint64_t bits, uint32_t label, uint64_t detail)
{
	if (!stackrefs(w)) {
		pyr_walk_tell(w, bits, label | PYR_BOTH, detail);
		return;
	}
	if ((bits & 3) >= 2)
		return;
	pyr_walk_tell(w, bits & ~UINT64_C(3),
		      label | PYR_REF_TRAVERSED | (bits & 1 ? 0 : PYR_REF_OWNED), detail);
}

static void walk_slots(struct pyr_walk *w, pyr_addr slots, uint64_t locals, uint64_t count)
{
	const uint8_t *words = count ? pyr_peek(w->reader, slots, count * 8) : NULL;
	uint64_t i, bits;

	if (count && !words) {
		w->damaged = true;
		return;
	}
	for (i = 0; i < count; i++) {
		memcpy(&bits, words + i * 8, 8);
		tell_stackref(w, bits, i < locals ? PYR_EDGE_LOCAL : PYR_EDGE_STACK,
			      i < locals ? i : i - locals);
	}
}

/* How many of localsplus are variables, by the frame's code. */
static uint64_t variables_of(struct pyr_walk *w, pyr_addr code)
{
	const struct pyr_layout *l = w->refs->layout;
	uint64_t n = 0, cells = 0, frees = 0;
	pyr_addr tuple;

	if (!code)
		return 0;
	if (pyr_has(l, PyCodeObject, co_nlocalsplus)) {
		pyr_get_u64(l, w->reader, code, PyCodeObject, co_nlocalsplus, &n);
		return n < SLOTS_MAX ? n : 0;
	}
	pyr_get_u64(l, w->reader, code, PyCodeObject, co_nlocals, &n);
	if ((tuple = field(w, code, PYR_FIELD(PyCodeObject, co_cellvars))))
		pyr_get_u64(l, w->reader, tuple, PyVarObject, ob_size, &cells);
	if ((tuple = field(w, code, PYR_FIELD(PyCodeObject, co_freevars))))
		pyr_get_u64(l, w->reader, tuple, PyVarObject, ob_size, &frees);
	n += cells + frees;
	return n < SLOTS_MAX ? n : 0;
}

/* _PyFrame_Traverse(): the frame object is not visited from a frame that it owns. */
static void walk_interpreter_frame(struct pyr_walk *w, pyr_addr frame)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr executable = 0, function = 0, code, slots, pointer;
	int64_t top = -1;
	uint64_t locals;

	tell(w, frame, PYR_FIELD(_PyInterpreterFrame, frame_obj), PYR_BOTH, "frame_obj");
	tell(w, frame, PYR_FIELD(_PyInterpreterFrame, f_locals), PYR_BOTH, "f_locals");
	pyr_get_u64(l, w->reader, frame, _PyInterpreterFrame, f_executable, &executable);
	pyr_get_u64(l, w->reader, frame, _PyInterpreterFrame, f_funcobj, &function);
	tell_stackref(w, function, PYR_FIELD_LABEL(0, "f_func"), 0);
	tell_stackref(w, executable, PYR_FIELD_LABEL(0, "f_code"), 0);
	code = stackrefs(w) ? executable & ~UINT64_C(3) : executable;
	locals = variables_of(w, code);
	slots = frame + (pyr_addr)pyr_offset(l, _PyInterpreterFrame, localsplus);
	if (pyr_has(l, _PyInterpreterFrame, stackpointer)) {
		pointer = field(w, frame, PYR_FIELD(_PyInterpreterFrame, stackpointer));
		if (pointer >= slots && (pointer - slots) / 8 < SLOTS_MAX)
			top = (int64_t)((pointer - slots) / 8);
	} else {
		pyr_get_i64(l, w->reader, frame, _PyInterpreterFrame, stacktop, &top);
	}
	/* A frame that executes keeps its depth in a register: nothing is visited. */
	if (top > 0 && (uint64_t)top < SLOTS_MAX)
		walk_slots(w, slots, locals, (uint64_t)top);
}

/* frame_traverse() up to 3.10: variables always, the stack up to its depth. */
static void walk_frame_object(struct pyr_walk *w, pyr_addr frame)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr code = field(w, frame, PYR_FIELD(PyFrameObject, f_code)), top, stack;
	uint64_t locals = variables_of(w, code), used;
	pyr_addr slots = frame + (pyr_addr)pyr_offset(l, PyFrameObject, f_localsplus);
	int64_t depth = 0;

	tell(w, frame, PYR_FIELD(PyFrameObject, f_back), PYR_BOTH, "f_back");
	pyr_walk_tell(w, code, PYR_FIELD_LABEL(PYR_BOTH, "f_code"), 0);
	tell(w, frame, PYR_FIELD(PyFrameObject, f_builtins), PYR_BOTH, "f_builtins");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_globals), PYR_BOTH, "f_globals");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_locals), PYR_BOTH, "f_locals");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_trace), PYR_BOTH, "f_trace");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_exc_type), PYR_BOTH, "exc_type");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_exc_value), PYR_BOTH, "exc_value");
	tell(w, frame, PYR_FIELD(PyFrameObject, f_exc_traceback), PYR_BOTH, "exc_traceback");
	if (pyr_has(l, PyFrameObject, f_stackdepth)) {
		pyr_get_i64(l, w->reader, frame, PyFrameObject, f_stackdepth, &depth);
	} else {
		top = field(w, frame, PYR_FIELD(PyFrameObject, f_stacktop));
		stack = field(w, frame, PYR_FIELD(PyFrameObject, f_valuestack));
		depth = top > stack ? (int64_t)((top - stack) / 8) : 0;
	}
	used = depth > 0 && (uint64_t)depth < SLOTS_MAX ? (uint64_t)depth : 0;
	walk_slots(w, slots, locals, locals + used);
}

/* take_ownership(), frame.c: owner 2 is a frame object that owns its frame. */
#define OWNED_BY_FRAME_OBJECT 2

void pyr_walk_frame(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	pyr_addr inner;
	uint64_t owner;

	if (pyr_is(l, frame_layout, FRAME_OBJECTS)) {
		walk_frame_object(w, w->addr);
		return;
	}
	tell(w, w->addr, PYR_FIELD(PyFrameObject, f_back), PYR_BOTH, "f_back");
	tell(w, w->addr, PYR_FIELD(PyFrameObject, f_trace), PYR_BOTH, "f_trace");
	tell(w, w->addr, PYR_FIELD(PyFrameObject, f_extra_locals), PYR_BOTH, "f_extra_locals");
	tell(w, w->addr, PYR_FIELD(PyFrameObject, f_locals_cache), PYR_BOTH, "f_locals_cache");
	tell(w, w->addr, PYR_FIELD(PyFrameObject, f_overwritten_fast_locals), PYR_BOTH,
	     "f_overwritten_fast_locals");
	inner = field(w, w->addr, PYR_FIELD(PyFrameObject, f_frame));
	if (!inner || !pyr_get_u64(l, w->reader, inner, _PyInterpreterFrame, owner, &owner))
		w->damaged = true;
	else if (owner == OWNED_BY_FRAME_OBJECT)
		walk_interpreter_frame(w, inner);
}

/* Does the generator still have a frame? genobject.h, the trait gen_state. */
static bool has_frame(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	int64_t state;

	if (!pyr_get_i64(l, w->reader, w->addr, PyGenObject, gi_frame_state, &state))
		return false;
	return state < (pyr_is(l, gen_state, UNSIGNED_3_15) ? 5 : 4);
}

void pyr_walk_generator(struct pyr_walk *w)
{
	const struct pyr_layout *l = w->refs->layout;
	const char *name = pyr_type_name(w->refs->types, w->type);
	pyr_addr frame, item;
	uint64_t executable = 0;

	/* async_gen_traverse() first visits the finalizer; a coroutine's origin is
	 * owned and not visited. */
	if (!strcmp(name, "builtins.async_generator"))
		tell(w, w->addr,
		     pyr_has(l, PyAsyncGenObject, ag_finalizer)
			     ? PYR_FIELD(PyAsyncGenObject, ag_finalizer)
			     : PYR_FIELD(PyGenObject, gi_origin_or_finalizer),
		     PYR_BOTH, "ag_finalizer");
	else if (!strcmp(name, "builtins.coroutine"))
		tell(w, w->addr,
		     pyr_has(l, PyCoroObject, cr_origin)
			     ? PYR_FIELD(PyCoroObject, cr_origin)
			     : PYR_FIELD(PyGenObject, gi_origin_or_finalizer),
		     PYR_REF_OWNED, "cr_origin");
	tell(w, w->addr, PYR_FIELD(PyGenObject, gi_frame), PYR_BOTH, "gi_frame");
	tell(w, w->addr, PYR_FIELD(PyGenObject, gi_code), PYR_BOTH, "gi_code");
	tell(w, w->addr, PYR_FIELD(PyGenObject, gi_name), PYR_BOTH, "gi_name");
	tell(w, w->addr, PYR_FIELD(PyGenObject, gi_qualname), PYR_BOTH, "gi_qualname");
	if (pyr_has(l, PyGenObject, gi_exc_state)) {
		item = w->addr + (pyr_addr)pyr_offset(l, PyGenObject, gi_exc_state);
		tell(w, item, PYR_FIELD(_PyErr_StackItem, exc_type), PYR_BOTH, "exc_type");
		tell(w, item, PYR_FIELD(_PyErr_StackItem, exc_value), PYR_BOTH, "exc_value");
		tell(w, item, PYR_FIELD(_PyErr_StackItem, exc_traceback), PYR_BOTH,
		     "exc_traceback");
	}
	if (!pyr_has(l, PyGenObject, gi_iframe))
		return;
	frame = w->addr + (pyr_addr)pyr_offset(l, PyGenObject, gi_iframe);
	if (has_frame(w)) {
		walk_interpreter_frame(w, frame);
	} else if (stackrefs(w)) {
		pyr_get_u64(l, w->reader, frame, _PyInterpreterFrame, f_executable, &executable);
		tell_stackref(w, executable, PYR_FIELD_LABEL(0, "f_code"), 0);
	} else if (!pyr_has(l, PyGenObject, gi_code)) {
		/* The code stays until gen_dealloc() (3.12, 3.13). */
		tell(w, frame, PYR_FIELD(_PyInterpreterFrame, f_executable), PYR_REF_OWNED,
		     "f_code");
	}
}
