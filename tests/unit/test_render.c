/* What is shown: units, clean text, tables that fit, JSON that parses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "render/json.h"
#include "render/out.h"
#include "render/table.h"
#include "render/text.h"
#include "render/units.h"

struct capture {
	struct pyr_strbuf text[3];
};

static void capture_write(void *ctx, int stream, const char *text, size_t length)
{
	struct capture *capture = ctx;

	pyr_strbuf_add_bytes(&capture->text[stream], text, length);
}

static void begin(struct capture *capture, struct pyr_sink *sink, struct pyr_out *out, int width)
{
	memset(capture, 0, sizeof(*capture));
	memset(sink, 0, sizeof(*sink));
	sink->ctx = capture;
	sink->write = capture_write;
	sink->width = width;
	pyr_out_init(out, sink, 1);
}

static void expect(struct capture *capture, struct pyr_out *out, const char *text)
{
	assert_null(pyr_out_finish(out));
	assert_string_equal(pyr_strbuf_str(&capture->text[1]), text);
	pyr_out_deinit(out);
	pyr_strbuf_deinit(&capture->text[1]);
}

static void units(void **state)
{
	(void)state;
	assert_string_equal(pyr_bytes(0).text, "0 B");
	assert_string_equal(pyr_bytes(1023).text, "1023 B");
	assert_string_equal(pyr_bytes(1024).text, "1.0 KiB");
	assert_string_equal(pyr_bytes(1536).text, "1.5 KiB");
	assert_string_equal(pyr_bytes((UINT64_C(1) << 20) - 1).text, "1.0 MiB");
	assert_string_equal(pyr_bytes(UINT64_MAX).text, "16.0 EiB");
	assert_string_equal(pyr_count(0).text, "0");
	assert_string_equal(pyr_count(999).text, "999");
	assert_string_equal(pyr_count(1000).text, "1,000");
	assert_string_equal(pyr_count(12345678).text, "12,345,678");
	assert_string_equal(pyr_count(UINT64_MAX).text, "18,446,744,073,709,551,615");
	assert_string_equal(pyr_counted(1, "object", "objects").text, "1 object");
	assert_string_equal(pyr_counted(1000, "object", "objects").text, "1,000 objects");
	assert_string_equal(pyr_release_count(1, 3).text, "33.3 %");
	assert_string_equal(pyr_release_count(1, 0).text, "-");
	assert_string_equal(pyr_address(UINT64_MAX).text, "0xffffffffffffffff");
	assert_string_equal(pyr_duration(870000).text, "0.87 ms");
	assert_string_equal(pyr_duration(12300000).text, "12.3 ms");
}

static void clean(const char *text, size_t length, const char *expected)
{
	struct pyr_strbuf out = {0};

	pyr_text_clean(&out, text, length, false);
	assert_string_equal(pyr_strbuf_str(&out), expected);
	pyr_strbuf_deinit(&out);
}

static void hostile_text_is_made_safe(void **state)
{
	(void)state;
	clean("plain", 5, "plain");
	clean("héllo 日本 😀", strlen("héllo 日本 😀"), "héllo 日本 😀");
	clean("\033[31mred", 8, "\\x1b[31mred");
	clean("a\nb\tc", 5, "a\\nb\\tc");
	clean("\xff\xfe", 2, "\\xff\\xfe");
	clean("\xc0\xaf", 2, "\\xc0\\xaf");                   /* overlong */
	clean("\xed\xa0\x80", 3, "\\xed\\xa0\\x80");          /* surrogate */
	clean("\xe2\x82", 2, "\\xe2\\x82");                   /* cut off */
	clean("\xf4\x90\x80\x80", 4, "\\xf4\\x90\\x80\\x80"); /* beyond U+10FFFF */
	clean("\xe2\x80\xae", 3, "\\u202e");                  /* right-to-left override */
	clean("\xc2\x9b", 2, "\\x9b");                        /* CSI of eight-bit terminals */
}

static void fit(const char *text, size_t columns, enum pyr_cut cut, const char *expected)
{
	struct pyr_strbuf out = {0};

	pyr_text_fit(&out, text, strlen(text), columns, cut);
	assert_string_equal(pyr_strbuf_str(&out), expected);
	assert_true(pyr_text_columns(pyr_strbuf_str(&out), out.length) <= columns);
	pyr_strbuf_deinit(&out);
}

