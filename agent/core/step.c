#include "agent/core/step.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/history.h"

#define HOW_HISTORY "owner of history"
#define HOW_HISTORY_LAST "owner of history, last of several runs"
#define HOW_RECORD "owner of newest record"
#define HOW_PYTHON "owner of newest dist-info"
#define HOW_PREFIX "owner of prefix"

/*
 * How many runs of conda or mamba have ended since the last reading. A prefix made anew, also by
 * `conda rename`, begins its history anew; one moved as a directory carries it along, and so does
 * a copy, whose history is not its own until a run names its very path.
 */
static uint64_t runs_since(const struct step_input *in)
{
	const struct snapshot *s = in->snapshot;
	const struct environment *known = in->identity->known;
	uint64_t before = 0;

	switch (in->identity->kind) {
	case IDENTITY_SAME:
		before = known->expected ? 0 : known->sections;
		break;
	case IDENTITY_RENAMED:
		before = strcmp(s->renamed_from, known->prefix) == 0 ? 0 : known->sections;
		break;
	case IDENTITY_NEW:
	case IDENTITY_RECREATED:
		if (!history_speaks_of(s->history.target, s->prefix))
			return 0;
		if (in->copied && !history_names(s->history.target, s->prefix))
			return 0;
		break;
	}
	return s->history.sections > before ? s->history.sections - before : 0;
}

static size_t count(const struct package_list *list, bool python)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++)
		n += (strcmp(list->items[i].manager, "pypi") == 0) == python;
	return n;
}

static void set_actor(struct change *c, const struct person *who, const char *how)
{
	if (who->uid < 0)
		return;
	c->actor = *who;
	c->actor.how = how;
}

/* What left no history: pixi by its mark, pip and uv by what they wrote into their packages. */
static void attribute_traces(const struct step_input *in, const struct diff *d, struct change *c)
{
	const struct snapshot *s = in->snapshot;
	bool conda = count(&d->added, false) + count(&d->removed, false) > 0;
	bool pixi = strcmp(s->tool, "pixi") == 0;

	if (in->identity->kind == IDENTITY_RENAMED)
		return; /* moved; with what, nothing tells */
	if (pixi && (conda || in->identity->kind != IDENTITY_SAME)) {
		c->tool = s->tool;
	} else if (!conda && count(&d->added, true) > 0) {
		c->tool = pixi && strcmp(s->python_tool, "uv-pixi") == 0 ? s->tool : s->python_tool;
		set_actor(c, &s->python_owner, HOW_PYTHON);
	}
}

/*
 * Who, with what: from the history only if it tells of this change, else by who owns the files.
 * Whoever runs a tool owns the records it writes, but not a history that was there before.
 */
static void attribute(const struct step_input *in, const struct diff *d, struct change *c)
{
	const struct snapshot *s = in->snapshot;
	uint64_t runs = runs_since(in);

	set_actor(c, &s->owner, HOW_PREFIX);
	if (runs > 0) {
		c->command = s->history.command;
		c->tool = s->history.tool;
		set_actor(c, &s->history.owner, runs > 1 ? HOW_HISTORY_LAST : HOW_HISTORY);
	} else {
		attribute_traces(in, d, c);
	}
	if (count(&d->added, false) > 0 && s->record_owner.uid != c->actor.uid)
		set_actor(c, &s->record_owner, HOW_RECORD);
}

static void set_origin(const struct step_input *in, struct change *c)
{
	const struct run_facts *run = &in->snapshot->history;

	c->kind = CHANGE_CREATED;
	if (run->source[0] == '\0' || runs_since(in) == 0)
		return;
	/* A new store sees everything for the first time: what was cloned long ago is not news. */
	if (in->snapshot->at_start && run->sections > 1)
		return;
	c->kind = CHANGE_CLONED;
	if (!in->find_source ||
	    !in->find_source(in->ctx, run->source, in->snapshot, &c->cloned_from))
		c->cloned_from = (struct uuid){{0}};
}

static bool config_differs(const struct step_input *in)
{
	const struct environment *known = in->identity->known;

	return memcmp(known->config_digest, in->snapshot->config_digest,
		      sizeof(known->config_digest)) != 0;
}

/* One of "frozen:0a1b2c3d,state:5e6f7a8b": a file's name and a mark of its content. */
struct config_entry {
	const char *text;
	size_t name; /* bytes of the name */
	size_t n;    /* of all of it */
};

static bool next_entry(const char **names, struct config_entry *e)
{
	*names += strspn(*names, ",");
	e->text = *names;
	e->name = strcspn(*names, ":,");
	e->n = strcspn(*names, ",");
	*names += e->n;
	return e->n > 0;
}

/* Whether these bytes are an entry, or the name of one. */
static bool is_listed(const char *names, const char *text, size_t n)
{
	struct config_entry e;

	while (next_entry(&names, &e)) {
		if ((e.n == n || e.name == n) && memcmp(e.text, text, n) == 0)
			return true;
	}
	return false;
}

static void add_name(char *detail, const struct config_entry *e)
{
	size_t used = strlen(detail);

	snprintf(detail + used, SNAPSHOT_NAMES_MAX + 1 - used, "%s%.*s", used > 0 ? "," : "",
		 (int)e->name, e->text);
}

/* The files that differ or came, then those that are gone. */
static void config_detail(const struct step_input *in, char *detail)
{
	const char *before = in->identity->known->config_names;
	const char *now = in->snapshot->config_names;
	struct config_entry e;

	for (const char *at = now; next_entry(&at, &e);) {
		if (!is_listed(before, e.text, e.n))
			add_name(detail, &e);
	}
	for (const char *at = before; next_entry(&at, &e);) {
		if (!is_listed(now, e.text, e.name))
			add_name(detail, &e);
	}
}

