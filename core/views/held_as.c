#include "views/held_as.h"

#include <string.h>

#include "views/path_search.h"

pyr_error *pyr_holder_find(struct pyr_context *context, struct pyr_retention_cache *retention,
			   uint32_t id, char **ret)
{
	const struct pyr_root *root = NULL;
	struct pyr_path_search finder;
	struct pyr_path path = {0};
	struct pyr_printable_path route;
	pyr_error *err;

	*ret = NULL;
	pyr_path_search_init(&finder, context, retention, id, NULL);
	err = pyr_path_search_next(&finder, PYR_PHASE_POSSIBLE, &path, &root);
	pyr_path_search_deinit(&finder);
	if (err || !path.count) {
		pyr_path_deinit(&path);
		return err;
	}
	if ((err = pyr_printable_path_make(context, retention, root, &path, false, &route)))
		return err;
	*ret = strdup(route.expression ? route.expression : "");
	pyr_printable_path_deinit(&route);
	return *ret ? NULL : pyr_error_no_memory();
}
