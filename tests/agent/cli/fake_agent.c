#include "tests/agent/cli/fake_agent.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "agent/local/server.h"
#include "lib/base/compiler.h"
#include "proto/convert.h"
#include "proto/limits.h"

#define TIME_MS INT64_C(1795367862123) /* 2026-11-22T17:17:42.123Z */
#define HOUR_MS INT64_C(3600000)

struct fake {
	struct fake_options options;
	struct arena arena; /* of the answers; never given back, the process is short */
};

static const struct package openssl = {
	.manager = "conda",
	.name = "openssl",
	.version = "1.0.2u",
	.build = "h516909a_0",
	.build_number = 0,
	.channel = "conda-forge",
	.subdir = "linux-64",
	.license = "OpenSSL",
	.url = "https://conda.anaconda.org/conda-forge/linux-64/openssl-1.0.2u-h516909a_0.tar.bz2",
	.has_sha256 = true,
	.sha256 = {0xab, 0xcd},
	.requested = true,
};
static const struct package pyyaml = {
	.manager = "pypi",
	.name = "pyyaml",
	.version = "5.3.1",
	.build = "",
	.build_number = PACKAGE_BUILD_NUMBER_UNKNOWN,
	.channel = "",
	.subdir = "",
	.license = "MIT",
	.url = "",
	.installer = PACKAGE_BY_UV,
};
/* A name that would clear the screen and a version that would forge a line. */
static const struct package hostile = {
	.manager = "conda",
	.name = "evil\033[2J",
	.version = "1\nenvwarden: all is well",
	.build = "0",
	.build_number = 0,
	.channel = "https://example.org/\033]0;title\007",
	.subdir = "noarch",
	.license = "",
	.url = "",
};

/* --- decisions --- */

static void set_reason(struct decision_reply *reply, struct reason *reason)
{
	reason->action = reply->decision.action;
	reply->decision.reasons = reason;
	reply->decision.n_reasons = 1;
	memcpy(reply->decision.case_code, "EW-91C0", 8);
}

static void decide(const char *typed, struct decision_reply *reply, struct reason *reason)
{
	decision_reply_init(reply);
	reply->name = typed;
	reply->prefix = "/home/ana/envs/x";
	reply->source = "agent";
	reply->contact = "security@example.org";
	reply->policy_version = 41;
	reply->decision.valid_until_ms = TIME_MS;
	*reason = (struct reason){.kind = "status", .id = "", .message = "", .fix = ""};
	if (strcmp(typed, "legacy-etl") == 0) {
		reply->decision.action = ACTION_BLOCK;
		*reason = (struct reason){
			.kind = "rule",
			.id = "old-openssl",
			.message = "OpenSSL 1.x gets no security fixes any more.",
			.fix = "conda install -p ~/envs/legacy-etl \"openssl>=3\"",
			.package = &openssl,
		};
	} else if (strcmp(typed, "frozen") == 0) {
		reply->decision.action = ACTION_BLOCK;
		reason->message = "Under investigation.\nenvwarden: \"frozen\" is fine.";
	} else if (strcmp(typed, "churn") == 0) {
		reply->decision.action = ACTION_WARN;
		*reason = (struct reason){.kind = "cve",
					  .id = "CVE-2020-14343",
					  .message = "",
					  .fix = "envwarden fix churn",
					  .package = &pyyaml};
	} else if (strcmp(typed, "marked") == 0) {
		reply->decision.action = ACTION_WARN;
		reason->message = "\033[31mplease\033[0m rebuild";
	} else if (strcmp(typed, "slow") == 0) {
		reply->notice = "A transaction is under way; this is the state before it.";
	} else if (strcmp(typed, "nope") == 0) {
		reply->absent = true;
		reply->notice = "There is no such environment.";
	}
	if (reply->decision.action != ACTION_ALLOW)
		set_reason(reply, reason);
}

static void on_check(void *ctx, struct local_call *call, const Envwarden__Local__CheckRequest *m)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct fake *fake = ctx;
	struct decision_reply reply;
	struct reason reason;

	if (strcmp(m->target->typed, "hang") == 0)
		return; /* the call stays under way for good */
	decide(m->target->typed, &reply, &reason);
	CHECK(decision_to_wire(&reply, &fake->arena, &answer.decision) == 0);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	local_call_end(call, &answer);
}

