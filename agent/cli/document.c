#include "agent/cli/document.h"

void document_uuid(struct json_writer *w, const char *key, const struct uuid *uuid)
{
	char text[UUID_TEXT_MAX];

	if (uuid_is_zero(uuid))
		return;
	uuid_format(uuid, text);
	json_kv_str(w, key, text);
}

void document_package(struct json_writer *w, const struct package *package)
{
	json_begin_object(w);
	json_kv_str(w, "manager", package->manager);
	json_kv_str(w, "name", package->name);
	json_kv_str_opt(w, "version", package->version);
	json_kv_str_opt(w, "build", package->build);
	if (package->build_number != PACKAGE_BUILD_NUMBER_UNKNOWN)
		json_kv_int(w, "build_number", package->build_number);
	json_kv_str_opt(w, "channel", package->channel);
	json_kv_str_opt(w, "subdir", package->subdir);
	json_kv_hex_opt(w, "sha256", package->sha256,
			package->has_sha256 ? sizeof(package->sha256) : 0);
	json_kv_hex_opt(w, "md5", package->md5, package->has_md5 ? sizeof(package->md5) : 0);
	json_kv_str_opt(w, "license", package->license);
	json_kv_str_opt(w, "url", package->url);
	json_kv_time_opt(w, "built", package->built_ms);
	json_kv_bool(w, "requested", package->requested);
	json_kv_str_opt(w, "installer", package_installer_name(package->installer));
	json_end_object(w);
}

/* Seen running while it was blocked. */
static void document_ran(struct json_writer *w, const struct environment_info *environment)
{
	if (environment->runs_after_block == 0 && environment->ran_ms == 0)
		return;
	json_key(w, "ran_after_block");
	json_begin_object(w);
	json_kv_int(w, "times", (int64_t)environment->runs_after_block);
	json_kv_time_opt(w, "last", environment->ran_ms);
	json_kv_str_opt(w, "user", environment->ran_by.name);
	if (environment->ran_ms != 0 && environment->ran_by.uid >= 0)
		json_kv_int(w, "uid", environment->ran_by.uid);
	json_end_object(w);
}

void document_runs(struct json_writer *w, Envwarden__RanAfterBlock *const *runs, size_t n)
{
	json_key(w, "ran_after_block");
	json_begin_array(w);
	for (size_t i = 0; i < n; i++) {
		struct ran_info r;

		ran_from_wire(runs[i], &r);
		json_begin_object(w);
		json_kv_str_opt(w, "user", r.who.name);
		json_kv_int(w, "uid", r.who.uid);
		json_kv_str_opt(w, "case", r.case_code);
		json_key(w, "reasons");
		json_begin_array(w);
		for (size_t k = 0; k < r.n_reasons; k++)
			json_str(w, r.reasons[k]);
		json_end_array(w);
		json_kv_time_opt(w, "first", r.first_ms);
		json_kv_time_opt(w, "last", r.last_ms);
		json_kv_int(w, "programs", (int64_t)r.programs);
		json_kv_int(w, "shells", (int64_t)r.shells);
		json_kv_int(w, "repairs", (int64_t)r.repairs);
		json_end_object(w);
	}
	json_end_array(w);
}

void document_grace(struct json_writer *w, const char *key, const Envwarden__Grace *grace)
{
	struct person who;

	if (grace == NULL)
		return;
	person_from_wire(grace->who, &who);
	json_key(w, key);
	json_begin_object(w);
	json_kv_time_opt(w, "until", grace->until_ms);
	json_kv_time_opt(w, "since", grace->given_ms);
	json_kv_str_opt(w, "user", who.name);
	if (who.uid >= 0)
		json_kv_int(w, "uid", who.uid);
	json_kv_str_opt(w, "case", grace->case_code);
	if (grace->serial != 0) {
		json_kv_int(w, "serial", grace->serial);
		json_kv_bool(w, "lifts_status", grace->lifts_status);
	}
	json_end_object(w);
}

