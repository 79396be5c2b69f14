/* Objects of every kind in live processes of every CPython here: sizes, names,
 * reprs, attributes and dict entries are what CPython itself says (objects.py). */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "opened.h"
#include "values/object.h"

struct tally {
	unsigned objects, types, inexact, reprs, attributes, entries, wrong;
	uint64_t seen[4096]; /* types of objects that were compared */
};

struct subject {
	const char *name;
	struct pyr_types *types;
	struct pyr_reader *reader;
	struct tally tally;
	/* the dict whose entries are being compared */
	pyr_addr dict;
	struct pyr_dict_iter iter;
};

static void wrong(struct subject *s, const char *what, pyr_addr addr, const char *want,
		  const char *got)
{
	if (++s->tally.wrong <= 10)
		print_error("%s: %s of 0x%" PRIx64 ": %.300s, we say %.300s\n", s->name, what, addr,
			    want, got);
}

static void wrong_number(struct subject *s, const char *what, pyr_addr addr, uint64_t want,
			 uint64_t got, const char *type)
{
	char a[64], b[400];

	if (want == got)
		return;
	snprintf(a, sizeof(a), "%" PRIu64, want);
	snprintf(b, sizeof(b), "%" PRIu64 " (%.300s)", got, type);
	wrong(s, what, addr, a, b);
}

static void compare_repr(struct subject *s, pyr_addr addr, const char *hex)
{
	struct pyr_repr_options options = {.max_length = 100000, .depth = 8, .items = 1000};
	struct pyr_strbuf repr = {0}, want = {0};
	unsigned byte;

	if (strcmp(hex, "-") == 0)
		return;
	for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
		pyr_strbuf_add_char(&want, (char)byte);
	pyr_object_repr(s->types, s->reader, addr, &options, &repr);
	if (strcmp(pyr_strbuf_str(&want), pyr_strbuf_str(&repr)))
		wrong(s, "repr", addr, pyr_strbuf_str(&want), pyr_strbuf_str(&repr));
	s->tally.reprs++;
	pyr_strbuf_deinit(&repr);
	pyr_strbuf_deinit(&want);
}

static void count_type(struct tally *tally, uint64_t type)
{
	unsigned i;

	for (i = 0; i < tally->types; i++)
		if (tally->seen[i] == type)
			return;
	if (tally->types < 4096)
		tally->seen[tally->types++] = type;
}

/* Is the inexact size of this type expected? Only foreign ones may be. */
static bool may_be_inexact(const char *type)
{
	return strncmp(type, "_pickle.", 8) == 0 || strncmp(type, "_ctypes.", 8) == 0 ||
	       strcmp(type, "__main__.WithSizeof") == 0;
}

static void compare_object(struct subject *s, pyr_addr addr, uint64_t size, const char *type,
			   const char *hex)
{
	struct pyr_object_header header;
	pyr_error *err = pyr_object_header(s->types, s->reader, addr, &header);
	uint64_t ours = 0;
	bool exact = false;

	if (!err)
		err = pyr_object_size(s->types, s->reader, header.type, addr, &ours, &exact);
	if (err) {
		wrong(s, "object", addr, type, err->message);
		pyr_error_destroy(err);
		return;
	}
	if (strcmp(header.type->name, type))
		wrong(s, "type", addr, type, header.type->name);
	if (exact) {
		wrong_number(s, "size", addr, size, ours, type);
		count_type(&s->tally, header.type->address);
	} else if (!may_be_inexact(type)) {
		wrong(s, "size", addr, type, "not exactly known");
	}
	compare_repr(s, addr, hex);
	s->tally.objects++;
}

