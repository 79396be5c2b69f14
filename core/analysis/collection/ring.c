#include "analysis/collection/ring.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "values/object.h"

#define RING_MAX 1000u /* longer ones are cut */
#define RING_SHOWN 10u

static const char *const backlinks[] = {
#define BACKLINK(name) name,
#include "analysis/retention/backlinks.def"
#undef BACKLINK
};
#define BACKLINKS (sizeof(backlinks) / sizeof(*backlinks))

void pyr_ring_deinit(struct pyr_ring *ring)
{
	size_t i;

	for (i = 0; i < ring->links.count; i++)
		free(ring->links.data[i].edge);
	pyr_vec_deinit(&ring->links);
	pyr_vec_deinit(&ring->steps);
}

/* Is it something that merely holds others by number or key? */
static bool is_container(const struct pyr_type *type)
{
	switch (type->shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_TUPLE:
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_SET:
	case PYR_SHAPE_FROZENSET:
	case PYR_SHAPE_DEQUE:
	case PYR_SHAPE_ODICT:
	case PYR_SHAPE_DEFAULTDICT:
		return type->exact_shape;
	default:
		return false;
	}
}

/* How good a place to begin: an instance of a program's own class, then anything that a
 * name does not pass over. */
static unsigned start_rank(const struct pyr_type *type)
{
	if (pyr_display_fold_may_pass(type))
		return 4;
	if (is_container(type))
		return 3;
	if (type->shape == PYR_SHAPE_FUNCTION || type->shape == PYR_SHAPE_TRACEBACK)
		return 2;
	return type->heap && type->shape != PYR_SHAPE_BASE_EXCEPTION ? 0 : 1;
}

static pyr_error *find_steps(struct pyr_model *model, const uint32_t *objects, size_t count,
			     struct pyr_ring *ring)
{
	struct pyr_heap *heap = model->heap;
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	size_t i, start = 0;
	const struct pyr_type *type;
	struct pyr_step step;
	unsigned rank, best = 5;

	for (i = 0; i < count; i++) {
		rank = start_rank(pyr_types_at(heap->types, heap->type[objects[i]]));
		if (rank < best) {
			best = rank;
			start = i;
		}
	}
	if (count > RING_MAX) {
		ring->left_out = count - RING_SHOWN;
		start = 0;
	}
	for (i = 0; i + (ring->left_out ? ring->left_out + 1 : 0) < count; i++) {
		uint32_t from = objects[(start + i) % count], to = objects[(start + i + 1) % count];

		type = pyr_types_at(heap->types, heap->type[from]);
		if (!pyr_step_find(model->traverse, reader, type, heap->address[from],
				   heap->address[to], &step, NULL))
			return pyr_error_create_at(PYR_E_UNREADABLE, heap->address[from],
						   "0x%llx does not hold 0x%llx any more",
						   (unsigned long long)heap->address[from],
						   (unsigned long long)heap->address[to]);
		if (!pyr_vec_push(&ring->steps, step))
			return pyr_error_no_memory();
	}
	return NULL;
}

/* `.children` and then `[0]` are one name, where something else is in the ring. */
static pyr_error *append_edge(struct pyr_ring_link *link, const char *more)
{
	size_t a = strlen(link->edge), b = strlen(more);
	char *grown = realloc(link->edge, a + b + 1);

	if (!grown)
		return pyr_error_no_memory();
	memcpy(grown + a, more, b + 1);
	link->edge = grown;
	return NULL;
}

static pyr_error *fold_steps(struct pyr_types *types, struct pyr_reader *reader,
			     struct pyr_ring *ring)
{
	struct pyr_display display;
	struct pyr_ring_link *last;
	pyr_error *err;
	bool element;
	size_t i;

	err = pyr_display_fold(types, reader, ring->steps.data, ring->steps.count, false, &display);
	if (err)
		return err;
	for (i = 0; i < display.steps.count && !err; i++) {
		struct pyr_display_step *shown = &display.steps.data[i];
		const struct pyr_step *step = &ring->steps.data[shown->first];
		struct pyr_ring_link link = {.object = step->owner,
					     .type = step->type,
					     .edge = shown->edge,
					     .first = shown->first,
					     .count = shown->count};

		last = i ? &ring->links.data[ring->links.count - 1] : NULL;
		element = !strcmp(shown->edge, "element");
		if (last && is_container(step->type) && (shown->edge[0] == '[' || element) &&
		    last->edge[0] == '.') {
			err = element ? append_edge(last, " ") : NULL;
			if (!err)
				err = append_edge(last, shown->edge);
			last->count += shown->count;
			continue;
		}
		if (!pyr_vec_push(&ring->links, link))
			err = pyr_error_no_memory();
		else
			shown->edge = NULL; /* the link's now */
	}
	pyr_display_deinit(&display);
	return err;
}

