/* The core fuzzer's entry on damaged copies of a real core, and on small odd
 * ones: PYRETAIN_FUZZ_ROUNDS of each (default 1000), the same every time. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zstd.h>

#include "../fuzz/fuzz_core.c"
#include "core_builder.h"
#include "random.h"

static unsigned rounds(void)
{
	const char *text = getenv("PYRETAIN_FUZZ_ROUNDS");

	return text ? (unsigned)strtoul(text, NULL, 10) : 1000;
}

/* Change a few bytes or words, most of them where structure is. */
static size_t damage(uint8_t *bytes, size_t size, size_t structure)
{
	static const uint64_t odd[] = {0,
				       1,
				       7,
				       0xffff,
				       0x7fffffff,
				       0xffffffff,
				       UINT64_MAX / 2,
				       UINT64_MAX,
				       UINT64_MAX - 4095,
				       0x1000,
				       0x100000};
	unsigned n = 1 + random_word() % 8;
	size_t at, room;
	uint64_t v;

	while (n--) {
		room = random_word() % 4 ? structure : size;
		at = random_word() % (room > 8 ? room - 8 : 1);
		switch (random_word() % 4) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << random_word() % 8);
			break;
		case 1:
			v = odd[random_word() % (sizeof(odd) / sizeof(*odd))];
			memcpy(bytes + (at & ~(size_t)7), &v, 8);
			break;
		case 2:
			v = odd[random_word() % (sizeof(odd) / sizeof(*odd))];
			memcpy(bytes + (at & ~(size_t)3), &v, 4);
			break;
		default: /* a value from elsewhere in the file */
			memmove(bytes + (at & ~(size_t)7),
				bytes + (random_word() % (structure - 8) & ~(size_t)7), 8);
		}
	}
	return random_word() % 4 ? size : random_word() % size + 1;
}

static void fuzz(const struct core_builder *b, unsigned count)
{
	uint8_t *copy = malloc(b->file.count);
	size_t size;

	assert_non_null(copy);
	while (count--) {
		memcpy(copy, b->file.data, b->file.count);
		size = damage(copy, b->file.count, b->first_data);
		LLVMFuzzerTestOneInput(copy, size);
	}
	free(copy);
}

/* A process of this program, so that images, notes and files are all there. */
static void real_cores(void **state)
{
	struct core_builder b;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	usleep(100000);
	core_builder_from_process(&b, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* The sanitizers' shadow would make it huge. */
	if (b.file.count < 64u << 20)
		fuzz(&b, rounds() / 4);
	core_builder_deinit(&b);
}

/* Two pages that hold an ELF image each, with dynamic section and symbols that
 * lie in the dump itself. */
static void small_cores(void **state)
{
	static uint64_t page[2][512];
	static const uint64_t auxv[] = {AT_PHDR, 0x10040,   AT_PHNUM, 3,       AT_RANDOM,
					0x30000, AT_EXECFN, 0x10900,  AT_NULL, 0};
	const struct core_builder_file files[] = {{0x10000, 0x12000, 0, "/nonexistent/exe"},
						  {0x20000, 0x21000, 0, "/nonexistent/lib.so"}};
	struct core_builder b;
	unsigned i;

	(void)state;
	for (i = 0; i < 2; i++) {
		Elf64_Ehdr *h = (void *)page[i];
		Elf64_Phdr *p = (void *)(page[i] + 8);
		uint64_t *d = page[i] + 64, *hash = page[i] + 128;
		Elf64_Sym *sym = (void *)(page[i] + 160);

		memcpy(h->e_ident, ELFMAG, SELFMAG);
		h->e_ident[EI_CLASS] = ELFCLASS64;
		h->e_ident[EI_DATA] = ELFDATA2LSB;
		h->e_type = ET_DYN;
		h->e_machine = EM_X86_64;
		h->e_phoff = 64;
		h->e_phentsize = sizeof(*p);
		h->e_phnum = 3;
		p[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_filesz = 4096, .p_memsz = 4096};
		p[1] = (Elf64_Phdr){
			.p_type = PT_DYNAMIC, .p_vaddr = 512, .p_memsz = 512, .p_filesz = 512};
		p[2] = (Elf64_Phdr){
			.p_type = PT_NOTE, .p_vaddr = 2048, .p_filesz = 32, .p_memsz = 32};
		d[0] = DT_SYMTAB, d[1] = 1280;
		d[2] = DT_STRTAB, d[3] = 1792;
		d[4] = DT_STRSZ, d[5] = 64;
		d[6] = DT_GNU_HASH, d[7] = 1024;
		d[8] = DT_DEBUG, d[9] = 0x10a00;
		d[10] = DT_SONAME, d[11] = 1;
		((uint32_t *)hash)[0] = 1;      /* buckets */
		((uint32_t *)hash)[1] = 1;      /* first symbol */
		((uint32_t *)hash)[2] = 1;      /* words of the filter */
		((uint32_t *)hash)[6] = 1;      /* the bucket */
		((uint32_t *)hash)[7] = 0x1234; /* the chain */
		((uint32_t *)hash)[8] = 0x1235;
		sym[1] = (Elf64_Sym){.st_name = 1,
				     .st_shndx = 1,
				     .st_value = 100,
				     .st_size = 50,
				     .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT)};
		sym[2] = sym[1];
		strcpy((char *)page[i] + 1793, "_PyRuntime");
		strcpy((char *)page[i] + 0x900, "/nonexistent/exe");
		page[i][0xa08 / 8] = 0x10b00; /* r_map */
		page[i][0xb00 / 8] = 0x20000; /* a link_map, in a circle */
		page[i][0xb08 / 8] = 0x10900;
		page[i][0xb10 / 8] = 0x20200;
		page[i][0xb18 / 8] = 0x10b00;
	}
	for (i = 0; i < 2; i++) {
		core_builder_init(&b);
		core_builder_thread(&b, 1, 0x30000);
		core_builder_auxv(&b, auxv, 5);
		if (i)
			core_builder_files(&b, files, 2);
		core_builder_segment(&b, 0x10000, 4096, PF_R, page[0], 4096);
		core_builder_segment(&b, 0x11000, 4096, PF_R | PF_X, NULL, 0);
		core_builder_segment(&b, 0x20000, 4096, PF_R | PF_X, page[1], 4096);
		core_builder_segment(&b, 0x30000, 4096, PF_R | PF_W, NULL, 4096);
		core_builder_finish(&b);
		fuzz(&b, rounds());
		b.first_data = b.file.count; /* and the images */
		fuzz(&b, rounds());
		core_builder_deinit(&b);
	}
}

static void damaged_compression(void **state)
{
	static uint8_t bytes[65536];
	struct core_builder b, packed;
	size_t room = 1 << 20, n;
	unsigned i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(random_word() % 5);
	core_builder_init(&b);
	core_builder_thread(&b, 1, 0x30000);
	core_builder_segment(&b, 0x10000, sizeof(bytes), PF_R, bytes, sizeof(bytes));
	core_builder_finish(&b);
	core_builder_init(&packed);
	assert_true(pyr_vec_reserve(&packed.file, room));
	n = ZSTD_compress(packed.file.data, room, b.file.data, b.file.count, 3);
	assert_false(ZSTD_isError(n));
	packed.file.count = n;
	packed.first_data = n;
	fuzz(&packed, rounds() / 4);
	core_builder_deinit(&packed);
	core_builder_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_cores),
		cmocka_unit_test(damaged_compression),
		cmocka_unit_test(real_cores),
	};

	/* A target that makes us wait is a failure too. */
	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
