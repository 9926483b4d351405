/*
 * report: a member's own reading of a prefix the agent may not read.
 *
 *   ReportBegin -> the reader tries itself: what it can read it does, and the report is not needed
 *     may not: the member's command proves that it can open the directory (a descriptor), which
 *     also tells where it is and whose
 *     only its owner, or root, goes on: chunks, the end -> validated -> the store
 *
 * Bounded: one report of a prefix at a time, few of an account, few in all. One that stalls makes
 * room for the next after PATIENCE_MS.
 */
#include <stdio.h>
#include <string.h>

#include "agent/report.h"
#include "agent/requests.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/wildcard.h"
#include "platform/fd_pass.h"

#define REPORTS_MAX 8
#define REPORTS_PER_UID 2
#define UNREPORTED_PER_UID 8
#define PATIENCE_MS 30000

enum reporting_state {
	REPORTING_PROBE,  /* the reader tries */
	REPORTING_PROOF,  /* a descriptor is waited for */
	REPORTING_PIECES, /* chunks come */
	REPORTING_STORE
};

struct reporting {
	struct reporting *next;
	struct engine *e;
	struct local_call *call;
	enum reporting_state state;
	uint32_t uid;
	int64_t since_ms; /* mono */
	uint64_t read;	  /* id of the reading waited for, 0 none */
	char *prefix;
	struct report report;
	struct report_proof proof; /* its prefix is the one above */
};

/* --- what is welcome --- */

bool report_excluded(const struct engine *e, const char *prefix)
{
	for (size_t i = 0; i < e->config.exclude.n; i++) {
		if (wildcard_covers_path(e->config.exclude.items[i], prefix))
			return true;
	}
	return false;
}

bool report_welcome(const struct engine *e, uint32_t uid, const struct env *env, const char *prefix)
{
	return engine_logging(e) && !report_excluded(e, prefix) &&
	       (env == NULL || engine_may_see(e, uid, env));
}

static struct unreported *find_unreported(struct engine *e, const char *prefix)
{
	for (size_t i = 0; i < e->n_unreported; i++)
		if (strcmp(e->unreported[i].prefix, prefix) == 0)
			return &e->unreported[i];
	return NULL;
}

void report_missed(struct engine *e, uint32_t uid, const char *prefix)
{
	struct unreported *slot = &e->unreported[e->n_unreported];
	size_t of_uid = 0;

	for (size_t i = 0; i < e->n_unreported; i++)
		of_uid += e->unreported[i].uid == uid;
	if (e->n_unreported == ENGINE_UNREPORTED_MAX || of_uid >= UNREPORTED_PER_UID ||
	    find_unreported(e, prefix) != NULL)
		return;
	slot->prefix = mem_strdup(prefix);
	slot->uid = uid;
	e->n_unreported += slot->prefix != NULL;
}

/* All of an account that reports: other names of the same, too; what is left comes again. */
static void forget_unreported(struct engine *e, uint32_t uid)
{
	for (size_t i = 0; i < e->n_unreported;) {
		if (e->unreported[i].uid != uid) {
			i++;
			continue;
		}
		mem_free(e->unreported[i].prefix);
		e->unreported[i] = e->unreported[--e->n_unreported];
	}
}

static void count_reported(void *ctx, struct env *env)
{
	*(uint64_t *)ctx += env->lives && env->self_reported;
}

static bool is_reported(const struct engine *e, const char *prefix)
{
	const struct env *env = envs_by_path(&e->envs, prefix);

	return env != NULL && env->lives && env->self_reported;
}

void report_count(const struct engine *e, uint64_t *reported, uint64_t *unreported)
{
	*reported = 0;
	envs_each(&e->envs, count_reported, reported);
	*unreported = e->denied;
	for (size_t i = 0; i < e->n_denied_paths; i++)
		*unreported -= is_reported(e, e->denied_paths[i]) && *unreported > 0;
	for (size_t i = 0; i < e->n_unreported; i++) {
		bool told = false;

		for (size_t j = 0; j < e->n_denied_paths; j++)
			told = told || strcmp(e->unreported[i].prefix, e->denied_paths[j]) == 0;
		*unreported += !told && !is_reported(e, e->unreported[i].prefix);
	}
}

/* --- the end of one --- */

/* rc 0: it is in the journal, or was not needed. */
static void reporting_end(struct reporting *r, int rc, const char *why)
{
	struct local_call *call = r->call;
	struct reporting **p = &r->e->reports;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
	r->e->n_reports--;
	if (r->read != 0)
		facts_forget(r->e, r->read);
	if (rc < 0)
		log_info("core", "report refused", LOG_INT("uid", r->uid),
			 LOG_STR("prefix", r->prefix), LOG_STR("why", why));
	if (rc == 0)
		local_call_end(call, NULL);
	else
		local_call_fail(call, rc, why);
	report_deinit(&r->report);
	mem_free(r->prefix);
	mem_free(r);
}

static void on_closed(struct local_call *call)
{
	struct reporting *r = local_call_data(call);

	if (r->state != REPORTING_STORE) /* that job ends it */
		reporting_end(r, ERR_CLOSED, err_text(ERR_CLOSED));
}

/* --- the pieces --- */

static void on_stored(void *ctx, int rc)
{
	struct reporting *r = ctx;

	if (rc == 0)
		forget_unreported(r->e, r->uid);
	reporting_end(r, rc, "the report could not be stored");
}

