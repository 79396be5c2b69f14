/* cycles: what gc.collect() would free now. */
#include <stdlib.h>

#include "analysis/garbage.h"
#include "command/show.h"

static void ids_json(struct pyr_context *context, const char *key, const uint32_t *ids, size_t n)
{
	const struct pyr_heap *heap = context->session->heap;
	size_t i;

	pyr_json_begin_list(context->json, key);
	for (i = 0; i < n; i++)
		pyr_json_address(context->json, NULL, heap->address[ids[i]]);
	pyr_json_end_list(context->json);
}

pyr_error *pyr_cmd_cycles(struct pyr_context *context)
{
	struct pyr_garbage g;
	struct pyr_model *model;
	pyr_error *err;

	if ((err = pyr_session_model(context->session, &model)) ||
	    (err = pyr_garbage_find(model, &context->session->control, (int)pyr_context_option(context, PYR_OPT_cycles_generation)->number, 0, &g)))
		return err;
	err = pyr_garbage_weigh(&g, &context->session->control);
	if (!err) {
		pyr_context_answer(context);
		if (context->json) {
			pyr_json_uint(context->json, "unreachable", g.count);
			pyr_json_bool(context->json, "exact", g.exact);
			pyr_json_uint(context->json, "phase", g.phase);
			pyr_json_uint(context->json, "negative", g.negative);
			pyr_json_uint(context->json, "first_negative", g.first_negative);
			pyr_json_uint(context->json, "hidden", g.hidden);
			pyr_json_uint(context->json, "owned", g.owned.count);
			pyr_json_uint(context->json, "owned_bytes", g.owned_bytes);
			pyr_json_uint(context->json, "tracked_bytes", g.tracked_bytes);
			ids_json(context, "finalizers", g.finalizers.data, g.finalizers.count);
			ids_json(context, "finalizer_reachable", g.finalizer_reachable.data, g.finalizer_reachable.count);
			ids_json(context, "legacy_uncollectable", g.legacy.data, g.legacy.count);
			ids_json(context, "objects", g.objects, g.count);
		} else {
			pyr_out_printf(context->out, "%u\n", g.count);
		}
	}
	pyr_garbage_deinit(&g);
	return err;
}
