#define _GNU_SOURCE
#include "target/live_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/parallel.h"
#include "base/search.h"

#define BATCH_BYTES (1024u * 1024)
#define BATCH_RANGES 512u
/* Large pages for stretches of at least this size that are used throughout. */
#define HUGE_MIN (4ull * 1024 * 1024)

/* A stretch of the process and where its copy lies. */
struct area {
	pyr_addr start, end;
	uint8_t *bytes; /* writable in memory; a read-only view of the file otherwise */
	off_t offset;   /* in the file */
	bool fresh;     /* nothing is stored in it yet */
};

/* Ranges that are read with one call. Each lies in one area. */
struct batch {
	size_t first, count;
};

struct pyr_copy {
	struct pyr_control *control;
	const struct pyr_process *process;
	const char *dir; /* for messages */
	int fd;          /* -1: in memory */
	off_t file_size;
	PYR_VEC(struct area) areas;     /* sorted */
	struct pyr_range_list previous; /* what the last pass stored */
	struct pyr_range_list refused;  /* pages of it that could not be read */
	pthread_mutex_t lock;           /* of `refused` */
};

/* One pass at work. */
struct copy_work {
	struct pyr_copy *copy;
	const struct pyr_copy_pass *pass;
	struct pyr_range_list pieces; /* ranges, cut at areas and at BATCH_BYTES */
	PYR_VEC(struct batch) batches;
	uint8_t *buffers; /* BATCH_BYTES for each worker */
	atomic_bool stopped;
	atomic_uint_least64_t read, changed;
};

pyr_error *pyr_copy_create(struct pyr_control *control, const struct pyr_process *process,
			   enum pyr_copy_place place, const char *dir, struct pyr_copy **ret)
{
	struct pyr_copy *copy = calloc(1, sizeof(*copy));
	char *path;

	if (!copy)
		return pyr_error_no_memory();
	copy->control = control;
	copy->process = process;
	copy->dir = dir;
	copy->fd = -1;
	pthread_mutex_init(&copy->lock, NULL);
	if (place == PYR_COPY_IN_FILE) {
		/* A file without a name leaves nothing behind, whatever happens. */
		copy->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (copy->fd < 0 && asprintf(&path, "%s/pyretain.XXXXXX", dir) >= 0) {
			copy->fd = mkostemp(path, O_CLOEXEC);
			if (copy->fd >= 0)
				unlink(path);
			free(path);
		}
		if (copy->fd < 0) {
			pyr_copy_destroy(copy);
			return pyr_error_create(PYR_E_NO_SPACE, "cannot make a file in %s: %s", dir,
						strerror(errno));
		}
	}
	*ret = copy;
	return NULL;
}

void pyr_copy_destroy(struct pyr_copy *copy)
{
	size_t i;

	if (!copy)
		return;
	for (i = 0; i < copy->areas.count; i++)
		munmap(copy->areas.data[i].bytes,
		       copy->areas.data[i].end - copy->areas.data[i].start);
	if (copy->fd >= 0)
		close(copy->fd);
	pthread_mutex_destroy(&copy->lock);
	pyr_vec_deinit(&copy->areas);
	pyr_vec_deinit(&copy->previous.v);
	pyr_vec_deinit(&copy->refused.v);
	free(copy);
}

static int area_by_start(const void *a, const void *b)
{
	const struct area *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

/* The first of the first @count areas that ends behind @addr. */
static size_t area_from(const struct pyr_copy *copy, size_t count, pyr_addr addr)
{
	return pyr_search(i, count, copy->areas.data[i].end <= addr);
}

static pyr_error *add_area(struct pyr_copy *copy, pyr_addr start, pyr_addr end, bool dense)
{
	struct area area = {.start = start, .end = end, .fresh = true};
	size_t size = end - start;
	void *bytes;

	if (!pyr_vec_reserve(&copy->areas, 1))
		return pyr_error_no_memory();
	if (copy->fd < 0) {
		bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	} else {
		area.offset = copy->file_size;
		if (ftruncate(copy->fd, area.offset + (off_t)size))
			return pyr_error_create(PYR_E_NO_SPACE, "a file of %lld bytes in %s: %s",
						(long long)area.offset + (long long)size, copy->dir,
						strerror(errno));
		copy->file_size += (off_t)size;
		bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, copy->fd, area.offset);
	}
	if (bytes == MAP_FAILED)
		return pyr_error_create(PYR_E_NO_SPACE,
					"no address space for a copy of %zu bytes: %s", size,
					strerror(errno));
	if (copy->fd < 0 && dense && size >= HUGE_MIN)
		madvise(bytes, size, MADV_HUGEPAGE);
	area.bytes = bytes;
	(void)pyr_vec_push(&copy->areas, area);
	return NULL;
}

