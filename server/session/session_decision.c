/* What agents decided, and what their members ask for. */
#include <stdio.h>

#include "lib/base/json.h"
#include "proto/convert.h"
#include "server/db/db_admin.h"
#include "server/db/db_decision.h"
#include "server/db/db_ran.h"
#include "server/db/db_request.h"
#include "server/db/db_unlock.h"
#include "server/session/session_impl.h"

/* "openssl 1.0.2u" */
static const char *package_text(const Envwarden__Package *package, struct arena *arena)
{
	char text[DB_DECISION_PACKAGE_MAX];

	if (!package)
		return "";
	if (snprintf(text, sizeof(text), "%s %s", package->name, package->version) >=
	    (int)sizeof(text))
		return "";
	return arena_strdup(arena, text);
}

static int reasons_take(Envwarden__Reason *const *wire, size_t n, bool monitored,
			struct arena *arena, struct db_reason *out, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		out[i] = (struct db_reason){.kind = wire[i]->kind,
					    .rule = wire[i]->id,
					    .monitored = monitored,
					    .package = package_text(wire[i]->package, arena),
					    .packages = wire[i]->package != NULL};
		rc = out[i].package ? action_from_wire(wire[i]->action, &out[i].action, err)
				    : err_nomem(err);
	}
	return rc;
}

static int64_t count_of(uint64_t wire)
{
	return wire > (uint64_t)INT64_MAX ? INT64_MAX : (int64_t)wire;
}

static int decision_take(struct db_conn *conn, struct task *task,
			 const Envwarden__Sync__EnvironmentDecision *wire, struct err *err)
{
	size_t n = wire->n_reasons + wire->n_monitored;
	struct db_reason *reasons = arena_calloc(&task->arena, n + 1, sizeof(*reasons));
	struct db_decision d = {
		.machine = task->machine,
		.case_code = wire->case_code,
		.policy_version = wire->policy_version,
		.status_version = wire->status_version,
		.decided_ms = wire->decided_ms,
		.received_ms = task->now_ms,
		.counters = {.checks = count_of(wire->checks),
			     .warnings = count_of(wire->warnings),
			     .refusals = count_of(wire->refusals),
			     .runs_after_block = count_of(wire->runs_after_block)},
		.deferred_until_ms = wire->deferred_until_ms,
		.unlocked_serial = wire->unlocked_serial,
		.reasons = reasons,
		.n_reasons = n,
	};
	int rc = reasons ? action_from_wire(wire->action, &d.action, err) : err_nomem(err);

	uuid_from_wire(&wire->environment, &d.environment);
	if (rc == 0)
		rc = reasons_take(wire->reasons, wire->n_reasons, false, &task->arena, reasons,
				  err);
	if (rc == 0)
		rc = reasons_take(wire->monitored, wire->n_monitored, true, &task->arena,
				  reasons + wire->n_reasons, err);
	return rc < 0 ? rc : db_decision_put(conn, &d, err);
}

/* {"serial":3,"user":"ana","uid":1000,"used":"2026-..."}, by the machine's word but for the serial.
 */
static int code_detail(const Envwarden__Sync__UsedCode *wire, struct buf *out)
{
	struct json_writer w;
	struct person who;

	person_from_wire(wire->who, &who);
	json_writer_init(&w, out);
	json_begin_object(&w);
	json_kv_int(&w, "serial", wire->serial);
	json_kv_str_opt(&w, "user", who.name);
	if (who.uid >= 0)
		json_kv_int(&w, "uid", who.uid);
	json_kv_time_opt(&w, "used", wire->used_ms);
	json_end_object(&w);
	return buf_rc(out);
}

