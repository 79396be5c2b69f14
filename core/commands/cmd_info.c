/* info: which Python this is and how much it holds. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "analysis/census/census.h"
#include "command/context.h"
#include "runtime/gcstate.h"

static const char *certainty_word(bool exact)
{
	return exact ? "exact" : "inferred";
}

static void build_id_text(const struct pyr_image *image, char text[2 * PYR_BUILD_ID_MAX + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned i;

	for (i = 0; i < image->build_id_size && i < PYR_BUILD_ID_MAX; i++) {
		text[2 * i] = digits[image->build_id[i] >> 4];
		text[2 * i + 1] = digits[image->build_id[i] & 15];
	}
	text[2 * i] = '\0';
}

static void build_json(struct pyr_json *json, const struct pyr_python *python)
{
	const struct pyr_layout *layout = &python->layout;
	char id[2 * PYR_BUILD_ID_MAX + 1];

	pyr_json_begin_object(json, "build");
	pyr_json_bool(json, "debug", layout->debug);
	pyr_json_bool(json, "trace_refs", layout->trace_refs);
	pyr_json_bool(json, "free_threaded", layout->free_threaded);
	pyr_json_string(json, "abiflags", python->abiflags);
	if (python->image) {
		pyr_json_string(json, "image", python->image->path);
		build_id_text(python->image, id);
		pyr_json_string(json, "build_id", id[0] ? id : NULL);
		pyr_json_string(json, "file", python->image->file);
	}
	pyr_json_string(json, "allocator", python->malloc_name);
	pyr_json_bool(json, "debug_allocator", python->debug_allocator);
	pyr_json_end_object(json);
}

static size_t threads_of(const struct pyr_python *python, size_t interpreter)
{
	size_t i, n = 0;

	for (i = 0; i < python->threads.count; i++)
		n += python->threads.data[i].interpreter == interpreter;
	return n;
}

static void layout_json(struct pyr_json *json, const struct pyr_layout *layout)
{
	int s;

	pyr_json_begin_list(json, "layout");
	for (s = 0; s < PYR_S_COUNT; s++) {
		if (layout->struct_source[s] == PYR_SOURCE_NONE)
			continue;
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "struct", pyr_layout_struct_name((enum pyr_struct)s));
		pyr_json_string(
			json, "source",
			pyr_layout_source_name((enum pyr_layout_source)layout->struct_source[s]));
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_string(json, "layout_table", layout->table_name);
}

/* What the references explain of the counts. */
static void explained_json(struct pyr_context *context, const struct pyr_ledger *ledger)
{
	const struct pyr_model *model = context->session->model;
	struct pyr_json *json = context->json;

	pyr_json_uint(json, "references", model->graph.edges);
	pyr_json_uint(json, "inferred_references", model->inferred);
	pyr_json_begin_object(json, "explained");
	pyr_json_uint(json, "references_found", ledger->references_found);
	pyr_json_uint(json, "refcount_total", ledger->refcount_total);
	pyr_json_real(json, "ratio", pyr_ledger_ratio(ledger));
	pyr_json_uint(json, "excluded", ledger->excluded);
	pyr_json_uint(json, "negative", ledger->negative);
	pyr_json_uint(json, "overheld", ledger->overheld);
	pyr_json_end_object(json);
}

static void explained_rows(struct pyr_context *context, struct pyr_table *table,
			   const struct pyr_ledger *ledger)
{
	const struct pyr_model *model = context->session->model;

	pyr_table_text(table, "references");
	pyr_table_cell(table, "%s", pyr_count(model->graph.edges).text);
	if (model->inferred) {
		pyr_table_text(table, "");
		pyr_table_cell(table, "%s inferred (%s): the code of some types cannot be had",
			       pyr_counted(model->inferred, "reference is", "references are").text,
			       pyr_release_count(model->inferred, model->graph.edges).text);
	}
	pyr_table_text(table, "explained");
	pyr_table_cell(table, "%.2f %% of all counted references were found (%s of %s)",
		       100 * pyr_ledger_ratio(ledger), pyr_count(ledger->references_found).text,
		       pyr_count(ledger->refcount_total).text);
	pyr_table_text(table, "");
	pyr_table_cell(table, "not counted: %s that are immortal or C variables",
		       pyr_counted(ledger->excluded, "object", "objects").text);
	if (ledger->negative) {
		pyr_table_text(table, "");
		pyr_table_cell(
			table, "%s fewer references than were found: find --underheld",
			pyr_counted(ledger->negative, "object counts", "objects count").text);
	}
}

