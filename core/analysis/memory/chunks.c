#include "analysis/memory/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "base/search.h"

#define POINTERS 4096u /* a power of two */

struct chunk_work {
	const struct pyr_chunks_input *in;
	struct pyr_control *control;
	struct pyr_reader reader;
	struct pyr_chunks *ret;
	uint32_t id;   /* next object, by address */
	size_t buffer; /* next buffer */
	struct {
		uint32_t *slots; /* index + 1 into groups */
		size_t capacity;
	} table;
	/* Words that chunks begin with: do they point into an image? */
	struct {
		pyr_addr word, symbol;
		bool image;
	} pointers[POINTERS];
	uint64_t smallest_kept, steps;
	pyr_error *err;
};

static size_t hash(enum pyr_chunk_owner owner, uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ (uint64_t)owner << 60 ^ b << 48) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h >> 20);
}

static size_t slot_of(const struct chunk_work *w, enum pyr_chunk_owner owner, uint64_t a,
		      uint64_t b)
{
	size_t i = hash(owner, a, b) & (w->table.capacity - 1);
	const struct pyr_chunk_group *g;

	for (; w->table.slots[i]; i = (i + 1) & (w->table.capacity - 1)) {
		g = &w->ret->groups.data[w->table.slots[i] - 1];
		if (g->owner == owner && g->a == a && g->b == b)
			break;
	}
	return i;
}

static bool grow(struct chunk_work *w)
{
	size_t i, capacity = w->table.capacity ? w->table.capacity * 2 : 1024;
	uint32_t *slots = calloc(capacity, sizeof(*slots));
	const struct pyr_chunk_group *g;

	if (!slots)
		return false;
	free(w->table.slots);
	w->table.slots = slots;
	w->table.capacity = capacity;
	for (i = 0; i < w->ret->groups.count; i++) {
		g = &w->ret->groups.data[i];
		slots[slot_of(w, g->owner, g->a, g->b)] = (uint32_t)i + 1;
	}
	return true;
}

static struct pyr_chunk_group *group_of(struct chunk_work *w, const struct pyr_chunk *c)
{
	struct pyr_chunk_group fresh = {
		.owner = c->owner, .a = c->a, .b = c->b, .example_id = PYR_NO_ID};
	size_t i;

	if (w->ret->groups.count * 2 >= w->table.capacity && !grow(w))
		return NULL;
	i = slot_of(w, c->owner, c->a, c->b);
	if (!w->table.slots[i]) {
		if (!pyr_vec_push(&w->ret->groups, fresh))
			return NULL;
		w->table.slots[i] = (uint32_t)w->ret->groups.count;
	}
	return &w->ret->groups.data[w->table.slots[i] - 1];
}

static size_t size_class(uint64_t size)
{
	size_t class = 64;

	if (size <= 1024)
		return (size_t)((size + 15) / 16 - 1);
	while (class < PYR_CHUNK_SIZES - 1 && size > UINT64_C(2048) << (class - 64))
		class ++;
	return class;
}

static uint64_t class_limit(size_t class)
{
	return class < 64 ? (class + 1) * 16 : UINT64_C(2048) << (class - 64);
}

static bool begins_with_pointer(struct chunk_work *w, pyr_addr memory, uint64_t *ret)
{
	uint64_t word;
	size_t i;

	if (!pyr_try_u64(&w->reader, memory, &word) || word < 4096 || word % 8)
		return false;
	i = (size_t)(word >> 3 ^ word >> 15) & (POINTERS - 1);
	if (w->pointers[i].word != word) {
		const struct pyr_image *image = pyr_target_image_at(w->in->target, word);
		const char *name;
		uint64_t offset = 0;

		w->pointers[i].word = w->pointers[i].symbol = word;
		w->pointers[i].image = image != NULL;
		if (image && pyr_image_symbol_at(w->in->target, image, word, &name, &offset))
			w->pointers[i].symbol = word - offset;
	}
	*ret = w->pointers[i].symbol;
	return w->pointers[i].image;
}

/* A word that free() left behind: the link to a bin's head. */
static bool is_arena(const struct pyr_glibc *g, pyr_addr word)
{
	size_t i;

	for (i = 0; i < g->arenas.count && i < 64; i++)
		if (word - g->arenas.data[i].address < 4096)
			return true;
	return false;
}

/* struct link_map (include/link.h) begins with where the library lies, and is larger than
 * 1 KiB with what the linker keeps to itself. */
#define LINK_MAP_MIN 1000u