/* Storage for what the plan has and no area covers. */
static pyr_error *add_areas(struct pyr_copy *copy, const struct pyr_copy_plan *plan)
{
	size_t known = copy->areas.count, i, a, k;
	pyr_error *err;

	for (i = 0; i < plan->pieces.count; i++) {
		const struct pyr_traverse_plan_piece *piece = &plan->pieces.data[i];
		pyr_addr at = piece->start, to;
		uint64_t used = 0;

		for (k = 0; k < piece->range_count; k++)
			used += plan->ranges.v.data[piece->first_range + k].end -
				plan->ranges.v.data[piece->first_range + k].start;
		for (a = area_from(copy, known, at); at < piece->end; a++) {
			to = a < known && copy->areas.data[a].start < piece->end
				     ? copy->areas.data[a].start
				     : piece->end;
			if (to > at &&
			    (err = add_area(copy, at, to,
					    used >= (piece->end - piece->start) / 8 * 7)))
				return err;
			at = a < known ? copy->areas.data[a].end : piece->end;
		}
	}
	if (copy->areas.count)
		qsort(copy->areas.data, copy->areas.count, sizeof(*copy->areas.data),
		      area_by_start);
	return NULL;
}

/* Cut the plan's ranges into pieces that lie in one area, and group these. */
static pyr_error *make_batches(struct copy_work *work, const struct pyr_copy_plan *plan)
{
	const struct pyr_copy *copy = work->copy;
	struct batch batch = {0};
	uint64_t bytes = 0;
	size_t i, a = 0;

	for (i = 0; i < plan->ranges.v.count; i++) {
		struct pyr_range r = plan->ranges.v.data[i];

		while (r.start < r.end) {
			struct pyr_range part = r;

			while (a < copy->areas.count && copy->areas.data[a].end <= r.start)
				a++;
			if (a == copy->areas.count || copy->areas.data[a].start > r.start)
				return pyr_error_create(PYR_E_CORRUPT,
							"a page to copy has no place");
			if (part.end > copy->areas.data[a].end)
				part.end = copy->areas.data[a].end;
			if (part.end - part.start > BATCH_BYTES)
				part.end = part.start + BATCH_BYTES;
			if (batch.count && (bytes + (part.end - part.start) > BATCH_BYTES ||
					    batch.count == BATCH_RANGES)) {
				if (!pyr_vec_push(&work->batches, batch))
					return pyr_error_no_memory();
				batch.first += batch.count;
				batch.count = 0;
				bytes = 0;
			}
			if (!pyr_vec_push(&work->pieces.v, part))
				return pyr_error_no_memory();
			batch.count++;
			bytes += part.end - part.start;
			r.start = part.end;
		}
	}
	return !batch.count || pyr_vec_push(&work->batches, batch) ? NULL : pyr_error_no_memory();
}

