/* An extension as people write them by hand: a static type, a heap type with its module's
 * state, a chain of C structs that only tp_traverse knows, a switch on a tag, an array, and
 * an object that a C variable holds. Python 3.6 to 3.15. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* --- fields at fixed places --- */

typedef struct {
	PyObject_HEAD
	PyObject *first, *second;
	long n;
} Pair;

static int pair_traverse(Pair *self, visitproc visit, void *arg)
{
	Py_VISIT(self->first);
	Py_VISIT(self->second);
	return 0;
}

static int pair_clear(Pair *self)
{
	Py_CLEAR(self->first);
	Py_CLEAR(self->second);
	return 0;
}

static void pair_dealloc(Pair *self)
{
	PyObject_GC_UnTrack(self);
	pair_clear(self);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

static int pair_init(Pair *self, PyObject *args, PyObject *kwds)
{
	PyObject *first = NULL, *second = NULL;

	(void)kwds;
	if (!PyArg_ParseTuple(args, "|OO", &first, &second))
		return -1;
	Py_XINCREF(first);
	Py_XINCREF(second);
	self->first = first;
	self->second = second;
	return 0;
}

static PyTypeObject Pair_Type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "cext.Pair",
	.tp_basicsize = sizeof(Pair),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE,
	.tp_traverse = (traverseproc)pair_traverse,
	.tp_clear = (inquiry)pair_clear,
	.tp_dealloc = (destructor)pair_dealloc,
	.tp_init = (initproc)pair_init,
	.tp_new = PyType_GenericNew,
};

/* --- a chain of C structs, told apart by a tag and by a name --- */

struct link {
	struct link *next;
	int tag;
	const char *name;
	union {
		PyObject *object;
		PyObject *pair[2];
		double number;
	} value;
};

typedef struct {
	PyObject_HEAD
	struct link *links;
	Py_ssize_t count;
	PyObject **items;
	PyObject *dict;
} Chain;

static int chain_traverse(Chain *self, visitproc visit, void *arg)
{
	struct link *link;
	Py_ssize_t i;

#if PY_VERSION_HEX >= 0x03090000
	Py_VISIT(Py_TYPE(self));
#endif
	for (link = self->links; link; link = link->next) {
		if (strcmp(link->name, "weak") == 0)
			continue;
		switch (link->tag) {
		case 1:
			Py_VISIT(link->value.object);
			break;
		case 2:
			Py_VISIT(link->value.pair[0]);
			Py_VISIT(link->value.pair[1]);
			break;
		default:
			break;
		}
	}
	for (i = 0; i < self->count; i++)
		Py_VISIT(self->items[i]);
	Py_VISIT(self->dict);
	return 0;
}

static void chain_dealloc(Chain *self)
{
	PyObject_GC_UnTrack(self);
	PyObject_GC_Del(self); /* it lives as long as the process: what it holds stays */
}

static PyObject *chain_add(Chain *self, PyObject *args)
{
	struct link *link = calloc(1, sizeof(*link));
	const char *name;
	PyObject *a, *b = NULL;

	if (!link || !PyArg_ParseTuple(args, "sO|O", &name, &a, &b))
		return NULL;
	link->name = strdup(name);
	link->next = self->links;
	self->links = link;
	Py_INCREF(a);
	if (b) {
		Py_INCREF(b);
		link->tag = 2;
		link->value.pair[0] = a;
		link->value.pair[1] = b;
	} else {
		link->tag = 1;
		link->value.object = a;
	}
	Py_RETURN_NONE;
}

static PyObject *chain_append(Chain *self, PyObject *item)
{
	self->items = realloc(self->items, (size_t)(self->count + 1) * sizeof(*self->items));
	Py_INCREF(item);
	self->items[self->count++] = item;
	Py_RETURN_NONE;
}

static PyMethodDef chain_methods[] = {
	{"add", (PyCFunction)(void *)chain_add, METH_VARARGS, NULL},
	{"append", (PyCFunction)(void *)chain_append, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot chain_slots[] = {
	{Py_tp_traverse, (void *)chain_traverse},
	{Py_tp_dealloc, (void *)chain_dealloc},
	{Py_tp_methods, chain_methods},
	{Py_tp_new, (void *)PyType_GenericNew},
	{0, NULL},
};

static PyType_Spec chain_spec = {"cext.Chain", sizeof(Chain), 0,
				 Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, chain_slots};

/* --- a traverse function that calls what nothing has called before --- */

typedef struct {
	PyObject_HEAD
	char kind[16];
	PyObject *value;
} Late;

static int late_traverse(Late *self, visitproc visit, void *arg)
{
	char key[16] = "kind-of-";

	key[8] = self->kind[8];
	if (strncmp(self->kind, "kind-of-value", strlen(self->kind)) != 0 ||
	    memcmp(self->kind, key, 9) != 0 || !memchr(self->kind, 'v', sizeof(self->kind)))
		return 0;
	Py_VISIT(self->value);
	return 0;
}

static int late_init(Late *self, PyObject *args, PyObject *kwds)
{
	const char *kind;

	(void)kwds;
	if (!PyArg_ParseTuple(args, "sO", &kind, &self->value))
		return -1;
	strncpy(self->kind, kind, sizeof(self->kind) - 1);
	Py_INCREF(self->value);
	return 0;
}

static void late_dealloc(Late *self)
{
	PyObject_GC_UnTrack(self);
	Py_XDECREF(self->value);
	Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyTypeObject Late_Type = {
	PyVarObject_HEAD_INIT(NULL, 0).tp_name = "cext.Late",
	.tp_basicsize = sizeof(Late),
	.tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
	.tp_traverse = (traverseproc)late_traverse,
	.tp_dealloc = (destructor)late_dealloc,
	.tp_init = (initproc)late_init,
	.tp_new = PyType_GenericNew,
};

/* --- the module --- */

struct state {
	PyObject *cache, *chain_type;
};

static PyObject *held; /* by a C variable alone */

static int module_traverse(PyObject *m, visitproc visit, void *arg)
{
	struct state *state = PyModule_GetState(m);

	Py_VISIT(state->cache);
	Py_VISIT(state->chain_type);
	return 0;
}

static PyObject *hold(PyObject *m, PyObject *o)
{
	(void)m;
	Py_INCREF(o);
	held = o;
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"hold", hold, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};

static int module_exec(PyObject *m)
{
	struct state *state = PyModule_GetState(m);

	state->cache = PyList_New(0);
	state->chain_type = PyType_FromSpec(&chain_spec);
	if (!state->cache || !state->chain_type || PyType_Ready(&Pair_Type) < 0 ||
	    PyType_Ready(&Late_Type) < 0)
		return -1;
	Py_INCREF(&Late_Type);
	Py_INCREF(&Pair_Type);
	Py_INCREF(state->chain_type);
	return PyModule_AddObject(m, "Pair", (PyObject *)&Pair_Type) ||
			       PyModule_AddObject(m, "Late", (PyObject *)&Late_Type) ||
			       PyModule_AddObject(m, "Chain", state->chain_type)
		       ? -1
		       : 0;
}

static PyModuleDef_Slot slots[] = {
	{Py_mod_exec, (void *)module_exec},
	{0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "cext",
	.m_size = sizeof(struct state),
	.m_methods = methods,
	.m_slots = slots,
	.m_traverse = module_traverse,
};

PyMODINIT_FUNC PyInit_cext(void)
{
	return PyModuleDef_Init(&definition);
}