/* The last object shown of a long ring leads on through those that are not. */
static pyr_error *add_gap(struct pyr_types *types, struct pyr_reader *reader, struct pyr_ring *ring)
{
	const struct pyr_step *step = &ring->steps.data[ring->steps.count - 1];
	struct pyr_ring_link link = {.object = step->target, .first = ring->steps.count};
	struct pyr_strbuf text = {0};
	struct pyr_object_header header;
	pyr_error *err;

	if ((err = pyr_object_header(types, reader, step->target, &header)))
		return err;
	link.type = header.type;
	pyr_strbuf_printf(&text, "… %zu more objects …", ring->left_out);
	link.edge = pyr_strbuf_take(&text);
	if (link.edge && pyr_vec_push(&ring->links, link))
		return NULL;
	free(link.edge);
	return pyr_error_no_memory();
}

/* --- what kind of ring --- */

struct parts {
	bool exception, frame, function, cell, defaults, method, generator, class;
};

static void note_part(struct parts *p, const struct pyr_step *step)
{
	switch (step->type->shape) {
	case PYR_SHAPE_BASE_EXCEPTION:
	case PYR_SHAPE_TRACEBACK:
		p->exception = true;
		break;
	case PYR_SHAPE_FRAME:
		p->frame = true;
		break;
	case PYR_SHAPE_FUNCTION:
		p->function = true;
		break;
	case PYR_SHAPE_CELL:
		p->cell = true;
		break;
	case PYR_SHAPE_METHOD:
		p->method = true;
		break;
	case PYR_SHAPE_GENERATOR:
	case PYR_SHAPE_COROUTINE:
	case PYR_SHAPE_ASYNC_GENERATOR:
		p->generator = true;
		break;
	case PYR_SHAPE_TYPE:
		p->class = true;
		break;
	default:
		break;
	}
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* A plain attribute: ".parent". */
static bool is_attribute(const char *edge)
{
	return edge[0] == '.' && edge[1] && !strpbrk(edge + 1, ".[ ");
}

static size_t backlink_rank(const char *edge)
{
	size_t i, n, length;

	if (!is_attribute(edge))
		return BACKLINKS;
	edge += strspn(edge, "._");
	length = strlen(edge);
	for (i = 0; i < BACKLINKS; i++) {
		n = strlen(backlinks[i]);
		if (length < n)
			continue;
		if ((begins(edge, backlinks[i]) &&
		     (edge[n] == '\0' || edge[n] == '_' || isupper((unsigned char)edge[n]))) ||
		    (length > n && !strcmp(edge + length - n, backlinks[i]) &&
		     edge[length - n - 1] == '_'))
			return i;
	}
	return BACKLINKS;
}

static size_t find_link(const struct pyr_ring *ring, const char *prefix)
{
	size_t i;

	for (i = 0; i < ring->links.count; i++)
		if (begins(ring->links.data[i].edge, prefix))
			return i;
	return SIZE_MAX;
}

static size_t find_step_of(const struct pyr_ring *ring, enum pyr_shape shape)
{
	const struct pyr_ring_link *link;
	size_t i, k;

	for (i = 0; i < ring->links.count; i++) {
		link = &ring->links.data[i];
		for (k = link->first; k < link->first + link->count; k++)
			if (ring->steps.data[k].type->shape == shape)
				return i;
	}
	return SIZE_MAX;
}

static bool all_alike(const struct pyr_ring *ring)
{
	size_t i;

	for (i = 1; i + (ring->left_out != 0) < ring->links.count; i++)
		if (ring->links.data[i].type != ring->links.data[0].type ||
		    strcmp(ring->links.data[i].edge, ring->links.data[0].edge) != 0)
			return false;
	return true;
}

/* The back reference: by its name; else, of two links, the one that leads from one of
 * many to the one. */
static size_t find_backlink(const struct pyr_ring *ring)
{
	size_t i, rank, best = BACKLINKS, found = SIZE_MAX;
	const struct pyr_ring_link *l = ring->links.data;
	bool many[2];

	for (i = 0; i < ring->links.count; i++) {
		rank = backlink_rank(l[i].edge);
		if (rank < best) {
			best = rank;
			found = i;
		}
	}
	if (found != SIZE_MAX || ring->links.count != 2)
		return found;
	for (i = 0; i < 2; i++)
		many[i] = strchr(l[i].edge, '[') != NULL;
	if (many[0] != many[1] && is_attribute(l[many[0]].edge))
		return many[0];
	return SIZE_MAX;
}

static void classify(struct pyr_ring *ring)
{
	struct parts p = {0};
	size_t i;

	for (i = 0; i < ring->steps.count; i++)
		note_part(&p, &ring->steps.data[i]);
	ring->weak = SIZE_MAX;
	if (p.class) {
		ring->kind = PYR_RING_CLASS;
	} else if (p.exception && p.frame) {
		ring->kind = PYR_RING_EXCEPTION;
	} else if (p.generator) {
		ring->kind = PYR_RING_GENERATOR;
	} else if (p.frame) {
		ring->kind = PYR_RING_FRAME;
	} else if (p.function && (ring->weak = find_link(ring, "closure cell")) != SIZE_MAX) {
		ring->kind = PYR_RING_CLOSURE;
	} else if (p.function && (ring->weak = find_link(ring, "default argument")) != SIZE_MAX) {
		ring->kind = PYR_RING_DEFAULT;
	} else if (p.method) {
		ring->kind = PYR_RING_METHOD;
		ring->weak = find_step_of(ring, PYR_SHAPE_METHOD);
	} else if (ring->links.count == 1) {
		ring->kind = is_container(ring->links.data[0].type) ? PYR_RING_CONTAINER
								    : PYR_RING_ITSELF;
		ring->weak = ring->kind == PYR_RING_ITSELF ? 0 : SIZE_MAX;
	} else if (all_alike(ring)) {
		ring->kind = ring->links.count == 2 ? PYR_RING_MUTUAL : PYR_RING_ALIKE;
		ring->weak = ring->links.count - 1;
	} else if (!ring->left_out && (ring->weak = find_backlink(ring)) != SIZE_MAX) {
		ring->kind = PYR_RING_BACK;
	} else {
		ring->kind = PYR_RING_GENERAL;
	}
}

static int compare_from(struct pyr_types *types, const struct pyr_ring *ring, size_t a, size_t b)
{
	const struct pyr_ring_link *x, *y;
	size_t i, n = ring->links.count;
	int order;

	for (i = 0; i < n; i++) {
		x = &ring->links.data[(a + i) % n];
		y = &ring->links.data[(b + i) % n];
		if ((order = strcmp(pyr_type_name(types, x->type),
				    pyr_type_name(types, y->type))) ||
		    (order = strcmp(x->edge, y->edge)))
			return order;
	}
	return 0;
}

/* Begin with whom the weak link leads to; with an instance of a class that keeps an
 * exception or a function; else where names come first. */
static pyr_error *turn(struct pyr_types *types, struct pyr_ring *ring)
{
	size_t i, n = ring->links.count, start = 0;
	struct pyr_ring_link *turned;
	unsigned rank, best = 5;

	if (ring->left_out)
		return NULL;
	if (ring->kind == PYR_RING_BACK || ring->kind == PYR_RING_CLOSURE ||
	    ring->kind == PYR_RING_DEFAULT) {
		start = (ring->weak + 1) % n;
	} else {
		for (i = 0; i < n; i++) {
			rank = start_rank(ring->links.data[i].type);
			if (rank < best ||
			    (rank == best && compare_from(types, ring, i, start) < 0)) {
				best = rank;
				start = i;
			}
		}
	}
	turned = malloc(n * sizeof(*turned));
	if (!turned)
		return pyr_error_no_memory();
	for (i = 0; i < n; i++)
		turned[i] = ring->links.data[(start + i) % n];
	memcpy(ring->links.data, turned, n * sizeof(*turned));
	free(turned);
	if (ring->weak != SIZE_MAX)
		ring->weak = (ring->weak + n - start) % n;
	if (ring->kind == PYR_RING_MUTUAL || ring->kind == PYR_RING_ALIKE)
		ring->weak = n - 1;
	return NULL;
}

pyr_error *pyr_ring_make(struct pyr_model *model, const uint32_t *objects, size_t count,
			 struct pyr_ring *ret)
{
	struct pyr_types *types = model->heap->types;
	struct pyr_ring ring = {.weak = SIZE_MAX};
	pyr_error *err;

	if (!(err = find_steps(model, objects, count, &ring)) &&
	    !(err = fold_steps(types, &pyr_types_python(types)->reader, &ring)) &&
	    (!ring.left_out || !(err = add_gap(types, &pyr_types_python(types)->reader, &ring)))) {
		classify(&ring);
		err = turn(types, &ring);
	}
	if (err) {
		pyr_ring_deinit(&ring);
		return err;
	}
	*ret = ring;
	return NULL;
}
