/* The memory that objects own apart from themselves, in a process of every CPython here:
 * planted objects own what they must, of the size that they must, and every buffer outside
 * of pymalloc is exactly one chunk of malloc's, which knows nothing of Python. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "objects/buffers.h"
#include "native/glibc.h"
#include "opened.h"

/* "BUFFER| ADDRESS SMALLEST LARGEST", then "end". */
static const char script[] =
	"import sys, gc, array, collections, ctypes, decimal, io, itertools, struct, queue\n"
	"import xml.etree.ElementTree as ET\n"
	"held = []\n"
	"def plant(o, name, least, most=0):\n"
	"    held.append(o); print(name + '|', id(o), least, most or least * 3 // 2 + 64)\n"
	"for n in (10, 1000, 100000):\n"
	"    plant([0] * n, 'ob_item', 8 * n)\n"
	"    plant(dict.fromkeys(range(n)), 'ma_keys', 25 * n, 90 * n + 400)\n"
	"    plant(dict.fromkeys(map(str, range(n))), 'ma_keys', 17 * n, 90 * n + 400)\n"
	"    plant(set(range(n)), 'table', 16 * n, 160 * n)\n"
	"    plant(frozenset(range(n)), 'table', 16 * n, 160 * n)\n"
	"    plant(collections.OrderedDict.fromkeys(range(n)), 'od_fast_nodes', 8 * n, 64 * n)\n"
	"    plant(collections.OrderedDict.fromkeys(range(n)), 'ma_keys', 25 * n, 90 * n + 400)\n"
	"    plant(collections.OrderedDict.fromkeys(range(n)), 'node', 32)\n"
	"    plant(collections.defaultdict(int, {i: 1 for i in range(n)}), 'ma_keys', 25 * n,\n"
	"          90 * n + 400)\n"
	"    plant(collections.deque(range(n)), 'block', 528)\n"
	"    plant(array.array('d', range(n)), 'array items', 8 * n)\n"
	"    plant(array.array('B', b'x' * n), 'array items', n)\n"
	"    plant(itertools.combinations(range(n), n), 'indices', 8 * n)\n"
	"    plant(itertools.product(*[[1]] * n), 'indices', 8 * n) if n < 10000 else 0\n"
	"    plant(decimal.Decimal('7' * 100 * n), 'decimal data', 40 * n, 60 * n + 400)\n"
	"    plant(struct.Struct('i' * n), 's_codes', 32, 64 * n)\n"
	"    plant((ctypes.c_char * n)(), 'b_ptr', n) if n > 16 else 0\n"
	"    if sys.version_info < (3, 15): plant(bytearray(n), 'ob_bytes', n, 2 * n)\n"
	"    s = u'\\u1234' * n; len(s.encode())\n"
	"    ctypes.pythonapi.PyUnicode_AsUTF8AndSize.argtypes = [ctypes.py_object, "
	"ctypes.c_void_p]\n"
	"    ctypes.pythonapi.PyUnicode_AsUTF8AndSize(s, None); plant(s, 'utf8', 3 * n + 1)\n"
	"    e = ET.Element('a'); [ET.SubElement(e, 'b') for i in range(n)]\n"
	"    plant(e, 'children', 8 * n, 12 * n + 100); plant(e, 'extra', 24, 80)\n"
	"    b = io.StringIO('y' * n); b.read(); b.write('z'); plant(b, 'StringIO buf', 4 * n, 8 * "
	"n)\n"
	"    class S(str): pass\n"
	"    plant(S('x' * n), 'data', n + 1)\n"
	"class C(object):\n"
	"    def __init__(self): self.a = self.b = self.c = 1\n"
	"xs = [C() for i in range(10)]; d = xs[1].__dict__\n"
	"f = open(sys.executable, 'rb'); f.read(1); plant(f, 'buffer', 4096, 1 << 20)\n"
	"plant(C, 'ht_cached_keys', 100, 1000)\n"
	"if sys.version_info < (3, 11): plant(d, 'ma_values', 24, 240)\n"
	"if (3, 11) <= sys.version_info < (3, 13): plant(xs[2], 'values', 24, 300)\n"
	"try:\n"
	"    import numpy\n"
	"    for n in (10, 100000):\n"
	"        plant(numpy.zeros(n), 'ndarray data', 8 * n); plant(numpy.zeros((n, 2)), "
	"'dimensions', 32)\n"
	"        v = numpy.ones(n)[1:]; plant(v.base, 'ndarray data', 8 * n)\n"
	"except ImportError: pass\n"
	"gc.collect(); print('end 0 0 0'); sys.stdout.flush(); sys.stdin.readline()\n";

struct subject {
	const struct python *python;
	struct pyr_heap *heap;
	struct pyr_reader *reader;
	struct pyr_buffer_source source;
	struct pyr_buffers all, outside;
	/* the buffer that is looked for */
	const char *name;
	uint64_t least, most;
	unsigned matches, wrong;
	uint32_t owner;
};

