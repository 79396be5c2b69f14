/* Names of types as `type.__module__` and `type.__qualname__` answer them;
 * typeobject.c, type_module() and type_qualname(). */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "base/search.h"
#include "base/strbuf.h"
#include "runtime/raw.h"
#include "types/types_internal.h"

#define NAME_MAX_LENGTH 1000
#define MODULES_MAX 100000
#define MODULE_ENTRIES_MAX 100000

/* How good a place a module's dict is to learn a type's name from: the table of
 * known places, builtins, then the module that is nearest to its package's top. */
enum rank { RANK_TABLE, RANK_BUILTINS, RANK_ANY };

/* Names end up in tables and terminals: control characters do not. */
static char *clean(char *name)
{
	char *p;

	for (p = name; p && *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	return name;
}

static char *str_value(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str)
{
	if (!str || !pyr_object_has_flags(types, reader, str, PYR_TPFLAGS_UNICODE_SUBCLASS))
		return NULL;
	return clean(pyr_raw_str((struct pyr_raw){pyr_types_layout(types), reader}, str,
				 NAME_MAX_LENGTH));
}

static char *join(const char *module, const char *name)
{
	char *text;

	return asprintf(&text, "%s.%s", module, name) < 0 ? NULL : text;
}

static char *tp_name(struct pyr_reader *reader, pyr_addr name)
{
	char *text = NULL;
	pyr_error *err = pyr_read_cstring(reader, name, NAME_MAX_LENGTH, &text);

	pyr_error_destroy(err);
	if (err)
		return NULL;
	if (!*text || !pyr_utf8_is_valid(text)) {
		free(text);
		return NULL;
	}
	return clean(text);
}

/* As type_repr() has it: where __module__ is missing or no str (Cython 3.1's own types have a
 * descriptor there), the name is tp_name's. */
static char *heap_name(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_type_raw *raw)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	char *qualname, *module, *text, *dot;
	pyr_addr dict;

	qualname = str_value(types, reader,
			     pyr_get_addr(l, reader, raw->address, PyHeapTypeObject, ht_qualname));
	if (!qualname && (qualname = tp_name(reader, raw->name)) && (dot = strrchr(qualname, '.')))
		memmove(qualname, dot + 1, strlen(dot));
	if (!qualname)
		return NULL;
	dict = pyr_type_dict_raw(types, reader, raw->address, raw->flags);
	module = str_value(types, reader,
			   dict ? pyr_raw_dict_get((struct pyr_raw){l, reader}, dict, "__module__")
				: 0);
	if (!module) {
		text = tp_name(reader, raw->name);
		if (text && strchr(text, '.')) {
			free(qualname);
			return text;
		}
		free(text);
	}
	text = join(module ? module : "builtins", qualname);
	free(module);
	free(qualname);
	return text;
}

static char *static_name(struct pyr_reader *reader, const struct pyr_type_raw *raw)
{
	char *name = tp_name(reader, raw->name), *text;

	if (!name || strchr(name, '.'))
		return name;
	text = join("builtins", name);
	free(name);
	return text;
}

/* --- without tp_name: the target's module dicts --- */

static const struct place {
	const char *module, *key, *name;
	bool is_value; /* the type of what is there */
} places[] = {
#define TYPE_PLACE(module, key, name) {module, key, name, false},
#define VALUE_PLACE(module, key, name) {module, key, name, true},
#include "types/type_places.def"
};

static char *name_at(const struct pyr_types *types, const struct place *place)
{
	enum pyr_trait_value is = pyr_trait(pyr_types_layout(types), static_type_names);

#define TYPE_WAS(value, now, old)                                                                  \
	if (is <= PYR_TRAIT(static_type_names, value) && !strcmp(place->name, now))                \
		return strdup(old);
#include "types/type_places.def"
	return strdup(place->name);
}

static const struct place *find_place(const char *module, const char *key, bool is_value)
{
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].is_value == is_value && strcmp(module, places[i].module) == 0 &&
		    strcmp(key, places[i].key) == 0)
			return &places[i];
	return NULL;
}

static int rank_of(const char *module, const char *key)
{
	size_t length = strlen(key);
	int rank = RANK_ANY;

	if (strcmp(module, "builtins") == 0)
		return RANK_BUILTINS;
	for (; *module; module++)
		rank += 2 * (*module == '.');
	return rank + (length && (key[0] == '_' || key[length - 1] == '_'));
}

static void add_inferred(struct pyr_types *types, pyr_addr type, const char *module,
			 const char *key)
{
	const struct place *place = find_place(module, key, false);
	struct pyr_inferred_name entry = {.address = type};

	entry.rank = place ? RANK_TABLE : rank_of(module, key);
	entry.name = place ? name_at(types, place) : join(module, key);
	if (!entry.name || !pyr_vec_push(&types->state->inferred, entry))
		free(entry.name);
}

