#include "agent/store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"
#include "tests/support/fault.h"

#define PREFIX "/home/ana/envs/churn"

static void a_life_of_an_environment(void **state)
{
	struct fixture *f = *state;
	struct applied a = fixture_see(f, PREFIX, 7, "a=1 b=2");
	struct applied b;

	assert_true(a.changed);
	assert_int_equal(a.kind, CHANGE_CREATED);
	assert_int_equal(a.seq, 1);
	b = fixture_see(f, PREFIX, 7, "a=1 b=3");
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_int_equal(b.kind, CHANGE_UPDATED);
	b = fixture_see(f, PREFIX, 7, "a=1 b=3 pypi:c=1");
	assert_int_equal(b.kind, CHANGE_INSTALLED);
	fixture_reopen(f);
	assert_string_equal(fixture_packages(f, &a.environment), "a=1 b=3 c=1");
	b = fixture_gone(f, PREFIX, 7);
	assert_true(b.changed);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_string_equal(fixture_packages(f, &a.environment), "");
	assert_false(fixture_gone(f, PREFIX, 7).changed);
	b = fixture_see(f, PREFIX, 9, "a=1");
	assert_int_equal(b.kind, CHANGE_RECREATED);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_string_equal(fixture_journal(f),
			    "1 created churn +a=1 +b=2; 2 updated churn -b=2 +b=3; "
			    "3 installed churn +c=1; 4 deleted churn -a=1 -b=3 -c=1; "
			    "5 recreated churn +a=1");
}

static void nothing_new_writes_nothing(void **state)
{
	struct fixture *f = *state;
	struct applied first = fixture_see(f, PREFIX, 7, "a=1");
	struct applied again = fixture_see(f, PREFIX, 7, "a=1");

	assert_false(again.changed);
	assert_false(again.packages_differ);
	assert_int_equal(uuid_cmp(&first.environment, &again.environment), 0);
	assert_string_equal(fixture_journal(f), "1 created churn +a=1");
}

static void attributes_are_stored_but_no_change(void **state)
{
	struct fixture *f = *state;
	struct package_list list;
	struct snapshot s;
	struct applied a = fixture_see(f, PREFIX, 7, "a=1");

	sample_snapshot(&s, &f->arena, PREFIX, 7, "a=1");
	s.packages.items[0].requested = true;
	s.packages.items[0].license = "BSD";
	s.packages.items[0].built_ms = 1700000000123;
	assert_int_equal(snapshot_seal(&s), 0);
	a = fixture_apply(f, &s);
	assert_false(a.changed);
	assert_true(a.packages_differ);
	fixture_reopen(f);
	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	assert_int_equal(list.n, 1);
	assert_true(list.items[0].requested);
	assert_string_equal(list.items[0].license, "BSD");
	assert_int_equal(list.items[0].built_ms, 1700000000123);
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
	memset(s.volume, 9, sizeof(s.volume));
	memset(s.config_digest, 5, sizeof(s.config_digest));
	s.stamp = stamp;
	s.stamp_n = sizeof(stamp);
	sample_run(&s, 3, "install", "conda install b");
	a = fixture_apply(f, &s);
	fixture_reopen(f);
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
	assert_memory_equal(env.volume, s.volume, sizeof(env.volume));
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

/* The reader's marks are kept with the last snapshot, and are no change by themselves. */
static void marks_are_kept(void **state)
{
	struct fixture *f = *state;
	struct package_list list;
	struct snapshot s;
	struct applied a;

	fixture_see(f, PREFIX, 7, "a=1 b=1");
	sample_snapshot(&s, &f->arena, PREFIX, 7, "a=1 b=1");
	s.packages.items[1].stamp = UINT64_C(0x1122334455667788);
	s.packages.items[1].claim = 5;
	a = fixture_apply(f, &s);
	assert_false(a.changed);
	assert_false(a.packages_differ);
	fixture_reopen(f);
	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.items[0].stamp, 0);
	assert_int_equal(list.items[1].stamp, UINT64_C(0x1122334455667788));
	assert_int_equal(list.items[1].claim, 5);
	package_list_deinit(&list);
}

