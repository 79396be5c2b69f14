/* Tables as text: tables/ *.def and tables/index.h. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "layout/gen/gen.h"

#define COLUMNS 98

static bool is_vendor(const struct gen_entry *entry)
{
	return entry->provenance == PYR_PROVENANCE_DWARF &&
	       strncmp(entry->origin, "upstream ", 9) != 0;
}

/* Upstream release builds for x86-64 come first: they are the bases. */
static int compare(const void *a, const void *b)
{
	const struct gen_entry *x = *(struct gen_entry *const *)a,
			       *y = *(struct gen_entry *const *)b;
	int order[][2] = {
		{(int)gen_minor(&x->build), (int)gen_minor(&y->build)},
		{x->build.machine, y->build.machine},
		{x->build.debug, y->build.debug},
		{x->build.trace_refs, y->build.trace_refs},
		{x->provenance, y->provenance},
		{is_vendor(x), is_vendor(y)},
		{(int)x->build.hexversion, (int)y->build.hexversion},
	};

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (order[i][0] != order[i][1])
			return order[i][0] < order[i][1] ? -1 : 1;
	return strcmp(x->build.build_id, y->build.build_id);
}

/* Builds of one minor version that do not differ, whatever their flavour and machine. */
static bool same_table(const struct gen_entry *a, const struct gen_entry *b)
{
	return gen_minor(&a->build) == gen_minor(&b->build) &&
	       gen_places_equal(&a->places, &b->places, false);
}

static void name_table(struct gen_entry *entry)
{
	char version[32], vendor[32] = "";
	const char *space = strchr(entry->origin, ' ');

	pyr_layout_version_string(entry->build.hexversion, version, sizeof(version));
	if (is_vendor(entry) && space) {
		snprintf(vendor, sizeof(vendor), "-%.*s", (int)(space - entry->origin),
			 entry->origin);
		for (char *c = vendor; *c; c++)
			*c = (char)tolower((unsigned char)*c);
	}
	snprintf(entry->table, sizeof(entry->table), "cpython-%s%s%s%s", version, vendor,
		 gen_flavour(&entry->build),
		 entry->build.machine == PYR_MACHINE_AARCH64 ? "-aarch64" : "");
}

static void identifier(const char *table, char *ret)
{
	while ((*ret = *table++)) {
		if (!isalnum((unsigned char)*ret))
			*ret = '_';
		ret++;
	}
}

/* Words of a paragraph, broken at COLUMNS. */
struct lines {
	struct pyr_strbuf text;
	int column;
};

static void add_word(struct lines *lines, const char *word)
{
	int length = (int)strlen(word);

	if (lines->column && lines->column + 1 + length > COLUMNS) {
		pyr_strbuf_add(&lines->text, "\n");
		lines->column = 0;
	}
	pyr_strbuf_add(&lines->text, lines->column ? " " : "\t");
	lines->column += lines->column ? 1 + length : 8 + length;
	pyr_strbuf_add(&lines->text, word);
}

static void end_paragraph(struct lines *lines)
{
	if (lines->column)
		pyr_strbuf_add(&lines->text, "\n");
	lines->column = 0;
}

/* Rows of @p that @base (NULL: nothing) does not have so. */
static void write_rows(struct lines *lines, const struct pyr_dwarf_places *p,
		       const struct pyr_dwarf_places *base)
{
	int f = 0;

	for (int s = 0; s < PYR_S_COUNT; s++) {
		if (p->struct_size[s] != (base ? base->struct_size[s] : 0)) {
			size_t before = lines->text.length;

			pyr_strbuf_printf(&lines->text, "STRUCT(%s, %u)", pyr_layout_struct_name(s),
					  p->struct_size[s]);
			lines->column = (int)(lines->text.length - before);
		}
		for (; f < PYR_F_COUNT && (int)pyr_layout_field_struct(f) == s; f++) {
			static const struct pyr_field_place nowhere = {-1, 0, 0, 0};
			const struct pyr_field_place *its = &p->fields[f];
			const struct pyr_field_place *old = base ? &base->fields[f] : &nowhere;
			const char *name = strchr(pyr_layout_field_name(f), '.') + 1;
			char word[160];

			if (memcmp(its, old, sizeof(*its)) == 0)
				continue;
			if (its->bit_width)
				snprintf(word, sizeof(word), "BITS(%s, %s, %d, %u, %u, %u)",
					 pyr_layout_struct_name(s), name, its->offset, its->size,
					 its->bit_offset, its->bit_width);
			else
				snprintf(word, sizeof(word), "FIELD(%s, %s, %d, %u)",
					 pyr_layout_struct_name(s), name, its->offset, its->size);
			add_word(lines, word);
		}
		end_paragraph(lines);
	}
}

