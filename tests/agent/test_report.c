#include "agent/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "proto/codec.h"
#include "proto/limits.h"
#include "tests/support/fault.h"

#define ANA 1000
#define BOB 1001

static const struct report_proof proof = {
	.prefix = "/home/ana/envs/work", .device = 7, .inode = 42, .owner = ANA};

/* What a report says; a test changes one thing of it. */
struct told {
	const char *prefix;
	uint64_t device;
	uint64_t inode;
	int64_t owner;
	int64_t history_owner;
	int64_t python_owner;
	const char *renamed_from;
	uint32_t filesystem;
	int64_t created_ms;
	size_t packages;
	const char *package;
	uint64_t total;
	bool no_facts;
	bool no_end;
	bool twice;   /* the facts */
	bool goes_on; /* after the end */
};

static struct told honest(void)
{
	return (struct told){.prefix = proof.prefix,
			     .device = proof.device,
			     .inode = proof.inode,
			     .owner = ANA,
			     .history_owner = ANA,
			     .python_owner = ANA,
			     .renamed_from = "",
			     .packages = 2,
			     .package = "foo",
			     .total = 2};
}

static void add_facts(struct buf *out, const struct told *t)
{
	Envwarden__Reader__Envelope m = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Facts facts = ENVWARDEN__READER__FACTS__INIT;
	Envwarden__Reader__HistoryFacts history = ENVWARDEN__READER__HISTORY_FACTS__INIT;
	Envwarden__Person owner = ENVWARDEN__PERSON__INIT;
	Envwarden__Person runner = ENVWARDEN__PERSON__INIT;
	Envwarden__Person piper = ENVWARDEN__PERSON__INIT;
	static uint8_t stamp[SHA256_SIZE] = {1, 2, 3};

	owner.uid = t->owner;
	owner.name = (char *)(uintptr_t) "root";
	runner.uid = t->history_owner;
	runner.name = (char *)(uintptr_t) "somebody";
	piper.uid = t->python_owner;
	history.owner = &runner;
	facts.prefix = (char *)(uintptr_t)t->prefix;
	facts.device = t->device;
	facts.inode = t->inode;
	facts.owner = &owner;
	facts.history = &history;
	facts.python_owner = &piper;
	facts.filesystem = t->filesystem;
	facts.created_ms = t->created_ms;
	facts.renamed_from = (char *)(uintptr_t)t->renamed_from;
	facts.at_start = true;
	facts.stamp = (ProtobufCBinaryData){sizeof stamp, stamp};
	m.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_FACTS;
	m.facts = &facts;
	assert_int_equal(codec_pack_reader(&m, out, NULL), 0);
}

static void add_packages(struct buf *out, const struct told *t)
{
	Envwarden__Reader__Envelope m = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__FactsPackages piece = ENVWARDEN__READER__FACTS_PACKAGES__INIT;

	m.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PACKAGES;
	m.packages = &piece;
	for (size_t i = 0; i < t->packages; i++) {
		Envwarden__Package package = ENVWARDEN__PACKAGE__INIT;
		Envwarden__Package *list[] = {&package};
		char version[32];

		snprintf(version, sizeof version, "1.%zu", i);
		package.manager = (char *)(uintptr_t) "conda";
		package.name = (char *)(uintptr_t)t->package;
		package.version = version;
		piece.packages = list;
		piece.n_packages = 1;
		assert_int_equal(codec_pack_reader(&m, out, NULL), 0);
	}
}

static void add_end(struct buf *out, const struct told *t)
{
	Envwarden__Reader__Envelope m = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__FactsEnd end = ENVWARDEN__READER__FACTS_END__INIT;

	end.total = t->total;
	m.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_FACTS_END;
	m.facts_end = &end;
	assert_int_equal(codec_pack_reader(&m, out, NULL), 0);
}

static void make(struct buf *out, const struct told *t)
{
	buf_init(out, 64u << 20);
	if (!t->no_facts)
		add_facts(out, t);
	if (t->twice)
		add_facts(out, t);
	add_packages(out, t);
	if (!t->no_end)
		add_end(out, t);
	if (t->goes_on)
		add_packages(out, t);
}

/* Fed in pieces of `step` bytes; the result of the whole. */
static int take(struct report *r, const struct told *t, size_t step, struct err *err)
{
	struct buf bytes;
	int rc = 0;

	make(&bytes, t);
	report_init(r);
	for (size_t at = 0; rc == 0 && at < bytes.len; at += step)
		rc = report_feed(r, bytes.data + at, bytes.len - at < step ? bytes.len - at : step,
				 err);
	if (rc == 0)
		rc = report_finish(r, &proof, err);
	buf_deinit(&bytes);
	return rc;
}

