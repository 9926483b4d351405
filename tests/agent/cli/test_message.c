#include "agent/cli/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "tests/agent/cli/golden.h"

#define DAY_MS INT64_C(1796515200000) /* 2026-12-06T00:00:00Z */
#define NAME_64 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-0123456789"

static const struct package openssl = {.manager = "conda",
				       .name = "openssl",
				       .version = "1.0.2u",
				       .build = "0",
				       .channel = "https://conda.anaconda.org/conda-forge"};
static const struct package pyyaml = {
	.manager = "pypi", .name = "pyyaml", .version = "5.3.1", .build = "", .channel = ""};

static struct reason rule[] = {{.kind = "rule",
				.id = "old-openssl",
				.message = "OpenSSL 1.x gets no security fixes any more.",
				.fix = "conda install -p /home/ana/envs/legacy-etl "
				       "\"openssl>=3\"",
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
/* Copies follow what they are copied from. */
static struct reason clone[] = {{.kind = "status",
				 .id = "clone",
				 .message = "Leaks credentials.",
				 .fix = "",
				 .action = ACTION_BLOCK}};
static struct reason same[] = {{.kind = "status",
				.id = "same-packages",
				.message = "Leaks credentials.",
				.fix = "",
				.action = ACTION_BLOCK}};
/* From a day on, and until a grace is over: the sooner counts. */
static struct reason later[] = {{.kind = "rule",
				 .id = "old-openssl",
				 .message = "OpenSSL 1.x gets no security fixes any more.",
				 .fix = "",
				 .package = &openssl,
				 .action = ACTION_WARN,
				 .block_from_ms = DAY_MS}};
static struct reason deferred[] = {
	{.kind = "rule",
	 .id = "old-openssl",
	 .message = "",
	 .fix = "envwarden fix churn",
	 .package = &openssl,
	 .action = ACTION_WARN,
	 .block_from_ms = DAY_MS},
	{.kind = "rule",
	 .id = "channels",
	 .message = "",
	 .fix = "",
	 .action = ACTION_WARN,
	 .block_from_ms = DAY_MS - INT64_C(12 * 86400000) + INT64_C(36720000)},
};
static struct reason stale_warn[] = {
	{.kind = "stale", .id = "", .message = "", .fix = "", .action = ACTION_WARN}};
static struct reason stale_block[] = {
	{.kind = "stale", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK}};
static struct reason timeout_warn[] = {
	{.kind = "timeout", .id = "", .message = "", .fix = "", .action = ACTION_WARN}};
static struct reason timeout_block[] = {
	{.kind = "timeout", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK}};
static char essay_text[4097];
static struct reason essay[] = {
	{.kind = "status", .id = "", .message = essay_text, .fix = "", .action = ACTION_BLOCK}};
static struct reason long_fix[] = {
	{.kind = "rule",
	 .id = "everything",
	 .message = "",
	 .fix = "conda install -p '/home/ana/my envs/it'\\''s old' \"numpy>=2\" \"scipy>=1.14\" "
		"\"pandas>=2.2\" \"openssl>=3\"",
	 .action = ACTION_BLOCK},
};
/* What one command alone would not lift. */
static struct reason two_fixes[] = {
	{.kind = "rule",
	 .id = "one",
	 .message = "",
	 .fix = "conda remove x",
	 .action = ACTION_BLOCK},
	{.kind = "rule",
	 .id = "two",
	 .message = "",
	 .fix = "conda remove y",
	 .action = ACTION_BLOCK,
	 .package = &openssl},
};
/* The block stays, whatever is done about the rest. */
static struct reason not_lifted[] = {
	{.kind = "status", .id = "", .message = "Not this one.", .fix = "", .action = ACTION_BLOCK},
	{.kind = "rule",
	 .id = "later",
	 .message = "",
	 .fix = "conda remove x",
	 .action = ACTION_WARN,
	 .package = &openssl},
};
static struct reason stale_and_status[] = {
	{.kind = "status", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK},
	{.kind = "stale", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK},
};
static struct reason down[] = {
	{.kind = "agent_down", .id = "", .message = "", .fix = "", .action = ACTION_BLOCK}};
static struct reason last[] = {{.kind = "last_decision",
				.id = "",
				.message = "OpenSSL 1.x gets no security fixes any more.",
				.fix = "",
				.action = ACTION_BLOCK}};
static struct reason last_with_fix[] = {{.kind = "last_decision",
					 .id = "",
					 .message = "OpenSSL 1.x gets no security fixes any more.",
					 .fix = "conda install -n legacy-etl \"openssl>=3\"",
					 .action = ACTION_BLOCK}};

static struct reason last_refused[] = {{.kind = "last_decision",
					.id = "refused",
					.message = "No more.",
					.fix = "",
					.action = ACTION_BLOCK}};
static struct reason down_refused[] = {
	{.kind = "agent_down", .id = "refused", .message = "", .fix = "", .action = ACTION_BLOCK}};
#define NO_NAME "an environment's name has no '/', ':' or '#'"

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
	{"two_fixes", ACTION_BLOCK, two_fixes, 2, "it's", "agent", "security@example.org", ""},
	{"not_lifted", ACTION_BLOCK, not_lifted, 2, "frozen", "agent", "security@example.org", ""},
	{"stale_and_status", ACTION_BLOCK, stale_and_status, 2, "frozen", "agent",
	 "security@example.org", ""},
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
	{"last_decision_fix", ACTION_BLOCK, last_with_fix, 1, "legacy-etl", "fallback",
	 "security@example.org", ""},
	{"refused", ACTION_ALLOW, NULL, 0, "a/b", "refused", "", NO_NAME},
	{"refused_last", ACTION_BLOCK, last_refused, 1, "a/b", "refused", "", NO_NAME},
	{"refused_down", ACTION_BLOCK, down_refused, 1, "a/b", "refused", "", NO_NAME},
	{"clone", ACTION_BLOCK, clone, 1, "copy", "agent", "security@example.org", ""},
	{"same_packages", ACTION_BLOCK, same, 1, "copy", "agent", "security@example.org", ""},
	{"exception_ended", ACTION_BLOCK, rule, 1, "legacy-etl", "agent", "security@example.org",
	 "The exception that was granted ended on 2026-11-22."},
	{"unlock_ended", ACTION_BLOCK, status, 1, "legacy-etl", "agent", "security@example.org",
	 "The unlock code that was used ended on 2026-11-22."},
	{"from", ACTION_WARN, later, 1, "churn", "agent", "security@example.org", ""},
	{"deferred", ACTION_WARN, deferred, 2, "churn", "agent", "security@example.org", ""},
	{"stale_warn", ACTION_WARN, stale_warn, 1, "churn", "agent", "security@example.org", ""},
	{"stale_block", ACTION_BLOCK, stale_block, 1, "churn", "agent", "security@example.org", ""},
	{"timeout_warn", ACTION_WARN, timeout_warn, 1, "churn", "agent", "", ""},
	{"timeout_block", ACTION_BLOCK, timeout_block, 1, "churn", "agent", "", ""},
	{"essay", ACTION_BLOCK, essay, 1, "frozen", "agent", "security@example.org", ""},
	{"long_fix", ACTION_BLOCK, long_fix, 1, "it's old", "agent", "security@example.org", ""},
	{"long_name", ACTION_BLOCK, status, 1, NAME_64 NAME_64 NAME_64, "agent",
	 "security@example.org", ""},
	{"wide", ACTION_BLOCK, status, 1,
	 "\345\210\206\346\236\220\347\222\260\345\242\203\360\237\214\261\345\210\206\346\236\220"
	 "\347\222\260\345\242\203\345\210\206\346\236\220\347\222\260\345\242\203\345\210\206"
	 "\346\236\220",
	 "agent", "\346\203\205\345\240\261\347\263\273@example.org", ""},
	{"bidi", ACTION_WARN, marked, 1, "a\342\200\256b\342\201\246c\302\205", "agent",
	 "security@example.org", ""},
	/* What rules in monitor mode would say is no reason. */
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
	reply->refused = strcmp(cases[i].source, "refused") == 0;
	reply->source = reply->refused ? "fallback" : cases[i].source;
	reply->contact = cases[i].contact;
	reply->notice = cases[i].notice;
}

/* What is there to be copied as it is. */
static bool is_command(const char *line)
{
	return text_starts(line, "  Fix   ") ||
	       text_starts(line + strspn(line, " "), "envwarden request ") ||
	       text_starts(line + strspn(line, " "), "envwarden show ");
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

		assert_true(wrap_columns(line, n) <= style->width || is_command(line));
		assert_true(at == 0 || !text_starts(line, "envwarden: "));
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
		expect(i, "80", &(struct message_style){.width = 80, .home = "/home/ana"});
		expect(i, "40", &(struct message_style){.width = 40, .home = "/home/ana"});
	}
}

