#include "agent/core/step.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/err.h"
#include "tests/agent/samples.h"
#include "tests/support/fault.h"

#define NOW INT64_C(5000)
#define PREFIX "/home/ana/envs/churn"

/* One step: what was known (NULL = nothing), what is found, and what comes of it. */
struct row {
	const char *about;
	enum identity_kind identity;
	const char *before; /* specs; NULL = nothing was known */
	const char *after;
	/* what differs from the sample: */
	uint64_t sections_before;
	uint64_t sections;
	const char *action;
	const char *source;
	const char *tool;	 /* of the environment; NULL = conda */
	const char *python_tool; /* of the newest dist-info, which ben owns */
	const char *target;	 /* of the command */
	bool record_owner;	 /* ben owns the newest record */
	bool copied;
	bool config;
	bool renamed_from;
	bool half_made;
	bool expected;
	/* wanted: */
	bool changed;
	enum change_kind kind;
	const char *change_tool;
	const char *command;
	const char *how;
	const char *detail;
};

#define HISTORY "owner of history"
#define OWNER "owner of prefix"
#define PYTHON "owner of newest dist-info"

static const struct row rows[] = {
	{.about = "first sight, no history",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .how = OWNER},
	{.about = "first sight",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .sections = 1,
	 .action = "create",
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "clone",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .sections = 1,
	 .action = "create",
	 .source = "base",
	 .changed = true,
	 .kind = CHANGE_CLONED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "half-made", .identity = IDENTITY_NEW, .after = "", .half_made = true},
	{.about = "nothing", .identity = IDENTITY_SAME, .before = "a=1", .after = "a=1"},
	{.about = "install",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1 b=1",
	 .sections_before = 1,
	 .sections = 2,
	 .action = "install",
	 .changed = true,
	 .kind = CHANGE_INSTALLED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "update",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=2",
	 .sections_before = 1,
	 .sections = 2,
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "a record deleted by hand",
	 .identity = IDENTITY_SAME,
	 .before = "a=1 b=1",
	 .after = "a=1",
	 .sections_before = 2,
	 .sections = 2,
	 .changed = true,
	 .kind = CHANGE_REMOVED,
	 .how = OWNER},
	{.about = "pip: the old command is not its",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1 pypi:b=1",
	 .sections_before = 1,
	 .sections = 1,
	 .changed = true,
	 .kind = CHANGE_INSTALLED,
	 .how = OWNER},
	{.about = "pip by somebody else",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1 pypi:b=1",
	 .python_tool = "pip",
	 .changed = true,
	 .kind = CHANGE_INSTALLED,
	 .change_tool = "pip",
	 .how = PYTHON},
	{.about = "uv",
	 .identity = IDENTITY_SAME,
	 .before = "a=1 pypi:b=1",
	 .after = "a=1 pypi:b=2",
	 .python_tool = "uv",
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .change_tool = "uv",
	 .how = PYTHON},
	{.about = "taken out, which with nothing tells",
	 .identity = IDENTITY_SAME,
	 .before = "a=1 pypi:b=1 pypi:c=1",
	 .after = "a=1 pypi:c=1",
	 .python_tool = "pip",
	 .changed = true,
	 .kind = CHANGE_REMOVED,
	 .how = OWNER},
	{.about = "pip in pixi's",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1 pypi:b=1",
	 .tool = "pixi",
	 .python_tool = "pip",
	 .changed = true,
	 .kind = CHANGE_INSTALLED,
	 .change_tool = "pip",
	 .how = PYTHON},
	{.about = "pixi's moved",
	 .identity = IDENTITY_RENAMED,
	 .before = "a=1",
	 .after = "a=1",
	 .tool = "pixi",
	 .changed = true,
	 .kind = CHANGE_RENAMED,
	 .how = OWNER},
	{.about = "by root, in a history that was there before",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=2",
	 .sections_before = 1,
	 .sections = 2,
	 .record_owner = true,
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = "owner of newest record"},
	{.about = "several runs between two readings",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=2 b=1",
	 .sections_before = 1,
	 .sections = 3,
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = "owner of history, last of several runs"},
	{.about = "a copy of a clone",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .sections = 1,
	 .action = "create",
	 .source = "base",
	 .copied = true,
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .how = OWNER},
	{.about = "a copy that was used where it is now",
	 .identity = IDENTITY_NEW,
	 .after = "a=1 b=1",
	 .sections = 2,
	 .action = "install",
	 .target = PREFIX " b",
	 .copied = true,
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = "owner of history, last of several runs"},
	{.about = "a command that speaks of another",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .sections = 1,
	 .action = "create",
	 .target = "/home/ana/envs/churn2 foo",
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .how = OWNER},
	{.about = "a command that speaks of this one",
	 .identity = IDENTITY_NEW,
	 .after = "a=1",
	 .sections = 1,
	 .action = "create",
	 .target = "/data/ana/envs/churn foo",
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "conda in an environment where pip was",
	 .identity = IDENTITY_SAME,
	 .before = "a=1 pypi:b=1",
	 .after = "a=2 pypi:b=2",
	 .python_tool = "pip",
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .how = OWNER},
	{.about = "pixi",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1 pypi:b=1",
	 .tool = "pixi",
	 .python_tool = "uv-pixi",
	 .changed = true,
	 .kind = CHANGE_INSTALLED,
	 .change_tool = "pixi",
	 .how = PYTHON},
	{.about = "history cut",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=2",
	 .sections_before = 5,
	 .sections = 1,
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .how = OWNER},
	{.about = "a run that changed nothing",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1",
	 .sections_before = 1,
	 .sections = 2},
	{.about = "configuration",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=1",
	 .config = true,
	 .changed = true,
	 .kind = CHANGE_CONFIG,
	 .how = OWNER,
	 .detail = "pinned"},
	{.about = "configuration and packages",
	 .identity = IDENTITY_SAME,
	 .before = "a=1",
	 .after = "a=2",
	 .config = true,
	 .changed = true,
	 .kind = CHANGE_UPDATED,
	 .how = OWNER,
	 .detail = "pinned"},
	{.about = "renamed",
	 .identity = IDENTITY_RENAMED,
	 .before = "a=1",
	 .after = "a=1",
	 .sections_before = 9,
	 .sections = 1,
	 .action = "rename",
	 .renamed_from = true,
	 .changed = true,
	 .kind = CHANGE_RENAMED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "moved as a directory",
	 .identity = IDENTITY_RENAMED,
	 .before = "a=1",
	 .after = "a=1",
	 .sections_before = 9,
	 .sections = 9,
	 .changed = true,
	 .kind = CHANGE_RENAMED,
	 .how = OWNER},
	{.about = "re-created",
	 .identity = IDENTITY_RECREATED,
	 .before = "a=1",
	 .after = "a=2",
	 .sections_before = 9,
	 .sections = 1,
	 .action = "create",
	 .changed = true,
	 .kind = CHANGE_RECREATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
	{.about = "remembered by the server",
	 .identity = IDENTITY_SAME,
	 .before = "",
	 .after = "a=1",
	 .sections = 1,
	 .expected = true,
	 .changed = true,
	 .kind = CHANGE_CREATED,
	 .change_tool = "conda",
	 .command = "the command",
	 .how = HISTORY},
};

/* An environment as it would be stored after this snapshot. */
static void know(struct environment *e, const struct snapshot *s, const struct uuid *id)
{
	environment_init(e);
	e->id = *id;
	e->prefix = s->prefix;
	e->device = s->device;
	e->inode = s->inode;
	e->owner = s->owner;
	e->platform = s->platform;
	e->tool = s->tool;
	e->created_ms = s->created_ms;
	e->sections = s->history.sections;
	e->config_names = s->config_names;
	memcpy(e->config_digest, s->config_digest, sizeof(e->config_digest));
	memcpy(e->digest, s->digest, sizeof(e->digest));
}

static void make_row(const struct row *r, struct arena *arena, struct snapshot *before,
		     struct snapshot *after, struct environment *known)
{
	static const struct uuid id = {{7}};

	sample_snapshot(before, arena, r->renamed_from ? "/old" : PREFIX, 7,
			r->before ? r->before : "");
	before->history.sections = r->sections_before;
	sample_snapshot(after, arena, PREFIX, 7, r->after);
	sample_run(after, r->sections, r->action ? r->action : "install", "the command");
	if (r->source)
		after->history.source = r->source;
	if (r->tool)
		before->tool = after->tool = r->tool;
	if (r->python_tool) {
		after->python_tool = r->python_tool;
		after->python_owner = (struct person){.name = "ben", .uid = 1001, .how = ""};
	}
	if (r->target)
		after->history.target = r->target;
	if (r->record_owner)
		after->record_owner = (struct person){.name = "ben", .uid = 1001, .how = ""};
	if (r->config) {
		after->config_digest[0] = 1;
		after->config_names = "pinned:11111111";
	}
	if (r->renamed_from)
		after->renamed_from = "/old";
	after->empty_meta = r->half_made;
	know(known, before, &id);
	known->expected = r->expected;
}

static bool find_base(void *ctx, const char *source, const struct snapshot *of, struct uuid *id)
{
	(void)ctx;
	(void)of;
	assert_string_equal(source, "base");
	id->b[0] = 99;
	return true;
}

static void same_text(const struct row *r, const char *what, const char *got, const char *want)
{
	if (strcmp(got, want ? want : "") != 0)
		fail_msg("%s: %s is \"%s\"", r->about, what, got);
}

static void check_change(const struct row *r, const struct step *step)
{
	const struct change *c = &step->change;

	if (c->kind != r->kind)
		fail_msg("%s: it is %s", r->about, change_kind_name(c->kind));
	same_text(r, "tool", c->tool, r->change_tool);
	same_text(r, "command", c->command, r->command);
	same_text(r, "how", c->actor.how, r->how);
	same_text(r, "detail", c->detail, r->detail);
	same_text(r, "prefix", c->prefix, PREFIX);
	same_text(r, "owner", c->owner.name, "ana");
	if (c->kind == CHANGE_RENAMED)
		same_text(r, "from", c->from_prefix, r->renamed_from ? "/old" : PREFIX);
	if (strcmp(c->actor.how, HISTORY) == 0)
		assert_int_equal(c->actor.uid, 0);
	assert_int_equal(c->cloned_from.b[0], c->kind == CHANGE_CLONED ? 99 : 0);
	assert_int_equal(c->environment.b[0], r->identity == IDENTITY_NEW ? 55 : 7);
	assert_int_equal(c->time_ms, NOW);
	assert_int_equal(c->seen_at_start, r->expected);
	assert_true(c->has_digest);
}

static void tables(void **state)
{
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 22);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct environment known;
		struct snapshot before;
		struct snapshot after;
		struct identity identity = {.kind = r->identity};
		struct step_input in = {
			.identity = &identity,
			.snapshot = &after,
			.fresh_id = {{55}},
			.now_ms = NOW,
			.find_source = find_base,
			.copied = r->copied,
		};
		struct step step;

		make_row(r, &arena, &before, &after, &known);
		in.before = &before.packages;
		if (r->before)
			identity.known = &known;
		assert_int_equal(step_make(&in, &step), 0);
		if (step.changed != r->changed)
			fail_msg("%s: changed is %d", r->about, step.changed);
		if (step.changed)
			check_change(r, &step);
		/* A change is always stored, and so is a further run. */
		assert_true(step.store >= step.changed);
		if (r->before && r->sections != r->sections_before)
			assert_true(step.store);
		step_deinit(&step);
		snapshot_deinit(&before);
		snapshot_deinit(&after);
	}
	arena_deinit(&arena);
}

