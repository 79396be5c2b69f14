#define _GNU_SOURCE
#include "render/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "render/text.h"

void pyr_json_init(struct pyr_json *json, struct pyr_out *out)
{
	memset(json, 0, sizeof(*json));
	json->out = out;
}

static void put(struct pyr_json *json, const char *text)
{
	pyr_out_raw(json->out, text, strlen(text));
}

static void put_string(struct pyr_json *json, const char *text)
{
	size_t length = strlen(text), i = 0, n, plain;
	char escape[8];
	unsigned c;

	put(json, "\"");
	while (i < length) {
		for (plain = i; plain < length && text[plain] >= 0x20 && text[plain] < 0x7f &&
				text[plain] != '"' && text[plain] != '\\';)
			plain++;
		if (plain > i) {
			pyr_out_raw(json->out, text + i, plain - i);
			i = plain;
			continue;
		}
		n = pyr_text_decode(text + i, length - i, &c);
		if (n == 0) {
			put(json, "\\ufffd");
			i++;
			continue;
		}
		if (c == '"')
			put(json, "\\\"");
		else if (c == '\\')
			put(json, "\\\\");
		else if (c == '\n')
			put(json, "\\n");
		else if (c == '\t')
			put(json, "\\t");
		else if (c < 0x20 || c == 0x7f) {
			snprintf(escape, sizeof(escape), "\\u%04x", c);
			put(json, escape);
		} else
			pyr_out_raw(json->out, text + i, n);
		i += n;
	}
	put(json, "\"");
}

/* What stands before a member: comma, line break, key. */
static void member(struct pyr_json *json, const char *key)
{
	if (json->depth) {
		if (json->any[json->depth - 1])
			put(json, ",");
		if (json->depth == 1 && !json->flat)
			put(json, "\n  ");
		else if (json->depth == 2 && !key && !json->flat)
			put(json, "\n    ");
		else if (json->any[json->depth - 1])
			put(json, " ");
		json->any[json->depth - 1] = true;
	}
	if (key) {
		put_string(json, key);
		put(json, ": ");
	}
}

static void begin(struct pyr_json *json, const char *key, const char *bracket)
{
	member(json, key);
	put(json, bracket);
	/* deeper nesting than any command has is flattened, not overrun */
	if (json->depth < PYR_JSON_DEPTH)
		json->any[json->depth++] = false;
}

static void end(struct pyr_json *json, const char *bracket, bool list)
{
	bool any;

	if (!json->depth)
		return;
	any = json->any[--json->depth];
	any = any && !json->flat;
	if (any && json->depth == 0)
		put(json, "\n");
	else if (any && json->depth == 1 && list)
		put(json, "\n  ");
	put(json, bracket);
	if (json->depth == 0)
		put(json, "\n");
}

void pyr_json_begin_object(struct pyr_json *json, const char *key)
{
	begin(json, key, "{");
}

void pyr_json_end_object(struct pyr_json *json)
{
	end(json, "}", false);
}

void pyr_json_begin_list(struct pyr_json *json, const char *key)
{
	begin(json, key, "[");
}

void pyr_json_end_list(struct pyr_json *json)
{
	end(json, "]", true);
}

void pyr_json_string(struct pyr_json *json, const char *key, const char *value)
{
	member(json, key);
	if (value)
		put_string(json, value);
	else
		put(json, "null");
}

void pyr_json_format(struct pyr_json *json, const char *key, const char *format, ...)
{
	struct pyr_strbuf text = {0};
	va_list args;

	va_start(args, format);
	pyr_strbuf_vprintf(&text, format, args);
	va_end(args);
	pyr_json_string(json, key, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
}

void pyr_json_uint(struct pyr_json *json, const char *key, uint64_t value)
{
	char text[24];

	member(json, key);
	snprintf(text, sizeof(text), "%" PRIu64, value);
	put(json, text);
}

void pyr_json_int(struct pyr_json *json, const char *key, int64_t value)
{
	char text[24];

	member(json, key);
	snprintf(text, sizeof(text), "%" PRId64, value);
	put(json, text);
}

void pyr_json_real(struct pyr_json *json, const char *key, double value)
{
	char text[40];

	if (!isfinite(value)) {
		pyr_json_null(json, key);
		return;
	}
	member(json, key);
	snprintf(text, sizeof(text), "%.6g", value);
	put(json, text);
}

void pyr_json_bool(struct pyr_json *json, const char *key, bool value)
{
	member(json, key);
	put(json, value ? "true" : "false");
}

void pyr_json_null(struct pyr_json *json, const char *key)
{
	member(json, key);
	put(json, "null");
}

void pyr_json_address(struct pyr_json *json, const char *key, pyr_addr value)
{
	char text[24];

	if (!value) {
		pyr_json_null(json, key);
		return;
	}
	member(json, key);
	snprintf(text, sizeof(text), "\"0x%" PRIx64 "\"", value);
	put(json, text);
}
