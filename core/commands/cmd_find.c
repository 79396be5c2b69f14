/* find: the objects that match. */
#include <stdlib.h>
#include <string.h>

#include "analysis/census/find.h"
#include "views/show.h"

struct find_found {
	struct pyr_context *context;
	struct pyr_heap *heap;
	struct pyr_ledger *ledger; /* when --overheld or --underheld was asked for */
	PYR_VEC(struct pyr_find_match) matches;
	bool failed;
};

static bool collect(void *ctx, const struct pyr_find_match *match)
{
	struct find_found *found = ctx;

	if (pyr_vec_push(&found->matches, *match))
		return true;
	found->failed = true;
	return false;
}

static void find_json(struct find_found *found, const struct pyr_find_result *result)
{
	struct pyr_context *context = found->context;
	struct pyr_heap *heap = found->heap;
	struct pyr_json *json = context->json;
	const struct pyr_find_match *match;
	size_t i;
	char *repr;

	pyr_json_uint(json, "matches", result->matches);
	pyr_json_begin_list(json, "objects");
	for (i = 0; i < found->matches.count; i++) {
		if (i % 1024 == 0 && pyr_control_cancelled(&context->session->control))
			break;
		match = &found->matches.data[i];
		repr = pyr_context_repr(context, heap->address[match->id], PYR_REPR_IN_JSON);
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", heap->address[match->id]);
		pyr_json_string(json, "type",
				pyr_type_name(heap->types,
					      pyr_types_at(heap->types, heap->type[match->id])));
		pyr_json_uint(json, "size", match->size);
		pyr_json_string(json, "repr", repr);
		if (found->ledger) {
			pyr_json_uint(json, "refcount", found->ledger->refcount[match->id]);
			pyr_json_int(json, "unexplained",
				     pyr_ledger_remainder(found->ledger, match->id));
		}
		pyr_json_end_object(json);
		pyr_session_result(context->session, heap->address[match->id]);
		free(repr);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", result->omitted);
}

static void find_text(struct find_found *found, const struct pyr_find_result *result)
{
	static const struct pyr_column columns[] = {
		{"ADDRESS", false, false, PYR_CUT_END},
		{"TYPE", false, true, PYR_CUT_START},
		{"SIZE", true, false, PYR_CUT_END},
		{"VALUE", false, true, PYR_CUT_END},
	};
	static const struct pyr_column ledger_columns[] = {
		{"ADDRESS", false, false, PYR_CUT_END}, {"TYPE", false, true, PYR_CUT_START},
		{"SIZE", true, false, PYR_CUT_END},     {"REFCOUNT", true, false, PYR_CUT_END},
		{"FOUND", true, false, PYR_CUT_END},    {"VALUE", false, true, PYR_CUT_END},
	};
	struct pyr_context *context = found->context;
	struct pyr_heap *heap = found->heap;
	const struct pyr_find_match *match;
	struct pyr_table table;
	size_t i;
	char *repr;

	pyr_out_styled(context->out, PYR_STYLE_STRONG, "%s %s.\n",
		       pyr_counted(result->matches, "object", "objects").text,
		       result->matches == 1 ? "matches" : "match");
	if (!result->matches)
		return;
	pyr_out_raw(context->out, "\n", 1);
	if (found->ledger)
		pyr_table_init(&table, context->out, ledger_columns,
			       sizeof(ledger_columns) / sizeof(ledger_columns[0]));
	else
		pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < found->matches.count; i++) {
		if (i % 1024 == 0 && pyr_control_cancelled(&context->session->control))
			break;
		match = &found->matches.data[i];
		repr = pyr_context_repr(context, heap->address[match->id], PYR_REPR_IN_TABLE);
		pyr_table_text(&table, pyr_address(heap->address[match->id]).text);
		pyr_table_text(&table,
			       pyr_type_name(heap->types,
					     pyr_types_at(heap->types, heap->type[match->id])));
		pyr_table_cell(&table, "%s%s", match->exact_size ? "" : "~",
			       pyr_bytes(match->size).text);
		if (found->ledger) {
			pyr_table_text(&table, pyr_count(found->ledger->refcount[match->id]).text);
			pyr_table_text(&table, pyr_count(found->ledger->found[match->id]).text);
		}
		pyr_table_text(&table, repr ? repr : "");
		pyr_session_result(context->session, heap->address[match->id]);
		free(repr);
	}
	pyr_table_finish(&table);
	pyr_context_more(context, found->matches.count, result->matches, "object", "objects");
}

pyr_error *pyr_cmd_find(struct pyr_context *context)
{
	const struct pyr_value *in = pyr_context_option(context, PYR_OPT_find_in);
	struct pyr_find_options options = {
		.type = pyr_context_option(context, PYR_OPT_find_type)->text,
		.repr = pyr_context_option(context, PYR_OPT_find_repr)->text,
		.attr = pyr_context_option(context, PYR_OPT_find_attr)->text,
		.min_size = pyr_context_option(context, PYR_OPT_find_min_size)->number,
		.has_in = in->given,
		.in = in->number,
		.generation = -1,
		.by_size = !strcmp(pyr_context_option(context, PYR_OPT_find_by)->text, "size"),
		.limit = context->limit == UINT64_MAX ? 0 : context->limit,
	};
	bool overheld = pyr_context_option(context, PYR_OPT_find_overheld)->given;
	bool unreachable = pyr_context_option(context, PYR_OPT_find_unreachable)->given;
	bool underheld = pyr_context_option(context, PYR_OPT_find_underheld)->given;
	struct pyr_find_result result;
	struct find_found found = {.context = context};
	pyr_error *err;

	if (!options.type && !options.repr && !options.attr && !in->given && !overheld &&
	    !underheld && !unreachable &&
	    !pyr_context_option(context, PYR_OPT_find_min_size)->given)
		return pyr_error_create(
			PYR_E_USAGE, "find wants a condition: --type, --repr, --attr, "
				     "--min-size, --in, --unreachable, --overheld or --underheld");
	if (overheld && underheld)
		return pyr_error_create(PYR_E_USAGE, "no object is both overheld and underheld");
	if ((err = pyr_session_heap(context->session, &found.heap)) ||
	    (unreachable && (err = pyr_session_unreachable(context->session, &options.only))) ||
	    ((overheld || underheld) &&
	     (err = pyr_session_ledger(context->session, &found.ledger))))
		return err;
	options.overheld = overheld ? found.ledger : NULL;
	options.underheld = underheld ? found.ledger : NULL;
	if (!found.heap->proven)
		pyr_context_incomplete(context, "the collector's lists do not all close: objects "
						"may be missing");
	err = pyr_find_run(found.heap, &context->session->control, &options, collect, &found,
			   &result);
	if (!err && found.failed)
		err = pyr_error_no_memory();
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			find_json(&found, &result);
		else
			find_text(&found, &result);
	}
	pyr_vec_deinit(&found.matches);
	return err;
}
