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

#include "pythons.h"
#include "runtime/object.h"

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

static char *read_script(void)
{
	char path[1024], *text, *slash;
	FILE *file;
	long size;

	snprintf(path, sizeof(path) - 16, "%s", __FILE__);
	slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, "objects.py");
	file = fopen(path, "r");
	if (!file)
		fail_msg("cannot open %s: run the test from the top of the project", path);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = malloc((size_t)size + 1);
	text[fread(text, 1, (size_t)size, file)] = '\0';
	fclose(file);
	return text;
}

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
	struct pyr_repr_options options = { .max_length = 100000, .depth = 8, .items = 1000 };
	struct pyr_strbuf repr = { 0 }, want = { 0 };
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

static void compare_line(struct subject *s, char *line)
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

static void compare_process(const struct python *python, const char *script)
{
	struct pyr_target_options target_options = { .max_pause = 30 };
	struct pyr_python_options options = { .sysroot = *python->root ? python->root : NULL };
	struct subject *s = calloc(1, sizeof(*s));
	struct python_process process;
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *runtime;
	PYR_VEC(char *) lines = { 0 };
	size_t capacity = 0, i;
	char *line = NULL;
	bool ended = false;
	pyr_error *err;

	python_start(python, script, &process);
	while (!ended && getline(&line, &capacity, process.out) > 0) {
		ended = strcmp(line, "end\n") == 0;
		assert_true(pyr_vec_push(&lines, strdup(line)));
	}
	if (!ended)
		fail_msg("%s: the script ended early", python->name);
	pyr_control_init(&control);
	target_options.sysroot = options.sysroot;
	err = pyr_target_open_pid(&control, process.pid, &target_options, &target);
	if (!err)
		err = pyr_python_open(target, &options, &runtime);
	if (err)
		fail_msg("%s: %s", python->name, err->message);
	assert_null(pyr_types_create(runtime, &s->types));
	s->name = python->name;
	s->reader = &runtime->reader;
	for (i = 0; i < lines.count; i++) {
		compare_line(s, lines.data[i]);
		free(lines.data[i]);
	}
	print_message("%s: %u objects of %u types, %u reprs, %u attributes, %u entries\n",
		      python->name, s->tally.objects, s->tally.types, s->tally.reprs,
		      s->tally.attributes, s->tally.entries);
	assert_int_equal(s->tally.wrong, 0);
	assert_true(s->tally.types >= 60);
	assert_true(s->tally.reprs >= 150);
	assert_true(s->tally.attributes >= 8);
	assert_true(s->tally.entries >= 100);
	pyr_types_destroy(s->types);
	pyr_python_destroy(runtime);
	pyr_target_destroy(target);
	pyr_control_deinit(&control);
	python_finish(&process);
	pyr_vec_deinit(&lines);
	free(line);
	free(s);
}

static void test_what_cpython_says(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	char *script = read_script();

	(void)state;
	for (i = 0; i < count; i++)
		compare_process(&pythons[i], script);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_cpython_says) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
