#include "analysis/census/find.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "pymalloc/obmalloc.h"

#define TEXT_MAX 4096 /* code points of a str that an attribute's expression sees */

struct expression {
	bool given;
	regex_t regex;
};

struct query {
	struct pyr_heap *heap;
	struct pyr_reader *reader;
	const struct pyr_find_options *options;
	struct expression type, repr, value;
	char *name;       /* of the attribute; owned */
	uint8_t *verdict; /* by type index: 0 not asked, 1 matches, 2 does not */
	uint32_t verdicts;
	pyr_addr start, end; /* `in` */
};

static pyr_error *compile(const char *what, const char *text, struct expression *ret)
{
	char message[160];
	int code;

	if (!text)
		return NULL;
	code = regcomp(&ret->regex, text, REG_EXTENDED | REG_NOSUB);
	if (code) {
		regerror(code, &ret->regex, message, sizeof(message));
		return pyr_error_create(PYR_E_USAGE, "%s: bad regular expression \"%s\": %s", what,
					text, message);
	}
	ret->given = true;
	return NULL;
}

static bool matches(const struct expression *e, const char *text)
{
	return regexec(&e->regex, text, 0, NULL, 0) == 0;
}

static pyr_error *parse_attribute(struct query *q, const char *text)
{
	const char *equals;

	if (!text)
		return NULL;
	equals = strchr(text, '=');
	q->name = equals ? strndup(text, (size_t)(equals - text)) : strdup(text);
	if (!q->name)
		return pyr_error_no_memory();
	if (!*q->name)
		return pyr_error_create(PYR_E_USAGE, "--attr needs NAME or NAME=REGEX, not \"%s\"",
					text);
	return compile("--attr", equals ? equals + 1 : NULL, &q->value);
}

static pyr_error *locate(struct query *q, pyr_addr addr)
{
	const struct pyr_arena *arena = pyr_obmalloc_arena_at(q->heap->obmalloc, addr);
	const struct pyr_mapping *mapping;

	if (arena) {
		q->start = arena->address;
		q->end = arena->end;
		return NULL;
	}
	mapping = pyr_target_mapping_at(q->reader->target, addr);
	if (!mapping)
		return pyr_error_create_at(PYR_E_UNREADABLE, addr,
					   "0x%llx is in no mapping of the target",
					   (unsigned long long)addr);
	q->start = mapping->start;
	q->end = mapping->end;
	return NULL;
}

static bool type_matches(struct query *q, uint32_t index)
{
	if (!q->type.given)
		return true;
	if (index >= q->verdicts)
		return false;
	if (!q->verdict[index])
		q->verdict[index] =
			matches(&q->type,
				pyr_type_name(q->heap->types, pyr_types_at(q->heap->types, index)))
				? 1
				: 2;
	return q->verdict[index] == 1;
}

