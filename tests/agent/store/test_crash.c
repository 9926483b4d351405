/*
 * A process that writes is killed at random instants, again and again, and what it left is looked
 * at: everything it was told to be durable is there, the journal is whole, and replaying it gives
 * the stored snapshots.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/agent/samples.h"
#include "tests/agent/store/fixture.h"

#define ROUNDS 25 /* for each of four stores */
#define ENVIRONMENTS 5
#define PACKAGES 24
#define KILL_MS 80
#define BUNDLE_BYTES 600000
#define MODELS_MAX 4096
#define WRITER_FD 9

/* A change the writer was told to be durable. */
struct note {
	uint64_t epoch_no;
	uint64_t seq;
	unsigned char hash[SHA256_SIZE];
};

/* --- the writer --------------------------------------------------------------------------- */

struct writer {
	struct store *store;
	struct arena arena;
	unsigned seed;
	int to;
	int64_t now_ms;
};

static unsigned pick(struct writer *w, unsigned n)
{
	w->seed = w->seed * 1103515245u + 12345u;
	return (w->seed >> 16) % n;
}

static void must(int rc, const struct err *err)
{
	if (rc < 0) {
		fprintf(stderr, "writer: %s\n", err->text);
		_exit(9);
	}
}

static void tell(struct writer *w)
{
	struct store_journal j;
	struct note note;

	store_journal(w->store, &j);
	note.epoch_no = j.epoch_no;
	note.seq = j.head;
	memcpy(note.hash, j.head_hash, sizeof(note.hash));
	if (write(w->to, &note, sizeof(note)) != (ssize_t)sizeof(note))
		_exit(8);
}

static void write_snapshot(struct writer *w)
{
	unsigned e = pick(w, ENVIRONMENTS);
	char specs[PACKAGES * 8] = "";
	char prefix[16];
	struct snapshot s;
	struct applied out;
	struct err err = ERR_INIT;
	size_t n = 0;

	for (unsigned i = 0; i < PACKAGES; i++) {
		if (pick(w, 4) > 0)
			n += (size_t)snprintf(specs + n, sizeof(specs) - n, "p%02u=%u ", i,
					      1 + pick(w, 3));
	}
	/* Now and then it has moved. */
	snprintf(prefix, sizeof(prefix), "/e/%u%s", e, pick(w, 8) ? "" : "-moved");
	sample_snapshot(&s, &w->arena, prefix, e + 1, specs);
	must(store_apply(w->store, &s, w->now_ms++, &out, &err), &err);
	snapshot_deinit(&s);
	if (out.changed)
		tell(w);
}

static void write_end(struct writer *w)
{
	char prefix[16];
	struct store_gone gone = {.prefix = prefix};
	struct applied out;
	struct err err = ERR_INIT;
	int rc;

	snprintf(prefix, sizeof(prefix), "/e/%u", pick(w, ENVIRONMENTS));
	rc = store_gone(w->store, &gone, w->now_ms++, &out, &err);
	if (rc != ERR_NOTFOUND)
		must(rc, &err);
	if (rc == 0 && out.changed)
		tell(w);
}

static void write_epoch(struct writer *w)
{
	struct store_new_epoch how = {.gap = true, .baseline = true, .now_ms = w->now_ms++};
	struct err err = ERR_INIT;

	must(store_new_epoch(w->store, &how, &err), &err);
	tell(w);
}

/* The whole bundle says its version, so that a mixed one shows. */
static void write_bundle(struct writer *w)
{
	static unsigned char data[BUNDLE_BYTES];
	struct store_bundle set[] = {{"advisories", 0, data, sizeof(data)},
				     {"status", 0, data, 100}};
	struct err err = ERR_INIT;

	set[0].version = set[1].version = 1 + pick(w, 250);
	memset(data, (int)set[0].version, sizeof(data));
	must(store_trusted_put(w->store, set, 2, &err), &err);
}

static void write_forever(const char *dir, unsigned seed, int to)
{
	static const struct note ready;
	struct store_options options = {0};
	struct writer w = {.seed = seed, .to = to, .now_ms = FIXTURE_NOW + seed};
	struct err err = ERR_INIT;

	arena_init(&w.arena, 1 << 20);
	if (write(to, &ready, sizeof(ready)) != (ssize_t)sizeof(ready))
		_exit(8);
	must(store_open(dir, &options, &w.store, &err), &err);
	for (;;) {
		unsigned what = pick(&w, 40);

		arena_reset(&w.arena);
		if (what == 0)
			write_epoch(&w);
		else if (what == 1)
			write_bundle(&w);
		else if (what < 6)
			write_end(&w);
		else
			write_snapshot(&w);
	}
}

/* --- what it left ------------------------------------------------------------------------- */

struct model {
	struct uuid id;
	unsigned char version[PACKAGES]; /* 0 = not there */
};

struct replay {
	const struct note *notes;
	size_t n_notes;
	size_t found;
	uint64_t epoch_no;
	struct model models[MODELS_MAX];
	size_t n;
};

static struct model *model_of(struct replay *r, const struct uuid *id)
{
	for (size_t i = 0; i < r->n; i++) {
		if (uuid_cmp(&r->models[i].id, id) == 0)
			return &r->models[i];
	}
	assert_true(r->n < MODELS_MAX);
	r->models[r->n] = (struct model){.id = *id};
	return &r->models[r->n++];
}

static unsigned char *slot(struct model *m, const struct package *p)
{
	return &m->version[(p->name[1] - '0') * 10 + (p->name[2] - '0')];
}