/* The type of a value that is known to be there, in modules that have such. */
static void add_type_of(struct pyr_types *types, struct pyr_reader *reader, pyr_addr value,
			const struct place *place)
{
	struct pyr_inferred_name entry = {.rank = RANK_TABLE};

	entry.address = pyr_get_addr(pyr_types_layout(types), reader, value, PyObject, ob_type);
	entry.name = name_at(types, place);
	if (!entry.name || !pyr_vec_push(&types->state->inferred, entry))
		free(entry.name);
}

static bool has_values(const char *module)
{
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i].is_value && strcmp(module, places[i].module) == 0)
			return true;
	return false;
}

static void scan_module(struct pyr_types *types, struct pyr_reader *reader, pyr_addr module,
			const char *name)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	pyr_addr dict = pyr_get_addr(l, reader, module, PyModuleObject, md_dict);
	bool values = has_values(name), is_type;
	const struct place *place;
	struct pyr_raw_dict iter;
	struct pyr_type_raw raw;
	pyr_addr key, value;
	char *text;
	int n = 0;

	if (!dict || !pyr_object_has_flags(types, reader, dict, PYR_TPFLAGS_DICT_SUBCLASS) ||
	    !pyr_raw_dict_init((struct pyr_raw){l, reader}, dict, &iter))
		return;
	while (n++ < MODULE_ENTRIES_MAX && pyr_raw_dict_next(&iter, &key, &value)) {
		is_type = pyr_type_read(types, reader, value, &raw);
		if (is_type ? raw.flags & PYR_TPFLAGS_HEAPTYPE : !values)
			continue;
		text = str_value(types, reader, key);
		if (text && is_type)
			add_inferred(types, value, name, text);
		else if (text && (place = find_place(name, text, true)))
			add_type_of(types, reader, value, place);
		free(text);
	}
}

static int by_address_and_rank(const void *a, const void *b)
{
	const struct pyr_inferred_name *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank - y->rank;
	if (strlen(x->name) != strlen(y->name))
		return strlen(x->name) < strlen(y->name) ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void scan_modules(struct pyr_types *types, struct pyr_reader *reader)
{
	struct pyr_types_state *state = types->state;
	struct pyr_python *python = types->python;
	struct pyr_raw raw = {&python->layout, reader};
	struct pyr_raw_dict iter;
	pyr_addr key, value;
	char *name;
	size_t i;
	int n = 0;

	for (i = 0; i < python->interpreters.count; i++) {
		if (!python->interpreters.data[i].modules ||
		    !pyr_raw_dict_init(raw, python->interpreters.data[i].modules, &iter))
			continue;
		while (n++ < MODULES_MAX && pyr_raw_dict_next(&iter, &key, &value)) {
			name = str_value(types, reader, key);
			if (name)
				scan_module(types, reader, value, name);
			free(name);
		}
	}
	if (state->inferred.count)
		qsort(state->inferred.data, state->inferred.count, sizeof(*state->inferred.data),
		      by_address_and_rank);
	state->inferred_ready = true;
}

static const char *inferred_name(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr)
{
	struct pyr_types_state *state = types->state;
	size_t i;

	if (!state->inferred_ready)
		scan_modules(types, reader);
	i = pyr_search(k, state->inferred.count, state->inferred.data[k].address < addr);
	if (i < state->inferred.count && state->inferred.data[i].address == addr)
		return state->inferred.data[i].name;
	return NULL;
}

/* The name of a type that the runtime found by symbol or by what points to it. */
static char *known_name(const struct pyr_types *types, const struct pyr_type_raw *raw)
{
	static const char *const names[] = {
#define SHAPE(id, names) names,
#include "types/shapes.def"
#undef SHAPE
	};
	pyr_addr addr = raw->address;
	int i;

	if (addr == types->python->known[PYR_KNOWN_OBJECT_TYPE])
		return strdup("builtins.object");
	/* Functions that know their class (3.9+) are the only subclass. */
	if (raw->base && raw->base == types->python->known[PYR_KNOWN_CFUNCTION_TYPE])
		return strdup("builtins.builtin_method");
	for (i = 1; i < PYR_SHAPE_COUNT; i++)
		if (types->state->by_shape[i] == addr)
			return strndup(names[i], strcspn(names[i], "|"));
	return NULL;
}

char *pyr_type_make_name(struct pyr_types *types, struct pyr_reader *reader,
			 const struct pyr_type_raw *raw, enum pyr_certainty *certainty)
{
	const char *inferred;
	char *name;

	*certainty = PYR_EXACT;
	name = raw->flags & PYR_TPFLAGS_HEAPTYPE ? heap_name(types, reader, raw)
						 : static_name(reader, raw);
	if (name)
		return name;
	*certainty = PYR_INFERRED;
	if ((name = known_name(types, raw)))
		return name;
	if ((inferred = inferred_name(types, reader, raw->address)))
		return strdup(inferred);
	*certainty = PYR_UNKNOWN;
	if (asprintf(&name, "<type at 0x%llx>", (unsigned long long)raw->address) < 0)
		return NULL;
	return name;
}
