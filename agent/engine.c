#include "agent/engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sent.h"
#include "agent/supervisor.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/clock.h"
#include "platform/fd_pass.h"
#include "platform/process.h"
#include "platform/users.h"

#define ANSWER_MEMORY_MAX (1u << 20)
#define PROBE_MS 60000 /* how long checking a store after a crash may take */
#define ADOPT_MS 5000  /* how long a new store waits for the ids the server knows */
#define LOCK_MS 10000
#define LOCK_STEP_MS 20
#define DAMAGED_FILE "damaged"
#define EPOCH_FILE "epoch" /* of the journal, 16 bytes: a store that takes its place names it */
#define RUNNING_FILE "running"
#define KEY_ASIDE "aside"   /* setting: "<time> <name>" of a store that was damaged */
#define PAUSE_FIRST_MS 5000 /* without a reader, after the store could not take its facts */
#define PAUSE_LAST_MS 300000

int64_t engine_wall(const struct engine *e)
{
	return e->clock->wall_ms(e->clock);
}

int64_t engine_mono(const struct engine *e)
{
	return e->clock->mono_ms(e->clock);
}

int64_t engine_trusted(const struct engine *e)
{
	return trusted_time_now(&e->time, engine_mono(e), engine_wall(e));
}

const char *engine_account(struct engine *e, uint32_t uid, struct arena *arena)
{
	struct user user;
	const char *name = NULL;

	if (accounts_by_uid(e->names, uid, 0, &user) == 0)
		name = arena_strdup(arena, user.name);
	return name != NULL ? name : "";
}

bool engine_logging(const struct engine *e)
{
	return !e->enrolled || state_logging(e);
}

/* --- jobs --- */

static void job_run(struct work *work)
{
	struct job *job = container_of(work, struct job, work);

	job->run(job);
	store_journal(job->e->store, &job->journal);
}

/* What a store that has to take this one's place should say it lacks. */
static void note_epoch(struct engine *e)
{
	char path[PATHS_MAX];
	struct err err = ERR_INIT;

	if (paths_join(path, e->options->paths.state, EPOCH_FILE, &err) < 0 ||
	    files_atomic_write(path, e->journal.epoch.b, UUID_SIZE, 0600, &err) < 0)
		log_warn("store", "the journal's epoch is not noted", LOG_ERR(&err));
}

static void job_done(struct work *work)
{
	struct job *job = container_of(work, struct job, work);

	struct engine *e = job->e;
	char what[ERR_TEXT_MAX] = "";

	if (uuid_cmp(&e->journal.epoch, &job->journal.epoch) != 0) {
		e->journal = job->journal;
		note_epoch(e);
	}
	e->journal = job->journal;
	if (job->rc == ERR_CORRUPT)
		(void)snprintf(what, sizeof what, "%s", job->err.text);
	job->done(job);
	if (what[0] != '\0')
		engine_store_damaged(e, what);
}

void engine_submit(struct engine *e, struct job *job)
{
	job->e = e;
	job->work.run = job_run;
	job->work.done = job_done;
	worker_submit(e->disk, &job->work);
}

/* --- readers come --- */

static void take_reader(struct engine *e)
{
	struct err err = ERR_INIT;
	struct lease_ends lease;
	int fds[FD_PASS_MAX];
	int rc;
	size_t n;

	while ((rc = fd_pass_receive(e->channel_fd, fds, FD_PASS_MAX, &n, &err)) == 0) {
		lease.word = n == FD_PASS_MAX ? fds[1] : -1;
		lease.queue = n == FD_PASS_MAX ? fds[2] : -1;
		facts_connect(e, fds[0], &lease);
	}
	if (rc != ERR_BUSY)
		engine_stop(e); /* the supervisor has gone: end with it */
}

static void on_channel(uv_poll_t *poll, int status, int events)
{
	(void)events;
	if (status < 0)
		engine_stop(poll->data);
	else
		take_reader(poll->data);
}

static void accept_readers(struct engine *e)
{
	if (!e->stopping && !uv_is_active((uv_handle_t *)&e->channel))
		CHECK(uv_poll_start(&e->channel, UV_READABLE, on_channel) == 0);
}

