#define _GNU_SOURCE
#include "pythons.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void add(struct python *list, size_t *count, const char *root, const char *path)
{
	struct python *p = &list[*count];
	char whole[1100];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	if (*count == PYTHONS_MAX || access(whole, X_OK))
		return;
	snprintf(p->path, sizeof(p->path), "%s", path);
	snprintf(p->root, sizeof(p->root), "%s", root);
	snprintf(p->name, sizeof(p->name), "%.590s", whole);
	(*count)++;
}

static void add_pattern(struct python *list, size_t *count, const char *root, const char *pattern)
{
	char whole[1100];
	size_t i;
	glob_t g;

	snprintf(whole, sizeof(whole), "%s%s", root, pattern);
	if (!glob(whole, 0, NULL, &g))
		for (i = 0; i < g.gl_pathc; i++)
			if (!strstr(g.gl_pathv[i], "config") && !strstr(g.gl_pathv[i], "-dbg"))
				add(list, count, root, g.gl_pathv[i] + strlen(root));
	globfree(&g);
}

static int minor_of(const struct python *python)
{
	const char script[] = "import sys; print(sys.version_info[1])";
	struct python_process process;
	int minor = -1;

	python_start(python, script, &process);
	if (fscanf(process.out, "%d", &minor) != 1)
		minor = -1;
	return python_finish(&process) ? -1 : minor;
}

size_t pythons_find(struct python ret[PYTHONS_MAX])
{
	const char *home = getenv("HOME"), *roots = getenv("PYRETAIN_TEST_ROOTS");
	const char *cache = getenv("XDG_CACHE_HOME"), *matrix = getenv("MATRIX");
	char base[512], pattern[1100];
	bool seen[16] = {false}, gap = false;
	bool only_system = getenv("PYRETAIN_TEST_ONLY") != NULL; /* see tests/sessions/matrix.py */
	size_t count = 0, i;
	glob_t g;
	int m;

	if (home && !only_system) {
		snprintf(pattern, sizeof(pattern), "%s/.pyenv/versions/3.*/bin/python3", home);
		add_pattern(ret, &count, "", pattern);
	}
	add(ret, &count, "", "/usr/bin/python3");
	if (only_system)
		return count;
	if (roots)
		snprintf(base, sizeof(base), "%s", roots);
	else if (cache)
		snprintf(base, sizeof(base), "%s/pyretain/roots", cache);
	else
		snprintf(base, sizeof(base), "%s/.cache/pyretain/roots", home ? home : "");
	snprintf(pattern, sizeof(pattern), "%s/*/.complete", base);
	if (!geteuid() && !glob(pattern, 0, NULL, &g)) {
		for (i = 0; i < g.gl_pathc; i++) {
			*strrchr(g.gl_pathv[i], '/') = '\0';
			add_pattern(ret, &count, g.gl_pathv[i], "/usr/bin/python3.[0-9]*");
		}
		globfree(&g);
	}
	for (i = 0; i < count;) {
		m = minor_of(&ret[i]);
		if (m < 0) {
			print_message("gap: %s does not start\n", ret[i].name);
			ret[i] = ret[--count];
			continue;
		}
		if (m < 16)
			seen[m] = true;
		i++;
	}
	for (m = 6; m < 16; m++)
		if (!seen[m]) {
			print_message("gap: no CPython 3.%d on this machine\n", m);
			gap = true;
		}
	if (gap && matrix && !strcmp(matrix, "full"))
		fail_msg("MATRIX=full and an interpreter is missing");
	return count;
}

void pythons_each(void (*each)(const struct python *python))
{
	static struct python pythons[PYTHONS_MAX];
	size_t count = pythons_find(pythons), i;

	assert_true(count > 0);
	for (i = 0; i < count; i++)
		each(&pythons[i]);
}

char *program_path(const char *name)
{
	static const char here[] = "unit/pythons.c";
	char *path;

	assert_true(sizeof(__FILE__) >= sizeof(here));
	assert_true(asprintf(&path, "%.*s%s", (int)(sizeof(__FILE__) - sizeof(here)), __FILE__,
			     name) > 0);
	return path;
}

char *program_text(const char *name)
{
	char *path = program_path(name), *text;
	FILE *file = fopen(path, "r");
	long size;

	if (!file)
		fail_msg("cannot open %s: run the test from the top of the project", path);
	fseek(file, 0, SEEK_END);
	size = ftell(file);
	rewind(file);
	text = malloc((size_t)size + 1);
	assert_non_null(text);
	text[fread(text, 1, (size_t)size, file)] = '\0';
	fclose(file);
	free(path);
	return text;
}

/* What the caller's environment says must not change what a script finds: a buffer
 * that fills while it tells of its heap is another object each time. */
static void settle_environment(void)
{
	setenv("PYTHONUNBUFFERED", "1", 1);
	setenv("PYTHONDONTWRITEBYTECODE", "1", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	unsetenv("PYTHONPATH");
	unsetenv("PYTHONHOME");
	unsetenv("PYTHONSTARTUP");
}

void python_start(const struct python *python, const char *script, struct python_process *ret)
{
	int to[2], from[2];

	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	fflush(NULL);
	ret->pid = fork();
	assert_true(ret->pid >= 0);
	if (!ret->pid) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		if (python->root[0] && (chroot(python->root) || chdir("/")))
			_exit(126);
		settle_environment();
		execl(python->path, python->path, "-c", script, (char *)NULL);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
	ret->in = fdopen(to[1], "w");
	ret->out = fdopen(from[0], "r");
	assert_non_null(ret->in);
	assert_non_null(ret->out);
}

int python_finish(struct python_process *process)
{
	int status;

	fclose(process->in);
	fclose(process->out);
	assert_int_equal(waitpid(process->pid, &status, 0), process->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
