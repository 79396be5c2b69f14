#include "mock_target.h"

#include <stdlib.h>
#include <string.h>

static pyr_error *mock_read(struct pyr_target *target, pyr_addr addr, void *buf, size_t len)
{
	struct mock_target *mock = target->state;
	size_t i;

	mock->reads++;
	if (mock->fail_at && mock->reads >= mock->fail_at)
		return pyr_error_create(mock->fail_with, "told to fail");
	for (i = 0; i < mock->regions.count; i++) {
		const struct mock_region *r = &mock->regions.data[i];

		if (addr >= r->start && addr - r->start < r->size &&
		    len <= r->size - (addr - r->start)) {
			memcpy(buf, (const uint8_t *)r->bytes + (addr - r->start), len);
			return NULL;
		}
	}
	return pyr_error_create_at(PYR_E_UNREADABLE, addr, "not in the mock");
}

static const struct pyr_target_ops segment_ops = {.read = NULL};
static const struct pyr_target_ops callback_ops = {.read = mock_read};

void mock_target_init(struct mock_target *mock, bool callback)
{
	memset(mock, 0, sizeof(*mock));
	pyr_control_init(&mock->control);
	if (pyr_target_create(&mock->control, PYR_TARGET_MOCK,
			      callback ? &callback_ops : &segment_ops, mock, &mock->target))
		abort();
}

void mock_target_deinit(struct mock_target *mock)
{
	pyr_target_destroy(mock->target);
	pyr_vec_deinit(&mock->regions);
	pyr_control_deinit(&mock->control);
}

void mock_target_add(struct mock_target *mock, pyr_addr start, const void *bytes, size_t size)
{
	struct mock_region region = {.start = start, .bytes = bytes, .size = size};

	if (!pyr_target_concurrent(mock->target)) {
		if (!pyr_vec_push(&mock->regions, region))
			abort();
	} else if (pyr_target_add_segment(mock->target, start, start + size, bytes, 0)) {
		abort();
	}
}

void mock_target_finish(struct mock_target *mock)
{
	if (pyr_target_finish(mock->target))
		abort();
}
