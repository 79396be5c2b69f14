/* Interpreter frames, since 3.11 (pycore_frame.h, pycore_interpframe.h). */
#include "frames/frames_fill.h"

#define SLOTS_MAX 100000

/* Bits of co_localspluskinds (pycore_code.h). */
#define KIND_CELL 0x40
#define KIND_FREE 0x80

/* An object reference in a frame: plain until 3.13, then a _PyStackRef whose low
 * bits are a tag: 0 owns its reference, 1 borrows it, 3 is a small integer
 * (pycore_stackref.h, without the GIL disabled). */
static pyr_addr untag(struct pyr_frame_walk *walk, uint64_t word, bool *counted)
{
	*counted = true;
	if (!pyr_is(walk->raw.layout, frame_layout, STACKREFS))
		return word;
	*counted = !(word & 3);
	return word & 2 ? 0 : word & ~UINT64_C(3);
}

static pyr_addr reference(struct pyr_frame_walk *walk, pyr_addr address, enum pyr_field field)
{
	bool counted;

	return untag(walk, pyr_raw_get(walk->raw, address, field), &counted);
}

static bool is_shim(struct pyr_frame_walk *walk, pyr_addr address)
{
	uint64_t owner = pyr_raw_get(walk->raw, address, PYR_FIELD(_PyInterpreterFrame, owner));

	return !pyr_is(walk->raw.layout, frame_owner, NO_SHIMS) && owner >= 3;
}

static int32_t last_instruction(struct pyr_frame_walk *walk, pyr_addr address, pyr_addr code)
{
	int32_t start = pyr_offset(walk->raw.layout, PyCodeObject, co_code_adaptive);
	pyr_addr at = pyr_raw_get(walk->raw, address, PYR_FIELD(_PyInterpreterFrame, instr_ptr));
	int64_t offset = (int64_t)(at - code - (uint64_t)start);

	return start < 0 || offset < 0 || offset > INT32_MAX ? -1 : (int32_t)offset;
}

/* Slots in use from the first local on; false while the frame runs. */
static bool slots_used(struct pyr_frame_walk *walk, pyr_addr address, pyr_addr first, uint64_t *ret)
{
	uint64_t top;

	if (pyr_has(walk->raw.layout, _PyInterpreterFrame, stackpointer)) {
		top = pyr_raw_get(walk->raw, address, PYR_FIELD(_PyInterpreterFrame, stackpointer));
		*ret = (top - first) / 8;
		return top >= first && top;
	}
	top = pyr_raw_get(walk->raw, address, PYR_FIELD(_PyInterpreterFrame, stacktop));
	*ret = top;
	return (int32_t)top >= 0;
}

static void add_variables(struct pyr_frame_walk *walk, pyr_addr address, pyr_addr code,
			  struct pyr_frame *frame)
{
	struct pyr_raw raw = walk->raw;
	pyr_addr first =
		address + (uint64_t)pyr_offset(raw.layout, _PyInterpreterFrame, localsplus);
	uint64_t locals = (uint32_t)pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_nlocalsplus));
	uint64_t stack = (uint32_t)pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_stacksize));
	pyr_addr names = pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_localsplusnames));
	pyr_addr bytes = pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_localspluskinds)), kinds;
	uint64_t used, count, word, i;
	const uint8_t *kind;
	struct pyr_variable v;
	bool known;

	if (!pyr_raw_bytes(raw, bytes, &kinds, &count))
		count = 0;
	known = slots_used(walk, address, first, &used);
	if (!known || used > locals + stack)
		used = locals + stack;
	if (used < locals)
		used = locals;
	for (i = 0; i < used && i < SLOTS_MAX; i++) {
		memset(&v, 0, sizeof(v));
		v.slot = first + 8 * i;
		if (!pyr_try_u64(raw.reader, v.slot, &word) ||
		    !(v.value = untag(walk, word, &v.counted)))
			continue;
		if (i < locals) {
			kind = i < count ? pyr_peek(raw.reader, kinds + i, 1) : NULL;
			v.kind = kind && *kind & KIND_FREE   ? PYR_VARIABLE_FREE
				 : kind && *kind & KIND_CELL ? PYR_VARIABLE_CELL
							     : PYR_VARIABLE_LOCAL;
			v.name = pyr_frame_name(walk, names, i);
			if (!v.name)
				v.name = strdup("?");
		} else {
			v.kind = PYR_VARIABLE_STACK;
			v.possible = !known;
			if (v.possible && !pyr_frame_is_object(walk, v.value))
				continue;
		}
		pyr_frame_add(frame, &v);
	}
}

bool pyr_frame_interpreter_read(struct pyr_frame_walk *walk, pyr_addr address,
				struct pyr_frame *frame, pyr_addr *next, bool *shim)
{
	const struct pyr_layout *l = walk->raw.layout;
	int32_t inside = pyr_offset(l, PyGenObject, gi_iframe);
	struct pyr_raw raw = walk->raw;
	pyr_addr code;

	if (!pyr_raw_field(raw, address, PYR_FIELD(_PyInterpreterFrame, previous), next))
		return false;
	if ((*shim = is_shim(walk, address)))
		return true;
	code = reference(walk, address, PYR_FIELD(_PyInterpreterFrame, f_executable));
	if (!code || (walk->python->known[PYR_KNOWN_CODE_TYPE] &&
		      pyr_raw_type(raw, code) != walk->python->known[PYR_KNOWN_CODE_TYPE]))
		return false;
	frame->address = address;
	frame->frame_object = pyr_raw_get(raw, address, PYR_FIELD(_PyInterpreterFrame, frame_obj));
	frame->function = reference(walk, address, PYR_FIELD(_PyInterpreterFrame, f_funcobj));
	if (inside >= 0 && pyr_raw_get(raw, address, PYR_FIELD(_PyInterpreterFrame, owner)) == 1)
		frame->generator = address - (uint64_t)inside;
	pyr_frame_set_code(walk, code, last_instruction(walk, address, code), frame);
	add_variables(walk, address, code, frame);
	return true;
}
