/* referrers: who holds an object, by name, against its reference count. */
#include <stdlib.h>
#include <string.h>

#include "views/edges.h"
#include "views/show.h"
#include "values/weakrefs.h"

/* More holders than this are listed in the heap's order, not the most telling first. */
#define SORTED_MAX 2000u

struct referrer_row {
	struct pyr_holder holder;
	unsigned rank;
};

struct listing {
	struct pyr_context *context;
	const struct pyr_object_argument *asked;
	struct pyr_object_ledger ledger;
	bool raw, failed;
	uint64_t holders, printed;
	PYR_VEC(struct referrer_row) rows;
	PYR_VEC(pyr_addr) weak;
	uint64_t weak_count;
};

static bool add_weak(void *ctx, pyr_addr weakref)
{
	struct listing *l = ctx;

	l->weak_count++;
	if (l->weak.count < l->context->limit && !pyr_vec_push(&l->weak, weakref))
		l->failed = true;
	return !l->failed;
}

static bool add_holder(void *ctx, const struct pyr_holder *holder)
{
	struct listing *l = ctx;
	uint64_t limit = l->context->limit > SORTED_MAX ? l->context->limit : SORTED_MAX;
	struct referrer_row row = {*holder, pyr_label_rank(holder->step.label)};

	l->holders++;
	if (l->rows.count < limit && !pyr_vec_push(&l->rows, row))
		l->failed = true;
	return !l->failed;
}

static int by_rank(const void *x, const void *y)
{
	const struct referrer_row *a = x, *b = y;

	if (a->rank != b->rank)
		return a->rank < b->rank ? -1 : 1;
	return a->holder.id < b->holder.id ? -1 : a->holder.id > b->holder.id;
}

/* --- text --- */

/* What is known by a name of its own: the cell that a running function's variable lives
 * in, sys.modules, ... says more than the object does. */
static const struct pyr_root *name_of(struct listing *l, const struct pyr_step *step)
{
	const struct pyr_roots *roots = l->ledger.roots;
	uint32_t id = pyr_heap_id(l->context->session->heap, step->owner);
	const struct pyr_root *root;
	size_t i, end;

	if (id == PYR_NO_ID)
		return NULL;
	for (pyr_roots_of(roots, id, &i, &end); i < end; i++) {
		root = &roots->roots.data[i];
		if ((root->kind == PYR_ROOT_FRAME_LOCAL && step->type->shape == PYR_SHAPE_CELL) ||
		    root->kind == PYR_ROOT_MODULE ||
		    (root->owned &&
		     (root->kind == PYR_ROOT_INTERPRETER || root->kind == PYR_ROOT_THREAD)))
			return root;
	}
	return NULL;
}

static void add_how(struct listing *l, const struct pyr_step *step, const struct pyr_chain *chain,
		    struct pyr_strbuf *how)
{
	const struct pyr_root *root = NULL;
	char *text;

	if (!l->raw && chain->count == 1)
		root = name_of(l, step);
	if (!root || root->kind != PYR_ROOT_FRAME_LOCAL) {
		text = pyr_chain_text(l->context, chain);
		pyr_strbuf_add(how, text ? text : "");
		free(text);
	}
	if (root) {
		pyr_strbuf_add(how, root->kind == PYR_ROOT_FRAME_LOCAL ? "" : " of ");
		pyr_root_name(l->ledger.roots, root, how);
	}
}

static void print_holder(struct listing *l, struct pyr_table *table,
			 const struct pyr_holder *holder)
{
	struct pyr_chain chain = {.steps = {holder->step}, .count = 1};
	struct pyr_strbuf how = {0};

	if (!l->raw)
		pyr_holder_chain(l->ledger.model, &holder->step, &chain);
	add_how(l, &holder->step, &chain, &how);
	if (holder->count > 1)
		pyr_strbuf_printf(&how, " and %s more", pyr_count(holder->count - 1).text);
	if (holder->step.label & PYR_REF_INFERRED)
		pyr_strbuf_add(&how, " (inferred)");
	else if (!(holder->step.label & PYR_REF_OWNED))
		pyr_strbuf_add(&how, " (not counted)");
	pyr_edge_row(l->context, table, chain.steps[0].owner, pyr_strbuf_str(&how));
	pyr_strbuf_deinit(&how);
}

