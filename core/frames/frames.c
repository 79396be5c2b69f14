#include "frames/frames.h"

#include <stdio.h>
#include <stdlib.h>

#include "frames/frames_fill.h"

#define NAME_MAX_CHARS 1000

void pyr_frame_deinit(struct pyr_frame *frame)
{
	size_t i;

	for (i = 0; i < frame->variables.count; i++)
		free(frame->variables.data[i].name);
	pyr_vec_deinit(&frame->variables);
	free(frame->name);
	free(frame->filename);
}

void pyr_frames_deinit(struct pyr_frames *frames)
{
	size_t i;

	for (i = 0; i < frames->frames.count; i++)
		pyr_frame_deinit(&frames->frames.data[i]);
	pyr_vec_deinit(&frames->frames);
	free(frames->why);
	frames->why = NULL;
	frames->truncated = false;
}

bool pyr_frame_is_object(struct pyr_frame_walk *walk, pyr_addr value)
{
	pyr_addr type;

	if (value < 4096 || value & 7)
		return false;
	type = pyr_raw_type(walk->raw, value);
	return type && pyr_types_get(walk->types, walk->raw.reader, type);
}

void pyr_frame_add(struct pyr_frame *frame, const struct pyr_variable *variable)
{
	if (!pyr_vec_push(&frame->variables, *variable))
		free(variable->name);
}

char *pyr_frame_name(struct pyr_frame_walk *walk, pyr_addr names, uint64_t i)
{
	pyr_addr items, name;
	uint64_t count;

	if (!names || !pyr_raw_tuple(walk->raw, names, &items, &count) || i >= count ||
	    !pyr_try_u64(walk->raw.reader, items + 8 * i, &name))
		return NULL;
	return pyr_raw_str(walk->raw, name, NAME_MAX_CHARS);
}

static char *text(struct pyr_frame_walk *walk, pyr_addr code, enum pyr_field field)
{
	pyr_addr str = pyr_raw_get(walk->raw, code, field);

	return str ? pyr_raw_str(walk->raw, str, NAME_MAX_CHARS) : NULL;
}

void pyr_frame_set_code(struct pyr_frame_walk *walk, pyr_addr code, int32_t lasti,
			struct pyr_frame *frame)
{
	frame->code = code;
	frame->lasti = lasti;
	frame->name = text(walk, code, PYR_FIELD(PyCodeObject, co_qualname));
	if (!frame->name)
		frame->name = text(walk, code, PYR_FIELD(PyCodeObject, co_name));
	if (!frame->name)
		frame->name = strdup("?");
	frame->filename = text(walk, code, PYR_FIELD(PyCodeObject, co_filename));
	if (!frame->filename)
		frame->filename = strdup("?");
	frame->first_line =
		(int32_t)pyr_raw_get(walk->raw, code, PYR_FIELD(PyCodeObject, co_firstlineno));
	pyr_error_destroy(pyr_code_line(walk->types, walk->raw.reader, code, lasti, &frame->line));
}

static void cut(struct pyr_frames *frames, const char *what, pyr_addr at)
{
	char why[160];

	snprintf(why, sizeof(why), "%s at 0x%llx", what, (unsigned long long)at);
	frames->truncated = true;
	frames->why = strdup(why);
}

/* Where the chain of a thread begins. */
static pyr_addr innermost(struct pyr_frame_walk *walk, pyr_addr tstate)
{
	pyr_addr cframe;

	switch (pyr_trait(walk->raw.layout, frame_layout)) {
	case PYR_TRAIT(frame_layout, FRAME_OBJECTS):
		return pyr_raw_get(walk->raw, tstate, PYR_FIELD(PyThreadState, frame));
	case PYR_TRAIT(frame_layout, CFRAME_3_11):
	case PYR_TRAIT(frame_layout, CFRAME_3_12):
		cframe = pyr_raw_get(walk->raw, tstate, PYR_FIELD(PyThreadState, cframe));
		return cframe ? pyr_raw_get(walk->raw, cframe, PYR_FIELD(_PyCFrame, current_frame))
			      : 0;
	default:
		return pyr_raw_get(walk->raw, tstate, PYR_FIELD(PyThreadState, current_frame));
	}
}

/* The chain from @at on, at most @max frames. The cycle guard is Brent's: a frame
 * is kept for comparison and replaced at each power of two. */
