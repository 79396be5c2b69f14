#include "references/emulator_pure.h"

#include <string.h>

#define LOOK_MAX (UINT64_C(1) << 20) /* bytes */
#define PIECE 256u

static const struct {
	const char *name;
	enum pyr_pure function;
} names[] = {
	{"strcmp", PYR_PURE_STRCMP},   {"strncmp", PYR_PURE_STRNCMP}, {"strlen", PYR_PURE_STRLEN},
	{"strnlen", PYR_PURE_STRNLEN}, {"strchr", PYR_PURE_STRCHR},   {"strrchr", PYR_PURE_STRRCHR},
	{"memcmp", PYR_PURE_MEMCMP},   {"bcmp", PYR_PURE_MEMCMP},     {"memchr", PYR_PURE_MEMCHR},
};

enum pyr_pure pyr_pure_named(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(names[i].name, name))
			return names[i].function;
	return PYR_PURE_NONE;
}

/* Memory from one address on, a piece at a time, never across a page that the function
 * itself would not have reached. */
struct pure_stream {
	pyr_pure_read read;
	void *ctx;
	pyr_addr next;
	uint8_t bytes[PIECE];
	size_t at, have;
};

static void stream_init(struct pure_stream *s, pyr_addr addr, pyr_pure_read read, void *ctx)
{
	s->read = read;
	s->ctx = ctx;
	s->next = addr;
	s->at = s->have = 0;
}

static bool stream_next(struct pure_stream *s, uint8_t *ret)
{
	size_t n;

	if (s->at == s->have) {
		n = PIECE - s->next % PIECE;
		if (!s->read(s->ctx, s->next, s->bytes, n))
			return false;
		s->next += n;
		s->at = 0;
		s->have = n;
	}
	*ret = s->bytes[s->at++];
	return true;
}

/* strcmp(), strncmp() and memcmp(): the sign is what callers may rely on. */
static bool compare(const uint64_t arguments[3], uint64_t max, bool text, pyr_pure_read read,
		    void *ctx, uint64_t *ret)
{
	struct pure_stream x, y;
	uint8_t a, b;
	uint64_t i;

	stream_init(&x, arguments[0], read, ctx);
	stream_init(&y, arguments[1], read, ctx);
	for (i = 0; i < max; i++) {
		if (i == LOOK_MAX || !stream_next(&x, &a) || !stream_next(&y, &b))
			return false;
		if (a != b) {
			*ret = a < b ? UINT32_MAX : 1; /* an int in the low half */
			return true;
		}
		if (text && !a)
			break;
	}
	*ret = 0;
	return true;
}

/* The first (or @last) byte @wanted of at most @max, or of a string up to its NUL; *found
 * tells whether there is one, *length how many bytes were looked at before the end. */
static bool search(pyr_addr addr, uint64_t max, bool text, uint8_t wanted, bool last,
		   pyr_pure_read read, void *ctx, bool *found, uint64_t *where, uint64_t *length)
{
	struct pure_stream s;
	uint64_t i;
	uint8_t c;

	*found = false;
	stream_init(&s, addr, read, ctx);
	for (i = 0; i < max; i++) {
		if (i == LOOK_MAX || !stream_next(&s, &c))
			return false;
		if (c == wanted) {
			*found = true;
			*where = addr + i;
			if (!last)
				break;
		}
		if (text && !c)
			break;
	}
	*length = i;
	return true;
}

bool pyr_pure_call(enum pyr_pure function, const uint64_t arguments[3], pyr_pure_read read,
		   void *ctx, uint64_t *ret)
{
	uint64_t max = UINT64_MAX, where = 0, length = 0;
	uint8_t wanted = 0;
	bool found = false;

	switch (function) {
	case PYR_PURE_STRCMP:
		return compare(arguments, UINT64_MAX, true, read, ctx, ret);
	case PYR_PURE_STRNCMP:
		return compare(arguments, arguments[2], true, read, ctx, ret);
	case PYR_PURE_MEMCMP:
		return compare(arguments, arguments[2], false, read, ctx, ret);
	case PYR_PURE_STRNLEN:
		max = arguments[1];
		break;
	case PYR_PURE_STRCHR:
	case PYR_PURE_STRRCHR:
		wanted = (uint8_t)arguments[1];
		break;
	case PYR_PURE_MEMCHR:
		wanted = (uint8_t)arguments[1];
		max = arguments[2];
		break;
	case PYR_PURE_STRLEN:
		break;
	case PYR_PURE_NONE:
		return false;
	}
	if (!search(arguments[0], max, function != PYR_PURE_MEMCHR, wanted,
		    function == PYR_PURE_STRRCHR, read, ctx, &found, &where, &length))
		return false;
	if (function == PYR_PURE_STRLEN || function == PYR_PURE_STRNLEN)
		*ret = length;
	else
		*ret = found ? where : 0;
	return true;
}
