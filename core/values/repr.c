/* Bounded repr: what CPython's repr() gives, for the types whose repr is known;
 * instances of other classes read "<m.C object at 0x...: a=1, b='x'>", that is
 * object.__repr__() with the attributes. Elements left out are counted. */
#include "values/repr.h"

#include <stdlib.h>

#define STEPS_MAX 20000
#define SIZE_DEFAULT 200
#define DEPTH_DEFAULT 3
#define ITEMS_DEFAULT 8

static void repr_constant(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)obj;
	pyr_strbuf_add(r->out, type->shape == PYR_SHAPE_NONE       ? "None"
			       : type->shape == PYR_SHAPE_ELLIPSIS ? "Ellipsis"
								   : "NotImplemented");
}

static void repr_bool(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	struct pyr_int_view view = {0};

	(void)type;
	pyr_error_destroy(pyr_int_view(r->types, r->reader, obj, &view));
	pyr_strbuf_add(r->out, view.count ? "True" : "False");
}

static void repr_int_object(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	repr_int(r, obj);
}

static void repr_float(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	uint64_t bits = REPR_GET(r, obj, PyFloatObject, ob_fval);
	double value;

	(void)type;
	memcpy(&value, &bits, 8);
	repr_double(r, value, false, true);
}

/* complexobject.c, complex_repr() */
static void repr_complex(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	uint64_t bits[2] = {REPR_GET(r, obj, PyComplexObject, cval_real),
			    REPR_GET(r, obj, PyComplexObject, cval_imag)};
	double value[2];

	(void)type;
	memcpy(value, bits, 16);
	if (bits[0] == 0) {
		repr_double(r, value[1], false, false);
		pyr_strbuf_add(r->out, "j");
		return;
	}
	pyr_strbuf_add(r->out, "(");
	repr_double(r, value[0], false, false);
	repr_double(r, value[1], true, false);
	pyr_strbuf_add(r->out, "j)");
}

static void repr_str_object(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	repr_str(r, obj);
}

static void repr_bytes(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	bool array = type->shape == PYR_SHAPE_BYTEARRAY;
	pyr_addr data;
	uint64_t count;
	pyr_error *err;

	err = pyr_bytes_view(r->types, r->reader, type->shape, obj, &data, &count);
	if (err) {
		pyr_error_destroy(err);
		pyr_strbuf_add(r->out, "<unreadable>");
		return;
	}
	if (array)
		pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	/* bytearray_repr() escapes ' in either kind of quotes, until 3.15. */
	repr_bytes_at(r, data, count, array && !pyr_has(r->l, PyByteArrayObject, ob_bytes_object));
	if (array)
		pyr_strbuf_add(r->out, ")");
}

