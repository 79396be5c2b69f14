/* The ledger of one object: its reference count as what was found, and the rest. */
#include <stdlib.h>

#include "views/edges.h"

#define POSSIBLE_SHOWN 5u

/* What holds from outside, by kind of root: "1 from <one>", "3 from <many>". */
static const struct {
	const char *one, *many;
} words[PYR_ROOT_COUNT] = {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many)                      \
	[PYR_ROOT_##id] = {one_from, many_from},
#include "roots/roots.def"
#undef ROOT
};

pyr_error *pyr_object_ledger(struct pyr_context *context, const struct pyr_object_argument *asked,
			     struct pyr_object_ledger *ret)
{
	struct pyr_object_ledger o = {0};
	struct pyr_ledger *ledger;
	pyr_error *err;
	size_t i;

	if ((err = pyr_session_roots(context->session, &o.roots)) ||
	    (err = pyr_session_ledger(context->session, &ledger)))
		return err;
	o.model = context->session->model;
	if ((err = pyr_model_reverse(o.model, &context->session->control)))
		return err;
	pyr_ledger_lines(o.model, o.roots, asked->where.id, &o.lines);
	for (i = 0; i < PYR_EDGE_COUNT; i++)
		o.from_objects += o.lines.edges[i];
	for (i = 0; i < PYR_ROOT_COUNT; i++)
		o.from_roots += o.lines.roots[i];
	o.counted = ledger->refcount[asked->where.id] != PYR_LEDGER_EXCLUDED;
	if (o.counted)
		o.remainder =
			asked->header.refcount - (int64_t)o.from_objects - (int64_t)o.from_roots;
	*ret = o;
	return NULL;
}

static void add_kind(struct pyr_strbuf *out, uint64_t count, const char *const words[2],
		     const char *one, const char *many)
{
	if (count)
		pyr_strbuf_printf(
			out, "%s%s", out->length ? ", " : "",
			pyr_counted(count, words[0] ? words[0] : one, words[1] ? words[1] : many)
				.text);
}

void pyr_ledger_kinds(const struct pyr_ledger_lines *lines, struct pyr_strbuf *out)
{
	static const char *const edges[PYR_EDGE_COUNT][2] = {
		[PYR_EDGE_FIELD] = {"field of an object", "fields of objects"},
		[PYR_EDGE_ITEM] = {"item of a sequence", "items of sequences"},
		[PYR_EDGE_KEY] = {"key or element", "keys or elements"},
		[PYR_EDGE_VALUE] = {"dict value", "dict values"},
		[PYR_EDGE_ATTRIBUTE] = {"attribute", "attributes"},
		[PYR_EDGE_SLOT] = {"slot", "slots"},
		[PYR_EDGE_TYPE] = {"instance", "instances"},
		[PYR_EDGE_LOCAL] = {"variable of a frame that is not running",
				    "variables of frames that are not running"},
		[PYR_EDGE_STACK] = {"operand of a frame that is not running",
				    "operands of frames that are not running"},
		[PYR_EDGE_WORD] = {"word of an object", "words of objects"},
		[PYR_EDGE_VISITED] = {"reference by an object", "references by objects"},
	};
	static const char *const roots[PYR_ROOT_COUNT][2] = {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many)                      \
	[PYR_ROOT_##id] = {one, many},
#include "roots/roots.def"
#undef ROOT
	};
	unsigned i;

	for (i = 0; i < PYR_EDGE_COUNT; i++)
		add_kind(out, lines->edges[i], edges[i], "reference", "references");
	for (i = 0; i < PYR_ROOT_COUNT; i++)
		add_kind(out, lines->roots[i], roots[i], "other root", "other roots");
}

static void line_json(struct pyr_json *json, const char *kind, int64_t count)
{
	if (!count)
		return;
	pyr_json_begin_object(json, NULL);
	pyr_json_string(json, "kind", kind);
	pyr_json_int(json, "count", count);
	pyr_json_end_object(json);
}

