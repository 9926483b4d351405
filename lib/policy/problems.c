#include "lib/policy/problems.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"

#define TEXT_MAX 1024

void problems_init(struct problems *all, struct arena *arena)
{
	all->arena = arena;
	all->n = 0;
	all->n_errors = 0;
	all->n_warnings = 0;
	all->out_of_memory = false;
}

static const char *keep(struct problems *all, const char *text)
{
	const char *copy = arena_strdup(all->arena, text);

	if (!copy)
		all->out_of_memory = true;
	return copy ? copy : "";
}

void problems_add(struct problems *all, const struct problem_at *at, const char *fmt, ...)
{
	struct problem *p;
	struct buf text;
	va_list ap;

	if (at->kind == PROBLEM_ERROR)
		all->n_errors++;
	else
		all->n_warnings++;
	if (all->n == PROBLEMS_MAX)
		return;
	p = &all->items[all->n++];
	buf_init(&text, 4 * TEXT_MAX);
	va_start(ap, fmt);
	buf_vaddf(&text, fmt, ap);
	va_end(ap);
	*p = (struct problem){.kind = at->kind, .line = at->line, .column = at->column};
	p->text = keep(all, buf_cstr(&text));
	p->suggestion = keep(all, at->suggestion ? at->suggestion : "");
	buf_deinit(&text);
}

static int cmp_problem(const void *a, const void *b)
{
	const struct problem *p = a;
	const struct problem *q = b;

	if (p->line != q->line)
		return p->line < q->line ? -1 : 1;
	if (p->column != q->column)
		return p->column < q->column ? -1 : 1;
	return (int)p->kind - (int)q->kind;
}

void problems_sort(struct problems *all)
{
	if (all->n > 1)
		qsort(all->items, all->n, sizeof(all->items[0]), cmp_problem);
}

static void add_escaped(struct buf *out, const char *text)
{
	text_escape(out, text, strlen(text));
}

static void format_one(const struct problem *p, const char *file, struct buf *out)
{
	if (*file) {
		add_escaped(out, file);
		buf_addc(out, ':');
	}
	if (p->line)
		buf_addf(out, "%u:%u: ", p->line, p->column);
	else if (*file)
		buf_addc(out, ' ');
	buf_adds(out, p->kind == PROBLEM_ERROR ? "error: " : "warning: ");
	add_escaped(out, p->text);
	buf_addc(out, '\n');
	if (*p->suggestion) {
		buf_adds(out, "    ");
		add_escaped(out, p->suggestion);
		buf_addc(out, '\n');
	}
}

void problems_format(const struct problems *all, const char *file, struct buf *out)
{
	size_t total = all->n_errors + all->n_warnings;

	for (size_t i = 0; i < all->n; i++)
		format_one(&all->items[i], file, out);
	if (total > all->n)
		buf_addf(out, "... and %zu more\n", total - all->n);
}