static repr_fn *const functions[PYR_SHAPE_COUNT] = {
	[PYR_SHAPE_NONE] = repr_constant,
	[PYR_SHAPE_ELLIPSIS] = repr_constant,
	[PYR_SHAPE_NOT_IMPLEMENTED] = repr_constant,
	[PYR_SHAPE_BOOL] = repr_bool,
	[PYR_SHAPE_INT] = repr_int_object,
	[PYR_SHAPE_FLOAT] = repr_float,
	[PYR_SHAPE_COMPLEX] = repr_complex,
	[PYR_SHAPE_STR] = repr_str_object,
	[PYR_SHAPE_BYTES] = repr_bytes,
	[PYR_SHAPE_BYTEARRAY] = repr_bytes,
	[PYR_SHAPE_TUPLE] = repr_tuple,
	[PYR_SHAPE_LIST] = repr_list,
	[PYR_SHAPE_DICT] = repr_dict,
	[PYR_SHAPE_FROZENDICT] = repr_frozendict,
	[PYR_SHAPE_SET] = repr_set,
	[PYR_SHAPE_FROZENSET] = repr_frozenset,
	[PYR_SHAPE_ODICT] = repr_odict,
	[PYR_SHAPE_DEFAULTDICT] = repr_defaultdict,
	[PYR_SHAPE_DEQUE] = repr_deque,
	[PYR_SHAPE_MAPPINGPROXY] = repr_mappingproxy,
	[PYR_SHAPE_DICT_KEYS] = repr_dict_keys,
	[PYR_SHAPE_DICT_VALUES] = repr_dict_values,
	[PYR_SHAPE_DICT_ITEMS] = repr_dict_items,
	[PYR_SHAPE_FUNCTION] = repr_function,
	[PYR_SHAPE_METHOD] = repr_method,
	[PYR_SHAPE_CFUNCTION] = repr_cfunction,
	[PYR_SHAPE_MODULE] = repr_module,
	[PYR_SHAPE_TYPE] = repr_type,
	[PYR_SHAPE_CODE] = repr_code,
	[PYR_SHAPE_FRAME] = repr_frame,
	[PYR_SHAPE_GENERATOR] = repr_generator,
	[PYR_SHAPE_COROUTINE] = repr_generator,
	[PYR_SHAPE_ASYNC_GENERATOR] = repr_generator,
	[PYR_SHAPE_CELL] = repr_cell,
	[PYR_SHAPE_STATICMETHOD] = repr_staticmethod,
	[PYR_SHAPE_CLASSMETHOD] = repr_classmethod,
	[PYR_SHAPE_METHOD_DESCRIPTOR] = repr_descriptor,
	[PYR_SHAPE_CLASSMETHOD_DESCRIPTOR] = repr_descriptor,
	[PYR_SHAPE_MEMBER_DESCRIPTOR] = repr_descriptor,
	[PYR_SHAPE_GETSET_DESCRIPTOR] = repr_descriptor,
	[PYR_SHAPE_WRAPPER_DESCRIPTOR] = repr_descriptor,
	[PYR_SHAPE_METHOD_WRAPPER] = repr_method_wrapper,
	[PYR_SHAPE_GENERIC_ALIAS] = repr_generic_alias,
	[PYR_SHAPE_UNION] = repr_union,
	[PYR_SHAPE_WEAKREF] = repr_weakref,
	[PYR_SHAPE_WEAKPROXY] = repr_weakref,
	[PYR_SHAPE_WEAKCALLABLEPROXY] = repr_weakref,
	[PYR_SHAPE_BASE_EXCEPTION] = repr_exception,
	[PYR_SHAPE_TRACEBACK] = repr_traceback,
	[PYR_SHAPE_RANGE] = repr_range,
	[PYR_SHAPE_SLICE] = repr_slice,
	[PYR_SHAPE_ARRAY] = repr_array,
	[PYR_SHAPE_NDARRAY] = repr_ndarray,
	[PYR_SHAPE_NUMPY_GENERIC] = repr_numpy_generic,
	[PYR_SHAPE_NAMESPACE] = repr_namespace,
	[PYR_SHAPE_PARTIAL] = repr_partial,
	[PYR_SHAPE_BUFFERED_READER] = repr_buffered,
	[PYR_SHAPE_BUFFERED_WRITER] = repr_buffered,
	[PYR_SHAPE_BUFFERED_RANDOM] = repr_buffered,
	[PYR_SHAPE_ELEMENT] = repr_element,
	[PYR_SHAPE_CONTEXT_VAR] = repr_context_var,
	[PYR_SHAPE_MEMORYVIEW] = repr_memoryview,
	[PYR_SHAPE_DATE] = repr_date,
	[PYR_SHAPE_DATETIME] = repr_datetime,
	[PYR_SHAPE_TIME] = repr_time,
	[PYR_SHAPE_TIMEDELTA] = repr_timedelta,
	[PYR_SHAPE_TIMEZONE] = repr_timezone,
	[PYR_SHAPE_DECIMAL] = repr_decimal,
};

