/* object: everything about one object. */
#include <string.h>
#include <stdlib.h>

#include "views/edges.h"
#include "views/show.h"

struct object_answer {
	struct pyr_object_argument object;
	uint64_t size;
	bool has_size, exact_size;
	bool has_ledger;
	struct pyr_object_ledger ledger;
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

static void learn(struct pyr_context *context, struct object_answer *a)
{
	struct pyr_types *types = context->session->types;
	struct pyr_reader *reader = &context->session->python->reader;
	pyr_error *err;

	err = pyr_object_size(types, reader, a->object.header.type, a->object.address, &a->size,
			      &a->exact_size);
	a->has_size = !err;
	if (err) {
		pyr_control_diagnose(&context->session->control, "%s", err->message);
		pyr_error_destroy(err);
	}
	pyr_memory_place(context, a->object.address, &a->memory);
	pyr_contents_read(context, a->object.address, &a->object.header, true, context->limit,
			  &a->attributes);
	pyr_contents_read(context, a->object.address, &a->object.header, false, context->limit,
			  &a->items);
	if (a->object.header.type->shape == PYR_SHAPE_GENERATOR ||
	    a->object.header.type->shape == PYR_SHAPE_COROUTINE ||
	    a->object.header.type->shape == PYR_SHAPE_ASYNC_GENERATOR) {
		err = pyr_generator_frame(types, reader, a->object.address, &a->frames);
		pyr_error_destroy(err);
	}
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

static void object_json(struct pyr_context *context, struct object_answer *a)
{
	struct pyr_json *json = context->json;

	pyr_object_argument_json(context, &a->object);
	pyr_json_int(json, "refcount", a->object.header.refcount);
	pyr_json_bool(json, "immortal", a->object.header.immortal);
	if (a->has_ledger)
		pyr_object_ledger_json(context, &a->object, &a->ledger);
	if (a->has_size)
		pyr_json_uint(json, "size", a->size);
	else
		pyr_json_null(json, "size");
	pyr_json_bool(json, "exact_size", a->has_size && a->exact_size);
	pyr_json_begin_object(json, "gc");
	pyr_json_bool(json, "has_head", a->object.header.is_gc);
	pyr_json_bool(json, "tracked", a->object.header.tracked);
	if (a->object.generation <= PYR_GEN_2)
		pyr_json_int(json, "generation", a->object.generation);
	else
		pyr_json_null(json, "generation");
	pyr_json_bool(json, "frozen", a->object.generation == PYR_GEN_PERMANENT);
	pyr_json_bool(json, "finalized", a->object.header.finalized);
	pyr_json_bool(json, "collecting",
		      a->object.header.collecting || a->object.generation == PYR_GEN_COLLECTING);
	pyr_json_end_object(json);
	memory_json(json, &a->memory);
	pyr_json_bool(json, "listed", a->object.listed);
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

static void print_refcount(struct pyr_context *context, struct object_answer *a)
{
	struct pyr_strbuf found = {0};

	if (a->has_ledger)
		pyr_object_ledger_kinds(&a->ledger, &found);
	if (a->object.header.immortal)
		pyr_out_text(context->out,
			     "  refcount  immortal: never freed, its references are not counted\n");
	else
		pyr_out_printf(context->out, "  refcount  %lld%s%s%s\n",
			       (long long)a->object.header.refcount, found.length ? ": " : "",
			       pyr_strbuf_str(&found),
			       a->has_ledger && !a->ledger.counted
				       ? " (not counted: a C variable, or no object)"
				       : "");
	pyr_strbuf_deinit(&found);
}

static void object_text(struct pyr_context *context, struct object_answer *a, const char *repr)
{
	struct pyr_out *out = context->out;

	pyr_out_style(out, PYR_STYLE_STRONG);
	pyr_out_printf(out, "%s at %s",
		       pyr_type_name(context->session->types, a->object.header.type),
		       pyr_address(a->object.address).text);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_text(out, "\n");
	pyr_object_argument_print(context, &a->object);
	if (!a->object.listed)
		pyr_out_styled(out, PYR_STYLE_WARNING,
			       "  It looks like an object, but is none of those that were found in "
			       "the heap.\n");
	pyr_out_printf(out, "\n  value     %s\n", repr);
	print_refcount(context, a);
	if (a->has_size)
		pyr_out_printf(
			out, "  size      %s%s\n", pyr_counted(a->size, "byte", "bytes").text,
			a->exact_size ? "" : ", unless its type has a __sizeof__ of its own");
	else
		pyr_out_text(out, "  size      unknown\n");
	pyr_out_printf(out, "  gc        %s%s\n",
		       a->object.header.is_gc ? generation_name(a->object.generation)
					      : "not a container: never tracked",
		       a->object.header.finalized ? ", its finalizer has run" : "");
	print_memory(out, &a->memory);
	if (a->frames.frames.count) {
		pyr_out_text(out, "\nframe\n");
		pyr_show_frame(context, &a->frames.frames.data[0], PYR_SHOW_LOCALS);
	}
	pyr_show_contents(context, &a->attributes);
	pyr_show_contents(context, &a->items);
	if (a->has_ledger)
		pyr_possible_print(context, &a->object, &a->ledger);
}

pyr_error *pyr_cmd_object(struct pyr_context *context)
{
	struct object_answer a = {.size = 0};
	pyr_error *err;
	char *repr;

	if ((err = pyr_context_resolve(context, context->args->arguments[0].number, &a.object)))
		return err;
	if (a.object.listed && !pyr_context_option(context, PYR_OPT_object_quick)->given) {
		if ((err = pyr_object_ledger(context, &a.object, &a.ledger)))
			return err;
		a.has_ledger = true;
	}
	pyr_session_result(context->session, a.object.address);
	learn(context, &a);
	repr = pyr_context_repr(context, a.object.address, 0);
	pyr_context_answer(context);
	if (context->json)
		object_json(context, &a);
	else
		object_text(context, &a, repr ? repr : "?");
	free(repr);
	pyr_memory_place_deinit(&a.memory);
	pyr_contents_deinit(&a.attributes);
	pyr_contents_deinit(&a.items);
	pyr_frames_deinit(&a.frames);
	return NULL;
}
