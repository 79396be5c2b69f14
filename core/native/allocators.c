#include "native/allocators.h"

#include <string.h>

static const struct {
	enum pyr_malloc_kind kind;
	const char *name, *file, *symbol;
} known[] = {
	{PYR_MALLOC_JEMALLOC, "jemalloc", "libjemalloc", "mallctl"},
	{PYR_MALLOC_TCMALLOC, "tcmalloc", "libtcmalloc", "tc_version"},
	{PYR_MALLOC_MIMALLOC, "mimalloc", "libmimalloc", "mi_version"},
	{PYR_MALLOC_MUSL, "musl", "ld-musl-", NULL},
};

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Those that define malloc in passing: libc itself and the dynamic linker. */
static bool is_libc(const char *name)
{
	return !strncmp(name, "libc.so", 7) || !strncmp(name, "libc-2.", 7) ||
	       !strncmp(name, "ld-", 3) || !strncmp(name, "ld.so", 5) || name[0] == '[';
}

/* By its file's name, or by a symbol where it was linked into another file. CPython 3.13
 * and later have a mimalloc of their own inside, for objects, and without these symbols. */
static bool recognise_image(struct pyr_target *target, const struct pyr_image *image,
			    struct pyr_malloc *ret)
{
	const char *name = image->path ? base(image->path) : "";
	pyr_addr at;
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		bool by_name = !strncmp(name, known[i].file, strlen(known[i].file));

		if (!by_name && (!known[i].symbol ||
				 !pyr_image_symbol(target, image, known[i].symbol, &at, NULL) ||
				 !pyr_image_symbol(target, image, "malloc", &at, NULL)))
			continue;
		ret->kind = known[i].kind;
		ret->name = known[i].name;
		ret->image = image;
		ret->how = by_name ? "the file's name" : "its symbols";
		return true;
	}
	return false;
}

void pyr_malloc_recognise(struct pyr_target *target, const struct pyr_glibc *glibc,
			  struct pyr_malloc *ret)
{
	const struct pyr_image *image;
	uint64_t used = 0;
	pyr_addr at;
	size_t i;

	memset(ret, 0, sizeof(*ret));
	ret->kind = PYR_MALLOC_UNKNOWN;
	ret->name = "unknown";
	ret->how = "neither libc nor another allocator was found";
	for (i = 0; i < target->image_count; i++)
		if (recognise_image(target, &target->images[i], ret))
			return;
	for (i = 0; i < glibc->arenas.count; i++)
		used += glibc->arenas.data[i].system_mem;
	if (used + glibc->mmapped_bytes) {
		ret->kind = PYR_MALLOC_GLIBC;
		ret->name = "glibc";
		ret->image = pyr_target_image_at(target, glibc->arenas.data[0].address);
		ret->how = "its arenas";
		return;
	}
	for (i = 0; i < target->image_count; i++) {
		image = &target->images[i];
		if (!image->path || is_libc(base(image->path)) ||
		    !pyr_image_symbol(target, image, "malloc", &at, NULL))
			continue;
		ret->kind = PYR_MALLOC_OTHER;
		ret->name = base(image->path);
		ret->image = image;
		ret->how = "symbol malloc";
		return;
	}
}
