#include "frames/bytecode.h"

#include <stdlib.h>

#include "runtime/raw.h"
#include "types/types.h"

#define CODE_MAX (UINT64_C(1) << 20) /* bytes; more than any function has */
#define PASSES_MAX 32u               /* backward jumps seldom need a second one */
#define UNKNOWN (-1)

enum form {
	FORM_CONST,
	FORM_PLUS,
	FORM_MINUS,
	FORM_MINUS_2,
	FORM_FLAG_1,
	FORM_FLAG_4,
	FORM_FLAGS_4,
	FORM_SLICE,
	FORM_UNPACK_EX
};
enum jump { JUMP_NONE, JUMP_REL, JUMP_ABS };
enum next { NEXT_STOP, NEXT_NEXT };

enum {
#define OP(name, n37, n38, n39, n310, form, effect, jump, jumped, next, role) ID_##name,
#include "frames/bytecode.def"
#undef OP
};

struct op {
	int16_t numbers[4];
	uint8_t form;
	int8_t effect;
	uint8_t jump;
	int8_t jumped;
	uint8_t next, role;
};

static const struct op ops[] = {
#define OP(name, n37, n38, n39, n310, form, effect, jump, jumped, next, role)                      \
	{{n37, n38, n39, n310}, FORM_##form,     effect, JUMP_##jump, jumped,                      \
	 NEXT_##next,           PYR_STACK_##role},
#include "frames/bytecode.def"
#undef OP
};
#define OPS (sizeof(ops) / sizeof(*ops))

#define EXTENDED_ARG 144
#define NO_OP 255u

struct flow {
	const uint8_t *bytes;
	uint32_t count;         /* instructions */
	uint8_t by_number[256]; /* index into ops, or NO_OP */
	uint32_t *args;         /* with EXTENDED_ARG */
	int32_t *depths;        /* UNKNOWN: not reached */
	uint8_t *unsure;        /* the depth differs by path */
	bool units;             /* jumps count instructions (3.10), not bytes */
};

static bool choose_numbers(const struct pyr_layout *l, struct flow *f)
{
	unsigned column, i;

	switch (pyr_trait(l, bytecode)) {
	case PYR_TRAIT(bytecode, WORDS_3_6):
		column = 0;
		break;
	case PYR_TRAIT(bytecode, WORDS_3_8):
		column = 1;
		break;
	case PYR_TRAIT(bytecode, WORDS_3_9):
		column = 2;
		break;
	case PYR_TRAIT(bytecode, WORDS_3_10):
		column = 3;
		f->units = true;
		break;
	default:
		return false;
	}
	memset(f->by_number, NO_OP, sizeof(f->by_number));
	for (i = 0; i < OPS; i++)
		if (ops[i].numbers[column] >= 0)
			f->by_number[ops[i].numbers[column]] = (uint8_t)i;
	return true;
}

static int64_t effect_of(const struct op *op, uint32_t arg)
{
	unsigned bit;
	int64_t e = op->effect;

	switch ((enum form)op->form) {
	case FORM_CONST:
		break;
	case FORM_PLUS:
		return e + arg;
	case FORM_MINUS:
		return e - (int64_t)arg;
	case FORM_MINUS_2:
		return e - 2 * (int64_t)arg;
	case FORM_FLAG_1:
		return e - (arg & 1);
	case FORM_FLAG_4:
		return e - ((arg & 4) != 0);
	case FORM_FLAGS_4:
		for (bit = 1; bit < 16; bit <<= 1)
			e -= (arg & bit) != 0;
		return e;
	case FORM_SLICE:
		return e - (arg == 3);
	case FORM_UNPACK_EX:
		return e + (arg & 0xff) + (arg >> 8);
	}
	return e;
}

/* Decode arguments; false when an instruction is not known. */
static bool decode(struct flow *f)
{
	uint32_t i, extended = 0;

	for (i = 0; i < f->count; i++) {
		uint8_t number = f->bytes[2 * i];

		f->args[i] = extended << 8 | f->bytes[2 * i + 1];
		extended = number == EXTENDED_ARG ? f->args[i] : 0;
		if (number != EXTENDED_ARG && f->by_number[number] == NO_OP)
			return false;
	}
	return true;
}

/* Where instruction @i jumps to, or count. */
static uint32_t target_of(const struct flow *f, uint32_t i, const struct op *op)
{
	uint64_t to = f->units ? f->args[i] : f->args[i] / 2;

	if (op->jump == JUMP_REL)
		to += i + 1;
	return to < f->count ? (uint32_t)to : f->count;
}

/* Raise the depth of @to; true when that changed it. Where paths differ the deepest
 * counts, as in stackdepth(), compile.c. */
static bool reach(struct flow *f, uint32_t to, int64_t depth)
{
	if (to >= f->count || depth < 0 || depth > INT32_MAX / 2 || f->depths[to] >= depth)
		return false;
	f->depths[to] = (int32_t)depth;
	return true;
}

static bool flow_depths(struct flow *f)
{
	bool changed = true;
	unsigned pass;
	uint32_t i;

	f->depths[0] = f->by_number[f->bytes[0]] == ID_GEN_START; /* the value that is sent */
	for (pass = 0; changed && pass < PASSES_MAX; pass++) {
		changed = false;
		for (i = 0; i < f->count; i++) {
			const struct op *op;

			if (f->depths[i] == UNKNOWN)
				continue;
			if (f->bytes[2 * i] == EXTENDED_ARG) {
				changed |= reach(f, i + 1, f->depths[i]);
				continue;
			}
			op = &ops[f->by_number[f->bytes[2 * i]]];
			if (op->next == NEXT_NEXT)
				changed |=
					reach(f, i + 1, f->depths[i] + effect_of(op, f->args[i]));
			if (op->jump != JUMP_NONE)
				changed |= reach(f, target_of(f, i, op), f->depths[i] + op->jumped);
		}
	}
	return !changed;
}

static bool doubt(struct flow *f, uint32_t to, int64_t depth, bool unsure)
{
	if (to >= f->count || f->unsure[to])
		return false;
	if (!unsure && depth == f->depths[to])
		return false;
	f->unsure[to] = 1;
	return true;
}

/* Inside of a `finally` the depth depends on how it was entered, until its end. */
static bool flow_doubts(struct flow *f)
{
	bool changed = true, unsure;
	unsigned pass;
	uint32_t i;

	for (pass = 0; changed && pass < PASSES_MAX; pass++) {
		changed = false;
		for (i = 0; i < f->count; i++) {
			const struct op *op;
			unsigned id;

			if (f->depths[i] == UNKNOWN)
				continue;
			if (f->bytes[2 * i] == EXTENDED_ARG) {
				changed |= doubt(f, i + 1, f->depths[i], f->unsure[i]);
				continue;
			}
			id = f->by_number[f->bytes[2 * i]];
			op = &ops[id];
			unsure = id == ID_BEGIN_FINALLY ||
				 (f->unsure[i] && id != ID_END_FINALLY && id != ID_POP_FINALLY);
			if (op->next == NEXT_NEXT)
				changed |= doubt(f, i + 1, f->depths[i] + effect_of(op, f->args[i]),
						 unsure);
			if (op->jump != JUMP_NONE)
				changed |= doubt(f, target_of(f, i, op), f->depths[i] + op->jumped,
						 unsure);
		}
	}
	return !changed;
}

static bool site_of(const struct flow *f, uint32_t i, struct pyr_stack_site *ret)
{
	struct pyr_stack_site site = {.role = PYR_STACK_OTHER};
	unsigned id = f->by_number[f->bytes[2 * i]];
	uint32_t arg = f->args[i], used;

	if (f->depths[i] == UNKNOWN || f->unsure[i] || f->bytes[2 * i] == EXTENDED_ARG)
		return false;
	site.depth = (uint32_t)f->depths[i];
	site.role = ops[id].role;
	if (site.role == PYR_STACK_CALL) {
		/* Below the arguments; a method that was looked up has NULL there, or itself,
		 * with its object above. */
		site.unpacks = id == ID_CALL_FUNCTION_EX;
		used = site.unpacks ? 2 + (arg & 1)
				    : arg + 1 + (id == ID_CALL_FUNCTION_KW || id == ID_CALL_METHOD);
		if (used > site.depth)
			return false;
		site.callable = site.depth - used;
		site.callable_2 = site.callable + (id == ID_CALL_METHOD);
	}
	*ret = site;
	return true;
}

bool pyr_code_stack_at(struct pyr_types *types, struct pyr_reader *reader, pyr_addr code,
		       int32_t lasti, struct pyr_stack_site *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_raw raw = {l, reader};
	struct flow f = {0};
	uint64_t length, i;
	uint8_t *copy;
	const void *bytes;
	pyr_addr data;
	bool known;

	if (lasti < 0 || lasti & 1 || !choose_numbers(l, &f) ||
	    !pyr_raw_bytes(raw, pyr_raw_get(raw, code, PYR_FIELD(PyCodeObject, co_code)), &data,
			   &length) ||
	    length > CODE_MAX || (uint64_t)lasti + 2 > length ||
	    !(bytes = pyr_peek(reader, data, length)))
		return false;
	f.count = (uint32_t)(length / 2);
	copy = malloc(length);
	f.args = calloc(f.count, sizeof(*f.args));
	f.depths = malloc(f.count * sizeof(*f.depths));
	f.unsure = calloc(f.count, 1);
	known = copy && f.args && f.depths && f.unsure;
	if (known) {
		memcpy(copy, bytes, length);
		f.bytes = copy;
		for (i = 0; i < f.count; i++)
			f.depths[i] = UNKNOWN;
		known = decode(&f) && flow_depths(&f) && flow_doubts(&f) &&
			site_of(&f, (uint32_t)lasti / 2, ret);
	}
	free(copy);
	free(f.args);
	free(f.depths);
	free(f.unsure);
	return known;
}
