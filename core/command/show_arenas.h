/* Pictures of pymalloc's arenas, for the command `arenas`. */
#ifndef PYR_COMMAND_SHOW_ARENAS_H
#define PYR_COMMAND_SHOW_ARENAS_H

#include "analysis/arenas.h"
#include "command/context.h"

/* One character a pool and one line an arena; one character an arena where there
 * are more arenas than the limit. */
void pyr_show_arena_map(struct pyr_context *context, const struct pyr_arenas *arenas);
/* "arena_list": the same as data, into the open object. */
void pyr_show_arena_map_json(struct pyr_context *context, const struct pyr_arenas *arenas);
/* A whole SVG document. */
void pyr_show_arena_svg(struct pyr_context *context, const struct pyr_arenas *arenas);

#endif
