/* repr of functions, classes, modules and what they are made of. What CPython
 * says and, behind it, what helps to find the thing: the state and line of a
 * generator, the value in a cell. */
#include "frames/frames.h"
#include "values/repr.h"

#include <stdlib.h>

#define NAME_MAX_LENGTH 200

/* A NUL-terminated name in the binary; "?" when the binary is not there. */
static void add_cstring(struct repr *r, pyr_addr addr)
{
	char *text, *p;
	pyr_error *err = pyr_read_cstring(r->reader, addr, NAME_MAX_LENGTH, &text);

	if (err) {
		pyr_error_destroy(err);
		pyr_strbuf_add(r->out, "?");
		return;
	}
	for (p = text; *p; p++)
		pyr_strbuf_add_char(r->out, *p >= 0x20 && *p < 0x7f ? *p : '?');
	free(text);
}

void repr_function(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	pyr_strbuf_add(r->out, "<function ");
	repr_text(r, REPR_GET(r, obj, PyFunctionObject, func_qualname));
	pyr_strbuf_printf(r->out, " at 0x%llx>", (unsigned long long)obj);
}

/* classobject.c, method_repr() */
void repr_method(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr function = REPR_GET(r, obj, PyMethodObject, im_func);
	const struct pyr_type *of = repr_type_of(r, function);

	(void)type;
	pyr_strbuf_add(r->out, "<bound method ");
	if (of && of->shape == PYR_SHAPE_FUNCTION)
		repr_text(r, REPR_GET(r, function, PyFunctionObject, func_qualname));
	else
		pyr_strbuf_add(r->out, "?");
	pyr_strbuf_add(r->out, " of ");
	repr_value(r, REPR_GET(r, obj, PyMethodObject, im_self));
	pyr_strbuf_add(r->out, ">");
}

/* methodobject.c, meth_repr() */
void repr_cfunction(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr self = REPR_GET(r, obj, PyCFunctionObject, m_self);
	pyr_addr def = REPR_GET(r, obj, PyCFunctionObject, m_ml);
	const struct pyr_type *of = self ? repr_type_of(r, self) : NULL;
	bool plain = !self || (of && of->shape == PYR_SHAPE_MODULE);

	(void)type;
	pyr_strbuf_add(r->out, plain ? "<built-in function " : "<built-in method ");
	add_cstring(r, REPR_GET(r, def, PyMethodDef, ml_name));
	if (!plain)
		pyr_strbuf_printf(r->out, " of %s object at 0x%llx", of ? repr_tp_name(of) : "?",
				  (unsigned long long)self);
	pyr_strbuf_add(r->out, ">");
}

/* importlib._bootstrap, _module_repr_from_spec() */
void repr_module(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr dict = REPR_GET(r, obj, PyModuleObject, md_dict);
	pyr_addr name, spec, origin = 0, has_location = 0, loader = 0;
	const struct pyr_type *of;
	bool from_spec;

	(void)type;
	name = dict ? pyr_dict_get(r->types, r->reader, dict, "__name__") : 0;
	spec = dict ? pyr_dict_get(r->types, r->reader, dict, "__spec__") : 0;
	from_spec = spec && spec != r->types->python->known[PYR_KNOWN_NONE];
	if (from_spec) {
		origin = pyr_object_attribute(r->types, r->reader, spec, "origin");
		has_location = pyr_object_attribute(r->types, r->reader, spec, "_set_fileattr");
		loader = pyr_object_attribute(r->types, r->reader, spec, "loader");
	} else if (dict) {
		origin = has_location = pyr_dict_get(r->types, r->reader, dict, "__file__");
		loader = pyr_dict_get(r->types, r->reader, dict, "__loader__");
	}
	pyr_strbuf_add(r->out, "<module ");
	if (name)
		repr_value(r, name);
	else
		pyr_strbuf_add(r->out, "'?'");
	of = origin ? repr_type_of(r, origin) : NULL;
	if (of && of->shape == PYR_SHAPE_STR) {
		if (has_location == r->types->python->known[PYR_KNOWN_TRUE] ||
		    has_location == origin) {
			pyr_strbuf_add(r->out, " from ");
			repr_value(r, origin);
		} else {
			pyr_strbuf_add(r->out, " (");
			repr_text(r, origin);
			pyr_strbuf_add(r->out, ")");
		}
	} else if (loader && loader != r->types->python->known[PYR_KNOWN_NONE]) {
		/* Until 3.8 the importers of builtin and frozen modules, which are
		 * classes, answered themselves. */
		of = from_spec ? pyr_types_get(r->types, r->reader, loader) : NULL;
		pyr_strbuf_add(r->out, " (");
		if (of && strstr(of->name, ".BuiltinImporter"))
			pyr_strbuf_add(r->out, "built-in");
		else if (of && strstr(of->name, ".FrozenImporter"))
			pyr_strbuf_add(r->out, "frozen");
		else
			repr_value(r, loader);
		pyr_strbuf_add(r->out, ")");
	}
	pyr_strbuf_add(r->out, ">");
}

