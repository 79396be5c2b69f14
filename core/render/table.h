/* Aligned columns. Cells are given row by row, left to right. Widths come from
 * the first PYR_TABLE_ROWS rows; longer tables go on with the same widths, so
 * memory stays bounded however long the list is. When the terminal is too
 * narrow, flexible columns are cut with "…". */
#ifndef PYR_RENDER_TABLE_H
#define PYR_RENDER_TABLE_H

#include "base/vec.h"
#include "render/out.h"
#include "render/text.h"

#define PYR_TABLE_ROWS 2000u

struct pyr_column {
	const char *title;
	bool right;    /* numbers */
	bool flexible; /* may be cut */
	enum pyr_cut cut;
};

struct pyr_table {
	struct pyr_out *out;
	const struct pyr_column *columns;
	size_t count; /* of columns, at most PYR_TABLE_COLUMNS */
	bool flushed;
	struct pyr_strbuf text; /* all buffered cells, one after another */
	PYR_VEC(size_t) ends;   /* of each cell in `text` */
	size_t widths[16];
};
#define PYR_TABLE_COLUMNS 16

/* @columns must live as long as the table. */
void pyr_table_init(struct pyr_table *table, struct pyr_out *out, const struct pyr_column *columns,
		    size_t count);
void pyr_table_text(struct pyr_table *table, const char *text); /* the next cell */
void pyr_table_cell(struct pyr_table *table, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Print what is buffered and free. */
void pyr_table_finish(struct pyr_table *table);

#endif
