/* Command lines: parsed against the table, suggested, completed, refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/args.h"
#include "command/session.h"
#include "base/strbuf.h"

static pyr_error *parse(struct pyr_args *args, const char *line)
{
	static struct pyr_argv words; /* pyr_args borrows its strings until the next call */

	pyr_argv_deinit(&words);
	assert_null(pyr_argv_split(line, false, &words));
	return pyr_args_parse(args, words.argc, (const char *const *)words.argv);
}

static void refused(const char *line, const char *because)
{
	struct pyr_args args;
	pyr_error *err = parse(&args, line);

	assert_non_null(err);
	assert_int_equal(err->code, PYR_E_USAGE);
	if (!strstr(err->message, because))
		fail_msg("%s: '%s' does not say '%s'", line, err->message, because);
	pyr_error_destroy(err);
	pyr_args_deinit(&args);
}

static void values_are_checked(void **state)
{
	struct pyr_args args;

	(void)state;
	assert_null(parse(&args, "census --by module --match '^a|b$' --generation=2 --limit 0"));
	assert_int_equal(args.options[PYR_OPT_census_by].number, 1);
	assert_int_equal(args.options[PYR_OPT_census_generation].number, 2);
	assert_true(args.options[PYR_OPT_limit].given);
	assert_int_equal(args.options[PYR_OPT_limit].number, 0);
	assert_true(pyr_value_matches(&args.options[PYR_OPT_census_match], "ab"));
	assert_false(pyr_value_matches(&args.options[PYR_OPT_census_match], "bc"));
	assert_false(args.wants_json);
	pyr_args_deinit(&args);

	assert_null(parse(&args, "census"));
	assert_int_equal(args.options[PYR_OPT_census_by].number, 0);
	assert_false(args.options[PYR_OPT_census_by].given);
	assert_true(pyr_value_matches(&args.options[PYR_OPT_census_match], "anything"));
	pyr_args_deinit(&args);

	assert_null(parse(&args, "object 0x7f3c5a1b2e40 --json -o x"));
	assert_int_equal(args.arguments[0].number, 0x7f3c5a1b2e40);
	assert_string_equal(args.options[PYR_OPT_output].text, "x");
	assert_true(args.wants_json);
	pyr_args_deinit(&args);

	assert_null(parse(&args, "object -ofile 18446744073709551615"));
	assert_true(args.arguments[0].number == UINT64_MAX);
	assert_string_equal(args.options[PYR_OPT_output].text, "file");
	pyr_args_deinit(&args);

	assert_null(parse(&args, "find --min-size 2k --attr user=^a"));
	assert_int_equal(args.options[PYR_OPT_find_min_size].number, 2048);
	assert_string_equal(args.options[PYR_OPT_find_attr].name, "user");
	assert_true(pyr_value_matches(&args.options[PYR_OPT_find_attr], "ab"));
	pyr_args_deinit(&args);

	assert_null(parse(&args, "find --min-size 1MiB"));
	assert_int_equal(args.options[PYR_OPT_find_min_size].number, 1 << 20);
	pyr_args_deinit(&args);
}

static void wrong_usage_is_told(void **state)
{
	(void)state;
	refused("cenus", "did you mean census?");
	refused("xyzzy", "no command 'xyzzy'");
	refused("census --mtach x", "did you mean --match?");
	refused("census --zzz", "no option --zzz");
	refused("census --by shape", "type|module|size");
	refused("census --by", "wants a value");
	refused("census --limit many", "not a number");
	refused("census --limit -3", "not a number");
	refused("census --limit 99999999999999999999999", "not a number");
	refused("census --generation 3", "0, 1 or 2");
	refused("census --match '('", "--match");
	refused("census stray", "one argument too many");
	refused("census --json=yes", "takes no value");
	refused("object", "ADDR is missing");
	refused("object spam", "not an address");
	refused("object 0x10 0x20", "one argument too many");
	refused("find --min-size 99999999999g", "number of bytes");
	refused("find --attr =x", "NAME");
	refused("stack main", "thread");
}

