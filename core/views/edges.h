/* References as the commands print them. */
#ifndef PYR_VIEWS_EDGES_H
#define PYR_VIEWS_EDGES_H

#include "analysis/retention/holders.h"
#include "analysis/retention/ledger.h"
#include "command/object_argument.h"

/* "value", "field": the JSON name of a kind. */
const char *pyr_edge_kind_name(enum pyr_edge_kind kind);
/* The name of one reference; to be freed, NULL without memory. */
char *pyr_edge_text(struct pyr_context *context, const struct pyr_step *step);
/* Of a chain that is shown as one. */
char *pyr_chain_text(struct pyr_context *context, const struct pyr_chain *chain);
/* "edge", "kind", "traversed", "certainty", "count" into the open object. */
void pyr_edge_json(struct pyr_context *context, const struct pyr_step *step, uint64_t count);
/* "list of 3 items", "app.Session": what stands at the beginning of a sentence. */
void pyr_object_words(struct pyr_context *context, const struct pyr_object_argument *asked,
		      struct pyr_strbuf *out);

/* An object in a table: one row's ADDRESS, TYPE, HOW, VALUE. */
void pyr_edge_row(struct pyr_context *context, struct pyr_table *table, pyr_addr address,
		  const char *how);
extern const struct pyr_column pyr_edge_columns[4];

/* The ledger of the object: ledger.c. */
struct pyr_object_ledger {
	struct pyr_model *model;
	struct pyr_roots *roots;
	struct pyr_ledger_lines lines;
	uint64_t from_objects, from_roots; /* owned references found */
	int64_t remainder;                 /* not found; 0 when it is not counted */
	bool counted;                      /* false: immortal or static */
};
/* Builds the model and the roots if need be. */
pyr_error *pyr_object_ledger(struct pyr_context *context, const struct pyr_object_argument *asked,
			     struct pyr_object_ledger *ret);
/* "ledger", "possible", "unexplained" into the open object. */
void pyr_object_ledger_json(struct pyr_context *context, const struct pyr_object_argument *asked,
			    const struct pyr_object_ledger *ledger);
/* "1 dict value, 2 attributes, 1 variable of a running frame" */
void pyr_ledger_kinds(const struct pyr_ledger_lines *lines, struct pyr_strbuf *out);
/* The same, and "1 not found in this heap". */
void pyr_object_ledger_kinds(const struct pyr_object_ledger *ledger, struct pyr_strbuf *out);
/* "3 from objects, 1 from a variable of a running function, 1 not found in this heap" */
void pyr_object_ledger_words(const struct pyr_object_ledger *ledger, struct pyr_strbuf *out);
/* Roots that may be: a heading and rows; nothing when there are none. */
void pyr_possible_print(struct pyr_context *context, const struct pyr_object_argument *asked,
			const struct pyr_object_ledger *ledger);
/* Exact roots of the object: likewise. */
void pyr_roots_print(struct pyr_context *context, const struct pyr_object_argument *asked,
		     const struct pyr_object_ledger *ledger);

#endif