static void use_is_kept(void **state)
{
	struct fixture *f = *state;
	struct applied a = fixture_see(f, PREFIX, 7, "a=1");
	struct store_use use[] = {{.environment = a.environment, .last_used_ms = 50},
				  {.last_used_ms = 60}};
	struct environment env;

	assert_int_equal(store_use(f->store, use, 2, NULL), 0);
	use[0] = (struct store_use){.environment = a.environment, .last_run_ms = 70};
	assert_int_equal(store_use(f->store, use, 1, NULL), 0);
	fixture_see(f, PREFIX, 7, "a=2");
	fixture_reopen(f);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL), 0);
	assert_int_equal(env.last_used_ms, 50);
	assert_int_equal(env.last_run_ms, 70);
	/* Never backwards; forgotten on request only. */
	use[0] = (struct store_use){.environment = a.environment, .last_used_ms = 40};
	assert_int_equal(store_use(f->store, use, 1, NULL), 0);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL), 0);
	assert_int_equal(env.last_used_ms, 50);
	use[0] = (struct store_use){.environment = a.environment, .forget = true};
	assert_int_equal(store_use(f->store, use, 1, NULL), 0);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL), 0);
	assert_int_equal(env.last_used_ms, 0);
	assert_int_equal(env.last_run_ms, 0);
}

static void moved_directories_keep_their_identity(void **state)
{
	struct fixture *f = *state;
	struct applied a = fixture_see(f, PREFIX, 7, "a=1");
	struct applied b = fixture_see(f, "/home/ana/envs/new", 7, "a=1");
	struct environment env;

	assert_int_equal(b.kind, CHANGE_RENAMED);
	assert_int_equal(uuid_cmp(&a.environment, &b.environment), 0);
	assert_int_equal(store_environment_at(f->store, PREFIX, &f->arena, &env, NULL),
			 ERR_NOTFOUND);
	/* The old path is free for another one. */
	b = fixture_see(f, PREFIX, 8, "a=1");
	assert_int_equal(b.kind, CHANGE_CREATED);
	assert_int_not_equal(uuid_cmp(&a.environment, &b.environment), 0);
}

static void a_rename_displaces_what_was_there(void **state)
{
	struct fixture *f = *state;
	struct applied a = fixture_see(f, "/e/a", 7, "a=1");
	struct applied b = fixture_see(f, "/e/b", 8, "b=1");
	struct applied c;
	struct snapshot s;

	sample_snapshot(&s, &f->arena, "/e/b", 9, "a=1");
	s.renamed_from = "/e/a";
	c = fixture_apply(f, &s);
	assert_int_equal(c.kind, CHANGE_RENAMED);
	assert_int_equal(uuid_cmp(&c.environment, &a.environment), 0);
	assert_true(c.displaced);
	assert_int_equal(uuid_cmp(&c.displaced_environment, &b.environment), 0);
	assert_string_equal(fixture_journal(f),
			    "1 created a +a=1; 2 created b +b=1; 3 deleted b -b=1; "
			    "4 renamed b");
}

static void a_clone_names_its_source(void **state)
{
	static const char *const sources[] = {"/e/a", "a", "../e/a"};
	struct fixture *f = *state;
	struct applied a = fixture_see(f, "/e/a", 7, "a=1");
	struct environment env;
	struct snapshot s;
	struct applied b;

	for (size_t i = 0; i < ARRAY_SIZE(sources); i++) {
		char prefix[16] = "/e/clone0";

		prefix[8] = (char)('0' + i);
		sample_snapshot(&s, &f->arena, prefix, 20 + i, "a=1");
		sample_run(&s, 1, "create", "conda create --clone");
		s.history.source = sources[i];
		b = fixture_apply(f, &s);
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

	fixture_see(f, PREFIX, 7, "a=1");
	assert_false(fixture_gone(f, PREFIX, 8).changed);
	assert_int_equal(store_gone(f->store, &what, FIXTURE_NOW, &out, NULL), ERR_NOTFOUND);
	assert_true(fixture_gone(f, PREFIX, 0).changed);
}

static void half_made_environments_leave_no_trace(void **state)
{
	struct fixture *f = *state;
	struct environment env;
	struct snapshot s;
	struct applied a;

	sample_snapshot(&s, &f->arena, PREFIX, 7, "");
	s.empty_meta = true;
	a = fixture_apply(f, &s);
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
	a = fixture_see(f, PREFIX, 7, "a=1");
	assert_int_equal(a.kind, CHANGE_CREATED);
	assert_int_equal(uuid_cmp(&a.environment, &id), 0);
	/* Another owner's environment is another one. */
	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, "/e/b", "ben", NULL), 0);
	a = fixture_see(f, "/e/b", 8, "a=1");
	assert_int_not_equal(uuid_cmp(&a.environment, &id), 0);
}

