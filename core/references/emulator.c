#define _GNU_SOURCE
#include "references/emulator_internal.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "references/emulator_binding.h"

/* Numbers of libunicorn's interface (its headers are not needed to build). */
#define ARCH_X86 4
#define MODE_64 8
#define HOOK_CODE (1 << 2)
#define HOOK_MEM_UNMAPPED (1 << 4 | 1 << 5 | 1 << 6)
#define HOOK_MEM_PROT (1 << 7 | 1 << 8 | 1 << 9)
#define HOOK_MEM_READ (1 << 10)
#define HOOK_MEM_WRITE (1 << 11)
#define MEM_WRITE_PROT 22
#define MEM_FETCH_PROT 24
#define X86_RAX 35
#define X86_RDI 39
#define X86_RDX 40
#define X86_RIP 41
#define X86_RSI 43
#define X86_RSP 44
#define X86_FS_BASE 250

#define INSTRUCTIONS_MAX 4000000u
#define VISITS_MAX (1u << 26)
#define INSTRUCTION_MAX 15u /* bytes of an instruction, at most */
#define RESTARTS_MAX 65536u /* of one call: at resolved jump slots, behind functions done here */

/* --- hooks --- */

/* Legacy prefixes of x86-64, before an opcode. */
static bool is_prefix(uint8_t byte)
{
	return byte == 0x66 || byte == 0xf2 || byte == 0xf3 || byte == 0x2e || byte == 0x36 ||
	       byte == 0x3e || byte == 0x26 || byte == 0x64 || byte == 0x65 || byte == 0xf0;
}

/* An instruction that must not run here. */
static const char *refused(const uint8_t *code, size_t size)
{
	size_t i = 0;

	while (i < size && is_prefix(code[i]))
		i++;
	if (i >= size)
		return NULL;
	/* In 64-bit mode these three are VEX and EVEX and nothing else. */
	if (code[i] == 0xc4 || code[i] == 0xc5 || code[i] == 0x62)
		return "it uses AVX instructions";
	if ((code[i] & 0xf0) == 0x40)
		i++; /* REX */
	if (i + 1 < size && code[i] == 0x0f &&
	    (code[i + 1] == 0x05 || code[i + 1] == 0x34 || code[i + 1] == 0xa2))
		return "it makes a system call or asks for the processor's features";
	if (code[i] == 0xcd || code[i] == 0xcc || code[i] == 0xf4)
		return "it runs into an interrupt";
	return NULL;
}

static void note_visit(struct pyr_emulator *e)
{
	uint64_t object = 0, zero = 0;

	e->api.uc_reg_read(e->uc, X86_RDI, &object);
	if (e->visited.count == VISITS_MAX || !pyr_vec_push(&e->visited, object))
		pyr_emulator_abandon(e, "it visits too much");
	/* The trap's own code returns to the caller with 0. */
	e->api.uc_reg_write(e->uc, X86_RAX, &zero);
}

static bool read_memory(void *ctx, pyr_addr addr, void *buf, size_t len)
{
	struct pyr_emulator *e = ctx;
	pyr_error *err;

	if ((addr >= e->stack && addr < e->stack + STACK_SIZE) || pyr_emulator_copy(e, addr))
		return !e->api.uc_mem_read(e->uc, addr, buf, len);
	err = pyr_read(&e->reader, addr, buf, len);
	pyr_error_destroy(err);
	return !err;
}

/* Do the call that was just made, to @function, and go on behind it. */
static void do_pure(struct pyr_emulator *e, enum pyr_pure function)
{
	uint64_t arguments[3], sp = 0, back = 0, result;

	e->api.uc_reg_read(e->uc, X86_RDI, &arguments[0]);
	e->api.uc_reg_read(e->uc, X86_RSI, &arguments[1]);
	e->api.uc_reg_read(e->uc, X86_RDX, &arguments[2]);
	e->api.uc_reg_read(e->uc, X86_RSP, &sp);
	/* It may have looked at anything. */
	e->fixed_fields = false;
	if (!read_memory(e, sp, &back, 8) ||
	    !pyr_pure_call(function, arguments, read_memory, e, &result)) {
		pyr_emulator_abandon(e, "it reads memory that is not in the target");
		return;
	}
	sp += 8;
	e->api.uc_reg_write(e->uc, X86_RSP, &sp);
	e->api.uc_reg_write(e->uc, X86_RAX, &result);
	e->redirect = back;
	e->api.uc_emu_stop(e->uc);
}