/* --- environments --- */

static void send_environment(struct fake *fake, struct local_call *call,
			     const struct environment_info *info)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;

	CHECK(environment_to_wire(info, &fake->arena, &item.environment) == 0);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	CHECK(local_call_send(call, &answer) == 0);
}

static void make_environment(struct environment_info *info, const char *name, const char *prefix)
{
	environment_info_init(info);
	memset(&info->id, 7, sizeof(info->id));
	info->name = name;
	info->prefix = prefix;
	info->owner = (struct person){.name = "ana", .uid = 1000, .how = ""};
	info->platform = "linux-64";
	info->tool = "conda";
	info->package_count = 3;
	info->created_ms = TIME_MS - 48 * HOUR_MS;
	info->last_change_ms = TIME_MS;
}

static void on_list(void *ctx, struct local_call *call, const Envwarden__Local__ListRequest *m)
{
	static const char *const degraded[] = {"polled: network file system"};
	struct environment_info info;

	make_environment(&info, "churn", "/home/ana/envs/churn");
	info.package_count = 412;
	info.last_used_ms = TIME_MS + HOUR_MS;
	send_environment(ctx, call, &info);
	make_environment(&info, "\033]0;x\007",
			 "/home/ana/envs/caf\303\251 \346\227\245\346\234\254");
	info.status = ACTION_BLOCK;
	info.degraded = degraded;
	info.n_degraded = 1;
	send_environment(ctx, call, &info);
	if (m->all) {
		make_environment(
			&info, "an-environment-with-a-very-long-name",
			"/home/ana/projects/somewhere/envs/an-environment-with-a-very-long-name");
		send_environment(ctx, call, &info);
		make_environment(&info, "lab", "/srv/lab");
		info.owner.name = "bert";
		info.status = ACTION_WARN;
		info.excluded = true;
		info.last_change_ms = 0;
		send_environment(ctx, call, &info);
	}
	local_call_end(call, NULL);
}

/* An environment without anything in it, as no agent sends it. */
static void send_hollow(struct local_call *call)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;

	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	CHECK(local_call_send(call, &answer) == 0);
	local_call_end(call, NULL);
}

static void send_granted(struct fake *fake, struct local_call *call,
			 const struct environment_info *info)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnvironmentItem item = ENVWARDEN__LOCAL__ENVIRONMENT_ITEM__INIT;
	Envwarden__Person ana = ENVWARDEN__PERSON__INIT, bert = ENVWARDEN__PERSON__INIT;
	Envwarden__Grace deferred = ENVWARDEN__GRACE__INIT, unlocked = ENVWARDEN__GRACE__INIT;
	bool granted = strcmp(info->name, "granted") == 0;

	ana.name = (char *)(uintptr_t) "ana\033[2J";
	ana.uid = 1000;
	bert.uid = 1001;
	deferred.who = &ana;
	deferred.until_ms = TIME_MS + HOUR_MS;
	deferred.given_ms = TIME_MS;
	deferred.case_code = (char *)(uintptr_t) "EW-91C0";
	unlocked.until_ms = TIME_MS + 48 * HOUR_MS;
	unlocked.serial = 3;
	if (granted) {
		unlocked.who = &bert;
		unlocked.given_ms = TIME_MS;
		unlocked.lifts_status = true;
	}
	CHECK(environment_to_wire(info, &fake->arena, &item.environment) == 0);
	item.environment->deferred = granted ? &deferred : NULL;
	item.environment->unlocked = &unlocked;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT;
	answer.environment = &item;
	CHECK(local_call_send(call, &answer) == 0);
}

