/* JSON, written as it comes: no tree is kept. Strings become valid UTF-8
 * (bytes that are none read U+FFFD), addresses are strings "0x7f...".
 *
 * The members of the outermost object and the elements of its lists stand on
 * lines of their own; what is deeper stays on the line. @key is the member's
 * name inside an object and NULL inside a list. */
#ifndef PYR_RENDER_JSON_H
#define PYR_RENDER_JSON_H

#include "render/out.h"

#define PYR_JSON_DEPTH 32

struct pyr_json {
	struct pyr_out *out;
	unsigned depth;
	bool flat;                /* all on one line */
	bool any[PYR_JSON_DEPTH]; /* the open list or object has a member already */
};

void pyr_json_init(struct pyr_json *json, struct pyr_out *out);
void pyr_json_begin_object(struct pyr_json *json, const char *key);
void pyr_json_end_object(struct pyr_json *json);
void pyr_json_begin_list(struct pyr_json *json, const char *key);
void pyr_json_end_list(struct pyr_json *json);

void pyr_json_string(struct pyr_json *json, const char *key, const char *value); /* NULL: null */
void pyr_json_format(struct pyr_json *json, const char *key, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void pyr_json_uint(struct pyr_json *json, const char *key, uint64_t value);
void pyr_json_int(struct pyr_json *json, const char *key, int64_t value);
void pyr_json_real(struct pyr_json *json, const char *key, double value);
void pyr_json_bool(struct pyr_json *json, const char *key, bool value);
void pyr_json_null(struct pyr_json *json, const char *key);
/* "0x..."; null for address 0. */
void pyr_json_address(struct pyr_json *json, const char *key, pyr_addr value);

#endif
