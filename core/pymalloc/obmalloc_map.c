#include "pymalloc/obmalloc_map.h"

#include <string.h>

#include "runtime/access.h"

#define POINTERS_MAX 65536u

/* Where the root lies and how large it is. */
static bool find_root(struct pyr_python *python, const struct pyr_obmalloc_state *state,
		      pyr_addr *root, uint64_t *bytes)
{
	const struct pyr_layout *l = &python->layout;

	if (state->address) {
		if (!pyr_has(l, _obmalloc_state, arena_map_root))
			return false;
		*root = state->address + (uint64_t)pyr_offset(l, _obmalloc_state, arena_map_root);
		*bytes = pyr_layout_place(l, PYR_FIELD(_obmalloc_state, arena_map_root))->size;
		return true;
	}
	return python->image &&
	       pyr_image_symbol(python->target, python->image, "arena_map_root", root, bytes);
}

/* log2 of the entries of a bottom node: what the two levels above leave of the address, of
 * which 48 bits count (3.10) or all 64. */
static int bottom_bits(const struct pyr_obmalloc *m, unsigned top_bits)
{
	unsigned arena_bits = (unsigned)__builtin_ctzll(m->arena_size);
	unsigned address_bits = top_bits <= 10 ? 48 : 64;

	return (int)(address_bits - arena_bits) - 2 * (int)top_bits;
}

/* Pointers that are not NULL among @count at @at; each is handed to @out, at most @room. */
static uint64_t children(struct pyr_python *python, pyr_addr at, uint64_t count, pyr_addr *out,
			 size_t room, bool *ok)
{
	uint64_t i, word, found = 0;
	const uint8_t *bytes = pyr_peek(&python->reader, at, count * 8);

	if (!bytes) {
		*ok = false;
		return 0;
	}
	for (i = 0; i < count; i++) {
		memcpy(&word, bytes + 8 * i, 8);
		if (!word)
			continue;
		if (found < room)
			out[found] = word;
		found++;
	}
	return found;
}

#define MID_NODES_MAX 256u /* each covers 16 TiB, or 256 GiB in 3.10 */

bool pyr_arena_map_read(struct pyr_python *python, const struct pyr_obmalloc *m,
			const struct pyr_obmalloc_state *state, struct pyr_arena_map *ret)
{
	pyr_addr root, mids[MID_NODES_MAX];
	struct pyr_arena_map map;
	uint64_t entries;
	bool ok = true;
	int bits;
	size_t i;

	memset(&map, 0, sizeof(map));
	if (!find_root(python, state, &root, &map.root_bytes))
		return false;
	entries = map.root_bytes / 8;
	if (!entries || entries > POINTERS_MAX || entries & (entries - 1))
		return false;
	bits = bottom_bits(m, (unsigned)__builtin_ctzll(entries));
	if (bits < 0 || bits > 20)
		return false;
	map.mid_nodes = children(python, root, entries, mids, MID_NODES_MAX, &ok);
	if (map.mid_nodes > MID_NODES_MAX)
		return false;
	for (i = 0; i < map.mid_nodes; i++)
		map.bot_nodes += children(python, mids[i], entries, NULL, 0, &ok);
	map.mid_bytes = map.mid_nodes * entries * 8;
	map.bot_bytes = map.bot_nodes << bits << 3;
	if (!ok)
		return false;
	*ret = map;
	return true;
}
