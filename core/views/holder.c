#include "views/holder.h"

#include <string.h>

#include "views/route_find.h"

pyr_error *pyr_holder_find(struct pyr_context *context, struct pyr_retention *retention,
			   uint32_t id, char **ret)
{
	const struct pyr_root *root = NULL;
	struct pyr_route_finder finder;
	struct pyr_path path = {0};
	struct pyr_route route;
	pyr_error *err;

	*ret = NULL;
	pyr_route_finder_init(&finder, context, retention, id, NULL);
	err = pyr_route_find(&finder, PYR_PHASE_POSSIBLE, &path, &root);
	pyr_route_finder_deinit(&finder);
	if (err || !path.count) {
		pyr_path_deinit(&path);
		return err;
	}
	if ((err = pyr_route_make(context, retention, root, &path, false, &route)))
		return err;
	*ret = strdup(route.expression ? route.expression : "");
	pyr_route_deinit(&route);
	return *ret ? NULL : pyr_error_no_memory();
}
