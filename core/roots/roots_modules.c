/* The C state of modules. What a module's m_traverse visits are edges of the module
 * object; words of the state that are none of them may be references that it leaves out,
 * or that could not be asked for. */
#include "roots/roots_internal.h"
#include "values/object.h"

#define STATE_MAX (UINT64_C(1) << 20)

static uint64_t state_size(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr module)
{
	pyr_addr def = pyr_get_addr(l, reader, module, PyModuleObject, md_def);
	int64_t size = 0;

	if (!pyr_get_i64(l, reader, module, PyModuleObject, md_state_size, &size) && def)
		pyr_get_i64(l, reader, def, PyModuleDef, m_size, &size);
	return size > 0 && (uint64_t)size <= STATE_MAX ? (uint64_t)size : 0;
}

static bool is_edge(const struct pyr_graph *graph, uint32_t from, uint32_t to)
{
	uint64_t e;

	for (e = graph->out_start[from]; e < graph->out_start[from + 1]; e++)
		if (graph->out[e] == to)
			return true;
	return false;
}

pyr_error *pyr_roots_modules(struct pyr_roots *roots, struct pyr_control *control)
{
	const struct pyr_heap *heap = roots->model->heap;
	struct pyr_python *python = pyr_roots_python(roots);
	const struct pyr_layout *l = &python->layout;
	const struct pyr_type *type;
	uint64_t size, at, word;
	pyr_addr state;
	pyr_error *err;
	uint32_t id, to;

	for (id = 0; id < heap->count; id++) {
		if (id % 65536 == 0 && (err = pyr_control_check(control)))
			return err;
		type = pyr_types_at(heap->types, heap->type[id]);
		if (!type || type->shape != PYR_SHAPE_MODULE)
			continue;
		state = pyr_get_addr(l, &python->reader, heap->address[id], PyModuleObject,
				     md_state);
		size = state ? state_size(l, &python->reader, heap->address[id]) : 0;
		for (at = 0; at + 8 <= size; at += 8) {
			if (!pyr_try_u64(&python->reader, state + at, &word) || !word ||
			    (to = pyr_heap_id(heap, word)) == PYR_NO_ID ||
			    is_edge(&roots->model->graph, id, to))
				continue;
			pyr_roots_push_id(roots, PYR_ROOT_MODULE_STATE, PYR_ROOT_POSSIBLE, to,
					  state + at, heap->address[id], at);
		}
	}
	return pyr_reader_check(&python->reader);
}

void pyr_root_module_name(const struct pyr_roots *roots, const struct pyr_root *root,
			  struct pyr_strbuf *out)
{
	struct pyr_types *types = roots->model->heap->types;
	struct pyr_python *python = pyr_roots_python(roots);
	pyr_addr dict =
		pyr_get_addr(&python->layout, &python->reader, root->a, PyModuleObject, md_dict);
	pyr_addr name = dict ? pyr_dict_get(types, &python->reader, dict, "__name__") : 0;
	pyr_error *err;
	char *text;

	err = name ? pyr_str_utf8(types, &python->reader, name, 200, &text, NULL) : NULL;
	if (!name || err) {
		pyr_error_destroy(err);
		pyr_strbuf_printf(out, "module at 0x%llx", (unsigned long long)root->a);
	} else {
		pyr_strbuf_printf(out, "module %s", text);
		free(text);
	}
	pyr_strbuf_printf(out, ": C state +0x%llx", (unsigned long long)root->b);
}
