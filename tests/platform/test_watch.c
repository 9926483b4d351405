#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/safe_open.h"
#include "platform/watch.h"
#include "tests/support/tmpdir.h"

#define SEEN_MAX 64

struct seen {
	int watch;
	void *user;
	enum watch_kind kind;
	char name[64];
};

struct place {
	struct tmpdir tmp;
	uv_loop_t loop;
	int queue; /* the watcher's */
	int readings;
	struct watcher *watcher;
	struct seen seen[SEEN_MAX];
	int count;
	bool stop_in_callback;
	bool remove_in_callback;
	bool stopped;
};

static void on_stopped(void *owner)
{
	struct place *p = owner;
	p->stopped = true;
}

static void on_event(void *ctx, int watch, void *user, enum watch_kind kind, const char *name)
{
	struct place *p = ctx;
	assert_in_range(p->count, 0, SEEN_MAX - 1);
	struct seen *s = &p->seen[p->count++];
	*s = (struct seen){.watch = watch, .user = user, .kind = kind};
	snprintf(s->name, sizeof(s->name), "%s", name ? name : "(none)");
	if (p->remove_in_callback)
		watcher_remove(p->watcher, watch, user);
	if (p->stop_in_callback)
		watcher_stop(p->watcher, on_stopped, p);
}

static void on_reading(void *ctx)
{
	struct place *p = ctx;
	assert_false(watch_queue_is_empty(p->queue)); /* it comes before */
	p->readings++;
}

static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	tmpdir_make(&p->tmp);
	tmpdir_mkdir(&p->tmp, "a");
	tmpdir_mkdir(&p->tmp, "b");
	assert_int_equal(uv_loop_init(&p->loop), 0);
	assert_int_equal(watch_queue_new(&p->queue, NULL), 0);
	assert_int_equal(watcher_new(&(struct watcher_config){.loop = &p->loop,
							      .queue = p->queue,
							      .cb = on_event,
							      .reading = on_reading,
							      .ctx = p},
				     &p->watcher, NULL),
			 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	watcher_stop(p->watcher, on_stopped, p);
	assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
	assert_true(p->stopped);
	assert_int_equal(uv_loop_close(&p->loop), 0); /* nothing leaked into the loop */
	tmpdir_remove(&p->tmp);
	free(p);
	return 0;
}

static int watch(struct place *p, const char *name, void *user)
{
	char path[TMPDIR_PATH_MAX];
	int id = 0;
	tmpdir_path(&p->tmp, name, path);
	assert_int_equal(watcher_add(p->watcher, path, 0, user, &id, NULL), 0);
	assert_true(id > 0);
	return id;
}

static bool saw(const struct place *p, int id, enum watch_kind kind, const char *name)
{
	for (int i = 0; i < p->count; i++)
		if (p->seen[i].watch == id && p->seen[i].kind == kind &&
		    strcmp(p->seen[i].name, name) == 0)
			return true;
	return false;
}

static void drain(struct place *p)
{
	p->count = 0;
	assert_int_equal(watcher_drain(p->watcher, NULL), 0);
}

/* Lets another process write, and waits for it. */
static void write_elsewhere(const struct place *p, const char *name)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		tmpdir_write_text(&p->tmp, name, "text");
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void drain_tells_what_was_written(void **state)
{
	struct place *p = *state;
	int user_a, user_b;
	int a = watch(p, "a", &user_a);
	int b = watch(p, "b", &user_b);
	drain(p);
	assert_int_equal(p->count, 0);

	assert_true(watch_queue_is_empty(p->queue));
	assert_int_equal(p->readings, 0); /* there was nothing to read */
	write_elsewhere(p, "a/history");
	assert_false(watch_queue_is_empty(p->queue));
	drain(p); /* without the loop having turned */
	assert_true(saw(p, a, WATCH_DIRTY, "history"));
	for (int i = 0; i < p->count; i++) {
		assert_int_equal(p->seen[i].watch, a);
		assert_ptr_equal(p->seen[i].user, &user_a);
	}
	assert_true(watch_queue_is_empty(p->queue));
	assert_int_equal(p->readings, 1);
	drain(p);
	assert_int_equal(p->count, 0);

	write_elsewhere(p, "b/x");
	p->count = 0;
	assert_int_not_equal(uv_run(&p->loop, UV_RUN_ONCE), 0); /* and by itself on the loop */
	assert_true(saw(p, b, WATCH_DIRTY, "x"));
	assert_ptr_equal(p->seen[0].user, &user_b);
}