static void json_is_wanted_even_when_the_rest_is_wrong(void **state)
{
	struct pyr_args args;
	pyr_error *err = parse(&args, "census --nonsense --json");

	(void)state;
	assert_non_null(err);
	assert_true(args.wants_json);
	pyr_error_destroy(err);
	pyr_args_deinit(&args);
}

static void split(const char *line, int argc, const char *last)
{
	struct pyr_argv words;

	assert_null(pyr_argv_split(line, false, &words));
	assert_int_equal(words.argc, argc);
	if (argc)
		assert_string_equal(words.argv[argc - 1], last);
	assert_null(words.argv[argc]);
	pyr_argv_deinit(&words);
}

static void lines_split_as_in_a_shell(void **state)
{
	struct pyr_argv words;
	pyr_error *err;

	(void)state;
	split("", 0, NULL);
	split(" \t\n", 0, NULL);
	split("a b  c\n", 3, "c");
	split("a 'b c'", 2, "b c");
	split("a \"b \\\"c\\\" \\n\"", 2, "b \"c\" \\n");
	split("a 'it\\'", 2, "it\\");
	split("a b\\ c", 2, "b c");
	split("a ''", 2, "");
	split("--match='^a b$'", 1, "--match=^a b$");
	split("trailing\\", 1, "trailing\\");
	err = pyr_argv_split("a 'b", false, &words);
	assert_non_null(err);
	pyr_error_destroy(err);
	assert_null(pyr_argv_split("a 'b", true, &words));
	assert_true(words.open);
	pyr_argv_deinit(&words);
	assert_null(pyr_argv_split("a b ", true, &words));
	assert_false(words.open);
	pyr_argv_deinit(&words);
}

static void collect(void *ctx, const char *word)
{
	struct pyr_strbuf *all = ctx;

	pyr_strbuf_printf(all, "%s ", word);
}

static void completes(const char *line, const char *expected)
{
	pyr_session *session = pyr_session_create();
	struct pyr_strbuf all = {0};

	pyr_complete(session, line, collect, &all);
	assert_string_equal(pyr_strbuf_str(&all), expected);
	pyr_strbuf_deinit(&all);
	pyr_session_destroy(session);
}

static void words_complete(void **state)
{
	(void)state;
	completes("c", "census cycles ");
	completes("ce", "census ");
	completes("ob", "object ");
	completes("census --b", "--by ");
	completes("census --by ", "type module size ");
	completes("census --by m", "module ");
	completes("census --by=s", "--by=size ");
	completes("census --generation ", "0 1 2 ");
	completes("help th", "threads ");
	completes("census --match x --by t", "type ");
	completes("nonsense --", "");
	completes("object 0x1", "");
}

/* What the debuggers' adapters ask. */
static void the_table_answers(void **state)
{
	pyr_session *session = pyr_session_create();
	size_t i;

	(void)state;
	assert_int_equal(pyr_command_address_arguments("object"), 1);
	assert_int_equal(pyr_command_address_arguments("census"), 0);
	assert_int_equal(pyr_command_address_arguments("nonsense"), 0);
	assert_int_equal(pyr_option_is_address("find", "--in"), 1);
	assert_int_equal(pyr_option_is_address("find", "in"), 1);
	assert_int_equal(pyr_option_is_address("find", "--type"), 0);
	assert_int_equal(pyr_option_takes_value("find", "--type"), 1);
	assert_int_equal(pyr_option_takes_value("find", "-o"), 1);
	assert_int_equal(pyr_option_takes_value("find", "--json"), 0);
	assert_int_equal(pyr_option_takes_value("find", "--nonsense"), -1);
	assert_null(pyr_command_name(pyr_command_count()));
	for (i = 0; i < pyr_command_count(); i++) {
		assert_true(strlen(pyr_command_summary(i)) > 10);
		assert_non_null(strstr(pyr_help(session, pyr_command_name(i)), "usage: "));
		assert_non_null(strstr(pyr_help(session, NULL), pyr_command_name(i)));
	}
	assert_null(pyr_help(session, "nonsense"));
	pyr_session_destroy(session);
}