static void on_show(void *ctx, struct local_call *call, const Envwarden__Local__ShowRequest *m)
{
	const struct package packages[] = {openssl, pyyaml, hostile};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__PackagesItem item = ENVWARDEN__LOCAL__PACKAGES_ITEM__INIT;
	struct fake *fake = ctx;
	struct environment_info info;
	struct decision_reply reply;
	struct reason reason;

	if (strcmp(m->target->typed, "gone") == 0) {
		local_call_fail(call, ERR_NOTFOUND, "no environment \"gone\" is known");
		return;
	}
	if (strcmp(m->target->typed, "secret") == 0) {
		local_call_fail(call, ERR_PERM, "that environment is not yours");
		return;
	}
	if (strcmp(m->target->typed, "hollow") == 0) {
		send_hollow(call);
		return;
	}
	make_environment(&info, m->target->typed, "/home/ana/envs/x");
	if (strcmp(m->target->typed, "granted") == 0 || strcmp(m->target->typed, "helped") == 0)
		send_granted(fake, call, &info);
	else
		send_environment(fake, call, &info);
	for (size_t i = 0; i < ARRAY_SIZE(packages); i++) { /* in pieces, as big ones come */
		item.n_packages = 1;
		CHECK(packages_to_wire(&packages[i], 1, &fake->arena, &item.packages) == 0);
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES;
		answer.packages = &item;
		CHECK(local_call_send(call, &answer) == 0);
	}
	decide(m->target->typed, &reply, &reason);
	CHECK(decision_to_wire(&reply, &fake->arena, &answer.decision) == 0);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION;
	CHECK(local_call_send(call, &answer) == 0);
	local_call_end(call, NULL);
}

/* --- the journal --- */

static void send_change(struct fake *fake, struct local_call *call, const struct change *change,
			bool more)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ChangeItem item = ENVWARDEN__LOCAL__CHANGE_ITEM__INIT;

	CHECK(change_to_wire(change, &fake->arena, &item.change) == 0);
	item.more = more;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHANGE;
	answer.change = &item;
	CHECK(local_call_send(call, &answer) == 0);
}

static void on_history(void *ctx, struct local_call *call,
		       const Envwarden__Local__HistoryRequest *m)
{
	struct package items[] = {openssl, pyyaml, hostile};
	struct change change;

	if (strcmp(m->target->typed, "quiet") == 0) {
		local_call_end(call, NULL);
		return;
	}
	if (strcmp(m->target->typed, "twice") == 0) {
		local_call_fail(call, ERR_USAGE, "several environments have this name; /a /b");
		return;
	}
	change_init(&change);
	memset(&change.epoch, 3, sizeof(change.epoch));
	memset(&change.environment, 7, sizeof(change.environment));
	change.seq = 1;
	change.time_ms = TIME_MS;
	change.kind = CHANGE_CREATED;
	change.prefix = "/home/ana/envs/churn";
	change.platform = "linux-64";
	change.actor = (struct person){.name = "ana", .uid = 1000, .how = "owner of history"};
	change.tool = "conda";
	change.command = "conda create -n churn openssl\033[2J";
	change.added = (struct package_list){.items = items, .n = 1, .cap = 1};
	if (m->since_ms <= TIME_MS)
		send_change(ctx, call, &change, false);
	change.seq = 2;
	change.time_ms += HOUR_MS;
	change.kind = CHANGE_UPDATED;
	change.command = "";
	change.tool = "pip";
	change.seen_at_start = true;
	change.removed = (struct package_list){.items = items, .n = 1, .cap = 1};
	change.added = (struct package_list){.items = items + 1, .n = 1, .cap = 1};
	send_change(ctx, call, &change, true);
	change.removed = (struct package_list){0};
	change.added = (struct package_list){.items = items + 2, .n = 1, .cap = 1};
	send_change(ctx, call, &change, false);
	change_init(&change);
	memset(&change.epoch, 4, sizeof(change.epoch));
	change.seq = 1;
	change.time_ms = TIME_MS + 2 * HOUR_MS;
	change.kind = CHANGE_GAP;
	change.detail = "03030303030303030303030303030303";
	send_change(ctx, call, &change, false);
	change.seq = 2;
	change.kind = CHANGE_REMOVED;
	change.prefix = "/home/ana/envs/churn";
	change.detail = "";
	change.tool = "conda";
	send_change(ctx, call, &change, false);
	change.seq = 3;
	change.actor.uid = 1001;
	send_change(ctx, call, &change, false);
	local_call_end(call, NULL);
}

