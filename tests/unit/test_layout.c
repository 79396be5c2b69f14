/* Layouts: the tables against facts about CPython, their choice, and what
 * _Py_DebugOffsets changes in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "layout/tables.h"
#include "between.h"
#include "loaded_layout.h"

/* Offsets that pages of debuggers' output and CPython's headers agree on. */
static void test_known_offsets(void **state)
{
	(void)state;
	load(0x03060ff0, PYR_MACHINE_X86_64);
	assert_at(PyGC_Head, gc_refs, 16);
	assert_int_equal(pyr_sizeof(&layout, PyGC_Head), 32);
	assert_at(PyInterpreterState, modules, 16);
	assert_at(PyThreadState, frame, 24);
	assert_int_equal(pyr_sizeof(&layout, _PyRuntimeState), 0);
	assert_false(pyr_has(&layout, PyCodeObject, co_linetable));

	load(0x030812f0, PYR_MACHINE_X86_64);
	assert_at(_PyRuntimeState, gc, 344);
	assert_at(_PyRuntimeState, tstate_current, 1368);
	assert_at(PyCodeObject, co_lnotab, 120);

	load(0x030b07f0, PYR_MACHINE_X86_64);
	assert_at(PyInterpreterState, gc, 648);
	assert_at(_PyRuntimeState, tstate_current, 576);
	assert_at(_PyInterpreterFrame, f_executable, 32);
	assert_at(_PyCFrame, current_frame, 8);
	assert_at(PyASCIIObject, state_kind, 32);
	assert_int_equal(
		pyr_layout_place(&layout, PYR_FIELD(PyASCIIObject, state_kind))->bit_offset, 2);
	assert_int_equal(pyr_layout_place(&layout, PYR_FIELD(PyASCIIObject, state_kind))->bit_width,
			 3);

	load(0x030c01f0, PYR_MACHINE_X86_64);
	assert_at(PyInterpreterState, obmalloc, 3960);
	assert_at(PyInterpreterState, types_builtins, 373704);
	assert_at(_PyRuntimeState, preconfig_allocator, 3036);

	load(0x030e0af0, PYR_MACHINE_X86_64);
	assert_at(PyInterpreterState, gc, 7408);
	assert_at(PyInterpreterState, sysdict, 7672);
	assert_at(_gc_runtime_state, generation0, 256);
	assert_at(PyTupleObject, ob_item, 32);
	assert_at(PyInterpreterState, freelists, 11120);

	load(0x030f02f0, PYR_MACHINE_X86_64);
	assert_at(_gc_runtime_state, generation_stats, 104);
	assert_at(gc_stats, young_index, 704);
	assert_at(gc_stats, old1, 912);
	assert_at(gc_stats, update_seq, 1112);
	assert_int_equal(pyr_sizeof(&layout, gc_generation_stats), 64);
	load(0x030f00f0, PYR_MACHINE_X86_64);
	assert_false(pyr_has(&layout, gc_stats, update_seq));
}

/* pthread_mutex_t is 48 bytes there: what lies behind the GIL moves. */
static void test_aarch64(void **state)
{
	(void)state;
	load(0x030b02f0, PYR_MACHINE_AARCH64);
	assert_at(_PyRuntimeState, tstate_current, 592);
	load(0x030e0af0, PYR_MACHINE_AARCH64);
	assert_at(PyInterpreterState, gc, 7408);
	assert_at(PyInterpreterState, obmalloc, 10920);
	load(0x030a0df0, PYR_MACHINE_AARCH64);
	assert_at(_PyRuntimeState, tstate_current, 568 + 16);
	load(0x030c01f0, PYR_MACHINE_AARCH64);
	assert_at(PyInterpreterState, obmalloc, 3960 + 16);
	assert_at(PyInterpreterState, sysdict, 352);
}

