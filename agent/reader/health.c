#include "agent/reader/health.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent/accounts.h"
#include "agent/reader/lanes.h"
#include "agent/reader/places.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "proto/limits.h"

#define EVERY_MS 1000
#define LINES_MAX 12
#define TEXT_MAX 480

struct health_lines {
	char text[LINES_MAX][TEXT_MAX];
	char *list[LINES_MAX];
	size_t n;
};

/* "what\twhy\tremedy" */
static void tell(struct health_lines *lines, const char *format, ...)
{
	va_list args;

	if (lines->n == LINES_MAX)
		return;
	va_start(args, format);
	(void)vsnprintf(lines->text[lines->n], TEXT_MAX, format, args);
	va_end(args);
	lines->list[lines->n] = lines->text[lines->n];
	lines->n++;
}

/* Of a mount: what is not printable, or would end a column, is made harmless. */
static const char *harmless(struct buf *text, const char *name)
{
	buf_clear(text);
	text_escape(text, name, strlen(name));
	return buf_rc(text) == 0 ? buf_cstr(text) : "?";
}

static void tell_stuck(void *ctx, const char *point, const char *source, int64_t since_ms)
{
	struct health_lines *lines = ctx;
	char since[CLOCK_TEXT_MAX];
	struct buf where;
	struct buf what;

	buf_init(&where, 1024);
	buf_init(&what, 1024);
	clock_format(since_ms, since);
	tell(lines,
	     "mount\t%s (%s) does not answer since %s\tits environments stay as they were last "
	     "seen; mend its server or unmount it, the agent then goes on by itself",
	     harmless(&where, point), harmless(&what, source), since);
	buf_deinit(&where);
	buf_deinit(&what);
}

static bool accounts_are_silent(const struct health *h)
{
	return accounts_waited_ms(*h->from.accounts) >= ACCOUNTS_SILENT_MS;
}

static void find_trouble(const struct health *h, const struct entries_health *seen,
			 struct health_lines *lines)
{
	int64_t waited_ms = accounts_waited_ms(*h->from.accounts);

	lanes_each_stuck(*h->from.lanes, tell_stuck, lines);
	if (waited_ms >= ACCOUNTS_SILENT_MS)
		tell(lines,
		     "accounts\tthe system's look-up of accounts has not answered for %lld "
		     "s\tmend its directory service (SSSD, LDAP); homes that only it knows are "
		     "not looked at, names that need it not resolved meanwhile",
		     (long long)(waited_ms / 1000));
	if (h->no_watcher)
		tell(lines,
		     "watches\tthe system has no watchers left for this account; "
		     "environments are polled\traise fs.inotify.max_user_instances (sysctl)");
	if (seen->watches_exhausted)
		tell(lines,
		     "watches\tthe system has no directory watches left for this account; "
		     "%zu environments are polled\traise fs.inotify.max_user_watches (sysctl)",
		     seen->polled);
	if (seen->failed > 0)
		tell(lines,
		     "not read\t%zu environments could not be read (too long a path, too "
		     "much in it)\tthe agent's log names them",
		     seen->failed);
}

static size_t left_out(const struct health *h, const struct entries_health *seen)
{
	return places_cut(*h->from.places) + seen->full;
}

static void tell_all(struct health *h)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Health health = ENVWARDEN__READER__HEALTH__INIT;
	struct entries_health seen;
	struct health_lines lines = {.n = 0};
	char *denied[LIMIT_DENIED];

	entries_health(*h->from.entries, &seen);
	h->told = seen;
	h->told_silent = accounts_are_silent(h);
	h->differs = false;
	find_trouble(h, &seen, &lines);
	h->cut_told = left_out(h, &seen);
	if (h->cut_told > 0)
		tell(&lines,
		     "discovery\tin %zu places there is more than the agent looks at, so "
		     "environments may be unknown\tname narrower roots, or exclude folders",
		     h->cut_told);
	health.watched = seen.watched;
	health.polled = seen.polled;
	health.degraded = lines.list;
	health.n_degraded = lines.n;
	health.late_ms = seen.remote > 0 ? (uint64_t)seen.late_ms : 0;
	health.remote = seen.remote;
	health.denied = seen.denied;
	health.denied_paths = denied;
	health.n_denied_paths = entries_denied(*h->from.entries, denied, LIMIT_DENIED);
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_HEALTH;
	envelope.health = &health;
	h->from.send(h->from.ctx, &envelope);
}

static void on_health(uv_timer_t *timer)
{
	struct health *h = timer->data;
	struct entries_health seen;

	entries_health(*h->from.entries, &seen);
	if (seen.watched != h->told.watched || seen.polled != h->told.polled ||
	    seen.denied != h->told.denied || seen.failed != h->told.failed ||
	    seen.away != h->told.away || seen.remote != h->told.remote ||
	    seen.watches_exhausted != h->told.watches_exhausted || h->differs ||
	    left_out(h, &seen) != h->cut_told || accounts_are_silent(h) != h->told_silent)
		tell_all(h);
	if (accounts_waited_ms(*h->from.accounts) > 0)
		health_soon(h); /* they may become silent */
}

void health_soon(struct health *h)
{
	if (h->on && !uv_is_active((uv_handle_t *)&h->timer))
		uv_timer_start(&h->timer, on_health, EVERY_MS, 0);
}

void health_init(struct health *h, uv_loop_t *loop, const struct health_sources *from)
{
	h->from = *from;
	CHECK(uv_timer_init(loop, &h->timer) == 0);
	h->timer.data = h;
}

void health_begin(struct health *h)
{
	h->on = true;
	tell_all(h);
	health_soon(h); /* the look-up of accounts may have become silent */
}

void health_changed(struct health *h)
{
	h->differs = true;
	health_soon(h);
}

void health_set_no_watcher(struct health *h, bool none)
{
	h->differs = h->differs || h->no_watcher != none;
	h->no_watcher = none;
}

void health_stop(struct health *h)
{
	h->on = false;
	uv_close((uv_handle_t *)&h->timer, NULL);
}
