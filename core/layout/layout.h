/* Where things lie in the memory of one build of CPython.
 *
 * A struct pyr_layout answers three questions: at which offset a field is
 * (fields.def, -1 when this build does not have it), how large a structure is,
 * and which of several designs the build uses (traits.def). It is plain data: no
 * pointers into anything but static strings, copied by assignment, read-only
 * once made. Nothing outside this directory compares version numbers.
 *
 * A layout is made from a built-in table and then overlaid with what the target
 * itself says: _Py_DebugOffsets, then its own debug info. */
#ifndef PYR_LAYOUT_LAYOUT_H
#define PYR_LAYOUT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/machine.h"

enum pyr_struct {
#define STRUCT(id, names) PYR_S_##id,
#define FIELD(id, field, paths)
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
	PYR_S_COUNT
};

enum pyr_field {
#define STRUCT(id, names)
#define FIELD(id, field, paths) PYR_F_##id##__##field,
#include "layout/fields.def"
#undef STRUCT
#undef FIELD
	PYR_F_COUNT
};

enum pyr_trait {
#define TRAIT(name) PYR_T_##name,
#define VALUE(name, value)
#include "layout/traits.def"
#undef TRAIT
#undef VALUE
	PYR_T_COUNT
};

/* The values of all traits in one sequence; pyr_layout.traits holds these. */
enum pyr_trait_value {
#define TRAIT(name)
#define VALUE(name, value) PYR_V_##name##__##value,
#include "layout/traits.def"
#undef TRAIT
#undef VALUE
	PYR_V_COUNT
};

#define PYR_STRUCT(id) PYR_S_##id
#define PYR_FIELD(id, field) PYR_F_##id##__##field
/* case labels: switch (pyr_trait(l, gc_head)) { case PYR_TRAIT(gc_head, NONE): */
#define PYR_TRAIT(name, value) PYR_V_##name##__##value

/* Where the layout of a structure came from, weakest first. */
enum pyr_layout_source {
	PYR_SOURCE_NONE,            /* this build does not have the structure */
	PYR_SOURCE_BUILTIN_NEAREST, /* the table of another version, by --force */
	PYR_SOURCE_BUILTIN,
	PYR_SOURCE_DEBUG_OFFSETS,
	PYR_SOURCE_DEBUGINFOD,
	PYR_SOURCE_DWARF,
};

struct pyr_field_place {
	int32_t offset;     /* in bytes from the start of the structure; -1: not there */
	uint32_t size;      /* in bytes; of the whole array when it is one */
	uint8_t bit_offset; /* bit fields: from the least significant bit of the byte at offset */
	uint8_t bit_width;  /* 0: not a bit field */
};

struct pyr_layout {
	uint32_t hexversion; /* as sys.hexversion */
	enum pyr_machine machine;
	bool debug, trace_refs, free_threaded;
	uint64_t type_flags;    /* the bits of tp_flags that mean something in this version */
	const char *table_name; /* of the built-in table it began with */
	struct pyr_field_place fields[PYR_F_COUNT];
	uint32_t struct_size[PYR_S_COUNT];  /* 0: not there */
	uint8_t struct_source[PYR_S_COUNT]; /* enum pyr_layout_source */
	uint8_t traits[PYR_T_COUNT];        /* enum pyr_trait_value */
};

/* What identifies a build, as far as the target told. */
struct pyr_build {
	uint32_t hexversion;
	enum pyr_machine machine;
	bool debug, trace_refs, free_threaded;
	/* sizeof(struct _gc_runtime_state), sizeof(PyInterpreterState), sizeof(PyThreadState) as
	 * _Py_DebugOffsets gives them; 0 when unknown. */
	uint32_t gc_size, interpreter_size, thread_size;
	/* The build-id of the file with _PyRuntime, in lower-case hex; "" when unknown. A table
	 * that was made from that very build is preferred. */
	char build_id[65];
};

static inline bool pyr_layout_has(const struct pyr_layout *l, enum pyr_field f)
{
	return l->fields[f].offset >= 0;
}

/* -1 when the build does not have the field. */
static inline int32_t pyr_layout_offset(const struct pyr_layout *l, enum pyr_field f)
{
	return l->fields[f].offset;
}

static inline const struct pyr_field_place *pyr_layout_place(const struct pyr_layout *l,
							     enum pyr_field f)
{
	return &l->fields[f];
}

