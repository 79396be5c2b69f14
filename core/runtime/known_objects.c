/* Objects that are needed by address. */
#include "runtime/interpreters.h"
#include "runtime/raw.h"

static const char *const symbols[PYR_KNOWN_COUNT] = {
#define KNOWN(id, symbol) [PYR_KNOWN_##id] = symbol,
#include "runtime/known_objects.def"
#undef KNOWN
};

/* Where the target's own modules hold them: the value of @name in the dict of
 * @module, or its type. Modules that every start imports come first; `types` is
 * there as soon as anything imported enum or functools. */
static const struct name {
	enum pyr_known known;
	const char *module, *name;
	bool type_of;
} names[] = {
	{PYR_KNOWN_TYPE_TYPE, "builtins", "type", false},
	{PYR_KNOWN_OBJECT_TYPE, "builtins", "object", false},
	{PYR_KNOWN_LONG_TYPE, "builtins", "int", false},
	{PYR_KNOWN_BOOL_TYPE, "builtins", "bool", false},
	{PYR_KNOWN_FLOAT_TYPE, "builtins", "float", false},
	{PYR_KNOWN_COMPLEX_TYPE, "builtins", "complex", false},
	{PYR_KNOWN_UNICODE_TYPE, "builtins", "str", false},
	{PYR_KNOWN_BYTES_TYPE, "builtins", "bytes", false},
	{PYR_KNOWN_BYTEARRAY_TYPE, "builtins", "bytearray", false},
	{PYR_KNOWN_TUPLE_TYPE, "builtins", "tuple", false},
	{PYR_KNOWN_LIST_TYPE, "builtins", "list", false},
	{PYR_KNOWN_DICT_TYPE, "builtins", "dict", false},
	{PYR_KNOWN_SET_TYPE, "builtins", "set", false},
	{PYR_KNOWN_FROZENSET_TYPE, "builtins", "frozenset", false},
	{PYR_KNOWN_RANGE_TYPE, "builtins", "range", false},
	{PYR_KNOWN_SLICE_TYPE, "builtins", "slice", false},
	{PYR_KNOWN_MEMORYVIEW_TYPE, "builtins", "memoryview", false},
	{PYR_KNOWN_BASE_EXCEPTION_TYPE, "builtins", "BaseException", false},
	{PYR_KNOWN_NONE, "builtins", "None", false},
	{PYR_KNOWN_TRUE, "builtins", "True", false},
	{PYR_KNOWN_FALSE, "builtins", "False", false},
	{PYR_KNOWN_NOT_IMPLEMENTED, "builtins", "NotImplemented", false},
	{PYR_KNOWN_ELLIPSIS, "builtins", "Ellipsis", false},
	{PYR_KNOWN_CFUNCTION_TYPE, "builtins", "len", true},
	{PYR_KNOWN_FUNCTION_TYPE, "_frozen_importlib", "_find_spec", true},
	{PYR_KNOWN_FUNCTION_TYPE, "types", "FunctionType", false},
	{PYR_KNOWN_METHOD_TYPE, "types", "MethodType", false},
	{PYR_KNOWN_CODE_TYPE, "types", "CodeType", false},
	{PYR_KNOWN_FRAME_TYPE, "types", "FrameType", false},
	{PYR_KNOWN_GENERATOR_TYPE, "_collections_abc", "generator", false},
	{PYR_KNOWN_GENERATOR_TYPE, "types", "GeneratorType", false},
	{PYR_KNOWN_COROUTINE_TYPE, "_collections_abc", "coroutine", false},
	{PYR_KNOWN_COROUTINE_TYPE, "types", "CoroutineType", false},
	{PYR_KNOWN_ASYNC_GENERATOR_TYPE, "_collections_abc", "async_generator", false},
	{PYR_KNOWN_ASYNC_GENERATOR_TYPE, "types", "AsyncGeneratorType", false},
	{PYR_KNOWN_CELL_TYPE, "types", "CellType", false},
};

static bool is_pointer_variable(enum pyr_known known)
{
	return known == PYR_KNOWN_BASE_EXCEPTION_TYPE;
}

static void by_symbol(struct pyr_python *python)
{
	pyr_addr address;
	size_t i;

	for (i = 0; python->image && i < PYR_KNOWN_COUNT; i++) {
		if (!pyr_image_symbol(python->target, python->image, symbols[i], &address, NULL))
			continue;
		/* Exceptions are exported as pointers to the static types. */
		if (is_pointer_variable((enum pyr_known)i) &&
		    !pyr_try_u64(&python->reader, address, &address))
			continue;
		python->known[i] = address;
	}
}