static void compare_class(struct subject *s, pyr_addr addr, uint64_t size, const char *name)
{
	const struct pyr_type *type = pyr_types_get(s->types, s->reader, addr);
	const struct pyr_type *metatype;
	struct pyr_object_header header;
	uint64_t ours = 0;
	bool exact = false;
	pyr_error *err;

	if (!type) {
		wrong(s, "class", addr, name, "no type");
		return;
	}
	if (strcmp(pyr_type_name(s->types, type), name))
		wrong(s, "name", addr, name, pyr_type_name(s->types, type));
	assert_int_equal(pyr_type_name_certainty(s->types, type), PYR_EXACT);
	err = pyr_object_header(s->types, s->reader, addr, &header);
	assert_null(err);
	metatype = header.type;
	err = pyr_object_size(s->types, s->reader, metatype, addr, &ours, &exact);
	assert_null(err);
	if (exact)
		wrong_number(s, "size of class", addr, size, ours, name);
	/* Static types have no gc head; heap types do. */
	assert_int_equal(header.is_gc, type->heap);
}

static void compare_entry(struct subject *s, pyr_addr dict, pyr_addr key, pyr_addr value)
{
	pyr_addr k = 0, v = 0;

	if (s->dict != dict) {
		assert_null(pyr_dict_iter_init(s->types, s->reader, dict, &s->iter));
		s->dict = dict;
	}
	if (!pyr_dict_iter_next(&s->iter, &k, &v) || k != key || v != value) {
		wrong_number(s, "entry's key", dict, key, k, "dict");
		wrong_number(s, "entry's value", dict, value, v, "dict");
	}
	s->tally.entries++;
}

static void compare_line(struct subject *s, const char *line)
{
	char word[32], name[2000], hex[100000];
	uint64_t a, b, c;
	char *space;

	if (sscanf(line, "%31s", word) != 1)
		return;
	if (strcmp(word, "object") == 0 &&
	    sscanf(line, "object %" SCNu64 " %" SCNu64 " %1999s %99999s", &a, &b, name, hex) == 4) {
		while ((space = strstr(name, "\\x20"))) {
			*space = ' ';
			memmove(space + 1, space + 4, strlen(space + 4) + 1);
		}
		compare_object(s, a, b, name, hex);
	} else if (strcmp(word, "class") == 0 &&
		   sscanf(line, "class %" SCNu64 " %" SCNu64 " %1999s", &a, &b, name) == 3) {
		while ((space = strstr(name, "\\x20"))) {
			*space = ' ';
			memmove(space + 1, space + 4, strlen(space + 4) + 1);
		}
		compare_class(s, a, b, name);
	} else if (strcmp(word, "attribute") == 0 &&
		   sscanf(line, "attribute %" SCNu64 " %1999s %" SCNu64, &a, name, &b) == 3) {
		c = pyr_object_attribute(s->types, s->reader, a, name);
		wrong_number(s, "attribute", a, b, c, name);
		s->tally.attributes++;
	} else if (sscanf(line, "entry %" SCNu64 " %" SCNu64 " %" SCNu64, &a, &b, &c) == 3) {
		compare_entry(s, a, b, c);
	}
}

/* --- as from a core whose binaries are gone --- */