void pyr_object_ledger_json(struct pyr_context *context, const struct pyr_object_argument *asked,
			    const struct pyr_object_ledger *o)
{
	struct pyr_json *json = context->json;
	struct pyr_strbuf name = {0};
	const struct pyr_root *root;
	size_t i, end;

	pyr_json_begin_list(json, "ledger");
	for (i = 0; i < PYR_EDGE_COUNT; i++)
		line_json(json, pyr_edge_kind_name((enum pyr_edge_kind)i), o->lines.edges[i]);
	for (i = 0; i < PYR_ROOT_COUNT; i++)
		line_json(json, pyr_root_kind_name((enum pyr_root_kind)i), o->lines.roots[i]);
	line_json(json, "not found", o->remainder);
	pyr_json_end_list(json);
	if (o->counted)
		pyr_json_int(json, "unexplained", o->remainder);
	else
		pyr_json_null(json, "unexplained");
	pyr_json_uint(json, "inferred", o->lines.inferred);
	pyr_json_begin_list(json, "possible");
	for (pyr_roots_of(o->roots, asked->where.id, &i, &end); i < end; i++) {
		root = &o->roots->roots.data[i];
		if (!root->possible)
			continue;
		pyr_strbuf_clear(&name);
		pyr_root_name(o->roots, root, &name);
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "kind", pyr_root_kind_name((enum pyr_root_kind)root->kind));
		pyr_json_string(json, "name", pyr_strbuf_str(&name));
		pyr_json_address(json, "slot", root->slot);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_strbuf_deinit(&name);
}

static void add_remainder(const struct pyr_object_ledger *o, const char *comma,
			  struct pyr_strbuf *out)
{
	if (o->remainder > 0)
		pyr_strbuf_printf(out, "%s%s not found in this heap", comma,
				  pyr_count((uint64_t)o->remainder).text);
	else if (o->remainder < 0)
		pyr_strbuf_printf(out, "%s%s more than it counts", comma,
				  pyr_count((uint64_t)-o->remainder).text);
}

void pyr_object_ledger_kinds(const struct pyr_object_ledger *o, struct pyr_strbuf *out)
{
	pyr_ledger_kinds(&o->lines, out);
	add_remainder(o, out->length ? ", " : "", out);
}

void pyr_object_ledger_words(const struct pyr_object_ledger *o, struct pyr_strbuf *out)
{
	const char *comma = "";
	size_t i;

	if (o->from_objects) {
		pyr_strbuf_printf(out, "%s from %s", pyr_count(o->from_objects).text,
				  o->from_objects == 1 ? "an object" : "objects");
		comma = ", ";
	}
	for (i = 0; i < PYR_ROOT_COUNT; i++) {
		if (!o->lines.roots[i])
			continue;
		pyr_strbuf_printf(out, "%s%s from %s", comma, pyr_count(o->lines.roots[i]).text,
				  o->lines.roots[i] == 1 ? words[i].one : words[i].many);
		comma = ", ";
	}
	add_remainder(o, comma, out);
}

static void print_roots(struct pyr_context *context, const struct pyr_object_argument *asked,
			const struct pyr_object_ledger *o, bool possible, const char *heading)
{
	struct pyr_strbuf name = {0};
	const struct pyr_root *root;
	uint64_t shown = 0, all = 0, limit = context->limit;
	size_t i, end;

	if (possible && limit > POSSIBLE_SHOWN && limit != UINT64_MAX)
		limit = POSSIBLE_SHOWN;
	for (pyr_roots_of(o->roots, asked->where.id, &i, &end); i < end; i++) {
		root = &o->roots->roots.data[i];
		if (root->possible != possible || (!possible && !root->owned))
			continue;
		if (!all++)
			pyr_out_printf(context->out, "\n%s\n", heading);
		if (shown == limit)
			continue;
		pyr_strbuf_clear(&name);
		pyr_root_name(o->roots, root, &name);
		pyr_out_printf(context->out, "  %s\n", pyr_strbuf_str(&name));
		shown++;
	}
	pyr_context_more(context, shown, all, "", "");
	pyr_strbuf_deinit(&name);
}

void pyr_possible_print(struct pyr_context *context, const struct pyr_object_argument *asked,
			const struct pyr_object_ledger *o)
{
	print_roots(context, asked, o, true,
		    "possible holders: words of C memory that equal its address, never counted");
}

void pyr_roots_print(struct pyr_context *context, const struct pyr_object_argument *asked,
		     const struct pyr_object_ledger *o)
{
	print_roots(context, asked, o, false, "from outside of the heap");
}
