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
#include "platform/process.h"

#define ANSWER_MEMORY_MAX (1u << 20)
#define ADOPT_MS 5000	    /* how long a new store waits for the ids the server knows */
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

static void job_done(struct work *work)
{
	struct job *job = container_of(work, struct job, work);

	struct engine *e = job->e;
	char what[ERR_TEXT_MAX] = "";

	if (uuid_cmp(&e->journal.epoch, &job->journal.epoch) != 0) {
		e->journal = job->journal;
		opening_note_epoch(e);
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

/* --- the store --- */

void engine_store_failed(struct engine *e)
{
	if (e->stopping)
		return;
	readers_restart(e);
	if (e->paused)
		return;
	e->pause_ms = e->pause_ms == 0 ? PAUSE_FIRST_MS : e->pause_ms * 2;
	if (e->pause_ms > PAUSE_LAST_MS)
		e->pause_ms = PAUSE_LAST_MS;
	readers_pause(e, e->pause_ms);
}

void engine_store_damaged(struct engine *e, const char *what)
{
	if (e->exit_code == ENGINE_EXIT_DAMAGED)
		return;
	log_error("store", "damaged, it will be set aside", LOG_STR("what", what));
	opening_mark_damaged(e, what);
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
	readers_restart(e);
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
	readers_restart(e); /* the next one is told the configuration */
	if (syncing_client(e) != NULL)
		sync_hurry(syncing_client(e));
}

/* --- starting --- */

static int load_environment(void *ctx, const struct environment *env)
{
	return envs_put(ctx, env);
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
		rc = opening_state_dir(e, err);
	}
	if (rc == 0)
		rc = hide_paths_prepare(e, &e->config, err);
	if (rc == 0)
		rc = opening_store(e, err);
	if (rc == 0)
		rc = store_environments(e->store, load_environment, &e->envs, err);
	if (rc == 0) {
		store_journal(e->store, &e->journal);
		opening_note_epoch(e);
		opening_read_aside(e);
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
		readers_wait(e, ADOPT_MS);
	else
		readers_welcome(e);
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
	envs_init(&e->envs);
	arena_init(&e->answer, ANSWER_MEMORY_MAX);
	CHECK(uv_loop_init(&e->loop) == 0);
	if (prepare(e, &err) < 0)
		goto refuse;
	watch_signal(e, &e->terminate, on_stop_signal, SIGTERM);
	watch_signal(e, &e->interrupt, on_stop_signal, SIGINT);
	watch_signal(e, &e->reload, on_reload, SIGHUP);
	make_timer(e, &e->fallback_timer);
	make_timer(e, &e->switch_timer);
	make_timer(e, &e->use_timer);
	make_timer(e, &e->decide_timer);
	make_timer(e, &e->tell_timer);
	make_timer(e, &e->wanting.timer);
	readers_start(e, channel_fd);
	if (go(e, &err) < 0)
		goto refuse;
	uv_run(&e->loop, UV_RUN_DEFAULT);
	CHECK(uv_loop_close(&e->loop) == 0);
	if (e->exit_code == 0)
		opening_mark_closed(e);
	engine_free(e);
	return e->exit_code;

refuse:
	/* The process ends here with all it has; nothing was half-made that a restart can't take.
	 */
	(void)fprintf(stderr, "envwardend: %s\n", err.text);
	return SUPERVISOR_EXIT_FINAL;
}
