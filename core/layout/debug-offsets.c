/* _Py_DebugOffsets, the table at the start of _PyRuntime since 3.13 that CPython keeps for
 * out-of-process tools. It has only some fields; the others of a structure are taken to
 * move with their neighbours. */
#include <stdlib.h>
#include <string.h>

#include "layout/layout.h"

#define COOKIE "xdebugpy"
#define FIRST_MINOR 13
#define COLUMNS 3
/* The largest structure, _PyRuntimeState, is below 1 MiB in all versions. */
#define MAX_OFFSET (UINT64_C(16) << 20)

struct slot {
	enum { SLOT_FIELD, SLOT_STRUCT, SLOT_OF_MEMBER } kind;
	uint16_t id;           /* enum pyr_field, or enum pyr_struct */
	uint16_t outer_member; /* SLOT_OF_MEMBER: enum pyr_field to subtract */
	int16_t at[COLUMNS];
};

static const struct slot slots[] = {
#define SLOT(s, f, ...) {SLOT_FIELD, PYR_FIELD(s, f), 0, {__VA_ARGS__}},
#define SLOT_SIZE(s, ...) {SLOT_STRUCT, PYR_STRUCT(s), 0, {__VA_ARGS__}},
#define SLOT_INNER(o, m, s, f, ...)                                                                \
	{SLOT_OF_MEMBER, PYR_FIELD(s, f), PYR_FIELD(o, m), {__VA_ARGS__}},
#include "layout/debug-offsets.def"
};
#define SLOT_COUNT (sizeof(slots) / sizeof(slots[0]))

static uint64_t word(const uint8_t *bytes, size_t offset)
{
	uint64_t value;

	memcpy(&value, bytes + offset, sizeof(value));
	return value;
}

/* The column of debug-offsets.def for @hexversion, or -1. */
static int column_of(uint32_t hexversion)
{
	unsigned minor = hexversion >> 16 & 255;

	if (hexversion >> 24 != 3 || minor < FIRST_MINOR || minor >= FIRST_MINOR + COLUMNS)
		return -1;
	return (int)(minor - FIRST_MINOR);
}

static pyr_error *check_cookie(const uint8_t *bytes, size_t length, uint64_t *version)
{
	if (length < 24 || memcmp(bytes, COOKIE, 8) != 0)
		return pyr_error_create(PYR_E_CORRUPT,
					"_PyRuntime does not begin with the cookie of "
					"_Py_DebugOffsets");
	*version = word(bytes, 8);
	if (*version >> 24 != 3 || word(bytes, 16) > 1)
		return pyr_error_create(PYR_E_CORRUPT,
					"_Py_DebugOffsets holds an implausible version, 0x%llx",
					(unsigned long long)*version);
	return NULL;
}

/* The value of @slot; false when this version does not have it. */
static bool slot_value(const struct slot *slot, int column, const uint8_t *bytes, size_t length,
		       uint64_t *ret)
{
	int at = slot->at[column];

	if (at < 0 || (size_t)at + 8 > length)
		return false;
	*ret = word(bytes, at);
	return true;
}

pyr_error *pyr_layout_read_debug_offsets(const uint8_t *bytes, size_t length, struct pyr_build *ret)
{
	uint64_t version, value;
	pyr_error *err = check_cookie(bytes, length, &version);
	int column;

	if (err)
		return err;
	ret->hexversion = (uint32_t)version;
	ret->free_threaded = word(bytes, 16) != 0;
	column = column_of(ret->hexversion);
	if (column < 0)
		return NULL;
	for (size_t i = 0; i < SLOT_COUNT; i++) {
		if (slots[i].kind != SLOT_STRUCT ||
		    !slot_value(&slots[i], column, bytes, length, &value) || value > MAX_OFFSET)
			continue;
		if (slots[i].id == PYR_STRUCT(_gc_runtime_state))
			ret->gc_size = (uint32_t)value;
		else if (slots[i].id == PYR_STRUCT(PyInterpreterState))
			ret->interpreter_size = (uint32_t)value;
		else if (slots[i].id == PYR_STRUCT(PyThreadState))
			ret->thread_size = (uint32_t)value;
	}
	return NULL;
}

/* What the slots say, per field and structure; -1 and 0 where they say nothing. */
struct said {
	int32_t offset[PYR_F_COUNT];
	uint32_t size[PYR_S_COUNT];
};

