#include "agent/accounts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "lib/base/compiler.h"
#include "platform/clock.h"
#include "tests/support/fault.h"

#define HANGS 666u /* a directory server is asked for this one, and for everybody */
#define NOBODY 404u
#define BROKEN 500u

/* A name service; global, since a real one is, and threads that are left behind still use it. */
static struct {
	uv_mutex_t mutex;
	uv_cond_t released;
	bool hangs;
	bool list_hangs;
	unsigned asked;
	unsigned hanging;
} service;

static void enter(bool hangs_here, const bool *hangs)
{
	uv_mutex_lock(&service.mutex);
	service.asked++;
	service.hanging++;
	while (hangs_here && *hangs)
		uv_cond_wait(&service.released, &service.mutex);
	service.hanging--;
	uv_mutex_unlock(&service.mutex);
}

static int by_uid(uint32_t uid, struct user *out, struct err *err)
{
	enter(uid >= HANGS && uid < HANGS + 10, &service.hangs);
	if (uid == NOBODY)
		return err_set(err, ERR_NOTFOUND, "nobody");
	if (uid == BROKEN)
		return err_set(err, ERR_IO, "broken");
	*out = (struct user){.uid = uid};
	(void)snprintf(out->name, sizeof out->name, "u%u", (unsigned)uid);
	(void)snprintf(out->home, sizeof out->home, "/home/u%u", (unsigned)uid);
	return 0;
}

static int by_name(const char *name, struct user *out, struct err *err)
{
	unsigned uid;

	if (sscanf(name, "u%u", &uid) != 1)
		return err_set(err, ERR_NOTFOUND, "nobody");
	return by_uid(uid, out, err);
}

static int each(users_cb cb, void *ctx, struct err *err)
{
	struct user user;
	int rc = 0;

	enter(true, &service.list_hangs);
	for (uint32_t uid = 1000; uid < 1003 && rc == 0; uid++) {
		rc = by_uid(uid, &user, err);
		if (rc == 0)
			rc = cb(ctx, &user);
	}
	return rc;
}

static const struct accounts_source source = {by_uid, by_name, each};

struct fixture {
	uv_loop_t loop;
	struct accounts *accounts;
	unsigned stopped;
};

static void on_stopped(void *owner)
{
	struct fixture *f = owner;

	f->stopped++;
}

static void set_hanging(bool one, bool list)
{
	uv_mutex_lock(&service.mutex);
	service.hangs = one;
	service.list_hangs = list;
	uv_cond_broadcast(&service.released);
	uv_mutex_unlock(&service.mutex);
}

static unsigned asked(void)
{
	unsigned n;

	uv_mutex_lock(&service.mutex);
	n = service.asked;
	uv_mutex_unlock(&service.mutex);
	return n;
}

static void start(struct fixture *f)
{
	struct accounts_config config = {
		.loop = &f->loop, .clock = clock_system(), .source = &source};

	*f = (struct fixture){.stopped = 0};
	service.asked = 0;
	assert_int_equal(uv_loop_init(&f->loop), 0);
	assert_int_equal(accounts_new(&config, &f->accounts, NULL), 0);
}

static void stop(struct fixture *f)
{
	accounts_stop(f->accounts, on_stopped, f);
	while (f->stopped == 0)
		uv_run(&f->loop, UV_RUN_ONCE);
	assert_int_equal(uv_loop_close(&f->loop), 0);
}

static void test_answers(void **state)
{
	static const struct {
		uint32_t uid;
		int rc;
	} cases[] = {{1000, 0}, {0, 0}, {NOBODY, ERR_NOTFOUND}, {BROKEN, ERR_IO}};
	struct fixture f;
	struct user user;

	(void)state;
	start(&f);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(accounts_by_uid(f.accounts, cases[i].uid, 60000, &user),
				 cases[i].rc);
		assert_int_equal(asked(), i + 1);
		/* Known now, and not asked again. */
		assert_int_equal(accounts_by_uid(f.accounts, cases[i].uid, 0, &user), cases[i].rc);
		assert_int_equal(asked(), i + 1);
		if (cases[i].rc == 0)
			assert_int_equal(user.uid, cases[i].uid);
	}
	assert_int_equal(accounts_by_name(f.accounts, "u7", 60000, &user), 0);
	assert_string_equal(user.home, "/home/u7");
	assert_int_equal(accounts_by_name(f.accounts, "ana", 60000, &user), ERR_NOTFOUND);
	stop(&f);
}

/* On a loop nobody waits: the answer is there when it is told of. */
static void test_later(void **state)
{
	struct fixture f;
	struct user user;
	int rc;

	(void)state;
	start(&f);
	while ((rc = accounts_by_uid(f.accounts, 1000, 0, &user)) == ERR_TIMEOUT)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(rc, 0);
	assert_string_equal(user.name, "u1000");
	stop(&f);
}

