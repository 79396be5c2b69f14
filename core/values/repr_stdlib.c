/* repr of ranges, slices, arrays and other C types of the standard library and numpy. */
#include "values/numpy.h"
#include "values/repr.h"

static pyr_addr none(const struct repr *r)
{
	return r->types->python->known[PYR_KNOWN_NONE];
}

/* rangeobject.c, range_repr(): the step only when it is not 1. */
void repr_range(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr step = REPR_GET(r, obj, rangeobject, step);
	int64_t value = 0;

	(void)type;
	pyr_strbuf_add(r->out, "range(");
	repr_value(r, REPR_GET(r, obj, rangeobject, start));
	pyr_strbuf_add(r->out, ", ");
	repr_value(r, REPR_GET(r, obj, rangeobject, stop));
	pyr_error_destroy(pyr_int_value(r->types, r->reader, step, &value));
	if (value != 1) {
		pyr_strbuf_add(r->out, ", ");
		repr_value(r, step);
	}
	pyr_strbuf_add(r->out, ")");
}

void repr_slice(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_add(r->out, "slice(");
	repr_value(r, REPR_GET(r, obj, PySliceObject, start));
	pyr_strbuf_add(r->out, ", ");
	repr_value(r, REPR_GET(r, obj, PySliceObject, stop));
	pyr_strbuf_add(r->out, ", ");
	repr_value(r, REPR_GET(r, obj, PySliceObject, step));
	pyr_strbuf_add(r->out, ")");
}

static void add_array_item(struct repr *r, char code, const uint8_t *p)
{
	union {
		int8_t b;
		uint8_t B;
		int16_t h;
		uint16_t H;
		int32_t i;
		uint32_t I;
		int64_t q;
		uint64_t Q;
		float f;
		double d;
	} v;

	memcpy(&v, p, 8);
	switch (code) {
	case 'b':
		pyr_strbuf_printf(r->out, "%d", v.b);
		break;
	case 'B':
		pyr_strbuf_printf(r->out, "%u", v.B);
		break;
	case 'h':
		pyr_strbuf_printf(r->out, "%d", v.h);
		break;
	case 'H':
		pyr_strbuf_printf(r->out, "%u", v.H);
		break;
	case 'i':
		pyr_strbuf_printf(r->out, "%d", v.i);
		break;
	case 'I':
		pyr_strbuf_printf(r->out, "%u", v.I);
		break;
	case 'l':
	case 'q':
		pyr_strbuf_printf(r->out, "%lld", (long long)v.q);
		break;
	case 'L':
	case 'Q':
		pyr_strbuf_printf(r->out, "%llu", (unsigned long long)v.Q);
		break;
	case 'f':
		repr_double(r, (double)v.f, false, true);
		break;
	case 'd':
		repr_double(r, v.d, false, true);
		break;
	default:
		pyr_strbuf_add(r->out, "?");
	}
}

/* arraymodule.c, array_repr(); struct arraydescr {char typecode; int itemsize; ...}. */
void repr_array(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr descr = REPR_GET(r, obj, arrayobject, ob_descr);
	uint64_t count = REPR_GET(r, obj, PyVarObject, ob_size), i;
	pyr_addr items = REPR_GET(r, obj, arrayobject, ob_item);
	const char *code = pyr_peek(r->reader, descr, 1);
	uint8_t item[8] = {0};
	uint32_t itemsize = 0;

	if (!code || !pyr_try_u32(r->reader, descr + 4, &itemsize) || itemsize == 0 ||
	    itemsize > 8) {
		pyr_strbuf_printf(r->out, "%s(<%llu items>)", repr_short_name(type),
				  (unsigned long long)count);
		return;
	}
	pyr_strbuf_printf(r->out, "%s('%c'", repr_short_name(type),
			  *code >= 0x20 && *code < 0x7f ? *code : '?');
	for (i = 0; i < count && *code != 'u' && *code != 'w'; i++) {
		const void *p = pyr_peek(r->reader, items + i * itemsize, itemsize);

		pyr_strbuf_add(r->out, i ? "" : ", [");
		if (!repr_next(r, i, count))
			break;
		if (!p) {
			pyr_strbuf_add(r->out, "<unreadable>");
			break;
		}
		memcpy(item, p, itemsize);
		add_array_item(r, *code, item);
	}
	if (i)
		pyr_strbuf_add(r->out, "]");
	else if (count)
		pyr_strbuf_printf(r->out, ", <%llu characters>", (unsigned long long)count);
	pyr_strbuf_add(r->out, ")");
}