static pyr_error *store(struct pyr_copy *copy, const struct area *area, pyr_addr addr,
			const void *bytes, size_t len)
{
	off_t offset = area->offset + (off_t)(addr - area->start);
	size_t done = 0;
	ssize_t n;

	if (copy->fd < 0) {
		memcpy(area->bytes + (addr - area->start), bytes, len);
		return NULL;
	}
	while (done < len) {
		n = pwrite(copy->fd, (const uint8_t *)bytes + done, len - done,
			   offset + (off_t)done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return pyr_error_create(PYR_E_NO_SPACE,
						"the copy of process %d does not fit into %s: %s",
						(int)copy->process->pid, copy->dir,
						n < 0 ? strerror(errno) : "nothing was written");
		done += (size_t)n;
	}
	return NULL;
}

/* Store the pages of [addr, addr + len) that differ from what is there. */
static pyr_error *store_changes(struct copy_work *work, const struct area *area, pyr_addr addr,
				const uint8_t *bytes, size_t len)
{
	size_t page = work->copy->process->page_size, at, from;
	const uint8_t *old = area->bytes + (addr - area->start);
	pyr_error *err;

	if (area->fresh) {
		atomic_fetch_add_explicit(&work->changed, len, memory_order_relaxed);
		return store(work->copy, area, addr, bytes, len);
	}
	for (at = 0; at < len;) {
		for (from = at; at < len && memcmp(old + at, bytes + at, page); at += page)
			;
		if (at > from) {
			atomic_fetch_add_explicit(&work->changed, at - from, memory_order_relaxed);
			if ((err = store(work->copy, area, addr + from, bytes + from, at - from)))
				return err;
		}
		if (at < len)
			at += page;
	}
	return NULL;
}

static pyr_error *refuse(struct pyr_copy *copy, pyr_addr addr)
{
	struct pyr_range page = {.start = addr, .end = addr + copy->process->page_size};
	bool ok;

	pthread_mutex_lock(&copy->lock);
	ok = pyr_vec_push(&copy->refused.v, page);
	pthread_mutex_unlock(&copy->lock);
	return ok ? NULL : pyr_error_no_memory();
}

/* A batch that could not be read as a whole: page by page. */
static pyr_error *copy_pages(struct copy_work *work, const struct batch *batch, uint8_t *buf)
{
	struct pyr_copy *copy = work->copy;
	uint64_t page = copy->process->page_size;
	pyr_error *err;
	size_t i;

	if ((err = pyr_process_check(copy->process)))
		return err;
	for (i = 0; i < batch->count; i++) {
		struct pyr_range r = work->pieces.v.data[batch->first + i];
		const struct area *area =
			&copy->areas.data[area_from(copy, copy->areas.count, r.start)];

		for (; r.start < r.end; r.start += page) {
			struct pyr_range one = {.start = r.start, .end = r.start + page};

			if (pyr_process_read(copy->process, &one, 1, buf) < page)
				err = refuse(copy, r.start);
			else
				err = store_changes(work, area, r.start, buf, page);
			if (err)
				return err;
		}
	}
	return NULL;
}

static bool counts(struct copy_work *work)
{
	if (!work->pass->counts || work->pass->counts(work->pass->ctx))
		return true;
	atomic_store(&work->stopped, true);
	return false;
}

static pyr_error *copy_batch(struct copy_work *work, const struct batch *batch, uint8_t *buf)
{
	struct pyr_copy *copy = work->copy;
	const struct pyr_range *r = work->pieces.v.data + batch->first;
	const struct area *area = &copy->areas.data[area_from(copy, copy->areas.count, r->start)];
	size_t len = 0, done, i;
	pyr_error *err;

	for (i = 0; i < batch->count; i++)
		len += r[i].end - r[i].start;
	if (area->fresh && copy->fd < 0 && batch->count == 1) {
		done = pyr_process_read(copy->process, r, 1,
					area->bytes + (r->start - area->start));
		atomic_fetch_add_explicit(&work->changed, done, memory_order_relaxed);
	} else {
		done = pyr_process_read(copy->process, r, batch->count, buf);
	}
	if (!counts(work))
		return NULL;
	if (done < len) {
		if ((err = copy_pages(work, batch, buf)))
			return err;
		if (!counts(work))
			return NULL;
	} else if (!area->fresh || copy->fd >= 0 || batch->count > 1) {
		for (i = 0; i < batch->count; i++) {
			area = &copy->areas.data[area_from(copy, copy->areas.count, r[i].start)];
			err = store_changes(work, area, r[i].start, buf, r[i].end - r[i].start);
			if (err)
				return err;
			buf += r[i].end - r[i].start;
		}
	}
	atomic_fetch_add_explicit(&work->read, len, memory_order_relaxed);
	return NULL;
}

static pyr_error *copy_batches(void *ctx, unsigned worker, size_t begin, size_t end)
{
	struct copy_work *work = ctx;
	pyr_error *err;
	size_t i;

	for (i = begin; i < end && !atomic_load(&work->stopped); i++)
		if ((err = copy_batch(work, &work->batches.data[i],
				      work->buffers + (size_t)worker * BATCH_BYTES)))
			return err;
	return NULL;
}

/* Anonymous pages that the process gave back since the last pass are zeros now. */
static pyr_error *clear_returned(struct pyr_copy *copy, const struct pyr_copy_plan *plan)
{
	const struct pyr_range *now = plan->ranges.v.data;
	size_t i, k = 0, a, n = plan->ranges.v.count;
	static const uint8_t zeros[65536];
	pyr_error *err;

	for (i = 0; i < copy->previous.v.count; i++) {
		struct pyr_range old = copy->previous.v.data[i];

		while (old.start < old.end) {
			pyr_addr to = old.end;

			while (k < n && now[k].end <= old.start)
				k++;
			if (k < n && now[k].start <= old.start) {
				old.start = now[k].end < old.end ? now[k].end : old.end;
				continue;
			}
			if (k < n && now[k].start < to)
				to = now[k].start;
			while (old.start < to) {
				size_t len = to - old.start;

				a = area_from(copy, copy->areas.count, old.start);
				if (len > copy->areas.data[a].end - old.start)
					len = copy->areas.data[a].end - old.start;
				if (len > sizeof(zeros))
					len = sizeof(zeros);
				if ((err = store(copy, &copy->areas.data[a], old.start, zeros,
						 len)))
					return err;
				old.start += len;
			}
		}
	}
	return NULL;
}

static pyr_error *remember(struct pyr_copy *copy, const struct pyr_copy_plan *plan)
{
	size_t i;

	copy->previous.v.count = 0;
	if (!pyr_vec_reserve(&copy->previous.v, plan->ranges.v.count))
		return pyr_error_no_memory();
	for (i = 0; i < plan->ranges.v.count; i++)
		copy->previous.v.data[i] = plan->ranges.v.data[i];
	copy->previous.v.count = plan->ranges.v.count;
	for (i = 0; i < copy->areas.count; i++)
		copy->areas.data[i].fresh = false;
	return NULL;
}

static int range_by_start(const void *a, const void *b)
{
	const struct pyr_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

pyr_error *pyr_copy_run(struct pyr_copy *copy, const struct pyr_copy_plan *plan,
			const struct pyr_copy_pass *pass, struct pyr_copy_result *ret)
{
	struct copy_work work = {.copy = copy, .pass = pass};
	unsigned workers = pyr_parallel_workers();
	pyr_error *err;

	copy->refused.v.count = 0;
	work.buffers = malloc((size_t)workers * BATCH_BYTES);
	if (!work.buffers)
		return pyr_error_no_memory();
	if ((err = add_areas(copy, plan)) || (err = make_batches(&work, plan)) ||
	    (err = pyr_parallel(copy->control, pass->phase, workers, work.batches.count, 1,
				copy_batches, &work)) ||
	    (err = clear_returned(copy, plan)) || (err = remember(copy, plan)))
		goto out;
	if (copy->refused.v.count)
		qsort(copy->refused.v.data, copy->refused.v.count, sizeof(struct pyr_range),
		      range_by_start);
	ret->read = work.read;
	ret->changed = work.changed;
	ret->unread = work.stopped ? plan->bytes - work.read : 0;
	ret->refused = copy->refused.v.count * copy->process->page_size;
out:
	free(work.buffers);
	pyr_vec_deinit(&work.pieces.v);
	pyr_vec_deinit(&work.batches);
	return err;
}

/* [start, end) without the refused pages, area by area. */
static pyr_error *add_range(const struct pyr_copy *copy, pyr_addr start, pyr_addr end, size_t *hole,
			    struct pyr_target *target)
{
	const struct pyr_range *holes = copy->refused.v.data;
	pyr_error *err;

	while (start < end) {
		const struct area *area =
			&copy->areas.data[area_from(copy, copy->areas.count, start)];
		pyr_addr to = area->end < end ? area->end : end;

		while (*hole < copy->refused.v.count && holes[*hole].end <= start)
			(*hole)++;
		if (*hole < copy->refused.v.count && holes[*hole].start <= start) {
			start = holes[*hole].end;
			continue;
		}
		if (*hole < copy->refused.v.count && holes[*hole].start < to)
			to = holes[*hole].start;
		if ((err = pyr_target_add_segment(target, start, to,
						  area->bytes + (start - area->start), 0)))
			return err;
		start = to;
	}
	return NULL;
}

pyr_error *pyr_copy_add_segments(const struct pyr_copy *copy, const struct pyr_copy_plan *plan,
				 struct pyr_target *target)
{
	size_t i, k, hole = 0;
	pyr_error *err;

	for (i = 0; i < plan->pieces.count; i++) {
		const struct pyr_traverse_plan_piece *piece = &plan->pieces.data[i];

		if (piece->zeros) {
			if ((err = add_range(copy, piece->start, piece->end, &hole, target)))
				return err;
			continue;
		}
		for (k = 0; k < piece->range_count; k++) {
			const struct pyr_range *r = &plan->ranges.v.data[piece->first_range + k];

			if ((err = add_range(copy, r->start, r->end, &hole, target)))
				return err;
		}
	}
	return NULL;
}