static int replay_one(void *ctx, const struct store_change *item)
{
	const struct change *c = &item->change;
	struct replay *r = ctx;
	struct model *m;

	if (item->epoch_no != r->epoch_no)
		r->n = 0; /* an epoch tells everything anew */
	r->epoch_no = item->epoch_no;
	m = model_of(r, &c->environment);
	for (size_t i = 0; i < c->removed.n; i++) {
		assert_int_equal(*slot(m, &c->removed.items[i]), c->removed.items[i].version[0]);
		*slot(m, &c->removed.items[i]) = 0;
	}
	for (size_t i = 0; i < c->added.n; i++) {
		assert_int_equal(*slot(m, &c->added.items[i]), 0);
		*slot(m, &c->added.items[i]) = (unsigned char)c->added.items[i].version[0];
	}
	if (r->found < r->n_notes && r->notes[r->found].epoch_no == item->epoch_no &&
	    r->notes[r->found].seq == c->seq) {
		assert_memory_equal(r->notes[r->found].hash, item->hash, SHA256_SIZE);
		r->found++;
	}
	return 0;
}

struct ids {
	struct uuid ids[MODELS_MAX];
	size_t n;
};

static int add_id(void *ctx, const struct environment *env)
{
	struct ids *ids = ctx;

	assert_true(ids->n < MODELS_MAX);
	ids->ids[ids->n++] = env->id;
	return 0;
}

static void check_snapshots(struct fixture *f, struct replay *r)
{
	static struct ids ids;

	ids.n = 0;
	assert_int_equal(store_environments(f->store, add_id, &ids, NULL), 0);
	for (size_t i = 0; i < ids.n; i++) {
		struct model *want = model_of(r, &ids.ids[i]);
		struct model got = {.id = ids.ids[i]};
		struct package_list list;

		assert_int_equal(store_packages(f->store, &ids.ids[i], &f->arena, &list, NULL), 0);
		for (size_t p = 0; p < list.n; p++)
			*slot(&got, &list.items[p]) = (unsigned char)list.items[p].version[0];
		assert_memory_equal(got.version, want->version, PACKAGES);
		package_list_deinit(&list);
		arena_reset(&f->arena);
	}
}

static uint64_t check_bundle(struct fixture *f, const char *role)
{
	uint64_t version = 0;
	struct buf data;
	int rc;

	buf_init(&data, BUNDLE_BYTES);
	rc = store_trusted_get(f->store, role, &version, &data, NULL);
	assert_true(rc == 0 || rc == ERR_NOTFOUND);
	for (size_t i = 0; i < data.len; i++) {
		if ((unsigned char)data.data[i] != version)
			fail_msg("%s is of mixed versions", role);
	}
	buf_deinit(&data);
	return version;
}

static void check_left(struct fixture *f, const struct note *notes, size_t n_notes)
{
	static struct replay r;
	struct err err = ERR_INIT;

	if (store_probe(f->dir.path, &err) < 0)
		fail_msg("%s", err.text);
	fixture_reopen(f);
	r.notes = notes;
	r.n_notes = n_notes;
	r.found = r.n = 0;
	r.epoch_no = 0;
	assert_int_equal(
		store_history(f->store, &(struct store_history_query){0}, replay_one, &r, NULL), 0);
	assert_int_equal(r.found, n_notes);
	check_snapshots(f, &r);
	assert_int_equal(check_bundle(f, "advisories"), check_bundle(f, "status"));
	store_close(f->store);
	f->store = NULL;
}

/* This program again: a copy made by fork alone would draw the same random numbers as we do. */
static void become_writer(const char *dir, unsigned seed, const int fds[2])
{
	char seed_text[16];
	char *argv[] = {(char[]){"writer"}, NULL, seed_text, NULL};
	char path[TMPDIR_PATH_MAX];

	snprintf(seed_text, sizeof(seed_text), "%u", seed);
	snprintf(path, sizeof(path), "%s", dir);
	argv[1] = path;
	if (dup2(fds[1], WRITER_FD) < 0)
		_exit(7);
	close(fds[0]);
	execv("/proc/self/exe", argv);
	_exit(7);
}

/* Starts a writer, kills it, and reads what it was told to be durable. */
static size_t one_round(struct fixture *f, unsigned seed, long kill_us, struct note *notes,
			size_t cap)
{
	struct timespec wait = {kill_us / 1000000, kill_us % 1000000 * 1000};
	size_t n = 0;
	int status;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		become_writer(f->dir.path, seed, fds);
	close(fds[1]);
	/* The clock runs from where it begins to open the store, however slow the machine is. */
	assert_int_equal(read(fds[0], &notes[0], sizeof(notes[0])), sizeof(notes[0]));
	nanosleep(&wait, NULL);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		fail_msg("the writer ended by itself, seed %u", seed);
	while (n < cap && read(fds[0], &notes[n], sizeof(notes[n])) == (ssize_t)sizeof(notes[n]))
		n++;
	close(fds[0]);
	return n;
}

static void killed_at_random_instants(void **state)
{
	static struct note notes[4096];
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL) * 1000;
	size_t total = 0;

	print_message("seed %u\n", seed);
	store_close(f->store);
	f->store = NULL;
	srand(seed);
	for (unsigned i = 0; i < ROUNDS; i++) {
		/* Often at once, while the store is being opened or made. */
		long us = rand() % (KILL_MS * 1000);
		size_t n = one_round(f, seed + i, us, notes, ARRAY_SIZE(notes));

		total += n;
		check_left(f, notes, n);
	}
	print_message("%zu durable changes looked at\n", total);
	assert_true(total > 0);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		write_forever(argv[1], (unsigned)strtoul(argv[2], NULL, 10), WRITER_FD);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(killed_at_random_instants),
		TEST(killed_at_random_instants),
		TEST(killed_at_random_instants),
		TEST(killed_at_random_instants),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
