#include "layout/traits.h"

#define SET(name, value) (l->traits[PYR_T_##name] = PYR_TRAIT(name, value))

static void collector(struct pyr_layout *l, unsigned minor)
{
	if (l->free_threaded)
		SET(gc_head, NONE);
	else if (pyr_has(l, PyGC_Head, gc_refs))
		SET(gc_head, THREE_WORDS);
	else if (pyr_has(l, _gc_runtime_state, visited_space))
		SET(gc_head, TWO_WORDS_AGED);
	else
		SET(gc_head, TWO_WORDS);
	if (pyr_has(l, _gc_runtime_state, young))
		SET(gc_generations, YOUNG_OLD2);
	else
		SET(gc_generations, THREE);
	if (pyr_has(l, PyInterpreterState, gc))
		SET(gc_location, INTERPRETER);
	else if (pyr_has(l, _PyRuntimeState, gc))
		SET(gc_location, RUNTIME);
	else
		SET(gc_location, STATIC);
	if (pyr_sizeof(l, gc_stats))
		SET(gc_stats, RINGS);
	else
		SET(gc_stats, INLINE);

	if (minor >= 13)
		SET(gc_immortals, UNTRACKED);
	else if (minor == 12)
		SET(gc_immortals, FROZEN);
	else
		SET(gc_immortals, ORDINARY);
	if (minor >= 14) /* gh-127010 */
		SET(dict_untracking, NEVER);
	else
		SET(dict_untracking, FULL_COLLECTION);
	if (minor >= 15) /* gh-135552 */
		SET(weakref_clearing, CALLBACKS_BEFORE_FINALIZERS);
	else
		SET(weakref_clearing, BEFORE_FINALIZERS);
	if (minor >= 9)
		SET(resurrection, SAVES_REACHABLE);
	else
		SET(resurrection, SAVES_ALL);
}

static void references(struct pyr_layout *l, unsigned minor)
{
	if (l->free_threaded) {
		SET(immortal_encoding, LOCAL_UINT32_MAX);
		SET(refcount_width, LOCAL_AND_SHARED);
	} else if (minor >= 14) {
		SET(immortal_encoding, HIGH_BIT_32);
		SET(refcount_width, LOW_32);
	} else if (minor >= 12) {
		SET(immortal_encoding, UINT32_MAX_WORD);
		SET(refcount_width, WORD);
	} else {
		SET(immortal_encoding, NONE);
		SET(refcount_width, WORD);
	}
	if (minor >= 12)
		SET(static_refcount, IMMORTAL);
	else if (minor == 11)
		SET(static_refcount, BASE_999999999);
	else
		SET(static_refcount, ORDINARY);
	if (minor >= 13)
		SET(interned_refs, UNCOUNTED_IF_MORTAL);
	else if (minor == 12)
		SET(interned_refs, IMMORTAL);
	else
		SET(interned_refs, UNCOUNTED);
	if (pyr_has(l, PyObject, ob_next))
		SET(trace_refs, HEADER);
	else if (pyr_has(l, PyInterpreterState, refchain))
		SET(trace_refs, TABLE);
	else
		SET(trace_refs, NONE);
	if (minor >= 14)
		SET(trashcan_link, FIRST_WORD);
	else
		SET(trashcan_link, GC_PREV);
}

