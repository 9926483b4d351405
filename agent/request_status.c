/* status: how the agent is, with a reason and a remedy for each thing that is not as it should be.
 */
#include <stdio.h>
#include <string.h>

#include "agent/by_mount.h"
#include "agent/requests.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "platform/files.h"

#define DEGRADED_MAX 20
#define ASIDE_TOLD_MS (INT64_C(30) * 86400000)

struct degraded {
	Envwarden__Local__Degraded items[DEGRADED_MAX];
	Envwarden__Local__Degraded *list[DEGRADED_MAX];
	size_t n;
};

static void degrade(struct degraded *d, const char *what, const char *why, const char *remedy)
{
	Envwarden__Local__Degraded *item = &d->items[d->n];

	if (d->n == DEGRADED_MAX)
		return;
	envwarden__local__degraded__init(item);
	item->what = wire_text(what);
	item->why = wire_text(why);
	item->remedy = wire_text(remedy);
	d->list[d->n++] = item;
}

/* "what\twhy\tremedy" as the reader tells it; cut apart in place. */
static void degrade_by_reader(struct degraded *d, char *line)
{
	char *why = strchr(line, '\t');
	char *remedy = why != NULL ? strchr(why + 1, '\t') : NULL;

	if (remedy == NULL)
		return;
	*why++ = '\0';
	*remedy++ = '\0';
	degrade(d, line, why, remedy);
}

static void degrade_unreported(struct degraded *d, uint64_t unreported, char line[ENGINE_TEXT_MAX])
{
	if (unreported == 0)
		return;
	(void)snprintf(line, ENGINE_TEXT_MAX, "the agent may not read %llu environment%s",
		       (unsigned long long)unreported, unreported == 1 ? "" : "s");
	degrade(d, "unreadable", line, "their owners run: envwarden record ENV");
}

/* For as long as it is there and somebody may want to know why history begins where it does. */
static void degrade_aside(struct degraded *d, const struct engine *e, char line[LIMIT_TEXT])
{
	char time[CLOCK_TEXT_MAX];
	struct buf path;

	if (e->aside[0] == '\0' || engine_wall(e) - e->aside_ms >= ASIDE_TOLD_MS ||
	    !files_exists(e->aside))
		return;
	clock_format(e->aside_ms, time);
	buf_init(&path, LIMIT_TEXT / 2);
	text_escape(&path, e->aside, strlen(e->aside));
	(void)snprintf(line, LIMIT_TEXT,
		       "on %.10s the agent's store was damaged; what was left of it is in %s", time,
		       buf_rc(&path) == 0 ? buf_cstr(&path)
					  : "the state folder, store.damaged-...");
	buf_deinit(&path);
	degrade(d, "store set aside", line,
		"a new one was made from the disk: history begins there; keep the folder for "
		"whoever looks into it, or remove it; after 30 days this is said no more");
}

/* Decisions go by what the policy says of that (when_stale). */
static void degrade_stale(struct degraded *d, const struct engine *e, char line[ENGINE_TEXT_MAX])
{
	int64_t stale_ms = state_stale_ms(e);
	char heard[CLOCK_TEXT_MAX], since[CLOCK_TEXT_MAX];

	if (stale_ms == 0 || engine_trusted(e) < stale_ms)
		return;
	clock_format(state_confirmed_ms(e), heard);
	clock_format(stale_ms, since);
	(void)snprintf(line, ENGINE_TEXT_MAX,
		       "your organisation was last heard on %s; by its policy (stale_after) that "
		       "has been too long since %s",
		       heard, since);
	degrade(d, "stale", line,
		"connect this machine to the organisation's server, or import a newer file from "
		"an administrator: envwarden import FILE");
}

