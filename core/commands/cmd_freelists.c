/* freelists: objects that CPython keeps for reuse. */
#include <stdlib.h>
#include <string.h>

#include "command/context.h"
#include "roots/zombie_frames.h"

/* All lists of one type, in one interpreter or in the process. */
struct freelist_row {
	const char *type, *source;
	uint64_t objects, bytes, maximum, estimated;
	bool agrees, off;
	PYR_VEC(const struct pyr_freelist *) lengths; /* of tuples */
};

struct rows {
	PYR_VEC(struct freelist_row) v;
	uint64_t objects, bytes;
};

static bool is_of(const struct pyr_freelist *list, size_t interpreter)
{
	return interpreter == PYR_FREELIST_OF_PROCESS || list->interpreter == interpreter;
}

static int by_bytes(const void *a, const void *b)
{
	const struct freelist_row *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return strcmp(x->type, y->type);
}

/* PYR_FREELIST_OF_PROCESS: of all interpreters together. */
static bool collect(const struct pyr_freelists *f, size_t interpreter, bool shared,
		    struct rows *ret)
{
	const struct pyr_freelist *list;
	struct freelist_row *row;
	size_t i, k;

	memset(ret, 0, sizeof(*ret));
	for (i = 0; i < f->lists.count; i++) {
		list = &f->lists.data[i];
		if (!is_of(list, interpreter) &&
		    !(shared && list->interpreter == PYR_FREELIST_OF_PROCESS))
			continue;
		for (k = 0; k < ret->v.count && strcmp(ret->v.data[k].type, list->type); k++)
			;
		if (k == ret->v.count &&
		    !pyr_vec_push(&ret->v, (struct freelist_row){.type = list->type,
								 .source = list->source,
								 .agrees = true}))
			return false;
		row = &ret->v.data[k];
		row->objects += list->objects;
		row->bytes += list->bytes;
		row->maximum += list->maximum;
		row->estimated += list->estimated;
		row->agrees &= list->agrees;
		row->off |= list->recorded < 0;
		if (list->length && !pyr_vec_push(&row->lengths, list))
			return false;
		ret->objects += list->objects;
		ret->bytes += list->bytes;
	}
	if (ret->v.count)
		qsort(ret->v.data, ret->v.count, sizeof(struct freelist_row), by_bytes);
	return true;
}

static void rows_deinit(struct rows *rows)
{
	size_t i;

	for (i = 0; i < rows->v.count; i++)
		pyr_vec_deinit(&rows->v.data[i].lengths);
	pyr_vec_deinit(&rows->v);
}

static void rows_json(struct pyr_context *context, const struct rows *rows)
{
	struct pyr_json *json = context->json;
	const struct freelist_row *row;
	size_t i, k;

	pyr_json_uint(json, "objects", rows->objects);
	pyr_json_uint(json, "bytes", rows->bytes);
	pyr_json_begin_list(json, "types");
	for (i = 0; i < rows->v.count && i < context->limit; i++) {
		row = &rows->v.data[i];
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "type", row->type);
		pyr_json_uint(json, "objects", row->objects);
		pyr_json_uint(json, "bytes", row->bytes);
		pyr_json_uint(json, "maximum", row->maximum);
		pyr_json_string(json, "source", row->source);
		pyr_json_bool(json, "agrees", row->agrees);
		if (row->estimated)
			pyr_json_uint(json, "estimated", row->estimated);
		if (row->off)
			pyr_json_bool(json, "off", true);
		if (row->lengths.count) {
			pyr_json_begin_list(json, "lengths");
			for (k = 0; k < row->lengths.count; k++) {
				pyr_json_begin_object(json, NULL);
				pyr_json_uint(json, "length", row->lengths.data[k]->length);
				pyr_json_uint(json, "objects", row->lengths.data[k]->objects);
				pyr_json_uint(json, "bytes", row->lengths.data[k]->bytes);
				pyr_json_end_object(json);
			}
			pyr_json_end_list(json);
		}
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", rows->v.count - i);
}

static pyr_error *freelists_json(struct pyr_context *context, const struct pyr_freelists *f)
{
	const struct pyr_python *python = context->session->python;
	struct pyr_json *json = context->json;
	struct rows rows;
	bool ok;
	size_t i;

	ok = collect(f, 0, true, &rows);
	if (ok)
		rows_json(context, &rows);
	rows_deinit(&rows);
	pyr_json_bool(json, "unknown", f->statics_unknown);
	pyr_json_begin_list(json, "by_interpreter");
	for (i = 0; ok && i < python->interpreters.count; i++) {
		ok = collect(f, i, i == 0, &rows);
		pyr_json_begin_object(json, NULL);
		pyr_json_int(json, "interpreter", python->interpreters.data[i].id);
		rows_json(context, &rows);
		pyr_json_end_object(json);
		rows_deinit(&rows);
	}
	pyr_json_end_list(json);
	return ok ? NULL : pyr_error_no_memory();
}

