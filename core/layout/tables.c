/* The tables are written by pyretain-layouts (gen/). A table holds one row per
 * structure and field; the table of a variant (another patch release, machine or
 * flavour) names a base and holds only the rows that differ from it. */
#include "layout/tables.h"

struct layout_row {
	int32_t offset; /* of a structure: -2 */
	uint32_t size;
	uint16_t id; /* enum pyr_field, or enum pyr_struct for a structure */
	uint8_t bit_offset, bit_width;
};
#define ROW_STRUCT (-2)

enum table {
#define TABLE(id, name) T_##id,
#define END_TABLE
#define BASE(id, base)
#define BUILD(...)
#define STRUCT(id, size)
#define FIELD(id, field, offset, size)
#define BITS(id, field, offset, size, bit, width)
#include "layout/tables/index.h"
#undef TABLE
#undef END_TABLE
#undef STRUCT
#undef FIELD
#undef BITS
	T_COUNT
};

#define TABLE(id, name) static const struct layout_row rows_##id[] = {
#define END_TABLE                                                                                  \
	}                                                                                          \
	;
#define STRUCT(id, size) {ROW_STRUCT, size, PYR_S_##id, 0, 0},
#define FIELD(id, field, offset, size) {offset, size, PYR_F_##id##__##field, 0, 0},
#define BITS(id, field, offset, size, bit, width) {offset, size, PYR_F_##id##__##field, bit, width},
#include "layout/tables/index.h"
#undef TABLE
#undef END_TABLE
#undef STRUCT
#undef FIELD
#undef BITS

static const struct {
	const char *name;
	const struct layout_row *rows;
	size_t count;
} tables[] = {
#define TABLE(id, name) {name, rows_##id, sizeof(rows_##id) / sizeof(rows_##id[0])},
#define END_TABLE
#define STRUCT(id, size)
#define FIELD(id, field, offset, size)
#define BITS(id, field, offset, size, bit, width)
#include "layout/tables/index.h"
#undef TABLE
#undef BASE
};

/* One more than the base of each table; 0 without one. */
static const uint8_t bases[T_COUNT] = {
#define TABLE(id, name)
#define BASE(id, base) [T_##id] = T_##base + 1,
#include "layout/tables/index.h"
#undef BASE
#undef BUILD
};

#define RELEASE false, false
#define DEBUG true, false
#define DEBUG_TRACE_REFS true, true
#define TRACE_REFS false, true

/* Through a second macro, so that the flavour is two arguments by then. */
#define BUILD_ROW(...) BUILD_FIELDS(__VA_ARGS__)
#define BUILD_FIELDS(id, arch, version, debug_, trace_refs_, how, build_id_, origin_)              \
	{.build = {.hexversion = version,                                                          \
		   .machine = PYR_MACHINE_##arch,                                                  \
		   .debug = debug_,                                                                \
		   .trace_refs = trace_refs_,                                                      \
		   .build_id = build_id_},                                                         \
	 .provenance = PYR_PROVENANCE_##how,                                                       \
	 .origin = origin_,                                                                        \
	 .table = T_##id},

static const struct pyr_table_build builds[] = {
#define BASE(id, base)
#define BUILD(...) BUILD_ROW(__VA_ARGS__)
#include "layout/tables/index.h"
};

size_t pyr_table_build_count(void)
{
	return sizeof(builds) / sizeof(builds[0]);
}

const struct pyr_table_build *pyr_table_build(size_t index)
{
	return &builds[index];
}

const char *pyr_table_name(int table)
{
	return tables[table].name;
}

static void apply(int table, struct pyr_dwarf_places *places)
{
	for (size_t i = 0; i < tables[table].count; i++) {
		const struct layout_row *row = &tables[table].rows[i];

		if (row->offset == ROW_STRUCT)
			places->struct_size[row->id] = row->size;
		else
			places->fields[row->id] = (struct pyr_field_place){
				row->offset, row->size, row->bit_offset, row->bit_width};
	}
}

void pyr_table_places(int table, struct pyr_dwarf_places *ret)
{
	pyr_dwarf_places_init(ret);
	if (bases[table])
		apply(bases[table] - 1, ret);
	apply(table, ret);
}