static bool is_link_map(struct chunk_work *w, const struct pyr_chunk *c)
{
	const struct pyr_image *image = pyr_target_image_at(w->in->target, c->a);
	uint64_t word;

	return image && c->size >= LINK_MAP_MIN && pyr_try_u64(&w->reader, c->memory, &word) &&
	       word == image->bias;
}

/* Whose [start, end) is. Chunks come in order of address; objects and buffers are
 * passed along with them. */
static void owner_of(struct chunk_work *w, pyr_addr start, pyr_addr end, struct pyr_chunk *c)
{
	const struct pyr_heap *h = w->in->heap;
	const struct pyr_buffers *b = w->in->buffers;
	bool found = false;

	c->id = PYR_NO_ID;
	while (b && w->buffer < b->count && b->data[w->buffer].start < end) {
		const struct pyr_buffer *buffer = &b->data[w->buffer++];

		if (buffer->start < start || found)
			continue;
		found = true;
		c->id = buffer->owner;
		c->owner =
			buffer->owner == PYR_NO_ID ? PYR_CHUNK_OF_INTERPRETER : PYR_CHUNK_OF_BUFFER;
		c->a = buffer->owner == PYR_NO_ID ? 0 : h->type[buffer->owner];
		c->b = buffer->name;
	}
	while (h && w->id < h->count && h->address[w->id] < end) {
		uint32_t id = w->id++;

		if (h->address[id] < start || (found && c->owner == PYR_CHUNK_OF_OBJECT))
			continue;
		found = true;
		c->id = id;
		c->owner = PYR_CHUNK_OF_OBJECT;
		c->a = h->type[id];
		c->b = 0;
	}
	if (found)
		return;
	c->b = 0;
	c->owner = PYR_CHUNK_OF_SYMBOL;
	if (!begins_with_pointer(w, c->memory, &c->a) || is_arena(w->in->glibc, c->a)) {
		c->owner = PYR_CHUNK_OF_SIZE;
		c->a = class_limit(size_class(c->size));
	} else if (is_link_map(w, c)) {
		c->owner = PYR_CHUNK_OF_LOADER;
		c->a = 0;
	}
}

static void rewind_owners(struct chunk_work *w, pyr_addr addr)
{
	const struct pyr_heap *h = w->in->heap;

	w->id = (uint32_t)pyr_search(i, h ? h->count : 0, h->address[i] < addr);
	w->buffer = 0;
	if (w->in->buffers) {
		const struct pyr_buffer *b = pyr_buffers_from(w->in->buffers, addr);

		w->buffer = b ? (size_t)(b - w->in->buffers->data) : w->in->buffers->count;
	}
}

static int larger(const void *x, const void *y)
{
	const struct pyr_chunk *a = x, *b = y;

	if (a->size != b->size)
		return a->size > b->size ? -1 : 1;
	return a->memory < b->memory ? -1 : a->memory > b->memory;
}

/* Twice as many are collected as are kept, so that sorting is rare. */
static bool keep(struct chunk_work *w, const struct pyr_chunk *c)
{
	size_t limit = w->in->keep;

	if (!limit || c->size <= w->smallest_kept)
		return true;
	if (!pyr_vec_push(&w->ret->largest, *c))
		return false;
	if (w->ret->largest.count < 2 * limit)
		return true;
	qsort(w->ret->largest.data, w->ret->largest.count, sizeof(*c), larger);
	w->ret->largest.count = limit;
	w->smallest_kept = w->ret->largest.data[limit - 1].size;
	return true;
}

static bool in_use(struct chunk_work *w, pyr_addr memory, uint64_t size, bool mapped)
{
	struct pyr_chunk c = {.memory = memory, .size = size, .mapped = mapped};
	struct pyr_chunk_group *group;
	struct pyr_chunk_size *s = &w->ret->sizes[size_class(size)];

	owner_of(w, memory - 16, memory - 16 + size, &c);
	group = group_of(w, &c);
	if (!group || !keep(w, &c)) {
		w->err = pyr_error_no_memory();
		return false;
	}
	group->count++;
	group->bytes += size;
	if (size > group->largest) {
		group->largest = size;
		group->example = memory;
		group->example_id = c.id;
	}
	w->ret->count++;
	w->ret->bytes += size;
	s->count++;
	s->bytes += size;
	if (pyr_chunk_is_python(c.owner)) {
		w->ret->python_count++;
		w->ret->python_bytes += size;
		s->python_count++;
		s->python_bytes += size;
	}
	if (!(++w->steps & 0xffff))
		w->err = pyr_control_progress(w->control, "walking malloc's chunks", w->steps, 0);
	return !w->err;
}

