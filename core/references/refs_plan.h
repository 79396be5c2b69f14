/* How objects of a type are walked: its plan, compiled once (refs_plans.c). For the walkers, and
 * for what compiles them into its own loops over many objects (refs_walk.h). */
#ifndef PYR_REFERENCES_REFS_PLAN_H
#define PYR_REFERENCES_REFS_PLAN_H

#include "references/refs.h"
#include "runtime/access.h"

enum pyr_walker {
	PYR_WALK_UNKNOWN, /* tp_traverse is not one of ours */
	PYR_WALK_FIELDS,  /* the plan's fields are all */
	PYR_WALK_MANAGED, /* with a managed dict that the type's own function visits */
	PYR_WALK_LIST,
	PYR_WALK_TUPLE,
	PYR_WALK_DICT,
	PYR_WALK_SET,
	PYR_WALK_TYPE,
	PYR_WALK_MODULE,
	PYR_WALK_CFUNCTION,
	PYR_WALK_GENERATOR,
	PYR_WALK_FRAME,
	PYR_WALK_LRU_CACHE,
	PYR_WALK_DATETIME,
	PYR_WALK_NDARRAY,
	PYR_WALK_CYTHON_FUNCTION,
	PYR_WALK_ODICT,
	PYR_WALK_DEQUE,
	PYR_WALK_ELEMENT,
};

/* How the instance dict is reached; see the trait instance_dict. */
enum pyr_dict_mode {
	PYR_DICT_NOT_VISITED,
	PYR_DICT_AT_OFFSET, /* a pointer at object + offset */
	PYR_DICT_FROM_END,  /* tp_dictoffset < 0: counted from the end of a var-sized object */
	PYR_DICT_MANAGED_POINTERS, /* 3.11 */
	PYR_DICT_MANAGED_TAGGED,   /* 3.12 */
	PYR_DICT_MANAGED_INLINE,   /* 3.13+ */
};

struct pyr_traverse_plan_field {
	int32_t offset;
	bool behind_items; /* counted from there on: slots of a subclass of tuple, 3.15 */
	uint32_t label;
	uint64_t detail;
};

/* Was the plan of a heap type of C compared with the type's own function? */
enum pyr_traverse_plan_state {
	PYR_PLAN_SETTLED,
	PYR_PLAN_UNSETTLED, /* does the function visit the type itself? */
	PYR_PLAN_REFUTED,   /* it visits something else: ask it each time */
};

#define PYR_PLAN_POINTERS 2u

struct pyr_traverse_plan {
	enum pyr_walker walker;
	_Atomic int state; /* enum pyr_traverse_plan_state; changed on the calling thread */
	/* Whose tp_traverse is asked when `walker` does not know it: the nearest base that is
	 * not written in Python. What subclasses of it add is told by the plan. */
	const struct pyr_type *asked;
	/* Of a type whose traverse function is asked: what tells what is owned besides. */
	enum pyr_walker owner;
	enum pyr_dict_mode dict_mode;
	int64_t dictoffset;
	pyr_addr cached_keys; /* ht_cached_keys of the type, for names of values */
	uint64_t basicsize;
	bool inline_values;
	bool visits_type; /* tp_traverse visits Py_TYPE(self) */
	bool owns_type;   /* instances own a reference to their (heap) type */
	/* Where in an instance pointers lie to memory that is walked too; 0: no more. To have it
	 * near in time; with bit 0 set (PYR_DICT_MANAGED_TAGGED) it is that of the byte before. */
	int32_t pointers[PYR_PLAN_POINTERS];
	uint32_t count;
	struct pyr_traverse_plan_field fields[];
};

enum pyr_managed_rule { PYR_RULE_UNDECIDED, PYR_RULE_VALUES_FIRST, PYR_RULE_DICT_FIRST };

/* Places that the walkers read for every object, looked up once. */
struct pyr_refs {
	struct pyr_types *types;
	const struct pyr_layout *layout;
	_Atomic(struct pyr_traverse_plan *) *plans; /* by type index */
	uint32_t capacity;
	pyr_addr subtype_traverse; /* 0: not found */
	/* The managed dict rule (trait managed_dict_traversal): settled when it first
	 * matters, by asking the target's own code about a dict with embedded values, or the
	 * instance that they are embedded in. */
	_Atomic int rule; /* enum pyr_managed_rule */
	pyr_refs_ask_fn ask;
	void *ask_ctx;
	/* Tables of interned strings: their references do not count (unicodeobject.c,
	 * PyUnicode_InternInPlace()). One in a process; of each interpreter since 3.12. */
	PYR_VEC(pyr_addr) interned;
	bool lookup_in_keys; /* the trait dict_keys is LOOKUP_FN */
	pyr_addr lookdict;   /* dk_lookup of tables whose keys are visited (3.10-) */
	int32_t ob_type, ob_size, list_items, list_allocated, tuple_items;
	int32_t ma_keys, ma_values;
};