static void instances(struct pyr_layout *l, unsigned minor)
{
	if (minor >= 13) {
		SET(instance_dict, MANAGED_INLINE);
		/* gh-130327 reached 3.14 with 3.14.4 or so and 3.13 late; distributions
		 * have it earlier. The generational collector of 3.14.5 is surely after it. */
		if (minor >= 15 || (minor == 14 && pyr_is(l, gc_generations, THREE)))
			SET(managed_dict_traversal, DICT_FIRST);
		else
			SET(managed_dict_traversal, UNDECIDED);
	} else if (minor == 12) {
		SET(instance_dict, MANAGED_TAGGED);
		SET(managed_dict_traversal, TAGGED);
	} else if (minor == 11) {
		SET(instance_dict, MANAGED_TWO_POINTERS);
		SET(managed_dict_traversal, BOTH);
	} else {
		SET(instance_dict, CLASSIC);
		SET(managed_dict_traversal, NONE);
	}
	if (minor >= 12)
		SET(instance_weaklist, MANAGED);
	else
		SET(instance_weaklist, AT_OFFSET);
	if (pyr_has(l, PyDictValues, capacity))
		SET(dict_values, HEADER);
	else if (pyr_sizeof(l, PyDictValues))
		SET(dict_values, PREFIXED);
	else
		SET(dict_values, POINTERS);
	if (pyr_has(l, PyDictKeysObject, dk_log2_size))
		SET(dict_keys, LOG2);
	else
		SET(dict_keys, LOOKUP_FN);
	if (minor >= 9)
		SET(subtype_visits_type, UNLESS_HEAP_BASE);
	else
		SET(subtype_visits_type, ALWAYS);
	if (pyr_has(l, PyInterpreterState, types_builtins))
		SET(static_type_state, PER_INTERPRETER);
	else
		SET(static_type_state, IN_TYPE);
}

static void values(struct pyr_layout *l, unsigned minor)
{
	if (pyr_has(l, PyLongObject, lv_tag))
		SET(int_layout, LV_TAG);
	else
		SET(int_layout, OB_SIZE);
	if (minor >= 11)
		SET(int_sizeof, ZERO_HAS_DIGIT);
	else
		SET(int_sizeof, ZERO_IS_EMPTY);
	if (minor >= 11)
		SET(static_type_names, CURRENT);
	else if (minor == 10)
		SET(static_type_names, ONE_STR_ITERATOR);
	else
		SET(static_type_names, UNQUALIFIED);
	if (minor == 11 || minor == 12)
		SET(static_type_sizeof, WITH_HEAD);
	else
		SET(static_type_sizeof, NO_HEAD);
	if (pyr_has(l, PyASCIIObject, wstr))
		SET(str_state, LEGACY);
	else if (l->free_threaded && minor >= 14)
		SET(str_state, INTERNED_BYTE);
	else
		SET(str_state, COMPACT);
	if (pyr_has(l, PyInterpreterState, interned_strings))
		SET(interned_location, INTERPRETER);
	else
		SET(interned_location, STATIC);
	if (pyr_has(l, PyModuleObject, md_state_traverse))
		SET(module_state, MODULE);
	else
		SET(module_state, DEFINITION);
}

static void frames(struct pyr_layout *l, unsigned minor)
{
	if (minor >= 11)
		SET(line_table, LOCATIONS);
	else if (minor == 10)
		SET(line_table, PEP626);
	else
		SET(line_table, LNOTAB);
	if (minor >= 13)
		SET(lasti, INSTR_PTR);
	else if (minor >= 11)
		SET(lasti, PREV_INSTR);
	else if (minor == 10)
		SET(lasti, UNITS);
	else
		SET(lasti, BYTES);
	if (minor >= 11)
		SET(bytecode, ADAPTIVE);
	else if (minor == 10)
		SET(bytecode, WORDS_3_10);
	else if (minor == 9)
		SET(bytecode, WORDS_3_9);
	else if (minor == 8)
		SET(bytecode, WORDS_3_8);
	else
		SET(bytecode, WORDS_3_6);
	if (minor >= 14)
		SET(frame_layout, STACKREFS);
	else if (minor == 13)
		SET(frame_layout, CURRENT_FRAME);
	else if (minor == 12)
		SET(frame_layout, CFRAME_3_12);
	else if (minor == 11)
		SET(frame_layout, CFRAME_3_11);
	else
		SET(frame_layout, FRAME_OBJECTS);
	if (minor >= 15)
		SET(frame_owner, ENTRY_3);
	else if (minor == 14)
		SET(frame_owner, ENTRY_3_C_STACK_4);
	else if (minor >= 12)
		SET(frame_owner, C_STACK_3);
	else if (minor == 11)
		SET(frame_owner, NO_SHIMS);
	else
		SET(frame_owner, NO_OWNER);
	if (minor >= 15)
		SET(gen_state, UNSIGNED_3_15);
	else if (minor >= 13)
		SET(gen_state, SIGNED_3_13);
	else if (minor >= 11)
		SET(gen_state, SIGNED_3_11);
	else
		SET(gen_state, FRAME_OBJECT);
	if (pyr_has(l, PyInterpreterState, gil))
		SET(gil_location, INTERPRETER);
	else if (pyr_has(l, _PyRuntimeState, gil))
		SET(gil_location, RUNTIME);
	else
		SET(gil_location, STATIC);
}

