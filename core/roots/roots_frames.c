/* Frames that run. Until 3.10 they are objects, whose variables are edges of theirs
 * (refs_frame.c); since 3.11 they lie on the data stack or in a generator and own what
 * they refer to. ceval.c, frameobject.c, pycore_frame.h, pycore_interpframe.h. */
#include "roots/roots_internal.h"
#include "frames/bytecode.h"

enum { PART_FRAME, PART_FUNCTION, PART_CODE, PART_LOCALS, PART_FRAME_OBJECT, PART_GENERATOR };

static const char *const parts[] = {"frame of",        "function of running",
				    "code of running", "locals of running",
				    "frame object of", "generator running"};

struct frame_place {
	struct pyr_roots *roots;
	struct pyr_reader *reader;
	const struct pyr_layout *layout;
	const struct pyr_frame *frame;
	uint64_t thread, index;
	/* The last answer of pyr_code_stack_at(): recursion asks it again and again. */
	pyr_addr asked_code;
	int32_t asked_at;
	bool answered;
	struct pyr_stack_site answer;
};

static void push(struct frame_place *p, enum pyr_root_kind kind, unsigned flags, pyr_addr object,
		 pyr_addr slot, uint64_t what)
{
	pyr_roots_push(p->roots, kind, flags, object, slot, p->thread, p->index << 32 | what);
}

/* A reference in an interpreter frame, maybe a stack reference: bit 0 set means that it
 * is not counted; both low bits, a tagged int. */
static void push_reference(struct frame_place *p, enum pyr_field field, bool owned, uint64_t part)
{
	uint64_t word;
	int32_t offset = pyr_layout_offset(p->layout, field);
	bool tagged = field == PYR_FIELD(_PyInterpreterFrame, f_executable) ||
		      field == PYR_FIELD(_PyInterpreterFrame, f_funcobj);

	if (!pyr_field_u64(p->layout, p->reader, p->frame->address, field, &word) || !word)
		return;
	if (tagged && pyr_is(p->layout, frame_layout, STACKREFS)) {
		if (word & 2)
			return;
		owned = owned && !(word & 1);
		word &= ~UINT64_C(3);
	}
	push(p, PYR_ROOT_FRAME, owned ? PYR_ROOT_OWNED : 0, word,
	     p->frame->address + (pyr_addr)offset, part);
}

/* How many words of localsplus the walker of generators tells for a frame that runs. */
static bool told_by_generator(const struct frame_place *p, pyr_addr slot)
{
	const struct pyr_layout *l = p->layout;
	pyr_addr first =
		p->frame->address + (pyr_addr)pyr_offset(l, _PyInterpreterFrame, localsplus);
	int64_t top = -1;

	if (!p->frame->generator)
		return false;
	if (pyr_has(l, _PyInterpreterFrame, stackpointer))
		return slot < pyr_get_addr(l, p->reader, p->frame->address, _PyInterpreterFrame,
					   stackpointer);
	pyr_get_i64(l, p->reader, p->frame->address, _PyInterpreterFrame, stacktop, &top);
	return top > 0 && slot < first + (uint64_t)top * 8;
}

/* Every field is owned by the frame, which is nobody's; that of a generator is the
 * generator's, and its fields are edges of the generator. */
static void interpreter_frame(struct frame_place *p)
{
	const struct pyr_frame *f = p->frame;
	bool own = !f->generator;
	size_t i;

	push_reference(p, PYR_FIELD(_PyInterpreterFrame, f_funcobj), own, PART_FUNCTION);
	push_reference(p, PYR_FIELD(_PyInterpreterFrame, f_executable), own, PART_CODE);
	push_reference(p, PYR_FIELD(_PyInterpreterFrame, f_locals), own, PART_LOCALS);
	push_reference(p, PYR_FIELD(_PyInterpreterFrame, frame_obj), own, PART_FRAME_OBJECT);
	if (f->generator)
		push(p, PYR_ROOT_FRAME, 0, f->generator, 0, PART_GENERATOR);
	for (i = 0; i < f->variables.count; i++) {
		const struct pyr_variable *v = &f->variables.data[i];
		bool owned = v->counted && !v->possible && !told_by_generator(p, v->slot);

		push(p, v->kind == PYR_VARIABLE_STACK ? PYR_ROOT_FRAME_STACK : PYR_ROOT_FRAME_LOCAL,
		     (owned ? PYR_ROOT_OWNED : 0) | (v->possible ? PYR_ROOT_POSSIBLE : 0), v->value,
		     v->slot, i);
	}
}

static pyr_addr stack_at(struct frame_place *p, pyr_addr bottom, uint32_t index)
{
	uint64_t word;

	return pyr_try_u64(p->reader, bottom + 8 * (pyr_addr)index, &word) ? word : 0;
}

static bool is_exactly(struct frame_place *p, pyr_addr object, enum pyr_known type)
{
	pyr_addr known = pyr_roots_python(p->roots)->known[type];

	return object && known &&
	       pyr_get_addr(p->layout, p->reader, object, PyObject, ob_type) == known;
}

/* Does the call of @callable lead to @callee? A function of Python code to its own code
 * alone; what else is called may lead anywhere. */
static bool leads_to(struct frame_place *p, pyr_addr callable, const struct pyr_frame *callee)
{
	if (is_exactly(p, callable, PYR_KNOWN_METHOD_TYPE))
		callable = pyr_get_addr(p->layout, p->reader, callable, PyMethodObject, im_func);
	if (is_exactly(p, callable, PYR_KNOWN_FUNCTION_TYPE))
		return pyr_get_addr(p->layout, p->reader, callable, PyFunctionObject, func_code) ==
		       callee->code;
	return callable != 0;
}