static void wakes_seldom(void **state)
{
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX];
	tmpdir_write_text(&p->tmp, "a/f", "x");
	(void)watch(p, "a", NULL);
	tmpdir_path(&p->tmp, "a/f", path);
	FILE *file = fopen(path, "ab");
	assert_non_null(file);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(fputc('x', file), 'x');
		assert_int_equal(fflush(file), 0);
	}
	assert_int_equal(chmod(path, 0600), 0);
	drain(p);
	assert_int_equal(p->count, 0); /* still being written; reading and modes don't count */
	assert_int_equal(fclose(file), 0);
	drain(p);
	assert_int_equal(p->count, 1);
	file = fopen(path, "rb");
	assert_int_equal(fgetc(file), 'x');
	assert_int_equal(fclose(file), 0);
	drain(p);
	assert_int_equal(p->count, 0);
}

static void entries_that_come_and_go(void **state)
{
	struct place *p = *state;
	char from[TMPDIR_PATH_MAX], to[TMPDIR_PATH_MAX];
	tmpdir_write_text(&p->tmp, "b/f", "x");
	int a = watch(p, "a", NULL);
	tmpdir_path(&p->tmp, "b/f", from);
	tmpdir_path(&p->tmp, "a/hard", to);
	assert_int_equal(link(from, to), 0);
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "hard"));
	assert_int_equal(unlink(to), 0);
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "hard"));
	tmpdir_path(&p->tmp, "a/in", to);
	assert_int_equal(rename(from, to), 0);
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "in"));
	assert_int_equal(rename(to, from), 0);
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "in"));
	tmpdir_mkdir(&p->tmp, "a/dir");
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "dir"));
	tmpdir_write_text(&p->tmp, "a/dir/below", "x"); /* subdirectories are not watched */
	drain(p);
	assert_int_equal(p->count, 0);
}

static void attributes_on_demand(void **state)
{
	struct place *p = *state;
	char dir[TMPDIR_PATH_MAX], path[TMPDIR_PATH_MAX];
	int id;
	tmpdir_write_text(&p->tmp, "a/f", "x");
	tmpdir_path(&p->tmp, "a", dir);
	assert_int_equal(watcher_add(p->watcher, dir, WATCH_ATTRIBUTES, NULL, &id, NULL), 0);
	tmpdir_path(&p->tmp, "a/f", path);
	assert_int_equal(chmod(path, 0600), 0);
	drain(p);
	assert_true(saw(p, id, WATCH_DIRTY, "f"));
}

static int gone_count(const struct place *p)
{
	int n = 0;
	for (int i = 0; i < p->count; i++)
		n += p->seen[i].kind == WATCH_GONE;
	return n;
}

static void only_folders(void **state)
{
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX];
	int id = 0;
	tmpdir_path(&p->tmp, "a", path);
	assert_int_equal(watcher_add(p->watcher, path, WATCH_FOLDERS, p, &id, NULL), 0);
	tmpdir_write_text(&p->tmp, "a/file", "text");
	drain(p);
	assert_int_equal(p->count, 0);
	tmpdir_mkdir(&p->tmp, "a/folder");
	drain(p);
	assert_int_equal(p->count, 1);
	assert_true(saw(p, id, WATCH_DIRTY, "folder"));
	/* Its own end is told as ever. */
	tmpdir_path(&p->tmp, "a/file", path);
	assert_int_equal(unlink(path), 0);
	tmpdir_path(&p->tmp, "a/folder", path);
	assert_int_equal(rmdir(path), 0);
	tmpdir_path(&p->tmp, "a", path);
	assert_int_equal(rmdir(path), 0);
	drain(p);
	assert_true(saw(p, id, WATCH_GONE, "(none)"));
}

