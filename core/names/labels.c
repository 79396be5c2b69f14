/* Names of references, one function for each kind of edges.def. */
#include "names/labels_internal.h"

#include <stdlib.h>

#include "frames/frames.h"

#define KEY_LENGTH 80u
#define NAME_LENGTH 200u

void pyr_label_value(struct pyr_label_writer *w, pyr_addr object)
{
	struct pyr_repr_options options = {.max_length = KEY_LENGTH, .depth = 2, .items = 4};

	pyr_object_repr(w->types, w->reader, object, &options, w->out);
}

/* Can @name stand behind a dot? Letters beyond ASCII are taken for letters. */
static bool is_identifier(const char *name)
{
	const unsigned char *c = (const unsigned char *)name;

	if (!*c || (*c >= '0' && *c <= '9'))
		return false;
	for (; *c; c++)
		if (!(*c == '_' || *c >= 0x80 || (*c >= '0' && *c <= '9') ||
		      (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z')))
			return false;
	return true;
}

static bool has_type(struct pyr_label_writer *w, pyr_addr object, uint64_t flag)
{
	const struct pyr_type *type;
	uint64_t addr;

	return object && pyr_get_u64(w->l, w->reader, object, PyObject, ob_type, &addr) &&
	       (type = pyr_types_get(w->types, w->reader, addr)) && type->flags & flag;
}

bool pyr_label_attribute(struct pyr_label_writer *w, pyr_addr name)
{
	bool truncated = false;
	char *text = NULL;
	pyr_error *err;

	if (!has_type(w, name, PYR_TPFLAGS_UNICODE_SUBCLASS))
		return false;
	err = pyr_str_utf8(w->types, w->reader, name, NAME_LENGTH, &text, &truncated);
	if (err) {
		pyr_error_destroy(err);
		return false;
	}
	if (!truncated && is_identifier(text)) {
		pyr_strbuf_add(w->out, ".");
		pyr_strbuf_add(w->out, text);
	} else {
		pyr_strbuf_add(w->out, ".__dict__[");
		pyr_label_value(w, name);
		pyr_strbuf_add(w->out, "]");
	}
	free(text);
	return true;
}

char *pyr_label_c_name(struct pyr_label_writer *w, pyr_addr name)
{
	char *text = NULL;
	pyr_error *err = pyr_read_cstring(w->reader, name, NAME_LENGTH, &text);

	if (!err && pyr_utf8_is_valid(text))
		return text;
	pyr_error_destroy(err);
	free(text);
	return NULL;
}

char *pyr_label_tuple_name(struct pyr_label_writer *w, pyr_addr names, uint64_t index)
{
	uint64_t count;
	pyr_addr items, name;
	char *text = NULL;
	pyr_error *err;

	if (!has_type(w, names, PYR_TPFLAGS_TUPLE_SUBCLASS))
		return NULL;
	err = pyr_sequence_items(w->types, w->reader, names, &items, &count);
	if (!err && index < count && pyr_try_u64(w->reader, items + index * 8, &name) &&
	    has_type(w, name, PYR_TPFLAGS_UNICODE_SUBCLASS))
		err = pyr_str_utf8(w->types, w->reader, name, NAME_LENGTH, &text, NULL);
	pyr_error_destroy(err);
	return text;
}

/* Item @index of localsplus by the names of its code: one tuple since 3.11, before
 * that three in a row (frameobject.c, PyFrame_FastToLocalsWithError()). */
static char *variable_name(struct pyr_label_writer *w, pyr_addr code, uint64_t index)
{
	static const enum pyr_field parts[] = {PYR_FIELD(PyCodeObject, co_varnames),
					       PYR_FIELD(PyCodeObject, co_cellvars),
					       PYR_FIELD(PyCodeObject, co_freevars)};
	uint64_t count;
	pyr_addr names;
	size_t i;

	if (pyr_has(w->l, PyCodeObject, co_localsplusnames))
		return pyr_label_tuple_name(
			w, pyr_get_addr(w->l, w->reader, code, PyCodeObject, co_localsplusnames),
			index);
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		names = pyr_field_addr(w->l, w->reader, code, parts[i]);
		if (!names || !pyr_get_u64(w->l, w->reader, names, PyVarObject, ob_size, &count))
			return NULL;
		if (index < count)
			return pyr_label_tuple_name(w, names, index);
		index -= count;
	}
	return NULL;
}

/* The frame that the object is or has: none or one. */
static void frame_of(struct pyr_label_writer *w, const struct pyr_step *step,
		     struct pyr_frames *frames)
{
	pyr_error *err;

	if (step->type->shape == PYR_SHAPE_FRAME)
		err = pyr_frame_of_object(w->types, w->reader, step->owner, frames);
	else
		err = pyr_generator_frame(w->types, w->reader, step->owner, frames);
	pyr_error_destroy(err);
}

static void add_place(struct pyr_label_writer *w, const struct pyr_frame *frame)
{
	pyr_strbuf_printf(w->out, " of %s at %s", frame->name, frame->filename);
	if (frame->line > 0)
		pyr_strbuf_printf(w->out, ":%d", frame->line);
}

void pyr_label_local(struct pyr_label_writer *w, const struct pyr_step *step)
{
	bool local = PYR_REF_KIND(step->label) == PYR_EDGE_LOCAL;
	struct pyr_frames frames = {0};
	const struct pyr_frame *frame;
	char *name;

	frame_of(w, step, &frames);
	frame = frames.frames.count ? &frames.frames.data[0] : NULL;
	name = local && frame ? variable_name(w, frame->code, step->detail) : NULL;
	if (name)
		pyr_strbuf_printf(w->out, "local \"%s\"", name);
	else
		pyr_strbuf_printf(w->out, local ? "local %llu" : "operand %llu",
				  (unsigned long long)step->detail);
	if (frame)
		add_place(w, frame);
	free(name);
	pyr_frames_deinit(&frames);
}

/* Fields that are better told in words than as an attribute. */
static const struct {
	const char *field, *words;
} phrases[] = {
	{"__base__", "base class"},
	{"__callback__", "weakref callback"},
	{"__subclasses__", ".__subclasses__()"},
	{"exc_value", "exception being handled"},
	{"f_func", "function of the frame"},
	{"frame_obj", "frame object"},
	{"mm_class", "defining class"},
};

static void write_field(struct pyr_label_writer *w, const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(phrases) / sizeof(phrases[0]); i++)
		if (!strcmp(phrases[i].field, name)) {
			pyr_strbuf_add(w->out, phrases[i].words);
			return;
		}
	pyr_strbuf_printf(w->out, is_identifier(name) ? ".%s" : "%s", name);
}

static void write_slot(struct pyr_label_writer *w, pyr_addr name)
{
	char *text = pyr_label_c_name(w, name);

	if (text)
		pyr_strbuf_printf(w->out, ".%s", text);
	else
		pyr_strbuf_add(w->out, "a slot");
	free(text);
}

static void write_key(struct pyr_label_writer *w, const struct pyr_step *step)
{
	if (step->type->shape == PYR_SHAPE_SET || step->type->shape == PYR_SHAPE_FROZENSET) {
		pyr_strbuf_add(w->out, "element");
		return;
	}
	pyr_strbuf_add(w->out, "key ");
	pyr_label_value(w, step->detail);
}

static void write_value(struct pyr_label_writer *w, pyr_addr key)
{
	if (!key) {
		pyr_strbuf_add(w->out, "a value");
		return;
	}
	pyr_strbuf_add(w->out, "[");
	pyr_label_value(w, key);
	pyr_strbuf_add(w->out, "]");
}

static void write_word(struct pyr_label_writer *w, const struct pyr_step *step)
{
	char *owned = NULL;
	const char *name = pyr_label_member(w, step->type, step->detail, &owned);

	if (name)
		write_field(w, name);
	else
		pyr_strbuf_printf(w->out, "word +0x%llx", (unsigned long long)step->detail);
	free(owned);
}

void pyr_label_item(struct pyr_label_writer *w, const struct pyr_type *type, uint64_t index)
{
	const char *name = NULL;
	char *owned = NULL;

	/* struct sequences have names for their items (structseq.c) */
	if (type->flags & PYR_TPFLAGS_TUPLE_SUBCLASS && !type->exact_shape && index < 1000)
		name = pyr_label_member(
			w, type, (uint64_t)pyr_offset(w->l, PyTupleObject, ob_item) + index * 8,
			&owned);
	if (name)
		pyr_strbuf_printf(w->out, ".%s", name);
	else
		pyr_strbuf_printf(w->out, "[%llu]", (unsigned long long)index);
	free(owned);
}

void pyr_step_write(struct pyr_types *types, struct pyr_reader *reader, const struct pyr_step *step,
		    struct pyr_strbuf *out)
{
	struct pyr_label_writer w = {types, reader, &pyr_types_python(types)->layout, out};

	switch (PYR_REF_KIND(step->label)) {
	case PYR_EDGE_FIELD:
		write_field(&w, pyr_ref_name(PYR_REF_NAME(step->label)));
		return;
	case PYR_EDGE_ITEM:
		pyr_label_item(&w, step->type, step->detail);
		return;
	case PYR_EDGE_KEY:
		write_key(&w, step);
		return;
	case PYR_EDGE_VALUE:
		write_value(&w, step->detail);
		return;
	case PYR_EDGE_ATTRIBUTE:
		if (!pyr_label_attribute(&w, step->detail))
			pyr_strbuf_add(out, "an attribute");
		return;
	case PYR_EDGE_SLOT:
		write_slot(&w, step->detail);
		return;
	case PYR_EDGE_TYPE:
		pyr_strbuf_add(out, ".__class__");
		return;
	case PYR_EDGE_LOCAL:
	case PYR_EDGE_STACK:
		pyr_label_local(&w, step);
		return;
	case PYR_EDGE_WORD:
		write_word(&w, step);
		return;
	case PYR_EDGE_VISITED:
		pyr_label_visited(&w, step);
		return;
	case PYR_EDGE_COUNT:
		break;
	}
	pyr_strbuf_add(out, "?");
}

void pyr_label_write(struct pyr_types *types, struct pyr_reader *reader,
		     const struct pyr_type *type, pyr_addr owner, uint32_t label, uint64_t detail,
		     struct pyr_strbuf *out)
{
	struct pyr_step step = {.owner = owner, .type = type, .label = label, .detail = detail};

	pyr_step_write(types, reader, &step, out);
}

unsigned pyr_label_rank(uint32_t label)
{
	static const uint8_t ranks[PYR_EDGE_COUNT] = {
		[PYR_EDGE_LOCAL] = 0, [PYR_EDGE_ATTRIBUTE] = 1, [PYR_EDGE_SLOT] = 1,
		[PYR_EDGE_VALUE] = 2, [PYR_EDGE_ITEM] = 3,      [PYR_EDGE_FIELD] = 4,
		[PYR_EDGE_WORD] = 5,  [PYR_EDGE_VISITED] = 6,   [PYR_EDGE_STACK] = 7,
		[PYR_EDGE_KEY] = 8,   [PYR_EDGE_TYPE] = 9,
	};
	enum pyr_edge_kind kind = PYR_REF_KIND(label);

	return (kind < PYR_EDGE_COUNT ? ranks[kind] : 10u) + (label & PYR_REF_INFERRED ? 16u
							      : label & PYR_REF_OWNED  ? 0
										       : 32u);
}