static void memory(struct pyr_layout *l, unsigned minor)
{
	unsigned patch = l->hexversion >> 8 & 255;

	if (minor >= 10)
		SET(pool_geometry, ARENA_1M_POOL_16K);
	else
		SET(pool_geometry, ARENA_256K_POOL_4K);
	/* bpo-27987. Some builds of 3.6 have it too, which only their size classes tell. */
	if (minor >= 8 || (minor == 7 && patch >= 4))
		SET(pool_alignment, BYTES_16);
	else
		SET(pool_alignment, BYTES_8);
	if (minor >= 13)
		SET(obmalloc_location, POINTER);
	else if (pyr_has(l, PyInterpreterState, obmalloc))
		SET(obmalloc_location, EMBEDDED);
	else
		SET(obmalloc_location, STATIC);
	if (minor >= 8)
		SET(debug_blocks, PLAIN);
	else
		SET(debug_blocks, SERIAL_NUMBERS);
	if (pyr_sizeof(l, _Py_freelist))
		SET(freelists, CHAINS);
	else if (pyr_has(l, PyInterpreterState, freelists))
		SET(freelists, ARRAYS);
	else if (pyr_has(l, PyInterpreterState, freelist_tuple))
		SET(freelists, PER_TYPE);
	else
		SET(freelists, STATIC);
	if (pyr_has(l, _PyRuntimeState, tracemalloc))
		SET(tracemalloc, RUNTIME);
	else if (minor >= 9)
		SET(tracemalloc, STATIC);
	else
		SET(tracemalloc, STATIC_INLINE);
}

/* object.h: every bit that is older than the versions read here, and the younger ones. */
static uint64_t type_flags(unsigned minor)
{
	uint64_t flags = PYR_TPFLAGS_HEAPTYPE | PYR_TPFLAGS_BASETYPE | PYR_TPFLAGS_READY |
			 PYR_TPFLAGS_READYING | PYR_TPFLAGS_HAVE_GC | UINT64_C(0xff000000);

	if (minor >= 10)
		flags |= PYR_TPFLAGS_SEQUENCE | PYR_TPFLAGS_MAPPING |
			 PYR_TPFLAGS_DISALLOW_INSTANTIATION | PYR_TPFLAGS_IMMUTABLETYPE;
	if (minor >= 11)
		flags |= PYR_TPFLAGS_MANAGED_DICT;
	if (minor >= 12)
		flags |= PYR_TPFLAGS_STATIC_BUILTIN | PYR_TPFLAGS_MANAGED_WEAKREF |
			 PYR_TPFLAGS_ITEMS_AT_END;
	if (minor >= 13)
		flags |= PYR_TPFLAGS_INLINE_VALUES;
	return flags;
}

void pyr_layout_derive_traits(struct pyr_layout *layout)
{
	unsigned minor = layout->hexversion >> 16 & 255;

	collector(layout, minor);
	references(layout, minor);
	instances(layout, minor);
	values(layout, minor);
	frames(layout, minor);
	memory(layout, minor);
	layout->type_flags = type_flags(minor);
}