/* --- the past --- */

static void send_head(struct fake *fake, struct local_call *call, const char *name)
{
	struct environment_info info;

	make_environment(&info, name, "/home/ana/envs/churn");
	send_environment(fake, call, &info);
}

static struct package in_channel(struct package p, const char *channel)
{
	p.channel = channel;
	return p;
}

static void on_packages_at(void *ctx, struct local_call *call,
			   const Envwarden__Local__PackagesRequest *m)
{
	const struct package packages[] = {openssl, in_channel(hostile, "bioconda"), pyyaml};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__PackagesItem item = ENVWARDEN__LOCAL__PACKAGES_ITEM__INIT;
	struct fake *fake = ctx;

	if (m->at->seq == 9) {
		local_call_fail(call, ERR_NOTFOUND, "the environment did not exist then");
		return;
	}
	send_head(fake, call, strcmp(m->target->typed, "odd") == 0 ? "yes: \"no\"\n" : "churn");
	item.n_packages = m->at->seq == 1 ? 1 : ARRAY_SIZE(packages);
	CHECK(packages_to_wire(packages, item.n_packages, &fake->arena, &item.packages) == 0);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES;
	answer.packages = &item;
	CHECK(local_call_send(call, &answer) == 0);
	local_call_end(call, NULL);
}

static void on_diff(void *ctx, struct local_call *call, const Envwarden__Local__DiffRequest *m)
{
	struct package newer = openssl;
	const struct package *added[] = {&hostile, &newer};
	const struct package *removed[] = {&openssl, &pyyaml};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct fake *fake = ctx;

	newer.version = "3.0.14";
	newer.build = "h_0";
	send_head(fake, call, "churn");
	for (size_t i = 0; m->from->seq != 7 && i < ARRAY_SIZE(added); i++) {
		Envwarden__Local__DiffItem item = ENVWARDEN__LOCAL__DIFF_ITEM__INIT;

		item.n_added = item.n_removed = 1;
		CHECK(packages_to_wire(added[i], 1, &fake->arena, &item.added) == 0);
		CHECK(packages_to_wire(removed[i], 1, &fake->arena, &item.removed) == 0);
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DIFF_ITEM;
		answer.diff_item = &item;
		CHECK(local_call_send(call, &answer) == 0);
	}
	local_call_end(call, NULL);
}

static void on_sent(void *ctx, struct local_call *call, const Envwarden__Local__SentRequest *m)
{
	static const struct {
		const char *kind;
		const char *content;
	} messages[] = {{"hello", "{\"hello\":{\"head\":4,\"continuity\":\"(not shown)\"}}"},
			{"packages or changes", ""}};

	(void)ctx;
	for (size_t i = ARRAY_SIZE(messages) - (m->last < 2 ? m->last : 2);
	     i < ARRAY_SIZE(messages); i++) {
		Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
		Envwarden__Local__SentItem item = ENVWARDEN__LOCAL__SENT_ITEM__INIT;

		item.number = 40 + i;
		item.time_ms = TIME_MS;
		item.size = i == 0 ? 120 : 400000;
		item.kind = (char *)(uintptr_t)messages[i].kind;
		item.content = (char *)(uintptr_t)messages[i].content;
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_SENT_ITEM;
		answer.sent_item = &item;
		CHECK(local_call_send(call, &answer) == 0);
	}
	local_call_end(call, NULL);
}

/* --- the others --- */

static void on_record(void *ctx, struct local_call *call, const Envwarden__Local__RecordRequest *m)
{
	uint64_t total = m->all ? 3 : 1;

	(void)ctx;
	for (uint64_t i = 0; i <= total; i++) {
		Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
		Envwarden__Local__RecordProgress progress = ENVWARDEN__LOCAL__RECORD_PROGRESS__INIT;

		progress.done = i;
		progress.total = total;
		progress.prefix = (char *)(uintptr_t) "/home/ana/envs/churn";
		if (i > 0)
			progress.ended = progress.prefix;
		if (i == 2)
			progress.failed = (char *)(uintptr_t) "it is being changed";
		answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD_PROGRESS;
		answer.record_progress = &progress;
		CHECK(local_call_send(call, &answer) == 0);
	}
	if (m->all)
		local_call_fail(call, ERR_BUSY,
				"not all recorded; /home/ana/envs/churn: it is being changed");
	else
		local_call_end(call, NULL);
}

