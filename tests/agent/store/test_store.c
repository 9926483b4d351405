#include "agent/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/canonical.h"
#include "tests/agent/samples.h"
#include "tests/support/fault.h"
#include "tests/support/tmpdir.h"

#define PREFIX "/home/ana/envs/churn"
#define NOW INT64_C(1795000000000)

struct fixture {
	struct tmpdir dir;
	struct store *store;
	struct arena arena;
	int64_t now_ms;
};

static void reopen(struct fixture *f)
{
	struct store_options options = {0};
	struct err err = ERR_INIT;

	store_close(f->store);
	f->store = NULL;
	if (store_open(f->dir.path, &options, &f->store, &err) < 0)
		fail_msg("%s", err.text);
}

static int setup(void **state)
{
	struct fixture *f = mem_calloc(1, sizeof(*f));

	assert_non_null(f);
	tmpdir_make(&f->dir);
	arena_init(&f->arena, 1 << 24);
	f->now_ms = NOW;
	reopen(f);
	*state = f;
	return 0;
}

/* Whatever a test did, the store it leaves is sound. */
static int teardown(void **state)
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

static struct applied apply(struct fixture *f, struct snapshot *s)
{
	struct applied out;
	struct err err = ERR_INIT;

	f->now_ms += 1000;
	if (store_apply(f->store, s, f->now_ms, &out, &err) < 0)
		fail_msg("%s", err.text);
	snapshot_deinit(s);
	return out;
}

static struct applied see(struct fixture *f, const char *prefix, uint64_t inode, const char *specs)
{
	struct snapshot s;

	sample_snapshot(&s, &f->arena, prefix, inode, specs);
	return apply(f, &s);
}

static struct applied gone(struct fixture *f, const char *prefix, uint64_t inode)
{
	struct store_gone what = {.prefix = prefix, .device = 1, .inode = inode};
	struct applied out;
	struct err err = ERR_INIT;

	f->now_ms += 1000;
	if (store_gone(f->store, &what, f->now_ms, &out, &err) < 0)
		fail_msg("%s", err.text);
	return out;
}

static const char *packages_of(struct fixture *f, const struct uuid *id)
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

static const char *journal_after(struct fixture *f, const struct store_history_query *query)
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

static const char *journal(struct fixture *f)
{
	return journal_after(f, &(struct store_history_query){0});
}

static void a_life_of_an_environment(void **state)
{
	struct fixture *f = *state;
	struct applied a = see(f, PREFIX, 7, "a=1 b=2");
	struct applied b;

	assert_true(a.changed);
	assert_int_equal(a.kind, CHANGE_CREATED);
	assert_int_equal(a.seq, 1);
	b = see(f, PREFIX, 7, "a=1 b=3");
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_int_equal(b.kind, CHANGE_UPDATED);
	b = see(f, PREFIX, 7, "a=1 b=3 pypi:c=1");
	assert_int_equal(b.kind, CHANGE_INSTALLED);
	reopen(f);
	assert_string_equal(packages_of(f, &a.environment), "a=1 b=3 c=1");
	b = gone(f, PREFIX, 7);
	assert_true(b.changed);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_string_equal(packages_of(f, &a.environment), "");
	assert_false(gone(f, PREFIX, 7).changed);
	b = see(f, PREFIX, 9, "a=1");
	assert_int_equal(b.kind, CHANGE_RECREATED);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_string_equal(journal(f), "1 created churn +a=1 +b=2; 2 updated churn -b=2 +b=3; "
					"3 installed churn +c=1; 4 deleted churn -a=1 -b=3 -c=1; "
					"5 recreated churn +a=1");
}

static void nothing_new_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct applied first = see(f, PREFIX, 7, "a=1");
	struct applied again = see(f, PREFIX, 7, "a=1");

	assert_false(again.changed);
	assert_false(again.packages_differ);
	assert_int_equal(uuid_cmp(&first.environment, &again.environment), 0);
	assert_string_equal(journal(f), "1 created churn +a=1");
}