static void write_build(struct pyr_strbuf *text, const char *id, const struct gen_entry *entry)
{
	pyr_strbuf_printf(text, "BUILD(%s, %s, 0x%08x, %s, %s,\n      \"%s\",\n      \"%s\")\n", id,
			  entry->build.machine == PYR_MACHINE_AARCH64 ? "AARCH64" : "X86_64",
			  entry->build.hexversion,
			  entry->build.debug && entry->build.trace_refs ? "DEBUG_TRACE_REFS"
			  : entry->build.debug                          ? "DEBUG"
			  : entry->build.trace_refs                     ? "TRACE_REFS"
									: "RELEASE",
			  entry->provenance == PYR_PROVENANCE_DWARF ? "DWARF" : "DERIVED",
			  entry->build.build_id, entry->origin);
}

static pyr_error *save(const char *directory, const char *name, struct pyr_strbuf *text)
{
	char path[4096];
	FILE *file;
	bool ok;

	if (text->failed)
		return pyr_error_no_memory();
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "we");
	if (!file)
		return pyr_error_create(PYR_E_NO_PERMISSION, "%s: %s", path, strerror(errno));
	ok = fputs(pyr_strbuf_str(text), file) >= 0;
	ok &= fclose(file) == 0;
	return ok ? NULL : pyr_error_create(PYR_E_NO_SPACE, "%s: %s", path, strerror(errno));
}

/* One table, which all of @group share; @base is NULL for the first of a minor version. */
static pyr_error *write_table(const char *directory, struct gen_entry **group, size_t count,
			      const struct gen_entry *base)
{
	struct lines lines = {0};
	char id[96], base_id[96], file[128];
	pyr_error *err;

	identifier(group[0]->table, id);
	pyr_strbuf_add(&lines.text, "/* Generated by `make layouts`; do not edit. */\n");
	for (size_t i = 0; i < count; i++)
		write_build(&lines.text, id, group[i]);
	if (base) {
		identifier(base->table, base_id);
		pyr_strbuf_printf(&lines.text, "BASE(%s, %s)\n", id, base_id);
	}
	pyr_strbuf_add(&lines.text, "TABLE(");
	pyr_strbuf_printf(&lines.text, "%s, \"%s\")\n", id, group[0]->table);
	write_rows(&lines, &group[0]->places, base ? &base->places : NULL);
	pyr_strbuf_add(&lines.text, "END_TABLE\n");
	snprintf(file, sizeof(file), "%s.def", group[0]->table);
	err = save(directory, file, &lines.text);
	pyr_strbuf_deinit(&lines.text);
	return err;
}

pyr_error *gen_write(const char *directory, struct gen_entries *entries)
{
	struct gen_entry **list = entries->list.data;
	size_t count = entries->list.count;
	struct pyr_strbuf index = {0};
	const struct gen_entry *base = NULL;
	pyr_error *err = NULL;

	qsort(list, count, sizeof(*list), compare);
	pyr_strbuf_add(&index, "/* Generated by `make layouts`; do not edit. */\n");
	for (size_t i = 0; i < count && !err; i++) {
		struct gen_entry **group = malloc(count * sizeof(*group));
		size_t members = 0;

		if (!group)
			return pyr_error_no_memory();
		if (!list[i]->table[0]) {
			for (size_t k = i; k < count; k++)
				if (!list[k]->table[0] && same_table(list[i], list[k]))
					group[members++] = list[k];
			name_table(list[i]);
			for (size_t k = 0; k < i; k++) /* another layout under the same name */
				if (strcmp(list[k]->table, list[i]->table) == 0)
					snprintf(list[i]->table + strlen(list[i]->table),
						 sizeof(list[i]->table) - strlen(list[i]->table),
						 "-%.6s", list[i]->build.build_id);
			for (size_t k = 0; k < members; k++)
				strcpy(group[k]->table, list[i]->table);
			if (!base || gen_minor(&base->build) != gen_minor(&list[i]->build))
				base = NULL;
			err = write_table(directory, group, members, base);
			pyr_strbuf_printf(&index, "#include \"layout/tables/%s.def\"\n",
					  list[i]->table);
			if (!base)
				base = list[i];
		}
		free(group);
	}
	if (!err)
		err = save(directory, "index.h", &index);
	pyr_strbuf_deinit(&index);
	return err;
}
