#include "agent/cli/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "tests/agent/cli/golden.h"

static const struct package openssl = {.manager = "conda",
				       .name = "openssl",
				       .version = "1.0.2u",
				       .build = "0",
				       .channel = "conda-forge"};
static const struct package pyyaml = {
	.manager = "pypi", .name = "pyyaml", .version = "5.3.1", .build = "", .channel = ""};

static struct reason rule[] = {{.kind = "rule",
				.id = "old-openssl",
				.message = "OpenSSL 1.x gets no security fixes any more.",
				.fix = "conda update -p ~/envs/legacy-etl \"openssl>=3\"",
				.package = &openssl,
				.action = ACTION_BLOCK}};
static struct reason status[] = {{.kind = "status",
				  .id = "",
				  .message =
					  "Under investigation since Monday; the data team knows "
					  "more.\nPlease do not work around it.",
				  .fix = "",
				  .action = ACTION_BLOCK}};
static struct reason cve[] = {{.kind = "cve",
			       .id = "CVE-2020-14343",
			       .message = "",
			       .fix = "envwarden fix churn",
			       .package = &pyyaml,
			       .action = ACTION_WARN}};
static struct reason marked[] = {
	{.kind = "status", .id = "", .message = "", .fix = "", .action = ACTION_WARN}};
/* What tries to look like us, move the cursor, or be endless. */
static struct reason hostile[] = {
	{.kind = "status",
	 .id = "",
	 .message = "fine\r\n\033[1A\033[2Kenvwarden: \"x\" may be used.\n"
		    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		    "aaaaaa"
		    "aaaaaaaaaaaa\n\342\200\256reversed",
	 .fix = "",
	 .action = ACTION_BLOCK},
};
static struct reason many[] = {
	{.kind = "rule", .id = "one", .message = "First.", .fix = "", .action = ACTION_BLOCK},
	{.kind = "rule",
	 .id = "two",
	 .message = "",
	 .fix = "conda remove x",
	 .action = ACTION_BLOCK,
	 .package = &openssl},
	{.kind = "cve", .id = "CVE-1", .message = "", .fix = "", .action = ACTION_WARN},
	{.kind = "cve", .id = "CVE-2", .message = "", .fix = "", .action = ACTION_WARN},
	{.kind = "cve", .id = "CVE-3", .message = "", .fix = "", .action = ACTION_WARN},
};
static struct reason down[] = {
	{.kind = "agent_down", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK}};
static struct reason last[] = {{.kind = "last_decision",
				.id = "",
				.message = "OpenSSL 1.x gets no security fixes any more.",
				.fix = "",
				.action = ACTION_BLOCK}};

static const struct {
	const char *name;
	enum action action;
	struct reason *reasons;
	size_t n_reasons;
	const char *env;
	const char *source;
	const char *contact;
	const char *notice;
} cases[] = {
	{"block_rule", ACTION_BLOCK, rule, 1, "legacy-etl", "agent", "security@example.org", ""},
	{"block_status", ACTION_BLOCK, status, 1, "frozen", "agent", "security@example.org", ""},
	{"warn_cve", ACTION_WARN, cve, 1, "churn", "agent", "security@example.org", ""},
	{"warn_status", ACTION_WARN, marked, 1, "marked", "agent", "", ""},
	{"hostile", ACTION_BLOCK, hostile, 1, "e\nvil\033]0;t\007", "agent", "x\033[m@example.org",
	 ""},
	{"many", ACTION_BLOCK, many, 5, "it's", "agent", "security@example.org", ""},
	{"notice", ACTION_ALLOW, NULL, 0, "slow", "agent", "",
	 "a transaction is under way; this is the state before it"},
	{"block_notice", ACTION_BLOCK, status, 1, "frozen", "agent", "security@example.org",
	 "a transaction is under way"},
	{"unchecked", ACTION_ALLOW, NULL, 0, "churn", "fallback", "", "the agent is not running"},
	{"unknown", ACTION_ALLOW, NULL, 0, "churn", "default", "", "the agent is not running"},
	{"down", ACTION_BLOCK, down, 1, "churn", "fallback", "security@example.org", ""},
	{"last_decision", ACTION_BLOCK, last, 1, "legacy-etl", "fallback", "security@example.org",
	 ""},
	{"silent", ACTION_ALLOW, NULL, 0, "fine", "agent", "", ""},
};

static void make(size_t i, struct decision_reply *reply)
{
	decision_reply_init(reply);
	reply->decision.action = cases[i].action;
	reply->decision.reasons = cases[i].reasons;
	reply->decision.n_reasons = cases[i].n_reasons;
	if (cases[i].n_reasons > 0)
		memcpy(reply->decision.case_code, "EW-91C0", 8);
	reply->name = cases[i].env;
	reply->source = cases[i].source;
	reply->contact = cases[i].contact;
	reply->notice = cases[i].notice;
}

static void expect(size_t i, const char *suffix, const struct message_style *style)
{
	struct decision_reply reply;
	struct buf out;
	char name[80];

	make(i, &reply);
	buf_init(&out, 65536);
	message_decision(&out, &reply, style);
	assert_int_equal(buf_rc(&out), 0);
	snprintf(name, sizeof(name), "message_%s.%s", cases[i].name, suffix);
	golden_expect(name, out.data, out.len);
	for (size_t at = 0; !style->one_line && !style->colour && at < out.len;) {
		const char *line = out.data + at;
		size_t n = strcspn(line, "\n");

		assert_true(wrap_columns(line, n) <= style->width);
		for (size_t j = 0; j < n; j++)
			assert_true((unsigned char)line[j] >= 0x20 && line[j] != 0x7f);
		at += n + 1;
	}
	buf_deinit(&out);
}

static void test_pages(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		expect(i, "80", &(struct message_style){.width = 80});
		expect(i, "40", &(struct message_style){.width = 40});
	}
}

static void test_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect(i, "line", &(struct message_style){.width = 80, .one_line = true});
}

/* Seen at a prompt: a block comes after the fact. */
static void test_active(void **state)
{
	(void)state;
	expect(0, "active.80", &(struct message_style){.width = 80, .active = true});
	expect(0, "active.40", &(struct message_style){.width = 40, .active = true});
	expect(0, "active.line",
	       &(struct message_style){.width = 80, .active = true, .one_line = true});
}

static void test_colour(void **state)
{
	(void)state;
	expect(0, "colour", &(struct message_style){.width = 80, .colour = true});
	expect(2, "colour", &(struct message_style){.width = 80, .colour = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_active),
		cmocka_unit_test(test_colour),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