struct pyr_walk {
	struct pyr_refs *refs;
	struct pyr_reader *reader;
	const struct pyr_type *type;
	const struct pyr_traverse_plan *plan;
	pyr_addr addr;
	pyr_ref_fn fn;
	void *ctx;
	bool details; /* does anybody look at pyr_ref_fn's `detail` of attributes? */
	bool damaged;
	const struct pyr_visited *visited; /* by a traverse function that was asked, or NULL */
};

#define PYR_BOTH (PYR_REF_TRAVERSED | PYR_REF_OWNED)

static inline void pyr_walk_tell(struct pyr_walk *w, pyr_addr target, uint32_t label,
				 uint64_t detail)
{
	if (target)
		w->fn(w->ctx, target, label, detail);
}

/* The plan of @type, compiled on first use; threads that race agree on one. NULL: none. */
const struct pyr_traverse_plan *pyr_refs_plan(struct pyr_refs *refs, struct pyr_reader *reader,
					      const struct pyr_type *type);
enum pyr_coverage pyr_traverse_plan_coverage(const struct pyr_type *type,
					     const struct pyr_traverse_plan *plan);

/* refs_plans.c: a new plan, to be freed; NULL without memory. */
struct pyr_traverse_plan *pyr_traverse_plan_compile(struct pyr_refs *refs,
						    struct pyr_reader *reader,
						    const struct pyr_type *type);

/* Who can walk the objects of a type. */
enum pyr_walked {
	PYR_WALKED_OTHERWISE, /* by what was learned, or by the calling thread */
	PYR_WALKED_NEVER,     /* they hold nothing */
	PYR_WALKED_NATIVELY,  /* by any thread, by the plan */
};
/* *@plan may be NULL for those that are walked otherwise. */
enum pyr_walked pyr_refs_walked(struct pyr_refs *refs, struct pyr_reader *reader,
				const struct pyr_type *type, const struct pyr_traverse_plan **plan);

/* refs_special.c */
void pyr_walk_special(struct pyr_walk *w, enum pyr_walker walker);
/* refs_dict.c */
/* Is the dict visited before the values that it shares with the instance (gh-130327)? */
bool pyr_walk_dict_first(struct pyr_walk *w, pyr_addr dict);
/* Does the walk depend on that, and is it not settled yet? */
bool pyr_walk_asks(struct pyr_refs *refs, struct pyr_reader *reader,
		   const struct pyr_traverse_plan *plan, pyr_addr addr);
static inline bool pyr_walk_must_ask(struct pyr_refs *refs, struct pyr_reader *reader,
				     const struct pyr_traverse_plan *plan, pyr_addr addr)
{
	return atomic_load_explicit(&refs->rule, memory_order_relaxed) == PYR_RULE_UNDECIDED &&
	       refs->ask && pyr_walk_asks(refs, reader, plan, addr);
}
/* plan->owner of the type's plan */
enum pyr_walker pyr_refs_owner_walker(struct pyr_refs *refs, struct pyr_reader *reader,
				      const struct pyr_type *type);
/* refs_stdlib.c */
void pyr_walk_lru_cache(struct pyr_walk *w);
void pyr_walk_datetime(struct pyr_walk *w);
void pyr_walk_ndarray(struct pyr_walk *w);
void pyr_walk_cython_function(struct pyr_walk *w);
void pyr_walk_odict(struct pyr_walk *w);
void pyr_walk_deque(struct pyr_walk *w);
void pyr_walk_element(struct pyr_walk *w);
/* refs_frame.c */
void pyr_walk_frame(struct pyr_walk *w);
void pyr_walk_generator(struct pyr_walk *w);

/* The number of a FIELD name of refs_names.def: a constant when @name is one. */
static inline __attribute__((always_inline)) uint32_t pyr_ref_name_number(const char *name)
{
	uint32_t number = 0;

#define NAME(text)                                                                                 \
	if (!__builtin_strcmp(name, text))                                                         \
		return number;                                                                     \
	number++;
#include "references/refs_names.def"
#undef NAME
	return 0;
}
#define PYR_FIELD_LABEL(flags, name) (PYR_EDGE_FIELD | (flags) | pyr_ref_name_number(name) << 16)

#endif