static void text_is_cut_by_columns(void **state)
{
	(void)state;
	assert_int_equal(pyr_text_columns("日本", strlen("日本")), 4);
	assert_int_equal(pyr_text_columns("e\xcc\x81", 3), 1); /* e, combining acute */
	fit("abcdef", 6, PYR_CUT_END, "abcdef");
	fit("abcdef", 4, PYR_CUT_END, "abc…");
	fit("abcdef", 4, PYR_CUT_START, "…def");
	fit("日本語", 5, PYR_CUT_END, "日本…");
	fit("日本語", 4, PYR_CUT_END, "日…");
	fit("abcdef", 0, PYR_CUT_END, "");
}

static void paragraphs_are_wrapped(void **state)
{
	struct pyr_strbuf out = {0};

	(void)state;
	pyr_text_wrap(&out, "one two three\n\nfour\n  kept  as it is", 8, 0);
	assert_string_equal(pyr_strbuf_str(&out), "one two\nthree\n\nfour\n  kept  as it is\n");
	pyr_strbuf_deinit(&out);
}

static const struct pyr_column columns[] = {
	{"NAME", false, true, PYR_CUT_START},
	{"N", true, false, PYR_CUT_END},
	{"VALUE", false, true, PYR_CUT_END},
};

static void tables_align(void **state)
{
	struct capture capture;
	struct pyr_table table;
	struct pyr_sink sink;
	struct pyr_out out;

	(void)state;
	begin(&capture, &sink, &out, 0);
	pyr_table_init(&table, &out, columns, 3);
	pyr_table_text(&table, "日本");
	pyr_table_cell(&table, "%d", 5);
	pyr_table_text(&table, "x");
	pyr_table_text(&table, "a\033b");
	pyr_table_cell(&table, "%d", 1234);
	pyr_table_text(&table, "");
	pyr_table_finish(&table);
	expect(&capture, &out,
	       "  NAME       N  VALUE\n"
	       "  日本       5  x\n"
	       "  a\\x1bb  1234\n");
}

static void tables_fit_the_terminal(void **state)
{
	struct capture capture;
	struct pyr_table table;
	struct pyr_sink sink;
	struct pyr_out out;

	(void)state;
	begin(&capture, &sink, &out, 40);
	pyr_table_init(&table, &out, columns, 3);
	pyr_table_text(&table, "some.very.long.module.name.Type");
	pyr_table_cell(&table, "%d", 123);
	pyr_table_text(&table, "a value that is much too long");
	pyr_table_finish(&table);
	expect(&capture, &out,
	       "  NAME            N  VALUE\n"
	       "  …e.name.Type  123  a value that is mu…\n");
}

/* Memory stays bounded: more rows than are kept, and all of them come out. */
static void long_tables_stream(void **state)
{
	struct capture capture;
	struct pyr_table table;
	struct pyr_sink sink;
	struct pyr_out out;
	const char *line;
	int i, lines = 0;

	(void)state;
	begin(&capture, &sink, &out, 0);
	pyr_table_init(&table, &out, columns, 3);
	for (i = 0; i < (int)PYR_TABLE_ROWS * 2 + 7; i++) {
		pyr_table_text(&table, "n");
		pyr_table_cell(&table, "%d", i);
		pyr_table_text(&table, "v");
		assert_true(table.ends.count <= PYR_TABLE_ROWS * 3);
	}
	pyr_table_finish(&table);
	assert_null(pyr_out_finish(&out));
	for (line = pyr_strbuf_str(&capture.text[1]); (line = strchr(line, '\n')); line++)
		lines++;
	assert_int_equal(lines, 1 + (int)PYR_TABLE_ROWS * 2 + 7);
	pyr_out_deinit(&out);
	pyr_strbuf_deinit(&capture.text[1]);
}