static void test_one_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		expect(i, "line",
		       &(struct message_style){.width = 80, .one_line = true, .home = "/home/ana"});
}

/* The environment goes by the word that finds it. */
static void test_word(void **state)
{
	struct message_style style = {.width = 80, .env = "~/envs/legacy-etl", .home = "/home/ana"};

	(void)state;
	expect(0, "word", &style);
	style.one_line = true;
	expect(0, "word_line", &style);
}

/* As the design has it, to the letter. */
static void test_to_the_letter(void **state)
{
	static const char block[] =
		"envwarden: \"legacy-etl\" is BLOCKED and was not activated.\n"
		"  Why   openssl 1.0.2u (conda-forge) breaks rule \"old-openssl\":\n"
		"        | OpenSSL 1.x gets no security fixes any more.\n"
		"  Fix   conda install -p ~/envs/legacy-etl \"openssl>=3\"\n"
		"        Works while blocked; the block then lifts by itself.\n"
		"  Ask   security@example.org, case EW-91C0, or: envwarden request legacy-etl\n";
	struct message_style style = {.width = 80, .home = "/home/ana"};
	struct decision_reply reply;
	struct buf out;

	(void)state;
	make(0, &reply);
	buf_init(&out, 65536);
	message_decision(&out, &reply, &style);
	assert_string_equal(buf_cstr(&out), block);
	buf_deinit(&out);
}