void document_environment(struct json_writer *w, const struct environment_info *environment)
{
	json_begin_object(w);
	document_uuid(w, "id", &environment->id);
	json_kv_str(w, "prefix", environment->prefix);
	json_kv_str_opt(w, "name", environment->name);
	json_kv_str_opt(w, "user", environment->owner.name);
	json_kv_str_opt(w, "platform", environment->platform);
	json_kv_str_opt(w, "tool", environment->tool);
	json_kv_int(w, "packages", (int64_t)environment->package_count);
	json_kv_str(w, "status", action_status_name(environment->status));
	json_kv_time_opt(w, "created", environment->created_ms);
	json_kv_time_opt(w, "last_change", environment->last_change_ms);
	json_kv_time_opt(w, "last_used", environment->last_used_ms);
	document_ran(w, environment);
	json_kv_bool(w, "self_reported", environment->self_reported);
	if (environment->excluded)
		json_kv_bool(w, "excluded", true);
	json_key(w, "degraded");
	json_begin_array(w);
	for (size_t i = 0; i < environment->n_degraded; i++)
		json_str(w, environment->degraded[i]);
	json_end_array(w);
	json_end_object(w);
}

static void packages(struct json_writer *w, const char *key, const struct package_list *list)
{
	json_key(w, key);
	json_begin_array(w);
	for (size_t i = 0; i < list->n; i++)
		document_package(w, &list->items[i]);
	json_end_array(w);
}

void document_change(struct json_writer *w, const struct change *change)
{
	json_begin_object(w);
	json_kv_int(w, "seq", (int64_t)change->seq);
	json_kv_time_opt(w, "time", change->time_ms);
	json_kv_str(w, "kind", change_kind_name(change->kind));
	json_key(w, "environment");
	json_begin_object(w);
	document_uuid(w, "id", &change->environment);
	json_kv_str_opt(w, "prefix", change->prefix);
	json_end_object(w);
	packages(w, "added", &change->added);
	packages(w, "removed", &change->removed);
	json_key(w, "actor");
	json_begin_object(w);
	json_kv_str_opt(w, "user", change->actor.name);
	if (change->actor.uid >= 0)
		json_kv_int(w, "uid", change->actor.uid);
	json_kv_str_opt(w, "how", change->actor.how);
	json_end_object(w);
	json_kv_str_opt(w, "tool", change->tool);
	json_kv_str_opt(w, "command", change->command);
	json_kv_bool(w, "self_reported", change->self_reported);
	json_kv_bool(w, "seen_at_start", change->seen_at_start);
	json_kv_str_opt(w, "from_prefix", change->from_prefix);
	if (change->folded > 1 || change->first_seq != 0) {
		json_key(w, "folded");
		json_begin_object(w);
		json_kv_int(w, "changes", (int64_t)(change->folded > 1 ? change->folded : 1));
		json_kv_int(w, "first_seq",
			    (int64_t)(change->first_seq ? change->first_seq : change->seq));
		json_end_object(w);
	}
	document_uuid(w, "cloned_from", &change->cloned_from);
	json_kv_str_opt(w, "detail", change->detail);
	json_end_object(w);
}

static void document_reason(struct json_writer *w, const struct reason *reason)
{
	json_begin_object(w);
	json_kv_str(w, "kind", reason->kind);
	json_kv_str_opt(w, "id", reason->id);
	json_kv_str(w, "action", action_name(reason->action));
	json_kv_str_opt(w, "message", reason->message);
	if (reason->package) {
		json_key(w, "package");
		document_package(w, reason->package);
	}
	json_kv_str_opt(w, "fix", reason->fix);
	json_kv_time_opt(w, "block_from", reason->block_from_ms);
	json_end_object(w);
}

void document_decision(struct json_writer *w, const struct decision_reply *reply)
{
	const struct decision *d = &reply->decision;

	json_kv_str(w, "decision", action_name(d->action));
	json_kv_str_opt(w, "prefix", reply->prefix);
	json_kv_str_opt(w, "name", reply->name);
	json_key(w, "reasons");
	json_begin_array(w);
	for (size_t i = 0; i < d->n_reasons; i++)
		document_reason(w, &d->reasons[i]);
	json_end_array(w);
	json_kv_str_opt(w, "case", d->case_code);
	json_kv_str_opt(w, "contact", reply->contact);
	json_kv_int(w, "policy_version", (int64_t)reply->policy_version);
	json_kv_str(w, "source", reply->source);
	if (d->valid_until_ms != INT64_MAX)
		json_kv_time_opt(w, "valid_until", d->valid_until_ms);
	json_kv_str_opt(w, "notice", reply->notice);
	if (reply->absent)
		json_kv_bool(w, "absent", true);
}
