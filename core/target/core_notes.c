#define _GNU_SOURCE
#include "target/core_notes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "target/elf_file.h"

/* struct elf_prstatus, the same on both machines up to the registers. */
#define PRSTATUS_CURSIG 12
#define PRSTATUS_PID 32
#define PRSTATUS_REGS 112
/* struct elf_prpsinfo */
#define PSINFO_PID 24
#define PSINFO_FNAME 40
#define PSINFO_FNAME_SIZE 16
#define PSINFO_ARGS 56
#define PSINFO_ARGS_SIZE 80

/* What a Linux system can have at most (PID_MAX_LIMIT), and what no address
 * space in practice exceeds (vm.max_map_count is 65530 by default). */
#define THREADS_MAX (4u * 1024 * 1024)
#define FILES_MAX (4u * 1024 * 1024)
#define AUXV_MAX 256

struct machine_registers {
	unsigned count, sp, pc;
	int tls; /* index, or -1: in a note of its own */
};

static const struct machine_registers machines[] = {
	[PYR_MACHINE_X86_64] = {.count = 27, .sp = 19, .pc = 16, .tls = 21},
	[PYR_MACHINE_AARCH64] = {.count = 34, .sp = 31, .pc = 32, .tls = -1},
};

static uint64_t u64_at(const uint8_t *bytes, size_t offset)
{
	uint64_t v;

	memcpy(&v, bytes + offset, sizeof(v));
	return v;
}

static uint32_t u32_at(const uint8_t *bytes, size_t offset)
{
	uint32_t v;

	memcpy(&v, bytes + offset, sizeof(v));
	return v;
}

/* Signals whose default action is to dump core; gcore records others (the
 * SIGSTOP it attached with), which ended nothing. */
static bool dumps_core(int sig)
{
	static const int fatal[] = {SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
				    SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS};
	size_t i;

	for (i = 0; i < sizeof(fatal) / sizeof(*fatal); i++)
		if (sig == fatal[i])
			return true;
	return false;
}

static pyr_error *read_prstatus(struct pyr_target *target, const struct pyr_note *note)
{
	const struct machine_registers *m = &machines[target->machine];
	struct pyr_thread thread = {0};
	int sig;
	unsigned i;

	if (note->size < PRSTATUS_REGS + 8 * m->count) {
		pyr_control_diagnose(target->control,
				     "a thread's registers are cut short (%u bytes)", note->size);
		return NULL;
	}
	if (target->threads.count >= THREADS_MAX) {
		pyr_control_diagnose(target->control, "threads beyond %u are left out",
				     THREADS_MAX);
		return NULL;
	}
	thread.tid = u32_at(note->bytes, PRSTATUS_PID);
	for (i = 0; i < m->count; i++)
		thread.regs[i] = u64_at(note->bytes, PRSTATUS_REGS + 8 * i);
	thread.nregs = m->count;
	thread.sp = thread.regs[m->sp];
	thread.pc = thread.regs[m->pc];
	if (m->tls >= 0)
		thread.tls = thread.regs[m->tls];
	sig = note->bytes[PRSTATUS_CURSIG] | note->bytes[PRSTATUS_CURSIG + 1] << 8;
	if (!target->signal && dumps_core(sig))
		target->signal = sig;
	return pyr_vec_push(&target->threads, thread) ? NULL : pyr_error_no_memory();
}

