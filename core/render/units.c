#include "render/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct pyr_units pyr_bytes(uint64_t n)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	struct pyr_units ret;
	double value = (double)n;
	unsigned unit = 0;

	/* 1023.95 would print as "1024.0 KiB" */
	while (value >= 1023.95 && unit + 1 < sizeof(names) / sizeof(names[0])) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(ret.text, sizeof(ret.text), "%" PRIu64 " B", n);
	else
		snprintf(ret.text, sizeof(ret.text), "%.1f %s", value, names[unit]);
	return ret;
}

struct pyr_units pyr_count(uint64_t n)
{
	struct pyr_units ret;
	char digits[24];
	size_t length, i, at = 0;

	snprintf(digits, sizeof(digits), "%" PRIu64, n);
	length = strlen(digits);
	for (i = 0; i < length; i++) {
		if (i && (length - i) % 3 == 0)
			ret.text[at++] = ',';
		ret.text[at++] = digits[i];
	}
	ret.text[at] = '\0';
	return ret;
}

struct pyr_units pyr_counted(uint64_t n, const char *one, const char *many)
{
	struct pyr_units ret = pyr_count(n);
	size_t at;

	at = strlen(ret.text);
	snprintf(ret.text + at, sizeof(ret.text) - at, " %s", n == 1 ? one : many);
	return ret;
}

struct pyr_units pyr_duration(uint64_t ns)
{
	struct pyr_units ret;

	if (ns < 1000000)
		snprintf(ret.text, sizeof(ret.text), "%.2f ms", (double)ns / 1e6);
	else if (ns < 1000000000)
		snprintf(ret.text, sizeof(ret.text), "%.1f ms", (double)ns / 1e6);
	else
		snprintf(ret.text, sizeof(ret.text), "%.2f s", (double)ns / 1e9);
	return ret;
}

struct pyr_units pyr_address(uint64_t address)
{
	struct pyr_units ret;

	snprintf(ret.text, sizeof(ret.text), "0x%" PRIx64, address);
	return ret;
}

struct pyr_units pyr_release_count(uint64_t part, uint64_t whole)
{
	struct pyr_units ret;

	if (whole)
		snprintf(ret.text, sizeof(ret.text), "%.1f %%",
			 100.0 * (double)part / (double)whole);
	else
		strcpy(ret.text, "-");
	return ret;
}
