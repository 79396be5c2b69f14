/* cycles: what could not be seen. */
#include "views/cycles.h"

#define NAMED 5u

static const char *name_of(struct pyr_context *context, const struct pyr_guessed *guessed)
{
	struct pyr_types *types = context->session->types;

	return pyr_type_name(types, pyr_types_at(types, guessed->type));
}

void pyr_cycles_guessed(struct pyr_context *context, const struct pyr_garbage *garbage)
{
	size_t i, n = garbage->guessed.count;

	for (i = 0; i < n && i < NAMED; i++)
		pyr_out_printf(context->out, "%s%s", i ? ", " : " (",
			       name_of(context, &garbage->guessed.data[i]));
	if (n > NAMED)
		pyr_out_printf(context->out, " and %zu more", n - NAMED);
	if (n)
		pyr_out_text(context->out, ")");
}

void pyr_cycles_guessed_json(struct pyr_context *context, const struct pyr_garbage *garbage)
{
	size_t i;

	pyr_json_begin_list(context->json, "names");
	for (i = 0; i < garbage->guessed.count; i++) {
		pyr_json_begin_object(context->json, NULL);
		pyr_json_string(context->json, "type", name_of(context, &garbage->guessed.data[i]));
		pyr_json_string(context->json, "why", garbage->guessed.data[i].why);
		pyr_json_end_object(context->json);
	}
	pyr_json_end_list(context->json);
}

void pyr_cycles_incomplete(struct pyr_context *context, const struct pyr_model *model,
			   bool collecting)
{
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
