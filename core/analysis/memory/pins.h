/* Arenas that are almost empty, and what keeps each of them from going back to the system:
 * an arena is given back when its last block is freed, so a few objects that live on can
 * hold a MiB each. */
#ifndef PYR_ANALYSIS_MEMORY_PINS_H
#define PYR_ANALYSIS_MEMORY_PINS_H

#include "analysis/memory/arenas.h"
#include "objects/buffers.h"
#include "pymalloc/freelists.h"

enum pyr_pin_kind {
	PYR_PIN_OBJECT,
	PYR_PIN_BUFFER,   /* of an object, or of the interpreter */
	PYR_PIN_FREELIST, /* freed, but kept for reuse */
	PYR_PIN_UNKNOWN,
};

/* One block in use of such an arena. */
struct pyr_pin {
	pyr_addr address; /* of the block */
	uint32_t size;
	uint32_t owner; /* OBJECT, BUFFER: the object's id; PYR_NO_ID: the interpreter */
	uint8_t kind;   /* enum pyr_pin_kind */
	uint8_t buffer; /* BUFFER: enum pyr_buffer_name */
	uint32_t group; /* index into pyr_pins.groups */
};

struct pyr_pinned_arena {
	uint32_t arena;           /* index into obmalloc->arenas */
	uint32_t first_pin, pins; /* in pyr_pins.pins */
	uint64_t bytes, bytes_in_use;
	uint32_t groups; /* different ones among its pins */
};

/* Pins that are alike: objects of one type, tables of one kind of owner, a free list. */
struct pyr_pin_group {
	uint8_t kind, buffer;
	uint32_t type;    /* index of the object's or owner's type; UINT32_MAX: none */
	const char *list; /* FREELIST: the type that it keeps */
	uint64_t pins, bytes;
	uint64_t arenas;      /* in how many of the arenas */
	uint64_t alone;       /* arenas in which there is nothing else */
	uint64_t alone_bytes; /* of those arenas: what would go back if this group were gone */
	uint32_t example;     /* index into pyr_pins.pins */
};

struct pyr_pins {
	PYR_VEC(struct pyr_pinned_arena) arenas; /* fewest bytes in use first */
	PYR_VEC(struct pyr_pin) pins;            /* arena by arena, by address */
	PYR_VEC(struct pyr_pin_group) groups;    /* most arenas first */
	uint64_t bytes;                          /* what would go back if all pins were gone */
	uint64_t bytes_in_use;                   /* of the pins */
	uint64_t left_out; /* such arenas with pools that the target lacks or that are damaged */
};

/* The arenas of @arenas of which at most @percent is in use. @heap must be read from the
 * same target. */
pyr_error *pyr_pins_find(struct pyr_heap *heap, const struct pyr_arenas *arenas, unsigned percent,
			 struct pyr_control *control, struct pyr_pins *ret);
void pyr_pins_deinit(struct pyr_pins *pins);

#endif
