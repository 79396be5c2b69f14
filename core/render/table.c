#include "render/table.h"

#include <string.h>

#define INDENT 2u
#define GAP 2u
#define NARROWEST 12u

void pyr_table_init(struct pyr_table *table, struct pyr_out *out, const struct pyr_column *columns,
		    size_t count)
{
	memset(table, 0, sizeof(*table));
	table->out = out;
	table->columns = columns;
	table->count = count < PYR_TABLE_COLUMNS ? count : PYR_TABLE_COLUMNS;
}

static const char *cell(const struct pyr_table *table, size_t index, size_t *length)
{
	size_t begin = index ? table->ends.data[index - 1] : 0;

	*length = table->ends.data[index] - begin;
	return pyr_strbuf_str(&table->text) + begin;
}

/* Narrow the widest flexible column until the row fits. */
static void fit(struct pyr_table *table)
{
	size_t total = INDENT + GAP * (table->count - 1), i, widest, over, least;

	for (i = 0; i < table->count; i++)
		total += table->widths[i];
	while (table->out->width > 0 && total > (size_t)table->out->width) {
		widest = table->count;
		for (i = 0; i < table->count; i++) {
			if (table->columns[i].flexible && table->widths[i] > NARROWEST &&
			    (widest == table->count || table->widths[i] > table->widths[widest]))
				widest = i;
		}
		if (widest == table->count)
			return;
		/* shrink it to the next widest at most, so that several share the loss */
		least = NARROWEST;
		for (i = 0; i < table->count; i++)
			if (i != widest && table->columns[i].flexible && table->widths[i] > least &&
			    table->widths[i] < table->widths[widest])
				least = table->widths[i];
		over = total - (size_t)table->out->width;
		if (over > table->widths[widest] - least)
			over = table->widths[widest] - least;
		if (over == 0)
			over = 1;
		table->widths[widest] -= over;
		total -= over;
	}
}

static void measure(struct pyr_table *table)
{
	size_t i, length, w;
	const char *text;

	for (i = 0; i < table->count; i++)
		table->widths[i] =
			pyr_text_columns(table->columns[i].title, strlen(table->columns[i].title));
	for (i = 0; i < table->ends.count; i++) {
		text = cell(table, i, &length);
		w = pyr_text_columns(text, length);
		if (w > table->widths[i % table->count])
			table->widths[i % table->count] = w;
	}
	fit(table);
}

static void pad(struct pyr_strbuf *line, size_t n)
{
	while (n--)
		pyr_strbuf_add_char(line, ' ');
}

static void add_cell(struct pyr_table *table, struct pyr_strbuf *line, size_t column,
		     const char *text, size_t length)
{
	const struct pyr_column *c = &table->columns[column];
	size_t width = table->widths[column], begin = line->length, w;
	bool last = column + 1 == table->count;
	struct pyr_strbuf cut = {0};

	if (c->flexible && table->out->width > 0) {
		pyr_text_fit(&cut, text, length, width, c->cut);
		text = pyr_strbuf_str(&cut);
		length = cut.length;
	}
	w = pyr_text_columns(text, length);
	pad(line, column ? GAP : INDENT);
	if (c->right && w < width)
		pad(line, width - w);
	pyr_strbuf_add_bytes(line, text, length);
	if (!c->right && !last && w < width)
		pad(line, width - w);
	if (last) { /* no blanks at the end of a line */
		while (line->length > begin && line->data[line->length - 1] == ' ')
			line->data[--line->length] = '\0';
	}
	pyr_strbuf_deinit(&cut);
}

static void flush(struct pyr_table *table)
{
	struct pyr_strbuf line = {0};
	size_t i, length;
	const char *text;
	bool titles = false;

	if (!table->flushed) {
		measure(table);
		for (i = 0; i < table->count; i++) {
			titles = titles || table->columns[i].title[0];
			add_cell(table, &line, i, table->columns[i].title,
				 strlen(table->columns[i].title));
		}
		if (titles) {
			pyr_out_style(table->out, PYR_STYLE_FAINT);
			pyr_out_raw(table->out, pyr_strbuf_str(&line), line.length);
			pyr_out_style(table->out, PYR_STYLE_PLAIN);
			pyr_out_raw(table->out, "\n", 1);
		}
	}
	table->flushed = true;
	pyr_strbuf_clear(&line);
	for (i = 0; i < table->ends.count; i++) {
		text = cell(table, i, &length);
		add_cell(table, &line, i % table->count, text, length);
		if ((i + 1) % table->count == 0 || i + 1 == table->ends.count) {
			pyr_strbuf_add_char(&line, '\n');
			pyr_out_raw(table->out, pyr_strbuf_str(&line), line.length);
			pyr_strbuf_clear(&line);
		}
	}
	pyr_strbuf_deinit(&line);
	pyr_strbuf_clear(&table->text);
	table->ends.count = 0;
}

/* The cell's text was appended to table->text. */
static void end_cell(struct pyr_table *table)
{
	if (table->text.failed || !pyr_vec_push(&table->ends, table->text.length)) {
		table->out->buffer.failed = true;
		return;
	}
	if (table->ends.count >= PYR_TABLE_ROWS * table->count)
		flush(table);
}

void pyr_table_text(struct pyr_table *table, const char *text)
{
	pyr_text_clean(&table->text, text, strlen(text), false);
	end_cell(table);
}

void pyr_table_cell(struct pyr_table *table, const char *format, ...)
{
	struct pyr_strbuf text = {0};
	va_list args;

	va_start(args, format);
	pyr_strbuf_vprintf(&text, format, args);
	va_end(args);
	pyr_table_text(table, pyr_strbuf_str(&text));
	pyr_strbuf_deinit(&text);
}

void pyr_table_finish(struct pyr_table *table)
{
	if (table->ends.count || table->flushed)
		flush(table);
	pyr_strbuf_deinit(&table->text);
	pyr_vec_deinit(&table->ends);
}
