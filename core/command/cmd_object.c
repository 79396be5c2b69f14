/* object: everything about one object. */
#include <string.h>
#include <stdlib.h>

#include "command/show.h"

struct answer {
	pyr_addr asked, address;
	struct pyr_resolved where;
	bool listed; /* it is one of the heap's objects; where.id is its id */
	struct pyr_object_header header;
	uint64_t size;
	bool has_size, exact_size;
	enum pyr_generation generation;
	struct pyr_memory_place memory;
	struct pyr_contents attributes, items;
	struct pyr_frames frames; /* of a generator: none or one */
};

static const char *generation_name(enum pyr_generation generation)
{
	static const char *const names[] = {
		[PYR_GEN_0] = "generation 0",
		[PYR_GEN_1] = "generation 1",
		[PYR_GEN_2] = "generation 2",
		[PYR_GEN_PERMANENT] = "frozen (gc.freeze())",
		[PYR_GEN_COLLECTING] = "in the collection that is running",
		[PYR_GEN_UNTRACKED] = "not tracked",
	};

	return (unsigned)generation < PYR_GEN_COUNT ? names[generation] : "unknown";
}

static const char *part_words(enum pyr_part part)
{
	switch (part) {
	case PYR_PART_BODY:
		return "inside the object";
	case PYR_PART_GC_HEAD:
		return "in its collector's head";
	case PYR_PART_PRE_HEADER:
		return "in its pre-header";
	case PYR_PART_DEBUG_HEAD:
		return "in the debug allocator's head";
	case PYR_PART_BUFFER:
		return "in a buffer that it owns";
	}
	return "?";
}

static const char *part_name(enum pyr_part part)
{
	static const char *const names[] = {
		[PYR_PART_BODY] = "object",           [PYR_PART_GC_HEAD] = "gc_head",
		[PYR_PART_PRE_HEADER] = "pre_header", [PYR_PART_DEBUG_HEAD] = "debug_head",
		[PYR_PART_BUFFER] = "buffer",
	};

	return names[part];
}

/* The object at or around the address that was asked for. */
static pyr_error *resolve(struct pyr_context *context, struct answer *a)
{
	struct pyr_reader *reader;
	struct pyr_types *types;
	struct pyr_heap *heap;
	pyr_error *err, *other;

	if ((err = pyr_session_heap(context->session, &heap)))
		return err;
	types = context->session->types;
	reader = &context->session->python->reader;
	err = pyr_heap_resolve(heap, &context->session->control, a->asked, &a->where);
	if (!err) {
		a->listed = true;
		a->address = heap->address[a->where.id];
		a->generation = (enum pyr_generation)heap->generation[a->where.id];
		return pyr_object_header(types, reader, a->address, &a->header);
	}
	if (err->code != PYR_E_NOT_AN_OBJECT)
		return err;
	/* not enumerated, and yet it may be one: look at the address itself */
	other = pyr_object_header(types, reader, a->asked, &a->header);
	if (other) {
		pyr_error_destroy(other);
		return err;
	}
	pyr_error_destroy(err);
	a->address = a->asked;
	a->generation = PYR_GEN_UNTRACKED;
	return NULL;
}

static void learn(struct pyr_context *context, struct answer *a)
{
	struct pyr_types *types = context->session->types;
	struct pyr_reader *reader = &context->session->python->reader;
	pyr_error *err;

	err = pyr_object_size(types, reader, a->header.type, a->address, &a->size, &a->exact_size);
	a->has_size = !err;
	if (err) {
		pyr_control_diagnose(&context->session->control, "%s", err->message);
		pyr_error_destroy(err);
	}
	pyr_memory_place(context, a->address, &a->memory);
	pyr_contents_read(context, a->address, &a->header, true, context->limit, &a->attributes);
	pyr_contents_read(context, a->address, &a->header, false, context->limit, &a->items);
	if (a->header.type->shape == PYR_SHAPE_GENERATOR ||
	    a->header.type->shape == PYR_SHAPE_COROUTINE ||
	    a->header.type->shape == PYR_SHAPE_ASYNC_GENERATOR) {
		err = pyr_generator_frame(types, reader, a->address, &a->frames);
		pyr_error_destroy(err);
	}
}

static int64_t offset_of(const struct answer *a)
{
	if (a->listed && a->where.part == PYR_PART_BUFFER)
		return a->where.offset;
	return (int64_t)(a->asked - a->address);
}

static void memory_json(struct pyr_json *json, const struct pyr_memory_place *m)
{
	pyr_json_begin_object(json, "memory");
	pyr_json_string(json, "kind", m->kind);
	if (m->block) {
		pyr_json_address(json, "arena", m->arena);
		pyr_json_address(json, "pool", m->pool);
		pyr_json_address(json, "block", m->block);
		pyr_json_uint(json, "size_class", m->block_size);
		pyr_json_bool(json, "allocated", m->allocated);
	}
	if (m->image) {
		pyr_json_string(json, "image", m->image);
		pyr_json_string(json, "symbol", m->symbol);
		pyr_json_uint(json, "offset", m->offset);
	}
	if (m->mapping)
		pyr_json_string(json, "mapping", m->mapping);
	pyr_json_end_object(json);
}

