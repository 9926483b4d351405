#include "proto/convert_policy.h"

#include <string.h>

#include "proto/convert.h"
#include "proto/limits.h"

#define CVSS_MAX 100 /* tenths */

/* --- to the wire --- */

static char **texts_to_wire(const struct texts_list *texts)
{
	return (char **)texts->items; /* the generated structs do not know const */
}

static int cve_to_wire(const struct cve_condition *cve, struct arena *arena,
		       Envwarden__Bundle__Cve **out)
{
	Envwarden__Bundle__Cve *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__bundle__cve__init(wire);
	wire->ids = texts_to_wire(&cve->ids);
	wire->n_ids = cve->ids.n;
	wire->has_severity = cve->has_severity;
	wire->severity_at_least = (uint32_t)cve->severity_at_least;
	wire->or_unknown = cve->or_unknown;
	wire->has_cvss = cve->has_cvss;
	wire->cvss_at_least = (uint32_t)(cve->cvss_at_least * 10 + 0.5);
	wire->status = cve->status;
	wire->malicious = (uint32_t)cve->malicious;
	wire->kev = (uint32_t)cve->kev;
	wire->published_before_ms = cve->published_before_ms;
	wire->first_seen_before_ms = cve->first_seen_before_ms;
	*out = wire;
	return 0;
}

static size_t count_conditions(const struct condition *c)
{
	size_t n = 1;

	for (size_t i = 0; i < c->n_children; i++)
		n += count_conditions(&c->children[i]);
	return n;
}

/* The conditions of a rule as they are written one after the other. */
struct flat {
	struct arena *arena;
	Envwarden__Bundle__Condition *room;
	Envwarden__Bundle__Condition **list;
	size_t n;
};

static int flatten(struct flat *flat, const struct condition *c)
{
	Envwarden__Bundle__Condition *wire = &flat->room[flat->n];
	int rc = 0;

	flat->list[flat->n++] = wire;
	envwarden__bundle__condition__init(wire);
	wire->kind = (uint32_t)c->kind;
	wire->line = c->line;
	wire->texts = texts_to_wire(&c->texts);
	wire->n_texts = c->texts.n;
	wire->duration_ms = c->duration_ms;
	wire->children = (uint32_t)c->n_children;
	if (c->cve)
		rc = cve_to_wire(c->cve, flat->arena, &wire->cve);
	for (size_t i = 0; rc == 0 && i < c->n_children; i++)
		rc = flatten(flat, &c->children[i]);
	return rc;
}

static int conditions_to_wire(const struct condition *c, struct arena *arena,
			      Envwarden__Bundle__Rule *wire)
{
	size_t n = count_conditions(c);
	struct flat flat = {
		.arena = arena,
		.room = arena_calloc(arena, n, sizeof(*flat.room)),
		.list = arena_calloc(arena, n, sizeof(*flat.list)),
	};
	int rc = flat.room && flat.list ? flatten(&flat, c) : ERR_NOMEM;

	wire->when = flat.list;
	wire->n_when = flat.n;
	return rc;
}

static int scope_to_wire(const struct scope *scope, struct arena *arena,
			 Envwarden__Bundle__Scope **out)
{
	Envwarden__Bundle__Scope *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__bundle__scope__init(wire);
	wire->labels = texts_to_wire(&scope->labels);
	wire->n_labels = scope->labels.n;
	wire->platforms = texts_to_wire(&scope->platform);
	wire->n_platforms = scope->platform.n;
	wire->users = texts_to_wire(&scope->user);
	wire->n_users = scope->user.n;
	if (scope->except) {
		wire->has_except = true;
		wire->except_labels = texts_to_wire(&scope->except->labels);
		wire->n_except_labels = scope->except->labels.n;
		wire->except_platforms = texts_to_wire(&scope->except->platform);
		wire->n_except_platforms = scope->except->platform.n;
		wire->except_users = texts_to_wire(&scope->except->user);
		wire->n_except_users = scope->except->user.n;
	}
	*out = wire;
	return 0;
}

