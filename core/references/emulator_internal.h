/* Shared by emulator.c and emulator_memory.c; private to them. */
#ifndef PYR_REFERENCES_EMULATOR_INTERNAL_H
#define PYR_REFERENCES_EMULATOR_INTERNAL_H

#include "references/emulator.h"
#include "references/emulator_pure.h"

#define PERMS_READ 1
#define PERMS_WRITE 2
#define PERMS_EXEC 4
#define PAGE UINT64_C(4096)
#define STACK_SIZE (UINT64_C(1) << 18)
#define READS_MAX 256u
#define PURE_KNOWN 32u /* functions of the C library that are remembered */

/* libunicorn ends the process when it has some four thousand regions to look after, and
 * is slow long before. */
#define MAPS_MAX 1000u

struct api {
#define UC(result, name, arguments) result(*name) arguments;
#include "references/unicorn_api.def"
#undef UC
};

/* Pages of the target that a call may write to, in a copy. */
#define COPIES_MAX 64u

enum place { PLACE_OTHER, PLACE_LIBC, PLACE_LINKER };

/* A region that is read through us. */
struct far {
	struct pyr_emulator *emulator;
	pyr_addr start, end;
};

struct pyr_emulator {
	struct pyr_target *target;
	struct pyr_reader reader;
	void *library;
	struct api api;
	void *uc;
	pyr_addr stack, trap, stop; /* addresses that the target does not use */
	pyr_addr tls;
	unsigned maps; /* of the target's memory */
	struct far fars[MAPS_MAX];
	unsigned far_count;

	struct {
		pyr_addr page;
		bool dirty;
	} copies[COPIES_MAX];
	unsigned copy_count;

	struct {
		pyr_addr address;
		enum pyr_pure function;
	} pure[PURE_KNOWN]; /* what is at an entry of the C library */
	unsigned pure_count;

	pyr_addr place_start, place_end; /* the image of the last instruction */
	enum place place;

	/* the call that runs */
	pyr_addr self;
	uint64_t self_size;
	bool fixed_fields;
	const char *abandoned;
	pyr_addr wanted_copy; /* the call is to be made again when this page is a copy; or 0 */
	pyr_addr redirect;    /* go on here: a jump slot was resolved, a call was done here */
	bool in_libc;         /* the last instruction was the C library's */
	bool in_linker;       /* it was __tls_get_addr()'s */
	PYR_VEC(pyr_addr) visited;
	struct pyr_emulated_read reads[READS_MAX];
	size_t read_count;
	/* the image of the function, whose constants may be read */
	pyr_addr image_start, image_end;
};

static inline void pyr_emulator_abandon(struct pyr_emulator *e, const char *why)
{
	if (!e->abandoned)
		e->abandoned = why;
	e->api.uc_emu_stop(e->uc);
}

/* Map what holds @address: the segment as it lies in our memory where that is aligned to
 * pages; else all of it to be read piece by piece, if it is data; else the page alone. */
bool pyr_emulator_map(struct pyr_emulator *emulator, pyr_addr address);
/* Has the copy in which @address lies been written to? NULL without such a copy. */
static inline bool *pyr_emulator_copy(struct pyr_emulator *e, pyr_addr address)
{
	unsigned i;

	for (i = 0; i < e->copy_count; i++)
		if (address - e->copies[i].page < PAGE)
			return &e->copies[i].dirty;
	return NULL;
}

/* Make the page of @address, which is mapped, a copy that can be written to. Not while
 * code runs. */
bool pyr_emulator_make_copy(struct pyr_emulator *emulator, pyr_addr address);
/* Make all copies again what the target holds. */
bool pyr_emulator_restore(struct pyr_emulator *emulator);
/* A range of @size bytes that no mapping and no segment of the target touches. */
pyr_addr pyr_emulator_unused(const struct pyr_target *target, uint64_t size);

#endif