static void the_files_that_differ_are_told(void **state)
{
	static const struct {
		const char *before;
		const char *after;
		const char *detail;
	} texts[] = {
		{"", "state:00000001", "state"},
		{"state:00000001", "state:00000002", "state"},
		{"state:00000001", "pinned:00000003,state:00000001", "pinned"},
		{"pinned:00000003,state:00000001", "state:00000001", "pinned"},
		{"frozen:00000004,pinned:00000003,state:00000001", "state:00000001",
		 "frozen,pinned"},
		{"frozen:00000004", "state:00000001", "state,frozen"},
		{"state:00000001", "", "state"},
		{"state", "state:00000001", "state"}, /* as it was stored before there were marks */
		{"state:00000001", "states:00000001", "states,state"},
	};
	struct uuid id = {{7}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct identity identity = {.kind = IDENTITY_SAME};
		struct environment known;
		struct snapshot before;
		struct snapshot after;
		struct arena arena;
		struct step step;

		arena_init(&arena, 1 << 20);
		sample_snapshot(&before, &arena, PREFIX, 7, "a=1");
		before.config_names = texts[i].before;
		sample_snapshot(&after, &arena, PREFIX, 7, "a=1");
		after.config_names = texts[i].after;
		after.config_digest[0] = 1;
		know(&known, &before, &id);
		identity.known = &known;
		assert_int_equal(step_make(&(struct step_input){.identity = &identity,
								.before = &before.packages,
								.snapshot = &after,
								.now_ms = NOW},
					   &step),
				 0);
		assert_int_equal(step.change.kind, CHANGE_CONFIG);
		assert_string_equal(step.change.detail, texts[i].detail);
		step_deinit(&step);
		snapshot_deinit(&before);
		snapshot_deinit(&after);
		arena_deinit(&arena);
	}
}