static int rule_to_wire(const struct rule *rule, struct arena *arena, Envwarden__Bundle__Rule **out)
{
	Envwarden__Bundle__Rule *wire = arena_alloc(arena, sizeof(*wire));
	int rc;

	if (!wire)
		return ERR_NOMEM;
	envwarden__bundle__rule__init(wire);
	wire->id = wire_text(rule->id);
	wire->action = action_to_wire(rule->action);
	wire->from_ms = rule->from_ms;
	wire->monitor = rule->mode == RULE_MONITOR;
	wire->message = wire_text(rule->message);
	wire->fix = wire_text(rule->fix);
	wire->line = rule->line;
	rc = conditions_to_wire(&rule->when, arena, wire);
	if (rc == 0)
		rc = scope_to_wire(&rule->scope, arena, &wire->scope);
	if (rc == 0)
		*out = wire;
	return rc;
}

static void exception_to_wire(const struct exception *x, Envwarden__Bundle__Exception *wire)
{
	envwarden__bundle__exception__init(wire);
	wire->id = wire_text(x->id);
	wire->rule = wire_text(x->rule);
	wire->environment = wire_uuid(&x->environment);
	wire->env_path = wire_text(x->env_path);
	wire->env_name = wire_text(x->env_name);
	wire->user = wire_text(x->user);
	wire->package = wire_text(x->package);
	wire->owner = wire_text(x->owner);
	wire->ticket = wire_text(x->ticket);
	wire->reason = wire_text(x->reason);
	wire->expires_ms = x->expires_ms;
	wire->lifts_status = x->lifts_status;
	wire->line = x->line;
}

int exceptions_to_wire(const struct exception *items, size_t n, struct arena *arena,
		       Envwarden__Bundle__Exception ***out)
{
	Envwarden__Bundle__Exception *room = arena_calloc(arena, n + 1, sizeof(*room));
	Envwarden__Bundle__Exception **list =
		arena_calloc(arena, n + 1, sizeof(Envwarden__Bundle__Exception *));

	if (!room || !list)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		exception_to_wire(&items[i], &room[i]);
		list[i] = &room[i];
	}
	*out = list;
	return 0;
}

int policy_to_wire(const struct policy *policy, struct arena *arena,
		   Envwarden__Bundle__Policy **out)
{
	const struct policy_defaults *d = &policy->defaults;
	Envwarden__Bundle__Policy *wire = arena_alloc(arena, sizeof(*wire));
	int rc = 0;

	if (!wire)
		return ERR_NOMEM;
	envwarden__bundle__policy__init(wire);
	wire->on_timeout = action_to_wire(d->on_timeout);
	wire->when_agent_down = wire_text(d->when_agent_down);
	wire->stale_after_ms = d->stale_after_ms;
	wire->when_stale = action_to_wire(d->when_stale);
	wire->defer_ms = d->defer_ms;
	wire->contact = wire_text(d->contact);
	wire->rules = arena_calloc(arena, policy->n_rules + 1, sizeof(*wire->rules));
	if (!wire->rules)
		return ERR_NOMEM;
	for (size_t i = 0; rc == 0 && i < policy->n_rules; i++)
		rc = rule_to_wire(&policy->rules[i], arena, &wire->rules[i]);
	wire->n_rules = policy->n_rules;
	if (rc == 0)
		rc = exceptions_to_wire(policy->exceptions, policy->n_exceptions, arena,
					&wire->exceptions);
	wire->n_exceptions = policy->n_exceptions;
	if (rc == 0)
		*out = wire;
	return rc;
}

/* --- from the wire --- */

static struct texts_list texts_from_wire(char *const *items, size_t n)
{
	return (struct texts_list){(const char *const *)items, n};
}

static int specs_from_wire(const Envwarden__Bundle__Condition *wire, struct arena *arena,
			   struct condition *out, struct err *err)
{
	struct match_spec *specs = arena_calloc(arena, wire->n_texts, sizeof(*specs));

	if (!specs)
		return err_nomem(err);
	for (size_t i = 0; i < wire->n_texts; i++) {
		int rc = match_spec_parse(wire->texts[i], strlen(wire->texts[i]), arena, &specs[i],
					  err);

		if (rc < 0) {
			(void)err_context(err, "\"%.128s\"", wire->texts[i]);
			return rc;
		}
	}
	out->specs = specs;
	out->n_specs = wire->n_texts;
	return 0;
}

