/* C stacks, registers and thread-local variables of every thread of the process. */
#include <string.h>

#include "roots/possible_words.h"

#define RED_ZONE 128u /* below the stack pointer: x86-64's System V ABI, 3.2.2 */
#define DESCRIPTOR                                                                                 \
	0x1000u      /* of a thread, behind its thread pointer: struct pthread, nptl/descr.h */
#define TLS_HEAD 16u /* aarch64: before the thread-local variables, above the thread pointer */
#define STACK_MAX (UINT64_C(64) << 20) /* where the target does not tell what is mapped */

/* General registers, by their place in user_regs_struct; NULL: holds no object. */
static const char *const x86_64[] = {"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10",
				     "r9",  "r8",  "rax", "rcx", "rdx", "rsi", "rdi"};
static const char *const aarch64[] = {"x0",  "x1",  "x2",  "x3",  "x4",  "x5",  "x6",  "x7",
				      "x8",  "x9",  "x10", "x11", "x12", "x13", "x14", "x15",
				      "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23",
				      "x24", "x25", "x26", "x27", "x28", "x29", "x30"};

static const char *register_name(const struct pyr_target *target, uint64_t index)
{
	if (target->machine == PYR_MACHINE_AARCH64)
		return index < sizeof(aarch64) / sizeof(*aarch64) ? aarch64[index] : NULL;
	return index < sizeof(x86_64) / sizeof(*x86_64) ? x86_64[index] : NULL;
}

struct stack_walk {
	struct pyr_roots *roots;
	const struct pyr_possible_words *words;
	enum pyr_root_kind kind;
	uint64_t a;
	pyr_addr base; /* what distances are counted from */
	bool stop;     /* at the first absent byte */
};

static void scan(struct stack_walk *w, pyr_addr at, pyr_addr end)
{
	struct pyr_reader *reader = &pyr_roots_python(w->roots)->reader;
	const uint8_t *run;
	uint64_t word;
	size_t n, i;
	uint32_t id;

	at = (at + 7) & ~UINT64_C(7);
	while (pyr_peek_words(reader, &at, end, &run, &n)) {
		if (!n && w->stop)
			return;
		for (i = 0; i < n; i++, at += 8) {
			memcpy(&word, run + 8 * i, 8);
			if (word && (id = pyr_possible_words_object(w->words, word)) != PYR_NO_ID)
				pyr_roots_push_id(w->roots, w->kind, PYR_ROOT_POSSIBLE, id, at,
						  w->a, at - w->base);
		}
	}
}

/* Bytes of static thread-local variables that a thread can have: at most all of them. */
static uint64_t tls_size(const struct pyr_target *target)
{
	uint64_t size = 0;
	size_t i;

	for (i = 0; i < target->image_count; i++)
		size += (pyr_image_tls_size(&target->images[i]) + 63) & ~UINT64_C(63);
	return size < STACK_MAX ? size : STACK_MAX;
}

/* Thread-local variables lie below the thread pointer on x86-64, above on aarch64; the
 * descriptor, with what pthread_setspecific() keeps, on its other side. */
static void tls_range(const struct pyr_target *target, const struct pyr_thread *thread,
		      uint64_t size, pyr_addr range[2])
{
	const struct pyr_mapping *m = pyr_target_mapping_at(target, thread->tls);
	uint64_t below = size, above = DESCRIPTOR;

	if (target->machine == PYR_MACHINE_AARCH64) {
		below = DESCRIPTOR;
		above = size + TLS_HEAD;
	}
	range[0] = thread->tls > below ? (thread->tls - below) & ~UINT64_C(7) : 0;
	range[1] = thread->tls + above;
	if (m && range[0] < m->start)
		range[0] = m->start;
	if (m && range[1] > m->end)
		range[1] = m->end;
	if (!thread->tls || range[1] < range[0])
		range[0] = range[1] = 0;
}

/* Does the thread wait in a system call? Then its innermost function is the C library's,
 * which keeps nothing below the stack pointer. */
static bool in_system_call(struct pyr_roots *roots, const struct pyr_thread *thread)
{
	static const uint8_t instruction[] = {0x0f, 0x05};
	const uint8_t *code = pyr_peek(&pyr_roots_python(roots)->reader, thread->pc - 2, 2);

	return code && !memcmp(code, instruction, 2);
}