/* 0 when the build does not have the structure. */
static inline uint32_t pyr_layout_size(const struct pyr_layout *l, enum pyr_struct s)
{
	return l->struct_size[s];
}

static inline enum pyr_trait_value pyr_layout_trait(const struct pyr_layout *l, enum pyr_trait t)
{
	return (enum pyr_trait_value)l->traits[t];
}

/* Short forms. */
#define pyr_has(l, id, field) pyr_layout_has(l, PYR_FIELD(id, field))
#define pyr_offset(l, id, field) pyr_layout_offset(l, PYR_FIELD(id, field))
#define pyr_sizeof(l, id) pyr_layout_size(l, PYR_STRUCT(id))
#define pyr_trait(l, name) pyr_layout_trait(l, PYR_T_##name)
#define pyr_is(l, name, value) (pyr_trait(l, name) == PYR_TRAIT(name, value))

/* Bytes of the collector's head before an object: 0, 16 or 32. */
static inline uint32_t pyr_layout_gc_head_size(const struct pyr_layout *l)
{
	return pyr_is(l, gc_head, NONE) ? 0 : pyr_sizeof(l, PyGC_Head);
}

static inline uint64_t pyr_layout_arena_size(const struct pyr_layout *l)
{
	return pyr_is(l, pool_geometry, ARENA_256K_POOL_4K) ? 256 << 10 : 1 << 20;
}

static inline uint32_t pyr_layout_pool_size(const struct pyr_layout *l)
{
	return pyr_is(l, pool_geometry, ARENA_256K_POOL_4K) ? 4096 : 16384;
}

static inline uint32_t pyr_layout_block_alignment(const struct pyr_layout *l)
{
	return pyr_is(l, pool_alignment, BYTES_8) ? 8 : 16;
}

/* Bits of tp_flags (object.h). Those that a version does not have are clear in
 * type_flags: test (flags & l->type_flags & PYR_TPFLAGS_X). */
#define PYR_TPFLAGS_STATIC_BUILTIN (UINT64_C(1) << 1)
#define PYR_TPFLAGS_INLINE_VALUES (UINT64_C(1) << 2)
#define PYR_TPFLAGS_MANAGED_WEAKREF (UINT64_C(1) << 3)
#define PYR_TPFLAGS_MANAGED_DICT (UINT64_C(1) << 4)
#define PYR_TPFLAGS_SEQUENCE (UINT64_C(1) << 5)
#define PYR_TPFLAGS_MAPPING (UINT64_C(1) << 6)
#define PYR_TPFLAGS_DISALLOW_INSTANTIATION (UINT64_C(1) << 7)
#define PYR_TPFLAGS_IMMUTABLETYPE (UINT64_C(1) << 8)
#define PYR_TPFLAGS_HEAPTYPE (UINT64_C(1) << 9)
#define PYR_TPFLAGS_BASETYPE (UINT64_C(1) << 10)
#define PYR_TPFLAGS_READY (UINT64_C(1) << 12)
#define PYR_TPFLAGS_READYING (UINT64_C(1) << 13)
#define PYR_TPFLAGS_HAVE_GC (UINT64_C(1) << 14)
#define PYR_TPFLAGS_ITEMS_AT_END (UINT64_C(1) << 23)
#define PYR_TPFLAGS_LONG_SUBCLASS (UINT64_C(1) << 24)
#define PYR_TPFLAGS_LIST_SUBCLASS (UINT64_C(1) << 25)
#define PYR_TPFLAGS_TUPLE_SUBCLASS (UINT64_C(1) << 26)
#define PYR_TPFLAGS_BYTES_SUBCLASS (UINT64_C(1) << 27)
#define PYR_TPFLAGS_UNICODE_SUBCLASS (UINT64_C(1) << 28)
#define PYR_TPFLAGS_DICT_SUBCLASS (UINT64_C(1) << 29)
#define PYR_TPFLAGS_BASE_EXC_SUBCLASS (UINT64_C(1) << 30)
#define PYR_TPFLAGS_TYPE_SUBCLASS (UINT64_C(1) << 31)

/* The built-in layout of @build. PYR_E_UNSUPPORTED_BUILD for free-threaded builds,
 * PYR_E_UNKNOWN_LAYOUT for versions and pre-releases without a table; both name the
 * facts and what to try. In 3.13 _gc_runtime_state.generations is only there when the
 * table is that of the very build (build_id): go by generation0. */
pyr_error *pyr_layout_builtin(const struct pyr_build *build, struct pyr_layout *ret);

