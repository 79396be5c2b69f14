/* What an object owns: its references, read natively.
 *
 * For every type a *plan* is compiled once: fields at fixed offsets, __slots__,
 * how the instance dict is kept, whether the type itself is visited, and which
 * special walker (list, dict, frame, ...) the layout needs. Objects are then
 * walked by their type's plan. Types whose tp_traverse is not one of the
 * built-in ones have no plan: coverage PYR_REFS_UNKNOWN.
 *
 * A reference is *traversed* when the type's tp_traverse visits it (what
 * gc.get_referents() answers), and *owned* when it counts in its target's
 * reference count. Mirrors the tp_traverse functions of Objects/ and
 * subtype_traverse() in Objects/typeobject.c. */
#ifndef PYR_REFERENCES_REFS_H
#define PYR_REFERENCES_REFS_H

#include "types/types.h"

enum pyr_edge_kind {
#define EDGE(id, name, detail) PYR_EDGE_##id,
#include "references/edges.def"
#undef EDGE
	PYR_EDGE_COUNT
};

/* A label: kind in bits 0-7, flags, and for FIELD and TYPE the name's number
 * (pyr_ref_name()) in bits 16-31. */
#define PYR_REF_KIND(label) ((enum pyr_edge_kind)((label)&0xff))
#define PYR_REF_TRAVERSED 0x100u
#define PYR_REF_OWNED 0x200u
#define PYR_REF_INFERRED 0x400u /* a guess: keeps alive, is never counted */
#define PYR_REF_NAME(label) ((label) >> 16)

/* One reference. @target is what the word says, not checked to be an object. */
typedef void (*pyr_ref_fn)(void *ctx, pyr_addr target, uint32_t label, uint64_t detail);

enum pyr_coverage {
	PYR_REFS_NONE,    /* the type holds no references (or only what was told) */
	PYR_REFS_NATIVE,  /* all were told */
	PYR_REFS_PARTIAL, /* all but the state of a module */
	PYR_REFS_UNKNOWN, /* the type's traverse function is not known here */
	PYR_REFS_DAMAGED, /* memory was absent or contradicted itself; some may be missing */
};

struct pyr_refs;

pyr_error *pyr_refs_create(struct pyr_types *types, struct pyr_refs **ret);
void pyr_refs_destroy(struct pyr_refs *refs); /* NULL is allowed */
/* How the target's own code is asked, where a build does not tell what it does:
 * *@visited is how many references to @target (0: to anything) the object's tp_traverse
 * visits. Used on the calling thread. */
typedef bool (*pyr_refs_ask_fn)(void *ctx, const struct pyr_type *type, pyr_addr object,
				pyr_addr target, size_t *visited);
void pyr_refs_ask(struct pyr_refs *refs, pyr_refs_ask_fn ask, void *ctx);

/* Tell every reference of the object at @addr. Thread-safe with one reader per
 * thread. Never recurses, never allocates per object. */
enum pyr_coverage pyr_refs_walk(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr, pyr_ref_fn fn,
				void *ctx);

/* Which words of an object were visited. */
#define PYR_VISITED_WORDS 512u
struct pyr_visited {
	bool type;
	uint64_t words[PYR_VISITED_WORDS / 64];
};
static inline bool pyr_visited_word(const struct pyr_visited *v, uint32_t offset)
{
	return offset / 8 < PYR_VISITED_WORDS && v->words[offset / 512] >> (offset / 8 % 64) & 1;
}

/* What is known of an object of coverage UNKNOWN (PARTIAL) besides what the traverse function
 * of pyr_refs_traverse_type() (of its type) visits: what its classes written in Python add, and
 * what is owned and not visited; its type too. @visited is what the function
 * visited; NULL: it could not be asked, and all is told that the bases own, none of it
 * as traversed. False when memory was absent or contradicted itself. */
bool pyr_refs_walk_unvisited(struct pyr_refs *refs, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr,
			     const struct pyr_visited *visited, pyr_ref_fn fn, void *ctx);
/* The type whose tp_traverse has to be asked for objects of @type. */
const struct pyr_type *pyr_refs_traverse_type(struct pyr_refs *refs, struct pyr_reader *reader,
					      const struct pyr_type *type);
/* Before the first walk of an object of the type, on the calling thread: let its own code
 * decide what is not known of its plan. Nothing happens where that was done. */
void pyr_refs_verify_type_visit(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, pyr_addr addr);

/* What pyr_refs_walk() will answer for objects of @type, damage aside. */
enum pyr_coverage pyr_refs_coverage(struct pyr_refs *refs, struct pyr_reader *reader,
				    const struct pyr_type *type);

/* Does a walk of the object depend on what only the calling thread may ask? */
bool pyr_refs_must_ask(struct pyr_refs *refs, struct pyr_reader *reader,
		       const struct pyr_type *type, pyr_addr addr);

/* Do objects of @type hold nothing at all? */
bool pyr_refs_are_none(struct pyr_refs *refs, struct pyr_reader *reader,
		       const struct pyr_type *type);

/* Does the object's tp_traverse visit references that others own, which it owns? */
bool pyr_refs_visits_through(struct pyr_refs *refs, struct pyr_reader *reader,
			     const struct pyr_type *type, pyr_addr addr);

/* Dicts whose keys and values do not count, for they are the tables of interned strings.
 * Those that a symbol or an interpreter tells are there; others are added by who finds
 * them, before the first walk. False without memory. */
bool pyr_refs_add_interned(struct pyr_refs *refs, pyr_addr dict);
const pyr_addr *pyr_refs_interned(const struct pyr_refs *refs, size_t *count);

/* "__code__", "__class__": the name behind PYR_REF_NAME(). */
const char *pyr_ref_name(uint32_t name);

#endif
