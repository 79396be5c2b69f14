/* A type's own tp_traverse, run in an emulator over the target's memory.
 *
 * The machine code is the target's; the visit function is a trap that notes its
 * argument. Nothing runs in the target. libunicorn (2.x) is loaded at run time when it
 * is there.
 *
 * What a call writes, outside of its own stack too, it writes to copies of the target's
 * pages, which are the target's again after it: PyO3's functions note in a thread-local
 * variable that the interpreter must not be called now, and lock the object.
 *
 * The box: a call that writes to what the process cannot write to, makes a system call,
 * runs an instruction of the VEX or EVEX encodings (which libunicorn 2.0 executes
 * wrongly), needs an IFUNC resolver, reads what the target does not hold, or takes
 * too long is abandoned, and all it visited is discarded. Jump slots that the
 * dynamic linker has not bound yet are resolved here, and the C library's functions that
 * compare and search bytes are done here (emulator_pure.h).
 *
 * Calling thread only. */
#ifndef PYR_REFERENCES_EMULATOR_H
#define PYR_REFERENCES_EMULATOR_H

#include "target/image.h"
#include "target/reader.h"

struct pyr_emulator;

/* NULL in *@ret, and a reason in *@why (static), when emulation cannot be had:
 * no libunicorn, another machine's code. That is no error. */
pyr_error *pyr_emulator_create(struct pyr_target *target, struct pyr_emulator **ret,
			       const char **why);
void pyr_emulator_destroy(struct pyr_emulator *emulator); /* NULL is allowed */

/* Thread-local variables are those of the thread whose thread pointer is @tls: the one that
 * runs Python, for it alone knows the interpreter. Else the first thread's. */
void pyr_emulator_use_thread(struct pyr_emulator *emulator, pyr_addr tls);

/* One word that the function read of the object itself. */
struct pyr_emulated_read {
	uint32_t offset; /* from the object's address */
	uint64_t value;
};

struct pyr_emulated_call {
	const pyr_addr *visited; /* in order, with repetitions; valid until the next call */
	size_t visited_count;
	/* The function looked at nothing but whole words of the object, its own stack and
	 * the constants of its image: what it visits follows from those words. */
	bool fixed_fields;
	const struct pyr_emulated_read *reads; /* when fixed_fields */
	size_t read_count;
};

/* Call @function(@self, visit, arg) of a struct of @size bytes. False when the
 * call was abandoned; *@why (static) then tells. */
bool pyr_emulator_traverse(struct pyr_emulator *emulator, pyr_addr function, pyr_addr self,
			   uint64_t size, struct pyr_emulated_call *ret, const char **why);
/* The same of a @function that answers an int about @self, as tp_is_gc does. */
bool pyr_emulator_ask(struct pyr_emulator *emulator, pyr_addr function, pyr_addr self, int *ret,
		      const char **why);

#endif