static void find_degraded(struct engine *e, struct degraded *d, char lines[][ENGINE_TEXT_MAX])
{
	if (e->enrolled && !syncing_connected(e))
		degrade(d, "not connected",
			syncing_why(e)[0] != '\0' ? syncing_why(e) : "the connection is being made",
			"changes are kept and sent later; check that the server can be reached");
	if (e->link == NULL)
		degrade(d, "not watching", "the agent's reader is not running",
			"it is started again by itself; see the agent's log if this stays");
	if (e->store_trouble[0] != '\0')
		degrade(d, "not recording", e->store_trouble,
			"free space for the agent's state folder; it goes on by itself");
	if (e->config_trouble[0] != '\0')
		degrade(d, "configuration not taken over", e->config_trouble,
			"mend the file, then reload the agent (SIGHUP); until then the one before "
			"holds");
	if (e->enrolled && state_refused(e)[0] != '\0')
		degrade(d, "signed state refused", state_refused(e),
			"the last good state stays in force; tell your administrators what it "
			"says here");
	if (e->fallback_full)
		degrade(d, "fallback incomplete",
			"there are more blocked environments than the fallback file has room for",
			"without the agent, blocks that came last are not known; block by rules "
			"less widely, or set when_agent_down to block");
	if (trusted_time_wall_behind(&e->time, engine_mono(e), engine_wall(e)))
		degrade(d, "clock behind", "the machine's clock is behind the server's",
			"set the clock");
	for (size_t i = 0; i < e->n_reader_trouble; i++) {
		memcpy(lines[i], e->reader_trouble[i].text, ENGINE_TEXT_MAX);
		degrade_by_reader(d, lines[i]);
	}
}

/* --- by where they are mounted --- */

struct mounted {
	const struct engine *e;
	struct by_mount away;
	struct by_mount remote;
	size_t partly;	   /* environments with files that could not be read */
	const char *first; /* of them */
};

static void count_env(void *ctx, struct env *env)
{
	struct mounted *to = ctx;

	if (env->lives && env->n_notes > 0 && !report_excluded(to->e, env->prefix) &&
	    to->partly++ == 0)
		to->first = env->prefix;
	/* Of one that was not there since the start no mount is known: its own path, then. */
	if (env->lives && env->away)
		by_mount_add(&to->away, env->mount != NULL ? env->mount : env->prefix);
	else if (env->lives && env->seen && env->remote && env->mount != NULL)
		by_mount_add(&to->remote, env->mount);
}

static void degrade_away(struct degraded *d, const struct by_mount *away, char line[LIMIT_TEXT])
{
	struct buf text;

	if (away->total == 0)
		return;
	buf_init(&text, LIMIT_TEXT / 2);
	by_mount_text(away, &text);
	if (buf_rc(&text) == 0)
		(void)snprintf(line, LIMIT_TEXT, "not mounted: %s", buf_cstr(&text));
	else
		(void)snprintf(line, LIMIT_TEXT, "what %zu environments are on is not mounted",
			       away->total);
	buf_deinit(&text);
	degrade(d, "away", line,
		"what was last seen there holds; mount it, or remove what is gone for good "
		"there: it is looked at when it is mounted again");
}

static void degrade_partly(struct degraded *d, const struct mounted *m, char line[LIMIT_TEXT])
{
	if (m->partly == 0)
		return;
	(void)snprintf(line, LIMIT_TEXT, "%zu %s files that can't be read%s%s", m->partly,
		       m->partly == 1 ? "environment has" : "environments have",
		       strlen(m->first) < LIMIT_TEXT / 2 ? "; the first is " : "",
		       strlen(m->first) < LIMIT_TEXT / 2 ? m->first : "");
	degrade(d, "partly read", line, "envwarden show names the files, and why");
}

struct remote_lines {
	Envwarden__Local__MountCount items[BY_MOUNT_MAX];
	Envwarden__Local__MountCount *list[BY_MOUNT_MAX];
};