static void test_trace_refs(void **state)
{
	struct pyr_build build = {.hexversion = 0x030b02f0, .trace_refs = true};

	(void)state;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_at(PyObject, ob_refcnt, 16);
	assert_at(PyObject, ob_type, 24);
	assert_at(PyListObject, ob_item, 40);
	assert_at(dequeobject, leftblock, 40);
	assert_at(lru_cache_object, cache, 88);
	assert_at(PyDictKeysObject, dk_refcnt, 0);
	assert_true(pyr_is(&layout, trace_refs, HEADER));

	/* Py_DEBUG implies it in 3.7, and changes no object in 3.9. */
	build = (struct pyr_build){.hexversion = 0x030710f0, .debug = true};
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_at(PyListObject, ob_item, 40);
	assert_true(layout.trace_refs);
	build.hexversion = 0x030912f0;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_at(PyListObject, ob_item, 24);
	assert_true(pyr_is(&layout, trace_refs, NONE));
}

/* The two collectors of 3.14, told apart by the size that the target gives or else by
 * the patch release. */
static void test_3_14(void **state)
{
	struct pyr_build build = {.hexversion = 0x030e04f0};

	(void)state;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_true(pyr_is(&layout, gc_generations, YOUNG_OLD2));
	assert_true(pyr_is(&layout, gc_head, TWO_WORDS_AGED));
	assert_at(PyInterpreterState, sysdict, 7648);
	assert_at(_gc_runtime_state, collecting, 192);
	build.gc_size = 264;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_true(pyr_is(&layout, gc_generations, THREE));
	build = (struct pyr_build){.hexversion = 0x030e05f0};
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_true(pyr_is(&layout, gc_generations, THREE));
	assert_true(pyr_is(&layout, managed_dict_traversal, DICT_FIRST));
	build.gc_size = 240;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_true(pyr_is(&layout, gc_generations, YOUNG_OLD2));
	assert_int_equal(layout.hexversion, 0x030e05f0);
}

/* Debian's 3.13 has its generations elsewhere: only its own build-id may say where. */
static void test_3_13_generations(void **state)
{
	struct pyr_build build = {.hexversion = 0x030d05f0};
	int own = 0;

	(void)state;
	assert_null(pyr_layout_builtin(&build, &layout));
	assert_false(pyr_has(&layout, _gc_runtime_state, generations));
	assert_at(_gc_runtime_state, generation0, 96);
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		const struct pyr_table_build *have = pyr_table_build(i);

		if (have->provenance != PYR_PROVENANCE_DWARF ||
		    (have->build.hexversion & 0xffff0000) != 0x030d0000)
			continue;
		assert_null(pyr_layout_builtin(&have->build, &layout));
		assert_at(_gc_runtime_state, generations,
			  strncmp(have->origin, "Debian", 6) == 0 ? 20 : 24);
		own++;
	}
	assert_true(own >= 2);
}

static void refused(struct pyr_build build, enum pyr_error_code code, const char *says)
{
	pyr_error *err;

	memset(&other, 0x5a, sizeof(other));
	layout = other;
	err = pyr_layout_builtin(&build, &layout);
	assert_non_null(err);
	assert_int_equal(err->code, code);
	if (!strstr(err->message, says))
		fail_msg("\"%s\" does not say \"%s\"", err->message, says);
	assert_memory_equal(&layout, &other, sizeof(layout)); /* untouched */
	pyr_error_destroy(err);
}

static void test_refusals(void **state)
{
	struct pyr_build build = {.hexversion = 0x031000f0};
	pyr_error *err;

	(void)state;
	refused((struct pyr_build){.hexversion = 0x031000f0}, PYR_E_UNKNOWN_LAYOUT, "3.16.0");
	refused((struct pyr_build){.hexversion = 0x030503f0}, PYR_E_UNKNOWN_LAYOUT, "--force");
	refused((struct pyr_build){.hexversion = 0x030f00b1}, PYR_E_UNKNOWN_LAYOUT,
		"3.15.0b1 is a pre-release");
	refused((struct pyr_build){.hexversion = 0x020712f0}, PYR_E_UNKNOWN_LAYOUT, "2.7.18");
	refused((struct pyr_build){.hexversion = 0x030d05f0, .free_threaded = true},
		PYR_E_UNSUPPORTED_BUILD, "free-threaded");

	/* --force */
	assert_null(pyr_layout_nearest(&build, &layout));
	assert_true(pyr_is(&layout, gc_stats, RINGS));
	assert_int_equal(layout.struct_source[PYR_STRUCT(PyListObject)],
			 PYR_SOURCE_BUILTIN_NEAREST);
	build.hexversion = 0x030f00b1;
	assert_null(pyr_layout_nearest(&build, &layout));
	build.free_threaded = true;
	err = pyr_layout_nearest(&build, &layout);
	assert_non_null(err);
	pyr_error_destroy(err);
}

