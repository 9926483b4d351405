/* Policy as code: check, plan, apply, and what became of it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>
#include <uv.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "lib/policy/policy_check.h"
#include "lib/policy/policy_read.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "server/admin-cli/bytes.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/output.h"
#include "server/admin-cli/plan.h"

#define DELIVERY_MS 3000
#define DELIVERY_POLL_MS 50
#define SOURCE_MAX (8U << 20)

/* --- check --- */

static enum admin_exit read_file(struct admin *a, const char *path, struct buf *out)
{
	struct err err = ERR_INIT;

	if (files_read_whole(path, SOURCE_MAX, out, &err) < 0)
		return admin_fail(a, ADMIN_FAILED, "%s", err.text);
	if (!text_is_utf8(out->data, out->len) || strlen(buf_cstr(out)) != out->len)
		return admin_fail(a, ADMIN_FAILED, "%s: not UTF-8 text", path);
	return ADMIN_OK;
}

static void print_problems(const struct admin *a, const struct problems *problems, const char *path)
{
	struct buf text;

	buf_init(&text, 1U << 20);
	problems_format(problems, path, &text);
	if (text.len > 0)
		(void)fwrite(text.data, 1, text.len, a->err);
	buf_deinit(&text);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static enum admin_exit check_source(struct admin *a, const char *path, const struct buf *source)
{
	struct arena arena;
	struct problems problems;
	struct policy policy;
	struct err err = ERR_INIT;
	enum admin_exit result = ADMIN_OK;
	int rc;

	arena_init(&arena, POLICY_MEMORY_MAX);
	problems_init(&problems, &arena);
	rc = policy_read(source->data, source->len, &arena, &policy, &problems, &err);
	if (rc == 0)
		rc = policy_check(&policy, admin_now_ms(), &arena, &problems, &err);
	problems_sort(&problems);
	print_problems(a, &problems, path);
	if (rc < 0 && arena.full)
		result = admin_fail(a, ADMIN_FAILED, "%s: too big a policy", path);
	else if (rc < 0 && problems.n_errors > 0)
		result = admin_fail(a, ADMIN_FAILED, "%s: %zu error%s, %zu warning%s", path,
				    problems.n_errors, plural(problems.n_errors),
				    problems.n_warnings, plural(problems.n_warnings));
	else if (rc < 0)
		result = admin_fail(a, ADMIN_FAILED, "%s: %s", path, err.text);
	else
		admin_say(a, "%s: %zu rule%s, %zu exception%s; no errors, %zu warning%s", path,
			  policy.n_rules, plural(policy.n_rules), policy.n_exceptions,
			  plural(policy.n_exceptions), problems.n_warnings,
			  plural(problems.n_warnings));
	arena_deinit(&arena);
	return result;
}

enum admin_exit cmd_policy_check(struct admin *a, const char *const *words, size_t n)
{
	struct buf source;
	enum admin_exit result;

	(void)n;
	buf_init(&source, SOURCE_MAX);
	result = read_file(a, words[0], &source);
	if (result == ADMIN_OK)
		result = check_source(a, words[0], &source);
	buf_deinit(&source);
	return result;
}

/* --- plan --- */

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static enum admin_exit plan_call(struct admin *a, const struct buf *source, json_t **out)
{
	json_t *body = json_pack("{s:s%}", "source", source->data, source->len);
	enum admin_exit result = body ? client_call(a, "POST", "/policy/plan", body, out)
				      : admin_fail(a, ADMIN_FAILED, "out of memory");

	json_decref(body);
	if (result == ADMIN_OK && !json_is_true(json_object_get(*out, "good")))
		result = admin_fail(a, ADMIN_FAILED, "the server finds errors in it");
	return result;
}

enum admin_exit cmd_policy_plan(struct admin *a, const char *const *words, size_t n)
{
	struct buf source;
	enum admin_exit result;
	json_t *plan = NULL;

	(void)n;
	buf_init(&source, SOURCE_MAX);
	result = read_file(a, words[0], &source);
	if (result == ADMIN_OK)
		result = check_source(a, words[0], &source);
	if (result == ADMIN_OK)
		result = plan_call(a, &source, &plan);
	if (result == ADMIN_OK && a->options.values[OPT_JSON])
		result = output_json(a, plan);
	else if (result == ADMIN_OK)
		plan_print(a, plan);
	json_decref(plan);
	buf_deinit(&source);
	return result;
}

/* --- one that was applied --- */

static enum admin_exit get_policy(struct admin *a, const char *version, json_t **out)
{
	unsigned long long n;
	struct buf path;
	enum admin_exit result;

	if (version && (text_to_u64(version, strlen(version), &n) < 0 || n == 0))
		return admin_fail(a, ADMIN_USAGE,
				  "VERSION is a number from 1 on, not \"%s\"; see: "
				  "envwarden-admin policy log",
				  version);
	buf_init(&path, 1024);
	buf_adds(&path, "/policy");
	client_query(&path, "version", version);
	result = client_call(a, "GET", buf_cstr(&path), NULL, out);
	buf_deinit(&path);
	return result;
}

/* Applying what is in force makes a new version of it: that may be wanted, or a mistake. */
static enum admin_exit tell_same(struct admin *a, const json_t *plan, const struct buf *source)
{
	enum admin_exit result;
	json_t *policy = NULL;
	const char *text;
	char version[32];

	if (number(plan, "base") == 0 || number(plan, "changes") > 0)
		return ADMIN_OK;
	(void)snprintf(version, sizeof(version), "%" JSON_INTEGER_FORMAT, number(plan, "base"));
	result = get_policy(a, version, &policy);
	text = json_string_value(json_object_get(policy, "source"));
	if (result == ADMIN_OK && text && strlen(text) == source->len &&
	    memcmp(text, source->data, source->len) == 0)
		admin_say(a, "It is policy %s, word for word.", version);
	json_decref(policy);
	return result;
}

/* --- apply --- */

/* "y" on stdin; --yes for scripts. */
static enum admin_exit confirm(struct admin *a)
{
	char line[16];

	if (a->options.values[OPT_YES])
		return ADMIN_OK;
	(void)fflush(a->out); /* the plan, before the question */
	(void)fprintf(a->err, "Apply it? [y/N] ");
	(void)fflush(a->err);
	if (fgets(line, sizeof(line), stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return ADMIN_OK;
	return admin_fail(a, ADMIN_FAILED, "nothing was applied (--yes answers for you)");
}

/* Until every machine that hears of it has it; those away count for nothing. */
static void await_delivery(struct admin *a, json_t **policy)
{
	const struct clock *clock = clock_system();
	int64_t end_ms = clock->mono_ms(clock) + DELIVERY_MS;
	json_int_t version = number(*policy, "version");
	struct buf path;
	json_t *now;

	buf_init(&path, 128);
	buf_addf(&path, "/policy?version=%" JSON_INTEGER_FORMAT, version);
	while (number(*policy, "active") + number(*policy, "refused") <
		       number(*policy, "machines") &&
	       clock->mono_ms(clock) < end_ms) {
		uv_sleep(DELIVERY_POLL_MS);
		if (client_call(a, "GET", buf_cstr(&path), NULL, &now) != ADMIN_OK)
			break;
		json_decref(*policy);
		*policy = now;
	}
	buf_deinit(&path);
}

static enum admin_exit print_applied(struct admin *a, const json_t *policy)
{
	json_int_t refused = number(policy, "refused"), machines = number(policy, "machines");

	if (a->options.values[OPT_JSON])
		return output_json(a, policy);
	admin_print(a,
		    "policy %" JSON_INTEGER_FORMAT " is applied; active on %" JSON_INTEGER_FORMAT
		    " of %" JSON_INTEGER_FORMAT " machine%s%s",
		    number(policy, "version"), number(policy, "active"), machines,
		    machines == 1 ? "" : "s",
		    refused > 0 ? ", refused by some: see the server's log" : "");
	return ADMIN_OK;
}

static enum admin_exit apply_source(struct admin *a, const struct buf *source, const char *note)
{
	enum admin_exit result;
	json_t *plan = NULL, *body = NULL, *policy = NULL;

	result = plan_call(a, source, &plan);
	if (result == ADMIN_OK && !a->options.values[OPT_JSON])
		plan_print(a, plan);
	if (result == ADMIN_OK)
		result = tell_same(a, plan, source);
	if (result == ADMIN_OK)
		result = confirm(a);
	if (result != ADMIN_OK)
		goto out;
	body = json_pack("{s:s%, s:s}", "source", source->data, source->len, "note",
			 note ? note : "");
	if (body && number(plan, "base") > 0)
		(void)json_object_set(body, "base", json_object_get(plan, "base"));
	result = body ? client_call(a, "POST", "/policy", body, &policy)
		      : admin_fail(a, ADMIN_USAGE, "--note: not UTF-8");
	if (result == ADMIN_OK && !a->options.values[OPT_NO_WAIT])
		await_delivery(a, &policy);
	if (result == ADMIN_OK)
		result = print_applied(a, policy);
out:
	json_decref(plan);
	json_decref(body);
	json_decref(policy);
	return result;
}

enum admin_exit cmd_policy_apply(struct admin *a, const char *const *words, size_t n)
{
	struct buf source;
	enum admin_exit result;

	(void)n;
	buf_init(&source, SOURCE_MAX);
	result = read_file(a, words[0], &source);
	if (result == ADMIN_OK)
		result = check_source(a, words[0], &source);
	if (result == ADMIN_OK)
		result = apply_source(a, &source, a->options.values[OPT_NOTE]);
	buf_deinit(&source);
	return result;
}

/* --- signed elsewhere --- */

static enum admin_exit export_source(struct admin *a, const struct buf *source, const char *to)
{
	const char *note = a->options.values[OPT_NOTE];
	json_t *body = json_pack("{s:s%, s:s}", "source", source->data, source->len, "note",
				 note ? note : "");
	json_t *draft = NULL;
	enum admin_exit result = body ? client_call(a, "POST", "/policy/draft", body, &draft)
				      : admin_fail(a, ADMIN_USAGE, "--note: not UTF-8");

	if (result == ADMIN_OK)
		result = bytes_save(a, draft, "data", to);
	if (result == ADMIN_OK)
		admin_say(a, "%s: policy %" JSON_INTEGER_FORMAT ". Where the key is:", to,
			  number(draft, "version"));
	if (result == ADMIN_OK)
		admin_say(a, "  envwarden-server root sign --in %s --key KEY --out policy.signed",
			  to);
	json_decref(body);
	json_decref(draft);
	return result;
}

enum admin_exit cmd_policy_export_body(struct admin *a, const char *const *words, size_t n)
{
	const char *to = a->options.values[OPT_OUT];
	enum admin_exit result;
	struct buf source;

	(void)n;
	if (!to)
		return admin_fail(a, ADMIN_USAGE, "where to? -o FILE");
	result = bytes_may_save(a, to);
	if (result != ADMIN_OK)
		return result;
	buf_init(&source, SOURCE_MAX);
	result = read_file(a, words[0], &source);
	if (result == ADMIN_OK)
		result = check_source(a, words[0], &source);
	if (result == ADMIN_OK)
		result = export_source(a, &source, to);
	buf_deinit(&source);
	return result;
}

enum admin_exit cmd_policy_import_signed(struct admin *a, const char *const *words, size_t n)
{
	json_t *body = json_object(), *policy = NULL;
	enum admin_exit result = bytes_load(a, words[0], SOURCE_MAX, body, "data");

	(void)n;
	if (result == ADMIN_OK)
		result = client_call(a, "POST", "/policy/signed", body, &policy);
	if (result == ADMIN_OK && !a->options.values[OPT_NO_WAIT])
		await_delivery(a, &policy);
	if (result == ADMIN_OK)
		result = print_applied(a, policy);
	json_decref(body);
	json_decref(policy);
	return result;
}

/* --- what was applied --- */

enum admin_exit cmd_policy_show(struct admin *a, const char *const *words, size_t n)
{
	json_t *policy = NULL;
	enum admin_exit result = get_policy(a, n > 0 ? words[0] : NULL, &policy);
	const char *source;

	if (result != ADMIN_OK)
		return result;
	source = json_string_value(json_object_get(policy, "source"));
	if (a->options.values[OPT_JSON]) {
		result = output_json(a, policy);
	} else {
		(void)fputs(source ? source : "", a->out);
		admin_say(a,
			  "version %" JSON_INTEGER_FORMAT ", active on %" JSON_INTEGER_FORMAT
			  " of %" JSON_INTEGER_FORMAT " machines",
			  number(policy, "version"), number(policy, "active"),
			  number(policy, "machines"));
	}
	json_decref(policy);
	return result;
}

enum admin_exit cmd_policy_rollback(struct admin *a, const char *const *words, size_t n)
{
	json_t *policy = NULL;
	enum admin_exit result = get_policy(a, words[0], &policy);
	const char *text;
	struct buf source;
	char note[64];

	(void)n;
	if (result != ADMIN_OK)
		return result;
	text = json_string_value(json_object_get(policy, "source"));
	(void)snprintf(note, sizeof(note), "rollback to %" JSON_INTEGER_FORMAT,
		       number(policy, "version"));
	buf_init(&source, SOURCE_MAX);
	buf_adds(&source, text ? text : "");
	result = apply_source(a, &source,
			      a->options.values[OPT_NOTE] ? a->options.values[OPT_NOTE] : note);
	buf_deinit(&source);
	json_decref(policy);
	return result;
}