static void tell_remote(const struct engine *e, const struct by_mount *remote,
			struct remote_lines *lines, Envwarden__Local__StatusReply *status)
{
	for (size_t i = 0; i < remote->n; i++) {
		envwarden__local__mount_count__init(&lines->items[i]);
		lines->items[i].mount = wire_text(remote->items[i].mount);
		lines->items[i].environments = remote->items[i].n;
		lines->list[i] = &lines->items[i];
	}
	status->remote = remote->total;
	status->late_ms = remote->total > 0 ? e->late_ms : 0;
	status->remote_mounts = lines->list;
	status->n_remote_mounts = remote->n;
}

/* --- what ran ----------------------------------------------------------------------------- */

struct ran_blocked {
	struct engine *e;
	uint32_t uid; /* who asks */
	Envwarden__Local__RanBlocked wire;
};

static void count_ran(void *ctx, struct env *env)
{
	struct ran_blocked *r = ctx;
	const struct ran *newest;

	if (!env->lives || env->ruling.runs_after_block == 0 || !engine_may_see(r->e, r->uid, env))
		return;
	r->wire.times += env->ruling.runs_after_block;
	r->wire.environments++;
	newest = ran_newest(r->e, env);
	if (newest == NULL || newest->last_ms <= r->wire.last_ms)
		return;
	r->wire.last_ms = newest->last_ms;
	r->wire.prefix = wire_text(env->prefix);
}

static void tell_ran(struct ran_blocked *ran, Envwarden__Local__StatusReply *status)
{
	envwarden__local__ran_blocked__init(&ran->wire);
	envs_each(&ran->e->envs, count_ran, ran);
	if (ran->wire.environments > 0)
		status->ran_blocked = &ran->wire;
}

void request_status(void *ctx, struct local_call *call, const Envwarden__Local__StatusRequest *m)
{
	struct engine *e = ctx;
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusReply status = ENVWARDEN__LOCAL__STATUS_REPLY__INIT;
	char lines[ARRAY_SIZE(e->reader_trouble)][ENGINE_TEXT_MAX];
	char unreported[ENGINE_TEXT_MAX];
	char stale[ENGINE_TEXT_MAX];
	struct degraded degraded = {.n = 0};
	struct mounted mounted = {.e = e};
	struct ran_blocked ran = {.e = e, .uid = local_call_uid(call)};
	struct remote_lines remote;
	char away[LIMIT_TEXT];
	char partly[LIMIT_TEXT];
	char aside[LIMIT_TEXT];

	(void)m;
	envs_each(&e->envs, count_env, &mounted);
	find_degraded(e, &degraded, lines);
	report_count(e, &status.self_reported, &status.unreported);
	degrade_stale(&degraded, e, stale);
	degrade_unreported(&degraded, status.unreported, unreported);
	degrade_away(&degraded, &mounted.away, away);
	degrade_partly(&degraded, &mounted, partly);
	degrade_aside(&degraded, e, aside);
	tell_remote(e, &mounted.remote, &remote, &status);
	tell_ran(&ran, &status);
	status.version = wire_text(ENVWARDEN_VERSION);
	status.enrolled = e->enrolled;
	status.organisation = wire_text(e->enrolled ? e->identity.name : "");
	status.server = wire_text(e->enrolled ? syncing_server(e) : "");
	status.connected = e->enrolled && syncing_connected(e);
	status.logging = engine_logging(e);
	status.environments = e->envs.living;
	status.watched = e->watched;
	status.polled = e->polled;
	status.epoch = wire_uuid(&e->journal.epoch);
	status.head = e->journal.head;
	status.acked = e->journal.acked;
	status.policy_version = state_version(e, TRUST_POLICY);
	status.status_version = state_version(e, TRUST_STATUS);
	status.advisories_version = state_version(e, TRUST_ADVISORIES);
	status.advisories_age_s = -1;
	status.machine = wire_uuid(&e->identity.machine);
	status.organisation_id = wire_uuid(&e->identity.organisation);
	status.degraded = degraded.list;
	status.n_degraded = degraded.n;
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY;
	answer.status_reply = &status;
	local_call_end(call, &answer);
}
