#include "proto/convert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proto/limits.h"
#include "tests/proto/samples.h"
#include "tests/support/fault.h"

/* Over the wire and back: what comes out of the codec, not what went into it. */
static void resend_local(Envwarden__Local__Envelope *msg, struct arena *arena,
			 Envwarden__Local__Envelope **out)
{
	struct buf frame;

	buf_init(&frame, LIMIT_LOCAL_FRAME + 4);
	assert_int_equal(codec_pack_local(msg, &frame, NULL), 0);
	assert_int_equal(codec_unpack_local(frame.data + 4, frame.len - 4, arena, out, NULL), 0);
	buf_deinit(&frame);
}

static void test_packages(void **state)
{
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__PackagesItem item = ENVWARDEN__LOCAL__PACKAGES_ITEM__INIT;
	Envwarden__Local__Envelope *got;
	struct package_list list;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	sample_packages(&list);
	list.items[1].built_ms = 1700000000123;
	assert_int_equal(packages_to_wire(list.items, list.n, &arena, &item.packages), 0);
	item.n_packages = list.n;
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES;
	msg.packages = &item;
	resend_local(&msg, &arena, &got);
	assert_int_equal(got->packages->n_packages, list.n);
	for (size_t i = 0; i < list.n; i++) {
		struct package p;

		assert_int_equal(package_from_wire(got->packages->packages[i], &p, NULL), 0);
		assert_package_equal(&p, &list.items[i]);
	}
	package_list_deinit(&list);
	arena_deinit(&arena);
}

static void test_bad_packages(void **state)
{
	static const struct {
		const char *manager, *name;
		int64_t build_number, built_ms;
	} table[] = {{"", "numpy", 0, 0},
		     {"conda", "", 0, 0},
		     {"conda", "numpy", -2, 0},
		     {"conda", "numpy", 0, -1},
		     {"conda", "numpy", 0, PACKAGE_BUILT_MAX_MS + 1}};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		Envwarden__Package wire = ENVWARDEN__PACKAGE__INIT;
		struct package p = {.name = "untouched"};
		struct err err = ERR_INIT;

		wire.manager = wire_text(table[i].manager);
		wire.name = wire_text(table[i].name);
		wire.build_number = table[i].build_number;
		wire.built_ms = table[i].built_ms;
		assert_int_equal(package_from_wire(&wire, &p, &err), ERR_INVALID);
		assert_int_equal(err.code, ERR_INVALID);
		assert_string_equal(p.name, "untouched");
	}
}

static void resend_change(const struct change *c)
{
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ChangeItem item = ENVWARDEN__LOCAL__CHANGE_ITEM__INIT;
	Envwarden__Local__Envelope *got;
	struct change back;
	struct arena arena;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	assert_int_equal(change_to_wire(c, &arena, &item.change), 0);
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHANGE;
	msg.change = &item;
	resend_local(&msg, &arena, &got);
	assert_int_equal(change_from_wire(got->change->change, &back, NULL), 0);
	assert_change_equal(c, &back);
	change_deinit(&back);
	arena_deinit(&arena);
}

static void test_changes(void **state)
{
	struct change c;

	(void)state;
	sample_update(&c);
	resend_change(&c);
	c.kind = CHANGE_CLONED;
	c.cloned_from = sample_uuid(0x70);
	c.from_prefix = "/home/ana/envs/old";
	c.self_reported = true;
	c.detail = "detail";
	resend_change(&c);
	change_deinit(&c);
	sample_gap(&c);
	resend_change(&c);
	change_deinit(&c);
}

static void test_change_kinds(void **state)
{
	static const struct {
		int wire;
		int rc;
	} table[] = {{0, ERR_INVALID}, {-1, ERR_INVALID}, {256, ERR_INVALID}, {1, 0}, {10, 0},
		     {11, 0} /* of a newer version: kept as it is */};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		Envwarden__Change wire = ENVWARDEN__CHANGE__INIT;
		struct change c;
		int rc;

		wire.kind = (Envwarden__ChangeKind)table[i].wire;
		rc = change_from_wire(&wire, &c, NULL);
		assert_int_equal(rc, table[i].rc);
		if (rc < 0)
			continue;
		assert_int_equal((int)c.kind, table[i].wire);
		assert_true(c.actor.uid == -1);
		change_deinit(&c);
	}
}

/* --- journal changes ---------------------------------------------------------------------------
 */

static const struct package *find_package(void *ctx, const unsigned char *key)
{
	const struct package_list *known = ctx;

	for (size_t i = 0; i < known->n; i++) {
		unsigned char k[PACKAGE_KEY_SIZE];

		package_def_key(&known->items[i], k);
		if (memcmp(k, key, sizeof(k)) == 0)
			return &known->items[i];
	}
	return NULL;
}

