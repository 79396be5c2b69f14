#include "roots/statics.h"

#define WRITABLE_MAX 16

static int by_start(const void *a, const void *b)
{
	const struct pyr_static_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

pyr_error *pyr_statics_init(struct pyr_target *target, struct pyr_statics *ret)
{
	struct pyr_statics s = {0};
	pyr_addr ranges[WRITABLE_MAX][2];
	size_t i, k, n;

	for (i = 0; i < target->image_count; i++) {
		n = pyr_image_writable(target, &target->images[i], ranges, WRITABLE_MAX);
		for (k = 0; k < n && k < WRITABLE_MAX; k++) {
			struct pyr_static_range r = {ranges[k][0], ranges[k][1],
						     &target->images[i]};

			if (!pyr_vec_push(&s.ranges, r)) {
				pyr_statics_deinit(&s);
				return pyr_error_no_memory();
			}
		}
	}
	if (s.ranges.count)
		qsort(s.ranges.data, s.ranges.count, sizeof(*s.ranges.data), by_start);
	*ret = s;
	return NULL;
}

void pyr_statics_deinit(struct pyr_statics *statics)
{
	pyr_vec_deinit(&statics->ranges);
}

const struct pyr_static_range *pyr_statics_at(const struct pyr_statics *statics, pyr_addr addr,
					      size_t *next)
{
	const struct pyr_static_range *r = statics->ranges.data;
	size_t i = *next;

	while (i < statics->ranges.count && r[i].end <= addr)
		i++;
	*next = i;
	return i < statics->ranges.count && r[i].start <= addr ? &r[i] : NULL;
}
