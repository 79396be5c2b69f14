/* Which entries of debug info are the structures of fields.def, and where their
 * fields are. Only the top level of every unit is looked at: CPython declares no
 * structure that matters inside a function or another structure. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout/debug-file.h"
#include "layout/dwarf-type.h"
#include "layout/dwarf.h"

static const struct {
	const char *names;
	unsigned first_field, field_count;
} structs[] = {
#define STRUCT(id, names) {names, 0, 0},
#define FIELD(id, field, paths)
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
};

static const struct {
	enum pyr_struct owner;
	const char *paths;
} fields[] = {
#define STRUCT(id, names)
#define FIELD(id, field, paths) {PYR_S_##id, paths},
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
};

void pyr_dwarf_places_init(struct pyr_dwarf_places *places)
{
	memset(places, 0, sizeof(*places));
	for (int i = 0; i < PYR_F_COUNT; i++)
		places->fields[i].offset = -1;
}

static pyr_error *open_debug(int fd, const char *path, Dwarf_Debug *ret)
{
	Dwarf_Error error = NULL;
	int result = pyr_dw_init(fd, ret, &error);

	if (result == DW_DLV_OK)
		return NULL;
	if (result == DW_DLV_NO_ENTRY)
		return pyr_error_create(PYR_E_BAD_FILE, "%s has no debug info", path);
	return pyr_error_create(PYR_E_BAD_FILE, "%s: %s", path,
				error ? pyr_dw.errmsg(error) : "unreadable debug info");
}

pyr_error *pyr_dwarf_open(const struct pyr_dwarf_file *file, struct pyr_dwarf **ret)
{
	struct pyr_dwarf *dwarf;
	char *alt_path = NULL;
	pyr_error *err = NULL;

	if ((err = pyr_libdwarf_load()))
		return err;
	if (!(dwarf = calloc(1, sizeof(*dwarf))))
		return pyr_error_no_memory();
	dwarf->alt_fd = -1;
	dwarf->fd = open(file->path, O_RDONLY | O_CLOEXEC);
	if (dwarf->fd < 0) {
		err = pyr_error_create(PYR_E_BAD_FILE, "cannot open %s", file->path);
		goto fail;
	}
	if ((err = open_debug(dwarf->fd, file->path, &dwarf->dbg)) ||
	    (err = pyr_debug_alt_find(file, &alt_path)))
		goto fail;
	if (alt_path) {
		Dwarf_Error error = NULL;

		dwarf->alt_fd = open(alt_path, O_RDONLY | O_CLOEXEC);
		if (dwarf->alt_fd >= 0) {
			if ((err = open_debug(dwarf->alt_fd, alt_path, &dwarf->alt)))
				goto fail;
			/* For the strings that were moved there. */
			if (pyr_dw.set_tied_dbg(dwarf->dbg, dwarf->alt, &error) != DW_DLV_OK &&
			    error)
				pyr_dw.dealloc(dwarf->dbg, error, DW_DLA_ERROR);
		}
		free(alt_path);
	}
	*ret = dwarf;
	return NULL;
fail:
	free(alt_path);
	pyr_dwarf_close(dwarf);
	return err;
}

void pyr_dwarf_close(struct pyr_dwarf *dwarf)
{
	if (!dwarf)
		return;
	if (dwarf->dbg)
		pyr_dw_finish(dwarf->dbg);
	if (dwarf->alt)
		pyr_dw_finish(dwarf->alt);
	if (dwarf->fd >= 0)
		close(dwarf->fd);
	if (dwarf->alt_fd >= 0)
		close(dwarf->alt_fd);
	free(dwarf);
}

/* Names to structures: open addressing, filled once per scan. */
#define SLOTS 2048

struct dwarf_scan {
	struct pyr_dwarf *dwarf;
	struct pyr_dwarf_places *places;
	unsigned first[PYR_S_COUNT + 1]; /* index of the first field of each structure */
	unsigned missing;                /* structures still looked for */
	unsigned skipped;
	struct {
		const char *name;
		size_t length;
		uint16_t id;
	} slots[SLOTS];
};

static uint32_t hash_name(const char *name, size_t length)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return hash;
}

static void fill_slots(struct dwarf_scan *scan, const bool *wanted)
{
	unsigned field = 0;

	for (int s = 0; s < PYR_S_COUNT; s++) {
		const char *name = structs[s].names;

		scan->first[s] = field;
		while (field < PYR_F_COUNT && (int)fields[field].owner == s)
			field++;
		if ((wanted && !wanted[s]) || scan->places->struct_size[s])
			continue;
		scan->missing++;
		while (*name) {
			size_t length = strcspn(name, "|");
			uint32_t slot = hash_name(name, length) % SLOTS;

			while (scan->slots[slot].name)
				slot = (slot + 1) % SLOTS;
			scan->slots[slot].name = name;
			scan->slots[slot].length = length;
			scan->slots[slot].id = s;
			name += length + (name[length] == '|');
		}
	}
	scan->first[PYR_S_COUNT] = field;
}

