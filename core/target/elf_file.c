#include "target/elf_file.h"

#include <string.h>

const void *pyr_elf_at(const struct pyr_elf *elf, uint64_t offset, uint64_t size)
{
	if (offset > elf->size || size > elf->size - offset)
		return NULL;
	return elf->bytes + offset;
}

static const char *machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_ARM:
		return "arm";
	case EM_PPC64:
		return "ppc64";
	case EM_S390:
		return "s390";
	case EM_RISCV:
		return "riscv";
	case EM_MIPS:
		return "mips";
	case EM_X86_64:
		return "x86-64";
	case EM_AARCH64:
		return "aarch64";
	}
	return "another machine";
}

static pyr_error *check_ident(const uint8_t *bytes, size_t size)
{
	uint16_t machine;
	bool big;

	if (size < EI_NIDENT || memcmp(bytes, ELFMAG, SELFMAG))
		return pyr_error_create(PYR_E_BAD_FILE, "not an ELF file");
	if (size < 20)
		return pyr_error_create(PYR_E_BAD_FILE, "only %zu bytes of an ELF file", size);
	big = bytes[EI_DATA] == ELFDATA2MSB;
	machine = big ? (uint16_t)(bytes[18] << 8 | bytes[19])
		      : (uint16_t)(bytes[19] << 8 | bytes[18]);
	if (bytes[EI_CLASS] == ELFCLASS32)
		return pyr_error_create(PYR_E_UNSUPPORTED_BUILD,
					"a 32-bit ELF file (%s); pyretain reads 64-bit ones of "
					"x86-64 and aarch64",
					machine_name(machine));
	if (big)
		return pyr_error_create(PYR_E_UNSUPPORTED_BUILD,
					"a big-endian ELF file (%s); pyretain reads little-endian "
					"ones of x86-64 and aarch64",
					machine_name(machine));
	if (bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB)
		return pyr_error_create(PYR_E_BAD_FILE, "an ELF file of unknown class (%u, %u)",
					bytes[EI_CLASS], bytes[EI_DATA]);
	if (machine != EM_X86_64 && machine != EM_AARCH64)
		return pyr_error_create(PYR_E_UNSUPPORTED_BUILD,
					"an ELF file of %s (machine %u); pyretain reads x86-64 and "
					"aarch64",
					machine_name(machine), machine);
	return NULL;
}

/* More than PN_XNUM - 1 program headers: the count is in the first section
 * header, which a kernel core has at its very end. When that is lost it
 * follows from the first PT_NOTE, which fs/binfmt_elf.c, elf_core_dump() lays
 * directly behind the program headers. */
static uint64_t extended_count(const struct pyr_elf *elf)
{
	const Elf64_Ehdr *h = &elf->header;
	const uint8_t *first = pyr_elf_at(elf, h->e_phoff, sizeof(Elf64_Phdr));
	const uint8_t *zero = h->e_shoff ? pyr_elf_at(elf, h->e_shoff, sizeof(Elf64_Shdr)) : NULL;
	Elf64_Phdr note;
	Elf64_Shdr section;

	if (zero) {
		memcpy(&section, zero, sizeof(section));
		if (section.sh_info)
			return section.sh_info;
	}
	if (!first)
		return 0;
	memcpy(&note, first, sizeof(note));
	if (note.p_type == PT_NOTE && note.p_offset > h->e_phoff)
		return (note.p_offset - h->e_phoff) / sizeof(Elf64_Phdr);
	return PN_XNUM;
}

/* How many of @named entries of @entry bytes at @offset lie inside the file. */
static size_t held(const struct pyr_elf *elf, uint64_t offset, uint64_t named, size_t entry)
{
	uint64_t room;

	if (offset > elf->size)
		return 0;
	room = (elf->size - offset) / entry;
	return (size_t)(named < room ? named : room);
}

pyr_error *pyr_elf_open(const void *bytes, size_t size, struct pyr_elf *ret)
{
	struct pyr_elf elf = {.bytes = bytes, .size = size};
	Elf64_Shdr zero;
	uint64_t sections;
	pyr_error *err;

	if ((err = check_ident(bytes, size)))
		return err;
	if (size < sizeof(elf.header))
		return pyr_error_create(PYR_E_BAD_FILE, "only %zu bytes of an ELF file", size);
	memcpy(&elf.header, bytes, sizeof(elf.header));
	elf.segments_named = elf.header.e_phnum;
	if (elf.header.e_phnum == PN_XNUM)
		elf.segments_named = extended_count(&elf);
	if (elf.segments_named && elf.header.e_phentsize != sizeof(Elf64_Phdr))
		return pyr_error_create(PYR_E_BAD_FILE,
					"a damaged ELF file (program headers of %u bytes)",
					elf.header.e_phentsize);
	elf.segment_count = held(&elf, elf.header.e_phoff, elf.segments_named, sizeof(Elf64_Phdr));
	if (elf.header.e_shoff && elf.header.e_shentsize == sizeof(Elf64_Shdr)) {
		sections = elf.header.e_shnum;
		if (!sections && pyr_elf_at(&elf, elf.header.e_shoff, sizeof(zero))) {
			memcpy(&zero, elf.bytes + elf.header.e_shoff, sizeof(zero));
			sections = zero.sh_size;
		}
		elf.section_count = held(&elf, elf.header.e_shoff, sections, sizeof(Elf64_Shdr));
	}
	*ret = elf;
	return NULL;
}