void engine_welcomed(struct engine *e)
{
	if (!e->paused)
		accept_readers(e);
}

static void on_readers_may_come(uv_timer_t *timer)
{
	struct engine *e = timer->data;

	e->paused = false;
	accept_readers(e);
}

void engine_restart_reader(struct engine *e)
{
	if (e->link != NULL)
		link_stop(e->link); /* the supervisor starts another one */
}

void engine_store_failed(struct engine *e)
{
	if (e->stopping)
		return;
	engine_restart_reader(e);
	if (e->paused)
		return;
	e->paused = true;
	e->pause_ms = e->pause_ms == 0 ? PAUSE_FIRST_MS : e->pause_ms * 2;
	if (e->pause_ms > PAUSE_LAST_MS)
		e->pause_ms = PAUSE_LAST_MS;
	(void)uv_poll_stop(&e->channel);
	uv_timer_start(&e->readers, on_readers_may_come, (uint64_t)e->pause_ms, 0);
}

void engine_store_damaged(struct engine *e, const char *what)
{
	char path[PATHS_MAX];
	struct err err = ERR_INIT;

	if (e->exit_code == ENGINE_EXIT_DAMAGED)
		return;
	log_error("store", "damaged, it will be set aside", LOG_STR("what", what));
	/* Without the mark the next core checks the store itself, as after any crash. */
	if (paths_join(path, e->options->paths.state, DAMAGED_FILE, &err) < 0 ||
	    files_atomic_write(path, what, strlen(what), 0600, &err) < 0)
		log_warn("store", "the damage could not be marked", LOG_ERR(&err));
	e->exit_code = ENGINE_EXIT_DAMAGED;
	engine_stop(e);
}

void engine_store_works(struct engine *e)
{
	e->store_trouble[0] = '\0';
	e->pause_ms = 0;
}

/* --- stopping --- */

static void on_accounts_stopped(void *owner)
{
	struct engine *e = owner;

	e->names = NULL;
}

static void on_disk_stopped(void *owner)
{
	struct engine *e = owner;

	store_close(e->store);
	e->store = NULL;
	accounts_stop(e->names, on_accounts_stopped, e);
}

static void on_decider_stopped(void *owner)
{
	struct engine *e = owner;

	e->decider = NULL;
	worker_stop(e->disk, on_disk_stopped, e);
}

static void on_local_stopped(void *owner)
{
	struct engine *e = owner;

	e->local = NULL;
	lookups_stop(e);
	decisions_cancel(e->decisions);
	worker_stop(e->decider, on_decider_stopped, e);
}

static void on_sync_stopped(void *owner)
{
	struct engine *e = owner;

	if (e->local == NULL)
		on_local_stopped(e);
	else
		local_stop(e->local, on_local_stopped, e);
}

void engine_stop(struct engine *e)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&e->channel,	 (uv_handle_t *)&e->terminate,
		(uv_handle_t *)&e->interrupt,	 (uv_handle_t *)&e->reload,
		(uv_handle_t *)&e->readers,	 (uv_handle_t *)&e->fallback_timer,
		(uv_handle_t *)&e->switch_timer, (uv_handle_t *)&e->use_timer,
		(uv_handle_t *)&e->decide_timer, (uv_handle_t *)&e->tell_timer,
		(uv_handle_t *)&e->wanting.timer};

	if (e->stopping)
		return;
	e->stopping = true;
	log_info("core", "stopping", LOG_NONE);
	for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
		uv_close(handles[i], NULL);
	use_save(e);
	telling_save(e);
	timekeeping_save(e);
	requests_stop(e);
	engine_restart_reader(e);
	syncing_stop(e, on_sync_stopped, e);
}

static void on_stop_signal(uv_signal_t *handle, int signum)
{
	(void)signum;
	engine_stop(handle->data);
}

/* --- configuration --- */

/* What the file says; on failure nothing is left behind. */
static int read_config(const struct engine *e, struct arena *arena, struct config *config,
		       struct err *err)
{
	struct buf text;
	int rc;

