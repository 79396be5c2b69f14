/* Names of references, and chains of them folded, against what references.py expects, in every
 * CPython here. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "names/display_fold.h"
#include "opened.h"
#include "runtime/access.h"

struct asked {
	const struct python *python;
	struct opened o;
	struct pyr_types *types;
	struct pyr_traverse *traverse;
	struct pyr_reader reader;
	unsigned right, wrong;
};

static const struct pyr_type *type_of(struct asked *a, pyr_addr object)
{
	uint64_t type;

	return pyr_get_u64(&a->o.python->layout, &a->reader, object, PyObject, ob_type, &type)
		       ? pyr_types_get(a->types, &a->reader, type)
		       : NULL;
}

/* Types must be known before the plans are made. */
static void learn_types(struct asked *a, const char *line)
{
	const char *at = strrchr(line, '|') + 1;
	pyr_addr object;
	char *end;

	while ((object = strtoull(at, &end, 10)), end != at) {
		type_of(a, object);
		at = end;
	}
}

/* "raw|fold NAME > NAME|ADDRESS ADDRESS ..." */
static void compare(struct asked *a, char *line)
{
	bool raw = !strncmp(line, "raw ", 4);
	char *names = strchr(line, ' ') + 1, *at = strrchr(line, '|'), *end;
	struct pyr_step steps[16];
	struct pyr_display display;
	struct pyr_strbuf text = {0};
	pyr_addr chain[17];
	size_t count = 0, i;

	assert_non_null(at);
	*at++ = '\0';
	for (;;) {
		chain[count] = strtoull(at, &end, 10);
		if (end == at)
			break;
		at = end;
		assert_true(++count < 17);
	}
	assert_true(count > 1);
	for (i = 0; i + 1 < count; i++)
		if (!type_of(a, chain[i]) ||
		    !pyr_step_find(a->traverse, &a->reader, type_of(a, chain[i]), chain[i],
				   chain[i + 1], &steps[i], NULL)) {
			print_message("    %s: 0x%" PRIx64 " holds no 0x%" PRIx64 "\n", names,
				      chain[i], chain[i + 1]);
			a->wrong++;
			return;
		}
	assert_null(pyr_display_fold(a->types, &a->reader, steps, count - 1, raw, &display));
	for (i = 0; i < display.steps.count; i++) {
		pyr_strbuf_add(&text, i ? " > " : "");
		pyr_strbuf_add(&text, display.steps.data[i].edge);
	}
	if (!strcmp(names, pyr_strbuf_str(&text))) {
		a->right++;
	} else {
		print_message("    %s: %s is written %s\n", raw ? "raw" : "fold", names,
			      pyr_strbuf_str(&text));
		a->wrong++;
	}
	pyr_strbuf_deinit(&text);
	pyr_display_deinit(&display);
}

static void ask(const struct python *python, const char *script)
{
	struct asked a = {.python = python};
	PYR_VEC(char *) lines = {0};
	struct python_process process;
	size_t capacity = 0, i;
	char *line = NULL;

	python_start(python, script, &process);
	while (getline(&line, &capacity, process.out) > 0 && strcmp(line, "end\n") != 0)
		assert_true(pyr_vec_push(&lines, strdup(line)));
	if (strcmp(line, "end\n") != 0)
		fail_msg("%s: references.py failed", python->name);
	opened_process(&a.o, python, process.pid);
	a.types = a.o.types;
	pyr_reader_init(&a.reader, a.o.target);
	for (i = 0; i < lines.count; i++)
		learn_types(&a, lines.data[i]);
	assert_null(pyr_traverse_create(a.types, &a.traverse));
	for (i = 0; i < lines.count; i++) {
		compare(&a, lines.data[i]);
		free(lines.data[i]);
	}
	print_message("  %s: %u names right, %u wrong%s%s\n", python->name, a.right, a.wrong,
		      pyr_traverse_no_emulation(a.traverse) ? "; no emulation: " : "",
		      pyr_traverse_no_emulation(a.traverse) ? pyr_traverse_no_emulation(a.traverse)
							    : "");
	assert_int_equal(a.wrong, 0);
	assert_true(a.right > 60);
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
	pyr_traverse_destroy(a.traverse);
	pyr_reader_deinit(&a.reader);
	opened_close(&a.o);
	pyr_vec_deinit(&lines);
	free(line);
}

static void names_are_those_that_people_expect(void **state)
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;
	char *script = program_text("debuggees/references.py");

	(void)state;
	assert_true(count > 0);
	for (i = 0; i < count; i++)
		ask(&pythons[i], script);
	free(script);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(names_are_those_that_people_expect)};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