static void what_was_expected_and_is_gone_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct environment env;
	struct uuid id;

	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, PREFIX, "ana", NULL), 0);
	assert_false(fixture_gone(f, PREFIX, 0).changed);
	assert_int_equal(store_environment_get(f->store, &id, &f->arena, &env, NULL), ERR_NOTFOUND);
	assert_string_equal(fixture_journal(f), "");
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

	fixture_see(f, "/e/a", 7, "a=1");
	fixture_see(f, "/e/b", 8, "a=1");
	fixture_see(f, "/e/c", 9, "a=1");
	fixture_gone(f, "/e/b", 8);
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
	fixture_reopen(f);
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

static int count_keys(void *ctx, const char *key, size_t key_n, const void *data, size_t n)
{
	(void)key;
	(void)key_n;
	(void)data;
	(void)n;
	++*(int *)ctx;
	return 0;
}

static int keys(struct fixture *f, const char *prefix)
{
	int n = 0;

	assert_int_equal(store_kv_each(f->store, prefix, count_keys, &n, NULL), 0);
	return n;
}

static void settings_are_cleared_by_their_beginning(void **state)
{
	static const int counts[] = {0, 1, 63, 64, 65, 200};
	struct fixture *f = *state;
	char key[32];

	assert_int_equal(store_kv_put(f->store, "a", "x", 1, NULL), 0);
	assert_int_equal(store_kv_put(f->store, "asked", "x", 1, NULL), 0);
	assert_int_equal(store_kv_put(f->store, "asked0", "x", 1, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		for (int n = 0; n < counts[i]; n++) {
			(void)snprintf(key, sizeof(key), "asked/%d", n);
			assert_int_equal(store_kv_put(f->store, key, "x", 1, NULL), 0);
		}
		assert_int_equal(keys(f, "asked/"), counts[i]);
		assert_int_equal(store_kv_clear(f->store, "asked/", NULL), 0);
		assert_int_equal(keys(f, "asked/"), 0);
		assert_int_equal(keys(f, "a"), 3);
	}
	assert_int_equal(store_kv_clear(f->store, "", NULL), ERR_LIMIT);
}

static void the_dictionary_knows_what_was_sent(void **state)
{
	struct fixture *f = *state;
	unsigned char keys[2][16] = {{0}, {1}};
	struct applied a = fixture_see(f, PREFIX, 7, "a=1");
	struct package_list list;
	struct package p;
	bool sent = true;

	assert_int_equal(store_packages(f->store, &a.environment, &f->arena, &list, NULL), 0);
	package_def_key(&list.items[0], keys[0]);
	package_list_deinit(&list);
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_false(sent);
	assert_int_equal(store_packages_sent(f->store, keys[0], 2, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(store_package_is_sent(f->store, keys[0], &sent, NULL), 0);
	assert_true(sent);
	assert_int_equal(store_package_is_sent(f->store, keys[1], &sent, NULL), 0);
	assert_false(sent);
	assert_int_equal(store_package_get(f->store, keys[0], &f->arena, &p, NULL), 0);
	assert_string_equal(p.name, "a");
	assert_int_equal(store_package_get(f->store, keys[1], &f->arena, &p, NULL), ERR_NOTFOUND);
	/* Seen again somewhere else, it stays sent. */
	fixture_see(f, "/e/b", 8, "a=1 b=1");
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
	a = fixture_apply(f, &s);
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
		rc = store_apply(f->store, &s, FIXTURE_NOW, &out, NULL);
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
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_life_of_an_environment),
		TEST(nothing_new_writes_nothing),
		TEST(attributes_are_stored_but_no_change),
		TEST(everything_of_a_row_comes_back),
		TEST(marks_are_kept),
		TEST(use_is_kept),
		TEST(moved_directories_keep_their_identity),
		TEST(a_rename_displaces_what_was_there),
		TEST(a_clone_names_its_source),
		TEST(gone_is_checked_against_what_is_there),
		TEST(half_made_environments_leave_no_trace),
		TEST(ids_of_the_server_are_taken_over),
		TEST(what_was_expected_and_is_gone_is_forgotten),
		TEST(environments_are_walked),
		TEST(settings),
		TEST(settings_are_cleared_by_their_beginning),
		TEST(the_dictionary_knows_what_was_sent),
		TEST(an_environment_of_the_largest_size),
		TEST(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
