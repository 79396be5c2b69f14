/* Words of C memory that may be references: C variables here, C stacks and registers in
 * roots_stacks.c, malloc's chunks in roots_chunks.c. */
#include <string.h>

#include "roots/borrowed_words.h"
#include "roots/statics.h"
#include "roots/possible_words.h"

/* Where the range is written to by the program: what the dynamic linker made read-only
 * holds the addresses of C variables. Without mappings everything is taken. */
static bool next_writable(const struct pyr_target *target, pyr_addr *at, pyr_addr end,
			  pyr_addr *stop)
{
	const struct pyr_mapping *m;

	while (*at < end) {
		m = pyr_target_mapping_at(target, *at);
		*stop = m && m->end < end ? m->end : end;
		if (!m) {
			if (!target->mappings.count)
				return true;
			*at = (*at | (target->page_size - 1)) + 1;
		} else if (m->write && !m->shared) {
			return true;
		} else {
			*at = m->end;
		}
	}
	return false;
}

struct native_walk {
	struct pyr_roots *roots;
	const struct pyr_possible_words *words;
	const struct pyr_borrowed_words *borrowed;
	uint64_t image;
	uint32_t next; /* the first object that ends behind the place */
};

/* The end of the object that @addr lies in, or @addr. Rising addresses. */
static pyr_addr skip_object(struct native_walk *w, pyr_addr addr)
{
	struct pyr_heap *heap = w->roots->model->heap;
	struct pyr_reader *reader = &pyr_roots_python(w->roots)->reader;

	while (w->next < heap->count && heap->address[w->next] <= addr) {
		pyr_addr end = heap->address[w->next] +
			       ((pyr_heap_own_size(heap, reader, w->next) + 7) & ~UINT64_C(7));

		if (end > addr)
			return end;
		w->next++;
	}
	return addr;
}

static void scan(struct native_walk *w, pyr_addr at, pyr_addr end)
{
	struct pyr_reader *reader = &pyr_roots_python(w->roots)->reader;
	const uint8_t *run;
	uint64_t word;
	size_t n, i;
	uint32_t id;

	at = (at + 7) & ~UINT64_C(7);
	while (pyr_peek_words(reader, &at, end, &run, &n))
		for (i = 0; i < n; i++, at += 8) {
			memcpy(&word, run + 8 * i, 8);
			if (!word || (id = pyr_possible_words_object(w->words, word)) == PYR_NO_ID)
				continue;
			if (skip_object(w, at) == at && !pyr_borrowed_words_has(w->borrowed, at))
				pyr_roots_push_id(w->roots, PYR_ROOT_C_STATIC, PYR_ROOT_POSSIBLE,
						  id, at, w->image, 0);
		}
}

static pyr_error *scan_statics(struct pyr_roots *roots, const struct pyr_possible_words *words,
			       struct pyr_control *control)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;
	struct native_walk w = {.roots = roots, .words = words};
	struct pyr_borrowed_words borrowed;
	struct pyr_statics statics;
	pyr_addr at, stop;
	pyr_error *err;
	size_t i;

	if ((err = pyr_borrowed_words_init(roots->model->heap, &borrowed)))
		return err;
	if ((err = pyr_statics_init(target, &statics))) {
		pyr_borrowed_words_deinit(&borrowed);
		return err;
	}
	w.borrowed = &borrowed;
	for (i = 0; i < statics.ranges.count && !err; i++) {
		const struct pyr_static_range *range = &statics.ranges.data[i];

		w.image = range->image ? (uint64_t)(range->image - target->images) : 0;
		for (at = range->start; next_writable(target, &at, range->end, &stop); at = stop)
			scan(&w, at, stop);
		err = pyr_control_progress(control, "C variables", i, statics.ranges.count);
	}
	pyr_statics_deinit(&statics);
	pyr_borrowed_words_deinit(&borrowed);
	return err ? err : pyr_reader_check(&pyr_roots_python(roots)->reader);
}

pyr_error *pyr_roots_native(struct pyr_roots *roots, struct pyr_control *control)
{
	struct pyr_possible_words words;
	pyr_error *err;

	pyr_possible_words_init(&words, roots);
	if ((err = scan_statics(roots, &words, control)) ||
	    (err = pyr_roots_stacks(roots, &words, control)) ||
	    (err = pyr_roots_chunks(roots, &words, control)))
		return err;
	return pyr_control_check(control);
}

void pyr_roots_native_deinit(struct pyr_roots *roots)
{
	(void)roots;
}

/* --- names --- */

void pyr_image_place_name(struct pyr_target *target, const struct pyr_image *image, pyr_addr addr,
			  struct pyr_strbuf *out)
{
	const char *slash = strrchr(image->path, '/'), *symbol;
	uint64_t offset;

	pyr_strbuf_add(out, slash ? slash + 1 : image->path);
	if (!pyr_image_symbol_at(target, image, addr, &symbol, &offset)) {
		pyr_strbuf_printf(out, "+0x%llx", (unsigned long long)(addr - image->start));
		return;
	}
	pyr_strbuf_printf(out, ":%s", symbol);
	if (offset)
		pyr_strbuf_printf(out, "+0x%llx", (unsigned long long)offset);
}

void pyr_root_native_name(const struct pyr_roots *roots, const struct pyr_root *root,
			  struct pyr_strbuf *out)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;

	switch ((enum pyr_root_kind)root->kind) {
	case PYR_ROOT_C_STACK:
	case PYR_ROOT_REGISTER:
		pyr_root_stack_name(roots, root, out);
		break;
	case PYR_ROOT_NATIVE:
		pyr_root_chunk_name(roots, root, out);
		break;
	default:
		if (root->a & PYR_POSSIBLE_WORDS_TLS)
			pyr_root_stack_name(roots, root, out);
		else if (root->a < target->image_count)
			pyr_image_place_name(target, &target->images[root->a], root->slot, out);
		else
			pyr_strbuf_printf(out, "0x%llx", (unsigned long long)root->slot);
		break;
	}
}