/* The structure that is called @name, or PYR_S_COUNT. */
static int find_slot(const struct dwarf_scan *scan, const char *name)
{
	size_t length = strlen(name);
	uint32_t slot = hash_name(name, length) % SLOTS;

	for (; scan->slots[slot].name; slot = (slot + 1) % SLOTS)
		if (scan->slots[slot].length == length &&
		    memcmp(scan->slots[slot].name, name, length) == 0)
			return scan->slots[slot].id;
	return PYR_S_COUNT;
}

static bool find_field(struct dwarf_scan *scan, const struct pyr_die *type, const char *paths,
		       struct pyr_field_place *ret)
{
	struct pyr_die_place place;

	while (*paths) {
		size_t length = strcspn(paths, "|");

		if (pyr_die_walk(scan->dwarf, type, paths, length, &place)) {
			ret->offset = (int32_t)place.offset;
			ret->size = (uint32_t)place.size;
			ret->bit_offset = place.bit_offset;
			ret->bit_width = place.bit_width;
			return true;
		}
		paths += length + (paths[length] == '|');
	}
	return false;
}

/* Two sources may call different things by one name (`block` of the deque and of
 * the arena): the one that has fields that are looked for is meant. */
static void take_struct(struct dwarf_scan *scan, int s, const struct pyr_die *type)
{
	struct pyr_dwarf_places *places = scan->places;
	Dwarf_Half tag = pyr_die_tag(type);
	uint64_t size;
	bool any = false;

	if ((tag != DW_TAG_structure_type && tag != DW_TAG_union_type) ||
	    pyr_die_flag(type, DW_AT_declaration))
		return;
	size = pyr_die_type_size(scan->dwarf, type);
	if (size == 0 || size > INT32_MAX)
		return;
	for (unsigned f = scan->first[s]; f < scan->first[s + 1]; f++)
		any |= find_field(scan, type, fields[f].paths, &places->fields[f]);
	if (!any)
		return;
	places->struct_size[s] = (uint32_t)size;
	scan->missing--;
}

static void look_at(struct dwarf_scan *scan, const struct pyr_die *die)
{
	Dwarf_Half tag = pyr_die_tag(die);
	struct pyr_die type;
	const char *name;
	int s;

	if (tag != DW_TAG_structure_type && tag != DW_TAG_union_type && tag != DW_TAG_typedef)
		return;
	name = pyr_die_name(die);
	if (!name || (s = find_slot(scan, name)) == PYR_S_COUNT || scan->places->struct_size[s])
		return;
	if (tag != DW_TAG_typedef) {
		take_struct(scan, s, die);
	} else if (pyr_die_type(scan->dwarf, die, true, &type)) {
		take_struct(scan, s, &type);
		pyr_die_free(&type);
	}
}

static void scan_unit(struct dwarf_scan *scan, Dwarf_Debug dbg, bool is_info)
{
	struct pyr_die unit = {dbg, NULL, is_info}, die, next;
	Dwarf_Error error = NULL;

	if (pyr_dw.siblingof_b(dbg, NULL, is_info, &unit.die, &error) != DW_DLV_OK) {
		if (error)
			pyr_dw.dealloc(dbg, error, DW_DLA_ERROR);
		scan->skipped++;
		return;
	}
	if (pyr_die_child(&unit, &die)) {
		while (scan->missing) {
			look_at(scan, &die);
			if (!pyr_die_sibling(&die, &next))
				break;
			pyr_die_free(&die);
			die = next;
		}
		pyr_die_free(&die);
	}
	pyr_die_free(&unit);
}

/* Every unit of .debug_info (or of .debug_types), in order. libdwarf starts over after
 * the last one, so the loop has to reach it. */
static void scan_section(struct dwarf_scan *scan, Dwarf_Debug dbg, bool is_info)
{
	for (;;) {
		Dwarf_Unsigned length, type_offset, next = 0;
		Dwarf_Off abbreviations;
		Dwarf_Half version, address, offsets, extension, kind;
		Dwarf_Sig8 signature;
		Dwarf_Error error = NULL;
		int result = pyr_dw.next_cu_header_d(
			dbg, is_info, &length, &version, &abbreviations, &address, &offsets,
			&extension, &signature, &type_offset, &next, &kind, &error);

		if (result == DW_DLV_ERROR) {
			scan->skipped++;
			if (error)
				pyr_dw.dealloc(dbg, error, DW_DLA_ERROR);
		}
		if (result != DW_DLV_OK)
			return;
		if (scan->missing)
			scan_unit(scan, dbg, is_info);
	}
}

pyr_error *pyr_dwarf_scan(struct pyr_dwarf *dwarf, const bool *wanted,
			  struct pyr_dwarf_places *places, unsigned *skipped)
{
	struct dwarf_scan *scan = calloc(1, sizeof(*scan));

	if (!scan)
		return pyr_error_no_memory();
	scan->dwarf = dwarf;
	scan->places = places;
	fill_slots(scan, wanted);
	scan_section(scan, dwarf->dbg, true);
	if (scan->missing)
		scan_section(scan, dwarf->dbg, false);
	if (scan->missing && dwarf->alt)
		scan_section(scan, dwarf->alt, true);
	if (skipped)
		*skipped = scan->skipped;
	free(scan);
	return NULL;
}