static void test_bounded(void **state)
{
	struct fixture f;
	struct user user;

	(void)state;
	start(&f);
	for (uint32_t i = 0; i < 3 * ACCOUNTS_KEPT_MAX; i++)
		assert_int_equal(accounts_by_uid(f.accounts, 10000 + i, 60000, &user), 0);
	assert_int_equal(accounts_by_uid(f.accounts, 10000 + 3 * ACCOUNTS_KEPT_MAX - 1, 0, &user),
			 0);
	assert_int_equal(asked(), 3 * ACCOUNTS_KEPT_MAX);
	stop(&f);
}

/* Some hang: others are answered, and when all askers hang nobody waits for long. */
static void test_hang(void **state)
{
	struct fixture f;
	struct user user;
	int64_t before;

	(void)state;
	start(&f);
	assert_int_equal(accounts_by_uid(f.accounts, 1, 60000, &user), 0);
	set_hanging(true, false);
	for (uint32_t i = 0; i < ACCOUNTS_ASKERS - 1; i++)
		assert_int_equal(accounts_by_uid(f.accounts, HANGS + i, 1, &user), ERR_TIMEOUT);
	assert_int_equal(accounts_by_uid(f.accounts, 2, 60000, &user), 0);
	assert_int_equal(accounts_by_uid(f.accounts, HANGS + ACCOUNTS_ASKERS, 1, &user),
			 ERR_TIMEOUT);
	assert_int_equal(accounts_by_uid(f.accounts, 1, 0, &user), 0);
	while (accounts_waited_ms(f.accounts) < ACCOUNTS_SILENT_MS)
		uv_sleep(10);
	before = clock_system()->mono_ms(clock_system());
	assert_int_equal(accounts_by_uid(f.accounts, 3, 600000, &user), ERR_TIMEOUT);
	assert_int_equal(accounts_by_uid(f.accounts, HANGS, 600000, &user), ERR_TIMEOUT);
	assert_true(clock_system()->mono_ms(clock_system()) - before < 300000);
	set_hanging(false, false);
	while (accounts_by_uid(f.accounts, 3, 600000, &user) != 0)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(user.uid, 3);
	stop(&f);
}

static int count(void *ctx, const struct user *user)
{
	uint32_t *next = ctx;
	char home[32];

	assert_int_equal(user->uid, *next);
	(void)snprintf(home, sizeof home, "/home/u%u", (unsigned)*next);
	assert_string_equal(user->home, home);
	++*next;
	return 0;
}

static void test_everybody(void **state)
{
	struct fixture f;
	struct user user;
	uint32_t next = 1000;
	int rc;

	(void)state;
	start(&f);
	assert_int_equal(accounts_each(f.accounts, 60000, count, &next), 0);
	assert_int_equal(next, 1003);
	set_hanging(false, true);
	assert_int_equal(accounts_each(f.accounts, 10, count, &next), ERR_TIMEOUT);
	assert_int_equal(accounts_by_uid(f.accounts, 1, 60000, &user), 0);
	set_hanging(false, false);
	/* It comes late, and is told of. */
	next = 1000;
	while ((rc = accounts_each(f.accounts, 0, count, &next)) == ERR_TIMEOUT)
		uv_run(&f.loop, UV_RUN_ONCE);
	assert_int_equal(rc, 0);
	assert_int_equal(next, 1003);
	stop(&f);
}

/* A question that hangs does not hold up the end. */
static void test_stop_while_it_hangs(void **state)
{
	struct fixture f;
	struct user user;
	unsigned left;

	(void)state;
	start(&f);
	set_hanging(true, true);
	assert_int_equal(accounts_by_uid(f.accounts, HANGS, 1, &user), ERR_TIMEOUT);
	assert_int_equal(accounts_each(f.accounts, 1, count, NULL), ERR_TIMEOUT);
	stop(&f);
	set_hanging(false, false);
	do {
		uv_sleep(1);
		uv_mutex_lock(&service.mutex);
		left = service.hanging;
		uv_mutex_unlock(&service.mutex);
	} while (left > 0);
}

static int new_once(void *ctx)
{
	struct fixture *f = ctx;
	struct accounts_config config = {.loop = &f->loop, .clock = clock_system()};
	int rc = accounts_new(&config, &f->accounts, NULL);

	if (rc < 0)
		return rc;
	accounts_stop(f->accounts, on_stopped, f);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	return 0;
}

static void test_no_memory(void **state)
{
	struct fixture f = {.stopped = 0};

	(void)state;
	assert_int_equal(uv_loop_init(&f.loop), 0);
	fault_each_alloc(new_once, &f, 1);
	assert_int_equal(uv_loop_close(&f.loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),	  cmocka_unit_test(test_later),
		cmocka_unit_test(test_bounded),	  cmocka_unit_test(test_hang),
		cmocka_unit_test(test_everybody), cmocka_unit_test(test_stop_while_it_hangs),
		cmocka_unit_test(test_no_memory),
	};

	uv_mutex_init(&service.mutex);
	uv_cond_init(&service.released);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