/* At the entry of a function of the C library. */
static enum pyr_pure pure_at(struct pyr_emulator *e, pyr_addr address)
{
	uint64_t sp = 0, back = 0;
	enum pyr_pure function;
	unsigned i;

	for (i = 0; i < e->pure_count; i++)
		if (e->pure[i].address == address)
			return e->pure[i].function;
	e->api.uc_reg_read(e->uc, X86_RSP, &sp);
	function = read_memory(e, sp, &back, 8)
			   ? pyr_binding_pure(e->target, &e->reader, back, address)
			   : PYR_PURE_NONE;
	if (e->pure_count < PURE_KNOWN) {
		e->pure[e->pure_count].address = address;
		e->pure[e->pure_count++].function = function;
	}
	return function;
}

/* A jump slot that was not bound: link_map and relocation index were pushed for
 * _dl_runtime_resolve(). */
static void bind_slot(struct pyr_emulator *e)
{
	enum pyr_pure function;
	uint64_t pushed[2], sp = 0;

	e->api.uc_reg_read(e->uc, X86_RSP, &sp);
	if (e->api.uc_mem_read(e->uc, sp, pushed, sizeof(pushed)) ||
	    !pyr_binding_resolve(e->target, &e->reader, pushed[0], pushed[1], &e->redirect,
				 &function)) {
		pyr_emulator_abandon(e, "it calls a function that is not bound and was not found");
		return;
	}
	sp += 16;
	e->api.uc_reg_write(e->uc, X86_RSP, &sp);
	if (function != PYR_PURE_NONE)
		do_pure(e, function);
	else
		e->api.uc_emu_stop(e->uc);
}

/* Whose code is at @address? Mostly the same as of the last instruction. */
static enum place place_of(struct pyr_emulator *e, pyr_addr address)
{
	const struct pyr_image *image;

	if (address >= e->place_start && address < e->place_end)
		return e->place;
	image = pyr_target_image_at(e->target, address);
	if (!image)
		return PLACE_OTHER;
	e->place_start = image->start;
	e->place_end = image->end;
	e->place = pyr_binding_is_linker(e->target, address) ? PLACE_LINKER
		   : pyr_binding_is_libc(e->target, address) ? PLACE_LIBC
							     : PLACE_OTHER;
	return e->place;
}

static void on_code(void *uc, uint64_t address, uint32_t size, void *data)
{
	struct pyr_emulator *e = data;
	enum pyr_pure function;
	enum place place;
	const uint8_t *code;
	const char *why;
	bool was_in_libc;

	(void)uc;
	if (address == e->trap) {
		note_visit(e);
		return;
	}
	if (address > e->trap && address < e->trap + PAGE)
		return;
	place = place_of(e, address);
	if (place != PLACE_LINKER) {
		e->in_linker = false;
	} else if (!e->in_linker) {
		/* Where thread-local variables are is looked up by code of the linker. */
		if (!pyr_binding_is_tls_get_addr(e->target, address)) {
			bind_slot(e);
			return;
		}
		e->in_linker = true;
		e->fixed_fields = false;
	}
	was_in_libc = e->in_libc;
	e->in_libc = place == PLACE_LIBC;
	if (e->in_libc && !was_in_libc && (function = pure_at(e, address)) != PYR_PURE_NONE) {
		e->in_libc = false;
		do_pure(e, function);
		return;
	}
	/* On a page that was not mapped yet the size is not known to libunicorn. */
	if (!size || size > INSTRUCTION_MAX)
		size = INSTRUCTION_MAX;
	code = pyr_peek(&e->reader, address, size);
	if (!code) {
		pyr_emulator_abandon(e, "it jumps to where no code is");
		return;
	}
	if ((why = refused(code, size)))
		pyr_emulator_abandon(e, why);
}

