/* Lazy binding for emulated code: the dynamic linker's work, done by us.
 * elf/dl-runtime.c of glibc. */
#ifndef PYR_HEAP_EMULATOR_BINDING_H
#define PYR_HEAP_EMULATOR_BINDING_H

#include "target/image.h"
#include "target/reader.h"

/* Is @address code of the dynamic linker? Emulated functions have no other
 * reason to enter it than an unbound jump slot. */
bool pyr_binding_is_resolver(const struct pyr_target *target, pyr_addr address);

/* The address of the function that relocation @index of the image of @link_map's
 * jump slots names, or 0. IFUNCs are not resolved. */
pyr_addr pyr_binding_resolve(struct pyr_target *target, struct pyr_reader *reader,
			     pyr_addr link_map, uint64_t index);

#endif
