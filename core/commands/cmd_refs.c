/* refs: what an object holds, by name. */
#include <stdlib.h>
#include <string.h>

#include "views/edges.h"
#include "views/show.h"

/* In text the names of a dict's keys, an object's class and a class's bases come last. */
enum { FIRST, LAST, BUCKETS };

struct listing {
	struct pyr_context *context;
	const struct pyr_object_argument *asked;
	bool raw, failed, folded;
	uint64_t references, inferred;
	uint64_t distinct;
	uint64_t *seen; /* bits by id */
	uint64_t counts[BUCKETS];
	PYR_VEC(struct pyr_chain) rows[BUCKETS]; /* at most the limit, for text */
	uint64_t printed, folds;                 /* JSON */
};

static const struct pyr_step *last(const struct pyr_chain *chain)
{
	return &chain->steps[chain->count - 1];
}

static void note_target(struct listing *l, pyr_addr target)
{
	uint32_t id = pyr_heap_id(l->context->session->heap, target);

	if (id == PYR_NO_ID) {
		l->distinct++;
		return;
	}
	if (!(l->seen[id / 64] >> id % 64 & 1))
		l->distinct++;
	l->seen[id / 64] |= UINT64_C(1) << id % 64;
}

static bool is_minor(const struct listing *l, enum pyr_edge_kind kind)
{
	const struct pyr_type *type = l->asked->header.type;

	if (type->flags & PYR_TPFLAGS_TYPE_SUBCLASS)
		return kind != PYR_EDGE_VALUE; /* bases, __mro__ */
	return kind == PYR_EDGE_TYPE || (kind == PYR_EDGE_KEY && type->shape != PYR_SHAPE_SET &&
					 type->shape != PYR_SHAPE_FROZENSET);
}

static bool count(void *ctx, const struct pyr_chain *chain)
{
	struct listing *l = ctx;
	enum pyr_edge_kind kind = PYR_REF_KIND(last(chain)->label);
	unsigned bucket = is_minor(l, kind) ? LAST : FIRST;

	l->references++;
	l->inferred += (last(chain)->label & PYR_REF_INFERRED) != 0;
	l->folded = l->folded || chain->count > 1;
	note_target(l, last(chain)->target);
	l->counts[bucket]++;
	if (!l->context->json && l->rows[bucket].count < l->context->limit &&
	    !pyr_vec_push(&l->rows[bucket], *chain))
		l->failed = true;
	return !l->failed;
}

static void print_row(struct listing *l, struct pyr_table *table, const struct pyr_chain *chain)
{
	char *how = pyr_chain_text(l->context, chain), *repr;
	const struct pyr_step *step = last(chain);

	if (!l->raw) {
		pyr_edge_row(l->context, table, step->target, how);
		free(how);
		return;
	}
	repr = pyr_context_repr(l->context, step->target, PYR_REPR_IN_TABLE);
	pyr_table_text(table, pyr_address(step->target).text);
	pyr_table_text(table, pyr_short_type(pyr_context_type_name(l->context, step->target)));
	pyr_table_text(table, how ? how : "");
	pyr_table_text(table, step->label & PYR_REF_INFERRED    ? "inferred"
			      : step->label & PYR_REF_TRAVERSED ? "yes"
								: "no");
	pyr_table_text(table, repr ? repr : "");
	pyr_session_result(l->context->session, step->target);
	free(repr);
	free(how);
}

static void refs_text(struct listing *l)
{
	static const struct pyr_column raw_columns[] = {
		{"ADDRESS", false, false, PYR_CUT_END}, {"TYPE", false, true, PYR_CUT_START},
		{"HOW", false, true, PYR_CUT_END},      {"TRAVERSED", false, false, PYR_CUT_END},
		{"VALUE", false, true, PYR_CUT_END},
	};
	struct pyr_out *out = l->context->out;
	struct pyr_strbuf name = {0};
	struct pyr_table table;
	uint64_t shown = 0;
	unsigned bucket;
	size_t i;

	pyr_object_words(l->context, l->asked, &name);
	if (!l->references) {
		pyr_out_styled(out, PYR_STYLE_STRONG, "%s holds nothing.\n", pyr_strbuf_str(&name));
		pyr_object_argument_print(l->context, l->asked);
		pyr_strbuf_deinit(&name);
		return;
	}
	pyr_out_styled(out, PYR_STYLE_STRONG, "%s holds %s", pyr_strbuf_str(&name),
		       pyr_counted(l->references, "reference", "references").text);
	pyr_out_styled(out, PYR_STYLE_STRONG, " to %s.\n",
		       pyr_counted(l->distinct, "object", "objects").text);
	pyr_strbuf_deinit(&name);
	pyr_object_argument_print(l->context, l->asked);
	pyr_out_text(out, "\n");
	if (l->raw)
		pyr_table_init(&table, out, raw_columns, 5);
	else
		pyr_table_init(&table, out, pyr_edge_columns, 4);
	for (bucket = 0; bucket < BUCKETS; bucket++)
		for (i = 0; i < l->rows[bucket].count && shown < l->context->limit; i++, shown++)
			print_row(l, &table, &l->rows[bucket].data[i]);
	pyr_table_finish(&table);
	pyr_context_more(l->context, shown, l->references, "reference", "references");
	if (l->inferred)
		pyr_out_styled(out, PYR_STYLE_WARNING,
			       "  %s inferred: the code of its type cannot be had, so words that "
			       "are objects are taken for references\n",
			       pyr_counted(l->inferred, "reference is", "references are").text);
	if (l->folded)
		pyr_out_styled(out, PYR_STYLE_FAINT,
			       "  What belongs together is shown as one (an instance and its "
			       "__dict__): --raw shows each step.\n");
}