static void on_status(void *ctx, struct local_call *call, const Envwarden__Local__StatusRequest *m)
{
	static uint8_t id[16] = {9, 9};
	static uint8_t organisation[16] = {6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6, 6};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusReply status = ENVWARDEN__LOCAL__STATUS_REPLY__INIT;
	Envwarden__Local__Degraded line = ENVWARDEN__LOCAL__DEGRADED__INIT;
	Envwarden__Local__Degraded *lines[] = {&line};
	Envwarden__Local__RanBlocked ran = ENVWARDEN__LOCAL__RAN_BLOCKED__INIT;
	struct fake *fake = ctx;

	(void)m;
	status.version = (char *)(uintptr_t) "0.1.0";
	status.environments = 12;
	status.watched = 11;
	status.polled = 1;
	status.head = 412;
	status.epoch = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
	status.advisories_age_s = -1;
	if (fake->options.enrolled) {
		status.enrolled = true;
		status.organisation = (char *)(uintptr_t) "Example Org";
		status.organisation_id =
			(ProtobufCBinaryData){.len = sizeof(organisation), .data = organisation};
		status.server = (char *)(uintptr_t) "warden.example.org:7443";
		status.connected = true;
		status.logging = true;
		status.acked = 410;
		status.policy_version = 41;
		status.advisories_version = 7;
		status.advisories_age_s = 7300;
		status.machine = status.epoch;
	}
	line.what = (char *)(uintptr_t) "/home/ana is polled";
	line.why = (char *)(uintptr_t) "its file system (nfs) tells of no changes";
	line.remedy = (char *)(uintptr_t) "nothing, or keep environments on a local disk";
	ran.times = 2 * fake->options.ran - 1;
	ran.environments = fake->options.ran;
	ran.last_ms = fake->options.ran > 1 ? TIME_MS : 0;
	ran.prefix = (char *)(uintptr_t)(fake->options.ran > 1 ? "/home/ana/envs/a\033[2Jb" : "");
	status.ran_blocked = fake->options.ran > 0 ? &ran : NULL;
	status.degraded = lines;
	status.n_degraded = fake->options.degraded;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY;
	answer.status_reply = &status;
	local_call_end(call, &answer);
}

static void on_enroll(void *ctx, struct local_call *call, const Envwarden__Local__EnrollRequest *m)
{
	static uint8_t id[16] = {9, 9};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnrollReply reply = ENVWARDEN__LOCAL__ENROLL_REPLY__INIT;
	struct fake *fake = ctx;

	if (fake->options.degraded) {
		local_call_fail(call, ERR_UNREACHABLE,
				"warden.example.org:7443: connection refused");
		return;
	}
	CHECK(strlen(m->join_code) > 0 && m->join_code[strlen(m->join_code) - 1] != '\n');
	reply.organisation = (char *)(uintptr_t) "Example Org";
	reply.machine = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL_REPLY;
	answer.enroll_reply = &reply;
	local_call_end(call, &answer);
}

/* --- requests for exceptions --- */

static const struct {
	Envwarden__Local__AskedException__State state;
	const char *reason;
	const char *message;
	const char *exception;
	int64_t until_ms;
} asked[] = {
	{ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__OPEN, "The driver needs it until March.", "", "",
	 0},
	{ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__DENIED, "please\033[2J\nState   approved",
	 "No.\n\342\200\256Use the build from the mirror.", "", 0},
	{ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__APPROVED, "demo", "Until then.",
	 "0f7b2a3e-8f9c-4c1b-9a59-0f1d2c3b4a5e", TIME_MS + 48 * HOUR_MS},
	{ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__ENDED, "demo", "", "EX-17", TIME_MS - HOUR_MS},
	{ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__QUEUED, "first", "", "", 0},
};