static void test_honest(void **state)
{
	static const size_t steps[] = {1, 7, 49152};
	struct told t = honest();

	(void)state;
	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
		struct err err = ERR_INIT;
		struct report r;
		const struct snapshot *s = &r.intake.snapshot;

		if (take(&r, &t, steps[i], &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(s->prefix, proof.prefix);
		assert_int_equal(s->packages.n, 2);
		assert_true(s->self_reported);
		assert_int_equal(s->owner.uid, ANA);
		assert_int_equal(s->history.owner.uid, ANA);
		report_deinit(&r);
	}
}

static void test_refused(void **state)
{
	struct {
		const char *what;
		struct told told;
		int rc;
	} cases[] = {
		{"path", honest(), ERR_PERM},	       {"device", honest(), ERR_PERM},
		{"inode", honest(), ERR_PERM},	       {"owner", honest(), ERR_PERM},
		{"owner unknown", honest(), ERR_PERM}, {"relative", honest(), ERR_PROTOCOL},
		{"count", honest(), ERR_PROTOCOL},     {"no facts", honest(), ERR_PROTOCOL},
		{"no end", honest(), ERR_PROTOCOL},    {"twice", honest(), ERR_PROTOCOL},
		{"goes on", honest(), ERR_PROTOCOL},   {"too much", honest(), ERR_LIMIT},
	};

	(void)state;
	cases[0].told.prefix = "/home/bob/envs/work";
	cases[1].told.device++;
	cases[2].told.inode++;
	cases[3].told.owner = BOB;
	cases[4].told.owner = -1;
	cases[5].told.prefix = "home/ana";
	cases[6].told.total = 3;
	cases[7].told.no_facts = true;
	cases[8].told.no_end = true;
	cases[9].told.twice = true;
	cases[10].told.goes_on = true;
	cases[11].told.packages = LIMIT_REPORT / 16;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err err = ERR_INIT;
		struct report r;
		int rc = take(&r, &cases[i].told, 49152, &err);

		if (rc != cases[i].rc)
			fail_msg("%s: %d %s", cases[i].what, rc, err.text);
		assert_int_equal(err.code, rc);
		report_deinit(&r);
	}
}

/* What a member has no say in. */
static void test_taken_out(void **state)
{
	struct told t = honest();
	const unsigned char *stamp;
	struct snapshot *s;
	struct report r;
	size_t n;

	(void)state;
	t.history_owner = BOB;
	t.python_owner = 0;
	t.renamed_from = "/home/bob/envs/work";
	t.filesystem = 99;
	assert_int_equal(take(&r, &t, 100, NULL), 0);
	s = &r.intake.snapshot;
	assert_int_equal(s->history.owner.uid, -1);
	assert_int_equal(s->python_owner.uid, 0);
	assert_string_equal(s->owner.name, "");
	assert_string_equal(s->history.owner.name, "");
	assert_string_equal(s->renamed_from, "");
	assert_false(s->at_start);
	assert_true(s->filesystem < 99);
	/* The reader's own stamps have 32 bytes: this is none. */
	assert_int_equal(s->stamp_n, SHA256_SIZE + 1);
	stamp = report_stamp(s->stamp, s->stamp_n, &n);
	assert_int_equal(n, SHA256_SIZE);
	assert_int_equal(stamp[0], 1);
	assert_null(report_stamp(s->stamp + 1, SHA256_SIZE, &n));
	assert_int_equal(n, 0);
	report_deinit(&r);
}

/* What decisions reckon with. */
static void test_times(void **state)
{
	static const int64_t odd[] = {INT64_MAX, INT64_MIN, -1, 253402300799001};
	struct told t = honest();
	struct report r;

	(void)state;
	t.created_ms = 1000;
	assert_int_equal(take(&r, &t, 49152, NULL), 0);
	assert_int_equal(r.intake.snapshot.created_ms, 1000);
	report_deinit(&r);
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		t.created_ms = odd[i];
		assert_int_equal(take(&r, &t, 49152, NULL), 0);
		assert_int_equal(r.intake.snapshot.created_ms, 0);
		report_deinit(&r);
	}
}

/* Packages that are none are left out and counted. */
static void test_garbage_packages(void **state)
{
	struct told t = honest();
	struct report r;

	(void)state;
	t.package = "";
	assert_int_equal(take(&r, &t, 49152, NULL), 0);
	assert_int_equal(r.intake.snapshot.packages.n, 0);
	assert_int_equal(r.intake.refused, 2);
	report_deinit(&r);
}

static int once(void *ctx)
{
	const struct buf *bytes = ctx;
	struct report r;
	int rc;

	report_init(&r);
	rc = report_feed(&r, bytes->data, bytes->len, NULL);
	if (rc == 0)
		rc = report_finish(&r, &proof, NULL);
	report_deinit(&r);
	return rc;
}

static void test_memory(void **state)
{
	struct told t = honest();
	struct buf bytes;

	(void)state;
	make(&bytes, &t);
	fault_each_alloc(once, &bytes, 3);
	buf_deinit(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),		 cmocka_unit_test(test_refused),
		cmocka_unit_test(test_taken_out),	 cmocka_unit_test(test_times),
		cmocka_unit_test(test_garbage_packages), cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