static bool chunk(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		  size_t region)
{
	struct chunk_work *w = ctx;

	(void)region;
	if (state == PYR_CHUNK_IN_USE)
		return in_use(w, memory, size, false);
	w->ret->free_count++;
	w->ret->free_bytes += size;
	if (size > w->ret->largest_free)
		w->ret->largest_free = size;
	return true;
}

#define FEW_CHUNKS 4u
#define FEW_BYTES 16384u

/* What few chunks begin with is told by image: a list of a thousand strings helps nobody. */
static bool fold_few(struct chunk_work *w)
{
	struct pyr_chunks *r = w->ret;
	size_t i, count = r->groups.count, kept = 0;

	for (i = 0; i < count; i++) {
		struct pyr_chunk_group g = r->groups.data[i], *into;
		const struct pyr_image *image;
		struct pyr_chunk key = {.owner = PYR_CHUNK_OF_IMAGE};

		if (g.owner != PYR_CHUNK_OF_SYMBOL || g.count >= FEW_CHUNKS ||
		    g.bytes >= FEW_BYTES || !(image = pyr_target_image_at(w->in->target, g.a)))
			continue;
		key.a = image->start;
		if (!(into = group_of(w, &key)))
			return false;
		into->count += g.count;
		into->bytes += g.bytes;
		if (g.largest > into->largest) {
			into->largest = g.largest;
			into->example = g.example;
		}
		r->groups.data[i].count = 0;
	}
	for (i = 0; i < r->groups.count; i++)
		if (r->groups.data[i].count)
			r->groups.data[kept++] = r->groups.data[i];
	r->groups.count = kept;
	return true;
}

static int more_bytes(const void *x, const void *y)
{
	const struct pyr_chunk_group *a = x, *b = y;

	if (a->bytes != b->bytes)
		return a->bytes > b->bytes ? -1 : 1;
	return a->example < b->example ? -1 : a->example > b->example;
}

static pyr_error *walk(struct chunk_work *w)
{
	struct pyr_glibc_visitor visitor = {.chunk = chunk, .ctx = w};
	const struct pyr_glibc *g = w->in->glibc;
	pyr_error *err;
	size_t i;

	for (i = 0; i < g->regions.count; i++) {
		rewind_owners(w, g->regions.data[i].begins);
		err = pyr_glibc_walk_region(g, &w->reader, i, &visitor);
		if (err || w->err) {
			if (err && w->err)
				pyr_error_destroy(w->err);
			return err ? err : w->err;
		}
	}
	for (i = 0; w->in->mapped && i < w->in->mapped->v.count; i++) {
		const struct pyr_glibc_mapped *m = &w->in->mapped->v.data[i];

		rewind_owners(w, m->start);
		if (!in_use(w, m->start + 16, m->end - m->start, true))
			return w->err;
	}
	w->ret->damaged = visitor.damaged;
	return NULL;
}

pyr_error *pyr_chunks_find(const struct pyr_chunks_input *input, struct pyr_control *control,
			   struct pyr_chunks *ret)
{
	struct chunk_work *w = calloc(1, sizeof(*w));
	struct pyr_chunks chunks;
	pyr_error *err;
	size_t i;

	if (!w)
		return pyr_error_no_memory();
	memset(&chunks, 0, sizeof(chunks));
	w->in = input;
	w->control = control;
	w->ret = &chunks;
	pyr_reader_init(&w->reader, input->target);
	err = walk(w);
	if (!err && !fold_few(w))
		err = pyr_error_no_memory();
	pyr_reader_deinit(&w->reader);
	free(w->table.slots);
	free(w);
	if (err) {
		pyr_chunks_deinit(&chunks);
		return err;
	}
	for (i = 0; i < PYR_CHUNK_SIZES; i++)
		chunks.sizes[i].up_to = class_limit(i);
	chunks.size_count = PYR_CHUNK_SIZES;
	if (chunks.groups.count)
		qsort(chunks.groups.data, chunks.groups.count, sizeof(*chunks.groups.data),
		      more_bytes);
	if (chunks.largest.count)
		qsort(chunks.largest.data, chunks.largest.count, sizeof(*chunks.largest.data),
		      larger);
	if (chunks.largest.count > input->keep)
		chunks.largest.count = input->keep;
	*ret = chunks;
	return NULL;
}

void pyr_chunks_deinit(struct pyr_chunks *chunks)
{
	pyr_vec_deinit(&chunks->groups);
	pyr_vec_deinit(&chunks->largest);
}