static void gone_once(void **state)
{
	struct place *p = *state;
	char a[TMPDIR_PATH_MAX], b[TMPDIR_PATH_MAX], moved[TMPDIR_PATH_MAX];
	int user;
	int wa = watch(p, "a", &user);
	int wb = watch(p, "b", &user);
	tmpdir_path(&p->tmp, "a", a);
	tmpdir_path(&p->tmp, "b", b);
	tmpdir_path(&p->tmp, "moved", moved);
	assert_int_equal(rmdir(a), 0);
	drain(p);
	assert_true(saw(p, wa, WATCH_GONE, "(none)"));
	assert_int_equal(gone_count(p), 1);
	assert_ptr_equal(p->seen[0].user, &user);

	assert_int_equal(rename(b, moved), 0);
	drain(p);
	assert_true(saw(p, wb, WATCH_GONE, "(none)"));
	assert_int_equal(gone_count(p), 1);
	write_elsewhere(p, "moved/f"); /* the moved directory is not watched any more */
	drain(p);
	assert_int_equal(p->count, 0);
	watcher_remove(p->watcher, wb, &user);

	tmpdir_mkdir(&p->tmp, "b"); /* a new directory at the old place is a new watch */
	int again = watch(p, "b", NULL);
	assert_int_not_equal(again, wb);
}

static void removed_tells_nothing(void **state)
{
	struct place *p = *state;
	int a = watch(p, "a", NULL);
	int b = watch(p, "b", NULL);
	write_elsewhere(p, "a/f");
	watcher_remove(p->watcher, a, NULL); /* its events are queued already */
	watcher_remove(p->watcher, a, NULL);
	watcher_remove(p->watcher, 999999, NULL);
	write_elsewhere(p, "b/f");
	drain(p);
	assert_false(saw(p, a, WATCH_DIRTY, "f"));
	assert_true(saw(p, b, WATCH_DIRTY, "f"));

	p->remove_in_callback = true; /* one file gives two events; the second one finds no watch */
	write_elsewhere(p, "b/g");
	drain(p);
	assert_int_equal(p->count, 1);
}

static int told(const struct place *p, const void *user, enum watch_kind kind)
{
	int n = 0;
	for (int i = 0; i < p->count; i++)
		n += p->seen[i].user == user && p->seen[i].kind == kind;
	return n;
}

/* Each as it asked to be told, and until it asks no more. */
static void several_users(void **state)
{
	struct place *p = *state;
	char a[TMPDIR_PATH_MAX], moved[TMPDIR_PATH_MAX];
	int users[3];
	int first = watch(p, "a", &users[1]);
	int id = 0;
	bool missed = false;
	tmpdir_path(&p->tmp, "a", a);
	assert_int_equal(watcher_add(p->watcher, a, WATCH_FOLDERS, &users[0], &id, NULL), 0);
	assert_int_equal(id, first);
	assert_int_equal(watcher_mark(p->watcher, a, 0, &id, NULL), 0);
	watcher_discard(p->watcher, id); /* not asked for after all: the others keep theirs */
	assert_int_equal(watcher_mark(p->watcher, a, WATCH_FOLDERS, &id, NULL), 0);
	tmpdir_mkdir(&p->tmp, "a/one");
	drain(p);
	assert_int_equal(watcher_adopt(p->watcher, id, WATCH_FOLDERS, &users[2], &missed), 0);
	assert_true(missed); /* the others were told */
	assert_int_equal(watcher_adopt(p->watcher, id, 0, &users[2], &missed), ERR_EXISTS);

	tmpdir_mkdir(&p->tmp, "a/two");
	drain(p);
	for (int i = 0; i < 3; i++)
		assert_int_equal(told(p, &users[i], WATCH_DIRTY), 1);
	tmpdir_write_text(&p->tmp, "a/file", "text");
	drain(p);
	assert_true(told(p, &users[1], WATCH_DIRTY) > 0);
	assert_int_equal(told(p, &users[1], WATCH_DIRTY), p->count);

	watcher_remove(p->watcher, first, &users[1]);
	tmpdir_write_text(&p->tmp, "a/more", "text");
	tmpdir_mkdir(&p->tmp, "a/three");
	drain(p);
	assert_int_equal(p->count, 2);
	assert_int_equal(told(p, &users[0], WATCH_DIRTY), 1);
	assert_int_equal(told(p, &users[2], WATCH_DIRTY), 1);

	tmpdir_path(&p->tmp, "moved", moved);
	assert_int_equal(rename(a, moved), 0);
	drain(p);
	assert_int_equal(p->count, 2);
	assert_int_equal(told(p, &users[0], WATCH_GONE), 1);
	assert_int_equal(told(p, &users[2], WATCH_GONE), 1);
}