static void an_end_removes_everything(void **state)
{
	const struct run_facts last = {.command = "conda env remove -n a",
				       .tool = "conda",
				       .owner = {.name = "ana", .uid = 1000, .how = ""}};
	struct environment known;
	struct snapshot s;
	struct arena arena;
	struct change c;

	(void)state;
	arena_init(&arena, 1 << 20);
	sample_snapshot(&s, &arena, PREFIX, 7, "a=1 b=1");
	know(&known, &s, &(struct uuid){{7}});
	assert_int_equal(step_deleted(&(struct step_end){.environment = &known,
							 .before = &s.packages,
							 .now_ms = NOW,
							 .seen_at_start = true},
				      &c),
			 0);
	assert_int_equal(c.kind, CHANGE_DELETED);
	assert_int_equal(c.environment.b[0], 7);
	assert_string_equal(c.prefix, PREFIX);
	assert_string_equal(sample_text(&arena, &c.removed), "a=1 b=1");
	assert_int_equal(c.added.n, 0);
	assert_true(c.seen_at_start);
	assert_false(c.has_digest);
	assert_int_equal(c.actor.uid, -1);
	assert_string_equal(c.command, "");
	change_deinit(&c);
	assert_int_equal(step_deleted(&(struct step_end){.environment = &known,
							 .before = &s.packages,
							 .last = &last,
							 .now_ms = NOW},
				      &c),
			 0);
	assert_string_equal(c.command, "conda env remove -n a");
	assert_string_equal(c.tool, "conda");
	assert_int_equal(c.actor.uid, 1000);
	assert_string_equal(c.actor.name, "ana");
	assert_string_equal(c.actor.how, "owner of history");
	change_deinit(&c);
	assert_int_equal(step_baseline(&known, &s.packages, NOW, &c), 0);
	assert_int_equal(c.kind, CHANGE_CREATED);
	assert_true(c.seen_at_start);
	assert_memory_equal(c.digest, s.digest, SHA256_SIZE);
	assert_string_equal(sample_text(&arena, &c.added), "a=1 b=1");
	change_deinit(&c);
	snapshot_deinit(&s);
	arena_deinit(&arena);
}

