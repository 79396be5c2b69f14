/* cycles: what could not be seen. */
#include "command/cycles.h"

#define NAMED 5u

struct naming {
	struct pyr_context *context;
	unsigned count;
};

static void name_text(void *ctx, const struct pyr_type *type, const char *why)
{
	struct naming *n = ctx;

	(void)why;
	if (n->count++ < NAMED)
		pyr_out_printf(n->context->out, "%s%s", n->count == 1 ? " (" : ", ",
			       pyr_type_name(n->context->session->types, type));
}

void pyr_cycles_guessed(struct pyr_context *context)
{
	struct naming n = {.context = context};

	pyr_holdings_fallbacks(context->session->model->holdings, name_text, &n);
	if (n.count > NAMED)
		pyr_out_printf(context->out, " and %u more", n.count - NAMED);
	if (n.count)
		pyr_out_text(context->out, ")");
}

static void name_json(void *ctx, const struct pyr_type *type, const char *why)
{
	struct naming *n = ctx;

	pyr_json_begin_object(n->context->json, NULL);
	pyr_json_string(n->context->json, "type", pyr_type_name(n->context->session->types, type));
	pyr_json_string(n->context->json, "why", why);
	pyr_json_end_object(n->context->json);
}

void pyr_cycles_guessed_json(struct pyr_context *context)
{
	struct naming n = {.context = context};

	pyr_json_begin_list(context->json, "names");
	pyr_holdings_fallbacks(context->session->model->holdings, name_json, &n);
	pyr_json_end_list(context->json);
}

void pyr_cycles_incomplete(struct pyr_context *context, bool collecting)
{
	const struct pyr_model *model = context->session->model;

	if (!model->heap->proven && !collecting)
		pyr_context_incomplete(context, "the collector's lists do not all close: objects "
						"that it would look at may be missing");
	if (model->damaged)
		pyr_context_incomplete(
			context,
			"%llu objects could not be read whole: what they hold counts "
			"as in use",
			(unsigned long long)model->damaged);
}
