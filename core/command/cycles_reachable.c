#include "command/cycles.h"

pyr_error *pyr_cycles_reachable(struct pyr_context *context, int generation)
{
	(void)context;
	(void)generation;
	return pyr_error_create(PYR_E_USAGE, "not yet");
}
