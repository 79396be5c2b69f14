/* Strings and bytes objects with the same contents: grouped by a hash of 64 bits, then
 * compared byte by byte. */
#include <stdlib.h>
#include <string.h>

#include "analysis/memory/waste_internal.h"
#include "values/values.h"

#define TEXT_MAX (UINT64_C(1) << 32) /* bytes; longer ones are not compared */

struct text {
	pyr_addr data;
	uint64_t bytes;
	uint64_t form; /* what else must be equal */
};

static bool read_text(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id,
		      struct text *ret)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	struct pyr_str_view view;
	pyr_error *err;

	if (type->shape == PYR_SHAPE_STR) {
		err = pyr_str_view(heap->types, reader, heap->address[id], &view);
		if (!err) {
			ret->data = view.data;
			ret->bytes = view.length * view.kind;
			ret->form = view.kind;
		}
	} else {
		err = pyr_bytes_view(heap->types, reader, PYR_SHAPE_BYTES, heap->address[id],
				     &ret->data, &ret->bytes);
		ret->form = 0;
	}
	pyr_error_destroy(err);
	return !err && ret->data && ret->bytes && ret->bytes <= TEXT_MAX;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
	h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

bool pyr_waste_hash(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id, uint64_t *ret)
{
	uint64_t h, word;
	const uint8_t *run;
	struct text t;
	size_t n, i;

	if (!read_text(heap, reader, id, &t))
		return false;
	h = mix(t.form, t.bytes);
	while (t.bytes) {
		n = pyr_peek_run(reader, t.data, t.bytes, &run);
		if (!n)
			return false;
		/* words do not straddle runs in a way that depends on where the text lies */
		if (n < t.bytes && n >= 8)
			n &= ~(size_t)7;
		if (n < t.bytes && n < 8) {
			run = pyr_peek(reader, t.data, t.bytes < 8 ? t.bytes : 8);
			if (!run)
				return false;
			n = t.bytes < 8 ? t.bytes : 8;
		}
		for (i = 0; i + 8 <= n; i += 8) {
			memcpy(&word, run + i, 8);
			h = mix(h, word);
		}
		if (i < n) {
			word = 0;
			memcpy(&word, run + i, n - i);
			h = mix(h, word);
		}
		t.data += n;
		t.bytes -= n;
	}
	*ret = h ^ h >> 32;
	return true;
}

static bool equal(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t a, uint32_t b)
{
	const uint8_t *x, *y;
	struct text s, t;
	size_t n, m;

	if (!read_text(heap, reader, a, &s) || !read_text(heap, reader, b, &t) ||
	    s.bytes != t.bytes || s.form != t.form)
		return false;
	while (s.bytes) {
		n = pyr_peek_run(reader, s.data, s.bytes, &x);
		m = pyr_peek_run(reader, t.data, t.bytes, &y);
		n = n < m ? n : m;
		if (!n || memcmp(x, y, n))
			return false;
		s.data += n;
		t.data += n;
		s.bytes -= n;
		t.bytes -= n;
	}
	return true;
}

/* Runs of equal hash keys by three passes over the keys' lowest 33 bits. */
static bool sort_texts(struct pyr_waste_text *texts, size_t count)
{
	struct pyr_waste_text *other = malloc((count + 1) * sizeof(*other)), *from = texts,
			      *to = other, *swap;
	size_t counts[2048], i, at, n;
	unsigned pass;

	if (!other)
		return false;
	for (pass = 0; pass < 3; pass++) {
		memset(counts, 0, sizeof(counts));
		for (i = 0; i < count; i++)
			counts[from[i].hash >> (pass * 11) & 2047]++;
		for (i = 0, at = 0; i < 2048; i++) {
			n = counts[i];
			counts[i] = at;
			at += n;
		}
		for (i = 0; i < count; i++)
			to[counts[from[i].hash >> (pass * 11) & 2047]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	/* an odd number of passes ends in the other array */
	memcpy(texts, other, count * sizeof(*texts));
	free(other);
	return true;
}

static int by_hash(const void *a, const void *b)
{
	const struct pyr_waste_text *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

static uint64_t size_of(struct pyr_heap *heap, struct pyr_reader *reader, uint32_t id)
{
	const struct pyr_type *type = pyr_types_at(heap->types, heap->type[id]);
	uint64_t size = 0;
	pyr_error *err;

	err = pyr_object_size(heap->types, reader, type, heap->address[id], &size, NULL);
	pyr_error_destroy(err);
	return err ? 0 : size;
}

/* Texts of one hash; different ones, if there should be any, are no copies of the first. */
static bool add_copies(struct pyr_heap *heap, struct pyr_reader *reader, enum pyr_waste_kind kind,
		       const struct pyr_waste_text *texts, size_t count, struct pyr_waste *ret)
{
	struct pyr_waste_item item = {
		.kind = (uint8_t)kind, .id = texts[0].id, .used = 1, .room = 1};
	uint64_t size, largest = size_of(heap, reader, texts[0].id);
	size_t i;

	item.bytes = largest;
	for (i = 1; i < count; i++) {
		if (!equal(heap, reader, texts[0].id, texts[i].id))
			continue;
		size = size_of(heap, reader, texts[i].id);
		largest = size > largest ? size : largest;
		item.bytes += size;
		item.room++;
	}
	item.bytes -= largest; /* the one that is needed */
	return item.room < 2 || pyr_waste_add(ret, &item, item.room - 1);
}

pyr_error *pyr_waste_texts(struct pyr_heap *heap, struct pyr_control *control,
			   enum pyr_waste_kind kind, struct pyr_waste_text *texts, size_t count,
			   struct pyr_waste *ret)
{
	struct pyr_reader *reader = &pyr_types_python(heap->types)->reader;
	const uint64_t low = (UINT64_C(1) << 33) - 1;
	pyr_error *err;
	size_t i, k, e;

	if (!sort_texts(texts, count))
		return pyr_error_no_memory();
	for (i = 0; i < count; i = k) {
		for (k = i + 1; k < count && !((texts[k].hash ^ texts[i].hash) & low); k++)
			;
		if (k - i < 2)
			continue;
		if ((err = pyr_control_progress(control, "comparing strings", i, count)))
			return err;
		qsort(texts + i, k - i, sizeof(*texts), by_hash);
		for (e = i; e < k;) {
			size_t first = e;

			while (e < k && texts[e].hash == texts[first].hash)
				e++;
			if (e - first > 1 &&
			    !add_copies(heap, reader, kind, texts + first, e - first, ret))
				return pyr_error_no_memory();
		}
	}
	return pyr_reader_check(reader);
}
