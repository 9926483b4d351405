/* The journal's way up: batches, definitions, acknowledgements, and what cuts them off. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/convert.h"
#include "tests/agent/sync/world.h"

static struct world w;

static void assert_why(const char *part)
{
	if (!strstr(w.owner.why, part))
		fail_msg("\"%s\" is not in \"%s\"", part, w.owner.why);
}

static void test_flows(void **state)
{
	static const struct {
		uint64_t head;
		size_t keys;
		bool need_none;
		const char *until;
		const char *trace;
	} table[] = {
		{7, 0, false, "read:7",
		 "read:0 >changes:1-3 acked:3 read:3 >changes:4-6 acked:6 read:6 >changes:7-7 "
		 "acked:7 read:7"},
		/* A few definitions are sent unasked; more are offered first. */
		{2, 8, false, "read:2",
		 "read:0 fetch:8 >packages:8 >changes:1-2 sent:8 acked:2 read:2"},
		{2, 9, false, "read:2",
		 "read:0 >offer:9 fetch:9 >packages:9 >changes:1-2 sent:9 acked:2 read:2"},
		{2, 9, true, "read:2", "read:0 >offer:9 >changes:1-2 sent:9 acked:2 read:2"},
		{1, 250, false, "read:1",
		 "read:0 >offer:250 fetch:250 >packages:100 >packages:100 >packages:50 "
		 ">changes:1-1 sent:250 acked:1 read:1"},
	};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(table); i++) {
		char whole[512];

		world_init(&w);
		w.owner.later = i % 2 == 1;
		w.owner.position.head = table[i / 2].head;
		w.owner.keys = table[i / 2].keys;
		w.server.need_none = table[i / 2].need_none;
		world_start(&w);
		world_until(&w, table[i / 2].until);
		(void)snprintf(whole, sizeof(whole), ">good >hello:%d welcome up %s",
			       (int)table[i / 2].head, table[i / 2].trace);
		world_expect(&w, whole);
		world_end(&w);
	}
}

static bool need_two(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case != KIND(PACKAGE_OFFER))
		return false;
	server_need(world, e->package_offer->keys.data + 16, 2);
	return true;
}

static void test_needs_some(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	w.owner.keys = 9;
	w.server.on_message = need_two;
	world_start(&w);
	world_until(&w, "read:1");
	world_expect(&w, ">good >hello:1 welcome up read:0 >offer:9 fetch:2 >packages:2 "
			 ">changes:1-1 sent:9 acked:1 read:1");
	world_end(&w);
}

static bool need_strange(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case != KIND(PACKAGE_OFFER))
		return false;
	server_need(world, (const unsigned char *)"0123456789abcdef", 1);
	return true;
}

static void test_needs_what_was_not_offered(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	w.owner.keys = 9;
	w.server.on_message = need_strange;
	world_start(&w);
	world_until(&w, "down");
	assert_why("not offered");
	assert_null(strstr(w.trace, "fetch"));
	world_end(&w);
}

/* --- growing --- */

static void test_grows(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	owner_grow(&w, 2); /* idle: at once */
	world_until(&w, "read:2");
	world_expect(&w, ">good >hello:0 welcome up read:0 read:0 >changes:1-2 acked:2 read:2");
	w.owner.withhold = true;
	owner_grow(&w, 1); /* under way: remembered */
	owner_grow(&w, 1);
	w.owner.batch_max = 1;
	owner_answer(&w);
	world_until(&w, "acked:3");
	w.owner.withhold = false;
	owner_answer(&w);
	world_until(&w, "read:4");
	world_expect(&w, "read:2 >changes:3-3 acked:3 read:3 >changes:4-4 acked:4 read:4");
	world_end(&w);
}

/* It grew while a batch that found nothing was being read: asked again. */
static void test_grows_while_read(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	w.owner.withhold = true;
	world_until(&w, "welcome");
	owner_answer(&w);
	sync_journal_grew(w.sync);
	w.owner.withhold = false;
	owner_answer(&w);
	world_expect(&w, ">good >hello:0 welcome up read:0 read:0");
	world_end(&w);
}

/* --- cut off --- */

/* Sent, then lost before the answer: the same batch again, with the Welcome telling nothing new. */
static void test_redelivery(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 5;
	w.owner.keys = 1;
	w.server.hold_ack = true;
	world_start(&w);
	world_until(&w, ">changes:1-3");
	world_expect(&w, ">good >hello:5 welcome up read:0 fetch:1 >packages:1 >changes:1-3");
	server_drop(&w);
	world_until(&w, "down");
	w.server.hold_ack = false;
	sync_hurry(w.sync);
	world_until(&w, "read:5");
	world_expect(&w, "down >good+resumed >hello:5+token welcome up read:0 fetch:1 >packages:1 "
			 ">changes:1-3 sent:1 acked:3 read:3 fetch:1 >packages:1 >changes:4-5 "
			 "sent:1 acked:5 read:5");
	world_end(&w);
}