static void json_is_json(void **state)
{
	struct capture capture;
	struct pyr_json json;
	struct pyr_sink sink;
	struct pyr_out out;

	(void)state;
	begin(&capture, &sink, &out, 0);
	pyr_json_init(&json, &out);
	pyr_json_begin_object(&json, NULL);
	pyr_json_string(&json, "text", "a\"b\\c\n\x01\xff日");
	pyr_json_string(&json, "nothing", NULL);
	pyr_json_uint(&json, "big", UINT64_MAX);
	pyr_json_int(&json, "small", INT64_MIN);
	pyr_json_bool(&json, "yes", true);
	pyr_json_address(&json, "address", 0x7f00);
	pyr_json_address(&json, "none", 0);
	pyr_json_real(&json, "nan", 0.0 / 0.0);
	pyr_json_begin_list(&json, "rows");
	pyr_json_begin_object(&json, NULL);
	pyr_json_uint(&json, "n", 1);
	pyr_json_begin_list(&json, "empty");
	pyr_json_end_list(&json);
	pyr_json_end_object(&json);
	pyr_json_uint(&json, NULL, 2);
	pyr_json_end_list(&json);
	pyr_json_end_object(&json);
	expect(&capture, &out,
	       "{\n"
	       "  \"text\": \"a\\\"b\\\\c\\n\\u0001\\ufffd日\",\n"
	       "  \"nothing\": null,\n"
	       "  \"big\": 18446744073709551615,\n"
	       "  \"small\": -9223372036854775808,\n"
	       "  \"yes\": true,\n"
	       "  \"address\": \"0x7f00\",\n"
	       "  \"none\": null,\n"
	       "  \"nan\": null,\n"
	       "  \"rows\": [\n"
	       "    {\"n\": 1, \"empty\": []},\n"
	       "    2\n"
	       "  ]\n"
	       "}\n");
}

static void json_depth_is_bounded(void **state)
{
	struct capture capture;
	struct pyr_json json;
	struct pyr_sink sink;
	struct pyr_out out;
	int i;

	(void)state;
	begin(&capture, &sink, &out, 0);
	pyr_json_init(&json, &out);
	for (i = 0; i < 100; i++)
		pyr_json_begin_list(&json, NULL);
	for (i = 0; i < 100; i++)
		pyr_json_end_list(&json);
	assert_null(pyr_out_finish(&out));
	pyr_out_deinit(&out);
	pyr_strbuf_deinit(&capture.text[1]);
}

static void output_to_a_file(void **state)
{
	char path[] = "/tmp/pyretain-test-XXXXXX", text[64];
	struct capture capture;
	struct pyr_sink sink;
	struct pyr_out out;
	pyr_error *err;
	FILE *file;
	size_t n;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "what stood there before", 23), 23);
	close(fd);
	begin(&capture, &sink, &out, 80);
	assert_null(pyr_out_to_file(&out, path));
	assert_int_equal(out.width, 0);
	pyr_out_printf(&out, "%s", "new");
	assert_null(pyr_out_finish(&out));
	pyr_out_deinit(&out);
	assert_int_equal(capture.text[1].length, 0);
	file = fopen(path, "r");
	assert_non_null(file);
	n = fread(text, 1, sizeof(text), file);
	fclose(file);
	assert_int_equal(n, 3);
	unlink(path);

	/* a file that nothing was written to is not left behind */
	begin(&capture, &sink, &out, 80);
	assert_null(pyr_out_to_file(&out, path));
	pyr_out_deinit(&out);
	assert_int_equal(access(path, F_OK), -1);

	begin(&capture, &sink, &out, 80);
	err = pyr_out_to_file(&out, "/nonexistent/directory/file");
	assert_non_null(err);
	pyr_error_destroy(err);
	pyr_out_deinit(&out);

	/* a full disk is an error, told once */
	begin(&capture, &sink, &out, 80);
	assert_null(pyr_out_to_file(&out, "/dev/full"));
	pyr_out_text(&out, "text");
	err = pyr_out_finish(&out);
	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_NO_SPACE);
	pyr_error_destroy(err);
	pyr_out_deinit(&out);
}

static void colours_only_when_wanted(void **state)
{
	struct capture capture;
	struct pyr_sink sink;
	struct pyr_out out;

	(void)state;
	begin(&capture, &sink, &out, 0);
	pyr_out_styled(&out, PYR_STYLE_STRONG, "%s", "x\033[2J");
	expect(&capture, &out, "x\\x1b[2J");
	begin(&capture, &sink, &out, 0);
	out.color = true;
	pyr_out_styled(&out, PYR_STYLE_STRONG, "%s", "x");
	expect(&capture, &out, "\033[1mx\033[0m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(units),
		cmocka_unit_test(hostile_text_is_made_safe),
		cmocka_unit_test(text_is_cut_by_columns),
		cmocka_unit_test(paragraphs_are_wrapped),
		cmocka_unit_test(tables_align),
		cmocka_unit_test(tables_fit_the_terminal),
		cmocka_unit_test(long_tables_stream),
		cmocka_unit_test(json_is_json),
		cmocka_unit_test(json_depth_is_bounded),
		cmocka_unit_test(output_to_a_file),
		cmocka_unit_test(colours_only_when_wanted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