static void on_read(void *uc, int type, uint64_t address, int size, int64_t value, void *data)
{
	struct pyr_emulator *e = data;
	uint64_t word, offset = address - e->self;
	size_t i;

	(void)uc;
	(void)type;
	(void)value;
	if (!e->fixed_fields || (address >= e->stack && address < e->stack + STACK_SIZE) ||
	    (address >= e->image_start && address < e->image_end) ||
	    (address >= e->trap && address < e->trap + PAGE))
		return;
	if (size != 8 || offset >= e->self_size || offset % 8 ||
	    !pyr_try_u64(&e->reader, address, &word)) {
		e->fixed_fields = false;
		return;
	}
	for (i = 0; i < e->read_count; i++)
		if (e->reads[i].offset == offset)
			return;
	if (e->read_count == READS_MAX) {
		e->fixed_fields = false;
		return;
	}
	e->reads[e->read_count].offset = (uint32_t)offset;
	e->reads[e->read_count++].value = word;
}

static bool on_unmapped(void *uc, int type, uint64_t address, int size, int64_t value, void *data)
{
	struct pyr_emulator *e = data;
	uint64_t last = address + (size > 0 ? (uint64_t)size - 1 : 0);

	(void)uc;
	(void)type;
	(void)value;
	if (e->maps == MAPS_MAX) {
		pyr_emulator_abandon(e, "it reads memory in too many places");
		return false;
	}
	e->maps++;
	if (!pyr_emulator_map(e, address) ||
	    ((last ^ address) & ~(PAGE - 1) && !pyr_peek(&e->reader, last, 1))) {
		pyr_emulator_abandon(e, "it reads memory that is not in the target");
		return false;
	}
	return true;
}

static void on_write(void *uc, int type, uint64_t address, int size, int64_t value, void *data)
{
	struct pyr_emulator *e = data;
	bool *dirty;

	(void)uc;
	(void)type;
	(void)value;
	if (address >= e->stack && address < e->stack + STACK_SIZE)
		return;
	e->fixed_fields = false;
	if ((dirty = pyr_emulator_copy(e, address)))
		*dirty = true;
	if ((dirty = pyr_emulator_copy(e, address + (size > 0 ? (uint64_t)size - 1 : 0))))
		*dirty = true;
}

/* What the process may write to is written to in a copy. */
static bool on_forbidden(void *uc, int type, uint64_t address, int size, int64_t value, void *data)
{
	struct pyr_emulator *e = data;
	const struct pyr_mapping *m = pyr_target_mapping_at(e->target, address);
	uint64_t last = address + (size > 0 ? (uint64_t)size - 1 : 0);

	(void)value;
	if (type != MEM_WRITE_PROT || !m || !m->write || m->exec) {
		pyr_emulator_abandon(e, type == MEM_FETCH_PROT ? "it jumps to where no code is"
							       : "it writes to memory");
		return false;
	}
	/* Of what lies on two pages the first may be a copy already. */
	e->wanted_copy = (pyr_emulator_copy(e, address) ? last : address) & ~(PAGE - 1);
	e->api.uc_emu_stop(uc);
	return false;
}

/* --- set-up --- */

