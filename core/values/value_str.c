/* str objects in every representation; unicodeobject.c, cpython/unicodeobject.h. */
#include <stdlib.h>

#include "types/types.h"
#include "values/values.h"

#define STR_LENGTH_MAX (UINT64_C(1) << 40)

/* A string made by the old API that nobody has asked for since: its characters
 * are wchar_t, and kind, length and data are not filled in (until 3.11). */
static bool legacy_view(const struct pyr_layout *l, struct pyr_reader *reader, pyr_addr str,
			struct pyr_str_view *view)
{
	view->kind = 4;
	view->ascii = view->compact = false;
	view->data = pyr_get_addr(l, reader, str, PyASCIIObject, wstr);
	return view->data &&
	       pyr_get_u64(l, reader, str, PyCompactUnicodeObject, wstr_length, &view->length);
}

pyr_error *pyr_str_view(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
			struct pyr_str_view *ret)
{
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_str_view view = {0};
	uint64_t kind, compact, ascii, ready = 1;

	if (!pyr_object_has_flags(types, reader, str, PYR_TPFLAGS_UNICODE_SUBCLASS))
		return pyr_error_create_at(PYR_E_CORRUPT, str, "no str at 0x%llx",
					   (unsigned long long)str);
	if (!pyr_get_u64(l, reader, str, PyASCIIObject, length, &view.length) ||
	    !pyr_get_u64(l, reader, str, PyASCIIObject, state_kind, &kind) ||
	    !pyr_get_u64(l, reader, str, PyASCIIObject, state_compact, &compact) ||
	    !pyr_get_u64(l, reader, str, PyASCIIObject, state_ascii, &ascii))
		return pyr_error_create_at(PYR_E_UNREADABLE, str, "the str at 0x%llx is absent",
					   (unsigned long long)str);
	if (pyr_has(l, PyASCIIObject, state_ready))
		pyr_get_u64(l, reader, str, PyASCIIObject, state_ready, &ready);
	view.kind = (unsigned)kind;
	view.ascii = ascii;
	view.compact = compact;
	if (!ready) {
		if (!legacy_view(l, reader, str, &view))
			view.kind = 0;
	} else if (compact) {
		view.data = str + (ascii ? pyr_sizeof(l, PyASCIIObject)
					 : pyr_sizeof(l, PyCompactUnicodeObject));
	} else {
		view.data = pyr_get_addr(l, reader, str, PyUnicodeObject, data);
	}
	if ((view.kind != 1 && view.kind != 2 && view.kind != 4) || view.length > STR_LENGTH_MAX)
		return pyr_error_create_at(PYR_E_CORRUPT, str,
					   "the str at 0x%llx contradicts itself",
					   (unsigned long long)str);
	*ret = view;
	return NULL;
}

uint32_t pyr_str_unit(const uint8_t *data, unsigned kind, size_t index)
{
	uint16_t u16;
	uint32_t u32;

	if (kind == 1)
		return data[index];
	if (kind == 2) {
		memcpy(&u16, data + 2 * index, 2);
		return u16;
	}
	memcpy(&u32, data + 4 * index, 4);
	return u32;
}

pyr_error *pyr_str_utf8(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
			size_t max, char **ret, bool *truncated)
{
	struct pyr_strbuf buf = {0};
	struct pyr_str_view view;
	const uint8_t *data;
	uint64_t count, i;
	pyr_error *err;
	char *text;

	if ((err = pyr_str_view(types, reader, str, &view)))
		return err;
	count = view.length < max ? view.length : max;
	data = count ? pyr_peek(reader, view.data, count * view.kind) : (const uint8_t *)"";
	if (!data)
		return pyr_error_create_at(PYR_E_UNREADABLE, view.data,
					   "the characters of the str at 0x%llx are absent",
					   (unsigned long long)str);
	pyr_strbuf_add(&buf, "");
	for (i = 0; i < count; i++)
		pyr_strbuf_add_codepoint(&buf, pyr_str_unit(data, view.kind, i));
	text = pyr_strbuf_take(&buf);
	if (!text)
		return pyr_error_no_memory();
	if (truncated)
		*truncated = count < view.length;
	*ret = text;
	return NULL;
}

bool pyr_str_equals(struct pyr_types *types, struct pyr_reader *reader, pyr_addr str,
		    const char *ascii)
{
	size_t length = strlen(ascii), i;
	const struct pyr_layout *l = pyr_types_layout(types);
	struct pyr_str_view view;
	const uint8_t *data;
	pyr_error *err;
	uint64_t n;

	/* The length first: it tells most strings apart in one read. A str that is
	 * not ready (until 3.11) has length 0 here. */
	if (!pyr_get_u64(l, reader, str, PyASCIIObject, length, &n) || (n && n != length))
		return false;
	err = pyr_str_view(types, reader, str, &view);
	if (err || view.length != length) {
		pyr_error_destroy(err);
		return false;
	}
	if (!length)
		return true;
	data = pyr_peek(reader, view.data, length * view.kind);
	if (!data)
		return false;
	if (view.kind == 1)
		return memcmp(data, ascii, length) == 0;
	for (i = 0; i < length; i++)
		if (pyr_str_unit(data, view.kind, i) != (uint8_t)ascii[i])
			return false;
	return true;
}
