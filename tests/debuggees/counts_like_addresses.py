"""Memory is mapped where the counts of static objects, which begin at 999999999 in 3.11, are addresses:
by chance the heap of an executable at a fixed address lies there."""
import ctypes

import oracle

BASE, SIZE = 999999999 & ~0xfffff, 1 << 21
PROT_READ_WRITE, MAP_PRIVATE_FIXED_NOREPLACE_ANONYMOUS = 3, 0x100022


def main():
    mmap = ctypes.CDLL(None, use_errno=True).mmap
    mmap.restype = ctypes.c_void_p
    mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + 3 * [ctypes.c_int] + [ctypes.c_long]
    at = mmap(BASE, SIZE, PROT_READ_WRITE, MAP_PRIVATE_FIXED_NOREPLACE_ANONYMOUS, -1, 0)
    if at == BASE:  # else something is there: just what is wanted
        ctypes.memset(at, 1, SIZE)
    oracle.finish({})


main()