/* Whatever the build, fields lie inside their structures and traits have values of
 * their own. */
static void test_every_table(void **state)
{
	(void)state;
	assert_true(pyr_table_build_count() > 40);
	for (size_t i = 0; i < pyr_table_build_count(); i++) {
		const struct pyr_table_build *have = pyr_table_build(i);
		const struct pyr_build *build = &have->build;
		unsigned minor = build->hexversion >> 16 & 255;

		assert_null(pyr_layout_builtin(build, &layout));
		assert_int_equal(layout.machine, build->machine);
		assert_null(pyr_layout_validate(&layout));
		assert_int_equal(pyr_sizeof(&layout, PyObject),
				 pyr_is(&layout, trace_refs, HEADER) ? 32 : 16);
		assert_int_equal(pyr_layout_gc_head_size(&layout), minor < 8 ? 32 : 16);
		assert_true(pyr_has(&layout, PyInterpreterState, modules));
		assert_true(pyr_has(&layout, PyInterpreterState, threads_head));
		assert_true(pyr_has(&layout, PyThreadState, exc_state) || minor == 6);
		assert_int_equal(pyr_has(&layout, PyThreadState, frame), minor < 11);
		assert_int_equal(pyr_sizeof(&layout, _PyInterpreterFrame) != 0, minor >= 11);
		assert_int_equal(pyr_has(&layout, TaskObj, coro), true);
		assert_int_equal(pyr_is(&layout, int_layout, LV_TAG), minor >= 12);
		assert_int_equal(pyr_is(&layout, dict_keys, LOG2), minor >= 11);
		assert_int_equal(pyr_is(&layout, gc_location, STATIC), minor == 6);
		assert_int_equal(pyr_is(&layout, freelists, CHAINS), minor >= 14);
		assert_int_equal(pyr_is(&layout, obmalloc_location, EMBEDDED), minor == 12);
		assert_int_equal(pyr_is(&layout, tracemalloc, RUNTIME), minor >= 12);
		for (int t = 0; t < PYR_T_COUNT; t++)
			assert_true(layout.traits[t] < PYR_V_COUNT);
	}
}

static void test_type_sizes(void **state)
{
	unsigned minors[8];

	(void)state;
	assert_int_equal(pyr_layout_minors_from_type_size(920, 16, minors, 8), 1);
	assert_int_equal(minors[0], 12);
	assert_int_equal(pyr_layout_minors_from_type_size(920, 32, minors, 8), 1);
	assert_int_equal(minors[0], 11); /* Py_TRACE_REFS */
	assert_int_equal(pyr_layout_minors_from_type_size(880, 16, minors, 8), 2);
	assert_int_equal(pyr_layout_minors_from_type_size(880, 16, minors, 1), 1);
	assert_int_equal(pyr_layout_minors_from_type_size(1234, 16, minors, 8), 0);
}

static void test_versions(void **state)
{
	uint32_t versions[64], few[3];
	size_t n = pyr_layout_versions(PYR_MACHINE_X86_64, versions, 64);

	(void)state;
	assert_between(n, 10, 64);
	assert_int_equal(versions[0] >> 16, 0x030f);
	assert_int_equal(versions[n - 1] >> 16, 0x0306);
	for (size_t i = 1; i < n; i++)
		assert_true(versions[i - 1] > versions[i]);
	assert_int_equal(pyr_layout_versions(PYR_MACHINE_X86_64, few, 3), n);
	assert_memory_equal(few, versions, sizeof(few));
}

