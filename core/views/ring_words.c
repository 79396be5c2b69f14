/* Rings in words: the shape that like rings share, and the sentence for beginners. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/collection/ring.h"
#include "values/object.h"

#define NAMED_IN_SHAPE 6u /* longer rings of unlike objects are cut in their shape */

const char *pyr_ring_type_name(struct pyr_types *types, const struct pyr_type *type)
{
	static const char *const known[] = {"builtins.", "__main__."};
	const char *name = pyr_type_name(types, type);
	size_t i;

	for (i = 0; i < 2; i++)
		if (!strncmp(name, known[i], strlen(known[i])))
			return name + strlen(known[i]);
	return name;
}

/* The last part of it, as one says it. */
static const char *spoken_name(struct pyr_types *types, const struct pyr_type *type)
{
	const char *name = pyr_ring_type_name(types, type), *dot = strrchr(name, '.');

	return dot && dot[1] && name[0] != '<' ? dot + 1 : name;
}

/* By the sound: an Order, a User, a Unit. */
static const char *article(const char *noun)
{
	static const char *const long_u[] = {"use", "uni", "uti", "usu", "utf"};
	char first[4] = "";
	size_t i;

	noun += strspn(noun, "_");
	for (i = 0; i < 3 && noun[i]; i++)
		first[i] = (char)tolower((unsigned char)noun[i]);
	for (i = 0; i < sizeof(long_u) / sizeof(*long_u); i++)
		if (!strcmp(first, long_u[i]))
			return "a";
	return first[0] && strchr("aeiou", first[0]) ? "an" : "a";
}

static void a_thing(struct pyr_types *types, const struct pyr_type *type, struct pyr_strbuf *out)
{
	const char *name = spoken_name(types, type);

	pyr_strbuf_printf(out, "%s %s", article(name), name);
}

/* An edge without what differs between like objects: indexes, keys, lines of code. */
static void general_edge(const char *edge, struct pyr_strbuf *out)
{
	const char *end = strstr(edge, " at ");
	char quote = 0;
	unsigned depth = 0;

	if (strncmp(edge, "local", 5) != 0 && strncmp(edge, "operand", 7) != 0)
		end = NULL;
	for (; *edge && edge != end; edge++) {
		if (depth && quote) {
			quote = *edge == quote ? 0 : quote;
		} else if (depth && (*edge == '\'' || *edge == '"')) {
			quote = *edge;
		} else if (*edge == '[' && !depth++) {
			pyr_strbuf_add(out, "[…]");
		} else if (*edge == ']' && depth) {
			depth--;
		} else if (!depth) {
			pyr_strbuf_add_char(out, *edge);
		}
	}
}

static bool same_edges(const struct pyr_ring *ring)
{
	struct pyr_strbuf first = {0}, other = {0};
	bool same = true;
	size_t i;

	general_edge(ring->links.data[0].edge, &first);
	for (i = 1; i + (ring->left_out != 0) < ring->links.count && same; i++) {
		pyr_strbuf_clear(&other);
		general_edge(ring->links.data[i].edge, &other);
		same = !strcmp(pyr_strbuf_str(&first), pyr_strbuf_str(&other));
	}
	pyr_strbuf_deinit(&first);
	pyr_strbuf_deinit(&other);
	return same;
}

static bool same_types(const struct pyr_ring *ring)
{
	size_t i;

	for (i = 1; i < ring->links.count; i++)
		if (ring->links.data[i].type != ring->links.data[0].type)
			return false;
	return true;
}