static void test_ack_out_of_range(void **state)
{
	static const struct uuid other = {{9}};
	static const struct {
		bool other_epoch;
		uint64_t seq;
	} table[] = {{false, 4}, {false, UINT64_MAX}, {true, 3}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		world_init(&w);
		w.owner.position.head = 3;
		w.server.hold_ack = true;
		world_start(&w);
		world_until(&w, ">changes:1-3");
		server_ack(&w, table[i].other_epoch ? &other : &w.owner.position.epoch,
			   table[i].seq);
		world_until(&w, "down");
		assert_why("acknowledged changes it was not sent");
		assert_null(strstr(w.trace, "acked"));
		world_end(&w);
	}
}

static void test_ack_of_nothing(void **state)
{
	(void)state;
	world_init(&w);
	world_start(&w);
	world_until(&w, "read:0");
	server_ack(&w, &w.owner.position.epoch, 0);
	world_until(&w, "down");
	assert_null(strstr(w.trace, "acked"));
	world_end(&w);
}

/* A part of the batch is not the batch. */
static void test_ack_in_parts(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 3;
	w.server.hold_ack = true;
	world_start(&w);
	world_until(&w, ">changes:1-3");
	server_ack(&w, &w.owner.position.epoch, 2);
	world_run(&w, 50);
	assert_null(strstr(w.trace, "acked"));
	server_ack(&w, &w.owner.position.epoch, 3);
	world_until(&w, "acked:3 read:3");
	world_end(&w);
}

static bool lost_packages(struct world *world, const Envwarden__Sync__Envelope *e)
{
	if (e->kind_case != KIND(CHANGES) || world->server.accepted > 1)
		return false;
	server_error(world, ERR_NOTFOUND, "offer the packages first", 0);
	return true;
}

static void test_server_lost_packages(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	w.server.on_message = lost_packages;
	world_start(&w);
	world_until(&w, "down");
	world_expect(&w, ">good >hello:1 welcome up read:0 >changes:1-1 lost-packages down");
	world_until(&w, "acked:1");
	world_end(&w);
}

static void test_owner_fails(void **state)
{
	static const struct {
		const char *at, *why;
	} table[] = {
		{"read:0", "the journal could not be read"},
		{"fetch:1", "packages could not be read"},
		{"acked:1", "the journal could not be written"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		world_init(&w);
		w.owner.withhold = true;
		w.owner.keys = 1;
		w.owner.position.head = 1;
		world_start(&w);
		world_until(&w, "welcome");
		while (!strstr(w.trace, table[i].at)) {
			owner_answer(&w);
			world_run(&w, 10);
		}
		w.owner.fail = ERR_IO;
		w.owner.withhold = false;
		owner_answer(&w);
		world_until(&w, "down");
		assert_why(table[i].why);
		world_until(&w, "sent:1 acked:1"); /* all of it again */
		world_end(&w);
	}
}

/* More than the queue takes, to a server that does not read: sent on as it drains. */
static void test_back_pressure(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	w.owner.keys = 2000;
	w.owner.package_pad = 2000;
	world_start(&w);
	world_until(&w, ">offer:2000");
	conn_pause(w.server.conn);
	world_run(&w, 200);
	conn_resume(w.server.conn);
	world_until(&w, "sent:2000 acked:1");
	world_end(&w);
}

/* It never reads again: noticed, although nothing is awaited yet. */
static void test_blocked(void **state)
{
	(void)state;
	world_init(&w);
	w.owner.position.head = 1;
	w.owner.keys = 2047;
	w.owner.package_pad = 2040;
	w.config.answer_timeout_ms = 1000;
	world_start(&w);
	world_until(&w, ">offer:2047");
	conn_pause(w.server.conn);
	world_until(&w, "down");
	assert_why("does not answer");
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_needs_some),
		cmocka_unit_test(test_needs_what_was_not_offered),
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_grows_while_read),
		cmocka_unit_test(test_redelivery),
		cmocka_unit_test(test_ack_out_of_range),
		cmocka_unit_test(test_ack_of_nothing),
		cmocka_unit_test(test_ack_in_parts),
		cmocka_unit_test(test_server_lost_packages),
		cmocka_unit_test(test_owner_fails),
		cmocka_unit_test(test_back_pressure),
		cmocka_unit_test(test_blocked),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, pki_free);
}
