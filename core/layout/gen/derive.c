/* Tables of builds that no debug info at hand describes, each by a rule that is written
 * down here; the rules are applied to builds that do have debug info by the tests. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layout/gen/gen.h"

#define PLACE(p, id, field) ((p)->fields[PYR_FIELD(id, field)])

static void move(struct pyr_dwarf_places *p, enum pyr_struct s, int32_t beyond, int32_t by)
{
	for (int f = 0; f < PYR_F_COUNT; f++)
		if (pyr_layout_field_struct(f) == s && p->fields[f].offset > beyond)
			p->fields[f].offset += by;
	if (p->struct_size[s])
		p->struct_size[s] += by;
}

/* x86-64 to aarch64, with glibc: pthread_mutex_t is 48 bytes, not 40, and the GIL has
 * two (condvar.h, ceval_gil.h). What lies behind the GIL moves by 16: in _PyRuntime
 * (3.7-3.11), in the interpreter (3.12+), which in turn is a member of _PyRuntime. */
static void to_aarch64(struct pyr_dwarf_places *p)
{
	int32_t in_runtime = PLACE(p, _PyRuntimeState, gil).offset;
	int32_t in_interpreter = PLACE(p, PyInterpreterState, gil).offset;
	struct pyr_field_place *main = &PLACE(p, _PyRuntimeState, main_interpreter);

	if (!p->struct_size[PYR_STRUCT(_gil_runtime_state)])
		return;
	p->struct_size[PYR_STRUCT(_gil_runtime_state)] += 16;
	if (in_runtime >= 0) {
		move(p, PYR_STRUCT(_PyRuntimeState), in_runtime, 16);
		PLACE(p, _PyRuntimeState, gil).size += 16;
	} else if (in_interpreter >= 0) {
		move(p, PYR_STRUCT(PyInterpreterState), in_interpreter, 16);
		PLACE(p, PyInterpreterState, gil).size += 16;
		p->struct_size[PYR_STRUCT(_PyRuntimeState)] += 16;
		main->size += 16;
	}
}

/* 3.14.5 and later to 3.14.0-3.14.4, which had the incremental collector: struct
 * _gc_runtime_state (pycore_interp_structs.h of that time) is 240 bytes instead of 264,
 * and the interpreter's members behind it lie 24 lower. */
static void to_incremental_gc(struct pyr_dwarf_places *p)
{
	static const struct {
		enum pyr_field field;
		int32_t offset;
		uint32_t size;
	} members[] = {
		{PYR_FIELD(_gc_runtime_state, young), 24, 24},
		{PYR_FIELD(_gc_runtime_state, old), 48, 48},
		{PYR_FIELD(_gc_runtime_state, permanent_generation), 96, 24},
		{PYR_FIELD(_gc_runtime_state, generation_stats), 120, 72},
		{PYR_FIELD(_gc_runtime_state, collecting), 192, 4},
		{PYR_FIELD(_gc_runtime_state, garbage), 200, 8},
		{PYR_FIELD(_gc_runtime_state, callbacks), 208, 8},
		{PYR_FIELD(_gc_runtime_state, heap_size), 216, 8},
		{PYR_FIELD(_gc_runtime_state, work_to_do), 224, 8},
		{PYR_FIELD(_gc_runtime_state, visited_space), 232, 4},
		{PYR_FIELD(_gc_runtime_state, phase), 236, 4},
		{PYR_FIELD(_gc_runtime_state, generations), -1, 0},
		{PYR_FIELD(_gc_runtime_state, generation0), -1, 0},
		{PYR_FIELD(_gc_runtime_state, long_lived_total), -1, 0},
		{PYR_FIELD(_gc_runtime_state, long_lived_pending), -1, 0},
	};

	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		p->fields[members[i].field] =
			(struct pyr_field_place){members[i].offset, members[i].size, 0, 0};
	p->struct_size[PYR_STRUCT(_gc_runtime_state)] = 240;
	PLACE(p, PyInterpreterState, gc).size = 240;
	move(p, PYR_STRUCT(PyInterpreterState), PLACE(p, PyInterpreterState, gc).offset, -24);
	PLACE(p, _PyRuntimeState, main_interpreter).size -= 24;
	p->struct_size[PYR_STRUCT(_PyRuntimeState)] -= 24;
}

