/* Members by the getters of a type: tp_getset has names and functions, and a function
 * that does nothing but return a word of the object says what that word is called.
 * Cython compiles `cdef public object x` and `cdef readonly object x` to such getters. */
#include <stdlib.h>

#include "names/labels_internal.h"

#define GETTERS_MAX 1000u
#define CODE_MAX 40u

/* PyGetSetDef, descrobject.h: name, get, set, doc, closure. Part of the stable ABI. */
#define GETSET_SIZE 40u
#define GETSET_GET 8u

static const struct {
	uint8_t reg;
	const char *bytes;
	size_t length;
} tails[] = {
#define GETTER(reg, bytes) {reg, bytes, sizeof(bytes) - 1},
#include "references/getters.def"
#undef GETTER
};

/* The offset of the word that the function at @code returns; false: it may do more. */
static bool returned_word(struct pyr_reader *reader, pyr_addr code, uint64_t *offset)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint8_t *bytes = pyr_peek(reader, code, CODE_MAX);
	size_t at = 0, i;
	int32_t displacement;
	unsigned mod, reg;

	if (!bytes)
		return false;
	if (!memcmp(bytes, endbr64, sizeof(endbr64)))
		at = sizeof(endbr64);
	/* mov displacement(%rdi),%reg */
	if (bytes[at] != 0x48 || bytes[at + 1] != 0x8b || (bytes[at + 2] & 7) != 7)
		return false;
	mod = bytes[at + 2] >> 6;
	reg = bytes[at + 2] >> 3 & 7;
	at += 3;
	if (mod == 1) {
		displacement = (int8_t)bytes[at];
		at += 1;
	} else if (mod == 2) {
		memcpy(&displacement, bytes + at, 4);
		at += 4;
	} else {
		return false;
	}
	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		if (tails[i].reg == reg && at + tails[i].length <= CODE_MAX &&
		    !memcmp(bytes + at, tails[i].bytes, tails[i].length)) {
			*offset = (uint64_t)displacement;
			return displacement > 0;
		}
	return false;
}

char *pyr_label_getter(struct pyr_label_writer *w, const struct pyr_type *type, uint64_t offset)
{
	pyr_addr at = pyr_get_addr(w->l, w->reader, type->address, PyTypeObject, tp_getset), get;
	uint64_t name, word;
	unsigned i;

	if (w->l->machine != PYR_MACHINE_X86_64)
		return NULL;
	for (i = 0; at && i < GETTERS_MAX; i++, at += GETSET_SIZE) {
		if (!pyr_try_u64(w->reader, at, &name) || !name ||
		    !pyr_try_u64(w->reader, at + GETSET_GET, &get))
			return NULL;
		if (get && returned_word(w->reader, get, &word) && word == offset)
			return pyr_label_c_name(w, name);
	}
	return NULL;
}