static void resend_journal_change(const struct change *c, const unsigned char *hash,
				  struct arena *arena, Envwarden__Sync__JournalChange **out)
{
	Envwarden__Sync__Envelope msg = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Changes changes = ENVWARDEN__SYNC__CHANGES__INIT;
	Envwarden__Sync__Envelope *got;
	struct buf frame;

	changes.epoch = wire_uuid(&c->epoch);
	changes.n_changes = 1;
	changes.changes = arena_alloc(arena, sizeof(*changes.changes));
	assert_non_null(changes.changes);
	assert_int_equal(journal_change_to_wire(c, hash, arena, &changes.changes[0]), 0);
	msg.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_CHANGES;
	msg.changes = &changes;
	buf_init(&frame, LIMIT_SYNC_FRAME + 4);
	assert_int_equal(codec_pack_sync(&msg, &frame, NULL), 0);
	assert_int_equal(codec_unpack_sync(frame.data + 4, frame.len - 4, arena, &got, NULL), 0);
	buf_deinit(&frame);
	*out = got->changes->changes[0];
}

/* `requested` travels with the reference, everything else comes out of the dictionary. */
static void test_journal_changes(void **state)
{
	struct package_list known;
	struct package_lookup lookup = {find_package, &known};
	static const unsigned char zeroes[SHA256_SIZE];
	unsigned char hash[SHA256_SIZE], again[SHA256_SIZE];
	Envwarden__Sync__JournalChange *wire;
	struct change c, back;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_SYNC_MEMORY);
	sample_packages(&known);
	sample_update(&c);
	for (size_t i = 0; i < known.n; i++)
		known.items[i].requested = !known.items[i].requested;
	change_chain(zeroes, &c, hash);
	resend_journal_change(&c, hash, &arena, &wire);
	assert_int_equal(journal_change_from_wire(wire, &c.epoch, &lookup, &back, NULL), 0);
	assert_change_equal(&c, &back);
	change_chain(zeroes, &back, again);
	assert_memory_equal(again, wire->hash.data, sizeof(again));
	change_deinit(&back);
	known.n--;
	assert_int_equal(journal_change_from_wire(wire, &c.epoch, &lookup, &back, NULL),
			 ERR_NOTFOUND);
	change_deinit(&c);
	package_list_deinit(&known);
	arena_deinit(&arena);
}

/* --- decisions and environments ----------------------------------------------------------------
 */

static void fill_decision(struct decision_reply *r, struct reason reasons[2],
			  const struct package *p)
{
	reasons[0] = (struct reason){"status", "", "no", "fix it", NULL, ACTION_BLOCK, 0};
	reasons[1] = (struct reason){"rule", "old", "old", "", p, ACTION_WARN, 1765000000000};
	decision_reply_init(r);
	r->decision.action = ACTION_BLOCK;
	r->decision.reasons = reasons;
	r->decision.n_reasons = 2;
	memcpy(r->decision.case_code, "EW-77B3", 8);
	r->decision.valid_until_ms = 1764000000000;
	r->prefix = "/p";
	r->name = "n";
	r->environment = sample_uuid(1);
	r->policy_version = 41;
	r->source = "agent";
	r->contact = "c@example.org";
	r->notice = "a transaction is under way";
}

static void test_decision(void **state)
{
	Envwarden__Local__Envelope msg = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__Envelope *got;
	struct package p = sample_openssl();
	struct decision_reply r, back;
	struct reason reasons[2];
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	fill_decision(&r, reasons, &p);
	msg.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	assert_int_equal(decision_to_wire(&r, &arena, &msg.decision), 0);
	resend_local(&msg, &arena, &got);
	assert_int_equal(decision_from_wire(got->decision, &arena, &back, NULL), 0);
	assert_int_equal(back.decision.action, ACTION_BLOCK);
	assert_string_equal(back.decision.case_code, "EW-77B3");
	assert_true(back.decision.valid_until_ms == r.decision.valid_until_ms);
	assert_string_equal(back.prefix, r.prefix);
	assert_string_equal(back.name, r.name);
	assert_int_equal(uuid_cmp(&back.environment, &r.environment), 0);
	assert_true(back.policy_version == 41);
	assert_string_equal(back.source, r.source);
	assert_string_equal(back.contact, r.contact);
	assert_string_equal(back.notice, r.notice);
	assert_int_equal(back.decision.n_reasons, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_string_equal(back.decision.reasons[i].kind, reasons[i].kind);
		assert_string_equal(back.decision.reasons[i].id, reasons[i].id);
		assert_true(back.decision.reasons[i].block_from_ms == reasons[i].block_from_ms);
		assert_string_equal(back.decision.reasons[i].message, reasons[i].message);
		assert_string_equal(back.decision.reasons[i].fix, reasons[i].fix);
		assert_int_equal(back.decision.reasons[i].action, reasons[i].action);
	}
	assert_null(back.decision.reasons[0].package);
	assert_package_equal(back.decision.reasons[1].package, &p);
	arena_deinit(&arena);
}