/* Names that changed between versions; of these the newest is inferred. */
static bool renamed(const char *name)
{
	static const char *const names[] = {
		"builtins.str_iterator",
		"builtins.weakref",
		"builtins.weakproxy",
		"builtins.Context",
		"builtins.ContextVar",
		"builtins.Token",
		"types.UnionType",
		"_ctypes.PyCFuncPtr",
		"builtins.weakcallableproxy",
		"typing.Union",
		"_thread.ExceptHookArgs",
		"interpreters.InterpreterError",
		"interpreters.InterpreterNotFoundError",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	/* The table knows the standard library; of numpy it knows the scalars. */
	return strncmp(name, "numpy.", 6) == 0 || strstr(name, "cython") ||
	       strcmp(name, "builtins.generator") == 0;
}

static bool must_be_known(const char *name)
{
	static const char *const names[] = {
		"builtins.object",
		"builtins.type",
		"builtins.int",
		"builtins.str",
		"builtins.list",
		"builtins.dict",
		"builtins.tuple",
		"builtins.set",
		"builtins.bytes",
		"builtins.function",
		"builtins.builtin_function_or_method",
		"builtins.module",
		"builtins.NoneType",
		"builtins.dict_keyiterator",
		"builtins.cell",
		"builtins.code",
		"builtins.OSError",
		"builtins.ValueError",
		"builtins.mappingproxy",
		"collections.OrderedDict",
		"datetime.datetime",
		"builtins.coroutine",
		"builtins.traceback",
		"builtins.getset_descriptor",
		"sys.version_info",
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void drop_binaries(struct pyr_python *runtime)
{
	struct pyr_target *target = runtime->target;
	const struct pyr_mapping *mapping;
	size_t i, kept = 0;

	for (i = 0; i < target->segments.count; i++) {
		mapping = pyr_target_mapping_at(target, target->segments.data[i].start);
		if (!mapping || !mapping->path || mapping->path[0] != '/' || mapping->write)
			target->segments.data[kept++] = target->segments.data[i];
	}
	assert_true(kept < target->segments.count);
	target->segments.count = kept;
	pyr_reader_deinit(&runtime->reader);
	pyr_reader_init(&runtime->reader, target);
}

static void compare_without_binaries(struct subject *s, struct opened *o, char **lines,
				     size_t count)
{
	unsigned inferred = 0, unknown = 0;
	const struct pyr_type *type;
	enum pyr_certainty certainty;
	char name[2000], *space;
	uint64_t addr, size;
	size_t i;

	drop_binaries(o->python);
	pyr_types_destroy(o->types);
	assert_null(pyr_types_create(o->python, &o->types));
	s->types = o->types;
	for (i = 0; i < count; i++) {
		if (sscanf(lines[i], "class %" SCNu64 " %" SCNu64 " %1999s", &addr, &size, name) !=
		    3)
			continue;
		while ((space = strstr(name, "\\x20"))) {
			*space = ' ';
			memmove(space + 1, space + 4, strlen(space + 4) + 1);
		}
		type = pyr_types_get(s->types, s->reader, addr);
		if (!type) {
			wrong(s, "class without binaries", addr, name, "no type");
			continue;
		}
		certainty = pyr_type_name_certainty(s->types, type);
		inferred += certainty == PYR_INFERRED;
		unknown += certainty == PYR_UNKNOWN;
		if (certainty == PYR_UNKNOWN ? must_be_known(name)
					     : strcmp(type->name, name) &&
						       (certainty == PYR_EXACT || !renamed(name)))
			wrong(s, "name without binaries", addr, name, type->name);
	}
	print_message("%s: without binaries %u names inferred, %u unknown\n", s->name, inferred,
		      unknown);
	assert_true(inferred >= 100);
}

static void compare_process(const struct python *python, const char *script)
{
	struct subject *s = calloc(1, sizeof(*s));
	struct python_process process;
	struct opened o;
	PYR_VEC(char *) lines = {0};
	size_t capacity = 0, i;
	char *line = NULL;
	bool ended = false;

	python_start(python, script, &process);
	while (!ended && getline(&line, &capacity, process.out) > 0) {
		ended = strcmp(line, "end\n") == 0;
		assert_true(pyr_vec_push(&lines, strdup(line)));
	}
	if (!ended)
		fail_msg("%s: the script ended early", python->name);
	opened_process(&o, python, process.pid);
	s->name = python->name;
	s->types = o.types;
	s->reader = &o.python->reader;
	for (i = 0; i < lines.count; i++)
		compare_line(s, lines.data[i]);
	print_message("%s: %u objects of %u types, %u reprs, %u attributes, %u entries\n",
		      python->name, s->tally.objects, s->tally.types, s->tally.reprs,
		      s->tally.attributes, s->tally.entries);
	compare_without_binaries(s, &o, lines.data, lines.count);
	for (i = 0; i < lines.count; i++)
		free(lines.data[i]);
	assert_int_equal(s->tally.wrong, 0);
	assert_true(s->tally.types >= 60);
	assert_true(s->tally.reprs >= 150);
	assert_true(s->tally.attributes >= 8);
	assert_true(s->tally.entries >= 100);
	opened_close(&o);
	python_finish(&process);
	pyr_vec_deinit(&lines);
	free(line);
	free(s);
}

static void test_what_cpython_says(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	char *script = program_text("unit/objects.py");

	(void)state;
	for (i = 0; i < count; i++)
		compare_process(&pythons[i], script);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_cpython_says)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
