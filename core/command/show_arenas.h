/* Pictures of pymalloc's arenas, for the command `arenas`. */
#ifndef PYR_COMMAND_SHOW_ARENAS_H
#define PYR_COMMAND_SHOW_ARENAS_H

#include "analysis/pins.h"
#include "command/context.h"

/* One character a pool and one line an arena; one character an arena where there
 * are more arenas than the limit. */
void pyr_show_arena_map(struct pyr_context *context, const struct pyr_arenas *arenas);
/* "arena_list": the same as data, into the open object. */
void pyr_show_arena_map_json(struct pyr_context *context, const struct pyr_arenas *arenas);
/* What keeps almost empty arenas from going back: show_pins.c. The heap is open. */

/* Who holds the pins that are shown (holder.h): the examples of the kinds, the first ones of
 * the arenas; in JSON all, up to a bound. */
struct pyr_pin_holders {
	char **names; /* by pin; NULL: not asked, or nothing holds it; owned */
	bool *asked;
	size_t count;     /* pins */
	uint64_t omitted; /* pins of objects that were not asked for */
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