/* A _Py_DebugOffsets that says what @from holds. */
static void make_offsets(const struct pyr_layout *from, uint8_t *bytes)
{
	static const struct {
		int kind, id, outer, at[3];
	} slots[] = {
#define SLOT(s, f, ...) {0, PYR_FIELD(s, f), 0, {__VA_ARGS__}},
#define SLOT_SIZE(s, ...) {1, PYR_STRUCT(s), 0, {__VA_ARGS__}},
#define SLOT_INNER(o, m, s, f, ...) {2, PYR_FIELD(s, f), PYR_FIELD(o, m), {__VA_ARGS__}},
#include "layout/debug-offsets.def"
	};
	unsigned column = (from->hexversion >> 16 & 255) - 13;
	uint64_t word = from->hexversion;

	memset(bytes, 0, 1024);
	memcpy(bytes, "xdebugpy", 8);
	memcpy(bytes + 8, &word, 8);
	for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		if (slots[i].at[column] < 0)
			continue;
		word = slots[i].kind == 1   ? from->struct_size[slots[i].id]
		       : slots[i].kind == 0 ? (uint64_t)from->fields[slots[i].id].offset
					    : (uint64_t)from->fields[slots[i].id].offset +
						      from->fields[slots[i].outer].offset;
		memcpy(bytes + slots[i].at[column], &word, 8);
	}
}

static void test_debug_offsets(void **state)
{
	static const uint32_t versions[] = {0x030d00f0, 0x030e0af0, 0x030f02f0};
	uint8_t bytes[1024];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct pyr_build told = {.machine = PYR_MACHINE_AARCH64};

		load(versions[i], PYR_MACHINE_X86_64);
		make_offsets(&layout, bytes);
		assert_null(pyr_layout_read_debug_offsets(bytes, sizeof(bytes), &told));
		assert_int_equal(told.hexversion, versions[i]);
		assert_int_equal(told.machine, PYR_MACHINE_AARCH64);
		assert_int_equal(told.gc_size, pyr_sizeof(&layout, _gc_runtime_state));
		assert_int_equal(told.interpreter_size, pyr_sizeof(&layout, PyInterpreterState));
		assert_false(told.free_threaded);

		/* Saying the same changes nothing but the source. */
		other = layout;
		assert_null(pyr_layout_overlay_debug_offsets(&layout, bytes, sizeof(bytes)));
		assert_memory_equal(layout.fields, other.fields, sizeof(layout.fields));
		assert_memory_equal(layout.struct_size, other.struct_size,
				    sizeof(layout.struct_size));
		assert_int_equal(layout.struct_source[PYR_STRUCT(PyListObject)],
				 PYR_SOURCE_DEBUG_OFFSETS);
		assert_int_equal(layout.struct_source[PYR_STRUCT(dequeobject)], PYR_SOURCE_BUILTIN);
	}
}

/* A patch release that inserted a member: what lies between two anchors that moved alike
 * moves with them; what lies between two that did not is not known any more. */
static void test_debug_offsets_moved(void **state)
{
	uint8_t bytes[1024];

	(void)state;
	load(0x030e0af0, PYR_MACHINE_X86_64);
	other = layout;
	for (int f = 0; f < PYR_F_COUNT; f++)
		if (pyr_layout_field_struct(f) == PYR_STRUCT(PyInterpreterState) &&
		    other.fields[f].offset >= pyr_offset(&layout, PyInterpreterState, sysdict))
			other.fields[f].offset += 24;
	other.struct_size[PYR_STRUCT(PyInterpreterState)] += 24;
	make_offsets(&other, bytes);
	assert_null(pyr_layout_overlay_debug_offsets(&layout, bytes, sizeof(bytes)));
	assert_at(PyInterpreterState, sysdict, 7672 + 24);
	assert_at(PyInterpreterState, importlib, 7704 + 24); /* between anchors */
	assert_at(PyInterpreterState, obmalloc, 10904 + 24); /* behind the last */
	assert_at(PyInterpreterState, gc, 7408);
	assert_at(PyInterpreterState, finalizing, 7320);
	assert_int_equal(pyr_sizeof(&layout, PyInterpreterState), 225864 + 24);

	load(0x030e0af0, PYR_MACHINE_X86_64);
	other = layout;
	other.fields[PYR_FIELD(PyCodeObject, co_qualname)].offset += 8;
	other.fields[PYR_FIELD(PyCodeObject, co_linetable)].offset += 8;
	make_offsets(&other, bytes);
	assert_null(pyr_layout_overlay_debug_offsets(&layout, bytes, sizeof(bytes)));
	assert_at(PyCodeObject, co_name, 120);
	assert_at(PyCodeObject, co_qualname, 136);
	assert_at(PyCodeObject, co_weakreflist, -1);
}

