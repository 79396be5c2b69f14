"""Objects that native code holds (native_holder.c), each in another kind of place."""
import ctypes
import os
import sys

import oracle

HERE = os.path.dirname(os.path.abspath(__file__))
LIBRARY = os.path.join(os.path.abspath(sys.argv[1]), "native_holder.so")


class Held(object):
    """Nothing of Python refers to its instances once they are planted."""


def build():
    status = os.system("${CC:-cc} -O0 -g -shared -fPIC -pthread -o %s %s"
                       % (LIBRARY, os.path.join(HERE, "native_holder.c")))
    assert status == 0
    library = ctypes.CDLL(LIBRARY)
    for name in ("hold_store", "hold_large", "hold_last"):
        getattr(library, name).restype = ctypes.c_void_p
    return library


def counted(o):
    """The address of `o`, with a reference that C owns."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(o))
    return ctypes.c_void_p(id(o))


class Address(object):
    """Stands for an object in what is planted, without holding it."""

    def __init__(self, o):
        self.address = id(o)


def main():
    library, planted = build(), {}
    for name in ("static", "entry", "hidden", "store", "large"):
        o = Held()
        getattr(library, "hold_" + name)(counted(o))
        planted[name] = Address(o)
    o, local = Held(), Held()
    library.hold_in_thread(counted(o), counted(local))
    planted["stack"], planted["local"] = Address(o), Address(local)
    if hasattr(library, "hold_in_register"):  # x86-64
        o = Held()
        library.hold_in_register(counted(o))
        planted["register"] = Address(o)
    o = Held()
    counted(o)
    planted["leaked"] = Address(o)
    del o, local
    # more than PyTypeObject, less than PyHeapTypeObject, which is what tp_basicsize says
    last = [ctypes.cast(library.hold_last(ctypes.c_void_p(id(enumerate)), 448), ctypes.py_object).value]
    planted["last"] = Address(last[0])
    kept = Held()
    planted["kept"] = Address(kept)
    oracle.block(planted, lambda: {"held": {name: a.address for name, a in planted.items()}})


main()