static bool have(const struct gen_entries *entries, const struct gen_entry *like,
		 enum pyr_machine machine)
{
	for (size_t i = 0; i < entries->list.count; i++) {
		const struct gen_entry *its = entries->list.data[i];

		if (its->provenance == PYR_PROVENANCE_DWARF && its->build.machine == machine &&
		    its->build.hexversion == like->build.hexversion &&
		    its->build.debug == like->build.debug &&
		    its->build.trace_refs == like->build.trace_refs)
			return true;
	}
	return false;
}

static struct gen_entry *derived_from(const struct gen_entry *from, const char *how)
{
	struct gen_entry *entry = malloc(sizeof(*entry));
	char version[32];

	if (!entry)
		return NULL;
	*entry = *from;
	entry->provenance = PYR_PROVENANCE_DERIVED;
	entry->build.build_id[0] = '\0';
	pyr_layout_version_string(from->build.hexversion, version, sizeof(version));
	snprintf(entry->origin, sizeof(entry->origin), "%s%s from %s", version,
		 gen_flavour(&from->build), how);
	return entry;
}

/* The first build of the minor version that has the collector of 3.14.5. */
static bool is_first_of_minor(const struct gen_entries *entries, const struct gen_entry *entry)
{
	for (size_t i = 0; i < entries->list.count; i++) {
		const struct gen_entry *its = entries->list.data[i];

		if (its != entry && its->provenance == PYR_PROVENANCE_DWARF &&
		    its->build.machine == entry->build.machine &&
		    its->build.debug == entry->build.debug &&
		    gen_minor(&its->build) == gen_minor(&entry->build) &&
		    (its->build.hexversion < entry->build.hexversion ||
		     (its->build.hexversion == entry->build.hexversion &&
		      strcmp(its->build.build_id, entry->build.build_id) < 0)))
			return false;
	}
	return true;
}

pyr_error *gen_derive(struct gen_entries *entries)
{
	size_t count = entries->list.count;

	for (size_t i = 0; i < count; i++) {
		const struct gen_entry *from = entries->list.data[i];
		struct gen_entry *entry = NULL;
		pyr_error *err = NULL;

		if (from->provenance != PYR_PROVENANCE_DWARF)
			continue;
		if (gen_minor(&from->build) == 14 && is_first_of_minor(entries, from)) {
			if (!(entry = derived_from(from, "the layout of 3.14.5 and later")))
				return pyr_error_no_memory();
			entry->build.hexversion = 0x030e00f0;
			to_incremental_gc(&entry->places);
			if ((err = gen_add(entries, entry)))
				return err;
		}
		if (from->build.machine == PYR_MACHINE_X86_64 &&
		    !have(entries, from, PYR_MACHINE_AARCH64)) {
			if (!(entry = derived_from(from, "x86_64")))
				return pyr_error_no_memory();
			entry->build.machine = PYR_MACHINE_AARCH64;
			to_aarch64(&entry->places);
			if ((err = gen_add(entries, entry)))
				return err;
		}
	}
	return NULL;
}

pyr_error *gen_verify_rules(const struct gen_entries *entries, int *status)
{
	struct pyr_dwarf_places *places = malloc(sizeof(*places));

	if (!places)
		return pyr_error_no_memory();
	for (size_t i = 0; i < entries->list.count; i++) {
		const struct gen_entry *x86 = entries->list.data[i];

		if (x86->build.machine != PYR_MACHINE_X86_64 ||
		    x86->provenance != PYR_PROVENANCE_DWARF)
			continue;
		for (size_t k = 0; k < entries->list.count; k++) {
			const struct gen_entry *arm = entries->list.data[k];

			if (arm->build.machine != PYR_MACHINE_AARCH64 ||
			    arm->provenance != PYR_PROVENANCE_DWARF ||
			    arm->build.hexversion != x86->build.hexversion ||
			    arm->build.debug != x86->build.debug)
				continue;
			*places = x86->places;
			to_aarch64(places);
			printf("rule aarch64: %s, %s\n", x86->origin, arm->origin);
			if (!gen_places_equal(places, &arm->places, true))
				*status = 1;
		}
	}
	free(places);
	return NULL;
}
