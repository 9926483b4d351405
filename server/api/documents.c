#include "server/api/documents.h"

#include "lib/base/uuid.h"

void document_id(struct json_writer *w, const char *key, const struct uuid *id)
{
	char text[UUID_TEXT_MAX];

	uuid_format(id, text);
	json_kv_str(w, key, text);
}

void document_texts(struct json_writer *w, const char *key, const char *const *items, size_t n)
{
	size_t i;

	json_key(w, key);
	json_begin_array(w);
	for (i = 0; i < n; i++)
		json_str(w, items[i]);
	json_end_array(w);
}

static void machine_of(struct json_writer *w, const struct uuid *id, const char *hostname)
{
	json_key(w, "machine");
	json_begin_object(w);
	document_id(w, "id", id);
	json_kv_str(w, "hostname", hostname);
	json_end_object(w);
}

static void status_of(struct json_writer *w, const struct db_env *env)
{
	json_kv_str(w, "status", action_status_name(env->status));
	json_kv_bool(w, "status_delivered", env->status_delivered);
	if (env->status == ACTION_ALLOW)
		return;
	json_key(w, "status_set");
	json_begin_object(w);
	json_kv_str(w, "message", env->message);
	if (env->status_until_fixed) {
		json_kv_str(w, "until", "fixed");
		document_texts(w, "packages", env->status_specs, env->n_status_specs);
	} else {
		json_kv_time_opt(w, "until", env->status_until_ms);
	}
	json_kv_str(w, "by", env->status_by);
	json_kv_time_opt(w, "at", env->status_at_ms);
	json_end_object(w);
}

static void reasons_of(struct json_writer *w, const char *key, const struct db_decision *d,
		       bool monitored)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < d->n_reasons; i++) {
		const struct db_reason *reason = &d->reasons[i];

		if (reason->monitored != monitored)
			continue;
		json_begin_object(w);
		json_kv_str(w, "kind", reason->kind);
		json_kv_str(w, "rule", reason->rule);
		json_kv_str(w, "action", action_name(reason->action));
		json_kv_str_opt(w, "package", reason->package);
		if (reason->packages > 0)
			json_kv_int(w, "packages", reason->packages);
		json_kv_time_opt(w, "since", reason->since_ms);
		json_end_object(w);
	}
	json_end_array(w);
}

static void decision_of(struct json_writer *w, const struct db_decision *d)
{
	json_key(w, "decision");
	json_begin_object(w);
	json_kv_str(w, "action", action_name(d->action));
	json_kv_str_opt(w, "case", d->case_code);
	reasons_of(w, "reasons", d, false);
	reasons_of(w, "monitored", d, true);
	json_kv_int(w, "policy_version", (int64_t)d->policy_version);
	json_kv_time_opt(w, "decided", d->decided_ms);
	json_kv_int(w, "checks", d->counters.checks);
	json_kv_int(w, "warnings", d->counters.warnings);
	json_kv_int(w, "refusals", d->counters.refusals);
	json_kv_int(w, "runs_after_block", d->counters.runs_after_block);
	json_kv_time_opt(w, "deferred_until", d->deferred_until_ms);
	if (d->unlocked_serial != 0)
		json_kv_int(w, "unlocked", d->unlocked_serial);
	json_end_object(w);
}

void document_environment(struct json_writer *w, const struct db_env *env,
			  const struct db_decision *decision, bool connected)
{
	json_begin_object(w);
	document_id(w, "id", &env->id);
	json_kv_str(w, "prefix", env->path);
	json_kv_str(w, "name", env->name);
	json_kv_str(w, "user", env->user);
	machine_of(w, &env->machine, env->hostname);
	json_kv_bool(w, "connected", connected);
	json_kv_str(w, "platform", env->platform);
	json_kv_str_opt(w, "tool", env->tool);
	json_kv_int(w, "packages", env->package_count);
	status_of(w, env);
	if (decision)
		decision_of(w, decision);
	json_kv_time_opt(w, "created", env->created_ms);
	json_kv_time_opt(w, "last_change", env->last_change_ms);
	json_kv_time_opt(w, "last_used", env->last_used_ms);
	if (!uuid_is_zero(&env->cloned_from))
		document_id(w, "cloned_from", &env->cloned_from);
	json_kv_bool(w, "deleted", env->deleted);
	json_kv_bool(w, "archived", env->archived);
	json_kv_bool(w, "excluded", env->excluded);
	document_texts(w, "degraded", env->notes, env->n_notes);
	json_end_object(w);
}

