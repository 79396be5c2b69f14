/* What the target's own debug info says, over what the table says. */
#include <stdlib.h>
#include <string.h>

#include "layout/dwarf-child.h"
#include "layout/traits.h"

pyr_error *pyr_layout_overlay_dwarf(struct pyr_layout *layout, const struct pyr_dwarf_file *file,
				    enum pyr_layout_source source)
{
	struct pyr_dwarf_places *places = malloc(sizeof(*places));
	struct pyr_layout *old = malloc(sizeof(*old));
	bool any = false;
	pyr_error *err;

	if (!places || !old) {
		err = pyr_error_no_memory();
		goto out;
	}
	if ((err = pyr_dwarf_read_apart(file, places)))
		goto out;
	for (int s = 0; s < PYR_S_COUNT; s++)
		any |= places->struct_size[s] != 0;
	if (!any) {
		err = pyr_error_create(PYR_E_BAD_FILE, "%s describes no structure of CPython",
				       file->path);
		goto out;
	}
	*old = *layout;
	for (int s = 0; s < PYR_S_COUNT; s++) {
		if (!places->struct_size[s])
			continue;
		layout->struct_size[s] = places->struct_size[s];
		layout->struct_source[s] = source;
	}
	for (int f = 0; f < PYR_F_COUNT; f++)
		if (places->struct_size[pyr_layout_field_struct(f)])
			layout->fields[f] = places->fields[f];
	if ((err = pyr_layout_validate(layout)))
		*layout = *old;
	else
		pyr_layout_derive_traits(layout);
out:
	free(places);
	free(old);
	return err;
}