/* A copy of at most @max bytes, without control characters and trailing blanks. */
static char *printable(const uint8_t *bytes, size_t max)
{
	char *text = strndup((const char *)bytes, max);
	size_t i, length = text ? strlen(text) : 0;

	for (i = 0; i < length; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			text[i] = '?';
	while (length && text[length - 1] == ' ')
		text[--length] = '\0';
	return text;
}

static pyr_error *read_psinfo(struct pyr_target *target, const struct pyr_note *note,
			      struct pyr_core_notes *notes)
{
	const uint8_t *name = note->bytes + PSINFO_ARGS;
	size_t max = PSINFO_ARGS_SIZE;

	if (note->size < PSINFO_ARGS + PSINFO_ARGS_SIZE || target->command_name)
		return NULL;
	target->pid = (pid_t)u32_at(note->bytes, PSINFO_PID);
	/* fs/binfmt_elf.c, fill_psinfo(): of the main thread. */
	memcpy(notes->comm, note->bytes + PSINFO_FNAME, sizeof(notes->comm) - 1);
	if (!*name || *name == ' ') {
		name = note->bytes + PSINFO_FNAME;
		max = PSINFO_FNAME_SIZE;
	}
	target->command_name = printable(name, max);
	return target->command_name ? NULL : pyr_error_no_memory();
}

static pyr_error *read_auxv(struct pyr_target *target, const struct pyr_note *note)
{
	uint64_t type, value, page;
	size_t i;

	if (target->auxv.count)
		return NULL;
	for (i = 0; i + 16 <= note->size && i < 16 * AUXV_MAX; i += 16) {
		type = u64_at(note->bytes, i);
		value = u64_at(note->bytes, i + 8);
		if (type == AT_NULL)
			break;
		if (!pyr_vec_push(&target->auxv, type) || !pyr_vec_push(&target->auxv, value))
			return pyr_error_no_memory();
	}
	if (pyr_target_auxv(target, AT_PAGESZ, &page) && page >= 4096 && page <= 1024 * 1024 &&
	    !(page & (page - 1)))
		target->page_size = page;
	return NULL;
}

/* count, unit of the offsets; (start, end, offset) of each; the names. The unit
 * is the page size in kernel cores and 1 in gdb's. */
static pyr_error *read_files(struct pyr_target *target, const struct pyr_note *note,
			     struct pyr_core_notes *notes)
{
	const char *names, *end = (const char *)note->bytes + note->size, *nul;
	uint64_t count, unit, i;
	struct pyr_core_file_range range;

	if (note->size < 16)
		return NULL;
	count = u64_at(note->bytes, 0);
	unit = u64_at(note->bytes, 8);
	/* An entry is 24 bytes and a name of at least one. */
	if (count > (note->size - 16) / 25 || count > FILES_MAX) {
		pyr_control_diagnose(
			target->control,
			"the list of mapped files is damaged: %llu entries in %u bytes",
			(unsigned long long)count, note->size);
		return NULL;
	}
	names = (const char *)note->bytes + 16 + 24 * count;
	for (i = 0; i < count; i++) {
		nul = memchr(names, 0, (size_t)(end - names));
		if (!nul) {
			pyr_control_diagnose(target->control,
					     "the list of mapped files is cut short: "
					     "%llu of %llu names",
					     (unsigned long long)i, (unsigned long long)count);
			break;
		}
		range.start = u64_at(note->bytes, 16 + 24 * i);
		range.end = u64_at(note->bytes, 24 + 24 * i);
		range.path = names;
		names = nul + 1;
		if (__builtin_mul_overflow(u64_at(note->bytes, 32 + 24 * i), unit,
					   &range.file_offset) ||
		    range.end <= range.start)
			continue;
		if (!pyr_vec_push(&notes->files, range))
			return pyr_error_no_memory();
	}
	return NULL;
}

static pyr_error *read_note(struct pyr_target *target, const struct pyr_note *note,
			    struct pyr_core_notes *notes)
{
	/* "LINUX" for what the kernel added on its own, "CORE" for what SVR4 had. */
	if (note->type == NT_ARM_TLS && note->name_size == 6 && !memcmp(note->name, "LINUX", 6)) {
		if (target->machine == PYR_MACHINE_AARCH64 && target->threads.count &&
		    note->size >= 8)
			target->threads.data[target->threads.count - 1].tls =
				u64_at(note->bytes, 0);
		return NULL;
	}
	if (note->name_size != 5 || memcmp(note->name, "CORE", 5))
		return NULL;
	notes->any = true;
	switch (note->type) {
	case NT_PRSTATUS:
		return read_prstatus(target, note);
	case NT_PRPSINFO:
		return read_psinfo(target, note, notes);
	case NT_SIGINFO:
		if (note->size >= 4 && dumps_core((int)u32_at(note->bytes, 0)))
			target->signal = (int)u32_at(note->bytes, 0);
		return NULL;
	case NT_AUXV:
		return read_auxv(target, note);
	case NT_FILE:
		return notes->files.count ? NULL : read_files(target, note, notes);
	}
	return NULL;
}

pyr_error *pyr_core_read_notes(struct pyr_target *target, const void *bytes, size_t size,
			       unsigned align, struct pyr_core_notes *notes)
{
	struct pyr_note note = {.offset = 0};
	pyr_error *err;

	while (pyr_note_next(bytes, size, align, &note)) {
		if ((err = read_note(target, &note, notes)) ||
		    (err = pyr_control_check(target->control)))
			return err;
	}
	if (size - note.offset >= sizeof(Elf64_Nhdr))
		pyr_control_diagnose(target->control,
				     "the last %zu bytes of the core's notes are "
				     "cut off or damaged",
				     size - note.offset);
	return NULL;
}

void pyr_core_notes_deinit(struct pyr_core_notes *notes)
{
	pyr_vec_deinit(&notes->files);
}
