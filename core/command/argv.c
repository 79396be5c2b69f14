#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "base/vec.h"
#include "command/args.h"

typedef PYR_VEC(char *) word_list;

static bool finish_word(word_list *list, struct pyr_strbuf *word)
{
	char *text = pyr_strbuf_take(word);

	if (!text)
		return false;
	if (!pyr_vec_push(list, text)) {
		free(text);
		return false;
	}
	return true;
}

/* One word from *@line on, quotes removed. Answers the quote that did not end, or 0. */
static char one_word(const char **line, struct pyr_strbuf *word)
{
	const char *p = *line;
	char quote = 0;

	pyr_strbuf_add(word, "");
	for (; *p && (quote || !strchr(" \t\r\n", *p)); p++) {
		if (!quote && (*p == '\'' || *p == '"'))
			quote = *p;
		else if (quote && *p == quote)
			quote = 0;
		else if (*p == '\\' && p[1] && quote != '\'' &&
			 (!quote || p[1] == '"' || p[1] == '\\' || p[1] == '$' || p[1] == '`'))
			pyr_strbuf_add_char(word, *++p);
		else
			pyr_strbuf_add_char(word, *p);
	}
	*line = p;
	return quote;
}

pyr_error *pyr_argv_split(const char *line, bool lenient, struct pyr_argv *ret)
{
	struct pyr_argv words = {0};
	struct pyr_strbuf word = {0};
	word_list list = {0};
	pyr_error *err = NULL;
	size_t i, blanks;
	char quote;

	while (!err) {
		blanks = strspn(line, " \t\r\n");
		line += blanks;
		if (blanks)
			words.open = false;
		if (!*line)
			break;
		quote = one_word(&line, &word);
		words.open = !*line;
		if (quote && !lenient)
			err = pyr_error_create(PYR_E_USAGE, "the quote %c is not closed", quote);
		else if (!finish_word(&list, &word))
			err = pyr_error_no_memory();
	}
	if (!err && !pyr_vec_push(&list, NULL))
		err = pyr_error_no_memory();
	pyr_strbuf_deinit(&word);
	if (err) {
		for (i = 0; i < list.count; i++)
			free(list.data[i]);
		pyr_vec_deinit(&list);
		return err;
	}
	words.argv = list.data;
	words.argc = (int)list.count - 1;
	*ret = words;
	return NULL;
}

void pyr_argv_deinit(struct pyr_argv *words)
{
	int i;

	for (i = 0; i < words->argc; i++)
		free(words->argv[i]);
	free(words->argv);
	memset(words, 0, sizeof(*words));
}