static void print_sentence(struct listing *l)
{
	const struct pyr_object_ledger *o = &l->ledger;
	struct pyr_out *out = l->context->out;
	struct pyr_strbuf text = {0}, found = {0};
	uint64_t n = (uint64_t)l->asked->header.refcount;

	pyr_object_words(l->context, l->asked, &text);
	pyr_object_ledger_words(o, &found);
	if (!o->counted && !l->asked->header.immortal && !found.length)
		pyr_strbuf_add(&text, " is held by nothing: perhaps memory that only looks like "
				      "an object, or a C variable.");
	else if (l->asked->header.immortal || !o->counted)
		pyr_strbuf_printf(&text,
				  "%s: never freed, and its references are not counted. Found: %s.",
				  l->asked->header.immortal ? " is immortal" : " is a C variable",
				  found.length ? pyr_strbuf_str(&found) : "nothing");
	else if (!n && !found.length)
		pyr_strbuf_add(&text, " is held by nothing.");
	else
		pyr_strbuf_printf(&text, " is held by %s: %s.",
				  pyr_counted(n, "reference", "references").text,
				  pyr_strbuf_str(&found));
	pyr_out_style(out, PYR_STYLE_STRONG);
	pyr_out_text(out, pyr_strbuf_str(&text));
	pyr_out_style(out, PYR_STYLE_PLAIN);
	pyr_out_text(out, "\n");
	pyr_strbuf_deinit(&text);
	pyr_strbuf_deinit(&found);
}

static void print_weak(struct listing *l)
{
	struct pyr_out *out = l->context->out;
	size_t i;
	char *repr;

	if (!l->weak_count)
		return;
	pyr_out_printf(out, "\nweakly referenced by %s, which does not hold it\n",
		       pyr_count(l->weak_count).text);
	for (i = 0; i < l->weak.count; i++) {
		repr = pyr_context_repr(l->context, l->weak.data[i], PYR_REPR_IN_TABLE);
		pyr_out_printf(out, "  %s  %s\n", pyr_address(l->weak.data[i]).text,
			       repr ? repr : "");
		pyr_session_result(l->context->session, l->weak.data[i]);
		free(repr);
	}
	pyr_context_more(l->context, l->weak.count, l->weak_count, "", "");
}

static void referrers_text(struct listing *l)
{
	struct pyr_table table;
	size_t i, shown = l->rows.count;

	print_sentence(l);
	pyr_object_argument_print(l->context, l->asked);
	if (l->holders && l->holders <= SORTED_MAX)
		qsort(l->rows.data, l->rows.count, sizeof(*l->rows.data), by_rank);
	if (shown > l->context->limit)
		shown = (size_t)l->context->limit;
	if (shown) {
		pyr_out_text(l->context->out, "\n");
		pyr_table_init(&table, l->context->out, pyr_edge_columns, 4);
		for (i = 0; i < shown; i++)
			print_holder(l, &table, &l->rows.data[i].holder);
		pyr_table_finish(&table);
		pyr_context_more(l->context, shown, l->holders, "holder", "holders");
	}
	pyr_roots_print(l->context, l->asked, &l->ledger);
	pyr_possible_print(l->context, l->asked, &l->ledger);
	print_weak(l);
}

/* --- JSON --- */

static void holder_json(struct listing *l, const struct pyr_holder *holder)
{
	struct pyr_heap *heap = l->context->session->heap;
	struct pyr_json *json = l->context->json;
	struct pyr_chain chain = {.count = 1};
	char *text;

	pyr_json_begin_object(json, NULL);
	pyr_json_address(json, "address", holder->step.owner);
	pyr_json_string(json, "type", pyr_type_name(heap->types, holder->step.type));
	pyr_edge_json(l->context, &holder->step, holder->count);
	if (heap->generation[holder->id] <= PYR_GEN_2)
		pyr_json_uint(json, "generation", heap->generation[holder->id]);
	else
		pyr_json_null(json, "generation");
	if (!l->raw)
		pyr_holder_chain(l->ledger.model, &holder->step, &chain);
	if (chain.count > 1) {
		text = pyr_chain_text(l->context, &chain);
		pyr_json_begin_object(json, "folded");
		pyr_json_address(json, "address", chain.steps[0].owner);
		pyr_json_string(json, "type", pyr_type_name(heap->types, chain.steps[0].type));
		pyr_json_string(json, "edge", text);
		pyr_json_end_object(json);
		free(text);
	}
	pyr_json_end_object(json);
	pyr_session_result(l->context->session, holder->step.owner);
}