static void info_json(struct pyr_context *context, const struct pyr_census *census,
		      const struct pyr_ledger *ledger)
{
	const struct pyr_python *python = context->session->python;
	const struct pyr_interpreter *interpreter;
	struct pyr_json *json = context->json;
	uint64_t gc_objects;
	size_t i;

	pyr_json_string(json, "python", python->version);
	pyr_json_uint(json, "hexversion", python->hexversion);
	pyr_json_string(json, "version_text", python->version_text);
	pyr_json_string(json, "patchlevel_source", python->patchlevel_source);
	pyr_json_string(json, "found_by", python->found_by);
	pyr_json_address(json, "runtime", python->runtime);
	build_json(json, python);
	pyr_json_uint(json, "interpreters", python->interpreters.count);
	pyr_json_uint(json, "threads", python->threads.count);
	pyr_json_uint(json, "objects", census->objects);
	pyr_json_uint(json, "gc_objects", census->gc_objects);
	pyr_json_uint(json, "bytes", census->bytes);
	if (ledger)
		explained_json(context, ledger);
	pyr_json_string(json, "generations", certainty_word(census->proven));
	pyr_json_begin_list(json, "by_interpreter");
	for (i = 0; i < python->interpreters.count; i++) {
		interpreter = &python->interpreters.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_int(json, "interpreter", interpreter->id);
		pyr_json_bool(json, "main", interpreter->main);
		pyr_json_address(json, "address", interpreter->address);
		pyr_json_uint(json, "threads", threads_of(python, i));
		if (i < census->interpreters && census->by_interpreter) {
			const uint64_t *row = &census->by_interpreter[i * PYR_GEN_COUNT];

			gc_objects = row[PYR_GEN_0] + row[PYR_GEN_1] + row[PYR_GEN_2];
			pyr_json_uint(json, "gc_objects", gc_objects);
		}
		pyr_json_bool(json, "finalizing", interpreter->finalizing);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	layout_json(json, &python->layout);
}

/* "builtin table cpython-3.11 for 61 structures, DWARF for 3" */
static void layout_sentence(const struct pyr_layout *layout, struct pyr_strbuf *text)
{
	static const char *const words[] = {
		[PYR_SOURCE_BUILTIN_NEAREST] = "the table of another version (--force)",
		[PYR_SOURCE_BUILTIN] = "built-in table",
		[PYR_SOURCE_DEBUG_OFFSETS] = "the target's own _Py_DebugOffsets",
		[PYR_SOURCE_DEBUGINFOD] = "debug info from debuginfod",
		[PYR_SOURCE_DWARF] = "the target's debug info",
	};
	size_t counts[PYR_SOURCE_DWARF + 1] = {0};
	int s, source;

	for (s = 0; s < PYR_S_COUNT; s++)
		if (layout->struct_source[s] <= PYR_SOURCE_DWARF)
			counts[layout->struct_source[s]]++;
	for (source = PYR_SOURCE_DWARF; source > PYR_SOURCE_NONE; source--) {
		if (!counts[source])
			continue;
		pyr_strbuf_printf(text, "%s%s", text->length ? ", " : "", words[source]);
		if ((source == PYR_SOURCE_BUILTIN || source == PYR_SOURCE_BUILTIN_NEAREST) &&
		    layout->table_name)
			pyr_strbuf_printf(text, " %s", layout->table_name);
		pyr_strbuf_printf(text, " for %s",
				  pyr_counted(counts[source], "structure", "structures").text);
	}
}

static void flavour(const struct pyr_python *python, struct pyr_strbuf *text)
{
	const struct pyr_layout *layout = &python->layout;

	pyr_strbuf_add(text, layout->debug ? "debug build" : "release build");
	if (layout->trace_refs)
		pyr_strbuf_add(text, " with Py_TRACE_REFS");
	if (layout->free_threaded)
		pyr_strbuf_add(text, ", free-threaded");
	pyr_strbuf_printf(text, ", %s",
			  python->malloc_name ? python->malloc_name : "allocator unknown");
}

/* sys.version breaks its line before the compiler until 3.9. */
static void one_line(const char *version, struct pyr_strbuf *text)
{
	for (; *version; version++)
		if (*version != '\n')
			pyr_strbuf_add_char(text, *version);
		else if (text->length && text->data[text->length - 1] != ' ')
			pyr_strbuf_add_char(text, ' ');
}

static void row(struct pyr_table *table, const char *label, const char *text)
{
	pyr_table_text(table, label);
	pyr_table_text(table, text);
}

static void missing_files(struct pyr_context *context)
{
	const struct pyr_target *target = context->session->target;
	struct pyr_strbuf text = {0};
	size_t i, missing = 0, first = 0;

	for (i = 0; i < target->image_count; i++) {
		if (target->images[i].file)
			continue;
		if (!missing++)
			first = i;
	}
	if (!missing)
		return;
	pyr_strbuf_printf(&text,
			  "%s of %s mapped files %s missing here (%s: %s). What only their pages "
			  "hold is inferred; --sysroot DIR or -e EXE tells where they are.",
			  pyr_count(missing).text, pyr_count(target->image_count).text,
			  missing == 1 ? "is" : "are", target->images[first].path,
			  target->images[first].why_no_file ? target->images[first].why_no_file
							    : "unknown");
	pyr_out_raw(context->out, "\n", 1);
	pyr_out_paragraph(context->out, PYR_STYLE_PLAIN, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
}

static void info_text(struct pyr_context *context, const struct pyr_census *census,
		      const struct pyr_gc_state *gc, const struct pyr_ledger *ledger)
{
	static const struct pyr_column columns[] = {
		{"", false, false, PYR_CUT_END},
		{"", false, false, PYR_CUT_END},
	};
	const struct pyr_python *python = context->session->python;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	size_t i;

	pyr_out_styled(context->out, PYR_STYLE_STRONG, "Python %s%s, %s in %s", python->version,
		       python->layout.debug ? " (debug build)" : "",
		       pyr_counted(census->objects, "object", "objects").text,
		       pyr_bytes(census->bytes).text);
	pyr_out_printf(context->out, "; the collector tracks %s of them%s.\n\n",
		       pyr_count(census->gc_objects).text,
		       !gc              ? ""
		       : gc->collecting ? " and is at work right now"
		       : gc->enabled    ? ""
					: " and is disabled");
	pyr_table_init(&table, context->out, columns, 2);
	pyr_report_target(context->session, &text);
	row(&table, "target", pyr_strbuf_str(&text));
	if (context->session->route)
		row(&table, "", context->session->route);
	if (context->session->target->exe)
		row(&table, "executable", context->session->target->exe);
	pyr_strbuf_clear(&text);
	flavour(python, &text);
	row(&table, "build", pyr_strbuf_str(&text));
	if (python->version_text) {
		pyr_strbuf_clear(&text);
		one_line(python->version_text, &text);
		row(&table, "", pyr_strbuf_str(&text));
	}
	pyr_table_text(&table, "found");
	pyr_table_cell(&table, "by %s%s%s; version from %s",
		       python->found_by ? python->found_by : "?", python->image ? " in " : "",
		       python->image ? python->image->path : "",
		       python->patchlevel_source ? python->patchlevel_source : "?");
	pyr_strbuf_clear(&text);
	layout_sentence(&python->layout, &text);
	row(&table, "layout", pyr_strbuf_str(&text));
	pyr_strbuf_clear(&text);
	pyr_strbuf_add(&text,
		       pyr_counted(python->interpreters.count, "interpreter", "interpreters").text);
	pyr_strbuf_printf(
		&text, ", %s",
		pyr_counted(python->threads.count, "Python thread", "Python threads").text);
	for (i = 0; i < python->interpreters.count && python->interpreters.count > 1; i++)
		pyr_strbuf_printf(&text, "%sinterpreter %lld: %s", i ? ", " : " (",
				  (long long)python->interpreters.data[i].id,
				  pyr_counted(threads_of(python, i), "thread", "threads").text);
	if (python->interpreters.count > 1)
		pyr_strbuf_add(&text, ")");
	row(&table, "running", pyr_strbuf_str(&text));
	pyr_strbuf_clear(&text);
	pyr_strbuf_printf(&text, "%s in generation 0, %s in 1, %s in 2",
			  pyr_count(census->by_generation[PYR_GEN_0]).text,
			  pyr_count(census->by_generation[PYR_GEN_1]).text,
			  pyr_count(census->by_generation[PYR_GEN_2]).text);
	if (census->by_generation[PYR_GEN_PERMANENT])
		pyr_strbuf_printf(&text, ", %s frozen",
				  pyr_count(census->by_generation[PYR_GEN_PERMANENT]).text);
	if (census->by_generation[PYR_GEN_COLLECTING])
		pyr_strbuf_printf(&text, ", %s being collected",
				  pyr_count(census->by_generation[PYR_GEN_COLLECTING]).text);
	pyr_strbuf_printf(&text, " (%s)", certainty_word(census->proven));
	row(&table, "tracked", pyr_strbuf_str(&text));
	if (ledger)
		explained_rows(context, &table, ledger);
	pyr_table_finish(&table);
	pyr_strbuf_deinit(&text);
	missing_files(context);
}

pyr_error *pyr_cmd_info(struct pyr_context *context)
{
	struct pyr_census_options options = {.generation = -1};
	struct pyr_gc_state *states = NULL;
	struct pyr_ledger *ledger = NULL;
	struct pyr_census census = {0};
	struct pyr_types *types;
	pyr_error *err;
	size_t count = 0;

	if ((err = pyr_session_types(context->session, &types)) ||
	    (err = pyr_census_run(types, &context->session->control, &options, &census)))
		return err;
	if (!pyr_context_option(context, PYR_OPT_info_quick)->given &&
	    (err = pyr_session_ledger(context->session, &ledger))) {
		pyr_census_deinit(&census);
		return err;
	}
	err = pyr_gc_states_read(context->session->python, &context->session->python->reader,
				 &states, &count);
	if (err) { /* the rest is worth telling without it */
		pyr_control_diagnose(&context->session->control, "the collector's state: %s",
				     err->message);
		pyr_error_destroy(err);
		states = NULL;
		count = 0;
	}
	if (!census.proven)
		pyr_context_incomplete(context, "the collector's lists do not all close: which "
						"generation an object is in is inferred");
	pyr_context_answer(context);
	if (context->json)
		info_json(context, &census, ledger);
	else
		info_text(context, &census, count ? &states[0] : NULL, ledger);
	if (states)
		pyr_gc_states_destroy(states, count);
	pyr_census_deinit(&census);
	return NULL;
}