static int cve_from_wire(const Envwarden__Bundle__Cve *wire, struct arena *arena,
			 const struct cve_condition **out, struct err *err)
{
	struct cve_condition *cve = arena_calloc(arena, 1, sizeof(*cve));

	if (!cve)
		return err_nomem(err);
	if (wire->severity_at_least > SEVERITY_CRITICAL || wire->malicious > TERNARY_YES ||
	    wire->kev > TERNARY_YES || wire->cvss_at_least > CVSS_MAX ||
	    wire->published_before_ms < 0 || wire->first_seen_before_ms < 0)
		return err_set(err, ERR_INVALID, "a value of a cve condition is none");
	cve->ids = texts_from_wire(wire->ids, wire->n_ids);
	cve->has_severity = wire->has_severity;
	cve->severity_at_least = (enum severity)wire->severity_at_least;
	cve->or_unknown = wire->or_unknown;
	cve->has_cvss = wire->has_cvss;
	cve->cvss_at_least = wire->cvss_at_least / 10.0;
	cve->status = wire->status;
	cve->malicious = (enum ternary)wire->malicious;
	cve->kev = (enum ternary)wire->kev;
	cve->published_before_ms = wire->published_before_ms;
	cve->first_seen_before_ms = wire->first_seen_before_ms;
	*out = cve;
	return 0;
}

/* What a condition of its kind must have. */
static int check_condition(const Envwarden__Bundle__Condition *wire, struct err *err)
{
	bool whole = false;

	switch (wire->kind) {
	case CONDITION_ALL:
	case CONDITION_ANY:
		whole = wire->children > 0;
		break;
	case CONDITION_NOT:
		whole = wire->children == 1;
		break;
	case CONDITION_CVE:
		whole = wire->cve != NULL;
		break;
	case CONDITION_PACKAGE_AGE_BELOW:
	case CONDITION_UNUSED_FOR:
		whole = wire->duration_ms > 0;
		break;
	case CONDITION_PACKAGE:
	case CONDITION_CHANNEL:
	case CONDITION_LICENSE:
	case CONDITION_MANAGER:
	case CONDITION_ENV_NAME:
	case CONDITION_ENV_PATH:
	case CONDITION_TOOL:
		whole = wire->n_texts > 0;
		break;
	default:
		return err_set(err, ERR_UNSUPPORTED, "a condition of a newer kind (%u)",
			       wire->kind);
	}
	if (wire->children > 0 && wire->kind != CONDITION_ALL && wire->kind != CONDITION_ANY &&
	    wire->kind != CONDITION_NOT)
		whole = false;
	return whole ? 0 : err_set(err, ERR_INVALID, "a condition that asks nothing, or too much");
}

/* A rule's conditions, and the next one of them. */
struct unflat {
	Envwarden__Bundle__Condition *const *list;
	size_t n;
	size_t next;
	struct arena *arena;
	struct err *err;
};

static int unflatten(struct unflat *flat, unsigned depth, struct condition *out)
{
	const Envwarden__Bundle__Condition *wire;
	struct condition *children = NULL;
	int rc;

	if (flat->next == flat->n)
		return err_set(flat->err, ERR_INVALID, "conditions are missing");
	if (depth > POLICY_DEPTH_MAX)
		return err_set(flat->err, ERR_LIMIT, "conditions nested too deeply");
	wire = flat->list[flat->next++];
	rc = check_condition(wire, flat->err);
	if (rc == 0 && wire->children > flat->n - flat->next)
		rc = err_set(flat->err, ERR_INVALID, "conditions are missing");
	if (rc == 0 && wire->children > 0) {
		children = arena_calloc(flat->arena, wire->children, sizeof(*children));
		rc = children ? 0 : err_nomem(flat->err);
	}
	if (rc < 0)
		return rc;
	*out = (struct condition){
		.kind = (enum condition_kind)wire->kind,
		.line = wire->line,
		.children = children,
		.n_children = wire->children,
		.texts = texts_from_wire(wire->texts, wire->n_texts),
		.duration_ms = wire->duration_ms,
	};
	if (wire->kind == CONDITION_PACKAGE)
		rc = specs_from_wire(wire, flat->arena, out, flat->err);
	else if (wire->kind == CONDITION_CVE)
		rc = cve_from_wire(wire->cve, flat->arena, &out->cve, flat->err);
	for (size_t i = 0; rc == 0 && i < wire->children; i++)
		rc = unflatten(flat, depth + 1, &children[i]);
	return rc;
}

static int scope_from_wire(const Envwarden__Bundle__Scope *wire, struct arena *arena,
			   struct scope *out, struct err *err)
{
	struct scope *except;

