#include "values/thread_names.h"

#include "runtime/raw.h"
#include "values/object.h"

/* threading._active: {ident: Thread}, per interpreter (Lib/threading.py). */
static void name_interpreter(struct pyr_python *python, struct pyr_types *types, size_t index)
{
	struct pyr_raw raw = {&python->layout, &python->reader};
	pyr_addr dict, active, key, thread, name;
	struct pyr_raw_dict iter;
	int64_t ident;
	size_t i;

	dict = pyr_raw_module_dict(raw, python->interpreters.data[index].modules, "threading");
	active = dict ? pyr_raw_dict_get(raw, dict, "_active") : 0;
	if (!active || !pyr_raw_dict_init(raw, active, &iter))
		return;
	while (pyr_raw_dict_next(&iter, &key, &thread)) {
		if (!pyr_raw_int(raw, key, &ident) ||
		    !(name = pyr_object_attribute(types, raw.reader, thread, "_name")))
			continue;
		for (i = 0; i < python->threads.count; i++) {
			struct pyr_python_thread *t = &python->threads.data[i];

			if (t->interpreter == index && t->thread_id == (uint64_t)ident && !t->name)
				t->name = pyr_raw_str(raw, name, 200);
		}
	}
}

void pyr_threads_name(struct pyr_python *python)
{
	struct pyr_types *types;
	pyr_error *err = pyr_types_create(python, &types);
	size_t i;

	if (err) {
		pyr_error_destroy(err);
		return;
	}
	for (i = 0; i < python->interpreters.count; i++)
		name_interpreter(python, types, i);
	pyr_types_destroy(types);
}