bool pyr_elf_segment(const struct pyr_elf *elf, size_t index, Elf64_Phdr *ret)
{
	if (index >= elf->segment_count)
		return false;
	memcpy(ret, elf->bytes + elf->header.e_phoff + index * sizeof(*ret), sizeof(*ret));
	return true;
}

bool pyr_elf_section(const struct pyr_elf *elf, size_t index, Elf64_Shdr *ret)
{
	if (index >= elf->section_count)
		return false;
	memcpy(ret, elf->bytes + elf->header.e_shoff + index * sizeof(*ret), sizeof(*ret));
	return true;
}

const char *pyr_elf_string(const void *table, size_t size, uint64_t offset)
{
	const char *text;

	if (!table || offset >= size)
		return NULL;
	text = (const char *)table + offset;
	return memchr(text, 0, size - offset) ? text : NULL;
}

bool pyr_elf_section_by_name(const struct pyr_elf *elf, const char *name, Elf64_Shdr *ret)
{
	Elf64_Shdr names, section;
	size_t index = elf->header.e_shstrndx;
	const void *table;
	const char *text;
	size_t i;

	if (index == SHN_XINDEX && pyr_elf_section(elf, 0, &section))
		index = section.sh_link;
	if (!pyr_elf_section(elf, index, &names) || names.sh_type == SHT_NOBITS)
		return false;
	table = pyr_elf_at(elf, names.sh_offset, names.sh_size);
	for (i = 1; table && pyr_elf_section(elf, i, &section); i++) {
		text = pyr_elf_string(table, names.sh_size, section.sh_name);
		if (text && !strcmp(text, name)) {
			*ret = section;
			return true;
		}
	}
	return false;
}

const void *pyr_elf_at_address(const struct pyr_elf *elf, uint64_t address, uint64_t size)
{
	Elf64_Phdr p;
	size_t i;

	for (i = 0; pyr_elf_segment(elf, i, &p); i++)
		if (p.p_type == PT_LOAD && address >= p.p_vaddr &&
		    address - p.p_vaddr < p.p_filesz &&
		    size <= p.p_filesz - (address - p.p_vaddr) &&
		    p.p_offset <= UINT64_MAX - p.p_filesz)
			return pyr_elf_at(elf, p.p_offset + (address - p.p_vaddr), size);
	return NULL;
}

bool pyr_note_next(const void *notes, size_t size, unsigned align, struct pyr_note *cursor)
{
	const uint64_t mask = align == 8 ? 7 : 3;
	size_t at = cursor->offset;
	uint64_t contents, next;
	Elf64_Nhdr note;

	if (at > size || size - at < sizeof(note))
		return false;
	memcpy(&note, (const uint8_t *)notes + at, sizeof(note));
	/* 32-bit sizes: these sums fit 64 bits. */
	contents = (at + sizeof(note) + (uint64_t)note.n_namesz + mask) & ~mask;
	next = (contents + note.n_descsz + mask) & ~mask;
	if (contents > size || note.n_descsz > size - contents)
		return false;
	cursor->type = note.n_type;
	cursor->name = (const char *)notes + at + sizeof(note);
	cursor->name_size = note.n_namesz;
	cursor->bytes = (const uint8_t *)notes + contents;
	cursor->size = note.n_descsz;
	cursor->offset = next > size ? size : (size_t)next;
	return true;
}

unsigned pyr_note_build_id(const void *notes, size_t size, unsigned align, uint8_t *id,
			   unsigned max)
{
	struct pyr_note note = {.offset = 0};

	while (notes && pyr_note_next(notes, size, align, &note)) {
		if (note.type != NT_GNU_BUILD_ID || note.name_size != 4 ||
		    memcmp(note.name, "GNU", 4) || !note.size)
			continue;
		if (note.size < max)
			max = note.size;
		memcpy(id, note.bytes, max);
		return max;
	}
	return 0;
}

unsigned pyr_elf_build_id(const struct pyr_elf *elf, uint8_t *id, unsigned max)
{
	Elf64_Phdr p;
	Elf64_Shdr s;
	unsigned n;
	size_t i;

	/* Sections first: in a separate debug file the segments' contents are gone. */
	for (i = 1; pyr_elf_section(elf, i, &s); i++)
		if (s.sh_type == SHT_NOTE &&
		    (n = pyr_note_build_id(pyr_elf_at(elf, s.sh_offset, s.sh_size), s.sh_size,
					   (unsigned)s.sh_addralign, id, max)))
			return n;
	for (i = 0; pyr_elf_segment(elf, i, &p); i++)
		if (p.p_type == PT_NOTE &&
		    (n = pyr_note_build_id(pyr_elf_at(elf, p.p_offset, p.p_filesz), p.p_filesz,
					   (unsigned)p.p_align, id, max)))
			return n;
	return 0;
}
