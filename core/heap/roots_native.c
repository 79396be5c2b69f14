/* Words of C memory that may be references. */
#include "heap/roots_internal.h"

pyr_error *pyr_roots_native(struct pyr_roots *roots, struct pyr_control *control)
{
	(void)roots;
	return pyr_control_check(control);
}

void pyr_root_native_name(const struct pyr_roots *roots, const struct pyr_root *root,
			  struct pyr_strbuf *out)
{
	(void)roots;
	pyr_strbuf_printf(out, "0x%llx", (unsigned long long)root->slot);
}

void pyr_roots_native_deinit(struct pyr_roots *roots)
{
	(void)roots;
}