/* What a container prints where it contains itself, or where it is too deep. */
static const char *ellipsis(enum pyr_shape shape)
{
	switch (shape) {
	case PYR_SHAPE_LIST:
	case PYR_SHAPE_DEQUE:
		return "[...]";
	case PYR_SHAPE_TUPLE:
		return "(...)";
	case PYR_SHAPE_DICT:
	case PYR_SHAPE_SET:
		return "{...}";
	default:
		return "...";
	}
}

static bool is_scalar(enum pyr_shape shape)
{
	return shape == PYR_SHAPE_INT || shape == PYR_SHAPE_BOOL || shape == PYR_SHAPE_FLOAT ||
	       shape == PYR_SHAPE_COMPLEX || shape == PYR_SHAPE_STR || shape == PYR_SHAPE_BYTES ||
	       shape == PYR_SHAPE_NONE || shape == PYR_SHAPE_ELLIPSIS || shape == PYR_SHAPE_TYPE ||
	       shape == PYR_SHAPE_NOT_IMPLEMENTED || shape == PYR_SHAPE_MODULE ||
	       shape == PYR_SHAPE_FUNCTION;
}

/* An instance whose class has a __repr__ that is not known here. */
static void repr_instance(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	repr_fn *function = type->exact_shape ? NULL : functions[type->shape];

	pyr_strbuf_add(r->out, "<");
	repr_object_head(r, type, obj);
	if (function && type->shape != PYR_SHAPE_TYPE) {
		pyr_strbuf_add(r->out, ": ");
		function(r, type, obj);
	}
	repr_attributes(r, obj, function != NULL);
	pyr_strbuf_add(r->out, ">");
}

/* By whose __repr__ the object answers: slot_tp_repr() looks it up along the mro. */
static void dispatch(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const struct pyr_type *owner = type;

	if (type->exact_shape && functions[type->shape]) {
		functions[type->shape](r, type, obj);
		return;
	}
	/* A class is a class, whatever its metaclass says of it. */
	if (type->shape == PYR_SHAPE_TYPE) {
		repr_type(r, type, obj);
		return;
	}
	if (repr_enum(r, type, obj))
		return;
	if (type->flags & PYR_TPFLAGS_READY &&
	    !pyr_type_lookup(r->types, r->reader, type, "__repr__", &owner))
		owner = type;
	if (owner->exact_shape && functions[owner->shape])
		functions[owner->shape](r, type, obj);
	else if (owner->base == 0 || !repr_python_class(r, type, owner, obj))
		repr_instance(r, type, obj);
}

void repr_value(struct repr *r, pyr_addr obj)
{
	const struct pyr_type *type;
	unsigned i;

	if (repr_full(r) || ++r->steps > STEPS_MAX)
		return;
	if (!obj) {
		pyr_strbuf_add(r->out, "<NULL>");
		return;
	}
	type = repr_type_of(r, obj);
	if (!type) {
		pyr_strbuf_printf(r->out, "<unreadable object at 0x%llx>", (unsigned long long)obj);
		return;
	}
	for (i = 0; i < r->depth; i++) {
		if (r->open[i] == obj) {
			pyr_strbuf_add(r->out, ellipsis(type->shape));
			return;
		}
	}
	if (r->depth >= r->depth_max && !is_scalar(type->shape)) {
		if (strcmp(ellipsis(type->shape), "..."))
			pyr_strbuf_add(r->out, ellipsis(type->shape));
		else
			repr_object(r, type, obj);
		return;
	}
	if (r->depth >= PYR_REPR_DEPTH_MAX)
		return;
	r->open[r->depth++] = obj;
	dispatch(r, type, obj);
	r->depth--;
}

const struct pyr_type *repr_type_of(struct repr *r, pyr_addr obj)
{
	return obj % 8 ? NULL
		       : pyr_types_get(r->types, r->reader, REPR_GET(r, obj, PyObject, ob_type));
}

const char *repr_tp_name(const struct pyr_type *type)
{
	if (type->heap)
		return repr_short_name(type);
	return strncmp(type->name, "builtins.", 9) == 0 ? type->name + 9 : type->name;
}