static pyr_error *walk_chain(struct pyr_frame_walk *walk, pyr_addr at, size_t max,
			     struct pyr_frames *frames)
{
	bool objects = pyr_is(walk->raw.layout, frame_layout, FRAME_OBJECTS), shim, ok;
	struct pyr_control *control = walk->python->target->control;
	uint64_t steps = 0, limit = 1;
	pyr_addr anchor = 0, next = 0;
	struct pyr_frame frame;
	pyr_error *err;

	while (at && frames->frames.count < max) {
		if (at == anchor) {
			cut(frames, "the frames form a cycle", at);
			break;
		}
		if (++steps == limit) {
			anchor = at;
			limit *= 2;
		}
		memset(&frame, 0, sizeof(frame));
		shim = false;
		ok = objects ? pyr_frame_object_read(walk, at, &frame, &next)
			     : pyr_frame_interpreter_read(walk, at, &frame, &next, &shim);
		if (!ok) {
			pyr_frame_deinit(&frame);
			cut(frames, "no frame can be read", at);
			break;
		}
		if (shim) {
			pyr_frame_deinit(&frame);
		} else if (!pyr_vec_push(&frames->frames, frame)) {
			pyr_frame_deinit(&frame);
			return pyr_error_no_memory();
		}
		if ((err = pyr_control_check(control)))
			return err;
		at = next;
	}
	return pyr_reader_check(walk->raw.reader);
}

static struct pyr_frame_walk walk_of(struct pyr_types *types, struct pyr_reader *reader)
{
	const struct pyr_python *python = pyr_types_python(types);

	return (struct pyr_frame_walk){types, python, {&python->layout, reader}};
}

pyr_error *pyr_thread_frames(struct pyr_types *types, struct pyr_reader *reader, size_t thread,
			     struct pyr_frames *ret)
{
	struct pyr_frame_walk walk = walk_of(types, reader);
	struct pyr_frames frames = {0};
	pyr_error *err;

	if (thread >= walk.python->threads.count)
		return pyr_error_create(PYR_E_NO_SUCH_THREAD, "there is no Python thread %zu",
					thread);
	err = walk_chain(&walk, innermost(&walk, walk.python->threads.data[thread].address),
			 SIZE_MAX, &frames);
	if (err) {
		pyr_frames_deinit(&frames);
		return err;
	}
	*ret = frames;
	return NULL;
}

/* genobject.c: the frame lies in the generator since 3.11, and is gone once the
 * generator has finished. */
static pyr_addr generator_frame(struct pyr_frame_walk *walk, pyr_addr gen)
{
	const struct pyr_layout *l = walk->raw.layout;
	int32_t offset = pyr_offset(l, PyGenObject, gi_iframe);
	int64_t state = pyr_raw_get_signed(walk->raw, gen, PYR_FIELD(PyGenObject, gi_frame_state));

	switch (pyr_trait(l, gen_state)) {
	case PYR_TRAIT(gen_state, FRAME_OBJECT):
		return pyr_raw_get(walk->raw, gen, PYR_FIELD(PyGenObject, gi_frame));
	case PYR_TRAIT(gen_state, UNSIGNED_3_15):
		return offset < 0 || state >= 5 ? 0 : gen + (uint64_t)offset;
	default:
		return offset < 0 || state >= 1 ? 0 : gen + (uint64_t)offset;
	}
}

pyr_error *pyr_generator_frame(struct pyr_types *types, struct pyr_reader *reader, pyr_addr gen,
			       struct pyr_frames *ret)
{
	struct pyr_frame_walk walk = walk_of(types, reader);
	struct pyr_frames frames = {0};
	pyr_error *err = walk_chain(&walk, generator_frame(&walk, gen), 1, &frames);

	if (err) {
		pyr_frames_deinit(&frames);
		return err;
	}
	if (frames.frames.count && !frames.frames.data[0].generator)
		frames.frames.data[0].generator = gen;
	*ret = frames;
	return NULL;
}

pyr_error *pyr_frame_of_object(struct pyr_types *types, struct pyr_reader *reader, pyr_addr object,
			       struct pyr_frames *ret)
{
	struct pyr_frame_walk walk = walk_of(types, reader);
	struct pyr_frames frames = {0};
	pyr_addr at = object;
	pyr_error *err;

	/* frameobject.h: since 3.11 it points to its frame */
	if (!pyr_is(walk.raw.layout, frame_layout, FRAME_OBJECTS))
		at = pyr_raw_get(walk.raw, object, PYR_FIELD(PyFrameObject, f_frame));
	if ((err = walk_chain(&walk, at, 1, &frames))) {
		pyr_frames_deinit(&frames);
		return err;
	}
	*ret = frames;
	return NULL;
}