/* --- applying the changes to the first snapshot gives the last ---------------------------- */

static unsigned seed;

static unsigned pick(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

static void random_specs(char *out, size_t cap)
{
	size_t n = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < 12; i++) {
		if (pick(3) > 0)
			n += (size_t)snprintf(out + n, cap - n, "%sp%02u=%u ",
					      pick(4) ? "" : "pypi:", i, 1 + pick(2));
	}
}

static void take(struct package_list *list, const struct package *p)
{
	for (size_t i = 0; i < list->n; i++) {
		if (package_cmp(&list->items[i], p) == 0) {
			list->items[i] = list->items[--list->n];
			return;
		}
	}
	fail_msg("%s was removed and not there", p->name);
}

static void apply(struct package_list *list, const struct change *c)
{
	for (size_t i = 0; i < c->removed.n; i++)
		take(list, &c->removed.items[i]);
	for (size_t i = 0; i < c->added.n; i++)
		assert_int_equal(package_list_add(list, &c->added.items[i]), 0);
	package_list_sort(list);
}

static void one_sequence(struct arena *arena)
{
	struct package_list replayed = {0};
	struct environment known;
	struct snapshot last;
	struct snapshot next;
	char specs[256];

	random_specs(specs, sizeof(specs));
	sample_snapshot(&last, arena, PREFIX, 7, specs);
	for (size_t i = 0; i < last.packages.n; i++)
		assert_int_equal(package_list_add(&replayed, &last.packages.items[i]), 0);
	for (int i = 0; i < 10; i++) {
		struct identity identity = {.kind = IDENTITY_SAME, .known = &known};
		struct step_input in = {.identity = &identity, .snapshot = &next, .now_ms = NOW};
		struct step step;

		know(&known, &last, &(struct uuid){{7}});
		random_specs(specs, sizeof(specs));
		sample_snapshot(&next, arena, PREFIX, 7, specs);
		in.before = &last.packages;
		assert_int_equal(step_make(&in, &step), 0);
		assert_int_equal(step.changed, memcmp(last.digest, next.digest, SHA256_SIZE) != 0);
		if (step.changed)
			apply(&replayed, &step.change);
		step_deinit(&step);
		snapshot_deinit(&last);
		last = next;
	}
	assert_string_equal(sample_text(arena, &replayed), sample_text(arena, &last.packages));
	snapshot_deinit(&last);
	package_list_deinit(&replayed);
}

