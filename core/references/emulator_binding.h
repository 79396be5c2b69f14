/* Lazy binding for emulated code: the dynamic linker's work, done by us.
 * elf/dl-runtime.c of glibc. */
#ifndef PYR_REFERENCES_EMULATOR_BINDING_H
#define PYR_REFERENCES_EMULATOR_BINDING_H

#include "references/emulator_pure.h"
#include "target/image.h"
#include "target/reader.h"

/* Is @address code of the dynamic linker? Emulated functions enter it through an unbound
 * jump slot, or at __tls_get_addr(). */
bool pyr_binding_is_linker(const struct pyr_target *target, pyr_addr address);
bool pyr_binding_is_tls_get_addr(struct pyr_target *target, pyr_addr address);

/* Is it code of the C library? */
bool pyr_binding_is_libc(const struct pyr_target *target, pyr_addr address);

/* The function that relocation @index of the jump slots of the image of @link_map names:
 * its address in *@address, or, when its name is that of one that is done here, that one
 * in *@pure (and 0 in *@address). False: neither. IFUNCs are not resolved. */
bool pyr_binding_resolve(struct pyr_target *target, struct pyr_reader *reader, pyr_addr link_map,
			 uint64_t index, pyr_addr *address, enum pyr_pure *pure);

/* Which function of those that are done here is the one at @address, by the name of a
 * slot that the image of the code at @caller calls it through. An IFUNC's choice has no
 * other name: libraries are stripped. */
enum pyr_pure pyr_binding_pure(struct pyr_target *target, struct pyr_reader *reader,
			       pyr_addr caller, pyr_addr address);

#endif
