#include "heap/emulator_binding.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOL_NAME_MAX 4096
#define DYNAMIC_MAX 1000

/* "/libc.so.6": the last part of the path of the image at @address; "" without one. */
static const char *image_name(const struct pyr_target *target, pyr_addr address)
{
	const struct pyr_image *image = pyr_target_image_at(target, address);
	const char *name = image && image->path ? strrchr(image->path, '/') : NULL;

	return name ? name : "";
}

bool pyr_binding_is_resolver(const struct pyr_target *target, pyr_addr address)
{
	const char *name = image_name(target, address);

	return !strncmp(name, "/ld-linux", 9) || !strncmp(name, "/ld-2.", 6) ||
	       !strncmp(name, "/ld-musl", 8);
}

/* A tag of the dynamic section at @dynamic; addresses in it are relocated by
 * glibc's linker, except where the section is read-only. */
static bool dynamic_address(struct pyr_reader *r, pyr_addr dynamic, pyr_addr bias, int64_t tag,
			    pyr_addr *ret)
{
	Elf64_Dyn entry;
	unsigned i;

	for (i = 0; i < DYNAMIC_MAX; i++) {
		const void *p = pyr_peek(r, dynamic + i * sizeof(entry), sizeof(entry));

		if (!p)
			return false;
		memcpy(&entry, p, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == tag) {
			*ret = entry.d_un.d_ptr < bias ? entry.d_un.d_ptr + bias : entry.d_un.d_ptr;
			return true;
		}
	}
	return false;
}

/* A resolver is told from a function by its symbol type alone; libc's are the
 * ones that matter, and libc's string functions are all of them. */
static bool is_ifunc(const struct pyr_target *target, pyr_addr address)
{
	return !strncmp(image_name(target, address), "/libc.so", 8);
}

pyr_addr pyr_binding_resolve(struct pyr_target *target, struct pyr_reader *reader,
			     pyr_addr link_map, uint64_t index)
{
	pyr_addr bias, dynamic, relocations, symbols, strings, address = 0;
	Elf64_Rela relocation;
	Elf64_Sym symbol;
	const void *p;
	pyr_error *err;
	char *name;
	size_t i;

	/* struct link_map: l_addr, l_name, l_ld (link.h) */
	if (index > 1u << 20 || !pyr_try_u64(reader, link_map, &bias) ||
	    !pyr_try_u64(reader, link_map + 16, &dynamic) ||
	    !dynamic_address(reader, dynamic, bias, DT_JMPREL, &relocations) ||
	    !dynamic_address(reader, dynamic, bias, DT_SYMTAB, &symbols) ||
	    !dynamic_address(reader, dynamic, bias, DT_STRTAB, &strings) ||
	    !(p = pyr_peek(reader, relocations + index * sizeof(relocation), sizeof(relocation))))
		return 0;
	memcpy(&relocation, p, sizeof(relocation));
	p = pyr_peek(reader, symbols + ELF64_R_SYM(relocation.r_info) * sizeof(symbol),
		     sizeof(symbol));
	if (!p)
		return 0;
	memcpy(&symbol, p, sizeof(symbol));
	if ((err = pyr_read_cstring(reader, strings + symbol.st_name, SYMBOL_NAME_MAX, &name))) {
		pyr_error_destroy(err);
		return 0;
	}
	if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC)
		address = bias + symbol.st_value;
	for (i = 0; !address && i < target->image_count; i++)
		if (!pyr_image_symbol(target, &target->images[i], name, &address, NULL))
			address = 0;
	free(name);
	return address && !is_ifunc(target, address) ? address : 0;
}