static void store(struct reporting *r)
{
	struct err err = ERR_INIT;
	int rc = engine_logging(r->e)
			 ? report_finish(&r->report, &r->proof, &err)
			 : err_set(&err, ERR_CONFLICT, "logging was switched off meanwhile");

	r->state = REPORTING_STORE;
	if (rc == 0 && facts_store(r->e, &r->report.intake, on_stored, r) < 0)
		rc = err_nomem(&err);
	if (rc < 0)
		reporting_end(r, rc, err.text);
}

/* Of another kind of request than this. */
static bool is_anothers(const Envwarden__Local__Envelope *piece)
{
	return piece->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK &&
	       piece->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END;
}

static void on_piece(struct local_call *call, const Envwarden__Local__Envelope *piece)
{
	struct reporting *r = local_call_data(call);
	struct err err = ERR_INIT;
	int rc;

	if (r->state != REPORTING_PIECES || is_anothers(piece)) {
		if (r->state != REPORTING_STORE)
			reporting_end(r, ERR_PROTOCOL, "a piece of a report out of place");
		return;
	}
	if (piece->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END) {
		store(r);
		return;
	}
	rc = report_feed(&r->report, piece->report_chunk->data.data, piece->report_chunk->data.len,
			 &err);
	if (rc < 0)
		reporting_end(r, rc, err.text);
}

/* --- the proof --- */

static int check_proof(struct reporting *r, int fd, struct err *err)
{
	struct file_info proved;
	char path[SAFE_PATH_MAX];
	int rc = fd_pass_inspect(fd, &proved, path, sizeof path, err);

	if (rc < 0)
		return rc;
	if (strcmp(path, r->prefix) != 0)
		return err_set(err, ERR_PERM, "the descriptor is of another directory");
	if (proved.uid != r->uid && r->uid != 0)
		return err_set(err, ERR_PERM, "not permitted: only its owner may report it");
	r->proof = (struct report_proof){.prefix = r->prefix,
					 .device = proved.dev,
					 .inode = proved.ino,
					 .owner = (int64_t)proved.uid};
	return 0;
}

static void on_descriptor(struct local_call *call, int rc, int fd)
{
	struct reporting *r = local_call_data(call);
	struct err err = ERR_INIT;

	if (rc == 0)
		rc = check_proof(r, fd, &err);
	else
		err_set(&err, rc, "%s", err_text(rc));
	fd_pass_close(fd);
	if (rc < 0)
		reporting_end(r, rc, err.text);
	else
		r->state = REPORTING_PIECES;
}

/* --- the beginning --- */

static void on_probed(void *ctx, int rc)
{
	struct reporting *r = ctx;

	r->read = 0;
	if (rc == 0) { /* its own reading wins */
		reporting_end(r, 0, NULL);
		return;
	}
	if (rc == ERR_PERM) {
		r->state = REPORTING_PROOF;
		rc = local_call_want_descriptor(r->call, r->prefix, on_descriptor);
	}
	if (rc < 0)
		reporting_end(r, rc,
			      rc == ERR_NOTFOUND ? "there is no environment there" : err_text(rc));
}

/* Of those that stall the ones that had their chance go. */
static void make_room(struct engine *e)
{
	int64_t before = engine_mono(e) - PATIENCE_MS;
	struct reporting *next;

	for (struct reporting *r = e->reports; r != NULL; r = next) {
		next = r->next;
		if (r->since_ms < before && r->state != REPORTING_STORE)
			reporting_end(r, ERR_TIMEOUT, "the report took too long");
	}
}

static bool has_room(const struct engine *e, uint32_t uid, const char *prefix)
{
	size_t of_uid = 0;

	for (const struct reporting *r = e->reports; r != NULL; r = r->next) {
		of_uid += r->uid == uid;
		if (strcmp(r->prefix, prefix) == 0)
			return false;
	}
	return e->n_reports < REPORTS_MAX && of_uid < REPORTS_PER_UID;
}

static int may_begin(struct engine *e, uint32_t uid, const char *prefix, struct err *err)
{
	if (!engine_logging(e))
		return err_set(err, ERR_CONFLICT, "your organisation has not switched logging on");
	if (prefix[0] != '/')
		return err_set(err, ERR_INVALID, "a report is of an absolute path");
	if (report_excluded(e, prefix))
		return err_set(err, ERR_PERM, REPORT_EXCLUDED);
	make_room(e);
	if (!has_room(e, uid, prefix))
		return err_set(err, ERR_BUSY, "the agent is busy with other reports; try again");
	return 0;
}

static struct reporting *reporting_new(struct engine *e, struct local_call *call,
				       const char *prefix)
{
	struct reporting *r = mem_calloc(1, sizeof *r);

	if (r == NULL || (r->prefix = mem_strdup(prefix)) == NULL) {
		mem_free(r);
		return NULL;
	}
	r->e = e;
	r->call = call;
	r->uid = local_call_uid(call);
	r->since_ms = engine_mono(e);
	report_init(&r->report);
	r->next = e->reports;
	e->reports = r;
	e->n_reports++;
	local_call_set_data(call, r);
	local_call_on_piece(call, on_piece);
	local_call_on_closed(call, on_closed);
	return r;
}

void request_report(void *ctx, struct local_call *call, const Envwarden__Local__ReportBegin *m)
{
	struct engine *e = ctx;
	struct err err = ERR_INIT;
	struct reporting *r;

	if (may_begin(e, local_call_uid(call), m->prefix, &err) < 0) {
		local_call_fail(call, err.code, err.text);
		return;
	}
	r = reporting_new(e, call, m->prefix);
	if (r == NULL) {
		request_nomem(call);
		return;
	}
	r->read = facts_read(e, r->prefix, on_probed, r);
	if (r->read == 0)
		reporting_end(r, ERR_UNREACHABLE, "the agent's reader is not running; try again");
}
