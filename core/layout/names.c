/* The names behind the enumerations of layout.h, expanded from the same lists. */
#include <stdio.h>

#include "layout/layout.h"

static const char *const struct_names[] = {
#define STRUCT(id, names) #id,
#define FIELD(id, field, paths)
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
};

static const struct {
	enum pyr_struct owner;
	const char *name;
} field_names[] = {
#define STRUCT(id, names)
#define FIELD(id, field, paths) {PYR_S_##id, #id "." #field},
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
};

static const char *const trait_names[] = {
#define TRAIT(name) #name,
#define VALUE(name, value)
#include "layout/traits.def"
#undef TRAIT
#undef VALUE
};

static const char *const value_names[] = {
#define TRAIT(name)
#define VALUE(name, value) #value,
#include "layout/traits.def"
#undef TRAIT
#undef VALUE
};

static const char *const source_names[] = {
	[PYR_SOURCE_NONE] = "none",
	[PYR_SOURCE_BUILTIN_NEAREST] = "builtin-nearest",
	[PYR_SOURCE_BUILTIN] = "builtin",
	[PYR_SOURCE_DEBUG_OFFSETS] = "debug-offsets",
	[PYR_SOURCE_DEBUGINFOD] = "debuginfod",
	[PYR_SOURCE_DWARF] = "dwarf",
};

const char *pyr_layout_struct_name(enum pyr_struct s)
{
	return struct_names[s];
}

const char *pyr_layout_field_name(enum pyr_field f)
{
	return field_names[f].name;
}

enum pyr_struct pyr_layout_field_struct(enum pyr_field f)
{
	return field_names[f].owner;
}

const char *pyr_layout_trait_name(enum pyr_trait t)
{
	return trait_names[t];
}

const char *pyr_layout_trait_value_name(enum pyr_trait_value v)
{
	return value_names[v];
}

const char *pyr_layout_source_name(enum pyr_layout_source s)
{
	return source_names[s];
}

const char *pyr_layout_machine_name(enum pyr_machine machine)
{
	return machine == PYR_MACHINE_AARCH64 ? "aarch64" : "x86_64";
}

void pyr_layout_version_string(uint32_t hexversion, char *buffer, size_t size)
{
	unsigned level = hexversion >> 4 & 15, serial = hexversion & 15;
	int n = snprintf(buffer, size, "%u.%u.%u", hexversion >> 24, hexversion >> 16 & 255,
			 hexversion >> 8 & 255);

	if (level == 15 || n < 0 || (size_t)n >= size)
		return;
	if (level >= 10 && level <= 12)
		snprintf(buffer + n, size - n, "%s%u",
			 level == 12   ? "rc"
			 : level == 11 ? "b"
				       : "a",
			 serial);
	else
		snprintf(buffer + n, size - n, "?%x%x", level, serial);
}