static pyr_error *collect(const uint8_t *bytes, size_t length, int column, struct said *said)
{
	uint64_t value;

	for (int f = 0; f < PYR_F_COUNT; f++)
		said->offset[f] = -1;
	for (size_t i = 0; i < SLOT_COUNT; i++) {
		const struct slot *slot = &slots[i];

		if (!slot_value(slot, column, bytes, length, &value))
			continue;
		if (value > MAX_OFFSET || (slot->kind == SLOT_STRUCT && value == 0))
			return pyr_error_create(PYR_E_CORRUPT, "_Py_DebugOffsets gives %llu for %s",
						(unsigned long long)value,
						slot->kind == SLOT_STRUCT
							? pyr_layout_struct_name(slot->id)
							: pyr_layout_field_name(slot->id));
		if (slot->kind == SLOT_STRUCT) {
			said->size[slot->id] = (uint32_t)value;
		} else if (slot->kind == SLOT_FIELD) {
			said->offset[slot->id] = (int32_t)value;
		} else if (said->offset[slot->outer_member] >= 0 &&
			   value >= (uint64_t)said->offset[slot->outer_member]) {
			said->offset[slot->id] = (int32_t)value - said->offset[slot->outer_member];
		}
	}
	for (int f = 0; f < PYR_F_COUNT; f++) {
		uint32_t size = said->size[pyr_layout_field_struct(f)];

		if (said->offset[f] >= 0 && size && (uint32_t)said->offset[f] > size)
			return pyr_error_create(PYR_E_CORRUPT,
						"_Py_DebugOffsets puts %s beyond its structure",
						pyr_layout_field_name(f));
	}
	return NULL;
}

/* How far the field at @offset moved: as its neighbours that are said to be somewhere,
 * when those before and behind agree. A field behind the last of them moves with that
 * one: patch releases append members. */
static bool moved_by(const struct pyr_layout *old, const struct said *said, int first, int end,
		     int32_t offset, int32_t *ret)
{
	int before = -1, behind = -1;

	for (int f = first; f < end; f++) {
		int32_t its = old->fields[f].offset;

		if (its < 0 || said->offset[f] < 0)
			continue;
		if (its <= offset && (before < 0 || its > old->fields[before].offset))
			before = f;
		if (its > offset && (behind < 0 || its < old->fields[behind].offset))
			behind = f;
	}
	*ret = before >= 0 ? said->offset[before] - old->fields[before].offset : 0;
	return behind < 0 || said->offset[behind] - old->fields[behind].offset == *ret;
}

static void overlay_struct(struct pyr_layout *layout, const struct pyr_layout *old,
			   const struct said *said, int s, int first, int end)
{
	bool any = said->size[s] != 0;

	for (int f = first; f < end; f++) {
		struct pyr_field_place *place = &layout->fields[f];
		int32_t by;

		if (said->offset[f] >= 0) {
			any = true;
			if (place->offset < 0)
				*place = (struct pyr_field_place){said->offset[f], 8, 0, 0};
			place->offset = said->offset[f];
		} else if (place->offset >= 0) {
			if (moved_by(old, said, first, end, place->offset, &by))
				place->offset += by;
			else
				*place = (struct pyr_field_place){-1, 0, 0, 0};
		}
	}
	if (said->size[s]) {
		layout->struct_size[s] = said->size[s];
	} else {
		/* No slot gives the size: it has grown by what its fields moved. */
		for (int f = first; f < end; f++) {
			const struct pyr_field_place *place = &layout->fields[f];
			uint32_t reaches = (uint32_t)place->offset + place->size;

			if (place->offset >= 0 && reaches > layout->struct_size[s])
				layout->struct_size[s] = reaches;
		}
	}
	if (any)
		layout->struct_source[s] = PYR_SOURCE_DEBUG_OFFSETS;
}

pyr_error *pyr_layout_overlay_debug_offsets(struct pyr_layout *layout, const uint8_t *bytes,
					    size_t length)
{
	struct said *said = calloc(1, sizeof(*said));
	struct pyr_layout *old = malloc(sizeof(*old));
	uint64_t version;
	pyr_error *err = NULL;
	int column, first = 0;

	if (!said || !old) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = check_cookie(bytes, length, &version)))
		goto out;
	column = column_of((uint32_t)version);
	if (column < 0) {
		err = pyr_error_create(PYR_E_UNKNOWN_LAYOUT,
				       "the _Py_DebugOffsets of version 0x%llx are not known",
				       (unsigned long long)version);
		goto out;
	}
	if ((err = collect(bytes, length, column, said)))
		goto out;
	*old = *layout;
	for (int s = 0; s < PYR_S_COUNT; s++) {
		int end = first;

		while (end < PYR_F_COUNT && (int)pyr_layout_field_struct(end) == s)
			end++;
		/* Debug info of the very build says more, and has said it already. */
		if (layout->struct_source[s] < PYR_SOURCE_DEBUGINFOD)
			overlay_struct(layout, old, said, s, first, end);
		first = end;
	}
	if ((err = pyr_layout_validate(layout)))
		*layout = *old;
out:
	free(said);
	free(old);
	return err;
}
