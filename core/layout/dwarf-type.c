#include <stdlib.h>
#include <string.h>

#include "layout/dwarf-type.h"

/* Chains of typedefs, nested anonymous structures, array dimensions: debug info is
 * a file that may be damaged, so all of them are bounded. */
#define MAX_CHAIN 32
#define MAX_ANONYMOUS 6
#define MAX_MEMBERS 65536

void pyr_die_free(struct pyr_die *die)
{
	if (die->die)
		pyr_dw.dealloc_die(die->die);
	die->die = NULL;
}

static void drop_error(Dwarf_Debug dbg, Dwarf_Error error)
{
	if (error)
		pyr_dw.dealloc(dbg, error, DW_DLA_ERROR);
}

Dwarf_Half pyr_die_tag(const struct pyr_die *die)
{
	Dwarf_Half tag = 0;
	Dwarf_Error error = NULL;

	if (pyr_dw.tag(die->die, &tag, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return 0;
	}
	return tag;
}

const char *pyr_die_name(const struct pyr_die *die)
{
	char *name = NULL;
	Dwarf_Error error = NULL;

	if (pyr_dw.diename(die->die, &name, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return NULL;
	}
	return name;
}

static bool attribute(const struct pyr_die *die, Dwarf_Half which, Dwarf_Attribute *ret)
{
	Dwarf_Error error = NULL;

	if (pyr_dw.attr(die->die, which, ret, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return false;
	}
	return true;
}

/* DW_OP_plus_uconst n, DW_OP_constu n: how DWARF 2 and 3 write a member's offset. */
static bool constant_expression(const uint8_t *bytes, uint64_t length, uint64_t *ret)
{
	uint64_t value = 0;

	if (length < 2 || length > 11 ||
	    (bytes[0] != DW_OP_plus_uconst && bytes[0] != DW_OP_constu))
		return false;
	for (uint64_t i = 1; i < length && i < 10; i++) {
		value |= (uint64_t)(bytes[i] & 0x7f) << (7 * (i - 1));
		if (!(bytes[i] & 0x80)) {
			*ret = value;
			return true;
		}
	}
	return false;
}

bool pyr_die_unsigned(const struct pyr_die *die, Dwarf_Half which, uint64_t *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Error error = NULL;
	Dwarf_Unsigned value;
	Dwarf_Signed signed_value;
	Dwarf_Half form = 0;
	bool ok = false;

	if (!attribute(die, which, &attr))
		return false;
	if (pyr_dw.whatform(attr, &form, &error) != DW_DLV_OK)
		goto out;
	switch (form) {
	case DW_FORM_data1:
	case DW_FORM_data2:
	case DW_FORM_data4:
	case DW_FORM_data8:
	case DW_FORM_udata:
		ok = pyr_dw.formudata(attr, &value, &error) == DW_DLV_OK;
		break;
	case DW_FORM_sdata:
	case DW_FORM_implicit_const:
		ok = pyr_dw.formsdata(attr, &signed_value, &error) == DW_DLV_OK &&
		     signed_value >= 0;
		value = ok ? (Dwarf_Unsigned)signed_value : 0;
		break;
	case DW_FORM_block1:
	case DW_FORM_block2:
	case DW_FORM_block4:
	case DW_FORM_block: {
		Dwarf_Block *block = NULL;
		uint64_t constant = 0;

		if (pyr_dw.formblock(attr, &block, &error) == DW_DLV_OK) {
			ok = constant_expression(block->bl_data, block->bl_len, &constant);
			value = constant;
			pyr_dw.dealloc(die->dbg, block, DW_DLA_BLOCK);
		}
		break;
	}
	case DW_FORM_exprloc: {
		Dwarf_Unsigned length = 0;
		Dwarf_Ptr bytes = NULL;
		uint64_t constant = 0;

		if (pyr_dw.formexprloc(attr, &length, &bytes, &error) == DW_DLV_OK) {
			ok = constant_expression(bytes, length, &constant);
			value = constant;
		}
		break;
	}
	}
out:
	drop_error(die->dbg, error);
	pyr_dw.dealloc_attribute(attr);
	if (ok)
		*ret = value;
	return ok;
}

bool pyr_die_flag(const struct pyr_die *die, Dwarf_Half which)
{
	Dwarf_Bool present = 0;
	Dwarf_Error error = NULL;

	if (pyr_dw.hasattr(die->die, which, &present, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return false;
	}
	return present;
}

bool pyr_die_child(const struct pyr_die *die, struct pyr_die *ret)
{
	Dwarf_Die child = NULL;
	Dwarf_Error error = NULL;

	if (pyr_dw.child(die->die, &child, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return false;
	}
	*ret = (struct pyr_die){die->dbg, child, die->is_info};
	return true;
}

bool pyr_die_sibling(const struct pyr_die *die, struct pyr_die *ret)
{
	Dwarf_Die sibling = NULL;
	Dwarf_Error error = NULL;

	if (pyr_dw.siblingof_b(die->dbg, die->die, die->is_info, &sibling, &error) != DW_DLV_OK) {
		drop_error(die->dbg, error);
		return false;
	}
	*ret = (struct pyr_die){die->dbg, sibling, die->is_info};
	return true;
}

/* A reference may leave the unit (DW_FORM_ref_addr), the section (a type unit's
 * signature) or the file (dwz: DW_FORM_GNU_ref_alt, DWARF 5's DW_FORM_ref_sup). */
static bool follow(struct pyr_dwarf *dwarf, const struct pyr_die *die, Dwarf_Half which,
		   struct pyr_die *ret)
{
	Dwarf_Attribute attr;
	Dwarf_Error error = NULL;
	Dwarf_Half form = 0;
	Dwarf_Off offset = 0;
	Dwarf_Bool is_info = die->is_info;
	Dwarf_Debug dbg = die->dbg;
	Dwarf_Die target = NULL;
	bool ok = false;

	if (!attribute(die, which, &attr))
		return false;
	if (pyr_dw.whatform(attr, &form, &error) != DW_DLV_OK)
		goto out;
	if (form == DW_FORM_ref_sig8) {
		Dwarf_Sig8 signature;

		ok = pyr_dw.formsig8(attr, &signature, &error) == DW_DLV_OK &&
		     pyr_dw.find_die_given_sig8(dbg, &signature, &target, &is_info, &error) ==
			     DW_DLV_OK;
		goto out;
	}
	if (pyr_dw.global_formref(attr, &offset, &error) != DW_DLV_OK)
		goto out;
	if (form == DW_FORM_GNU_ref_alt || form == DW_FORM_ref_sup4 || form == DW_FORM_ref_sup8) {
		dbg = dwarf->alt;
		is_info = 1;
	} else if (form == DW_FORM_ref_addr) {
		is_info = 1;
	}
	ok = dbg && pyr_dw.offdie_b(dbg, offset, is_info, &target, &error) == DW_DLV_OK;
out:
	drop_error(die->dbg, error);
	pyr_dw.dealloc_attribute(attr);
	if (ok)
		*ret = (struct pyr_die){dbg, target, is_info};
	return ok;
}

static bool is_transparent(Dwarf_Half tag)
{
	return tag == DW_TAG_typedef || tag == DW_TAG_const_type || tag == DW_TAG_volatile_type ||
	       tag == DW_TAG_atomic_type || tag == DW_TAG_restrict_type;
}

bool pyr_die_type(struct pyr_dwarf *dwarf, const struct pyr_die *die, bool strip,
		  struct pyr_die *ret)
{
	struct pyr_die type, next;

	if (!follow(dwarf, die, DW_AT_type, &type))
		return false;
	for (int i = 0; strip && is_transparent(pyr_die_tag(&type)); i++) {
		bool ok = i < MAX_CHAIN && follow(dwarf, &type, DW_AT_type, &next);

		pyr_die_free(&type);
		if (!ok)
			return false;
		type = next;
	}
	*ret = type;
	return true;
}

/* The product of the dimensions of the array type @die. */
static uint64_t array_count(const struct pyr_die *die)
{
	struct pyr_die range, next;
	uint64_t count = 1, n;
	bool any = false;

	if (!pyr_die_child(die, &range))
		return 0;
	for (int i = 0; i < MAX_CHAIN; i++) {
		if (pyr_die_tag(&range) == DW_TAG_subrange_type) {
			if (pyr_die_unsigned(&range, DW_AT_count, &n))
				;
			else if (pyr_die_unsigned(&range, DW_AT_upper_bound, &n))
				n++;
			else
				n = 0; /* a flexible array member */
			if (n > UINT32_MAX || __builtin_mul_overflow(count, n, &count))
				n = count = 0;
			any = true;
		}
		if (!pyr_die_sibling(&range, &next))
			break;
		pyr_die_free(&range);
		range = next;
	}
	pyr_die_free(&range);
	return any ? count : 0;
}

uint64_t pyr_die_type_size(struct pyr_dwarf *dwarf, const struct pyr_die *die)
{
	uint64_t size = 0, count = 1, n;
	struct pyr_die type = *die, next;
	bool owned = false;

	for (int i = 0; i < MAX_CHAIN; i++) {
		Dwarf_Half tag = pyr_die_tag(&type);

		if (pyr_die_unsigned(&type, DW_AT_byte_size, &size))
			break;
		if (tag == DW_TAG_pointer_type) {
			size = 8;
			break;
		}
		if (tag == DW_TAG_array_type) {
			n = array_count(&type);
			if (__builtin_mul_overflow(count, n, &count))
				count = 0;
		} else if (!is_transparent(tag) && tag != DW_TAG_enumeration_type) {
			break;
		}
		if (!follow(dwarf, &type, DW_AT_type, &next))
			break;
		if (owned)
			pyr_die_free(&type);
		type = next;
		owned = true;
	}
	if (owned)
		pyr_die_free(&type);
	return __builtin_mul_overflow(size, count, &size) || size > UINT32_MAX ? 0 : size;
}

/* The member @name of the structure @die, looked for in anonymous members too;
 * *@ret is its entry, *@base what to add to its own offset. */
static bool find_member(struct pyr_dwarf *dwarf, const struct pyr_die *die, const char *name,
			size_t length, int depth, struct pyr_die *ret, uint64_t *base)
{
	struct pyr_die member, next, type;

	if (depth > MAX_ANONYMOUS || !pyr_die_child(die, &member))
		return false;
	for (int i = 0; i < MAX_MEMBERS; i++) {
		if (pyr_die_tag(&member) == DW_TAG_member) {
			const char *its = pyr_die_name(&member);
			uint64_t offset = 0;

			if (its && strncmp(its, name, length) == 0 && !its[length]) {
				*ret = member;
				*base = 0;
				return true;
			}
			if (!its && pyr_die_type(dwarf, &member, true, &type)) {
				bool found = find_member(dwarf, &type, name, length, depth + 1, ret,
							 base);

				pyr_die_free(&type);
				if (found) {
					pyr_die_unsigned(&member, DW_AT_data_member_location,
							 &offset);
					*base += offset;
					pyr_die_free(&member);
					return true;
				}
			}
		}
		if (!pyr_die_sibling(&member, &next))
			break;
		pyr_die_free(&member);
		member = next;
	}
	pyr_die_free(&member);
	return false;
}

/* DWARF 4+ counts bits from the start of the structure; before, from the most
 * significant bit of the storage unit. Both become: bits from the least significant
 * one of a byte (the targets are little-endian). */
static void place_bits(struct pyr_dwarf *dwarf, const struct pyr_die *member,
		       struct pyr_die_place *place)
{
	uint64_t width, bits, storage = 0;
	struct pyr_die type;

	if (!pyr_die_unsigned(member, DW_AT_bit_size, &width) || width == 0 || width > 64)
		return;
	if (pyr_die_unsigned(member, DW_AT_data_bit_offset, &bits)) {
		/* place->offset is then only what encloses the member. */
	} else if (pyr_die_unsigned(member, DW_AT_bit_offset, &bits)) {
		if (!pyr_die_unsigned(member, DW_AT_byte_size, &storage) &&
		    pyr_die_type(dwarf, member, true, &type)) {
			storage = pyr_die_type_size(dwarf, &type);
			pyr_die_free(&type);
		}
		if (storage == 0 || storage > 8 || bits + width > storage * 8)
			return;
		bits = storage * 8 - bits - width;
	} else {
		bits = 0;
	}
	place->offset += bits / 8;
	place->bit_offset = bits % 8;
	place->bit_width = width;
	place->size = (place->bit_offset + width + 7) / 8;
}

bool pyr_die_walk(struct pyr_dwarf *dwarf, const struct pyr_die *die, const char *path,
		  size_t length, struct pyr_die_place *ret)
{
	struct pyr_die at = *die, member, type;
	struct pyr_die_place place = {0};
	const char *end = path + length;
	bool owned = false, ok = false;

	while (path < end) {
		size_t name = strcspn(path, ".[|");
		uint64_t base = 0, offset = 0, index = 0;

		if (name > (size_t)(end - path))
			name = end - path;
		if (!find_member(dwarf, &at, path, name, 0, &member, &base))
			goto out;
		path += name;
		pyr_die_unsigned(&member, DW_AT_data_member_location, &offset);
		if (!pyr_die_type(dwarf, &member, true, &type)) {
			pyr_die_free(&member);
			goto out;
		}
		place.offset += base + offset;
		place.size = pyr_die_type_size(dwarf, &type);
		place_bits(dwarf, &member, &place);
		pyr_die_free(&member);
		if (owned)
			pyr_die_free(&at);
		at = type;
		owned = true;

		if (path < end && *path == '[') {
			index = strtoul(path + 1, NULL, 10);
			path += strcspn(path, "]");
			path += path < end;
		}
		if (path < end && *path == '.')
			path++;
		/* Enter an array at its element. */
		for (int i = 0;
		     path < end && i < MAX_CHAIN && pyr_die_tag(&at) == DW_TAG_array_type; i++) {
			if (!pyr_die_type(dwarf, &at, true, &type))
				goto out;
			pyr_die_free(&at);
			at = type;
			place.offset += index * pyr_die_type_size(dwarf, &at);
			index = 0;
		}
	}
	ok = place.offset <= INT32_MAX;
	if (ok)
		*ret = place;
out:
	if (owned)
		pyr_die_free(&at);
	return ok;
}