	config_init(config);
	arena_init(arena, 4 * CONFIG_FILE_MAX);
	buf_init(&text, CONFIG_FILE_MAX + 1);
	rc = files_read_whole(e->options->paths.config, CONFIG_FILE_MAX, &text, err);
	if (rc == ERR_NOTFOUND && !e->options->config_given) {
		rc = 0;
	} else if (rc == 0) {
		rc = config_parse(text.data, text.len, arena, config, err);
		if (rc < 0)
			err_context(err, "%s", e->options->paths.config);
	}
	buf_deinit(&text);
	if (rc < 0)
		arena_deinit(arena);
	return rc;
}

static void use_log_level(const struct engine *e)
{
	enum log_level level = LOG_INFO;

	(void)log_level_parse(e->config.log_level, &level);
	log_setup("envwardend", level);
}

/* Reads the file again. One with an error changes nothing; status and log say what is wrong. */
static void reload_config(struct engine *e)
{
	struct config config;
	struct arena arena;
	struct err err = ERR_INIT;
	int rc = read_config(e, &arena, &config, &err);

	if (rc == 0) {
		rc = hide_paths_prepare(e, &config, &err);
		if (rc == 0)
			rc = hide_paths_use(e, &config, &err);
		if (rc < 0)
			arena_deinit(&arena);
	}
	if (rc < 0) {
		log_error("config", "not read again, the present one stays", LOG_ERR(&err));
		(void)snprintf(e->config_trouble, sizeof e->config_trouble, "%s", err.text);
		return;
	}
	arena_deinit(&e->config_arena);
	arena_deinit(&e->answer);
	e->config_arena = arena;
	e->config = config;
	e->config_trouble[0] = '\0';
	use_log_level(e);
	use_save(e); /* forgets it all, if that is switched off now */
	log_info("config", "read again", LOG_NONE);
}

static void on_reload(uv_signal_t *handle, int signum)
{
	struct engine *e = handle->data;

	(void)signum;
	reload_config(e);
	engine_restart_reader(e); /* the next one is told the configuration */
	if (syncing_client(e) != NULL)
		sync_hurry(syncing_client(e));
}

/* --- starting --- */

/* Told to end, or killed from outside: that says nothing about the store. */
static bool was_stopped(const struct process_end *end)
{
	return end->signal == SIGKILL || end->signal == SIGTERM || end->signal == SIGINT;
}

/*
 * A store that was open when its process died is walked by a child first: damage that ends the
 * process that touches it then ends that child. What can't be told so, opening will tell.
 */
static int probe_in_child(const struct engine *e)
{
	const char *args[] = {
		"envwardend", "--role", "probe", "--state-dir", e->options->paths.state, NULL};
	struct process_end end = {.exit_code = -1};
	struct err err = ERR_INIT;
	int64_t pid;

	if (process_spawn_self(args, NULL, 0, &pid, &err) < 0)
		return 0;
	for (int waited = 0; waited < PROBE_MS; waited += 5) {
		if (process_reap(&end) == 0)
			return end.exit_code == ENGINE_EXIT_DAMAGED ||
					       (end.signal != 0 && !was_stopped(&end))
				       ? ERR_CORRUPT
				       : 0;
		uv_sleep(5);
	}
	log_warn("store", "too big to be checked in time", LOG_NONE);
	(void)process_signal(pid, PROCESS_KILL, NULL);
	return 0;
}

/* Says that the store is open, to the start after a crash. A full disk must not stop this start. */
static void mark_open(const char *path)
{
	struct err err = ERR_INIT;

	if (files_atomic_write(path, "", 0, 0600, &err) < 0)
		log_warn("store", "a crash will not be noticed", LOG_ERR(&err));
}

/* The epoch of the journal that is lost; zero if that is not known. */
static void read_epoch(const struct engine *e, struct uuid *out)
{
	char path[PATHS_MAX];
	struct buf bytes;

	buf_init(&bytes, 64);
	if (paths_join(path, e->options->paths.state, EPOCH_FILE, NULL) == 0 &&
	    files_read_whole(path, UUID_SIZE, &bytes, NULL) == 0 && bytes.len == UUID_SIZE)
		memcpy(out->b, bytes.data, UUID_SIZE);
	buf_deinit(&bytes);
}

