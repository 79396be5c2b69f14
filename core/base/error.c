#define _GNU_SOURCE
#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>

static char no_memory_message[] = "out of memory";
static pyr_error no_memory = {.code = PYR_E_NO_MEMORY, .message = no_memory_message};

pyr_error *pyr_error_no_memory(void)
{
	return &no_memory;
}

static pyr_error *create(enum pyr_error_code code, bool has_address, pyr_addr address,
			 const char *format, va_list args)
{
	pyr_error *err = malloc(sizeof(*err));

	if (!err)
		return &no_memory;
	err->code = code;
	err->has_address = has_address;
	err->address = address;
	if (vasprintf(&err->message, format, args) < 0) {
		free(err);
		return &no_memory;
	}
	return err;
}

pyr_error *pyr_error_create(enum pyr_error_code code, const char *format, ...)
{
	va_list args;
	pyr_error *err;

	va_start(args, format);
	err = create(code, false, 0, format, args);
	va_end(args);
	return err;
}

pyr_error *pyr_error_create_at(enum pyr_error_code code, pyr_addr address, const char *format, ...)
{
	va_list args;
	pyr_error *err;

	va_start(args, format);
	err = create(code, true, address, format, args);
	va_end(args);
	return err;
}

pyr_error *pyr_error_wrap(pyr_error *err, const char *format, ...)
{
	va_list args;
	char *prefix, *message;
	int length;

	if (!err || err == &no_memory)
		return err;
	va_start(args, format);
	length = vasprintf(&prefix, format, args);
	va_end(args);
	if (length < 0)
		return err;
	if (asprintf(&message, "%s: %s", prefix, err->message) >= 0) {
		free(err->message);
		err->message = message;
	}
	free(prefix);
	return err;
}

void pyr_error_destroy(pyr_error *err)
{
	if (!err || err == &no_memory)
		return;
	free(err->message);
	free(err);
}

const char *pyr_error_code_name(enum pyr_error_code code)
{
	static const char *const names[] = {
#define ERROR(id, name, text) [PYR_E_##id] = name,
#include "base/errors.def"
#undef ERROR
	};

	return (unsigned)code < PYR_E_COUNT ? names[code] : "unknown";
}
