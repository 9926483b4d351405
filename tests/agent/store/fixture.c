#include "tests/agent/store/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/agent/samples.h"

void fixture_reopen(struct fixture *f)
{

	struct err err = ERR_INIT;

	store_close(f->store);
	f->store = NULL;
	if (store_open(f->dir.path, &f->options, &f->store, &err) < 0)
		fail_msg("%s", err.text);
}

int fixture_setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	assert_non_null(f);
	tmpdir_make(&f->dir);
	arena_init(&f->arena, 1 << 24);
	f->now_ms = FIXTURE_NOW;
	fixture_reopen(f);
	*state = f;
	return 0;
}

/* Whatever a test did, the store it leaves is sound. */
int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	struct err err = ERR_INIT;

	store_close(f->store);
	if (store_probe(f->dir.path, &err) < 0)
		fail_msg("%s", err.text);
	arena_deinit(&f->arena);
	tmpdir_remove(&f->dir);
	mem_free(f);
	return 0;
}

struct applied fixture_apply(struct fixture *f, struct snapshot *s)
{
	struct applied out;
	struct err err = ERR_INIT;

	f->now_ms += 1000;
	if (store_apply(f->store, s, f->now_ms, &out, &err) < 0)
		fail_msg("%s", err.text);
	snapshot_deinit(s);
	return out;
}

struct applied fixture_see(struct fixture *f, const char *prefix, uint64_t inode, const char *specs)
{
	struct snapshot s;

	sample_snapshot(&s, &f->arena, prefix, inode, specs);
	return fixture_apply(f, &s);
}

struct applied fixture_gone(struct fixture *f, const char *prefix, uint64_t inode)
{
	struct store_gone what = {.prefix = prefix, .device = 1, .inode = inode};
	struct applied out;
	struct err err = ERR_INIT;

	f->now_ms += 1000;
	if (store_gone(f->store, &what, f->now_ms, &out, &err) < 0)
		fail_msg("%s", err.text);
	return out;
}

const char *fixture_packages(struct fixture *f, const struct uuid *id)
{
	struct package_list list;
	const char *text;

	assert_int_equal(store_packages(f->store, id, &f->arena, &list, NULL), 0);
	text = sample_text(&f->arena, &list);
	package_list_deinit(&list);
	return text;
}

/* The journal in words: "1 created churn +a=1 +b=2; 2 updated churn -b=2 +b=3; ..." */
struct words {
	struct buf out;
	struct arena arena;
};

static void add_packages(struct words *w, char sign, const struct package_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		buf_addf(&w->out, " %c%s=%s", sign, list->items[i].name, list->items[i].version);
}

static int add_words(void *ctx, const struct store_change *item)
{
	const struct change *c = &item->change;
	const char *slash = strrchr(c->prefix, '/');
	struct words *w = ctx;

	buf_addf(&w->out, "%s%d %s", w->out.len > 0 ? "; " : "", (int)c->seq,
		 change_kind_name(c->kind));
	if (slash)
		buf_addf(&w->out, " %s", slash + 1);
	add_packages(w, '-', &c->removed);
	add_packages(w, '+', &c->added);
	return 0;
}

const char *fixture_journal_after(struct fixture *f, const struct store_history_query *query)
{
	const char *text;
	struct words w;

	buf_init(&w.out, 1 << 20);
	assert_int_equal(store_history(f->store, query, add_words, &w, NULL), 0);
	text = arena_strdup(&f->arena, buf_cstr(&w.out));
	buf_deinit(&w.out);
	assert_non_null(text);
	return text;
}

const char *fixture_journal(struct fixture *f)
{
	return fixture_journal_after(f, &(struct store_history_query){0});
}