/* However much is told between the two steps. */
static void ended_before_it_was_adopted(void **state)
{
	struct place *p = *state;
	char a[TMPDIR_PATH_MAX], b[TMPDIR_PATH_MAX], name[32];
	int user;
	int gone = 0, busy = 0;
	bool missed = false;
	tmpdir_path(&p->tmp, "a", a);
	tmpdir_path(&p->tmp, "b", b);
	assert_int_equal(watcher_mark(p->watcher, a, 0, &gone, NULL), 0);
	assert_int_equal(watcher_mark(p->watcher, b, 0, &busy, NULL), 0);
	assert_int_equal(rmdir(a), 0);
	drain(p);
	for (int i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "b/%d", i);
		tmpdir_write_text(&p->tmp, name, "text");
		tmpdir_mkdir(&p->tmp, "a");
		watcher_remove(p->watcher, watch(p, "a", &user), &user);
	}
	drain(p);
	assert_int_equal(watcher_adopt(p->watcher, gone, 0, &user, &missed), ERR_NOTFOUND);
	assert_true(missed);
	assert_int_equal(watcher_adopt(p->watcher, busy, 0, &user, &missed), 0);
	assert_true(missed);
}

/* It is elsewhere now, which nobody asked to be told of. */
static void moved_before_it_was_adopted(void **state)
{
	struct place *p = *state;
	char a[TMPDIR_PATH_MAX], c[TMPDIR_PATH_MAX];
	int user;
	int id = 0, again = 0;
	bool missed = false;
	tmpdir_path(&p->tmp, "a", a);
	tmpdir_path(&p->tmp, "c", c);
	assert_int_equal(watcher_mark(p->watcher, a, 0, &id, NULL), 0);
	assert_int_equal(rename(a, c), 0);
	drain(p);
	assert_int_equal(watcher_adopt(p->watcher, id, 0, &user, &missed), ERR_NOTFOUND);
	assert_true(missed);
	assert_int_equal(watcher_mark(p->watcher, c, 0, &again, NULL), 0);
	assert_int_not_equal(again, id);
	assert_int_equal(watcher_adopt(p->watcher, again, 0, &user, &missed), 0);
	assert_false(missed);
}

static void refusals(void **state)
{
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];
	int id = 0;
	tmpdir_write_text(&p->tmp, "file", "x");
	tmpdir_path(&p->tmp, "file", path);
	assert_int_equal(watcher_add(p->watcher, path, 0, NULL, &id, NULL), ERR_INVALID);
	tmpdir_path(&p->tmp, "missing", path);
	assert_int_equal(watcher_add(p->watcher, path, 0, NULL, &id, NULL), ERR_NOTFOUND);
	tmpdir_path(&p->tmp, "a", path);
	tmpdir_path(&p->tmp, "link", link);
	assert_int_equal(symlink(path, link), 0);
	assert_int_equal(watcher_add(p->watcher, link, 0, NULL, &id, NULL), ERR_INVALID);
	assert_int_equal(id, 0);
	int a = watch(p, "a", NULL);
	assert_int_equal(watcher_add(p->watcher, path, 0, NULL, &id, NULL), ERR_EXISTS);
	assert_int_equal(id, a);
	write_elsewhere(p, "a/f");
	drain(p);
	assert_true(saw(p, a, WATCH_DIRTY, "f"));
}