/* The store is new, and another one was lost: it says so. */
static int declare_lost(struct engine *e, const struct uuid *lost, struct err *err)
{
	struct store_new_epoch how = {.gap = true, .now_ms = engine_wall(e), .lost = *lost};
	int rc = store_new_epoch(e->store, &how, err);

	/* An organisation's switch begins another epoch, which has to say it again. */
	if (rc == 0)
		rc = store_kv_put(e->store, ENGINE_KEY_LOST, how.lost.b, UUID_SIZE, err);
	return rc;
}

/* An empty store where there was one with a journal: removed, or cut to nothing. */
static int check_lost(struct engine *e, struct err *err)
{
	struct store_journal journal;
	struct uuid last = {{0}};

	read_epoch(e, &last);
	store_journal(e->store, &journal);
	if (uuid_is_zero(&last) || journal.epoch_no > 1 || journal.head > 0 ||
	    uuid_cmp(&last, &journal.epoch) == 0)
		return 0;
	log_error("store", "the store is empty and was not; starting a new one", LOG_NONE);
	return declare_lost(e, &last, err);
}

/* For `status`, over restarts. */
static int note_aside(struct engine *e, const char *path, struct err *err)
{
	const char *name = strrchr(path, '/');
	struct buf text;
	int rc;

	if (name == NULL)
		return 0; /* there was nothing to set aside */
	buf_init(&text, STORE_VALUE_MAX);
	buf_addf(&text, "%lld %s", (long long)engine_wall(e), name + 1);
	rc = buf_rc(&text) < 0 ? err_nomem(err)
			       : store_kv_put(e->store, KEY_ASIDE, text.data, text.len, err);
	buf_deinit(&text);
	return rc;
}

static void read_aside(struct engine *e)
{
	struct buf text;
	char *name;

	buf_init(&text, STORE_VALUE_MAX);
	if (store_kv_get(e->store, KEY_ASIDE, &text, NULL) == 0) {
		e->aside_ms = strtoll(buf_cstr(&text), &name, 10);
		if (*name == ' ' &&
		    paths_join(e->aside, e->options->paths.state, name + 1, NULL) < 0)
			e->aside[0] = '\0';
	}
	buf_deinit(&text);
}

/* The damaged store keeps a name of its own; a new one declares that there is a gap. */
static int replace_store(struct engine *e, const char *dir, const struct store_options *options,
			 struct err *err)
{
	struct uuid lost = {{0}};
	char aside[PATHS_MAX] = "";
	int rc = 0;

	if (files_exists(dir))
		rc = store_set_aside(dir, engine_wall(e), aside, sizeof aside, err);
	if (rc < 0)
		return rc;
	log_error("store", "damaged, set aside; starting a new one", LOG_STR("folder", aside));
	rc = files_mkdir_private(dir, err);
	if (rc == 0)
		rc = store_open(dir, options, &e->store, err);
	read_epoch(e, &lost);
	if (rc == 0)
		rc = note_aside(e, aside, err);
	return rc == 0 ? declare_lost(e, &lost, err) : rc;
}

static int open_store(struct engine *e, struct err *err)
{
	const char *patterns[CONFIG_LIST_MAX];
	struct store_options options = {.journal_max_bytes = (uint64_t)e->config.journal_max_mb
							     << 20,
					.hide_key = e->hide_key,
					.hide_patterns = patterns,
					.n_hide = hide_paths_patterns(&e->config, patterns)};
	char dir[PATHS_MAX];
	char dirty[PATHS_MAX];
	char damaged[PATHS_MAX];
	int rc = paths_join(dir, e->options->paths.state, "store", err);
	bool crashed;

	if (rc == 0)
		rc = paths_join(dirty, e->options->paths.state, RUNNING_FILE, err);
	if (rc == 0)
		rc = paths_join(damaged, e->options->paths.state, DAMAGED_FILE, err);
	if (rc < 0)
		return rc;
	crashed = files_exists(dirty);
	if (files_exists(damaged))
		rc = ERR_CORRUPT;
	else if (crashed)
		rc = probe_in_child(e);
	if (rc == 0)
		rc = files_mkdir_private(dir, err);
	if (rc == 0)
		rc = store_open(dir, &options, &e->store, err);
	if (rc == ERR_CORRUPT)
		rc = replace_store(e, dir, &options, err);
	else if (rc == 0)
		rc = check_lost(e, err);
	if (rc == 0)
		rc = files_remove(damaged, err);
	if (rc == 0 && !crashed)
		mark_open(dirty);
	return rc;
}

