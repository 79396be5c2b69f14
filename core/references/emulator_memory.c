/* The target's memory as the emulated machine sees it. */
#include "base/search.h"
#include "references/emulator_internal.h"

#include <string.h>

/* Data that cannot be mapped as it lies, read piece by piece. */
static uint64_t on_far_read(void *uc, uint64_t offset, unsigned size, void *data)
{
	const struct far *far = data;
	const void *bytes = pyr_peek(&far->emulator->reader, far->start + offset, size);
	uint64_t value = 0;

	(void)uc;
	if (bytes && size <= sizeof(value))
		memcpy(&value, bytes, size);
	else
		pyr_emulator_abandon(far->emulator, "it reads memory that is not in the target");
	return value;
}

static bool map_far(struct pyr_emulator *e, pyr_addr start, pyr_addr end)
{
	struct far *far = &e->fars[e->far_count];

	if (start % PAGE || end % PAGE || e->far_count == MAPS_MAX)
		return false;
	far->emulator = e;
	far->start = start;
	far->end = end;
	if (e->api.uc_mmio_map(e->uc, start, end - start, on_far_read, far, NULL, NULL))
		return false;
	e->far_count++;
	return true;
}

static bool fill(struct pyr_emulator *e, pyr_addr page)
{
	uint8_t bytes[4096];
	pyr_error *err = pyr_read(&e->reader, page, bytes, sizeof(bytes));

	pyr_error_destroy(err);
	return !err && !e->api.uc_mem_write(e->uc, page, bytes, sizeof(bytes));
}

static bool map_page(struct pyr_emulator *e, pyr_addr page)
{
	return pyr_peek(&e->reader, page, 1) &&
	       !e->api.uc_mem_map(e->uc, page, PAGE, PERMS_READ | PERMS_EXEC) && fill(e, page);
}

bool pyr_emulator_map(struct pyr_emulator *e, uint64_t address)
{
	const struct pyr_segment *s = pyr_search_range(
		e->target->segments.data, e->target->segments.count, start, end, address);
	const struct pyr_mapping *m = pyr_target_mapping_at(e->target, address);
	/* Not every debugger tells which mappings are code: images have both. */
	bool data = m && !m->exec && !pyr_target_image_at(e->target, address);

	if (s && !(s->start % PAGE) && !(s->end % PAGE) && !((uintptr_t)s->bytes % PAGE) &&
	    !e->api.uc_mem_map_ptr(e->uc, s->start, s->end - s->start, PERMS_READ | PERMS_EXEC,
				   (void *)(uintptr_t)s->bytes))
		return true;
	if (data && (s ? map_far(e, s->start, s->end) : map_far(e, m->start, m->end)))
		return true;
	return map_page(e, address & ~(PAGE - 1));
}

/* Take @page out of what is mapped. libunicorn would divide what is read piece by piece
 * without telling the second part where it begins: that is mapped anew. */
static bool take_out(struct pyr_emulator *e, pyr_addr page)
{
	unsigned i;

	for (i = 0; i < e->far_count; i++) {
		struct far *far = &e->fars[i];
		pyr_addr start = far->start, end = far->end;

		if (page < start || page >= end)
			continue;
		far->start = far->end = 0;
		return !e->api.uc_mem_unmap(e->uc, start, end - start) &&
		       (start == page || map_far(e, start, page)) &&
		       (page + PAGE == end || map_far(e, page + PAGE, end));
	}
	return !e->api.uc_mem_unmap(e->uc, page, PAGE);
}

bool pyr_emulator_make_copy(struct pyr_emulator *e, pyr_addr address)
{
	pyr_addr page = address & ~(PAGE - 1);

	if (e->copy_count == COPIES_MAX || e->maps + 3 > MAPS_MAX)
		return false;
	e->maps += 3; /* the page, and what lies on both sides of it */
	if (!take_out(e, page) || e->api.uc_mem_map(e->uc, page, PAGE, PERMS_READ | PERMS_WRITE) ||
	    !fill(e, page))
		return false;
	e->copies[e->copy_count].page = page;
	e->copies[e->copy_count++].dirty = false;
	return true;
}

bool pyr_emulator_restore(struct pyr_emulator *e)
{
	unsigned i;

	for (i = 0; i < e->copy_count; i++) {
		if (e->copies[i].dirty && !fill(e, e->copies[i].page))
			return false;
		e->copies[i].dirty = false;
	}
	return true;
}

pyr_addr pyr_emulator_unused(const struct pyr_target *target, uint64_t size)
{
	pyr_addr at = UINT64_C(0x10000000);
	size_t i;
	bool moved = true;

	while (moved) {
		moved = false;
		for (i = 0; i < target->mappings.count; i++)
			if (target->mappings.data[i].start < at + size &&
			    target->mappings.data[i].end > at) {
				at = (target->mappings.data[i].end + PAGE - 1) & ~(PAGE - 1);
				moved = true;
			}
		for (i = 0; i < target->segments.count; i++)
			if (target->segments.data[i].start < at + size &&
			    target->segments.data[i].end > at) {
				at = (target->segments.data[i].end + PAGE - 1) & ~(PAGE - 1);
				moved = true;
			}
	}
	return at;
}
