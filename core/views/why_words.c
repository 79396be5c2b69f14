#include "views/why_words.h"

#include "views/edges.h"

#include <string.h>

static const struct pyr_type *type_of(struct pyr_context *context, uint32_t node)
{
	const struct pyr_heap *heap = context->session->heap;

	return pyr_types_at(heap->types, heap->type[node]);
}

static const char *type_name(struct pyr_context *context, uint32_t node)
{
	return pyr_short_type(pyr_type_name(context->session->types, type_of(context, node)));
}

static const char *address(struct pyr_context *context, uint32_t node, struct pyr_units *text)
{
	*text = pyr_address(context->session->heap->address[node]);
	return text->text;
}

static uint32_t last(const struct pyr_printable_path *route)
{
	return route->nodes[route->count - 1];
}

static const char *root_words(const struct pyr_root *root)
{
	static const char *const words[PYR_ROOT_COUNT] = {
#define ROOT(id, name, certainty, cost, text, one_from, many_from, one, many)                      \
	[PYR_ROOT_##id] = text,
#include "roots/roots.def"
#undef ROOT
	};

	return words[root->kind];
}

/* The name in `['app.cache']`, the first step from sys.modules; false: it is no such. */
static bool module_name(const struct pyr_printable_path *route, struct pyr_strbuf *out)
{
	const char *edge;
	size_t length;

	if (!route->root || route->root->kind != PYR_ROOT_MODULE || !route->display.steps.count)
		return false;
	edge = route->display.steps.data[0].edge;
	length = strlen(edge);
	if (length <= 4 || strncmp(edge, "['", 2) || strcmp(edge + length - 2, "']"))
		return false;
	pyr_strbuf_add_bytes(out, edge + 2, length - 4);
	return true;
}

/* What makes that an object is never freed, or NULL. */
static const char *lasting(struct pyr_context *context, uint32_t node)
{
	const struct pyr_roots *roots = context->session->roots;
	size_t i, end;

	if (context->session->ledger->refcount[node] != PYR_LEDGER_EXCLUDED)
		return NULL;
	pyr_roots_of(roots, node, &i, &end);
	for (; i < end; i++)
		if (roots->roots.data[i].kind == PYR_ROOT_IMMORTAL)
			return "immortal";
	return "a C variable";
}

void pyr_why_holder(struct pyr_context *context, const struct pyr_printable_path *route,
		    struct pyr_strbuf *out)
{
	const char *what = type_name(context, last(route)), *never = lasting(context, last(route));
	const char *where, *interpreter = strstr(route->root_name, " of interpreter ");
	const struct pyr_root *root = route->root;
	struct pyr_strbuf name = {0};

	if (root->kind != PYR_ROOT_MODULE || !interpreter)
		interpreter = "";
	if (never && route->count == 1)
		pyr_strbuf_printf(out, "This %s is never freed: it is %s.", what, never);
	else if (never)
		pyr_strbuf_printf(out, "This %s is never freed: it is %s. It is found as %s, too.",
				  what, never, route->expression);
	else if (root->possible)
		pyr_strbuf_printf(out,
				  "This %s may be alive because of %s: %s. A word there equals %s; "
				  "nothing else that was found holds it.",
				  what, root_words(root), route->expression,
				  route->display.steps.count ? "the address of what leads to it"
							     : "its address");
	else if (module_name(route, &name) && route->display.steps.count == 1)
		pyr_strbuf_printf(out,
				  "This %s is alive because it is imported: sys.modules['%s']%s.",
				  what, pyr_strbuf_str(&name), interpreter);
	else if (name.length)
		pyr_strbuf_printf(out, "This %s is alive because the module %s%s holds it: %s.",
				  what, pyr_strbuf_str(&name), interpreter, route->expression);
	else if (root->kind == PYR_ROOT_FRAME_LOCAL && route->count == 1)
		pyr_strbuf_printf(out, "This %s is alive because a running function uses it: %s.",
				  what, route->root_name);
	else if (root->kind == PYR_ROOT_FRAME_LOCAL && (where = strstr(route->root_name, "\" of ")))
		pyr_strbuf_printf(out,
				  "This %s is alive because a running function holds it: %s, where "
				  "%.*s is a variable of %s.",
				  what, route->expression,
				  (int)(where - strchr(route->root_name, '"') - 1),
				  strchr(route->root_name, '"') + 1, where + 5);
	else
		pyr_strbuf_printf(out, "This %s is alive because %s holds it: %s.", what,
				  root_words(root), route->expression);
	pyr_strbuf_deinit(&name);
}

/* --- others --- */

void pyr_why_alike(struct pyr_context *context, struct pyr_retention_cache *retention,
		   const struct pyr_printable_path *route, struct pyr_strbuf *out)
{
	const struct pyr_graph *g = &retention->model->graph;
	const struct pyr_heap *heap = retention->model->heap;
	uint32_t holder, object = last(route);
	enum pyr_edge_kind kind;
	uint64_t e, others = 0;

	if (!strcmp(pyr_printable_path_certainty(route), "inferred"))
		pyr_strbuf_add(out, " One of the references is inferred: the code of its type "
				    "could not be asked.");
	if (route->count < 2)
		return;
	holder = route->nodes[route->count - 2];
	/* those of a module or a class are no crowd */
	if (lasting(context, object) || pyr_edge_costs_is_modules(retention->edge_costs, holder) ||
	    route->display.steps.data[route->display.steps.count - 1].edge[0] == '.')
		return;
	kind = PYR_REF_KIND(route->steps[route->count - 2].label);
	if (kind != PYR_EDGE_ITEM && kind != PYR_EDGE_VALUE && kind != PYR_EDGE_KEY)
		return;
	for (e = g->out_start[holder]; e < g->out_start[holder + 1]; e++)
		if (g->out[e] != object && heap->type[g->out[e]] == heap->type[object] &&
		    PYR_MODEL_KIND(retention->model->flags[e]) == kind)
			others++;
	if (!others)
		return;
	pyr_strbuf_printf(out, " %s of its type %s held the same way, by the same %s.",
			  pyr_counted(others, "other object", "other objects").text,
			  others == 1 ? "is" : "are", type_name(context, holder));
}

/* --- what would let it go --- */

/* What a program can undo: an entry of a container, a variable, an attribute. */
enum cut_kind { CUT_NONE, CUT_ENTRY, CUT_VARIABLE, CUT_ATTRIBUTE };

struct cut {
	enum cut_kind kind;
	size_t display; /* the display step it is, or begins */
	size_t raw;     /* the reference to be cut */
};

static bool is_hub(struct pyr_retention_cache *retention, uint32_t node)
{
	return pyr_edge_costs_is_namespace(retention->edge_costs, node) ||
	       pyr_edge_costs_is_modules(retention->edge_costs, node);
}

static struct cut cut_at(struct pyr_retention_cache *retention,
			 const struct pyr_printable_path *route, size_t i)
{
	const struct pyr_display_step *step = &route->display.steps.data[i];
	struct cut cut = {CUT_NONE, i, step->first};
	const struct pyr_step *raw = &route->steps[cut.raw];
	bool plain = step->edge[0] == '.';

	/* an instance's, a class's or a module's dict, and the name in it */
	if (plain && step->count > 1 && raw[1].type->shape == PYR_SHAPE_DICT &&
	    PYR_REF_KIND(raw[1].label) == PYR_EDGE_VALUE) {
		cut.raw++;
		cut.kind = is_hub(retention, route->nodes[cut.raw]) ? CUT_VARIABLE : CUT_ATTRIBUTE;
		return cut;
	}
	switch (PYR_REF_KIND(raw->label)) {
	case PYR_EDGE_ATTRIBUTE:
	case PYR_EDGE_SLOT:
		cut.kind = plain ? CUT_ATTRIBUTE : CUT_NONE;
		break;
	case PYR_EDGE_VALUE:
		if (step->edge[0] == '[' && !is_hub(retention, route->nodes[cut.raw]))
			cut.kind = CUT_ENTRY;
		break;
	case PYR_EDGE_KEY:
		cut.kind = CUT_ENTRY;
		break;
	case PYR_EDGE_ITEM:
	case PYR_EDGE_VISITED: /* of a deque */
		if (step->edge[0] == '[' && raw->type->shape != PYR_SHAPE_TUPLE)
			cut.kind = CUT_ENTRY;
		break;
	default:
		break;
	}
	return cut;
}

/* The nearest entry of a container that alone keeps the object alive; without one the
 * nearest variable or attribute. */
static pyr_error *find_cut(struct pyr_context *context, struct pyr_retention_cache *retention,
			   const struct pyr_printable_path *route, bool *only_one, struct cut *ret)
{
	size_t i, tries = 0, k = route->count - 2;
	struct cut cut;
	bool needed;
	pyr_error *err;

	ret->kind = CUT_NONE;
	if ((err = pyr_path_search_is_needed(context, retention, last(route), route->nodes[k],
					     route->nodes[k + 1], NULL, only_one)))
		return err;
	for (i = route->display.steps.count; *only_one && i-- > 0 && tries < 6;) {
		cut = cut_at(retention, route, i);
		if (cut.kind == CUT_NONE || (ret->kind != CUT_NONE && cut.kind != CUT_ENTRY))
			continue;
		tries++;
		if ((err = pyr_path_search_is_needed(context, retention, last(route),
						     route->nodes[cut.raw],
						     route->nodes[cut.raw + 1], NULL, &needed)))
			return err;
		if (!needed)
			break; /* nor is what is further from it */
		*ret = cut;
		if (cut.kind == CUT_ENTRY)
			break;
	}
	return NULL;
}

/* "the dict app.cache.SESSIONS", "the module app.cache" */
static void add_place(struct pyr_context *context, const struct pyr_printable_path *route,
		      size_t step, struct pyr_strbuf *out)
{
	struct pyr_units text;
	uint32_t owner = pyr_printable_path_owner(route, step);

	pyr_strbuf_printf(out, "the %s ", type_name(context, owner));
	if (step || route->root->kind == PYR_ROOT_FRAME_LOCAL)
		pyr_printable_path_expression(route, context, step, out);
	else
		pyr_strbuf_printf(out, "at %s", address(context, owner, &text));
}

static void write_cut(struct pyr_context *context, const struct pyr_printable_path *route,
		      const struct cut *cut, struct pyr_strbuf *out)
{
	const struct pyr_step *raw = &route->steps[cut->raw];
	struct pyr_strbuf text = {0};
	const char *name;
	size_t length;

	/* `.user`, `['user']` or `['abc']` */
	pyr_step_write(context->session->types, &context->session->python->reader, raw, &text);
	name = pyr_strbuf_str(&text);
	length = strlen(name);
	if (length > 2 && name[0] == '[') {
		name++;
		length -= 2;
	} else if (name[0] == '.') {
		name++;
		length--;
	}
	if (cut->kind != CUT_ENTRY && length > 2 && name[0] == '\'') {
		name++;
		length -= 2;
	}
	if (cut->kind == CUT_ENTRY && PYR_REF_KIND(raw->label) == PYR_EDGE_VALUE) {
		pyr_strbuf_printf(out, "the key %.*s were removed from ", (int)length, name);
		add_place(context, route, cut->display, out);
	} else if (cut->kind == CUT_ENTRY && PYR_REF_KIND(raw->label) == PYR_EDGE_KEY) {
		pyr_strbuf_printf(out, "%s were removed from ",
				  cut->raw + 2 == route->count ? "it" : "the element");
		add_place(context, route, cut->display, out);
	} else if (cut->kind == CUT_ENTRY) {
		pyr_strbuf_printf(out, "the item [%.*s] were removed from ", (int)length, name);
		add_place(context, route, cut->display, out);
	} else {
		pyr_strbuf_printf(out, "the %s %.*s of ",
				  cut->kind == CUT_VARIABLE ? "variable" : "attribute", (int)length,
				  name);
		add_place(context, route, cut->display, out);
		pyr_strbuf_add(out, " were deleted or given another value");
	}
	pyr_strbuf_deinit(&text);
}

/* Without a root's reference, or the one reference that is left to name. */
static void write_other(struct pyr_context *context, const struct pyr_printable_path *route,
			struct pyr_strbuf *out)
{
	if (route->count > 1)
		add_place(context, route, route->display.steps.count - 1, out);
	else if (route->root->kind == PYR_ROOT_FRAME_LOCAL)
		pyr_strbuf_add(out, "that call returned or gave the variable another value");
	else
		pyr_strbuf_printf(out, "%s let go of it", root_words(route->root));
	if (route->count > 1)
		pyr_strbuf_add(out, " went away");
}

pyr_error *pyr_why_release(struct pyr_context *context, struct pyr_retention_cache *retention,
			   const struct pyr_printable_path *route, size_t shown,
			   struct pyr_strbuf *out)
{
	struct pyr_strbuf text = {0};
	struct pyr_ledger_lines lines;
	bool only_one = false;
	struct cut cut = {0};
	pyr_error *err;
	int64_t left;

	if (route->root->possible || pyr_edge_costs_phase(route->root) == PYR_PHASE_LASTING ||
	    lasting(context, last(route)))
		return NULL;
	if (route->count > 1)
		err = find_cut(context, retention, route, &only_one, &cut);
	else
		err = pyr_path_search_is_needed(context, retention, last(route), 0, 0, route->root,
						&only_one);
	if (err)
		return err;
	if (!only_one) {
		pyr_strbuf_add(out,
			       shown > 1 ? " It is held from elsewhere too, as shown below."
					 : " It is held from elsewhere too (--paths N shows how).");
		return NULL;
	}
	if (cut.kind != CUT_NONE)
		write_cut(context, route, &cut, &text);
	else
		write_other(context, route, &text);
	pyr_strbuf_printf(out, " It would be freed if %s", pyr_strbuf_str(&text));
	/* inferred references are not subtracted: they may be those that are missing */
	pyr_ledger_lines(retention->model, retention->roots, last(route), &lines);
	left = pyr_ledger_remainder(retention->ledger, last(route)) - (int64_t)lines.inferred;
	if (left > 0)
		pyr_strbuf_printf(out, ", but for %s to it that %s not found in this heap",
				  pyr_counted((uint64_t)left, "reference", "references").text,
				  left == 1 ? "was" : "were");
	pyr_strbuf_add(out, ".");
	pyr_strbuf_deinit(&text);
	return NULL;
}

/* --- nothing holds it --- */

void pyr_why_nothing(struct pyr_context *context, struct pyr_retention_cache *retention,
		     enum pyr_unheld why, uint32_t object, uint32_t holder, struct pyr_strbuf *out)
{
	struct pyr_units text;
	uint64_t left = (uint64_t)pyr_ledger_remainder(retention->ledger, holder);

	switch (why) {
	case PYR_UNHELD_IMMORTAL:
		pyr_strbuf_printf(out, "This %s is never freed: it is immortal.",
				  type_name(context, object));
		break;
	case PYR_UNHELD_GARBAGE:
		pyr_strbuf_printf(
			out,
			"Nothing holds this %s: it is part of an unreachable cycle, or "
			"held by one. %s",
			type_name(context, object),
			retention->model->heap->generation[object] == PYR_GEN_PERMANENT
				? "It is frozen (gc.freeze()): the collector does not look "
				  "at it."
				: "The collector would free it: see `cycles`.");
		break;
	case PYR_UNHELD_UNKNOWN:
		pyr_strbuf_printf(out, "Nothing that was found holds this %s, ",
				  type_name(context, object));
		if (holder == object)
			pyr_strbuf_printf(
				out,
				"but %s to it %s not found in this heap: C code has %s, or took %s "
				"and never gave %s back.",
				pyr_counted(left, "reference", "references").text,
				left == 1 ? "was" : "were", left == 1 ? "it" : "them",
				left == 1 ? "it" : "them", left == 1 ? "it" : "them");
		else
			pyr_strbuf_printf(
				out,
				"but the %s at %s does, and %s to that %s not found in this heap: "
				"C code has %s, or never gave %s back.",
				type_name(context, holder), address(context, holder, &text),
				pyr_counted(left, "reference", "references").text,
				left == 1 ? "was" : "were", left == 1 ? "it" : "them",
				left == 1 ? "it" : "them");
		break;
	}
}

/* --- the ledger --- */

void pyr_why_ledger(struct pyr_context *context, struct pyr_retention_cache *retention,
		    uint32_t object)
{
	uint32_t refcount = retention->ledger->refcount[object];
	int64_t left = pyr_ledger_remainder(retention->ledger, object);
	struct pyr_ledger_lines lines;
	struct pyr_out *out = context->out;
	struct pyr_strbuf kinds = {0};

	pyr_ledger_lines(retention->model, retention->roots, object, &lines);
	if (refcount == PYR_LEDGER_EXCLUDED)
		pyr_out_text(out, "\nrefcount not counted:");
	else
		pyr_out_printf(out, "\nrefcount %s:", pyr_count(refcount).text);
	pyr_ledger_kinds(&lines, &kinds);
	if (kinds.length)
		pyr_out_printf(out, " %s,", pyr_strbuf_str(&kinds));
	pyr_strbuf_deinit(&kinds);
	if (refcount == PYR_LEDGER_EXCLUDED)
		pyr_out_printf(out, " it is %s", lasting(context, object));
	else if (left >= 0)
		pyr_out_printf(out, " %s not found", pyr_count((uint64_t)left).text);
	else
		pyr_out_printf(out, " %s more than it counts", pyr_count((uint64_t)-left).text);
	if (lines.inferred)
		pyr_out_printf(out, "; inferred besides: %s", pyr_count(lines.inferred).text);
	if (lines.possible)
		pyr_out_printf(
			out, "; possible besides: %s",
			pyr_counted(lines.possible, "word of C memory", "words of C memory").text);
	pyr_out_text(out, "\n");
}
