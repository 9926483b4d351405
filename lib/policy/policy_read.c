#include "lib/policy/policy_read.h"

#include <ctype.h>
#include <string.h>

#include "lib/policy/reading.h"

#define YAML_NODES_MAX (16u << 20)
#define YAML_DEPTH_MAX (2 * POLICY_DEPTH_MAX + 8)

/* --- defaults --- */

static const char *const action_words[] = {"allow", "warn", "block"};

static enum action take_action(const struct reading *r, const struct yaml_node *v, enum action old)
{
	int word = reading_word(r, v, action_words, ARRAY_SIZE(action_words));

	return word < 0 ? old : (enum action)word;
}

static void take_on_timeout(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct policy_defaults *d = into;

	d->on_timeout = take_action(r, v, d->on_timeout);
}

static void take_when_agent_down(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const char *const words[] = {"last_decision", "allow", "block"};
	int word = reading_word(r, v, words, ARRAY_SIZE(words));

	if (word >= 0)
		((struct policy_defaults *)into)->when_agent_down = words[word];
}

static void take_stale_after(const struct reading *r, const struct yaml_node *v, void *into)
{
	int64_t ms = reading_duration(r, v);

	if (ms >= 0)
		((struct policy_defaults *)into)->stale_after_ms = ms;
}

static void take_when_stale(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct policy_defaults *d = into;

	d->when_stale = take_action(r, v, d->when_stale);
}

static void take_defer(const struct reading *r, const struct yaml_node *v, void *into)
{
	int64_t ms = reading_duration(r, v);

	if (ms >= 0)
		((struct policy_defaults *)into)->defer_ms = ms;
}

static void take_contact(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct policy_defaults *)into)->contact = reading_text(r, v, 256, false);
}

static void take_defaults(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const struct reading_field fields[] = {
		{"on_timeout", take_on_timeout, false},
		{"when_agent_down", take_when_agent_down, false},
		{"stale_after", take_stale_after, false},
		{"when_stale", take_when_stale, false},
		{"defer", take_defer, false},
		{"contact", take_contact, false},
	};

	reading_map(r, v, "defaults", fields, ARRAY_SIZE(fields),
		    &((struct policy *)into)->defaults);
}

/* --- rules --- */

/* Ids stand in messages, file names and case codes: letters, digits, '-', '_' and '.'. */
static const char *take_id(const struct reading *r, const struct yaml_node *v)
{
	const char *text = reading_some_text(r, v, POLICY_ID_MAX);

	for (size_t i = 0; text[i]; i++)
		if (!isalnum((unsigned char)text[i]) && !strchr("-_.", text[i])) {
			reading_error(r, v, NULL,
				      "an id has letters, digits, \"-\", \"_\" and \".\" only");
			return "";
		}
	return text;
}

static void take_rule_id(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct rule *)into)->id = take_id(r, v);
}

static void take_when(const struct reading *r, const struct yaml_node *v, void *into)
{
	condition_read(r, v, 0, &((struct rule *)into)->when);
}

static void take_labels(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct scope *)into)->labels = reading_texts(r, v);
}

static void take_platform(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct scope *)into)->platform = reading_texts(r, v);
}

static void take_scope_user(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct scope *)into)->user = reading_texts(r, v);
}

static void take_except(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const struct reading_field fields[] = {
		{"labels", take_labels, false},
		{"platform", take_platform, false},
		{"user", take_scope_user, false},
	};
	struct scope *except = arena_calloc(r->arena, 1, sizeof(*except));

	if (!except) {
		r->problems->out_of_memory = true;
		return;
	}
	reading_map(r, v, "not", fields, ARRAY_SIZE(fields), except);
	((struct scope *)into)->except = except;
}

static void take_scope(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const struct reading_field fields[] = {
		{"labels", take_labels, false},
		{"platform", take_platform, false},
		{"user", take_scope_user, false},
		{"not", take_except, false},
	};

	reading_map(r, v, "scope", fields, ARRAY_SIZE(fields), &((struct rule *)into)->scope);
}

static void take_rule_action(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const char *const words[] = {"warn", "block"};
	int word = reading_word(r, v, words, ARRAY_SIZE(words));

	if (word >= 0)
		((struct rule *)into)->action = word == 1 ? ACTION_BLOCK : ACTION_WARN;
}

static void take_from(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct rule *)into)->from_ms = reading_time(r, v);
}

static void take_mode(const struct reading *r, const struct yaml_node *v, void *into)
{
	static const char *const words[] = {"enforce", "monitor"};

	if (reading_word(r, v, words, ARRAY_SIZE(words)) == 1)
		((struct rule *)into)->mode = RULE_MONITOR;
}

static void take_message(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct rule *)into)->message = reading_text(r, v, DECISION_MESSAGE_MAX, true);
}

static void take_fix(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct rule *)into)->fix = reading_text(r, v, POLICY_FIX_MAX, false);
}

static void read_rule(const struct reading *r, const struct yaml_node *node, struct rule *rule)
{
	static const struct reading_field fields[] = {
		{"id", take_rule_id, true},	  {"when", take_when, true},
		{"scope", take_scope, false},	  {"action", take_rule_action, true},
		{"from", take_from, false},	  {"mode", take_mode, false},
		{"message", take_message, false}, {"fix", take_fix, false},
	};

	*rule = (struct rule){.id = "",
			      .action = ACTION_WARN,
			      .message = "",
			      .fix = "",
			      .line = node->line,
			      .column = node->column};
	rule->when.kind = CONDITION_ALL;
	reading_map(r, node, "a rule", fields, ARRAY_SIZE(fields), rule);
}