static void print_json(struct pyr_context *context, struct answer *a, const char *repr)
{
	struct pyr_json *json = context->json;

	pyr_json_address(json, "address", a->address);
	pyr_json_address(json, "asked", a->asked);
	pyr_json_int(json, "offset", offset_of(a));
	if (a->listed) {
		pyr_json_string(json, "part", part_name(a->where.part));
		if (a->where.buffer)
			pyr_json_string(json, "buffer", a->where.buffer);
	}
	pyr_json_string(json, "type", pyr_type_name(context->session->types, a->header.type));
	pyr_json_address(json, "type_address", a->header.type->address);
	pyr_json_string(json, "repr", repr);
	pyr_json_int(json, "refcount", a->header.refcount);
	pyr_json_bool(json, "immortal", a->header.immortal);
	if (a->has_size)
		pyr_json_uint(json, "size", a->size);
	else
		pyr_json_null(json, "size");
	pyr_json_bool(json, "exact_size", a->has_size && a->exact_size);
	pyr_json_begin_object(json, "gc");
	pyr_json_bool(json, "has_head", a->header.is_gc);
	pyr_json_bool(json, "tracked", a->header.tracked);
	if (a->generation <= PYR_GEN_2)
		pyr_json_int(json, "generation", a->generation);
	else
		pyr_json_null(json, "generation");
	pyr_json_bool(json, "frozen", a->generation == PYR_GEN_PERMANENT);
	pyr_json_bool(json, "finalized", a->header.finalized);
	pyr_json_bool(json, "collecting",
		      a->header.collecting || a->generation == PYR_GEN_COLLECTING);
	pyr_json_end_object(json);
	memory_json(json, &a->memory);
	pyr_json_bool(json, "listed", a->listed);
	if (a->frames.frames.count)
		pyr_show_frame_json(context, "frame", &a->frames.frames.data[0], PYR_SHOW_LOCALS);
	pyr_show_contents_json(context, &a->attributes);
	pyr_show_contents_json(context, &a->items);
}

static void print_memory(struct pyr_out *out, const struct pyr_memory_place *m)
{
	if (m->block)
		pyr_out_printf(
			out,
			"  memory    pymalloc: a block of %u bytes at %s%s, pool %s, arena %s\n",
			m->block_size, pyr_address(m->block).text, m->allocated ? "" : " (free)",
			pyr_address(m->pool).text, pyr_address(m->arena).text);
	else if (m->image && m->symbol)
		pyr_out_printf(out, "  memory    static: %s%s%s in %s\n", m->symbol,
			       m->offset ? " + " : "", m->offset ? pyr_count(m->offset).text : "",
			       m->image);
	else if (m->image)
		pyr_out_printf(out, "  memory    static: %s + 0x%llx\n", m->image,
			       (unsigned long long)m->offset);
	else
		pyr_out_printf(out, "  memory    %s%s%s\n", m->kind, m->mapping ? ": " : "",
			       m->mapping ? m->mapping : "");
}

static void print_text(struct pyr_context *context, struct answer *a, const char *repr)
{
	struct pyr_out *out = context->out;

	pyr_out_style(out, PYR_STYLE_STRONG);
	pyr_out_printf(out, "%s at %s", pyr_type_name(context->session->types, a->header.type),
		       pyr_address(a->address).text);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_text(out, "\n");
	if (a->asked != a->address && a->where.part == PYR_PART_BUFFER)
		pyr_out_printf(
			out, "  %s lies in its %s, at offset %lld\n", pyr_address(a->asked).text,
			a->where.buffer ? a->where.buffer : "buffer", (long long)a->where.offset);
	else if (a->asked != a->address)
		pyr_out_printf(out, "  %s lies %s, at offset %lld\n", pyr_address(a->asked).text,
			       part_words(a->where.part), (long long)offset_of(a));
	if (!a->listed)
		pyr_out_styled(out, PYR_STYLE_WARNING,
			       "  It looks like an object, but is none of those that were found in "
			       "the heap.\n");
	pyr_out_printf(out, "\n  value     %s\n", repr);
	if (a->header.immortal)
		pyr_out_text(out, "  refcount  immortal\n");
	else
		pyr_out_printf(out, "  refcount  %lld\n", (long long)a->header.refcount);
	if (a->has_size)
		pyr_out_printf(
			out, "  size      %s%s\n", pyr_counted(a->size, "byte", "bytes").text,
			a->exact_size ? "" : ", unless its type has a __sizeof__ of its own");
	else
		pyr_out_text(out, "  size      unknown\n");
	pyr_out_printf(out, "  gc        %s%s\n",
		       a->header.is_gc ? generation_name(a->generation)
				       : "not a container: never tracked",
		       a->header.finalized ? ", its finalizer has run" : "");
	print_memory(out, &a->memory);
	if (a->frames.frames.count) {
		pyr_out_text(out, "\nframe\n");
		pyr_show_frame(context, &a->frames.frames.data[0], PYR_SHOW_LOCALS);
	}
	pyr_show_contents(context, &a->attributes);
	pyr_show_contents(context, &a->items);
}

pyr_error *pyr_cmd_object(struct pyr_context *context)
{
	struct answer a = {.asked = context->args->arguments[0].number};
	pyr_error *err;
	char *repr;

	if ((err = resolve(context, &a)))
		return err;
	pyr_session_result(context->session, a.address);
	learn(context, &a);
	repr = pyr_context_repr(context, a.address, 0);
	pyr_context_answer(context);
	if (context->json)
		print_json(context, &a, repr);
	else
		print_text(context, &a, repr ? repr : "?");
	free(repr);
	pyr_memory_place_deinit(&a.memory);
	pyr_contents_deinit(&a.attributes);
	pyr_contents_deinit(&a.items);
	pyr_frames_deinit(&a.frames);
	return NULL;
}