static bool repr_matches(struct query *q, const struct expression *e, pyr_addr object)
{
	struct pyr_strbuf text = {0};
	bool found;

	pyr_object_repr(q->heap->types, q->reader, object, NULL, &text);
	found = matches(e, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
	return found;
}

static bool value_matches(struct query *q, pyr_addr value)
{
	struct pyr_object_header header;
	pyr_error *err;
	char *text;
	bool found;

	if (!q->value.given)
		return true;
	err = pyr_object_header(q->heap->types, q->reader, value, &header);
	if (!err && header.type->shape == PYR_SHAPE_STR) {
		err = pyr_str_utf8(q->heap->types, q->reader, value, TEXT_MAX, &text, NULL);
		if (!err) {
			found = matches(&q->value, text);
			free(text);
			return found;
		}
	}
	pyr_error_destroy(err);
	return repr_matches(q, &q->value, value);
}

static bool object_matches(struct query *q, uint32_t id, struct pyr_find_match *match)
{
	const struct pyr_find_options *o = q->options;
	struct pyr_heap *h = q->heap;
	const struct pyr_type *type;
	pyr_addr value;
	pyr_error *err;

	if ((o->only && !o->only[id]) ||
	    (o->generation >= 0 && h->generation[id] != (uint8_t)o->generation) ||
	    (o->has_in && (h->address[id] < q->start || h->address[id] >= q->end)) ||
	    (o->overheld && pyr_ledger_remainder(o->overheld, id) <= 0) ||
	    (o->underheld && pyr_ledger_remainder(o->underheld, id) >= 0) ||
	    !type_matches(q, h->type[id]))
		return false;
	type = pyr_types_at(h->types, h->type[id]);
	match->id = id;
	err = pyr_object_size(h->types, q->reader, type, h->address[id], &match->size,
			      &match->exact_size);
	if (err) {
		pyr_error_destroy(err);
		match->size = type->basicsize > 0 ? (uint64_t)type->basicsize : 0;
		match->exact_size = false;
	}
	if (match->size < o->min_size)
		return false;
	if (q->name) {
		value = pyr_object_attribute(h->types, q->reader, h->address[id], q->name);
		if (!value || !value_matches(q, value))
			return false;
	}
	return !q->repr.given || repr_matches(q, &q->repr, h->address[id]);
}

/* The largest first, else by address. */
static int by_size(const void *x, const void *y)
{
	const struct pyr_find_match *a = x, *b = y;

	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	return a->id < b->id ? -1 : a->id > b->id;
}

static pyr_error *run(struct query *q, struct pyr_control *control, uint64_t limit,
		      bool (*fn)(void *ctx, const struct pyr_find_match *match), void *ctx,
		      struct pyr_find_result *ret)
{
	struct pyr_find_result result = {0};
	struct pyr_find_match match;
	bool more = true;
	pyr_error *err;
	uint32_t id;

	for (id = 0; id < q->heap->count; id++) {
		if (!(id & 0xfff) && ((err = pyr_control_progress(control, "looking at objects", id,
								  q->heap->count)) ||
				      (err = pyr_reader_check(q->reader))))
			return err;
		if (!object_matches(q, id, &match))
			continue;
		result.matches++;
		if (more && (!limit || result.matches - result.omitted <= limit))
			more = fn(ctx, &match);
		else
			result.omitted++;
	}
	*ret = result;
	return NULL;
}

struct sorted {
	PYR_VEC(struct pyr_find_match) matches;
	bool failed;
};

static bool gather(void *ctx, const struct pyr_find_match *match)
{
	struct sorted *sorted = ctx;

	if (!pyr_vec_push(&sorted->matches, *match))
		sorted->failed = true;
	return !sorted->failed;
}

static pyr_error *run_sorted(struct query *q, struct pyr_control *control,
			     bool (*fn)(void *ctx, const struct pyr_find_match *match), void *ctx,
			     struct pyr_find_result *ret)
{
	uint64_t limit = q->options->limit;
	struct sorted sorted = {.failed = false};
	struct pyr_find_result result;
	pyr_error *err;
	size_t i;

	err = run(q, control, 0, gather, &sorted, &result);
	if (!err && sorted.failed)
		err = pyr_error_no_memory();
	if (!err) {
		if (sorted.matches.count)
			qsort(sorted.matches.data, sorted.matches.count,
			      sizeof(*sorted.matches.data), by_size);
		for (i = 0; i < sorted.matches.count && (!limit || i < limit); i++)
			if (!fn(ctx, &sorted.matches.data[i]))
				break;
		result.omitted = sorted.matches.count - i;
		*ret = result;
	}
	pyr_vec_deinit(&sorted.matches);
	return err;
}

pyr_error *pyr_find_run(struct pyr_heap *heap, struct pyr_control *control,
			const struct pyr_find_options *options,
			bool (*fn)(void *ctx, const struct pyr_find_match *match), void *ctx,
			struct pyr_find_result *ret)
{
	struct query q = {.heap = heap, .options = options};
	pyr_error *err;

	q.reader = &pyr_types_python(heap->types)->reader;
	q.verdicts = pyr_types_count(heap->types);
	q.verdict = calloc(q.verdicts + 1, 1);
	if (!q.verdict)
		err = pyr_error_no_memory();
	else if (!(err = compile("--type", options->type, &q.type)) &&
		 !(err = compile("--repr", options->repr, &q.repr)) &&
		 !(err = parse_attribute(&q, options->attr)) &&
		 !(err = options->has_in ? locate(&q, options->in) : NULL))
		err = options->by_size ? run_sorted(&q, control, fn, ctx, ret)
				       : run(&q, control, options->limit, fn, ctx, ret);
	if (q.type.given)
		regfree(&q.type.regex);
	if (q.repr.given)
		regfree(&q.repr.regex);
	if (q.value.given)
		regfree(&q.value.regex);
	free(q.name);
	free(q.verdict);
	return err;
}