static void wrong(struct subject *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void wrong(struct subject *s, const char *format, ...)
{
	char text[300];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (s->wrong++ < 20)
		print_error("%s: %s: %s\n", s->python->name, s->name, text);
}

static void match(void *ctx, pyr_addr start, uint64_t size, enum pyr_buffer_name name)
{
	struct subject *s = ctx;
	const struct pyr_buffer *b = pyr_buffers_at(&s->all, start);

	if (strcmp(pyr_buffer_name(name), s->name))
		return;
	if (size < s->least || size > s->most)
		wrong(s, "a size of %" PRIu64 " bytes, not %" PRIu64 "-%" PRIu64, size, s->least,
		      s->most);
	if (!b || b->start != start || b->owner != s->owner || b->name != name)
		wrong(s, "0x%" PRIx64 " is not in the list of buffers", start);
	s->matches++;
}

static void look_for(struct subject *s, pyr_addr addr)
{
	s->owner = pyr_heap_id(s->heap, addr);
	if (s->owner == PYR_NO_ID)
		wrong(s, "0x%" PRIx64 " is not in the heap", addr);
	s->matches = 0;
	pyr_object_buffers(&s->source, s->reader,
			   pyr_types_at(s->heap->types, s->heap->type[s->owner]), addr, match, s);
	if (!s->matches)
		wrong(s, "0x%" PRIx64 " owns none", addr);
}

struct chunks {
	struct subject *s;
	const struct pyr_buffer *next;
	uint64_t in_use, owned, objects, buffers;
	uint64_t heads; /* of the debug allocators, that of PyMem and that of PyMem_Raw */
};

static bool chunk(void *ctx, pyr_addr memory, uint64_t size, enum pyr_chunk_state state,
		  size_t arena)
{
	struct chunks *c = ctx;
	const struct pyr_buffer *end = c->s->outside.data + c->s->outside.count, *b;
	struct pyr_allocation a;

	(void)arena;
	while (c->next < end && c->next->end <= memory)
		c->next++;
	pyr_buffers_allocation(&c->s->outside, c->s->heap, memory, memory + size - 8, &a);
	if (state == PYR_CHUNK_IN_USE) {
		c->in_use += size;
		if (a.object || a.buffer)
			c->owned += size;
	}
	c->objects += a.object;
	for (b = c->next; b < end && b->start < memory + size - 8; b++) {
		if (b->start - memory > c->heads || b->end > memory + size - 8 ||
		    state != PYR_CHUNK_IN_USE)
			wrong(c->s,
			      "%s at 0x%" PRIx64 " of %" PRIu64
			      " bytes is not the chunk at 0x%" PRIx64 " of %" PRIu64
			      " bytes (state %d)",
			      pyr_buffer_name(b->name), b->start, b->end - b->start, memory,
			      size - 8, state);
		c->buffers++;
	}
	return true;
}

static void examine(const struct python *python)
{
	struct subject s = {.python = python};
	struct chunks chunks = {.s = &s};
	struct pyr_glibc glibc;
	struct opened o;
	struct python_process process;
	char line[200], name[100];
	uint64_t addr;
	unsigned planted = 0;
	size_t i;

	python_start(python, script, &process);
	PYR_VEC(char *) lines = {0};
	while (fgets(line, sizeof(line), process.out) && strncmp(line, "end", 3))
		assert_true(pyr_vec_push(&lines, strdup(line)));
	assert_true(lines.count > 50);
	opened_process(&o, python, process.pid);
	opened_heap(&o);
	s.heap = o.heap;
	s.reader = &o.python->reader;
	assert_null(pyr_buffer_source_init(o.types, &s.source));
	assert_null(pyr_buffers_build(s.heap, &o.control, true, &s.all));
	assert_null(pyr_buffers_build(s.heap, &o.control, false, &s.outside));
	assert_true(s.outside.count < s.all.count);
	for (i = 1; i < s.all.count; i++)
		assert_true(s.all.data[i - 1].end <= s.all.data[i].start);
	for (i = 0; i < lines.count; i++) {
		assert_int_equal(sscanf(lines.data[i], "%99[^|]| %" SCNu64 " %" SCNu64 " %" SCNu64,
					name, &addr, &s.least, &s.most),
				 4);
		s.name = name;
		look_for(&s, addr);
		planted++;
		free(lines.data[i]);
	}
	pyr_vec_deinit(&lines);
	assert_null(pyr_glibc_read(o.target, s.reader, &glibc));
	assert_true(glibc.arenas.count >= 1);
	s.name = "chunks";
	chunks.heads = o.python->debug_allocator ? 32 : 0;
	chunks.next = s.outside.data;
	assert_null(pyr_glibc_walk(&glibc, s.reader,
				   &(struct pyr_glibc_visitor){.chunk = chunk, .ctx = &chunks}));
	print_message("  %s: %u planted, %zu buffers; %" PRIu64 " of %" PRIu64
		      " bytes in malloc's chunks are Python's (%" PRIu64 " objects, %" PRIu64
		      " buffers)\n",
		      python->name, planted, s.all.count, chunks.owned, chunks.in_use,
		      chunks.objects, chunks.buffers);
	assert_true(chunks.buffers > 30);
	assert_true(chunks.owned > chunks.in_use / 2);
	assert_int_equal(s.wrong, 0);
	pyr_glibc_deinit(&glibc);
	pyr_buffers_deinit(&s.all);
	pyr_buffers_deinit(&s.outside);
	pyr_buffer_source_deinit(&s.source);
	opened_close(&o);
	python_finish(&process);
}

static void buffers_are_chunks(void **state)
{
	(void)state;
	pythons_each(examine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(buffers_are_chunks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
