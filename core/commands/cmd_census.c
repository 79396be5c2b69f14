/* census: how many objects of what, and how many bytes. */
#include <stdlib.h>
#include <string.h>

#include "views/census_rows.h"
#include "command/retention_cache.h"

static void totals_json(struct pyr_context *context, const struct pyr_census *census)
{
	struct pyr_json *json = context->json;
	static const char *const names[] = {
		[PYR_GEN_0] = "0",
		[PYR_GEN_1] = "1",
		[PYR_GEN_2] = "2",
		[PYR_GEN_PERMANENT] = "permanent",
		[PYR_GEN_COLLECTING] = "collecting",
		[PYR_GEN_UNTRACKED] = "untracked",
	};
	unsigned g;

	pyr_json_uint(json, "objects", census->objects);
	pyr_json_uint(json, "gc_objects", census->gc_objects);
	pyr_json_uint(json, "bytes", census->bytes);
	pyr_json_begin_object(json, "by_generation");
	for (g = 0; g < PYR_GEN_COUNT; g++)
		pyr_json_uint(json, names[g], census->by_generation[g]);
	pyr_json_end_object(json);
	pyr_json_string(json, "generations", census->proven ? "exact" : "inferred");
}

static bool asked_retained(struct pyr_context *context)
{
	return pyr_context_option(context, PYR_OPT_census_retained)->given;
}

