/* Pictures of pymalloc's arenas, for the command `arenas`. */
#ifndef PYR_VIEWS_SHOW_ARENAS_H
#define PYR_VIEWS_SHOW_ARENAS_H

#include "analysis/memory/pins.h"
#include "command/context.h"

/* One character a pool and one line an arena; one character an arena where there
 * are more arenas than the limit. */
void pyr_show_arena_map(struct pyr_context *context, const struct pyr_arenas *arenas);
/* "arena_list": the same as data, into the open object. */
void pyr_show_arena_map_json(struct pyr_context *context, const struct pyr_arenas *arenas);
/* What keeps almost empty arenas from going back: show_pins.c. The heap is open. */

struct pyr_pin_holder {
	char *name; /* owned; NULL: nothing was found that holds them */
	uint64_t blocks, arenas;
	uint32_t last_arena; /* + 1; while counting */
};

/* Who holds the pins (holder.h): those that are shown, and of all up to a bound. */
struct pyr_pin_holders {
	char **names; /* by pin; NULL: not asked, or nothing holds it; owned */
	bool *asked;
	size_t count;         /* pins */
	uint64_t asked_count; /* of those that an object owns */
	uint64_t omitted;     /* pins of objects that were not asked for */
	/* The same path with other items is one: `app.AUDIT[…]`. Most arenas first. */
	PYR_VEC(struct pyr_pin_holder) walk_cache;
};
pyr_error *pyr_pin_holders_find(struct pyr_context *context, const struct pyr_pins *pins,
				struct pyr_pin_holders *ret);
void pyr_pin_holders_deinit(struct pyr_pin_holders *holders);

void pyr_show_pins(struct pyr_context *context, const struct pyr_arenas *arenas,
		   const struct pyr_pins *pins, const struct pyr_pin_holders *holders,
		   unsigned percent);
void pyr_show_pins_json(struct pyr_context *context, const struct pyr_arenas *arenas,
			const struct pyr_pins *pins, const struct pyr_pin_holders *holders,
			unsigned percent);
/* A whole SVG document. */
void pyr_show_arena_svg(struct pyr_context *context, const struct pyr_arenas *arenas);

#endif