/* Seen at a prompt: a block comes after the fact. */
static void test_active(void **state)
{
	(void)state;
	expect(0, "active.80",
	       &(struct message_style){.width = 80, .active = true, .home = "/home/ana"});
	expect(0, "active.40",
	       &(struct message_style){.width = 40, .active = true, .home = "/home/ana"});
	expect(0, "active.line",
	       &(struct message_style){
		       .width = 80, .active = true, .one_line = true, .home = "/home/ana"});
}

/* Nothing is being activated: somebody asks, and is answered whatever it is. */
static void test_asked(void **state)
{
	struct message_style style = {.asked = true, .home = "/home/ana"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].action == ACTION_BLOCK && i > 0)
			continue;
		style.one_line = false;
		style.width = 80;
		expect(i, "asked.80", &style);
		style.width = 40;
		expect(i, "asked.40", &style);
		style.one_line = true;
		expect(i, "asked.line", &style);
	}
}

/* Without an agent, of what is nowhere to be seen. */
static void test_unfound(void **state)
{
	struct message_style style = {
		.width = 80, .asked = true, .unfound = true, .home = "/home/ana"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (strcmp(cases[i].name, "unchecked") != 0)
			continue;
		expect(i, "unfound.80", &style);
		style.width = 40;
		expect(i, "unfound.40", &style);
		style.one_line = true;
		expect(i, "unfound.line", &style);
		style.asked = false; /* the gate: its tool has found it */
		expect(i, "line", &style);
	}
}

static void test_absent(void **state)
{
	static const char *const typed[] = {"nope", "/srv/envs/a b\n\033[2J"};
	static const struct message_style styles[] = {
		{.width = 80}, {.width = 40}, {.width = 80, .one_line = true}};
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	for (size_t i = 0; i < ARRAY_SIZE(typed); i++)
		for (size_t k = 0; k < ARRAY_SIZE(styles); k++)
			message_absent(&out, typed[i], &styles[k]);
	golden_expect("message_absent", out.data, out.len);
	buf_deinit(&out);
}

static void test_colour(void **state)
{
	(void)state;
	expect(0, "colour",
	       &(struct message_style){.width = 80, .colour = true, .home = "/home/ana"});
	expect(2, "colour",
	       &(struct message_style){.width = 80, .colour = true, .home = "/home/ana"});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pages),  cmocka_unit_test(test_one_line),
		cmocka_unit_test(test_active), cmocka_unit_test(test_colour),
		cmocka_unit_test(test_word),   cmocka_unit_test(test_to_the_letter),
		cmocka_unit_test(test_asked),  cmocka_unit_test(test_unfound),
		cmocka_unit_test(test_absent),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	for (size_t i = 0; i + 1 < sizeof(essay_text); i++)
		essay_text[i] = i % 512 == 511 ? '\n' : i % 7 == 6 ? ' ' : (char)('a' + i % 26);

	return cmocka_run_group_tests(tests, NULL, NULL);
}