static bool each_json(void *ctx, const struct pyr_holder *holder)
{
	struct listing *l = ctx;

	l->holders++;
	if (l->printed < l->context->limit) {
		l->printed++;
		holder_json(l, holder);
	}
	return true;
}

static void roots_json(struct listing *l)
{
	const struct pyr_roots *roots = l->ledger.roots;
	struct pyr_json *json = l->context->json;
	struct pyr_strbuf name = {0};
	const struct pyr_root *root;
	uint64_t omitted = 0;
	size_t i, begin, end;

	pyr_json_begin_list(json, "roots");
	pyr_roots_of(roots, l->asked->where.id, &begin, &end);
	for (i = begin; i < end; i++) {
		if (i - begin >= l->context->limit) {
			omitted++;
			continue;
		}
		root = &roots->roots.data[i];
		pyr_strbuf_clear(&name);
		pyr_root_name(roots, root, &name);
		pyr_json_begin_object(json, NULL);
		pyr_json_string(json, "kind", pyr_root_kind_name((enum pyr_root_kind)root->kind));
		pyr_json_string(json, "name", pyr_strbuf_str(&name));
		pyr_json_string(json, "edge", pyr_strbuf_str(&name));
		pyr_json_bool(json, "traversed", false);
		pyr_json_string(json, "certainty", root->possible ? "possible" : "exact");
		pyr_json_uint(json, "count", 1);
		pyr_json_bool(json, "owned", root->owned);
		pyr_json_address(json, "slot", root->slot);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "roots_omitted", omitted);
	pyr_strbuf_deinit(&name);
}

static pyr_error *referrers_json(struct listing *l)
{
	struct pyr_json *json = l->context->json;
	pyr_error *err;
	size_t i;

	pyr_object_argument_json(l->context, l->asked);
	pyr_json_int(json, "refcount", l->asked->header.refcount);
	pyr_json_bool(json, "immortal", l->asked->header.immortal);
	pyr_json_begin_list(json, "referrers");
	err = pyr_holders_each(l->ledger.model, &l->context->session->control, l->asked->where.id,
			       each_json, l);
	pyr_json_end_list(json);
	pyr_json_uint(json, "omitted", l->holders - l->printed);
	roots_json(l);
	pyr_object_ledger_json(l->context, l->asked, &l->ledger);
	pyr_json_begin_list(json, "weak_references");
	for (i = 0; i < l->weak.count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", l->weak.data[i]);
		pyr_json_string(json, "type", pyr_context_type_name(l->context, l->weak.data[i]));
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	pyr_json_uint(json, "weak_omitted", l->weak_count - l->weak.count);
	return err;
}

pyr_error *pyr_cmd_referrers(struct pyr_context *context)
{
	struct listing l = {
		.context = context,
		.raw = pyr_context_option(context, PYR_OPT_referrers_raw)->given,
	};
	struct pyr_session *session = context->session;
	struct pyr_object_argument asked;
	pyr_error *err;

	if ((err = pyr_context_resolve_listed(context, context->args->arguments[0].number,
					      &asked)) ||
	    (err = pyr_object_ledger(context, &asked, &l.ledger)))
		return err;
	l.asked = &asked;
	if (!pyr_weakrefs_each(session->types, &session->python->reader, asked.header.type,
			       asked.address, add_weak, &l))
		pyr_control_diagnose(&session->control,
				     "the list of weak references to %s contradicts itself",
				     pyr_address(asked.address).text);
	if (!context->json)
		err = pyr_holders_each(l.ledger.model, &session->control, asked.where.id,
				       add_holder, &l);
	if (!err && l.failed)
		err = pyr_error_no_memory();
	if (!err) {
		pyr_context_answer(context);
		if (context->json)
			err = referrers_json(&l);
		else
			referrers_text(&l);
	}
	pyr_vec_deinit(&l.rows);
	pyr_vec_deinit(&l.weak);
	return err;
}