void document_package(struct json_writer *w, const struct package *p, bool with_requested)
{
	json_begin_object(w);
	json_kv_str(w, "manager", p->manager);
	json_kv_str(w, "name", p->name);
	json_kv_str(w, "version", p->version);
	json_kv_str_opt(w, "build", p->build);
	if (p->build_number != PACKAGE_BUILD_NUMBER_UNKNOWN)
		json_kv_int(w, "build_number", p->build_number);
	json_kv_str_opt(w, "channel", p->channel);
	json_kv_str_opt(w, "subdir", p->subdir);
	json_kv_hex_opt(w, "sha256", p->sha256, p->has_sha256 ? sizeof(p->sha256) : 0);
	json_kv_hex_opt(w, "md5", p->md5, p->has_md5 ? sizeof(p->md5) : 0);
	json_kv_str_opt(w, "license", p->license);
	json_kv_str_opt(w, "url", p->url);
	json_kv_time_opt(w, "built", p->built_ms);
	if (with_requested)
		json_kv_bool(w, "requested", p->requested);
	json_end_object(w);
}

static void packages_of(struct json_writer *w, const char *key, const struct package_list *list)
{
	size_t i;

	json_key(w, key);
	json_begin_array(w);
	for (i = 0; i < list->n; i++)
		document_package(w, &list->items[i], true);
	json_end_array(w);
}

static void actor_of(struct json_writer *w, const struct person *actor)
{
	json_key(w, "actor");
	json_begin_object(w);
	json_kv_str_opt(w, "user", actor->name);
	if (actor->uid >= 0)
		json_kv_int(w, "uid", actor->uid);
	json_kv_str_opt(w, "how", actor->how);
	json_end_object(w);
}

void document_change(struct json_writer *w, const struct db_change *change)
{
	const struct change *c = &change->change;

	json_begin_object(w);
	json_kv_int(w, "id", change->id);
	json_kv_int(w, "seq", (int64_t)c->seq);
	json_kv_time_opt(w, "time", c->time_ms);
	json_kv_str(w, "kind", change_kind_name(c->kind));
	json_key(w, "environment");
	json_begin_object(w);
	document_id(w, "id", &c->environment);
	json_kv_str(w, "prefix", c->prefix);
	json_end_object(w);
	machine_of(w, &change->machine, change->hostname);
	packages_of(w, "added", &c->added);
	packages_of(w, "removed", &c->removed);
	actor_of(w, &c->actor);
	json_kv_str_opt(w, "tool", c->tool);
	json_kv_str_opt(w, "command", c->command);
	json_kv_bool(w, "self_reported", c->self_reported);
	json_kv_bool(w, "seen_at_start", c->seen_at_start);
	json_kv_str_opt(w, "from_prefix", c->from_prefix);
	if (!uuid_is_zero(&c->cloned_from))
		document_id(w, "cloned_from", &c->cloned_from);
	if (c->folded > 1 || c->first_seq != 0) {
		json_key(w, "folded");
		json_begin_object(w);
		json_kv_int(w, "changes", (int64_t)(c->folded > 1 ? c->folded : 1));
		json_kv_int(w, "first_seq", (int64_t)(c->first_seq ? c->first_seq : c->seq));
		json_end_object(w);
	}
	json_kv_str_opt(w, "detail", c->detail);
	document_id(w, "epoch", &c->epoch);
	json_kv_time_opt(w, "received", change->received_ms);
	json_end_object(w);
}

void document_machine(struct json_writer *w, const struct db_machine *machine, bool connected)
{
	json_begin_object(w);
	document_id(w, "id", &machine->id);
	json_kv_str(w, "hostname", machine->hostname);
	json_kv_str(w, "platform", machine->platform);
	json_kv_str_opt(w, "os", machine->os);
	json_kv_str_opt(w, "agent_version", machine->agent_version);
	json_kv_str(w, "state", db_machine_state_name(machine->state));
	document_texts(w, "labels", machine->labels.items, machine->labels.n);
	document_texts(w, "labels_wished", machine->wishes.items, machine->wishes.n);
	json_kv_bool(w, "ephemeral", machine->ephemeral);
	json_kv_bool(w, "clone_suspected", machine->clone_suspected);
	json_kv_int(w, "environments", machine->environments);
	json_kv_time_opt(w, "created", machine->created_ms);
	json_kv_bool(w, "connected", connected);
	json_kv_time_opt(w, "last_seen", machine->last_seen_ms);
	json_end_object(w);
}