	out->labels = texts_from_wire(wire->labels, wire->n_labels);
	out->platform = texts_from_wire(wire->platforms, wire->n_platforms);
	out->user = texts_from_wire(wire->users, wire->n_users);
	if (!wire->has_except)
		return 0;
	except = arena_calloc(arena, 1, sizeof(*except));
	if (!except)
		return err_nomem(err);
	except->labels = texts_from_wire(wire->except_labels, wire->n_except_labels);
	except->platform = texts_from_wire(wire->except_platforms, wire->n_except_platforms);
	except->user = texts_from_wire(wire->except_users, wire->n_except_users);
	out->except = except;
	return 0;
}

static int rule_from_wire(const Envwarden__Bundle__Rule *wire, struct arena *arena,
			  struct rule *out, struct err *err)
{
	struct unflat flat = {.list = wire->when, .n = wire->n_when, .arena = arena, .err = err};
	int rc = action_from_wire(wire->action, &out->action, err);

	if (rc == 0 && (out->action == ACTION_ALLOW || !*wire->id))
		rc = err_set(err, ERR_INVALID, "a rule without id or action");
	if (rc < 0)
		return rc;
	out->id = wire->id;
	out->from_ms = wire->from_ms;
	out->mode = wire->monitor ? RULE_MONITOR : RULE_ENFORCE;
	out->message = wire->message;
	out->fix = wire->fix;
	out->line = wire->line;
	rc = unflatten(&flat, 0, &out->when);
	if (rc == 0 && flat.next != flat.n)
		rc = err_set(err, ERR_INVALID, "conditions that belong to none");
	if (rc == 0 && wire->scope)
		rc = scope_from_wire(wire->scope, arena, &out->scope, err);
	if (rc < 0)
		(void)err_context(err, "rule \"%.64s\"", wire->id);
	return rc;
}

static void exception_from_wire(const Envwarden__Bundle__Exception *wire, struct exception *out)
{
	*out = (struct exception){
		.id = wire->id,
		.rule = wire->rule,
		.env_path = wire->env_path,
		.env_name = wire->env_name,
		.user = wire->user,
		.package = wire->package,
		.owner = wire->owner,
		.ticket = wire->ticket,
		.reason = wire->reason,
		.expires_ms = wire->expires_ms,
		.lifts_status = wire->lifts_status,
		.line = wire->line,
	};
	uuid_from_wire(&wire->environment, &out->environment);
}

int exceptions_from_wire(Envwarden__Bundle__Exception *const *wire, size_t n, struct arena *arena,
			 const struct exception **out, struct err *err)
{
	struct exception *items = arena_calloc(arena, n + 1, sizeof(*items));

	if (!items)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		exception_from_wire(wire[i], &items[i]);
	*out = items;
	return 0;
}

static int defaults_from_wire(const Envwarden__Bundle__Policy *wire, struct policy_defaults *out,
			      struct err *err)
{
	int rc = action_from_wire(wire->on_timeout, &out->on_timeout, err);

	if (rc == 0)
		rc = action_from_wire(wire->when_stale, &out->when_stale, err);
	if (rc == 0 && (wire->stale_after_ms < 0 || wire->defer_ms < 0))
		rc = err_set(err, ERR_INVALID, "a length of time below zero");
	out->when_agent_down = wire->when_agent_down;
	out->stale_after_ms = wire->stale_after_ms;
	out->defer_ms = wire->defer_ms;
	out->contact = wire->contact;
	return rc;
}

int policy_from_wire(const Envwarden__Bundle__Policy *wire, struct arena *arena, struct policy *out,
		     struct err *err)
{
	struct rule *rules = arena_calloc(arena, wire->n_rules + 1, sizeof(*rules));
	struct policy policy;
	int rc;

	policy_init(&policy);
	rc = rules ? defaults_from_wire(wire, &policy.defaults, err) : err_nomem(err);
	for (size_t i = 0; rc == 0 && i < wire->n_rules; i++)
		rc = rule_from_wire(wire->rules[i], arena, &rules[i], err);
	if (rc == 0)
		rc = exceptions_from_wire(wire->exceptions, wire->n_exceptions, arena,
					  &policy.exceptions, err);
	if (rc < 0) {
		(void)err_context(err, "policy");
		return rc;
	}
	policy.rules = rules;
	policy.n_rules = wire->n_rules;
	policy.n_exceptions = wire->n_exceptions;
	*out = policy;
	return 0;
}
