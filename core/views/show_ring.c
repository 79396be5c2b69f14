#include "views/show_ring.h"

#include <stdlib.h>

#define REPR_IN_RING 60u

static bool is_weak(const struct pyr_ring *ring, size_t link)
{
	return ring->weak == link && ring->kind != PYR_RING_MUTUAL && ring->kind != PYR_RING_ALIKE;
}

/*   ┌→ 0x7f… Parent  <…>
 *   │    .children[0]
 *   │  0x7f… Child  <…>
 *   └─── .parent   */
void pyr_show_ring(struct pyr_context *context, const struct pyr_ring *ring)
{
	struct pyr_types *types = context->session->types;
	struct pyr_out *out = context->out;
	size_t i, n = ring->links.count;
	char *repr;

	for (i = 0; i < n; i++) {
		const struct pyr_ring_link *link = &ring->links.data[i];

		repr = pyr_context_repr(context, link->object, REPR_IN_RING);
		pyr_out_printf(out, "  %s %s  %s  %s\n", i ? "│ " : "┌→",
			       pyr_address(link->object).text,
			       pyr_ring_type_name(types, link->type), repr ? repr : "");
		free(repr);
		pyr_out_text(out, i + 1 == n ? "  └──── " : "  │     ");
		pyr_out_styled(out, PYR_STYLE_STRONG, "%s", link->edge);
		if (is_weak(ring, i))
			pyr_out_styled(out, PYR_STYLE_FAINT, "   (the one to make weak)");
		pyr_out_raw(out, "\n", 1);
		pyr_session_result(context->session, link->object);
	}
}

static void dot_string(struct pyr_strbuf *text, const char *from)
{
	for (; *from; from++) {
		if (*from == '"' || *from == '\\')
			pyr_strbuf_add_char(text, '\\');
		pyr_strbuf_add_char(text, *from == '\n' ? ' ' : *from);
	}
}

void pyr_show_ring_dot(struct pyr_context *context, const struct pyr_ring *ring, const char *title)
{
	struct pyr_types *types = context->session->types;
	struct pyr_strbuf text = {0};
	size_t i, n = ring->links.count;
	char *repr;

	pyr_strbuf_add(&text, "digraph cycle {\n  label=\"");
	dot_string(&text, title);
	pyr_strbuf_add(&text, "\";\n  node [shape=box, fontname=\"sans-serif\"];\n"
			      "  edge [fontname=\"sans-serif\"];\n");
	for (i = 0; i < n; i++) {
		const struct pyr_ring_link *link = &ring->links.data[i];

		repr = pyr_context_repr(context, link->object, REPR_IN_RING);
		pyr_strbuf_printf(&text, "  n%zu [label=\"", i);
		dot_string(&text, pyr_ring_type_name(types, link->type));
		pyr_strbuf_printf(&text, "\\n%s\\n", pyr_address(link->object).text);
		dot_string(&text, repr ? repr : "");
		pyr_strbuf_add(&text, "\"];\n");
		free(repr);
		pyr_strbuf_printf(&text, "  n%zu -> n%zu [label=\"", i, (i + 1) % n);
		dot_string(&text, link->edge);
		pyr_strbuf_printf(&text, "\"%s];\n", is_weak(ring, i) ? ", style=dashed" : "");
	}
	pyr_strbuf_add(&text, "}\n");
	pyr_out_text(context->out, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
}

void pyr_show_ring_json(struct pyr_context *context, const struct pyr_ring *ring)
{
	struct pyr_json *json = context->json;
	struct pyr_types *types = context->session->types;
	size_t i;

	pyr_json_begin_list(json, "ring");
	for (i = 0; i < ring->links.count; i++) {
		pyr_json_begin_object(json, NULL);
		pyr_json_address(json, "address", ring->links.data[i].object);
		pyr_json_string(json, "type", pyr_type_name(types, ring->links.data[i].type));
		pyr_json_string(json, "edge", ring->links.data[i].edge);
		pyr_json_end_object(json);
	}
	pyr_json_end_list(json);
	if (ring->weak != SIZE_MAX)
		pyr_json_uint(json, "weak_link", ring->weak);
	else
		pyr_json_null(json, "weak_link");
}