static void attributes_are_stored_but_no_change(void **state)
{
	struct fixture *f = *state;
	struct package_list list;
	struct snapshot s;
	struct applied a = see(f, PREFIX, 7, "a=1");

	sample_snapshot(&s, &f->arena, PREFIX, 7, "a=1");
	s.packages.items[0].requested = true;
	s.packages.items[0].license = "BSD";
	assert_int_equal(snapshot_seal(&s), 0);
	a = apply(f, &s);
	assert_false(a.changed);
	assert_true(a.packages_differ);
	reopen(f);
	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	assert_int_equal(list.n, 1);
	assert_true(list.items[0].requested);
	assert_string_equal(list.items[0].license, "BSD");
	package_list_deinit(&list);
}

static void everything_of_a_row_comes_back(void **state)
{
	static const unsigned char stamp[] = "stamp";
	struct fixture *f = *state;
	struct environment env;
	struct snapshot s;
	struct applied a;

	sample_snapshot(&s, &f->arena, PREFIX, 7, "a=1 b=1");
	s.filesystem = 2;
	s.config_names = "state,pinned";
	memset(s.config_digest, 5, sizeof(s.config_digest));
	s.stamp = stamp;
	s.stamp_n = sizeof(stamp);
	sample_run(&s, 3, "install", "conda install b");
	a = apply(f, &s);
	reopen(f);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL), 0);
	assert_int_equal(uuid_cmp(&env.id, &a.environment), 0);
	assert_string_equal(env.prefix, PREFIX);
	assert_int_equal(env.device, 1);
	assert_int_equal(env.inode, 7);
	assert_int_equal(env.filesystem, 2);
	assert_string_equal(env.owner.name, "ana");
	assert_int_equal(env.owner.uid, 1000);
	assert_string_equal(env.platform, "linux-64");
	assert_string_equal(env.tool, "conda");
	assert_int_equal(env.created_ms, 1000007);
	assert_int_equal(env.last_change_ms, f->now_ms);
	assert_int_equal(env.deleted_ms, 0);
	assert_int_equal(env.sections, 3);
	assert_int_equal(env.package_count, 2);
	assert_string_equal(env.config_names, "state,pinned");
	assert_memory_equal(env.config_digest, s.config_digest, sizeof(env.config_digest));
	assert_memory_equal(env.digest, s.digest, sizeof(env.digest));
	assert_memory_equal(env.attribute_digest, s.attribute_digest, sizeof(env.digest));
	assert_int_equal(env.stamp_n, sizeof(stamp));
	assert_memory_equal(env.stamp, stamp, sizeof(stamp));
}

static void moved_directories_keep_their_identity(void **state)
{
	struct fixture *f = *state;
	struct applied a = see(f, PREFIX, 7, "a=1");
	struct applied b = see(f, "/home/ana/envs/new", 7, "a=1");
	struct environment env;

	assert_int_equal(b.kind, CHANGE_RENAMED);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL),
			 ERR_NOTFOUND);
	/* The old path is free for another one. */
	b = see(f, PREFIX, 8, "a=1");
	assert_int_equal(b.kind, CHANGE_CREATED);
	assert_int_not_equal(uuid_cmp(&a.environment, &b.environment), 0);
}

static void a_rename_displaces_what_was_there(void **state)
{
	struct fixture *f = *state;
	struct applied a = see(f, "/e/a", 7, "a=1");
	struct applied b = see(f, "/e/b", 8, "b=1");
	struct applied c;
	struct snapshot s;

	sample_snapshot(&s, &f->arena, "/e/b", 9, "a=1");
	s.renamed_from = "/e/a";
	c = apply(f, &s);
	assert_int_equal(c.kind, CHANGE_RENAMED);
	assert_int_equal(uuid_cmp(&c.environment, &a.environment), 0);
	assert_true(c.displaced);
	assert_int_equal(uuid_cmp(&c.displaced_environment, &b.environment), 0);
	assert_string_equal(journal(f), "1 created a +a=1; 2 created b +b=1; 3 deleted b -b=1; "
					"4 renamed b");
}

static void a_clone_names_its_source(void **state)
{
	static const char *const sources[] = {"/e/a", "a", "../e/a"};
	struct fixture *f = *state;
	struct applied a = see(f, "/e/a", 7, "a=1");
	struct environment env;
	struct snapshot s;
	struct applied b;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		char prefix[16] = "/e/clone0";

		prefix[8] = (char)('0' + i);
		sample_snapshot(&s, &f->arena, prefix, 20 + i, "a=1");
		sample_run(&s, 1, "create", "conda create --clone");
		s.history.source = sources[i];
		b = apply(f, &s);
		assert_int_equal(b.kind, CHANGE_CLONED);
		assert_int_equal(
			store_environment_get(f->store, &b.environment, &f->arena, &env, NULL), 0);
		assert_int_equal(uuid_cmp(&env.cloned_from, &a.environment), 0);
	}
}

