/* How deep the value stack is at an instruction, worked out from the bytecode: for frames
 * that do not record it while they run (3.6-3.10). */
#ifndef PYR_FRAMES_BYTECODE_H
#define PYR_FRAMES_BYTECODE_H

#include "types/types.h"

enum pyr_stack_role {
	PYR_STACK_OTHER, /* what is on the stack while the instruction calls is not known */
	PYR_STACK_KEEPS, /* its operands stay where they are, or are still owned */
	PYR_STACK_CALL,  /* a call: likewise; see `callable` */
};

struct pyr_stack_site {
	uint32_t depth; /* values on the stack when the instruction at lasti begins */
	enum pyr_stack_role role;
	uint32_t callable, callable_2; /* PYR_STACK_CALL: where on the stack what is called
					* lies; `callable_2` when that is NULL */
	bool unpacks;                  /* the operands from `callable` on may have been replaced */
};

/* @lasti is a byte offset. False: it cannot be told, for two paths through a `finally`
 * differ, or the bytecode is of another kind or damaged. */
bool pyr_code_stack_at(struct pyr_types *types, struct pyr_reader *reader, pyr_addr code,
		       int32_t lasti, struct pyr_stack_site *ret);

#endif