/* --- exceptions --- */

/* None of them empty: a "user" left empty by whatever wrote the file would lift it for everybody.
 */
#define TAKE_TEXT(field)                                                                           \
	static void take_##field(const struct reading *r, const struct yaml_node *v, void *into)   \
	{                                                                                          \
		((struct exception *)into)->field = reading_some_text(r, v, POLICY_TEXT_MAX);      \
	}
TAKE_TEXT(rule)
TAKE_TEXT(env_path)
TAKE_TEXT(env_name)
TAKE_TEXT(user)
TAKE_TEXT(package)
TAKE_TEXT(owner)
TAKE_TEXT(ticket)
TAKE_TEXT(reason)
#undef TAKE_TEXT

static void take_exception_id(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct exception *)into)->id = take_id(r, v);
}

static void take_environment(const struct reading *r, const struct yaml_node *v, void *into)
{
	const char *text = reading_some_text(r, v, 64);

	if (*text && uuid_parse(text, &((struct exception *)into)->environment) < 0)
		reading_error(r, v, NULL, "\"%s\" is not an environment's id", text);
}

static void take_expires(const struct reading *r, const struct yaml_node *v, void *into)
{
	((struct exception *)into)->expires_ms = reading_time(r, v);
}

static void read_exception(const struct reading *r, const struct yaml_node *node,
			   struct exception *exception)
{
	static const struct reading_field fields[] = {
		{"id", take_exception_id, true},	  {"rule", take_rule, true},
		{"environment", take_environment, false}, {"env_path", take_env_path, false},
		{"env_name", take_env_name, false},	  {"user", take_user, false},
		{"package", take_package, false},	  {"owner", take_owner, false},
		{"ticket", take_ticket, false},		  {"reason", take_reason, false},
		{"expires", take_expires, true},
	};

	*exception = (struct exception){.id = "",
					.rule = "",
					.env_path = "",
					.env_name = "",
					.user = "",
					.package = "",
					.owner = "",
					.ticket = "",
					.reason = "",
					.line = node->line,
					.column = node->column};
	reading_map(r, node, "an exception", fields, ARRAY_SIZE(fields), exception);
}

/* --- the whole --- */

static bool is_list(const struct reading *r, const struct yaml_node *v, size_t max)
{
	if (yaml_is_null(v))
		return false; /* an empty list */
	if (v->kind != YAML_LIST)
		reading_error(r, v, NULL, "a list is expected here");
	else if (v->n > max)
		reading_error(r, v, NULL, "more than %zu", max);
	else
		return true;
	return false;
}

static void take_rules(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct policy *policy = into;
	struct rule *rules;

	if (!is_list(r, v, POLICY_RULES_MAX))
		return;
	rules = arena_calloc(r->arena, v->n + 1, sizeof(*rules));
	if (!rules) {
		r->problems->out_of_memory = true;
		return;
	}
	for (const struct yaml_node *item = v->first; item; item = item->next)
		read_rule(r, item, &rules[policy->n_rules++]);
	policy->rules = rules;
}

static void take_exceptions(const struct reading *r, const struct yaml_node *v, void *into)
{
	struct policy *policy = into;
	struct exception *exceptions;

	if (!is_list(r, v, POLICY_EXCEPTIONS_MAX))
		return;
	exceptions = arena_calloc(r->arena, v->n + 1, sizeof(*exceptions));
	if (!exceptions) {
		r->problems->out_of_memory = true;
		return;
	}
	for (const struct yaml_node *item = v->first; item; item = item->next)
		read_exception(r, item, &exceptions[policy->n_exceptions++]);
	policy->exceptions = exceptions;
}

static void take_version(const struct reading *r, const struct yaml_node *v, void *into)
{
	(void)into;
	if (strcmp(reading_text(r, v, 16, false), "1") != 0)
		reading_error(r, v, "policy: 1",
			      "this version of the policy language is not known");
}

int policy_read(const char *yaml, size_t n, struct arena *arena, struct policy *out,
		struct problems *problems, struct err *err)
{
	static const struct reading_field fields[] = {
		{"policy", take_version, true},
		{"defaults", take_defaults, false},
		{"rules", take_rules, false},
		{"exceptions", take_exceptions, false},
	};
	static const struct yaml_limits limits = {POLICY_SOURCE_MAX, YAML_NODES_MAX,
						  YAML_DEPTH_MAX};
	struct reading r = {.arena = arena, .problems = problems};
	struct yaml_place place;
	struct yaml_node *root;
	struct policy policy;
	struct err why = ERR_INIT;
	int rc = yaml_read(yaml, n, &limits, arena, &root, &place, &why);

	if (rc == ERR_NOMEM)
		return err_nomem(err);
	policy_init(&policy);
	if (rc < 0)
		problems_add(problems,
			     &(struct problem_at){PROBLEM_ERROR, place.line, place.column, NULL},
			     "%s", why.text);
	else
		reading_map(&r, root, "a policy", fields, ARRAY_SIZE(fields), &policy);
	if (problems->out_of_memory)
		return err_nomem(err);
	if (problems->n_errors > 0)
		return err_set(err, ERR_INVALID, "the policy has %zu errors", problems->n_errors);
	*out = policy;
	return 0;
}
