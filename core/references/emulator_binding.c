#include "references/emulator_binding.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define SYMBOL_NAME_MAX 4096
#define DYNAMIC_MAX 1000
#define RELOCATIONS_MAX (UINT64_C(1) << 20)

/* "/libc.so.6": the last part of the path of the image at @address; "" without one. */
static const char *image_name(const struct pyr_target *target, pyr_addr address)
{
	const struct pyr_image *image = pyr_target_image_at(target, address);
	const char *name = image && image->path ? strrchr(image->path, '/') : NULL;

	return name ? name : "";
}

bool pyr_binding_is_tls_get_addr(struct pyr_target *target, pyr_addr address)
{
	const struct pyr_image *image = pyr_target_image_at(target, address);
	pyr_addr function;

	return image && pyr_image_symbol(target, image, "__tls_get_addr", &function, NULL) &&
	       function == address;
}

bool pyr_binding_is_linker(const struct pyr_target *target, pyr_addr address)
{
	const char *name = image_name(target, address);

	return !strncmp(name, "/ld-linux", 9) || !strncmp(name, "/ld-2.", 6);
}

bool pyr_binding_is_libc(const struct pyr_target *target, pyr_addr address)
{
	const char *name = image_name(target, address);

	/* musl's dynamic linker is its C library, and binds everything at once. */
	return !strncmp(name, "/libc.so", 8) || !strncmp(name, "/libc-2.", 8) ||
	       !strncmp(name, "/ld-musl", 8);
}

/* A tag of the dynamic section at @dynamic, as it stands there. */
static bool dynamic_value(struct pyr_reader *r, pyr_addr dynamic, int64_t tag, uint64_t *ret)
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
			*ret = entry.d_un.d_val;
			return true;
		}
	}
	return false;
}

/* The same of an address; those are relocated by glibc's linker, except where the section
 * is read-only. */
static bool dynamic_address(struct pyr_reader *r, pyr_addr dynamic, pyr_addr bias, int64_t tag,
			    pyr_addr *ret)
{
	if (!dynamic_value(r, dynamic, tag, ret))
		return false;
	if (*ret < bias)
		*ret += bias;
	return true;
}

/* The tables of one image. */
struct tables {
	struct pyr_reader *reader;
	pyr_addr dynamic, bias, symbols, strings;
};

static bool open_tables(struct pyr_reader *r, pyr_addr dynamic, pyr_addr bias, struct tables *ret)
{
	ret->reader = r;
	ret->dynamic = dynamic;
	ret->bias = bias;
	return dynamic && dynamic_address(r, dynamic, bias, DT_SYMTAB, &ret->symbols) &&
	       dynamic_address(r, dynamic, bias, DT_STRTAB, &ret->strings);
}

/* The symbol and the name of a relocation. The caller frees the name. */
static bool read_symbol(const struct tables *t, const Elf64_Rela *relocation, Elf64_Sym *symbol,
			char **name)
{
	const void *p =
		pyr_peek(t->reader, t->symbols + ELF64_R_SYM(relocation->r_info) * sizeof(*symbol),
			 sizeof(*symbol));
	pyr_error *err;

	if (!p)
		return false;
	memcpy(symbol, p, sizeof(*symbol));
	if ((err = pyr_read_cstring(t->reader, t->strings + symbol->st_name, SYMBOL_NAME_MAX,
				    name))) {
		pyr_error_destroy(err);
		return false;
	}
	return true;
}

/* A resolver is told from a function by its symbol type alone; libc's are the
 * ones that matter, and libc's string functions are all of them. */
static bool is_ifunc(const struct pyr_target *target, pyr_addr address)
{
	return !strncmp(image_name(target, address), "/libc.so", 8);
}

bool pyr_binding_resolve(struct pyr_target *target, struct pyr_reader *reader, pyr_addr link_map,
			 uint64_t index, pyr_addr *ret_address, enum pyr_pure *pure)
{
	pyr_addr bias, dynamic, relocations, address = 0;
	Elf64_Rela relocation;
	struct tables tables;
	Elf64_Sym symbol;
	const void *p;
	char *name;
	size_t i;

	/* struct link_map: l_addr, l_name, l_ld (link.h) */
	if (index > RELOCATIONS_MAX || !pyr_try_u64(reader, link_map, &bias) ||
	    !pyr_try_u64(reader, link_map + 16, &dynamic) ||
	    !open_tables(reader, dynamic, bias, &tables) ||
	    !dynamic_address(reader, dynamic, bias, DT_JMPREL, &relocations) ||
	    !(p = pyr_peek(reader, relocations + index * sizeof(relocation), sizeof(relocation))))
		return false;
	memcpy(&relocation, p, sizeof(relocation));
	if (!read_symbol(&tables, &relocation, &symbol, &name))
		return false;
	*pure = PYR_PURE_NONE;
	if (symbol.st_shndx != SHN_UNDEF && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC)
		address = bias + symbol.st_value;
	for (i = 0; !address && i < target->image_count; i++)
		if (!pyr_image_symbol(target, &target->images[i], name, &address, NULL))
			address = 0;
	if (address && pyr_binding_is_libc(target, address))
		*pure = pyr_pure_named(name);
	free(name);
	*ret_address =
		address && *pure == PYR_PURE_NONE && !is_ifunc(target, address) ? address : 0;
	return *ret_address || *pure != PYR_PURE_NONE;
}

/* Look through @size bytes of relocations at @at. */
static enum pyr_pure look_through(const struct tables *t, pyr_addr at, uint64_t size,
				  pyr_addr address)
{
	enum pyr_pure pure = PYR_PURE_NONE;
	Elf64_Rela relocation;
	Elf64_Sym symbol;
	const void *p;
	uint64_t i, value;
	char *name;

	for (i = 0; i < size / sizeof(relocation) && i < RELOCATIONS_MAX && !pure; i++) {
		p = pyr_peek(t->reader, at + i * sizeof(relocation), sizeof(relocation));
		if (!p)
			break;
		memcpy(&relocation, p, sizeof(relocation));
		if ((ELF64_R_TYPE(relocation.r_info) != R_X86_64_JUMP_SLOT &&
		     ELF64_R_TYPE(relocation.r_info) != R_X86_64_GLOB_DAT) ||
		    !pyr_try_u64(t->reader, t->bias + relocation.r_offset, &value) ||
		    value != address || !read_symbol(t, &relocation, &symbol, &name))
			continue;
		pure = pyr_pure_named(name);
		free(name);
	}
	return pure;
}

enum pyr_pure pyr_binding_pure(struct pyr_target *target, struct pyr_reader *reader,
			       pyr_addr caller, pyr_addr address)
{
	static const int64_t tags[][2] = {{DT_JMPREL, DT_PLTRELSZ}, {DT_RELA, DT_RELASZ}};
	const struct pyr_image *image = pyr_target_image_at(target, caller);
	enum pyr_pure pure = PYR_PURE_NONE;
	struct tables tables;
	pyr_addr relocations;
	uint64_t size;
	size_t i;

	if (!image || !open_tables(reader, pyr_image_dynamic(image), image->bias, &tables))
		return PYR_PURE_NONE;
	for (i = 0; i < sizeof(tags) / sizeof(*tags) && !pure; i++)
		if (dynamic_address(reader, tables.dynamic, tables.bias, tags[i][0],
				    &relocations) &&
		    dynamic_value(reader, tables.dynamic, tags[i][1], &size))
			pure = look_through(&tables, relocations, size, address);
	return pure;
}