const char *repr_short_name(const struct pyr_type *type)
{
	const char *dot = strrchr(type->name, '.');

	return dot && dot[1] ? dot + 1 : type->name;
}

void repr_object_head(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const char *name = type->name;

	if (strncmp(name, "builtins.", 9) == 0)
		name += 9;
	pyr_strbuf_printf(r->out, "%s object at 0x%llx", name, (unsigned long long)obj);
}

void repr_object(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_strbuf_add(r->out, "<");
	repr_object_head(r, type, obj);
	pyr_strbuf_add(r->out, ">");
}

void repr_text(struct repr *r, pyr_addr str)
{
	pyr_error *err;
	char *text;

	err = pyr_str_utf8(r->types, r->reader, str, r->limit + 1, &text, NULL);
	if (err) {
		pyr_error_destroy(err);
		pyr_strbuf_add(r->out, "?");
		return;
	}
	repr_clean(r, text);
	free(text);
}

void repr_clean(struct repr *r, const char *text)
{
	if (!pyr_utf8_is_valid(text))
		text = "?";
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			pyr_strbuf_printf(r->out, "\\x%02x", (unsigned char)*text);
		else
			pyr_strbuf_add_char(r->out, *text);
	}
}

bool repr_next(struct repr *r, uint64_t index, uint64_t count)
{
	if (index)
		pyr_strbuf_add(r->out, ", ");
	if (repr_full(r))
		return false;
	if (index < r->items)
		return true;
	pyr_strbuf_printf(r->out, "... %llu more", (unsigned long long)(count - index));
	return false;
}

struct attributes {
	struct repr *r;
	unsigned count, printed;
	bool comma_first;
};

static bool add_attribute(void *ctx, const char *name, pyr_addr value)
{
	struct attributes *a = ctx;
	struct repr *r = a->r;

	if (a->count++ >= r->items || repr_full(r))
		return true;
	pyr_strbuf_add(r->out, a->printed ? ", " : a->comma_first ? ", " : ": ");
	a->printed++;
	repr_clean(r, name);
	pyr_strbuf_add(r->out, "=");
	repr_value(r, value);
	return true;
}

unsigned repr_attributes(struct repr *r, pyr_addr obj, bool comma_first)
{
	struct attributes a = {.r = r, .comma_first = comma_first};

	pyr_error_destroy(pyr_object_attributes(r->types, r->reader, obj, add_attribute, &a));
	if (a.count > a.printed && !repr_full(r))
		pyr_strbuf_printf(r->out, ", ... %u more", a.count - a.printed);
	return a.count;
}

void pyr_object_repr(struct pyr_types *types, struct pyr_reader *reader, pyr_addr addr,
		     const struct pyr_repr_options *options, struct pyr_strbuf *out)
{
	struct repr r = {
		.types = types,
		.reader = reader,
		.l = pyr_types_layout(types),
		.out = out,
		.start = out->length,
		.limit = options && options->max_length ? options->max_length : SIZE_DEFAULT,
		.depth_max = options && options->depth ? options->depth : DEPTH_DEFAULT,
		.items = options && options->items ? options->items : ITEMS_DEFAULT,
	};
	size_t end;

	if (r.depth_max > PYR_REPR_DEPTH_MAX)
		r.depth_max = PYR_REPR_DEPTH_MAX;
	if (!pyr_peek(reader, addr, 16))
		pyr_strbuf_add(out, "<unreadable>");
	else
		repr_value(&r, addr);
	if (out->failed || out->length - r.start <= r.limit)
		return;
	/* Cut at a character, not within one. */
	end = r.start + (r.limit > 3 ? r.limit - 3 : 0);
	while (end > r.start && ((unsigned char)out->data[end] & 0xc0) == 0x80)
		end--;
	out->length = end;
	out->data[end] = '\0';
	pyr_strbuf_add(out, "...");
}