struct capture {
	struct pyr_strbuf text[3];
};

static void capture_write(void *ctx, int stream, const char *text, size_t length)
{
	struct capture *capture = ctx;

	pyr_strbuf_add_bytes(&capture->text[stream], text, length);
}

static int run(pyr_session *session, const char *line, struct capture *capture)
{
	struct pyr_sink sink = {.ctx = capture, .write = capture_write};
	int i;

	for (i = 0; i < 3; i++)
		pyr_strbuf_clear(&capture->text[i]);
	return pyr_run_line(session, line, &sink);
}

static void statuses_and_errors(void **state)
{
	pyr_session *session = pyr_session_create();
	struct capture c = {0};

	(void)state;
	assert_int_equal(run(session, "help", &c), 0);
	assert_int_equal(c.text[2].length, 0);
	assert_int_equal(run(session, "help census --json", &c), 0);
	assert_non_null(strstr(pyr_strbuf_str(&c.text[1]), "\"command\": \"help\""));
	assert_int_equal(run(session, "help nonsense", &c), 2);
	assert_int_equal(c.text[1].length, 0);
	assert_int_equal(run(session, "census", &c), 2); /* nothing to look at */
	assert_non_null(strstr(pyr_strbuf_str(&c.text[2]), "-c CORE"));
	assert_int_equal(run(session, "", &c), 2);
	assert_int_equal(run(session, "census 'open", &c), 2);

	assert_int_equal(pyr_session_use_core(session, "/nonexistent/core"), 0);
	assert_int_equal(run(session, "census", &c), 1);
	assert_int_equal(c.text[1].length, 0);
	assert_non_null(strstr(pyr_strbuf_str(&c.text[2]), "pyretain: census: "));
	assert_int_equal(run(session, "census --json", &c), 1);
	assert_int_equal(strncmp(pyr_strbuf_str(&c.text[2]), "{\"error\": {\"code\": ", 19), 0);
	/* one line */
	assert_ptr_equal(strchr(pyr_strbuf_str(&c.text[2]), '\n') + 1,
			 c.text[2].data + c.text[2].length);
	assert_int_equal(pyr_result_count(session), 0);
	pyr_strbuf_deinit(&c.text[1]);
	pyr_strbuf_deinit(&c.text[2]);
	pyr_session_destroy(session);
}

static void options_of_the_session(void **state)
{
	pyr_session *session = pyr_session_create();

	(void)state;
	assert_int_equal(pyr_session_option(session, "exe", "/bin/x"), 0);
	assert_string_equal(session->options.exe, "/bin/x");
	assert_int_equal(pyr_session_option(session, "exe", NULL), 0);
	assert_null(session->options.exe);
	assert_int_equal(pyr_session_option(session, "no-stop", NULL), 0);
	assert_true(session->options.no_stop);
	assert_int_equal(pyr_session_option(session, "no-stop", "0"), 0);
	assert_false(session->options.no_stop);
	assert_int_equal(pyr_session_option(session, "max-pause", "0.25"), 0);
	assert_true(session->options.max_pause == 0.25);
	assert_int_equal(pyr_session_option(session, "max-pause", "soon"), -1);
	assert_int_equal(pyr_session_option(session, "max-pause", "nan"), -1);
	assert_int_equal(pyr_session_option(session, "max-pause", "-1"), -1);
	assert_int_equal(pyr_session_option(session, "force", "perhaps"), -1);
	assert_int_equal(pyr_session_option(session, "nonsense", "1"), -1);
	assert_int_equal(pyr_debugger_add_mapping(session, 0, 1, "r", 0, NULL), -1);
	pyr_session_destroy(session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(wrong_usage_is_told),
		cmocka_unit_test(json_is_wanted_even_when_the_rest_is_wrong),
		cmocka_unit_test(lines_split_as_in_a_shell),
		cmocka_unit_test(words_complete),
		cmocka_unit_test(the_table_answers),
		cmocka_unit_test(statuses_and_errors),
		cmocka_unit_test(options_of_the_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