/* The kind, and what goes with it; false when there is nothing to tell. */
static bool classify(const struct step_input *in, const struct diff *d, struct step *step)
{
	const struct environment *known = in->identity->known;
	size_t differ = d->added.n + d->removed.n;
	struct change *c = &step->change;

	CHECK(known || in->identity->kind == IDENTITY_NEW);
	switch (in->identity->kind) {
	case IDENTITY_NEW:
		set_origin(in, c);
		return true;
	case IDENTITY_RECREATED:
		c->kind = CHANGE_RECREATED;
		return true;
	case IDENTITY_RENAMED:
		c->kind = CHANGE_RENAMED;
		c->from_prefix = known->prefix;
		return true;
	case IDENTITY_SAME:
		break;
	}
	if (known->expected) {
		set_origin(in, c);
		c->seen_at_start = true;
		return true;
	}
	if (config_differs(in))
		config_detail(in, step->detail);
	else if (differ == 0)
		return false;
	c->kind = differ > 0 ? change_kind_of_step(d->added.n, d->removed.n) : CHANGE_CONFIG;
	return true;
}

static void fill_common(const struct step_input *in, struct change *c)
{
	const struct snapshot *s = in->snapshot;

	change_init(c);
	c->time_ms = in->now_ms;
	c->environment = in->identity->known ? in->identity->known->id : in->fresh_id;
	c->prefix = s->prefix;
	c->owner = s->owner;
	c->platform = s->platform;
	c->self_reported = s->self_reported;
	c->seen_at_start = s->at_start;
	c->has_digest = true;
	memcpy(c->digest, s->digest, sizeof(c->digest));
}

/* Whether what is kept of the environment, beside its packages, differs. */
static bool row_differs(const struct environment *e, const struct snapshot *s)
{
	return e->self_reported != s->self_reported || e->device != s->device ||
	       e->inode != s->inode || e->filesystem != s->filesystem ||
	       memcmp(e->volume, s->volume, VOLUME_SIZE) != 0 || e->owner.uid != s->owner.uid ||
	       (s->owner.name[0] != '\0' && strcmp(e->owner.name, s->owner.name) != 0) ||
	       strcmp(e->platform, s->platform) != 0 || strcmp(e->tool, s->tool) != 0 ||
	       e->created_ms != s->created_ms || e->sections != s->history.sections ||
	       e->stamp_n != s->stamp_n ||
	       (s->stamp_n > 0 && memcmp(e->stamp, s->stamp, s->stamp_n) != 0);
}

/* Of lists that hold the same packages. */
static bool marks_differ(const struct package_list *before, const struct package_list *now)
{
	for (size_t i = 0; i < now->n; i++) {
		if (before->items[i].stamp != now->items[i].stamp ||
		    before->items[i].claim != now->items[i].claim)
			return true;
	}
	return false;
}

int step_make(const struct step_input *in, struct step *out)
{
	const struct environment *known = in->identity->known;
	bool living = known && environment_lives(known);
	struct step step = {0};
	struct diff d;
	int rc;

	change_init(&step.change);
	if (in->snapshot->empty_meta && !living) {
		*out = step;
		return 0;
	}
	rc = diff_packages(in->before, &in->snapshot->packages, &d);
	if (rc < 0)
		return rc;
	fill_common(in, &step.change);
	step.changed = classify(in, &d, &step);
	step.packages_differ = d.added.n > 0 || d.removed.n > 0 || d.attributes || !living;
	step.marks_differ =
		!step.packages_differ && marks_differ(in->before, &in->snapshot->packages);
	step.store = step.changed || step.packages_differ || step.marks_differ ||
		     row_differs(known, in->snapshot);
	if (step.changed) {
		attribute(in, &d, &step.change);
		step.change.added = d.added;
		step.change.removed = d.removed;
		d = (struct diff){0};
	}
	diff_deinit(&d);
	*out = step;
	if (out->detail[0] != '\0')
		out->change.detail = out->detail;
	return 0;
}

void step_deinit(struct step *s)
{
	change_deinit(&s->change);
}

static int copy_list(const struct package_list *from, struct package_list *to)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < from->n; i++)
		rc = package_list_add(to, &from->items[i]);
	return rc;
}

static void fill_known(const struct environment *env, int64_t now_ms, struct change *c)
{
	change_init(c);
	c->time_ms = now_ms;
	c->environment = env->id;
	c->prefix = env->prefix;
	c->owner = env->owner;
	c->platform = env->platform;
}

int step_deleted(const struct step_end *end, struct change *out)
{
	struct change c;
	int rc;

	fill_known(end->environment, end->now_ms, &c);
	c.kind = CHANGE_DELETED;
	c.seen_at_start = end->seen_at_start;
	if (end->last != NULL) {
		c.command = end->last->command;
		c.tool = end->last->tool;
		set_actor(&c, &end->last->owner, HOW_HISTORY);
	}
	rc = copy_list(end->before, &c.removed);
	if (rc < 0) {
		change_deinit(&c);
		return rc;
	}
	*out = c;
	return 0;
}

int step_baseline(const struct environment *env, const struct package_list *packages,
		  int64_t now_ms, struct change *out)
{
	struct change c;
	int rc;

	fill_known(env, now_ms, &c);
	c.kind = CHANGE_CREATED;
	c.cloned_from = env->cloned_from;
	c.tool = env->tool;
	c.seen_at_start = true;
	c.has_digest = true;
	memcpy(c.digest, env->digest, sizeof(c.digest));
	rc = copy_list(packages, &c.added);
	if (rc < 0) {
		change_deinit(&c);
		return rc;
	}
	*out = c;
	return 0;
}
