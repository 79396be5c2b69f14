#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>

#include "layout/libdwarf.h"

struct pyr_libdwarf pyr_dw;

#ifdef DW_LIBDWARF_VERSION
#define NEW_INTERFACE true
static const char *const names[] = {"libdwarf.so.2", "libdwarf.so.1", "libdwarf.so.0"};
#else
#define NEW_INTERFACE false
static const char *const names[] = {"libdwarf.so.1"};
#endif

/* The address sanitizer does not allow a library to be bound to itself. */
#if defined(__SANITIZE_ADDRESS__)
#define BOUND_TO_ITSELF 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BOUND_TO_ITSELF 0
#else
#define BOUND_TO_ITSELF RTLD_DEEPBIND
#endif
#else
#define BOUND_TO_ITSELF RTLD_DEEPBIND
#endif

static const struct {
	const char *name;
	size_t at;
} functions[] = {
#define FUNCTION(name) {"dwarf_" #name, offsetof(struct pyr_libdwarf, name)},
#include "layout/libdwarf.def"
#undef FUNCTION
};

pyr_error *pyr_libdwarf_load(void)
{
	void *library = NULL;

	if (pyr_dw.tag)
		return NULL;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !library; i++)
		library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL | BOUND_TO_ITSELF);
	if (!library)
		return pyr_error_create(PYR_E_BAD_FILE,
					"debug info cannot be read: libdwarf is not installed");
	/* 0.2 removed dwarf_init() when it changed the interface; the name of the file did not
	 * always change with it. */
	if ((dlsym(library, "dwarf_init") == NULL) != NEW_INTERFACE)
		return pyr_error_create(PYR_E_BAD_FILE,
					"debug info cannot be read: libdwarf has another "
					"interface than when pyretain was built");
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = dlsym(library, functions[i].name);

		if (!function) {
			pyr_dw.tag = NULL;
			return pyr_error_create(PYR_E_BAD_FILE,
						"debug info cannot be read: libdwarf has no %s()",
						functions[i].name);
		}
		*(void **)((char *)&pyr_dw + functions[i].at) = function;
	}
	return NULL;
}