void repr_type(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	const struct pyr_type *class = pyr_types_get(r->types, r->reader, obj);
	const char *name = class ? class->name : "?";

	if (strncmp(name, "builtins.", 9) == 0)
		name += 9;
	if (class && strncmp(type->name, "enum.Enum", 9) == 0) /* EnumMeta, EnumType */
		pyr_strbuf_printf(r->out, "<enum '%s'>", repr_short_name(class));
	else
		pyr_strbuf_printf(r->out, "<class '%s'>", name);
}

/* codeobject.c, code_repr() */
void repr_code(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	int64_t line = 0;

	(void)type;
	pyr_get_i64(r->l, r->reader, obj, PyCodeObject, co_firstlineno, &line);
	pyr_strbuf_add(r->out, "<code object ");
	repr_text(r, REPR_GET(r, obj, PyCodeObject, co_name));
	pyr_strbuf_printf(r->out, " at 0x%llx, file \"", (unsigned long long)obj);
	repr_text(r, REPR_GET(r, obj, PyCodeObject, co_filename));
	pyr_strbuf_printf(r->out, "\", line %lld>", line ? (long long)line : -1);
}

/* frameobject.c, frame_repr(), less the line, which only running it would tell. */
void repr_frame(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr frame = REPR_GET(r, obj, PyFrameObject, f_frame), code;

	(void)type;
	code = frame ? REPR_GET(r, frame, _PyInterpreterFrame, f_executable) & ~UINT64_C(7)
		     : REPR_GET(r, obj, PyFrameObject, f_code);
	pyr_strbuf_printf(r->out, "<frame at 0x%llx, file '", (unsigned long long)obj);
	repr_text(r, REPR_GET(r, code, PyCodeObject, co_filename));
	pyr_strbuf_add(r->out, "', code ");
	repr_text(r, REPR_GET(r, code, PyCodeObject, co_name));
	pyr_strbuf_add(r->out, ">");
}

void repr_traceback(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	int64_t line;

	pyr_strbuf_add(r->out, "<");
	repr_object_head(r, type, obj);
	if (pyr_get_i64(r->l, r->reader, obj, PyTracebackObject, tb_lineno, &line) && line > 0)
		pyr_strbuf_printf(r->out, ", line %lld", (long long)line);
	pyr_strbuf_add(r->out, ">");
}

enum state { CREATED, SUSPENDED, RUNNING, FINISHED };

/* gi_frame_state; pycore_frame.h, enum _framestate. */
static enum state generator_state(struct repr *r, pyr_addr gen)
{
	int64_t state = 0, lasti = 0;
	pyr_addr frame;

	switch (pyr_trait(r->l, gen_state)) {
	case PYR_TRAIT(gen_state, FRAME_OBJECT):
		frame = REPR_GET(r, gen, PyGenObject, gi_frame);
		if (!frame)
			return FINISHED;
		pyr_get_i64(r->l, r->reader, frame, PyFrameObject, f_lasti, &lasti);
		if (REPR_GET(r, gen, PyGenObject, gi_running) ||
		    REPR_GET(r, frame, PyFrameObject, f_executing))
			return RUNNING;
		return lasti < 0 ? CREATED : SUSPENDED;
	case PYR_TRAIT(gen_state, UNSIGNED_3_15):
		state = (int64_t)REPR_GET(r, gen, PyGenObject, gi_frame_state);
		return state == 0   ? CREATED
		       : state < 4  ? SUSPENDED
		       : state == 4 ? RUNNING
				    : FINISHED;
	default:
		pyr_get_i64(r->l, r->reader, gen, PyGenObject, gi_frame_state, &state);
		if (state >= 0)
			return state == 0 ? RUNNING : FINISHED;
		return state == (pyr_is(r->l, gen_state, SIGNED_3_13) ? -3 : -2) ? CREATED
										 : SUSPENDED;
	}
}

void repr_generator(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	static const char *const words[] = {"not started", "suspended", "running", "finished"};
	enum state state = generator_state(r, obj);
	struct pyr_frames frames = {0};
	const struct pyr_frame *frame;
	pyr_error *err;

	pyr_strbuf_printf(r->out, "<%s object ", repr_tp_name(type));
	repr_text(r, REPR_GET(r, obj, PyGenObject, gi_qualname));
	pyr_strbuf_printf(r->out, " at 0x%llx, %s", (unsigned long long)obj, words[state]);
	if (state == SUSPENDED || state == RUNNING) {
		err = pyr_generator_frame(r->types, r->reader, obj, &frames);
		pyr_error_destroy(err);
		if (!err) {
			frame = frames.frames.count ? &frames.frames.data[0] : NULL;
			if (frame && frame->line > 0) {
				pyr_strbuf_add(r->out, " at ");
				repr_clean(r, frame->filename);
				pyr_strbuf_printf(r->out, ":%d", (int)frame->line);
			}
			pyr_frames_deinit(&frames);
		}
	}
	pyr_strbuf_add(r->out, ">");
}

void repr_cell(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr value = REPR_GET(r, obj, PyCellObject, ob_ref);

	(void)type;
	pyr_strbuf_printf(r->out, "<cell at 0x%llx: ", (unsigned long long)obj);
	if (value)
		repr_value(r, value);
	else
		pyr_strbuf_add(r->out, "empty");
	pyr_strbuf_add(r->out, ">");
}