static void print_table(struct pyr_context *context, const struct rows *rows)
{
	static const struct pyr_column columns[] = {
		{"TYPE", false, true, PYR_CUT_START}, {"OBJECTS", true, false, PYR_CUT_END},
		{"BYTES", true, false, PYR_CUT_END},  {"AT MOST", true, false, PYR_CUT_END},
		{"", false, true, PYR_CUT_END},
	};
	const struct pyr_freelist *list;
	struct pyr_strbuf text = {0};
	struct pyr_table table;
	const struct freelist_row *row;
	size_t i, k, shown = 0, empty = 0;

	for (i = 0; i < rows->v.count; i++)
		empty += !rows->v.data[i].objects && rows->v.data[i].agrees && !rows->v.data[i].off;
	pyr_table_init(&table, context->out, columns, sizeof(columns) / sizeof(columns[0]));
	for (i = 0; i < rows->v.count && shown < context->limit; i++) {
		row = &rows->v.data[i];
		if (!row->objects && row->agrees && !row->off)
			continue;
		shown++;
		pyr_strbuf_clear(&text);
		for (k = 0; k < row->lengths.count; k++) {
			list = row->lengths.data[k];
			if (list->objects)
				pyr_strbuf_printf(&text, "%s%u: %llu",
						  text.length ? ", " : "by length ", list->length,
						  (unsigned long long)list->objects);
		}
		if (!row->agrees)
			pyr_strbuf_printf(&text, "%sCPython's own count differs",
					  text.length ? "; " : "");
		if (row->off)
			pyr_strbuf_printf(&text, "%sswitched off", text.length ? "; " : "");
		pyr_table_text(&table, pyr_short_type(row->type));
		pyr_table_text(&table, pyr_count(row->objects).text);
		pyr_table_cell(&table, "%s%s", row->estimated ? "~" : "",
			       pyr_bytes(row->bytes).text);
		pyr_table_text(&table, pyr_count(row->maximum).text);
		pyr_table_text(&table, pyr_strbuf_str(&text));
	}
	pyr_table_finish(&table);
	pyr_context_more(context, shown, rows->v.count - empty, "free list", "free lists");
	if (empty)
		pyr_out_printf(context->out, "  and %s\n",
			       pyr_counted(empty, "empty list", "empty lists").text);
	pyr_strbuf_deinit(&text);
}

static pyr_error *freelists_text(struct pyr_context *context, const struct pyr_freelists *f)
{
	const struct pyr_python *python = context->session->python;
	struct rows rows;
	size_t i;
	bool ok;

	ok = collect(f, PYR_FREELIST_OF_PROCESS, false, &rows);
	if (ok && f->statics_unknown)
		pyr_out_styled(context->out, PYR_STYLE_STRONG,
			       "What the free lists hold is unknown: this version keeps them in "
			       "static variables, which only symbols name, and there are none.\n");
	else if (ok)
		pyr_out_styled(
			context->out, PYR_STYLE_STRONG,
			"%s, %s, %s kept for reuse; a full collection (gc.collect()) frees most "
			"of them.\n",
			pyr_counted(rows.objects, "freed object", "freed objects").text,
			pyr_bytes(rows.bytes).text, rows.objects == 1 ? "is" : "are");
	if (ok && rows.v.count && python->interpreters.count == 1) {
		pyr_out_raw(context->out, "\n", 1);
		print_table(context, &rows);
	}
	rows_deinit(&rows);
	for (i = 0; ok && python->interpreters.count > 1 && i < python->interpreters.count; i++) {
		ok = collect(f, i, i == 0, &rows);
		if (ok && rows.v.count) {
			pyr_out_printf(context->out, "\nInterpreter %lld: %s, %s\n",
				       (long long)python->interpreters.data[i].id,
				       pyr_counted(rows.objects, "object", "objects").text,
				       pyr_bytes(rows.bytes).text);
			print_table(context, &rows);
		}
		rows_deinit(&rows);
	}
	return ok ? NULL : pyr_error_no_memory();
}

static void tell_what_lacks(struct pyr_context *context, const struct pyr_freelists *f)
{
	size_t i;

	if (f->statics_unknown)
		pyr_context_incomplete(context, "the free lists are static variables of an "
						"interpreter without symbols: unknown");
	else if (f->deques_unknown)
		pyr_context_incomplete(context,
				       "the blocks that deques keep for reuse (16 at most) "
				       "are in a static variable without a symbol: unknown");
	if (f->asyncio_unknown)
		pyr_context_incomplete(context,
				       "the FutureIter objects that asyncio keeps for reuse "
				       "(255 at most) are in its module's own memory: unknown");
	for (i = 0; i < f->lists.count; i++)
		if (!f->lists.data[i].agrees)
			pyr_context_incomplete(context,
					       "a free list (%s) holds %llu objects where CPython "
					       "counts %lld",
					       f->lists.data[i].type,
					       (unsigned long long)f->lists.data[i].objects,
					       (long long)f->lists.data[i].recorded);
}

pyr_error *pyr_cmd_freelists(struct pyr_context *context)
{
	struct pyr_freelists freelists;
	struct pyr_obmalloc obmalloc;
	struct pyr_types *types;
	struct pyr_heap *heap;
	pyr_error *err;

	if ((err = pyr_session_types(context->session, &types)) ||
	    (err = pyr_obmalloc_open(context->session->python, &obmalloc)))
		return err;
	err = pyr_freelists_read(types, &obmalloc, &freelists);
	if (!err && pyr_zombie_frames_exist(context->session->python) &&
	    ((err = pyr_session_heap(context->session, &heap)) ||
	     (err = pyr_zombie_frames_add(heap, &freelists))))
		pyr_freelists_deinit(&freelists);
	if (!err) {
		tell_what_lacks(context, &freelists);
		pyr_context_answer(context);
		err = context->json ? freelists_json(context, &freelists)
				    : freelists_text(context, &freelists);
		pyr_freelists_deinit(&freelists);
	}
	pyr_obmalloc_deinit(&obmalloc);
	return err;
}