/* Through an open directory: what is watched is what was checked, wherever its path leads now. */
static void by_open_directory(void **state)
{
	struct place *p = *state;
	char a[TMPDIR_PATH_MAX], moved[TMPDIR_PATH_MAX];
	struct safe_dir *dir;
	int id = 0;
	tmpdir_path(&p->tmp, "a", a);
	tmpdir_path(&p->tmp, "moved", moved);
	assert_int_equal(safe_dir_open(a, &dir, NULL), 0);
	assert_int_equal(rename(a, moved), 0);
	tmpdir_mkdir(&p->tmp, "a");
	assert_int_equal(watcher_add_dir(p->watcher, dir, 0, NULL, &id, NULL), 0);
	safe_dir_close(dir);
	write_elsewhere(p, "a/f");
	drain(p);
	assert_int_equal(p->count, 0);
	write_elsewhere(p, "moved/f");
	drain(p);
	assert_true(saw(p, id, WATCH_DIRTY, "f"));
}

static void stop_in_callback(void **state)
{
	struct place *p = *state;
	(void)watch(p, "a", NULL);
	(void)watch(p, "b", NULL);
	write_elsewhere(p, "a/f");
	write_elsewhere(p, "b/f");
	p->stop_in_callback = true;
	p->count = 0;
	assert_int_equal(uv_run(&p->loop, UV_RUN_DEFAULT), 0);
	assert_int_equal(p->count, 1);
	assert_true(p->stopped);
	assert_int_equal(uv_loop_close(&p->loop), 0);
	tmpdir_remove(&p->tmp);
	free(p);
}

/* More events than one read takes, for more watches than the table starts with. */
static void many(void **state)
{
	struct place *p = *state;
	char name[256];
	char long_name[200];
	int ids[200];
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "a/%d", i);
		tmpdir_mkdir(&p->tmp, name);
		ids[i] = watch(p, name, &ids[i]);
	}
	for (int i = 0; i < 200; i += 2)
		watcher_remove(p->watcher, ids[i], &ids[i]);
	p->remove_in_callback = true;
	for (int from = 0; from < 200; from += 100) {
		for (int i = from; i < from + 100; i++) {
			snprintf(name, sizeof(name), "a/%d/%s", i, long_name);
			tmpdir_write_text(&p->tmp, name, "x");
		}
		drain(p);
		assert_int_equal(p->count, 50);
		for (int i = 0; i < p->count; i++)
			assert_int_equal(*(int *)p->seen[i].user, p->seen[i].watch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(drain_tells_what_was_written, setup, teardown),
		cmocka_unit_test_setup_teardown(wakes_seldom, setup, teardown),
		cmocka_unit_test_setup_teardown(entries_that_come_and_go, setup, teardown),
		cmocka_unit_test_setup_teardown(attributes_on_demand, setup, teardown),
		cmocka_unit_test_setup_teardown(only_folders, setup, teardown),
		cmocka_unit_test_setup_teardown(gone_once, setup, teardown),
		cmocka_unit_test_setup_teardown(removed_tells_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(several_users, setup, teardown),
		cmocka_unit_test_setup_teardown(ended_before_it_was_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(moved_before_it_was_adopted, setup, teardown),
		cmocka_unit_test_setup_teardown(refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(by_open_directory, setup, teardown),
		cmocka_unit_test_setup(stop_in_callback, setup),
		cmocka_unit_test_setup_teardown(many, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