/* The same for --force: where there is no table, that of the nearest version, marked
 * PYR_SOURCE_BUILTIN_NEAREST. Fails only for free-threaded builds. */
pyr_error *pyr_layout_nearest(const struct pyr_build *build, struct pyr_layout *ret);

/* Does every field lie inside of its structure? Asked after every overlay: code that has the
 * bytes of a whole structure goes by it. PYR_E_CORRUPT names the first field that does not. */
pyr_error *pyr_layout_validate(const struct pyr_layout *layout);

/* Overlay what _Py_DebugOffsets says: @bytes is the beginning of _PyRuntime (3.13+), @length
 * how much of it could be read. PYR_E_CORRUPT when the cookie or the offsets are not
 * plausible, or a field would lie beyond its structure; @layout is then unchanged. Structures that
 * agree or were corrected become PYR_SOURCE_DEBUG_OFFSETS. */
pyr_error *pyr_layout_overlay_debug_offsets(struct pyr_layout *layout, const uint8_t *bytes,
					    size_t length);

/* What _Py_DebugOffsets says about the build itself, before any layout is chosen: version,
 * flavour and the size hints of struct pyr_build; machine and build_id are left alone. */
pyr_error *pyr_layout_read_debug_offsets(const uint8_t *bytes, size_t length,
					 struct pyr_build *ret);

/* A file with debug info, and where to look for the one that its .gnu_debugaltlink names. */
struct pyr_dwarf_file {
	const char *path;      /* of the file with debug info */
	const char *debug_dir; /* NULL: /usr/lib/debug */
	const char *sysroot;   /* NULL: none */
};
/* Overlay the debug info in @file. Structures that it describes become @source (DWARF or
 * DEBUGINFOD), and the traits are derived again. PYR_E_BAD_FILE when there is no usable DWARF,
 * PYR_E_CORRUPT when it puts a field beyond its structure; @layout is then unchanged. */
pyr_error *pyr_layout_overlay_dwarf(struct pyr_layout *layout, const struct pyr_dwarf_file *file,
				    enum pyr_layout_source source);

/* Find the debug info of an image: by build-id (lower-case hex) under the debug directory, by
 * debuglink beside @exe_path and under the debug directory, the file itself when it has
 * .debug_info, at last debuginfod when the environment configures one and its library is
 * there. *@ret (to be freed) is NULL when there is none, which is no error. */
struct pyr_debug_query {
	const char *build_id;  /* NULL: unknown */
	const char *debuglink; /* NULL: read from exe_path */
	const char *exe_path;  /* NULL: not there */
	const char *debug_dir; /* NULL: /usr/lib/debug */
	const char *sysroot;   /* NULL: none; prefixed to the other paths */
	bool allow_debuginfod;
};
struct pyr_debug_file {
	char *path;
	enum pyr_layout_source source; /* PYR_SOURCE_DWARF or PYR_SOURCE_DEBUGINFOD */
};
pyr_error *pyr_layout_debug_file_find(const struct pyr_debug_query *query,
				      struct pyr_debug_file *ret);

/* The minor versions (of 3) whose type `type` has this tp_basicsize behind an object header
 * of @header bytes (16, or 32 with Py_TRACE_REFS until 3.12), for targets in which nothing
 * else tells: writes up to @max and returns how many. */
size_t pyr_layout_minors_from_type_size(uint64_t type_basicsize, uint32_t header, unsigned *minors,
					size_t max);

/* Every release version with a table, newest first, for trying them one by one. Returns how
 * many there are; writes up to @max. */
size_t pyr_layout_versions(enum pyr_machine machine, uint32_t *hexversions, size_t max);

/* Names, for `info` and messages. */
const char *pyr_layout_struct_name(enum pyr_struct s);
const char *pyr_layout_field_name(enum pyr_field f); /* "PyListObject.ob_item" */
enum pyr_struct pyr_layout_field_struct(enum pyr_field f);
const char *pyr_layout_trait_name(enum pyr_trait t);
const char *pyr_layout_trait_value_name(enum pyr_trait_value v); /* "TWO_WORDS" */
const char *pyr_layout_source_name(enum pyr_layout_source s);    /* "builtin", "dwarf", ... */
const char *pyr_layout_machine_name(enum pyr_machine machine);
/* "3.14.10", "3.15.0b1". */
void pyr_layout_version_string(uint32_t hexversion, char *buffer, size_t size);

#endif
