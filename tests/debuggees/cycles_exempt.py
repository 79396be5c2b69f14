"""Cycles of objects that tp_is_gc keeps the collector off, as greenlet does with those that run.

No type of the standard library but `type` has that function. Here PyCallable_Check() is it:
instances of Pinned are not callable, so the collector leaves them alone, and what only they
hold; those of Collected are."""
import ctypes
import gc
import oracle

# PyTypeObject: tp_is_gc is 39 words behind the header of a type, which is one of an object
TP_IS_GC = object.__basicsize__ + 39 * ctypes.sizeof(ctypes.c_size_t)


class Pinned(object):
    pass


class Collected(object):
    def __call__(self):
        pass


def main():
    gc.disable()
    for kind in (Pinned, Collected):
        ctypes.c_size_t.from_address(id(kind) + TP_IS_GC).value = \
            ctypes.cast(ctypes.pythonapi.PyCallable_Check, ctypes.c_void_p).value
        for i in range(20):
            o = kind()
            o.me, o.held = o, [{"number": [i]}]
            o = kind()
            o.ring = [o]
    o = None
    oracle.finish({"Pinned": Pinned, "Collected": Collected})


main()
