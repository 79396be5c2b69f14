#include "referents.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "heap/holdings.h"

struct told {
	uint64_t *data;
	size_t count, capacity;
};

static void note(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct told *t = ctx;

	(void)detail;
	if (!(label & PYR_REF_TRAVERSED))
		return;
	assert_true(pyr_vec_reserve(t, 1));
	t->data[t->count++] = target;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct answers {
	struct pyr_types *types;
	struct pyr_holdings *holdings;
	struct pyr_reader reader;
	unsigned same, different, other, fallbacks;
};

static void fell_back(void *ctx, const struct pyr_type *type, const char *why)
{
	struct answers *a = ctx;

	a->fallbacks++;
	print_message("    by inference: %s: %s\n", pyr_type_name(a->types, type), why);
}

/* "ADDRESS TYPE REFERENT..." */
static void compare(struct answers *a, char *line, struct told *expected, struct told *got)
{
	const struct pyr_layout *l = &pyr_types_python(a->types)->layout;
	const struct pyr_type *type;
	enum pyr_way way;
	pyr_addr addr, type_addr;
	char *at = line, *end, *name;
	uint64_t value;

	addr = strtoull(line, &at, 10);
	name = strtok_r(at, " \n", &at);
	assert_non_null(name);
	expected->count = got->count = 0;
	for (;;) {
		value = strtoull(at, &end, 10);
		if (end == at)
			break;
		at = end;
		assert_true(pyr_vec_reserve(expected, 1));
		expected->data[expected->count++] = value;
	}
	/* Made by the questions themselves: at its address the copy has something else. */
	if (!pyr_try_u64(&a->reader, addr + (pyr_addr)pyr_offset(l, PyObject, ob_type),
			 &type_addr) ||
	    !(type = pyr_types_get(a->types, &a->reader, type_addr))) {
		a->other++;
		return;
	}
	way = pyr_holdings_walk(a->holdings, &a->reader, type, addr, note, got);
	if (expected->count)
		qsort(expected->data, expected->count, sizeof(uint64_t), by_value);
	if (got->count)
		qsort(got->data, got->count, sizeof(uint64_t), by_value);
	if (expected->count == got->count &&
	    (!got->count || !memcmp(expected->data, got->data, got->count * sizeof(uint64_t)))) {
		a->same++;
	} else if (way == PYR_WAY_INFERRED) {
		/* Guesses are not traversed references; which types are told below. */
		a->other++;
	} else {
		a->different++;
		print_message("    %s at 0x%" PRIx64
			      ": %zu references, gc.get_referents() says %zu\n",
			      name, addr, got->count, expected->count);
	}
}

/* Types must be known before the plans are made. */
static void open_target(pid_t pid, struct pyr_control *control, const struct python *python,
			struct pyr_target **target, struct pyr_python **cpython, struct answers *a)
{
	struct pyr_target_options options = {.sysroot = python->root[0] ? python->root : NULL,
					     .max_pause = 5};
	struct pyr_python_options how = {.sysroot = options.sysroot};
	pyr_error *err;

	if ((err = pyr_target_open_pid(control, pid, &options, target)) ||
	    (err = pyr_python_open(*target, &how, cpython)) ||
	    (err = pyr_types_create(*cpython, &a->types)))
		fail_msg("%s: %s", python->name, err->message);
	pyr_reader_init(&a->reader, *target);
}

void referents_check(const struct python *python, const char *script, const char *input,
		     struct referents *ret)
{
	struct told expected = {0}, got = {0};
	struct answers a = {0};
	PYR_VEC(char *) lines = {0};
	struct python_process process;
	struct pyr_control control;
	struct pyr_target *target;
	struct pyr_python *cpython;
	const uint64_t *ways;
	uint64_t type_addr, cut;
	char *line = NULL;
	size_t capacity = 0, i;
	pid_t copy;

	pyr_control_init(&control);
	python_start(python, script, &process);
	if (input) {
		fprintf(process.in, "%s\n", input);
		fflush(process.in);
	}
	assert_true(getline(&line, &capacity, process.out) > 0);
	copy = (pid_t)atoi(line);
	cut = strtoull(strchr(line, ' '), NULL, 10);
	assert_true(copy > 0);
	while (getline(&line, &capacity, process.out) > 0 && strncmp(line, "referrers", 9) != 0)
		if (strtoull(line, NULL, 10) != cut)
			assert_true(pyr_vec_push(&lines, strdup(line)));
	while (strcmp(line, "end\n") != 0)
		assert_true(getline(&line, &capacity, process.out) > 0);
	assert_true(lines.count > 5000);
	open_target(copy, &control, python, &target, &cpython, &a);
	for (i = 0; i < lines.count; i++)
		if (pyr_try_u64(&a.reader,
				strtoull(lines.data[i], NULL, 10) +
					(pyr_addr)pyr_offset(&cpython->layout, PyObject, ob_type),
				&type_addr))
			pyr_types_get(a.types, &a.reader, type_addr);
	assert_null(pyr_holdings_create(a.types, &a.holdings));
	for (i = 0; i < lines.count; i++) {
		compare(&a, lines.data[i], &expected, &got);
		free(lines.data[i]);
	}
	ways = pyr_holdings_counts(a.holdings);
	print_message("  %s: %u of %zu objects equal; native %" PRIu64 ", learnt %" PRIu64
		      ", emulated %" PRIu64 ", inferred %" PRIu64 "%s%s\n",
		      python->name, a.same, lines.count, ways[PYR_WAY_NATIVE],
		      ways[PYR_WAY_LEARNED], ways[PYR_WAY_EMULATED], ways[PYR_WAY_INFERRED],
		      pyr_holdings_no_emulation(a.holdings) ? ": " : "",
		      pyr_holdings_no_emulation(a.holdings) ? pyr_holdings_no_emulation(a.holdings)
							    : "");
	pyr_holdings_fallbacks(a.holdings, fell_back, &a);
	*ret = (struct referents){.same = a.same,
				  .different = a.different,
				  .inferred = ways[PYR_WAY_INFERRED],
				  .fallbacks = a.fallbacks,
				  .emulation = !pyr_holdings_no_emulation(a.holdings)};
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
	pyr_holdings_destroy(a.holdings);
	pyr_reader_deinit(&a.reader);
	pyr_types_destroy(a.types);
	pyr_python_destroy(cpython);
	pyr_target_destroy(target);
	pyr_control_deinit(&control);
	pyr_vec_deinit(&lines);
	free(expected.data);
	free(got.data);
	free(line);
}