static void census_json(struct pyr_context *context, const struct pyr_census *census,
			const struct pyr_census_groups *groups)
{
	bool retained = asked_retained(context);
	static const char *const lists[] = {"types", "modules", "sizes"};
	static const char *const keys[] = {"type", "module", NULL};
	struct pyr_json *json = context->json;
	size_t i, shown = groups->rows.count;
	const struct pyr_census_group *row;

	if (shown > context->limit)
		shown = (size_t)context->limit;
	totals_json(context, census);
	if (groups->filtered) {
		pyr_json_begin_object(json, "matched");
		pyr_json_uint(json, "objects", groups->count);
		pyr_json_uint(json, "gc_objects", groups->gc_count);
		pyr_json_uint(json, "bytes", groups->bytes);
		pyr_json_end_object(json);
	}
	pyr_json_begin_list(json, lists[groups->by]);
	for (i = 0; i < shown; i++) {
		row = &groups->rows.data[i];
		pyr_json_begin_object(json, NULL);
		if (keys[groups->by])
			pyr_json_string(json, keys[groups->by], row->name);
		else
			pyr_json_uint(json, "up_to", row->up_to);
		pyr_json_uint(json, "count", row->count);
		if (groups->by != PYR_CENSUS_BY_SIZE)
			pyr_json_uint(json, "gc_count", row->gc_count);
		pyr_json_uint(json, "bytes", row->bytes);
		if (retained)
			pyr_json_uint(json, "retained", row->retained);
		if (groups->by != PYR_CENSUS_BY_SIZE) {
			pyr_json_uint(json, "types", row->types);
			pyr_json_bool(json, "exact_size", !row->inexact_size);
		}
		if (groups->by == PYR_CENSUS_BY_TYPE) {
			pyr_json_address(json, "address", row->types == 1 ? row->address : 0);
			pyr_json_string(json, "name_certainty",
					row->name_certainty == PYR_EXACT      ? "exact"
					: row->name_certainty == PYR_INFERRED ? "inferred"
									      : "unknown");
		}
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", groups->rows.count - shown);
}

static void census_sentence(struct pyr_context *context, const struct pyr_census *census,
			    const struct pyr_census_groups *groups, int generation)
{
	struct pyr_out *out = context->out;
	bool unreachable = pyr_context_option(context, PYR_OPT_census_unreachable)->given;

	pyr_out_style(out, PYR_STYLE_STRONG);
	if (unreachable)
		pyr_out_text(out,
			     pyr_counted(groups->count, "unreachable object", "unreachable objects")
				     .text);
	else
		pyr_out_text(out, pyr_counted(groups->count, "object", "objects").text);
	if (generation >= 0)
		pyr_out_printf(out, " in generation %d", generation);
	pyr_out_printf(out, " of %s, %s.", pyr_counted(groups->type_count, "type", "types").text,
		       pyr_bytes(groups->bytes).text);
	pyr_out_style(out, PYR_STYLE_PLAIN);
	if (groups->filtered)
		pyr_out_printf(out, " %s of all objects, %s of all bytes.",
			       pyr_release_count(groups->count, census->objects).text,
			       pyr_release_count(groups->bytes, census->bytes).text);
	else if (generation < 0)
		pyr_out_printf(
			out, " The collector tracks %s: %s in generation 0, %s in 1, %s in 2%s%s.",
			pyr_count(census->gc_objects).text,
			pyr_count(census->by_generation[PYR_GEN_0]).text,
			pyr_count(census->by_generation[PYR_GEN_1]).text,
			pyr_count(census->by_generation[PYR_GEN_2]).text,
			census->by_generation[PYR_GEN_PERMANENT] ? ", frozen besides: " : "",
			census->by_generation[PYR_GEN_PERMANENT]
				? pyr_count(census->by_generation[PYR_GEN_PERMANENT]).text
				: "");
	if (census->by_generation[PYR_GEN_COLLECTING] && generation < 0)
		pyr_out_printf(out, " A collection is in progress: it holds %s.",
			       pyr_count(census->by_generation[PYR_GEN_COLLECTING]).text);
	pyr_out_text(out, "\n\n");
}

static void census_text(struct pyr_context *context, const struct pyr_census *census,
			const struct pyr_census_groups *groups, int generation)
{
	static const struct pyr_column columns[3][6] = {
		{{"TYPE", false, true, PYR_CUT_START},
		 {"COUNT", true, false, PYR_CUT_END},
		 {"TRACKED", true, false, PYR_CUT_END},
		 {"SIZE", true, false, PYR_CUT_END},
		 {"SHARE", true, false, PYR_CUT_END},
		 {"RETAINED", true, false, PYR_CUT_END}},
		{{"MODULE", false, true, PYR_CUT_START},
		 {"COUNT", true, false, PYR_CUT_END},
		 {"TRACKED", true, false, PYR_CUT_END},
		 {"SIZE", true, false, PYR_CUT_END},
		 {"SHARE", true, false, PYR_CUT_END}},
		{{"OBJECTS OF", true, false, PYR_CUT_END},
		 {"COUNT", true, false, PYR_CUT_END},
		 {"SIZE", true, false, PYR_CUT_END},
		 {"SHARE", true, false, PYR_CUT_END}},
	};
	static const char *const nouns[3][2] = {
		{"type", "types"}, {"module", "modules"}, {"size class", "size classes"}};
	const struct pyr_census_group *row;
	size_t i, shown = groups->rows.count;
	uint64_t count = 0, bytes = 0;
	bool size = groups->by == PYR_CENSUS_BY_SIZE, retained = asked_retained(context);
	struct pyr_table table;

	if (shown > context->limit)
		shown = (size_t)context->limit;
	census_sentence(context, census, groups, generation);
	pyr_table_init(&table, context->out, columns[groups->by], size ? 4 : retained ? 6 : 5);
	for (i = 0; i < groups->rows.count; i++) {
		row = &groups->rows.data[i];
		if (i >= shown) {
			count += row->count;
			bytes += row->bytes;
			continue;
		}
		if (size)
			pyr_table_cell(&table, "<= %s", pyr_bytes(row->up_to).text);
		else if (row->types > 1 && groups->by == PYR_CENSUS_BY_TYPE)
			pyr_table_cell(&table, "%s (%u types)", row->name, row->types);
		else
			pyr_table_text(&table, row->name);
		pyr_table_text(&table, pyr_count(row->count).text);
		if (!size)
			pyr_table_text(&table, pyr_count(row->gc_count).text);
		pyr_table_cell(&table, "%s%s", row->inexact_size ? "~" : "",
			       pyr_bytes(row->bytes).text);
		pyr_table_text(&table, pyr_release_count(row->bytes, census->bytes).text);
		if (retained)
			pyr_table_text(&table, pyr_bytes(row->retained).text);
	}
	pyr_table_finish(&table);
	if (groups->rows.count > shown)
		pyr_out_printf(context->out, "  … and %s more %s: %s, %s (--limit 0 shows all)\n",
			       pyr_count(groups->rows.count - shown).text,
			       nouns[groups->by][groups->rows.count - shown != 1],
			       pyr_counted(count, "object", "objects").text, pyr_bytes(bytes).text);
}

/* By type index; the caller frees. */
static pyr_error *retained_by_type(struct pyr_context *context, uint64_t **ret, uint32_t *count)
{
	struct pyr_retention_cache *retention;
	pyr_error *err;

	if ((err = pyr_session_retained(context->session, &retention)))
		return err;
	*count = pyr_types_count(context->session->types);
	*ret = calloc((size_t)*count + 1, sizeof(**ret));
	if (!*ret)
		return pyr_error_no_memory();
	return pyr_retained_by_type(&retention->retained, retention->model->heap,
				    &context->session->control, *ret, *count);
}

pyr_error *pyr_cmd_census(struct pyr_context *context)
{
	const struct pyr_value *generation = pyr_context_option(context, PYR_OPT_census_generation);
	const struct pyr_value *match = pyr_context_option(context, PYR_OPT_census_match);
	enum pyr_census_by by =
		(enum pyr_census_by)pyr_context_option(context, PYR_OPT_census_by)->number;
	struct pyr_census_options options = {
		.generation = generation->given ? (int)generation->number : -1,
		.size_histogram = by == PYR_CENSUS_BY_SIZE && !match->given,
	};
	struct pyr_census_groups groups;
	struct pyr_census census = {0};
	bool unreachable = pyr_context_option(context, PYR_OPT_census_unreachable)->given;
	uint64_t *retained = NULL;
	uint32_t retained_count = 0;
	struct pyr_types *types;
	pyr_error *err;

	if (asked_retained(context) && unreachable)
		return pyr_error_create(
			PYR_E_USAGE, "--retained is told of what is in use, not of --unreachable");
	if (asked_retained(context) && (by != PYR_CENSUS_BY_TYPE || generation->given))
		return pyr_error_create(PYR_E_USAGE,
					"--retained is told of types as a whole, not by %s",
					generation->given ? "generation" : "module or size");
	if ((err = pyr_session_types(context->session, &types)) ||
	    (asked_retained(context) &&
	     (err = retained_by_type(context, &retained, &retained_count))) ||
	    (unreachable && (err = pyr_session_unreachable(context->session, &options.only))) ||
	    (err = unreachable ? pyr_census_of_heap(context->session->heap,
						    &context->session->control, &options, &census)
			       : pyr_census_run(types, &context->session->control, &options,
						&census))) {
		free(retained);
		return err;
	}
	if (!census.proven)
		pyr_context_incomplete(context, "the collector's lists do not all close: which "
						"generation an object is in is inferred");
	err = pyr_census_group(context, &census, by, match, options.generation, options.only,
			       retained, retained_count, &groups);
	free(retained);
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			census_json(context, &census, &groups);
		else
			census_text(context, &census, &groups, options.generation);
		pyr_census_groups_deinit(&groups);
	}
	pyr_census_deinit(&census);
	return err;
}