static bool row_json(void *ctx, const struct pyr_chain *chain)
{
	struct listing *l = ctx;
	struct pyr_context *context = l->context;
	const struct pyr_step *step = last(chain);

	if (l->printed == context->limit)
		return false;
	l->printed++;
	pyr_json_begin_object(context->json, NULL);
	pyr_json_address(context->json, "address", step->target);
	pyr_json_string(context->json, "type", pyr_context_type_name(context, step->target));
	pyr_edge_json(context, step, 1);
	pyr_json_end_object(context->json);
	pyr_session_result(context->session, step->target);
	return true;
}

/* What a person sees in the place of the plain references. */
static bool folded_json(void *ctx, const struct pyr_chain *chain)
{
	struct listing *l = ctx;
	struct pyr_json *json = l->context->json;
	char *text;
	size_t i;

	if (chain->count < 2)
		return true;
	if (l->folds++ == l->context->limit)
		return false;
	text = pyr_chain_text(l->context, chain);
	pyr_json_begin_object(json, NULL);
	pyr_json_address(json, "address", last(chain)->target);
	pyr_json_string(json, "type", pyr_context_type_name(l->context, last(chain)->target));
	pyr_json_string(json, "edge", text);
	pyr_json_begin_list(json, "through");
	for (i = 0; i + 1 < chain->count; i++)
		pyr_json_address(json, NULL, chain->steps[i].target);
	pyr_json_end_list(json);
	pyr_json_end_object(json);
	free(text);
	return true;
}

static pyr_error *refs_json(struct listing *l, struct pyr_traverse *traverse)
{
	struct pyr_session *session = l->context->session;
	struct pyr_json *json = l->context->json;
	pyr_error *err;

	pyr_object_argument_json(l->context, l->asked);
	pyr_json_begin_list(json, "references");
	err = pyr_held_each(traverse, session->heap, &session->control, l->asked->header.type,
			    l->asked->address, true, row_json, l);
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", l->references - l->printed);
	pyr_json_uint(json, "objects", l->distinct);
	if (l->raw || err)
		return err;
	pyr_json_begin_list(json, "folded");
	err = pyr_held_each(traverse, session->heap, &session->control, l->asked->header.type,
			    l->asked->address, false, folded_json, l);
	pyr_json_end_list(json);
	return err;
}

pyr_error *pyr_cmd_refs(struct pyr_context *context)
{
	struct listing l = {
		.context = context,
		.raw = pyr_context_option(context, PYR_OPT_refs_raw)->given,
	};
	struct pyr_session *session = context->session;
	struct pyr_traverse *traverse;
	struct pyr_object_argument asked;
	pyr_error *err;

	if ((err = pyr_context_resolve(context, context->args->arguments[0].number, &asked)) ||
	    (err = pyr_session_traverse(session, &traverse)))
		return err;
	l.asked = &asked;
	l.seen = calloc((size_t)session->heap->count / 64 + 1, sizeof(*l.seen));
	if (!l.seen)
		return pyr_error_no_memory();
	err = pyr_held_each(traverse, session->heap, &session->control, asked.header.type,
			    asked.address, l.raw || context->json != NULL, count, &l);
	if (!err && l.failed)
		err = pyr_error_no_memory();
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			err = refs_json(&l, traverse);
		else
			refs_text(&l);
	}
	pyr_vec_deinit(&l.rows[FIRST]);
	pyr_vec_deinit(&l.rows[LAST]);
	free(l.seen);
	return err;
}
