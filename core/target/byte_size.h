/* A number of bytes in words: "512 bytes", "1.2 GiB". */
#ifndef PYR_TARGET_BYTE_SIZE_H
#define PYR_TARGET_BYTE_SIZE_H

#include <stdint.h>
#include <stdio.h>

struct pyr_byte_size {
	char text[24];
};

static inline struct pyr_byte_size pyr_byte_size(uint64_t n)
{
	static const char units[] = "KMGTPE";
	struct pyr_byte_size ret;
	double value = (double)n / 1024;
	int i = 0;

	if (n < 1024) {
		snprintf(ret.text, sizeof(ret.text), "%u bytes", (unsigned)n);
		return ret;
	}
	while (value >= 1023.95 && i < 5) {
		value /= 1024;
		i++;
	}
	snprintf(ret.text, sizeof(ret.text), "%.1f %ciB", value, units[i]);
	return ret;
}

#endif