static int load_environment(void *ctx, const struct environment *env)
{
	return envs_put(ctx, env);
}

/* A core that was killed a moment ago ends, and lets go then: on a busy machine not at once. */
static int take_lock(struct engine *e, const char *path, struct err *err)
{
	int64_t deadline = engine_mono(e) + LOCK_MS;
	struct err why = ERR_INIT;
	int rc = files_lock_take(path, &e->lock, &why);

	if (rc == ERR_BUSY)
		log_info("core", "waits for another agent to end", LOG_ERR(&why));
	while (rc == ERR_BUSY && engine_mono(e) < deadline) {
		uv_sleep(LOCK_STEP_MS);
		why = ERR_INIT;
		rc = files_lock_take(path, &e->lock, &why);
	}
	if (rc < 0 && err)
		*err = why;
	return rc;
}

static int open_state_dir(struct engine *e, struct err *err)
{
	const char *dir = e->options->paths.state;
	char path[PATHS_MAX];
	int rc = files_mkdir(dir, 0711, err);

	if (rc == 0)
		rc = files_mkdir_private(dir, err); /* checks what is there */
	if (rc == 0)
		rc = paths_join(path, dir, "lock", err);
	if (rc == 0)
		rc = take_lock(e, path, err);
	return rc < 0 ? err_context(err, "state folder") : 0;
}

static void watch_signal(struct engine *e, uv_signal_t *handle, uv_signal_cb cb, int signum)
{
	CHECK(uv_signal_init(&e->loop, handle) == 0);
	handle->data = e;
	CHECK(uv_signal_start(handle, cb, signum) == 0);
}

static void make_timer(struct engine *e, uv_timer_t *timer)
{
	CHECK(uv_timer_init(&e->loop, timer) == 0);
	timer->data = e;
}

/* Everything that can fail for a reason a person must hear, in the order they should hear it. */
static int prepare(struct engine *e, struct err *err)
{
	int rc = read_config(e, &e->config_arena, &e->config, err);

	if (rc == 0) {
		use_log_level(e);
		rc = open_state_dir(e, err);
	}
	if (rc == 0)
		rc = hide_paths_prepare(e, &e->config, err);
	if (rc == 0)
		rc = open_store(e, err);
	if (rc == 0)
		rc = store_environments(e->store, load_environment, &e->envs, err);
	if (rc == 0) {
		store_journal(e->store, &e->journal);
		note_epoch(e);
		read_aside(e);
		sent_start(e);
		rc = worker_new(&e->loop, "store", &e->disk, err);
	}
	if (rc == 0)
		rc = worker_new(&e->loop, "decisions", &e->decider, err);
	if (rc == 0)
		rc = accounts_new(&(struct accounts_config){.loop = &e->loop, .clock = e->clock},
				  &e->names, err);
	if (rc == 0)
		rc = lookups_start(e) < 0 ? err_nomem(err) : 0;
	if (rc == 0)
		rc = deciding_start(e) < 0 ? err_nomem(err) : 0;
	if (rc == 0)
		rc = syncing_prepare(e, err);
	if (rc == 0)
		rc = state_start(e, err);
	if (rc == 0)
		telling_start(e);
	if (rc == 0)
		notes_start(e);
	if (rc == 0)
		rc = graces_start(e, err);
	if (rc == 0)
		asking_start(e);
	return rc;
}