static void test_bad_decisions(void **state)
{
	Envwarden__Decision wire = ENVWARDEN__DECISION__INIT;
	struct decision_reply back;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	assert_int_equal(decision_from_wire(&wire, &arena, &back, NULL), 0);
	wire.action = (Envwarden__Action)3;
	assert_int_equal(decision_from_wire(&wire, &arena, &back, NULL), ERR_INVALID);
	wire.action = (Envwarden__Action)-1;
	assert_int_equal(decision_from_wire(&wire, &arena, &back, NULL), ERR_INVALID);
	wire.action = ENVWARDEN__ACTION__ACTION_WARN;
	wire.case_code = wire_text("EW-1234567890123");
	assert_int_equal(decision_from_wire(&wire, &arena, &back, NULL), ERR_INVALID);
	arena_deinit(&arena);
}

static void test_environment(void **state)
{
	static const char *const degraded[] = {"polled", "unreadable"};
	struct environment_info info, back;
	Envwarden__Environment *wire;
	struct arena arena;

	(void)state;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	environment_info_init(&info);
	info.id = sample_uuid(5);
	info.prefix = "/p";
	info.name = "n";
	info.owner = (struct person){.name = "ana", .uid = 1000, .how = ""};
	info.platform = "linux-64";
	info.tool = "pixi";
	info.package_count = 412;
	info.status = ACTION_WARN;
	info.created_ms = 1;
	info.last_change_ms = 2;
	info.last_used_ms = 3;
	info.degraded = degraded;
	info.n_degraded = 2;
	assert_int_equal(environment_to_wire(&info, &arena, &wire), 0);
	assert_int_equal(environment_from_wire(wire, &back, NULL), 0);
	assert_int_equal(uuid_cmp(&back.id, &info.id), 0);
	assert_string_equal(back.prefix, "/p");
	assert_string_equal(back.name, "n");
	assert_string_equal(back.owner.name, "ana");
	assert_string_equal(back.platform, "linux-64");
	assert_string_equal(back.tool, "pixi");
	assert_true(back.package_count == 412 && back.status == ACTION_WARN);
	assert_true(back.created_ms == 1 && back.last_change_ms == 2 && back.last_used_ms == 3);
	assert_int_equal(back.n_degraded, 2);
	assert_string_equal(back.degraded[1], "unreadable");
	wire->status = (Envwarden__Action)9;
	assert_int_equal(environment_from_wire(wire, &back, NULL), ERR_INVALID);
	arena_deinit(&arena);
}

/* --- failing memory ----------------------------------------------------------------------------
 */

static int convert_once(void *ctx)
{
	struct change *c = ctx;
	Envwarden__Change *wire;
	struct change back;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	rc = change_to_wire(c, &arena, &wire);
	if (rc == 0)
		rc = change_from_wire(wire, &back, NULL);
	if (rc == 0)
		change_deinit(&back);
	arena_deinit(&arena);
	return rc;
}

static int convert_decision_once(void *ctx)
{
	struct package p = sample_openssl();
	struct decision_reply r, back;
	struct reason reasons[2];
	Envwarden__Decision *wire;
	struct arena arena;
	int rc;

	(void)ctx;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	fill_decision(&r, reasons, &p);
	rc = decision_to_wire(&r, &arena, &wire);
	if (rc == 0)
		rc = decision_from_wire(wire, &arena, &back, NULL);
	arena_deinit(&arena);
	return rc;
}

static void test_no_memory(void **state)
{
	struct change c;

	(void)state;
	sample_update(&c);
	fault_each_alloc(convert_once, &c, 3);
	fault_each_alloc(convert_decision_once, NULL, 1);
	change_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packages),	cmocka_unit_test(test_bad_packages),
		cmocka_unit_test(test_changes),		cmocka_unit_test(test_change_kinds),
		cmocka_unit_test(test_journal_changes), cmocka_unit_test(test_decision),
		cmocka_unit_test(test_bad_decisions),	cmocka_unit_test(test_environment),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