static int code_audit(struct db_conn *conn, struct task *task, const struct uuid *environment,
		      const char *detail, struct err *err)
{
	char who[UUID_TEXT_MAX + 16], target[UUID_TEXT_MAX + 16], id[UUID_TEXT_MAX];

	uuid_format(&task->machine, id);
	(void)snprintf(who, sizeof(who), "machine:%s", id);
	uuid_format(environment, id);
	(void)snprintf(target, sizeof(target), "environment:%s", id);
	return db_audit_append(conn,
			       &(struct db_audit){.at_ms = task->now_ms,
						  .who = who,
						  .what = "unlock.used",
						  .target = target,
						  .detail = detail},
			       err);
}

/* A code is issued for an emergency: that it was used is on record, once, even if that ended before
 * the machine could tell. Numbers that were never issued leave nothing. */
static int code_take(struct db_conn *conn, struct task *task, const Envwarden__Sync__UsedCode *wire,
		     struct err *err)
{
	struct db_unlock code = {
		.machine = task->machine, .serial = wire->serial, .used_ms = task->now_ms};
	struct buf detail;
	bool first;
	int rc;

	uuid_from_wire(&wire->environment, &code.environment);
	rc = db_unlock_used(conn, &code, &first, err);
	if (rc < 0 || !first)
		return rc;
	buf_init(&detail, DB_AUDIT_DETAIL_MAX);
	rc = code_detail(wire, &detail);
	rc = rc < 0 ? err_set(err, rc, "%s", err_text(rc))
		    : code_audit(conn, task, &code.environment, buf_cstr(&detail), err);
	buf_deinit(&detail);
	return rc;
}

/* What can't be, or is beyond the limits, is not kept; the rest is. */
static int run_take(struct db_conn *conn, struct task *task, const Envwarden__RanAfterBlock *wire,
		    struct err *err)
{
	struct ran_info info;
	struct db_ran ran;
	int rc;

	ran_from_wire(wire, &info);
	ran = (struct db_ran){.machine = task->machine,
			      .environment = info.environment,
			      .uid = info.who.uid,
			      .user = info.who.name,
			      .case_code = info.case_code,
			      .reasons = info.reasons,
			      .n_reasons = info.n_reasons,
			      .first_ms = info.first_ms,
			      .last_ms = info.last_ms,
			      .programs = count_of(info.programs),
			      .shells = count_of(info.shells),
			      .repairs = count_of(info.repairs),
			      .received_ms = task->now_ms};
	rc = db_ran_put(conn, &ran, err);
	return rc == ERR_LIMIT || rc == ERR_INVALID ? 0 : rc;
}

int decisions_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__DecisionReport *report = task->message->decision_report;
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__DecisionAck ack = ENVWARDEN__SYNC__DECISION_ACK__INIT;
	int rc = 0;

	for (size_t i = 0; i < report->n_environments && rc == 0; i++) {
		rc = decision_take(conn, task, report->environments[i], err);
		if (rc == ERR_LIMIT)
			rc = 0; /* what is beyond the limits is not kept */
	}
	for (size_t i = 0; i < report->n_used && rc == 0; i++)
		rc = code_take(conn, task, report->used[i], err);
	for (size_t i = 0; i < report->n_runs && rc == 0; i++)
		rc = run_take(conn, task, report->runs[i], err);
	if (rc < 0)
		return rc;
	ack.number = report->number;
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_DECISION_ACK;
	envelope.decision_ack = &ack;
	return task_reply(task, &envelope, err);
}

/* The answer is the next status bundle, which tells of it. */
int request_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__ExceptionRequest *wire = task->message->exception_request;
	struct db_request request = {.machine = task->machine,
				     .user = wire->user,
				     .reason = wire->reason,
				     .case_code = wire->case_code,
				     .made_ms = wire->made_ms,
				     .received_ms = task->now_ms};
	bool created;
	int rc;

	uuid_from_wire(&wire->id, &request.id);
	uuid_from_wire(&wire->environment, &request.environment);
	rc = db_request_put(conn, &request, &created, err);
	if (rc != ERR_LIMIT)
		return rc;
	/* Too many of them are no reason to end the session: it is sent again later. */
	return 0;
}
