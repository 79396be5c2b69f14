#include "views/why_patterns.h"

#include <stdlib.h>

#include "analysis/retention/path_patterns.h"
#include "command/retention_cache.h"

static const char *name_of(struct pyr_context *context, uint32_t type)
{
	struct pyr_types *types = context->session->types;

	return pyr_type_name(types, pyr_types_at(types, type));
}

static void print_json(struct pyr_context *context, const struct pyr_merged *merged, size_t shown)
{
	struct pyr_heap *heap = context->session->heap;
	struct pyr_json *json = context->json;
	const struct pyr_merged_row *row;
	size_t i;

	pyr_json_uint(json, "objects", merged->count);
	pyr_json_uint(json, "bytes", merged->bytes);
	pyr_json_begin_list(json, "merged");
	for (i = 0; i < shown; i++) {
		row = &merged->rows.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "path", row->text);
		pyr_json_string(json, "type", name_of(context, row->type));
		pyr_json_uint(json, "count", row->count);
		pyr_json_uint(json, "bytes", row->bytes);
		pyr_json_address(json, "example", heap->address[row->example]);
		pyr_json_bool(json, "unreachable", !row->text);
		pyr_json_end_object(json);
		pyr_session_result(context->session, heap->address[row->example]);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", merged->rows.count - shown);
}

static void print_text(struct pyr_context *context, const struct pyr_merged *merged, size_t shown,
		       uint32_t type_count)
{
	static const struct pyr_column columns[] = {
		{"COUNT", true, false, PYR_CUT_END},        {"SIZE", true, false, PYR_CUT_END},
		{"TYPE", false, true, PYR_CUT_START},       {"HELD AS", false, true, PYR_CUT_START},
		{"FOR EXAMPLE", false, false, PYR_CUT_END},
	};
	struct pyr_heap *heap = context->session->heap;
	const struct pyr_merged_row *row;
	struct pyr_table table;
	uint64_t left = 0;
	size_t i;

	if (!merged->count) {
		pyr_out_styled(context->out, PYR_STYLE_STRONG, "No object is of such a type.\n");
		return;
	}
	row = &merged->rows.data[0];
	pyr_out_styled(context->out, PYR_STYLE_STRONG, "%s of %s",
		       pyr_counted(merged->count, "object", "objects").text,
		       type_count == 1 ? name_of(context, row->type)
				       : pyr_counted(type_count, "type", "types").text);
	if (merged->rows.count == 1)
		pyr_out_styled(context->out, PYR_STYLE_STRONG, ", %s.\n\n",
			       row->text ? "all held in the same way"
					 : "unreachable: nothing holds them");
	else
		pyr_out_styled(context->out, PYR_STYLE_STRONG,
			       ", held in %s; the first holds %s of them.\n\n",
			       pyr_counted(merged->rows.count, "way", "ways").text,
			       pyr_release_count(row->count, merged->count).text);
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < merged->rows.count; i++) {
		row = &merged->rows.data[i];
		if (i >= shown) {
			left += row->count;
			continue;
		}
		pyr_table_text(&table, pyr_count(row->count).text);
		pyr_table_text(&table, pyr_bytes(row->bytes).text);
		pyr_table_text(&table, pyr_short_type(name_of(context, row->type)));
		pyr_table_text(&table, row->text ? row->text : "(nothing: unreachable)");
		pyr_table_text(&table, pyr_address(heap->address[row->example]).text);
		pyr_session_result(context->session, heap->address[row->example]);
	}
	pyr_table_finish(&table);
	if (left)
		pyr_out_printf(context->out, "  … and %s more: %s (--limit 0 shows all)\n",
			       pyr_counted(merged->rows.count - shown, "way", "ways").text,
			       pyr_counted(left, "object", "objects").text);
}

pyr_error *pyr_why_merged(struct pyr_context *context, const struct pyr_value *type)
{
	struct pyr_retention_cache *retention;
	struct pyr_merged merged;
	uint32_t i, types, matched = 0;
	pyr_error *err;
	bool *wanted;
	size_t shown;

	if ((err = pyr_session_path_tree(context->session, &retention)))
		return err;
	types = pyr_types_count(context->session->types);
	wanted = calloc((size_t)types + 1, sizeof(*wanted));
	if (!wanted)
		return pyr_error_no_memory();
	for (i = 0; i < types; i++)
		wanted[i] = pyr_value_matches(type, name_of(context, i));
	err = pyr_merged_compute(retention->model, retention->roots, retention->edge_costs,
				 &retention->tree, wanted, types, &context->session->control,
				 &merged);
	if (err) {
		free(wanted);
		return err;
	}
	/* types that objects have, not all that match */
	for (shown = 0; shown < merged.rows.count; shown++) {
		matched += wanted[merged.rows.data[shown].type];
		wanted[merged.rows.data[shown].type] = false;
	}
	free(wanted);
	if (shown > context->limit)
		shown = (size_t)context->limit;
	pyr_context_answer(context);
	if (context->json)
		print_json(context, &merged, shown);
	else
		print_text(context, &merged, shown, matched);
	pyr_merged_deinit(&merged);
	return NULL;
}
