#include "views/edges.h"

#include <stdlib.h>
#include <string.h>

#include "views/show.h"
#include "runtime/access.h"

const struct pyr_column pyr_edge_columns[4] = {
	{"ADDRESS", false, false, PYR_CUT_END},
	{"TYPE", false, true, PYR_CUT_START},
	{"HOW", false, true, PYR_CUT_END},
	{"VALUE", false, true, PYR_CUT_END},
};

const char *pyr_edge_kind_name(enum pyr_edge_kind kind)
{
	static const char *const names[] = {
#define EDGE(id, name, detail) name,
#include "references/edges.def"
#undef EDGE
	};

	return (unsigned)kind < PYR_EDGE_COUNT ? names[kind] : "?";
}

char *pyr_edge_text(struct pyr_context *context, const struct pyr_step *step)
{
	struct pyr_strbuf text = {0};

	pyr_step_write(context->session->types, &context->session->python->reader, step, &text);
	return text.length ? pyr_strbuf_take(&text) : strdup("");
}

char *pyr_chain_text(struct pyr_context *context, const struct pyr_chain *chain)
{
	struct pyr_strbuf text = {0};

	pyr_display_fold_first(context->session->types, &context->session->python->reader,
			       chain->steps, chain->count, &text);
	return text.length ? pyr_strbuf_take(&text) : strdup("");
}

void pyr_edge_json(struct pyr_context *context, const struct pyr_step *step, uint64_t count)
{
	struct pyr_json *json = context->json;
	char *text = pyr_edge_text(context, step);

	pyr_json_string(json, "edge", text);
	pyr_json_string(json, "kind", pyr_edge_kind_name(PYR_REF_KIND(step->label)));
	pyr_json_bool(json, "traversed", (step->label & PYR_REF_TRAVERSED) != 0);
	pyr_json_string(json, "certainty", step->label & PYR_REF_INFERRED ? "inferred" : "exact");
	pyr_json_uint(json, "count", count);
	free(text);
}

void pyr_object_words(struct pyr_context *context, const struct pyr_object_argument *asked,
		      struct pyr_strbuf *out)
{
	const struct pyr_type *type = asked->header.type;
	struct pyr_session *session = context->session;
	struct pyr_reader *reader = &session->python->reader;
	const struct pyr_layout *l = &session->python->layout;
	uint64_t count = 0;
	bool counted = false;

	pyr_strbuf_add(out, pyr_short_type(pyr_type_name(session->types, type)));
	switch (type->shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_TUPLE:
		counted = pyr_get_u64(l, reader, asked->address, PyVarObject, ob_size, &count);
		break;
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_DEFAULTDICT:
		counted = pyr_get_u64(l, reader, asked->address, PyDictObject, ma_used, &count);
		break;
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
		counted = pyr_get_u64(l, reader, asked->address, PySetObject, used, &count);
		break;
	default:
		break;
	}
	if (counted)
		pyr_strbuf_printf(out, " of %s", pyr_counted(count, "item", "items").text);
	pyr_strbuf_printf(out, " at %s", pyr_address(asked->address).text);
}

void pyr_edge_row(struct pyr_context *context, struct pyr_table *table, pyr_addr address,
		  const char *how)
{
	char *repr = pyr_context_repr(context, address, PYR_REPR_IN_TABLE);

	pyr_table_text(table, pyr_address(address).text);
	pyr_table_text(table, pyr_short_type(pyr_context_type_name(context, address)));
	pyr_table_text(table, how ? how : "");
	pyr_table_text(table, repr ? repr : "");
	pyr_session_result(context->session, address);
	free(repr);
}