void pyr_ring_shape(struct pyr_types *types, const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data;
	size_t i, n = ring->links.count;
	bool edges = same_edges(ring);

	if (n == 1) {
		pyr_strbuf_printf(out, "%s → itself through ",
				  pyr_ring_type_name(types, l[0].type));
		general_edge(l[0].edge, out);
		return;
	}
	if (edges && same_types(ring) && n > 2) {
		pyr_strbuf_printf(out, "ring of %s through ", pyr_ring_type_name(types, l[0].type));
		general_edge(l[0].edge, out);
		return;
	}
	if (n == 2) {
		pyr_strbuf_printf(out, "%s ⇄ %s", pyr_ring_type_name(types, l[0].type),
				  pyr_ring_type_name(types, l[1].type));
	} else {
		for (i = 0; i < n && i < NAMED_IN_SHAPE; i++)
			pyr_strbuf_printf(out, "%s → ", pyr_ring_type_name(types, l[i].type));
		if (i < n)
			pyr_strbuf_printf(out, "%zu more → ", n - i);
		pyr_strbuf_add(out, pyr_ring_type_name(types, l[0].type));
	}
	pyr_strbuf_add(out, " through ");
	for (i = 0; i < n && i < NAMED_IN_SHAPE; i++) {
		if (i)
			pyr_strbuf_add(out, i + 1 == n ? " and " : ", ");
		general_edge(l[i].edge, out);
		if (edges)
			break;
	}
	if (i < n && !edges)
		pyr_strbuf_add(out, ", …");
}

/* --- the sentence --- */

/* Steps of one shape on the way, or NULL. */
static const struct pyr_step *step_of(const struct pyr_ring *ring, enum pyr_shape shape)
{
	size_t i;

	for (i = 0; i < ring->steps.count; i++)
		if (ring->steps.data[i].type->shape == shape)
			return &ring->steps.data[i];
	return NULL;
}

/* What stands between the first pair of quotes: the name of a variable. */
static void quoted(const char *edge, struct pyr_strbuf *out)
{
	const char *open = strchr(edge, '"'), *close = open ? strchr(open + 1, '"') : NULL;

	if (close)
		pyr_strbuf_add_bytes(out, open + 1, (size_t)(close - open - 1));
	else
		pyr_strbuf_add(out, "a variable");
}

/* " of run": whose variable it is; the edge reads `local "self" of Worker.run at file:3`. */
static void function_of(const char *edge, struct pyr_strbuf *out)
{
	const char *of = strstr(edge, " of "), *at = of ? strstr(of, " at ") : NULL;

	if (of && at)
		pyr_strbuf_add_bytes(out, of + 4, (size_t)(at - of - 4));
	else if (of)
		pyr_strbuf_add(out, of + 4);
	else
		pyr_strbuf_add(out, "a function");
}

static const struct pyr_ring_link *link_with(const struct pyr_ring *ring, const char *prefix)
{
	size_t i;

	for (i = 0; i < ring->links.count; i++)
		if (!strncmp(ring->links.data[i].edge, prefix, strlen(prefix)))
			return &ring->links.data[i];
	return NULL;
}

/* "A Worker holds a list through .rows, that holds ..." */
static void chain(struct pyr_types *types, const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data;
	size_t i, n = ring->links.count;

	for (i = 0; i < n; i++) {
		if (i == 0) {
			a_thing(types, l[0].type, out);
			pyr_strbuf_add(out, " holds ");
		} else {
			pyr_strbuf_add(out, i + 1 == n ? ", and that holds " : ", that holds ");
		}
		if (i + 1 == n)
			pyr_strbuf_printf(out, "the %s", spoken_name(types, l[0].type));
		else
			a_thing(types, l[i + 1].type, out);
		pyr_strbuf_printf(out, "%s through %s", i + 1 == n && n > 1 ? " again" : "",
				  l[i].edge);
	}
	pyr_strbuf_add(out, ".");
}

static const char weak_advice[] =
	"Make one link weak (weakref.ref), or set it to None when it has served.";

static void capitalize(struct pyr_strbuf *out, size_t at)
{
	if (out->data && at < out->length)
		out->data[at] = (char)toupper((unsigned char)out->data[at]);
}

static void say_back(struct pyr_types *types, const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data, *back = &l[ring->links.count - 1];
	const char *first = spoken_name(types, l[0].type);

	if (ring->links.count != 2) {
		chain(types, ring, out);
	} else {
		a_thing(types, l[0].type, out);
		pyr_strbuf_add(out, " holds ");
		if (l[1].type == l[0].type)
			pyr_strbuf_printf(out, "another %s", first);
		else
			a_thing(types, l[1].type, out);
		pyr_strbuf_printf(out, " through %s, and that one holds it back through %s.",
				  l[0].edge, back->edge);
	}
	pyr_strbuf_printf(out, " Make the way back weak: keep weakref.ref(...) in %s.", back->edge);
}