static bool load_library(struct pyr_emulator *e)
{
	unsigned major = 0, minor = 0;

	/* It stays loaded for the next emulator; and what it leaks itself (32 bytes for each
	 * in 2.1.1) is then known to be its own by those who look for leaks. */
	e->library = dlopen("libunicorn.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!e->library)
		return false;
#define UC(result, name, arguments)                                                                \
	*(void **)&e->api.name = dlsym(e->library, #name);                                         \
	if (!e->api.name)                                                                          \
		return false;
#include "references/unicorn_api.def"
#undef UC
	e->api.uc_version(&major, &minor);
	return major == 2;
}

static bool open_machine(struct pyr_emulator *e)
{
	/* visit(object, arg): return 0. Then, where the call returns to: hlt. */
	static const uint8_t trap_code[] = {0x31, 0xc0, 0xc3}, stop_code[] = {0xf4};
	struct api *a = &e->api;
	size_t hook;

	if (e->uc)
		a->uc_close(e->uc);
	e->uc = NULL;
	e->maps = e->far_count = e->copy_count = 0;
	e->stack = pyr_emulator_unused(e->target, STACK_SIZE + 4 * PAGE);
	e->trap = e->stack + STACK_SIZE + PAGE;
	e->stop = e->trap + PAGE / 2;
	return !a->uc_open(ARCH_X86, MODE_64, &e->uc) &&
	       !a->uc_mem_map(e->uc, e->stack, STACK_SIZE, PERMS_READ | PERMS_WRITE) &&
	       !a->uc_mem_map(e->uc, e->trap, PAGE, PERMS_READ | PERMS_EXEC) &&
	       !a->uc_mem_write(e->uc, e->trap, trap_code, sizeof(trap_code)) &&
	       !a->uc_mem_write(e->uc, e->stop, stop_code, sizeof(stop_code)) &&
	       !a->uc_hook_add(e->uc, &hook, HOOK_CODE, (void *)on_code, e, 1, 0) &&
	       !a->uc_hook_add(e->uc, &hook, HOOK_MEM_READ, (void *)on_read, e, 1, 0) &&
	       !a->uc_hook_add(e->uc, &hook, HOOK_MEM_WRITE, (void *)on_write, e, 1, 0) &&
	       !a->uc_hook_add(e->uc, &hook, HOOK_MEM_UNMAPPED, (void *)on_unmapped, e, 1, 0) &&
	       !a->uc_hook_add(e->uc, &hook, HOOK_MEM_PROT, (void *)on_forbidden, e, 1, 0);
}

pyr_error *pyr_emulator_create(struct pyr_target *target, struct pyr_emulator **ret,
			       const char **why)
{
	struct pyr_emulator *e;

	*ret = NULL;
	if (target->machine != PYR_MACHINE_X86_64) {
		*why = "only x86-64 code is emulated";
		return NULL;
	}
	e = calloc(1, sizeof(*e));
	if (!e)
		return pyr_error_no_memory();
	e->target = target;
	pyr_reader_init(&e->reader, target);
	if (target->threads.count)
		e->tls = target->threads.data[0].tls;
	if (!load_library(e)) {
		*why = "libunicorn 2 is not installed";
	} else if (!open_machine(e)) {
		*why = "libunicorn could not be set up";
	} else {
		*ret = e;
		return NULL;
	}
	pyr_emulator_destroy(e);
	return NULL;
}

void pyr_emulator_destroy(struct pyr_emulator *e)
{
	if (!e)
		return;
	if (e->uc)
		e->api.uc_close(e->uc);
	if (e->library)
		dlclose(e->library);
	pyr_vec_deinit(&e->visited);
	pyr_reader_deinit(&e->reader);
	free(e);
}

void pyr_emulator_use_thread(struct pyr_emulator *e, pyr_addr tls)
{
	e->tls = tls;
}

/* Every word read that is not NULL was visited, as often as it was read at
 * different places, and nothing else was. */
static bool visits_what_it_reads(const struct pyr_emulator *e)
{
	size_t i, k, words = 0, reads, visits;

	for (i = 0; i < e->read_count; i++) {
		if (!e->reads[i].value)
			continue;
		words++;
		reads = visits = 0;
		for (k = 0; k < e->read_count; k++)
			reads += e->reads[k].value == e->reads[i].value;
		for (k = 0; k < e->visited.count; k++)
			visits += e->visited.data[k] == e->reads[i].value;
		if (reads != visits)
			return false;
	}
	return words == e->visited.count;
}

/* Make the call, once. */
static bool run(struct pyr_emulator *e, pyr_addr function, pyr_addr self, uint64_t size,
		const char **why)
{
	const struct pyr_image *image = pyr_target_image_at(e->target, function);
	uint64_t sp = e->stack + STACK_SIZE - PAGE, zero = 0, at = function;
	unsigned restarts = 0;
	int failed;

	e->visited.count = 0;
	e->read_count = 0;
	/* What is read of the image is not noted, so nothing is learned of an object in it. */
	e->fixed_fields = !image || self < image->start || self >= image->end;
	e->abandoned = NULL;
	e->wanted_copy = 0;
	e->in_libc = e->in_linker = false;
	e->self = self;
	e->self_size = size;
	e->image_start = image ? image->start : 0;
	e->image_end = image ? image->end : 0;
	/* The stack is as at the first instruction of a function: the return address on
	 * top, 16-byte aligned above it. */
	sp -= 8;
	if (e->api.uc_mem_write(e->uc, sp, &e->stop, 8) ||
	    e->api.uc_reg_write(e->uc, X86_RSP, &sp) ||
	    e->api.uc_reg_write(e->uc, X86_RDI, &self) ||
	    e->api.uc_reg_write(e->uc, X86_RSI, &e->trap) ||
	    e->api.uc_reg_write(e->uc, X86_RDX, &zero) ||
	    e->api.uc_reg_write(e->uc, X86_FS_BASE, &e->tls)) {
		*why = "the emulator's registers could not be set";
		return false;
	}
	do {
		e->redirect = 0;
		failed = e->api.uc_emu_start(e->uc, at, e->stop, 0, INSTRUCTIONS_MAX);
		at = e->redirect;
	} while (!failed && !e->abandoned && at && ++restarts < RESTARTS_MAX);
	if (!failed && !e->abandoned) {
		uint64_t pc = 0;

		e->api.uc_reg_read(e->uc, X86_RIP, &pc);
		if (pc != e->stop)
			e->abandoned = "it takes too long";
	}
	*why = e->abandoned ? e->abandoned : failed ? e->api.uc_strerror(failed) : NULL;
	return !*why;
}

bool pyr_emulator_traverse(struct pyr_emulator *e, pyr_addr function, pyr_addr self, uint64_t size,
			   struct pyr_emulated_call *ret, const char **why)
{
	bool done;

	if (!pyr_peek(&e->reader, function, 1)) {
		*why = "its code is not in the target, nor is its file here";
		return false;
	}
	if ((e->maps > MAPS_MAX / 2 || e->copy_count > COPIES_MAX / 2) && !open_machine(e)) {
		*why = "libunicorn could not be set up";
		return false;
	}
	/* Where it writes is known once it has tried to: the call begins again each time. */
	do {
		done = run(e, function, self, size, why);
		if (!pyr_emulator_restore(e)) {
			e->maps = MAPS_MAX; /* all is set up anew */
			*why = "it writes to memory";
			return false;
		}
		if (!e->abandoned && e->wanted_copy && !pyr_emulator_make_copy(e, e->wanted_copy)) {
			e->maps = MAPS_MAX;
			*why = "it writes to memory in too many places";
			return false;
		}
	} while (!e->abandoned && e->wanted_copy);
	if (!done)
		return false;
	ret->visited = e->visited.data;
	ret->visited_count = e->visited.count;
	ret->fixed_fields = e->fixed_fields && visits_what_it_reads(e);
	ret->reads = e->reads;
	ret->read_count = e->read_count;
	return true;
}

bool pyr_emulator_ask(struct pyr_emulator *e, pyr_addr function, pyr_addr self, int *ret,
		      const char **why)
{
	struct pyr_emulated_call call;
	uint64_t answer = 0;

	if (!pyr_emulator_traverse(e, function, self, 0, &call, why))
		return false;
	e->api.uc_reg_read(e->uc, X86_RAX, &answer);
	*ret = (int)(uint32_t)answer;
	return true;
}