static void by_name(struct pyr_python *python, struct pyr_raw raw)
{
	pyr_addr modules = python->interpreters.data[0].modules, value, dict;
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (python->known[names[i].known])
			continue;
		dict = pyr_raw_module_dict(raw, modules, names[i].module);
		value = dict ? pyr_raw_dict_get(raw, dict, names[i].name) : 0;
		if (value && names[i].type_of)
			value = pyr_raw_type(raw, value);
		python->known[names[i].known] = value;
	}
}

/* The type of the cells in the closure of @object, if it is a function that has one. */
static pyr_addr cell_type(struct pyr_python *python, struct pyr_raw raw, pyr_addr object)
{
	pyr_addr closure, items, cell;
	uint64_t count;

	if (pyr_raw_type(raw, object) != python->known[PYR_KNOWN_FUNCTION_TYPE])
		return 0;
	closure = pyr_raw_get(raw, object, PYR_FIELD(PyFunctionObject, func_closure));
	return closure && pyr_raw_tuple(raw, closure, &items, &count) && count &&
			       pyr_try_u64(raw.reader, items, &cell)
		       ? pyr_raw_type(raw, cell)
		       : 0;
}

/* types.CellType is new in 3.8. Before, a method that uses super() has a closure with
 * the cell of __class__: some class of some imported module has one. */
static pyr_addr cell_type_in_modules(struct pyr_python *python, struct pyr_raw raw)
{
	struct pyr_raw_dict modules, module, class;
	pyr_addr key, value, name, member, found = 0;

	if (!pyr_raw_dict_init(raw, python->interpreters.data[0].modules, &modules))
		return 0;
	while (!found && pyr_raw_dict_next(&modules, &key, &value)) {
		if (pyr_raw_type(raw, value) != python->known[PYR_KNOWN_MODULE_TYPE] ||
		    !pyr_raw_dict_init(raw,
				       pyr_raw_get(raw, value, PYR_FIELD(PyModuleObject, md_dict)),
				       &module))
			continue;
		while (!found && pyr_raw_dict_next(&module, &name, &value)) {
			found = cell_type(python, raw, value);
			if (found ||
			    pyr_raw_type(raw, value) != python->known[PYR_KNOWN_TYPE_TYPE] ||
			    !pyr_raw_dict_init(
				    raw, pyr_raw_get(raw, value, PYR_FIELD(PyTypeObject, tp_dict)),
				    &class))
				continue;
			while (!found && pyr_raw_dict_next(&class, &name, &member))
				found = cell_type(python, raw, member);
		}
	}
	return found;
}

/* What is left follows from objects whose kind is certain. */
static void by_relation(struct pyr_python *python, struct pyr_raw raw)
{
	pyr_addr modules = python->interpreters.data[0].modules, dict, function, code;

	if (!python->known[PYR_KNOWN_MODULE_TYPE] &&
	    (dict = pyr_raw_dict_get(raw, modules, "builtins")))
		python->known[PYR_KNOWN_MODULE_TYPE] = pyr_raw_type(raw, dict);
	dict = pyr_raw_module_dict(raw, modules, "_frozen_importlib");
	function = dict ? pyr_raw_dict_get(raw, dict, "_find_spec") : 0;
	if (!python->known[PYR_KNOWN_CODE_TYPE] && function &&
	    pyr_raw_type(raw, function) == python->known[PYR_KNOWN_FUNCTION_TYPE] &&
	    (code = pyr_raw_get(raw, function, PYR_FIELD(PyFunctionObject, func_code))))
		python->known[PYR_KNOWN_CODE_TYPE] = pyr_raw_type(raw, code);
	if (!python->known[PYR_KNOWN_CELL_TYPE])
		python->known[PYR_KNOWN_CELL_TYPE] = cell_type_in_modules(python, raw);
}

void pyr_python_fill_known(struct pyr_python *python)
{
	struct pyr_raw raw = {&python->layout, &python->reader};

	by_symbol(python);
	python->known_source = python->known[PYR_KNOWN_TYPE_TYPE] ? "symbols" : "modules";
	if (!python->interpreters.count)
		return;
	by_name(python, raw);
	by_relation(python, raw);
}