static void say_exception(struct pyr_types *types, const struct pyr_ring *ring,
			  struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data, *local = link_with(ring, "local");
	const struct pyr_step *exception = step_of(ring, PYR_SHAPE_BASE_EXCEPTION);
	size_t i, n = ring->links.count;

	if (!exception || !local || l[0].type->shape == PYR_SHAPE_BASE_EXCEPTION ||
	    l[0].type->shape == PYR_SHAPE_TRACEBACK || l[0].type->shape == PYR_SHAPE_FRAME) {
		if (exception && local) {
			a_thing(types, exception->type, out);
			pyr_strbuf_add(out, " has a traceback, the traceback keeps the frame of ");
			function_of(local->edge, out);
			pyr_strbuf_add(out, "(), and there the variable ");
			quoted(local->edge, out);
			pyr_strbuf_add(out, " leads to the exception again.");
		} else {
			chain(types, ring, out);
		}
		pyr_strbuf_add(out, " Delete the variable when the exception has been dealt with.");
		return;
	}
	for (i = 0; i < n && l[i].object != exception->owner; i++)
		;
	a_thing(types, l[0].type, out);
	pyr_strbuf_add(out, " keeps ");
	a_thing(types, exception->type, out);
	pyr_strbuf_printf(out, " in %s; the exception's traceback keeps the frame of ",
			  i ? l[i - 1].edge : l[0].edge);
	function_of(local->edge, out);
	pyr_strbuf_add(out, "(), whose variable ");
	quoted(local->edge, out);
	pyr_strbuf_printf(out,
			  " %s the %s. Keep the exception without its traceback "
			  "(error.with_traceback(None)), or drop it when it has been dealt with.",
			  local == &l[n - 1] ? "is" : "leads back to",
			  spoken_name(types, l[0].type));
}

static void say_closure(struct pyr_types *types, const struct pyr_ring *ring,
			struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data, *cell = &l[ring->weak];
	size_t n = ring->links.count;

	if (n == 1) {
		pyr_strbuf_add(out, "A function refers to itself by its variable ");
		quoted(cell->edge, out);
		pyr_strbuf_add(out, ", as every nested function does that calls itself. Make it a "
				    "function of the module, or pass it to itself as an argument.");
		return;
	}
	a_thing(types, l[0].type, out);
	pyr_strbuf_add(out, n == 2 ? " holds a function (" : " leads to a function (");
	function_of(cell->edge, out);
	pyr_strbuf_printf(out, ") through %s%s", l[0].edge, n == 2 ? "" : " …");
	pyr_strbuf_add(out, ", and the function remembers the ");
	pyr_strbuf_add(out, spoken_name(types, l[0].type));
	pyr_strbuf_add(out, " as ");
	quoted(cell->edge, out);
	pyr_strbuf_add(out, ". Let the function remember weakref.ref(");
	quoted(cell->edge, out);
	pyr_strbuf_add(out, ") instead, or be given the object when it is called.");
}

static void say_default(struct pyr_types *types, const struct pyr_ring *ring,
			struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data;

	a_thing(types, l[0].type, out);
	pyr_strbuf_printf(out, " leads to a function through %s, and the function has the %s as ",
			  l[0].edge, spoken_name(types, l[0].type));
	pyr_strbuf_add(out, "the default of its argument ");
	quoted(l[ring->weak].edge, out);
	pyr_strbuf_add(out,
		       ". Make the default a weakref.ref, or give the object when it is called.");
}

static void say_method(struct pyr_types *types, const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data;

	a_thing(types, l[0].type, out);
	if (ring->links.count == 1)
		pyr_strbuf_printf(out, " holds a method of its own, bound to itself, through %s.",
				  l[0].edge);
	else
		pyr_strbuf_printf(out,
				  " leads, through %s, to a method that is bound to the same %s.",
				  l[0].edge, spoken_name(types, l[0].type));
	pyr_strbuf_add(out, " A bound method holds its object: keep a weakref.WeakMethod, or look "
			    "the method up when it is called.");
}

