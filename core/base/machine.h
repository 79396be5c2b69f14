/* The processors whose targets are read; all of them 64-bit and little-endian. */
#ifndef PYR_BASE_MACHINE_H
#define PYR_BASE_MACHINE_H

enum pyr_machine { PYR_MACHINE_X86_64, PYR_MACHINE_AARCH64, PYR_MACHINE_COUNT };

#endif