static void replaying_gives_the_last_snapshot(void **state)
{
	struct arena arena;

	(void)state;
	seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	arena_init(&arena, 1 << 24);
	for (int i = 0; i < 300; i++) {
		one_sequence(&arena);
		arena_reset(&arena);
	}
	arena_deinit(&arena);
}

/* --- memory ------------------------------------------------------------------------------- */

struct faulty {
	struct snapshot before;
	struct snapshot after;
	struct environment known;
};

static int all_steps(void *ctx)
{
	struct faulty *t = ctx;
	struct identity identity = {.kind = IDENTITY_SAME, .known = &t->known};
	struct step_input in = {
		.identity = &identity,
		.before = &t->before.packages,
		.snapshot = &t->after,
		.now_ms = NOW,
	};
	struct change c;
	struct step step;
	int rc = step_make(&in, &step);

	if (rc < 0)
		return rc;
	step_deinit(&step);
	rc = step_deleted(&(struct step_end){.environment = &t->known,
					     .before = &t->before.packages,
					     .now_ms = NOW},
			  &c);
	if (rc < 0)
		return rc;
	change_deinit(&c);
	rc = step_baseline(&t->known, &t->before.packages, NOW, &c);
	if (rc == 0)
		change_deinit(&c);
	return rc;
}

static void memory_may_run_out(void **state)
{
	struct faulty t;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20);
	sample_snapshot(&t.before, &arena, PREFIX, 7, "a=1 b=1");
	sample_snapshot(&t.after, &arena, PREFIX, 7, "a=2 b=1");
	know(&t.known, &t.before, &(struct uuid){{7}});
	fault_each_alloc(all_steps, &t, 4);
	snapshot_deinit(&t.before);
	snapshot_deinit(&t.after);
	arena_deinit(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(the_files_that_differ_are_told),
		cmocka_unit_test(an_end_removes_everything),
		cmocka_unit_test(replaying_gives_the_last_snapshot),
		cmocka_unit_test(memory_may_run_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
