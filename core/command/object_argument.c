#include "command/object_argument.h"

#include <stdlib.h>

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

pyr_error *pyr_context_resolve(struct pyr_context *context, pyr_addr addr,
			       struct pyr_object_argument *ret)
{
	struct pyr_object_argument a = {.asked = addr};
	struct pyr_reader *reader;
	struct pyr_types *types;
	struct pyr_heap *heap;
	pyr_error *err, *other;

	if ((err = pyr_session_heap(context->session, &heap)))
		return err;
	types = context->session->types;
	reader = &context->session->python->reader;
	err = pyr_heap_resolve(heap, &context->session->control, addr, &a.where);
	if (!err) {
		a.listed = true;
		a.address = heap->address[a.where.id];
		a.generation = (enum pyr_generation)heap->generation[a.where.id];
		if (!(err = pyr_object_header(types, reader, a.address, &a.header)))
			*ret = a;
		return err;
	}
	if (err->code != PYR_E_NOT_AN_OBJECT)
		return err;
	/* not enumerated, and yet it may be one: look at the address itself */
	other = pyr_object_header(types, reader, addr, &a.header);
	if (other) {
		pyr_error_destroy(other);
		return err;
	}
	pyr_error_destroy(err);
	a.address = addr;
	a.generation = PYR_GEN_UNTRACKED;
	*ret = a;
	return NULL;
}

pyr_error *pyr_context_resolve_listed(struct pyr_context *context, pyr_addr addr,
				      struct pyr_object_argument *ret)
{
	struct pyr_object_argument a;
	pyr_error *err = pyr_context_resolve(context, addr, &a);

	if (!err && !a.listed)
		return pyr_error_create_at(PYR_E_NOT_AN_OBJECT, addr,
					   "0x%llx looks like an object, but is none of those that "
					   "were found in the heap",
					   (unsigned long long)addr);
	if (!err)
		*ret = a;
	return err;
}

static int64_t offset_of(const struct pyr_object_argument *a)
{
	if (a->listed && a->where.part == PYR_PART_BUFFER)
		return a->where.offset;
	return (int64_t)(a->asked - a->address);
}

void pyr_object_argument_json(struct pyr_context *context, const struct pyr_object_argument *a)
{
	char *repr = pyr_context_repr(context, a->address, 0);
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
	free(repr);
}

void pyr_object_argument_print(struct pyr_context *context, const struct pyr_object_argument *a)
{
	struct pyr_out *out = context->out;

	if (a->asked != a->address && a->where.part == PYR_PART_BUFFER)
		pyr_out_printf(
			out, "  %s lies in its %s, at offset %lld\n", pyr_address(a->asked).text,
			a->where.buffer ? a->where.buffer : "buffer", (long long)a->where.offset);
	else if (a->asked != a->address)
		pyr_out_printf(out, "  %s lies %s, at offset %lld\n", pyr_address(a->asked).text,
			       part_words(a->where.part), (long long)offset_of(a));
}