static void say_generator(struct pyr_types *types, const struct pyr_ring *ring,
			  struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data, *local = link_with(ring, "local");
	const struct pyr_step *generator = step_of(ring, PYR_SHAPE_GENERATOR);

	if (!generator)
		generator = step_of(ring, PYR_SHAPE_COROUTINE);
	if (!generator)
		generator = step_of(ring, PYR_SHAPE_ASYNC_GENERATOR);
	if (!local || !generator) {
		chain(types, ring, out);
	} else {
		a_thing(types, l[0].type, out);
		pyr_strbuf_add(out, " leads to ");
		a_thing(types, generator->type, out);
		pyr_strbuf_add(out, " that has not finished (");
		function_of(local->edge, out);
		pyr_strbuf_add(out, "), whose variable ");
		quoted(local->edge, out);
		pyr_strbuf_printf(out, " leads back to the %s.", spoken_name(types, l[0].type));
	}
	pyr_strbuf_add(out, " Run it to its end, or close() it.");
}

static void say_class(struct pyr_types *types, struct pyr_reader *reader,
		      const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_step *class = step_of(ring, PYR_SHAPE_TYPE);
	const struct pyr_type *made = pyr_types_get(types, reader, class->owner);

	pyr_strbuf_add(out, "A class always refers to itself, through its __mro__ and through "
			    "what is defined in it, so only the collector frees a class");
	if (made)
		pyr_strbuf_printf(out, " (here %s)", spoken_name(types, made));
	pyr_strbuf_add(out, ". Make classes once, not again and again inside of a function.");
}

void pyr_ring_sentence(struct pyr_types *types, struct pyr_reader *reader,
		       const struct pyr_ring *ring, struct pyr_strbuf *out)
{
	const struct pyr_ring_link *l = ring->links.data;
	const char *name = spoken_name(types, l[0].type);
	size_t at = out->length;

	switch (ring->kind) {
	case PYR_RING_CONTAINER:
		pyr_strbuf_printf(out,
				  "%s %s contains itself, at %s. Take that element out before "
				  "the last name of it goes.",
				  article(name), name, l[0].edge);
		break;
	case PYR_RING_ITSELF:
		if (l[0].type->shape == PYR_SHAPE_FUNCTION && strstr(l[0].edge, "__globals__")) {
			pyr_strbuf_add(out, "A function holds the names of the module that it was "
					    "defined in, and is one of them: when the module, or "
					    "the dict that exec() was given, is dropped, only the "
					    "collector frees them.");
			break;
		}
		pyr_strbuf_printf(out, "%s %s holds itself through %s. %s", article(name), name,
				  l[0].edge, "Do without, or keep weakref.ref(self) there.");
		break;
	case PYR_RING_MUTUAL:
		pyr_strbuf_printf(out,
				  "Two %s objects hold each other through %s, so neither is ever "
				  "the last to be held. %s",
				  name, l[0].edge, weak_advice);
		break;
	case PYR_RING_ALIKE:
		pyr_strbuf_printf(out,
				  "%zu %s objects hold one another in a ring, each the next "
				  "through %s. %s",
				  ring->links.count + ring->left_out, name, l[0].edge, weak_advice);
		break;
	case PYR_RING_BACK:
		say_back(types, ring, out);
		break;
	case PYR_RING_EXCEPTION:
		say_exception(types, ring, out);
		break;
	case PYR_RING_FRAME:
		chain(types, ring, out);
		pyr_strbuf_add(out,
			       " Delete the variable that holds the frame when it has served.");
		break;
	case PYR_RING_CLOSURE:
		say_closure(types, ring, out);
		break;
	case PYR_RING_DEFAULT:
		say_default(types, ring, out);
		break;
	case PYR_RING_METHOD:
		say_method(types, ring, out);
		break;
	case PYR_RING_GENERATOR:
		say_generator(types, ring, out);
		break;
	case PYR_RING_CLASS:
		say_class(types, reader, ring, out);
		break;
	case PYR_RING_GENERAL:
		chain(types, ring, out);
		pyr_strbuf_printf(out, " %s", weak_advice);
		break;
	}
	capitalize(out, at);
}
