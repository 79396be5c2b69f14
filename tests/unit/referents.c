#define _GNU_SOURCE
#include "referents.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "references/emulator.h"
#include "references/traverse.h"
#include "opened.h"

struct told {
	uint64_t *data;
	size_t count, capacity;
};

struct answer {
	struct told traversed, inferred;
};

static void add(struct told *t, uint64_t value)
{
	assert_true(pyr_vec_reserve(t, 1));
	t->data[t->count++] = value;
}

static void note(void *ctx, pyr_addr target, uint32_t label, uint64_t detail)
{
	struct answer *answer = ctx;

	(void)detail;
	if (label & PYR_REF_INFERRED) {
		/* A guess is never anything else. */
		assert_false(label & (PYR_REF_TRAVERSED | PYR_REF_OWNED));
		add(&answer->inferred, target);
	} else if (label & PYR_REF_TRAVERSED) {
		add(&answer->traversed, target);
	}
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

struct answers {
	struct pyr_types *types;
	struct pyr_traverse *traverse;
	struct pyr_emulator *emulator; /* for the second question; NULL: none to be had */
	uint64_t emulated, abandoned;
	struct pyr_reader reader;
	unsigned same, different, other, fallbacks;
	uint64_t guesses, wanted, guessed;
	bool (*may_fall_back)(const char *type);
	unsigned strange; /* types that fell back and may not */
};

static void fell_back(void *ctx, const struct pyr_type *type, const char *why)
{
	struct answers *a = ctx;

	a->fallbacks++;
	a->strange += a->may_fall_back && !a->may_fall_back(pyr_type_name(a->types, type));
	print_message("    by inference: %s: %s\n", pyr_type_name(a->types, type), why);
}

/* The same asked of the type's own code, whatever way was taken. @got is sorted. */
static void compare_emulated(struct answers *a, const struct pyr_type *type, pyr_addr addr,
			     const struct told *got, const char *name)
{
	struct pyr_emulated_call call;
	struct told emulated = {0};
	const char *why;
	size_t i;

	if (!a->emulator || !type->traverse)
		return;
	if (!pyr_emulator_traverse(a->emulator, type->traverse, addr, (uint64_t)type->basicsize,
				   &call, &why)) {
		if (a->abandoned++ < 10)
			print_message("    %s at 0x%" PRIx64 " is not emulated: %s\n", name, addr,
				      why);
		return;
	}
	a->emulated++;
	for (i = 0; i < call.visited_count; i++)
		add(&emulated, call.visited[i]);
	if (emulated.count)
		qsort(emulated.data, emulated.count, sizeof(uint64_t), by_value);
	if (emulated.count != got->count ||
	    (got->count && memcmp(emulated.data, got->data, got->count * sizeof(uint64_t)))) {
		a->different++;
		print_message("    %s at 0x%" PRIx64
			      ": %zu references, its tp_traverse visits %zu\n",
			      name, addr, got->count, emulated.count);
	}
	free(emulated.data);
}

static bool has(const struct told *t, uint64_t value)
{
	size_t i;

	for (i = 0; i < t->count; i++)
		if (t->data[i] == value)
			return true;
	return false;
}

/* Of an object whose references had to be guessed: what is told as certain is true, and so
 * many of the true ones are among the guesses. */
static void count_guesses(struct answers *a, const struct told *expected,
			  const struct answer *answer)
{
	size_t i;

	for (i = 0; i < answer->traversed.count; i++)
		a->different += !has(expected, answer->traversed.data[i]);
	a->guesses += answer->inferred.count;
	a->wanted += expected->count;
	for (i = 0; i < expected->count; i++)
		a->guessed += has(&answer->inferred, expected->data[i]) ||
			      has(&answer->traversed, expected->data[i]);
}

/* "ADDRESS TYPE REFERENT..." */
static void compare(struct answers *a, char *line, struct told *expected, struct answer *answer)
{
	struct told *got = &answer->traversed;
	const struct pyr_layout *l = &pyr_types_python(a->types)->layout;
	const struct pyr_type *type;
	enum pyr_traverse_method way;
	pyr_addr addr, type_addr;
	char *at = line, *end, *name;
	uint64_t value;

	addr = strtoull(line, &at, 10);
	name = strtok_r(at, " \n", &at);
	assert_non_null(name);
	expected->count = got->count = answer->inferred.count = 0;
	for (;;) {
		value = strtoull(at, &end, 10);
		if (end == at)
			break;
		at = end;
		add(expected, value);
	}
	/* Made by the questions themselves: at its address the copy has something else. */
	if (!pyr_try_u64(&a->reader, addr + (pyr_addr)pyr_offset(l, PyObject, ob_type),
			 &type_addr) ||
	    !(type = pyr_types_get(a->types, &a->reader, type_addr))) {
		a->other++;
		return;
	}
	way = pyr_traverse_walk(a->traverse, &a->reader, type, addr, note, answer);
	if (expected->count)
		qsort(expected->data, expected->count, sizeof(uint64_t), by_value);
	if (got->count)
		qsort(got->data, got->count, sizeof(uint64_t), by_value);
	if (way == PYR_WAY_NATIVE || way == PYR_WAY_LEARNED)
		compare_emulated(a, type, addr, got, name);
	if (way == PYR_WAY_INFERRED) {
		/* Its references are in C structs, which nobody can guess. */
		if (strcmp(name, "cext.Chain"))
			count_guesses(a, expected, answer);
	} else if (expected->count == got->count &&
		   (!got->count ||
		    !memcmp(expected->data, got->data, got->count * sizeof(uint64_t)))) {
		a->same++;
	} else {
		a->different++;
		print_message("    %s at 0x%" PRIx64
			      ": %zu references, gc.get_referents() says %zu\n",
			      name, addr, got->count, expected->count);
	}
}

/* Types must be known before the plans are made: of the object, and of its referents. */
static void know_types(struct answers *a, const char *line)
{
	const struct pyr_layout *l = &pyr_types_python(a->types)->layout;
	uint64_t addr, type;
	char *end;

	for (addr = strtoull(line, &end, 10);; addr = strtoull(line, &end, 10)) {
		if (end == line)
			break;
		if (pyr_try_u64(&a->reader, addr + (pyr_addr)pyr_offset(l, PyObject, ob_type),
				&type))
			pyr_types_get(a->types, &a->reader, type);
		line = end;
		if (*line == ' ' && line[1] != '\n' && (line[1] < '0' || line[1] > '9')) {
			line = strchr(line + 1, ' '); /* the type's name */
			if (!line)
				break;
		}
	}
}

/* A core of the copy, made by gdb; then @directory goes. The caller frees the path. */
static char *core_without(pid_t pid, const char *directory)
{
	char *path, *command;

	assert_true(asprintf(&path, "%s.core", directory) > 0);
	assert_true(asprintf(&command,
			     "gdb --batch -nx -p %d -ex 'generate-core-file %s' >%s.log 2>&1; "
			     "rm -rf %s %s.log; test -s %s",
			     (int)pid, path, path, directory, path, path) > 0);
	assert_int_equal(system(command), 0);
	free(command);
	return path;
}

void referents_check(const struct python *python, const char *script, const char *input,
		     const struct referents_removed *removed, struct referents *ret)
{
	struct told expected = {0};
	struct answer got = {{0}, {0}};
	struct answers a = {.may_fall_back = removed ? removed->may_fall_back : NULL};
	PYR_VEC(char *) lines = {0};
	struct python_process process;
	const struct pyr_target_options options = {.sysroot =
							   python->root[0] ? python->root : NULL};
	struct opened o;
	const uint64_t *walk_cache;
	const char *why;
	uint64_t cut;
	char *line = NULL, *core = NULL;
	size_t capacity = 0, i;
	pid_t copy;

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
	if (removed)
		core = core_without(copy, removed->directory);
	if (core)
		opened_core(&o, core, &options);
	else
		opened_process(&o, python, copy);
	a.types = o.types;
	pyr_reader_init(&a.reader, o.target);
	for (i = 0; i < lines.count; i++)
		know_types(&a, lines.data[i]);
	assert_null(pyr_traverse_create(a.types, &a.traverse));
	assert_null(pyr_emulator_create(o.target, &a.emulator, &why));
	for (i = 0; i < lines.count; i++) {
		compare(&a, lines.data[i], &expected, &got);
		free(lines.data[i]);
	}
	walk_cache = pyr_traverse_counts(a.traverse);
	print_message(
		"  %s: %u of %zu objects equal; native %" PRIu64 ", learned %" PRIu64
		", emulated %" PRIu64 ", inferred %" PRIu64 "%s%s\n",
		python->name, a.same, lines.count, walk_cache[PYR_WAY_NATIVE],
		walk_cache[PYR_WAY_LEARNED], walk_cache[PYR_WAY_EMULATED],
		walk_cache[PYR_WAY_INFERRED], pyr_traverse_no_emulation(a.traverse) ? ": " : "",
		pyr_traverse_no_emulation(a.traverse) ? pyr_traverse_no_emulation(a.traverse) : "");
	if (a.emulator)
		print_message("    of those not emulated %" PRIu64
			      " were emulated too, and equal; %" PRIu64 " could not be\n",
			      a.emulated, a.abandoned);
	pyr_traverse_fallbacks(a.traverse, fell_back, &a);
	if (walk_cache[PYR_WAY_INFERRED])
		print_message("    %.2f %% of the objects by inference: %" PRIu64
			      " words guessed; of %" PRIu64 " references %" PRIu64
			      " are among them\n",
			      100.0 * (double)walk_cache[PYR_WAY_INFERRED] / (double)lines.count,
			      a.guesses, a.wanted, a.guessed);
	*ret = (struct referents){.same = a.same,
				  .different = a.different,
				  .inferred = walk_cache[PYR_WAY_INFERRED],
				  .fallbacks = a.fallbacks,
				  .strange = a.strange,
				  .emulated = a.emulated,
				  .abandoned = a.abandoned,
				  .wanted = a.wanted,
				  .guessed = a.guessed,
				  .emulation = !pyr_traverse_no_emulation(a.traverse)};
	fprintf(process.in, "\n");
	fflush(process.in);
	python_finish(&process);
	pyr_emulator_destroy(a.emulator);
	pyr_traverse_destroy(a.traverse);
	pyr_reader_deinit(&a.reader);
	opened_close(&o);
	pyr_vec_deinit(&lines);
	free(expected.data);
	free(got.traversed.data);
	free(got.inferred.data);
	if (core)
		unlink(core);
	free(core);
	free(line);
}