static void add_bytes_count(struct pyr_strbuf *out, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes / 1024;
	unsigned i;

	if (bytes < 1024) {
		pyr_strbuf_printf(out, "%llu bytes", (unsigned long long)bytes);
		return;
	}
	for (i = 0; value >= 1024 && i < 3; i++)
		value /= 1024;
	pyr_strbuf_printf(out, "%.1f %s", value, units[i]);
}

/* "<numpy.ndarray float64 (1000, 3) 23.4 KiB owns data>" */
void repr_ndarray(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const struct pyr_type *scalar;
	struct pyr_ndarray array;
	const char *name;
	pyr_error *err;
	unsigned i;

	err = pyr_ndarray_read(r->types, r->reader, obj, &array);
	if (err) {
		pyr_error_destroy(err);
		repr_object(r, type, obj);
		return;
	}
	scalar = pyr_types_get(r->types, r->reader, array.scalar_type);
	name = scalar ? repr_short_name(scalar) : "?";
	pyr_strbuf_printf(r->out, "<%s ", type->name);
	if (array.kind == 'U')
		pyr_strbuf_printf(r->out, "U%llu", (unsigned long long)array.itemsize / 4);
	else if (array.kind == 'S' || array.kind == 'V')
		pyr_strbuf_printf(r->out, "%c%llu", array.kind, (unsigned long long)array.itemsize);
	else
		pyr_strbuf_printf(r->out, "%s%.*s", array.byteorder == '>' ? ">" : "",
				  (int)strcspn(name, "_"), name);
	pyr_strbuf_add(r->out, " (");
	for (i = 0; i < array.dimensions; i++)
		pyr_strbuf_printf(r->out, "%s%lld", i ? ", " : "", (long long)array.shape[i]);
	pyr_strbuf_add(r->out, array.dimensions == 1 ? ",) " : ") ");
	add_bytes_count(r->out, array.bytes);
	if (array.owns_data)
		pyr_strbuf_add(r->out, " owns data>");
	else if (array.base && array.base != none(r))
		pyr_strbuf_printf(r->out, " view of 0x%llx>", (unsigned long long)array.base);
	else
		pyr_strbuf_add(r->out, " does not own data>");
}

/* numpy.float64(1.5) and the like: the value follows the header. */
void repr_numpy_generic(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	static const struct {
		const char *name;
		char code;
		uint8_t size;
	} scalars[] = {
		{"int8", 'b', 1},      {"uint8", 'B', 1},   {"int16", 'h', 2},
		{"uint16", 'H', 2},    {"int32", 'i', 4},   {"uint32", 'I', 4},
		{"int64", 'q', 8},     {"uint64", 'Q', 8},  {"longlong", 'q', 8},
		{"ulonglong", 'Q', 8}, {"float32", 'f', 4}, {"float64", 'd', 8},
	};
	const char *name = repr_short_name(type);
	uint8_t item[8] = {0};
	const uint8_t *p;
	size_t i;

	for (i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		if (strcmp(name, scalars[i].name))
			continue;
		p = pyr_peek(r->reader, obj + pyr_object_body(r->l), scalars[i].size);
		if (!p)
			break;
		memcpy(item, p, scalars[i].size);
		pyr_strbuf_printf(r->out, "%s(", type->name);
		add_array_item(r, scalars[i].code, item);
		pyr_strbuf_add(r->out, ")");
		return;
	}
	p = strcmp(name, "complex128") ? NULL
				       : pyr_peek(r->reader, obj + pyr_object_body(r->l), 16);
	if (p) {
		double value[2];

		memcpy(value, p, 16);
		pyr_strbuf_printf(r->out, "%s(", type->name);
		repr_double(r, value[0], false, false);
		repr_double(r, value[1], true, false);
		pyr_strbuf_add(r->out, "j)");
		return;
	}
	p = pyr_peek(r->reader, obj + pyr_object_body(r->l), 1);
	if (p && (strcmp(name, "bool") == 0 || strcmp(name, "bool_") == 0))
		pyr_strbuf_printf(r->out, "%s(%s)", type->name, *p ? "True" : "False");
	else
		repr_object(r, type, obj);
}