static int go(struct engine *e, struct err *err)
{
	const struct local_config local = {.loop = &e->loop,
					   .path = e->options->paths.socket,
					   .for_everybody = !e->options->user,
					   .handlers = &request_handlers,
					   .ctx = e};
	int rc = local_start(&local, &e->local, err);

	if (rc == 0)
		rc = syncing_start(e, err);
	if (rc < 0)
		return rc;
	deciding_state_changed(e);
	use_start(e);
	/* A new store of an enrolled machine first hears which ids the server knows. */
	if (e->enrolled && e->envs.living == 0 && e->journal.head == 0)
		uv_timer_start(&e->readers, on_readers_may_come, ADOPT_MS, 0);
	else
		accept_readers(e);
	log_info("core", "running", LOG_STR("socket", e->options->paths.socket),
		 LOG_INT("environments", e->envs.living));
	return 0;
}

/* ERR_CANCELED: the supervisor has ended, and with it all reason to begin. */
static int give_up_rights(const struct options *options)
{
	struct err err = ERR_INIT;
	int rc;

	process_set_name("envwarden-core");
	process_short_turns();
	process_return_memory();
	rc = process_end_with_parent(options->parent, &err);
	if (rc == ERR_CANCELED)
		return rc;
	if (rc < 0)
		log_warn("core", "may outlive its supervisor", LOG_ERR(&err));
	if (process_set_limits(&(struct process_limits){.no_core = true, .open_files = 4096},
			       &err) < 0)
		log_warn("core", "limits stay", LOG_ERR(&err));
	if (process_drop_rights(false, &err) < 0)
		log_warn("core", "rights stay", LOG_ERR(&err));
	return 0;
}

static void mark_clean(struct engine *e)
{
	char dirty[PATHS_MAX];

	if (paths_join(dirty, e->options->paths.state, RUNNING_FILE, NULL) == 0)
		(void)files_remove(dirty, NULL);
}

static void engine_free(struct engine *e)
{
	deciding_stop(e);
	graces_free(e);
	asking_free(e);
	ran_list_deinit(&e->ran);
	state_stop(e);
	if (e->syncing != NULL)
		syncing_free(e);
	for (size_t i = 0; i < e->n_unreported; i++)
		mem_free(e->unreported[i].prefix);
	envs_deinit(&e->envs);
	arena_deinit(&e->config_arena);
	files_lock_free(e->lock);
}

int engine_main(const struct options *options, int channel_fd)
{
	static struct engine engine;
	struct engine *e = &engine;
	struct err err = ERR_INIT;

	if (give_up_rights(options) < 0)
		return 0;
	e->options = options;
	e->clock = clock_system();
	e->channel_fd = channel_fd;
	e->next_fd = -1;
	e->next_lease = (struct lease_ends){.word = -1, .queue = -1};
	e->lease.queue = -1;
	envs_init(&e->envs);
	arena_init(&e->answer, ANSWER_MEMORY_MAX);
	CHECK(uv_loop_init(&e->loop) == 0);
	if (prepare(e, &err) < 0)
		goto refuse;
	watch_signal(e, &e->terminate, on_stop_signal, SIGTERM);
	watch_signal(e, &e->interrupt, on_stop_signal, SIGINT);
	watch_signal(e, &e->reload, on_reload, SIGHUP);
	make_timer(e, &e->readers);
	make_timer(e, &e->fallback_timer);
	make_timer(e, &e->switch_timer);
	make_timer(e, &e->use_timer);
	make_timer(e, &e->decide_timer);
	make_timer(e, &e->tell_timer);
	make_timer(e, &e->wanting.timer);
	CHECK(uv_poll_init(&e->loop, &e->channel, channel_fd) == 0);
	e->channel.data = e;
	if (go(e, &err) < 0)
		goto refuse;
	uv_run(&e->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&e->loop) == 0);
	if (e->exit_code == 0)
		mark_clean(e);
	engine_free(e);
	return e->exit_code;

refuse:
	/* The process ends here with all it has; nothing was half-made that a restart can't take.
	 */
	(void)fprintf(stderr, "envwardend: %s\n", err.text);
	return SUPERVISOR_EXIT_FINAL;
}
