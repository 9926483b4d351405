/* Paths that are kept, and sent, as keyed hashes only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "proto/canonical.h"
#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"
#include "tests/support/fault.h"

#define SECRET "/home/ana/secret"
#define MOVED "/home/ana/moved"
#define OPEN "/srv/open"

static const unsigned char key[HIDE_KEY] = {1, 2, 3};
static const char *const patterns[] = {"/home/*"};

static void hide(struct fixture *f, bool on)
{
	f->options.hide_key = key;
	f->options.hide_patterns = patterns;
	f->options.n_hide = on ? 1 : 0;
	assert_int_equal(store_hide_paths(f->store, key, patterns, f->options.n_hide, NULL), 0);
}

static const char *stand_in(struct fixture *f, const char *path)
{
	struct hide h = {.n = 0};
	const char *out;

	memcpy(h.key, key, sizeof(key));
	assert_int_equal(hide_text(&h, path, strlen(path), &f->arena, &out), 0);
	return out;
}

static struct applied see(struct fixture *f, const char *prefix, uint64_t inode, const char *specs,
			  const char *command)
{
	struct snapshot s;

	sample_snapshot(&s, &f->arena, prefix, inode, specs);
	s.history.sections = 1;
	s.history.command = command;
	s.history.target = prefix;
	return fixture_apply(f, &s);
}

/* --- what a walk gives -------------------------------------------------------------------- */

struct seen {
	struct fixture *f;
	const char *prefix[8];
	const char *from[8];
	const char *command[8];
	unsigned char chain[SHA256_SIZE];
	bool check_chain;
	size_t n;
};

static int take(void *ctx, const struct store_change *item)
{
	const struct change *c = &item->change;
	struct seen *s = ctx;

	s->prefix[s->n] = arena_strdup(&s->f->arena, c->prefix);
	s->from[s->n] = arena_strdup(&s->f->arena, c->from_prefix);
	s->command[s->n++] = arena_strdup(&s->f->arena, c->command);
	if (s->check_chain) {
		change_chain(s->chain, c, s->chain);
		assert_memory_equal(s->chain, item->hash, SHA256_SIZE);
	}
	return 0;
}

/* As it is sent: what the server computes from it is what the journal says. */
static struct seen sent(struct fixture *f)
{
	struct seen s = {.f = f, .check_chain = true};

	assert_int_equal(store_unacked(f->store, 0, 100, 1 << 20, take, &s, NULL), 0);
	return s;
}

static struct seen shown(struct fixture *f)
{
	struct seen s = {.f = f};

	assert_int_equal(store_history(f->store, &(struct store_history_query){0}, take, &s, NULL),
			 0);
	return s;
}

/* --- tests -------------------------------------------------------------------------------- */

static void sent_hidden_and_shown_as_they_are(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	hide(f, true);
	see(f, SECRET, 7, "a=1", "conda create -n secret -p " SECRET);
	see(f, MOVED, 7, "a=1", "");
	see(f, OPEN, 8, "a=1", "conda create -p " OPEN " --file /home/ana/list");
	fixture_gone(f, MOVED, 7);
	fixture_reopen(f);
	s = sent(f);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.prefix[0], stand_in(f, SECRET));
	assert_null(strstr(s.command[0], "secret"));
	assert_string_equal(s.prefix[1], stand_in(f, MOVED));
	assert_string_equal(s.from[1], stand_in(f, SECRET));
	assert_string_equal(s.prefix[2], OPEN);
	assert_null(strstr(s.command[2], "ana"));
	assert_non_null(strstr(s.command[2], OPEN));
	assert_string_equal(s.prefix[3], stand_in(f, MOVED));

	s = shown(f);
	assert_string_equal(s.prefix[0], SECRET);
	assert_string_equal(s.command[0], "conda create -n secret -p " SECRET);
	assert_string_equal(s.prefix[1], MOVED);
	assert_string_equal(s.from[1], SECRET);
	assert_string_equal(s.command[2], "conda create -p " OPEN " --file /home/ana/list");
}

static void switched_on_and_off(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	fixture_see(f, SECRET, 7, "a=1");
	hide(f, true);
	fixture_see(f, SECRET, 7, "a=2");
	hide(f, false);
	fixture_see(f, SECRET, 7, "a=3");
	s = sent(f);
	assert_int_equal(s.n, 3);
	assert_string_equal(s.prefix[0], SECRET);
	assert_string_equal(s.prefix[1], stand_in(f, SECRET));
	assert_string_equal(s.prefix[2], SECRET);
	s = shown(f);
	assert_string_equal(s.prefix[1], SECRET);
	assert_string_equal(fixture_journal(f),
			    "1 created secret +a=1; 2 updated secret -a=1 +a=2; "
			    "3 updated secret -a=2 +a=3");
}

static void a_baseline_is_hidden_too(void **state)
{
	struct store_new_epoch how = {.baseline = true, .now_ms = FIXTURE_NOW};
	struct fixture *f = *state;
	struct seen s;

	fixture_see(f, SECRET, 7, "a=1");
	hide(f, true);
	assert_int_equal(store_new_epoch(f->store, &how, NULL), 0);
	s = sent(f);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.prefix[0], stand_in(f, SECRET));
}

/* A store made anew gets ids from a server that knows stand-ins only. */
static void known_by_what_stands_for_it(void **state)
{
	struct fixture *f = *state;
	struct environment env;
	struct applied a;
	struct uuid id;

	hide(f, true);
	uuid_new(&id);
	assert_int_equal(store_expect(f->store, &id, stand_in(f, SECRET), "ana", NULL), 0);
	a = fixture_see(f, SECRET, 7, "a=1");
	assert_int_equal(uuid_cmp(&a.environment, &id), 0);
	assert_int_equal(store_environment_at(f->store, SECRET, &f->arena, &env, NULL), 0);
	assert_int_equal(uuid_cmp(&env.id, &id), 0);
	assert_int_equal(store_environment_at(f->store, stand_in(f, SECRET), &f->arena, &env, NULL),
			 ERR_NOTFOUND);
	/* As it is sent, the path stays what the server knows. */
	assert_string_equal(sent(f).prefix[0], stand_in(f, SECRET));
}

static int hide_again(void *ctx)
{
	struct fixture *f = ctx;

	return store_hide_paths(f->store, key, patterns, 1, NULL);
}

static void out_of_memory(void **state)
{
	struct fixture *f = *state;

	fault_each_alloc(hide_again, f, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(sent_hidden_and_shown_as_they_are, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(switched_on_and_off, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(a_baseline_is_hidden_too, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(known_by_what_stands_for_it, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(out_of_memory, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