static void scan_thread(struct pyr_roots *roots, const struct pyr_possible_words *words,
			size_t index, uint64_t tls_bytes)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;
	const struct pyr_thread *thread = &target->threads.data[index];
	const struct pyr_mapping *m = pyr_target_mapping_at(target, thread->sp);
	struct stack_walk stack = {roots, words, PYR_ROOT_C_STACK, index, thread->sp, !m};
	struct stack_walk tls = {
		roots,       words, PYR_ROOT_C_STATIC, index | PYR_POSSIBLE_WORDS_TLS,
		thread->tls, false};
	pyr_addr from = thread->sp, to = m ? m->end : thread->sp + STACK_MAX, range[2];
	unsigned i;
	uint32_t id;

	tls_range(target, thread, tls_bytes, range);
	if (target->machine == PYR_MACHINE_X86_64 && from > RED_ZONE &&
	    !in_system_call(roots, thread))
		from -= RED_ZONE;
	if (m && from < m->start)
		from = m->start;
	/* The stack of a thread that the C library made ends where those begin. */
	if (range[0] > thread->sp && range[0] < to)
		to = range[0];
	if (thread->sp)
		scan(&stack, from, to);
	if (range[1])
		scan(&tls, range[0], range[1]);
	for (i = 0; i < thread->nregs && i < sizeof(thread->regs) / sizeof(*thread->regs); i++) {
		if (!register_name(target, i) || !thread->regs[i])
			continue;
		id = pyr_possible_words_object(words, thread->regs[i]);
		if (id != PYR_NO_ID)
			pyr_roots_push_id(roots, PYR_ROOT_REGISTER, PYR_ROOT_POSSIBLE, id, 0, index,
					  i);
	}
}

pyr_error *pyr_roots_stacks(struct pyr_roots *roots, const struct pyr_possible_words *words,
			    struct pyr_control *control)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;
	uint64_t size = tls_size(target);
	pyr_error *err;
	size_t i;

	for (i = 0; i < target->threads.count; i++) {
		scan_thread(roots, words, i, size);
		if ((err = pyr_control_progress(control, "C stacks", i, target->threads.count)))
			return err;
	}
	return pyr_reader_check(&pyr_roots_python(roots)->reader);
}

/* --- names --- */

/* `thread 48213 "worker-1"`: Python's name for it, else the system's. */
static void thread_name(const struct pyr_roots *roots, uint64_t index, struct pyr_strbuf *out)
{
	struct pyr_python *python = pyr_roots_python(roots);
	const struct pyr_thread *thread =
		index < python->target->threads.count ? &python->target->threads.data[index] : NULL;
	const char *name = thread ? thread->name : "";
	size_t i;

	for (i = 0; i < python->threads.count; i++)
		if (python->threads.data[i].os_thread == (ssize_t)index &&
		    python->threads.data[i].name)
			name = python->threads.data[i].name;
	pyr_strbuf_printf(out, "thread %llu", thread ? (unsigned long long)thread->tid : 0);
	if (*name)
		pyr_strbuf_printf(out, " \"%s\"", name);
}

void pyr_root_stack_name(const struct pyr_roots *roots, const struct pyr_root *root,
			 struct pyr_strbuf *out)
{
	struct pyr_target *target = pyr_roots_python(roots)->target;
	uint64_t index = root->a & ~PYR_POSSIBLE_WORDS_TLS;
	const char *name;
	char frame[512];
	int64_t at = (int64_t)root->b;

	if (root->kind == PYR_ROOT_REGISTER) {
		name = register_name(target, root->b);
		pyr_strbuf_printf(out, "register %s of ", name ? name : "?");
		thread_name(roots, index, out);
		return;
	}
	pyr_strbuf_add(out,
		       root->kind == PYR_ROOT_C_STACK ? "C stack of " : "thread-local storage of ");
	thread_name(roots, index, out);
	pyr_strbuf_printf(out, " at %s%c0x%llx", root->kind == PYR_ROOT_C_STACK ? "sp" : "tp",
			  at < 0 ? '-' : '+', (unsigned long long)(at < 0 ? -at : at));
	if (root->kind == PYR_ROOT_C_STACK && target->frames.at && index < target->threads.count &&
	    target->frames.at(target->frames.ctx, target->threads.data[index].tid, root->slot,
			      frame, sizeof(frame)) == 0) {
		frame[sizeof(frame) - 1] = '\0';
		pyr_strbuf_printf(out, " in %s", frame);
	}
}
