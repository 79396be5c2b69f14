/* Native code that holds Python objects in every place that C has, for the tests of
 * roots. It takes addresses and knows nothing of Python: the caller has counted the
 * reference that each place stands for. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *holder_cache;
void *holder_table[8];
static void *holder_hidden;
static __thread void *holder_local __attribute__((tls_model("initial-exec")));

/* What a C++ compiler would make of class Store: its table of virtual functions, of
 * which an object's first word points behind the two words of its head. */
void *_ZTVN3app5StoreE[4];

struct store {
	void **table;
	unsigned long count;
	void *held;
	char name[72];
};

void hold_static(void *object)
{
	holder_cache = object;
}

void hold_entry(void *object)
{
	holder_table[3] = object;
}

void hold_hidden(void *object)
{
	holder_hidden = object;
}

void *hidden_place(void)
{
	return &holder_hidden;
}

void *hold_store(void *object)
{
	struct store *s = calloc(1, sizeof(*s));

	s->table = _ZTVN3app5StoreE + 2;
	s->held = object;
	strcpy(s->name, "the store");
	return s;
}

void *hold_large(void *object)
{
	void **words = calloc(1, 1 << 21);

	words[512] = object;
	return words;
}

/* A copy of a C variable, as the last one of a library behind which nothing is mapped. */
void *hold_last(const void *variable, size_t size)
{
	static char room[3 << 16] __attribute__((aligned(1 << 16)));
	size_t page = (size_t)getpagesize();

	munmap(room + page, page);
	return memcpy(room + page - size, variable, size);
}

static pthread_barrier_t ready;
static void *in_frame, *in_thread;

/* Keeps the object in its frame, and nowhere else. */
void *__attribute__((noinline)) blocked_in_c(void *unused)
{
	void *volatile held[3] = {(void *)1, in_frame, (void *)2};

	(void)unused;
	holder_local = in_thread;
	in_frame = in_thread = NULL;
	pthread_setname_np(pthread_self(), "holder");
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
	return held[0];
}

void hold_in_thread(void *object, void *local)
{
	pthread_t thread;

	in_frame = object;
	in_thread = local;
	pthread_barrier_init(&ready, NULL, 2);
	pthread_create(&thread, NULL, blocked_in_c, NULL);
	pthread_barrier_wait(&ready);
}

#ifdef __x86_64__
static void *in_register;
static volatile int is_in_register;

/* Keeps the object in a register, and nowhere else. */
static void *blocked_in_register(void *unused)
{
	__asm__ volatile("movq %0, %%r12\n\t"
			 "movq $0, %0\n\t"
			 "movl $1, %1\n"
			 "1:\tmovl $34, %%eax\n\t" /* pause */
			 "syscall\n\t"
			 "jmp 1b"
			 : "+m"(in_register), "=m"(is_in_register)
			 :
			 : "r12", "rax", "rcx", "r11", "memory");
	return unused;
}

void hold_in_register(void *object)
{
	pthread_t thread;

	in_register = object;
	pthread_create(&thread, NULL, blocked_in_register, NULL);
	while (!is_in_register)
		sched_yield();
}
#endif