static bool stack_site(struct frame_place *p, struct pyr_stack_site *ret)
{
	if (p->asked_code != p->frame->code || p->asked_at != p->frame->lasti) {
		p->asked_code = p->frame->code;
		p->asked_at = p->frame->lasti;
		p->answered = pyr_code_stack_at(p->roots->model->heap->types, p->reader,
						p->asked_code, p->asked_at, &p->answer);
	}
	*ret = p->answer;
	return p->answered;
}

/* How many values are on the stack of a frame object that waits for @callee, whose depth
 * the evaluation loop keeps to itself: worked out from the instruction that it is at.
 * False where that cannot be done for sure. */
static bool depth_of(struct frame_place *p, pyr_addr bottom, const struct pyr_frame *callee,
		     uint32_t *ret)
{
	struct pyr_stack_site site;
	pyr_addr called;

	/* A destructor may run at any instruction, while values are being dropped. */
	if (!bottom || !strcmp(callee->name, "__del__") || !stack_site(p, &site) ||
	    site.role == PYR_STACK_OTHER)
		return false;
	if (site.role == PYR_STACK_CALL) {
		called = stack_at(p, bottom, site.callable);
		if (!called)
			called = stack_at(p, bottom, site.callable_2);
		if (!leads_to(p, called, callee))
			return false;
		/* f(*args, **keywords): both are made a tuple and a dict of its own. */
		if (site.unpacks)
			site.depth = site.callable + 1;
	}
	*ret = site.depth;
	return true;
}

/* Whoever called the frame owns one reference to it (_PyFunction_Vectorcall(),
 * PyEval_EvalCode() and the like); that of a generator is the generator's own
 * (gen_send_ex()). tstate->frame is borrowed. @callee is the frame it waits for. */
static void frame_object(struct frame_place *p, const struct pyr_frame *callee)
{
	const struct pyr_frame *f = p->frame;
	pyr_addr bottom =
		pyr_get_addr(p->layout, p->reader, f->address, PyFrameObject, f_valuestack);
	uint32_t depth = 0;
	bool known = callee && depth_of(p, bottom, callee, &depth);
	unsigned flags;
	size_t i;

	push(p, PYR_ROOT_FRAME, f->generator ? 0 : PYR_ROOT_OWNED, f->address, 0, PART_FRAME);
	if (f->generator)
		push(p, PYR_ROOT_FRAME, 0, f->generator, 0, PART_GENERATOR);
	for (i = 0; i < f->variables.count; i++) {
		const struct pyr_variable *v = &f->variables.data[i];

		/* Variables, and a stack whose depth is recorded, are edges of the frame. */
		if (v->kind != PYR_VARIABLE_STACK) {
			push(p, PYR_ROOT_FRAME_LOCAL, 0, v->value, v->slot, i);
			continue;
		}
		flags = v->possible ? PYR_ROOT_POSSIBLE : 0;
		if (v->possible && known && v->slot >= bottom + 8 * (pyr_addr)depth)
			continue; /* left over from before */
		if (v->possible && known)
			flags = PYR_ROOT_OWNED;
		push(p, PYR_ROOT_FRAME_STACK, flags, v->value, v->slot, i);
	}
}

pyr_error *pyr_roots_frames(struct pyr_roots *roots, struct pyr_control *control)
{
	struct pyr_python *python = pyr_roots_python(roots);
	struct frame_place p = {
		.roots = roots, .layout = &python->layout, .reader = &python->reader};
	bool objects = pyr_is(p.layout, frame_layout, FRAME_OBJECTS);
	struct pyr_frames frames;
	pyr_error *err = NULL;
	size_t i;

	for (p.thread = 0; p.thread < python->threads.count; p.thread++) {
		memset(&frames, 0, sizeof(frames));
		if ((err = pyr_thread_frames(roots->model->heap->types, p.reader, p.thread,
					     &frames)))
			return err;
		if (!pyr_vec_push(&roots->state->threads, frames)) {
			pyr_frames_deinit(&frames);
			return pyr_error_no_memory();
		}
		for (i = 0; i < frames.frames.count; i++) {
			if (i % 256 == 0 && (err = pyr_control_check(control)))
				return err;
			p.index = i;
			p.frame = &frames.frames.data[i];
			if (objects)
				frame_object(&p, i ? &frames.frames.data[i - 1] : NULL);
			else
				interpreter_frame(&p);
		}
		if ((err = pyr_control_check(control)))
			return err;
	}
	return NULL;
}

void pyr_root_frame_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out)
{
	const struct pyr_frames *frames =
		root->a < roots->state->threads.count ? &roots->state->threads.data[root->a] : NULL;
	const struct pyr_frame *frame;
	uint32_t index = (uint32_t)(root->b >> 32), what = (uint32_t)root->b;
	const char *name = NULL;

	if (!frames || index >= frames->frames.count) {
		pyr_strbuf_add(out, "a running frame");
		return;
	}
	frame = &frames->frames.data[index];
	if (root->kind == PYR_ROOT_FRAME) {
		pyr_strbuf_add(out, what < sizeof(parts) / sizeof(*parts) ? parts[what] : parts[0]);
		pyr_strbuf_printf(out, " %s", frame->name);
	} else {
		if (what < frame->variables.count)
			name = frame->variables.data[what].name;
		if (root->kind == PYR_ROOT_FRAME_LOCAL && name)
			pyr_strbuf_printf(out, "local \"%s\" of %s", name, frame->name);
		else
			pyr_strbuf_printf(out, "value stack of %s", frame->name);
	}
	pyr_strbuf_printf(out, " at %s:%d in ", frame->filename, frame->line);
	pyr_root_thread_name(roots, (size_t)root->a, out);
}