/* namespaceobject.c, namespace_repr() */
void repr_namespace(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr dict = REPR_GET(r, obj, _PyNamespaceObject, ns_dict), key, value;
	struct pyr_dict_iter iter;
	uint64_t i = 0;
	pyr_error *err;

	pyr_strbuf_printf(r->out, "%s(", type->exact_shape ? "namespace" : repr_short_name(type));
	err = pyr_dict_iter_init(r->types, r->reader, dict, &iter);
	pyr_error_destroy(err);
	while (!err && pyr_dict_iter_next(&iter, &key, &value) && repr_next(r, i++, iter.used)) {
		repr_text(r, key);
		pyr_strbuf_add(r->out, "=");
		repr_value(r, value);
	}
	pyr_strbuf_add(r->out, ")");
}

/* _functoolsmodule.c, partial_repr() */
void repr_partial(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr args = REPR_GET(r, obj, partialobject, args), key, value;
	pyr_addr kw = REPR_GET(r, obj, partialobject, kw);
	struct pyr_dict_iter iter;
	uint64_t i = 0;
	pyr_error *err;

	pyr_strbuf_printf(r->out, "%s(", type->name);
	repr_value(r, REPR_GET(r, obj, partialobject, fn));
	if (args && REPR_GET(r, args, PyVarObject, ob_size)) {
		pyr_strbuf_add(r->out, ", ");
		repr_sequence_items(r, args);
	}
	err = kw && kw != none(r) ? pyr_dict_iter_init(r->types, r->reader, kw, &iter) : NULL;
	pyr_error_destroy(err);
	while (kw && kw != none(r) && !err && pyr_dict_iter_next(&iter, &key, &value)) {
		pyr_strbuf_add(r->out, i ? "" : ", ");
		if (!repr_next(r, i++, iter.used))
			break;
		repr_text(r, key);
		pyr_strbuf_add(r->out, "=");
		repr_value(r, value);
	}
	pyr_strbuf_add(r->out, ")");
}

/* bufferedio.c, buffered_repr(): the name is the raw file's. */
void repr_buffered(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr raw = REPR_GET(r, obj, buffered, raw);
	pyr_addr name = raw ? pyr_object_attribute(r->types, r->reader, raw, "name") : 0;

	/* tp_name, which has its module even in a heap type when that is made in C */
	pyr_strbuf_printf(r->out, "<%s", type->exact_shape ? type->name : repr_tp_name(type));
	if (name) {
		pyr_strbuf_add(r->out, " name=");
		repr_value(r, name);
	}
	pyr_strbuf_add(r->out, ">");
}

void repr_element(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr tag = REPR_GET(r, obj, ElementObject, tag);

	(void)type;
	pyr_strbuf_add(r->out, "<Element ");
	repr_value(r, tag);
	pyr_strbuf_printf(r->out, " at 0x%llx>", (unsigned long long)obj);
}

/* context.c, contextvar_tp_repr() */
void repr_context_var(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr value = REPR_GET(r, obj, PyContextVar, var_default);

	(void)type;
	pyr_strbuf_add(r->out, "<ContextVar name=");
	repr_value(r, REPR_GET(r, obj, PyContextVar, var_name));
	if (value) {
		pyr_strbuf_add(r->out, " default=");
		repr_value(r, value);
	}
	pyr_strbuf_printf(r->out, " at 0x%llx>", (unsigned long long)obj);
}

void repr_memoryview(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_printf(r->out, "<memory at 0x%llx>", (unsigned long long)obj);
}