/* A size that leaves the structure's last fields outside of it: the overlay is rejected whole. */
static void test_debug_offsets_too_small(void **state)
{
	uint8_t bytes[1024];
	pyr_error *err;

	(void)state;
	load(0x030f02f0, PYR_MACHINE_X86_64);
	other = layout;
	other.struct_size[PYR_STRUCT(PyTypeObject)] = 176;
	make_offsets(&other, bytes);
	other = layout;
	err = pyr_layout_overlay_debug_offsets(&layout, bytes, sizeof(bytes));
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_CORRUPT);
	assert_non_null(strstr(err->message, "beyond its structure"));
	assert_memory_equal(&layout, &other, sizeof(layout));
	pyr_error_destroy(err);
}

static void test_debug_offsets_damaged(void **state)
{
	uint8_t bytes[1024], damaged[1024];

	(void)state;
	load(0x030f02f0, PYR_MACHINE_X86_64);
	make_offsets(&layout, bytes);
	other = layout;
	for (unsigned seed = 0; seed < 20000; seed++) {
		size_t length = sizeof(bytes);
		struct pyr_build told = {0};
		uint64_t word = seed % 3 == 0   ? UINT64_MAX
				: seed % 3 == 1 ? (uint64_t)seed * 2654435761u
						: seed;
		pyr_error *err;

		memcpy(damaged, bytes, sizeof(bytes));
		memcpy(damaged + seed % 110 * 8, &word, 8);
		if (seed % 7 == 0)
			length = seed % 1024;
		layout = other;
		pyr_error_destroy(pyr_layout_read_debug_offsets(damaged, length, &told));
		err = pyr_layout_overlay_debug_offsets(&layout, damaged, length);
		if (err)
			assert_memory_equal(&layout, &other, sizeof(layout));
		assert_null(pyr_layout_validate(&layout));
		for (int f = 0; f < PYR_F_COUNT; f++)
			assert_between((int64_t)layout.fields[f].offset + 1, 0, 64 << 20);
		pyr_error_destroy(err);
	}
}

static void test_names(void **state)
{
	char version[32];

	(void)state;
	assert_string_equal(pyr_layout_field_name(PYR_FIELD(PyListObject, ob_item)),
			    "PyListObject.ob_item");
	assert_string_equal(pyr_layout_trait_value_name(PYR_TRAIT(gc_head, TWO_WORDS_AGED)),
			    "TWO_WORDS_AGED");
	pyr_layout_version_string(0x030e0af0, version, sizeof(version));
	assert_string_equal(version, "3.14.10");
	pyr_layout_version_string(0x030f00c2, version, sizeof(version));
	assert_string_equal(version, "3.15.0rc2");
	pyr_layout_version_string(0xffffffff, version, 4);
	assert_int_equal(strlen(version), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_offsets),
		cmocka_unit_test(test_aarch64),
		cmocka_unit_test(test_trace_refs),
		cmocka_unit_test(test_3_14),
		cmocka_unit_test(test_3_13_generations),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_every_table),
		cmocka_unit_test(test_type_sizes),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_debug_offsets),
		cmocka_unit_test(test_debug_offsets_moved),
		cmocka_unit_test(test_debug_offsets_too_small),
		cmocka_unit_test(test_debug_offsets_damaged),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