static void add_wrapped(struct repr *r, const struct pyr_type *type, pyr_addr callable)
{
	pyr_strbuf_printf(r->out, "<%s(", repr_tp_name(type));
	repr_value(r, callable);
	pyr_strbuf_add(r->out, ")>");
}

void repr_staticmethod(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	add_wrapped(r, type, REPR_GET(r, obj, staticmethod, sm_callable));
}

void repr_classmethod(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	add_wrapped(r, type, REPR_GET(r, obj, classmethod, cm_callable));
}

/* descrobject.c, method_repr() and its like */
void repr_descriptor(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr of = REPR_GET(r, obj, PyDescrObject, d_type);
	const struct pyr_type *class = pyr_types_get(r->types, r->reader, of);
	const char *what = type->shape == PYR_SHAPE_MEMBER_DESCRIPTOR    ? "member"
			   : type->shape == PYR_SHAPE_GETSET_DESCRIPTOR  ? "attribute"
			   : type->shape == PYR_SHAPE_WRAPPER_DESCRIPTOR ? "slot wrapper"
									 : "method";

	pyr_strbuf_printf(r->out, "<%s '", what);
	repr_text(r, REPR_GET(r, obj, PyDescrObject, d_name));
	pyr_strbuf_printf(r->out, "' of '%s' objects>", class ? repr_tp_name(class) : "?");
}

void repr_method_wrapper(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr self = REPR_GET(r, obj, wrapperobject, self);
	pyr_addr descr = REPR_GET(r, obj, wrapperobject, descr);
	const struct pyr_type *of = repr_type_of(r, self);

	(void)type;
	pyr_strbuf_add(r->out, "<method-wrapper '");
	repr_text(r, REPR_GET(r, descr, PyDescrObject, d_name));
	pyr_strbuf_printf(r->out, "' of %s object at 0x%llx>", of ? repr_tp_name(of) : "?",
			  (unsigned long long)self);
}

/* genericaliasobject.c, ga_repr_item(): classes by name, Ellipsis as "...". */
static void add_type_argument(struct repr *r, pyr_addr obj)
{
	const struct pyr_type *type = repr_type_of(r, obj), *class;
	const char *name;

	if (type && type->shape == PYR_SHAPE_ELLIPSIS) {
		pyr_strbuf_add(r->out, "...");
	} else if (type && type->shape == PYR_SHAPE_NONE) {
		pyr_strbuf_add(r->out, "None");
	} else if (type && type->shape == PYR_SHAPE_TYPE &&
		   (class = pyr_types_get(r->types, r->reader, obj))) {
		name = class->shape == PYR_SHAPE_NONE ? "None" : class->name;
		pyr_strbuf_add(r->out, strncmp(name, "builtins.", 9) ? name : name + 9);
	} else {
		repr_value(r, obj);
	}
}

static void add_type_arguments(struct repr *r, pyr_addr args, const char *between)
{
	uint64_t count, i;
	pyr_addr items, item;
	pyr_error *err;

	err = pyr_sequence_items(r->types, r->reader, args, &items, &count);
	pyr_error_destroy(err);
	if (err)
		return;
	for (i = 0; i < count && !repr_full(r) && pyr_try_u64(r->reader, items + 8 * i, &item);
	     i++) {
		if (i)
			pyr_strbuf_add(r->out, between);
		add_type_argument(r, item);
	}
}

void repr_generic_alias(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	add_type_argument(r, REPR_GET(r, obj, gaobject, origin));
	pyr_strbuf_add(r->out, "[");
	add_type_arguments(r, REPR_GET(r, obj, gaobject, args), ", ");
	pyr_strbuf_add(r->out, "]");
}

void repr_union(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	(void)type;
	add_type_arguments(r, REPR_GET(r, obj, unionobject, args), " | ");
}

/* weakrefobject.c, weakref_repr() */
void repr_weakref(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr to = REPR_GET(r, obj, PyWeakReference, wr_object);
	const struct pyr_type *of = to ? repr_type_of(r, to) : NULL;
	bool dead = !to || to == r->types->python->known[PYR_KNOWN_NONE];

	pyr_strbuf_printf(r->out, "<%s at 0x%llx",
			  type->shape == PYR_SHAPE_WEAKREF ? "weakref" : "weakproxy",
			  (unsigned long long)obj);
	if (dead)
		pyr_strbuf_add(r->out, "; dead>");
	else
		pyr_strbuf_printf(r->out, "; to '%s' at 0x%llx>", of ? repr_tp_name(of) : "?",
				  (unsigned long long)to);
}

/* exceptions.c, BaseException_repr() */
void repr_exception(struct repr *r, const struct pyr_type *type, pyr_addr obj)
{
	pyr_addr args = REPR_GET(r, obj, PyBaseExceptionObject, args);

	pyr_strbuf_printf(r->out, "%s(", repr_short_name(type));
	if (args)
		repr_sequence_items(r, args);
	pyr_strbuf_add(r->out, ")");
}
