/* Why an object is alive, in sentences for a person who does not know the words. */
#ifndef PYR_VIEWS_WHY_WORDS_H
#define PYR_VIEWS_WHY_WORDS_H

#include "views/path_search.h"

/* Why no path was found. */
enum pyr_unheld {
	PYR_UNHELD_GARBAGE, /* all references to it come from what is unreachable too */
	PYR_UNHELD_UNKNOWN, /* something has references that were not found */
	PYR_UNHELD_IMMORTAL,
};

/* "This app.Session is alive because the module app.cache holds it: app.cache.S['abc']." */
void pyr_why_holder(struct pyr_context *context, const struct pyr_printable_path *route,
		    struct pyr_strbuf *out);
/* "20 other app.Session objects are held the same way, by the same dict." */
void pyr_why_alike(struct pyr_context *context, struct pyr_retention_cache *retention,
		   const struct pyr_printable_path *route, struct pyr_strbuf *out);
/* "It would be freed if the key 'abc' were removed from the dict app.cache.S."
 * @shown: how many paths there are below. */
pyr_error *pyr_why_release(struct pyr_context *context, struct pyr_retention_cache *retention,
			   const struct pyr_printable_path *route, size_t shown,
			   struct pyr_strbuf *out);
/* Nothing reaches @object; @holder is the object whose references were not all found. */
void pyr_why_nothing(struct pyr_context *context, struct pyr_retention_cache *retention,
		     enum pyr_unheld why, uint32_t object, uint32_t holder, struct pyr_strbuf *out);
/* "refcount 3: 2 dict values, 1 local variable, 0 not found" */
void pyr_why_ledger(struct pyr_context *context, struct pyr_retention_cache *retention,
		    uint32_t object);

#endif