static void gone_is_checked_against_what_is_there(void **state)
{
	struct fixture *f = *state;
	struct store_gone what = {.prefix = "/never/seen"};
	struct applied out;

	see(f, PREFIX, 7, "a=1");
	assert_false(gone(f, PREFIX, 8).changed);
	assert_int_equal(store_gone(f->store, &what, NOW, &out, NULL), ERR_NOTFOUND);
	assert_true(gone(f, PREFIX, 0).changed);
}

static void half_made_environments_leave_no_trace(void **state)
{
	struct fixture *f = *state;
	struct environment env;
	struct snapshot s;
	struct applied a;

	sample_snapshot(&s, &f->arena, PREFIX, 7, "");
	s.empty_meta = true;
	a = apply(f, &s);
	assert_false(a.changed);
	assert_true(uuid_is_zero(&a.environment));
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL),
			 ERR_NOTFOUND);
}

static void ids_of_the_server_are_taken_over(void **state)
{
	struct fixture *f = *state;
	struct uuid id;
	struct applied a;

	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, PREFIX, "ana", NULL), 0);
	assert_int_equal(store_expect(f->store, &id, PREFIX, "ana", NULL), ERR_EXISTS);
	a = see(f, PREFIX, 7, "a=1");
	assert_int_equal(a.kind, CHANGE_CREATED);
	assert_int_equal(uuid_cmp(&a.environment, &id), 0);
	/* Another owner's environment is another one. */
	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, "/e/b", "ben", NULL), 0);
	a = see(f, "/e/b", 8, "a=1");
	assert_int_not_equal(uuid_cmp(&a.environment, &id), 0);
}

static void what_was_expected_and_is_gone_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct environment env;
	struct uuid id;

	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, PREFIX, "ana", NULL), 0);
	assert_false(gone(f, PREFIX, 0).changed);
	assert_int_equal(store_environment_get(f->store, &id, &f->arena, &env, NULL), ERR_NOTFOUND);
	assert_string_equal(journal(f), "");
}

static int count_one(void *ctx, const struct environment *env)
{
	size_t *n = ctx;

	(*n)++;
	return env->prefix[0] == '\0';
}

static void environments_are_walked(void **state)
{
	struct fixture *f = *state;
	size_t n = 0;

	see(f, "/e/a", 7, "a=1");
	see(f, "/e/b", 8, "a=1");
	see(f, "/e/c", 9, "a=1");
	gone(f, "/e/b", 8);
	assert_int_equal(store_environments(f->store, count_one, &n, NULL), 0);
	assert_int_equal(n, 3);
}