static void answer_asked(struct local_call *call, const char *typed, size_t first, size_t n,
			 bool existed)
{
	static uint8_t id[16] = {9, 9};
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__AskedReply reply = ENVWARDEN__LOCAL__ASKED_REPLY__INIT;
	Envwarden__Local__AskedException items[ARRAY_SIZE(asked)], *list[ARRAY_SIZE(asked)];

	for (size_t i = 0; i < n; i++) {
		envwarden__local__asked_exception__init(&items[i]);
		items[i].id = (ProtobufCBinaryData){.len = sizeof(id), .data = id};
		items[i].state = asked[first + i].state;
		items[i].user = (char *)(uintptr_t) "ana";
		items[i].reason = (char *)(uintptr_t)asked[first + i].reason;
		items[i].case_code = (char *)(uintptr_t) "EW-91C0";
		items[i].made_ms = TIME_MS - (int64_t)i * HOUR_MS;
		items[i].message = (char *)(uintptr_t)asked[first + i].message;
		items[i].exception = (char *)(uintptr_t)asked[first + i].exception;
		items[i].until_ms = asked[first + i].until_ms;
		list[i] = &items[i];
	}
	reply.name = (char *)(uintptr_t)typed;
	reply.requests = list;
	reply.n_requests = n;
	reply.existed = existed;
	reply.connected = strcmp(typed, "legacy-etl") == 0;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ASKED;
	answer.asked = &reply;
	local_call_end(call, &answer);
}

static void on_ask(void *ctx, struct local_call *call, const Envwarden__Local__ExceptionAsk *m)
{
	const char *typed = m->target->typed;

	(void)ctx;
	if (strcmp(typed, "secret") == 0)
		local_call_fail(call, ERR_PERM,
				"not permitted: only its owner, or root, may do that");
	else if (strcmp(typed, "legacy-etl") == 0)
		answer_asked(call, typed, 4, 1, false);
	else
		answer_asked(call, typed, strcmp(typed, "twice") == 0 ? 0 : 4, 1,
			     strcmp(typed, "twice") == 0);
}

static void on_states(void *ctx, struct local_call *call,
		      const Envwarden__Local__ExceptionStates *m)
{
	const char *typed = m->target->typed;

	(void)ctx;
	answer_asked(call, typed, 0, strcmp(typed, "fine") == 0 ? 0 : ARRAY_SIZE(asked), false);
}

/* --- the process --- */

static const struct local_handlers handlers = {
	.check = on_check,
	.list = on_list,
	.show = on_show,
	.history = on_history,
	.packages_at = on_packages_at,
	.diff = on_diff,
	.sent = on_sent,
	.record = on_record,
	.status = on_status,
	.enroll = on_enroll,
	.exception_ask = on_ask,
	.exception_states = on_states,
};

static void serve(const char *socket, const struct fake_options *options, int ready)
{
	static struct fake fake;
	struct local_config config = {
		.path = socket, .for_everybody = true, .handlers = &handlers, .ctx = &fake};
	struct local *local;
	uv_loop_t loop;

	fake.options = *options;
	arena_init(&fake.arena, SIZE_MAX / 2);
	signal(SIGPIPE, SIG_IGN);
	if (options->uid != 0)
		CHECK(setuid(options->uid) == 0);
	CHECK(uv_loop_init(&loop) == 0);
	config.loop = &loop;
	CHECK(local_start(&config, &local, NULL) == 0);
	CHECK(write(ready, "r", 1) == 1);
	uv_run(&loop, UV_RUN_DEFAULT);
	_exit(0);
}

void fake_agent_start(struct fake_agent *agent, const char *socket,
		      const struct fake_options *options)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	agent->pid = fork();
	assert_true(agent->pid >= 0);
	if (agent->pid == 0)
		serve(socket, options, ready[1]);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
}

void fake_agent_stop(struct fake_agent *agent)
{
	if (agent->pid <= 0)
		return;
	assert_int_equal(kill(agent->pid, SIGKILL), 0);
	assert_int_equal(waitpid(agent->pid, NULL, 0), agent->pid);
	agent->pid = 0;
}