static void settings(void **state)
{
	struct fixture *f = *state;
	char big[STORE_KEY_MAX + 2];
	struct buf out;

	buf_init(&out, 1024);
	assert_int_equal(store_kv_get(f->store, "token", &out, NULL), ERR_NOTFOUND);
	assert_int_equal(store_kv_put(f->store, "token", "one", 3, NULL), 0);
	assert_int_equal(store_kv_put(f->store, "token", "second", 6, NULL), 0);
	assert_int_equal(store_kv_put(f->store, "empty", NULL, 0, NULL), 0);
	reopen(f);
	assert_int_equal(store_kv_get(f->store, "token", &out, NULL), 0);
	assert_string_equal(buf_cstr(&out), "second");
	assert_int_equal(store_kv_get(f->store, "empty", &out, NULL), 0);
	assert_int_equal(out.len, 6);
	assert_int_equal(store_kv_delete(f->store, "token", NULL), 0);
	assert_int_equal(store_kv_delete(f->store, "token", NULL), 0);
	assert_int_equal(store_kv_get(f->store, "token", &out, NULL), ERR_NOTFOUND);
	memset(big, 'k', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(store_kv_put(f->store, big, "x", 1, NULL), ERR_LIMIT);
	assert_int_equal(store_kv_put(f->store, "", "x", 1, NULL), ERR_LIMIT);
	buf_deinit(&out);
}

static void the_dictionary_knows_what_was_sent(void **state)
{
	struct fixture *f = *state;
	unsigned char keys[2][16] = {{0}, {1}};
	struct applied a = see(f, PREFIX, 7, "a=1");
	struct package_list list;
	struct package p;
	bool sent = true;

	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	package_def_key(&list.items[0], keys[0]);
	package_list_deinit(&list);
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_false(sent);
	assert_int_equal(store_packages_sent(f->store, keys[0], 2, NULL), 0);
	reopen(f);
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_true(sent);
	assert_int_equal(store_package_is_sent(f->store, keys[1], &sent, NULL), 0);
	assert_false(sent);
	assert_int_equal(store_package_get(f->store, keys[0], &f->arena, &p, NULL), 0);
	assert_string_equal(p.name, "a");
	assert_int_equal(store_package_get(f->store, keys[1], &f->arena, &p, NULL), ERR_NOTFOUND);
	/* Seen again somewhere else, it stays sent. */
	see(f, "/e/b", 8, "a=1 b=1");
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_true(sent);
	assert_int_equal(store_packages_unsent(f->store, NULL), 0);
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_false(sent);
}

static void an_environment_of_the_largest_size(void **state)
{
	struct fixture *f = *state;
	struct package_list list;
	struct snapshot s;
	struct applied a;

	sample_snapshot(&s, &f->arena, PREFIX, 7, "");
	for (int i = 0; i < SNAPSHOT_PACKAGES_MAX; i++) {
		char name[16];
		struct package p;

		snprintf(name, sizeof(name), "p%06d", i);
		p = sample_package(&f->arena, "conda", name, "1");
		assert_int_equal(package_list_add(&s.packages, &p), 0);
	}
	assert_int_equal(snapshot_seal(&s), 0);
	a = apply(f, &s);
	assert_true(a.changed);
	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	assert_int_equal(list.n, SNAPSHOT_PACKAGES_MAX);
	package_list_deinit(&list);
}

/* --- memory ------------------------------------------------------------------------------- */

struct faulty {
	struct fixture *f;
	int round;
};

static int apply_and_reopen(void *ctx)
{
	struct faulty *t = ctx;
	struct fixture *f = t->f;
	struct store_options options = {0};
	struct snapshot s;
	struct arena arena = {0};
	struct applied out;
	char specs[64];
	int rc;

	/* The sample itself is made without faults counted: nothing is left pending by it. */
	snapshot_init(&s);
	arena_init(&arena, 1 << 20);
	snprintf(specs, sizeof(specs), "x%d", t->round++);
	s.prefix = PREFIX;
	s.inode = 7;
	s.created_ms = 1;
	s.owner.uid = 1000;
	rc = package_list_add(&s.packages, &(struct package){.manager = "conda",
							     .name = specs,
							     .version = "1",
							     .build = "",
							     .channel = "",
							     .subdir = "",
							     .license = "",
							     .url = ""});
	if (rc == 0)
		rc = snapshot_seal(&s);
	if (rc == 0)
		rc = store_apply(f->store, &s, NOW, &out, NULL);
	snapshot_deinit(&s);
	arena_deinit(&arena);
	if (rc < 0)
		return rc;
	store_close(f->store);
	f->store = NULL;
	rc = store_open(f->dir.path, &options, &f->store, NULL);
	while (!f->store) { /* the next run needs one */
		int again = store_open(f->dir.path, &options, &f->store, NULL);

		assert_true(again == 0 || again == ERR_NOMEM);
	}
	return rc;
}

static void memory_may_run_out(void **state)
{
	struct faulty t = {.f = *state};

	fault_each_alloc(apply_and_reopen, &t, 10);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_life_of_an_environment),
		TEST(nothing_new_writes_nothing),
		TEST(attributes_are_stored_but_no_change),
		TEST(everything_of_a_row_comes_back),
		TEST(moved_directories_keep_their_identity),
		TEST(a_rename_displaces_what_was_there),
		TEST(a_clone_names_its_source),
		TEST(gone_is_checked_against_what_is_there),
		TEST(half_made_environments_leave_no_trace),
		TEST(ids_of_the_server_are_taken_over),
		TEST(what_was_expected_and_is_gone_is_forgotten),
		TEST(environments_are_walked),
		TEST(settings),
		TEST(the_dictionary_knows_what_was_sent),
		TEST(an_environment_of_the_largest_size),
		TEST(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
