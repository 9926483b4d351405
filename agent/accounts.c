#include "agent/accounts.h"

#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "platform/thread.h"

#define FOUND_MS 600000
#define NONE_MS 60000
#define FAILED_MS 10000
#define LIST_MS 60000 /* a list that came late is still one to take */

enum kind {
	BY_UID,
	BY_NAME,
	EVERYBODY,
};

/* A question, and its last answer. */
struct question {
	TAILQ_ENTRY(question) link; /* the last asked first */
	enum kind kind;
	uint32_t uid;
	char name[USERS_NAME_MAX];
	bool open;  /* asked, not answered */
	bool taken; /* ... and an asker has it */
	bool told;  /* ... and somebody had to go on without the answer, which the loop knows */
	int64_t asked_ms;
	unsigned waiting; /* threads */
	bool answered;
	int rc;
	int64_t answered_ms;
	struct user user; /* of an answer that found one, also of one before the last */
	bool found;
};

struct accounts {
	struct accounts_config config;
	uv_async_t wake;
	uv_mutex_t mutex; /* over all below */
	uv_cond_t answer;
	TAILQ_HEAD(question_list, question) questions;
	size_t n;
	struct buf list; /* of everybody: uid, home's length, home */
	unsigned askers;
	bool stopping;
	unsigned users; /* the loop and the askers: the last one frees */
	void (*stopped)(void *owner);
	void *owner;
};

const struct accounts_source accounts_system = {users_by_uid, users_by_name, users_each};

static int64_t now_ms(const struct accounts *all)
{
	return all->config.clock->mono_ms(all->config.clock);
}

/* Unlocks. */
static void let_go(struct accounts *all)
{
	struct question *q;
	bool last = --all->users == 0;

	uv_mutex_unlock(&all->mutex);
	if (!last)
		return;
	while ((q = TAILQ_FIRST(&all->questions)) != NULL) {
		TAILQ_REMOVE(&all->questions, q, link);
		mem_free(q);
	}
	buf_deinit(&all->list);
	uv_cond_destroy(&all->answer);
	uv_mutex_destroy(&all->mutex);
	mem_free(all);
}

/* --- askers --- */

static int add_to_list(void *ctx, const struct user *user)
{
	struct buf *list = ctx;

	buf_add_u32(list, user->uid);
	buf_add_lp(list, user->home, strlen(user->home));
	return buf_rc(list);
}

/* On its own: with the list so far, should that become too long. */
static int list_everybody(const struct accounts_source *source, struct buf *list)
{
	int rc;

	buf_init(list, ACCOUNTS_LIST_MAX);
	rc = source->each(add_to_list, list, NULL);
	if (rc == ERR_LIMIT) {
		log_warn("accounts", "there are too many to look at all", LOG_NONE);
		list->rc = 0; /* whole entries are told, the last one is not */
		rc = 0;
	}
	return rc;
}

/* The one that has waited longest. */
static struct question *take(struct accounts *all)
{
	struct question *oldest = NULL;
	struct question *q;

	TAILQ_FOREACH(q, &all->questions, link)
	{
		if (q->open && !q->taken && (oldest == NULL || q->asked_ms <= oldest->asked_ms))
			oldest = q;
	}
	return oldest;
}

/* Locked, but not while it asks. */
static void ask(struct accounts *all, struct question *q)
{
	const struct accounts_source *source = all->config.source;
	struct question copy = *q;
	struct buf list = {0};
	int rc;

	q->taken = true;
	uv_mutex_unlock(&all->mutex);
	if (copy.kind == BY_UID)
		rc = source->by_uid(copy.uid, &copy.user, NULL);
	else if (copy.kind == BY_NAME)
		rc = source->by_name(copy.name, &copy.user, NULL);
	else
		rc = list_everybody(source, &list);
	uv_mutex_lock(&all->mutex);
	q->open = false;
	q->taken = false;
	q->answered = true;
	q->rc = rc;
	q->answered_ms = now_ms(all);
	if (rc == 0)
		q->user = copy.user;
	if (rc == 0 && copy.kind == EVERYBODY) {
		buf_deinit(&all->list);
		all->list = list;
		list = (struct buf){0};
	}
	q->found = rc == 0 || (q->found && rc != ERR_NOTFOUND);
	buf_deinit(&list);
}

static void asker_main(void *arg)
{
	struct accounts *all = arg;
	struct question *q;

	uv_mutex_lock(&all->mutex);
	while (!all->stopping && (q = take(all)) != NULL) {
		ask(all, q);
		uv_cond_broadcast(&all->answer);
		if (!all->stopping)
			uv_async_send(&all->wake);
	}
	all->askers--;
	let_go(all);
}

static void need_asker(struct accounts *all)
{
	struct err err = ERR_INIT;

	if (all->askers == ACCOUNTS_ASKERS || take(all) == NULL)
		return;
	all->askers++;
	all->users++;
	if (thread_start(asker_main, all, &err) == 0)
		return;
	all->askers--;
	all->users--;
	log_warn("accounts", "no thread to look them up", LOG_ERR(&err));
}

/* --- questions --- */

static struct question *find(struct accounts *all, const struct question *key)
{
	struct question *q;

	TAILQ_FOREACH(q, &all->questions, link)
	{
		if (q->kind == key->kind && q->uid == key->uid && strcmp(q->name, key->name) == 0)
			return q;
	}
	return NULL;
}

static bool make_room(struct accounts *all)
{
	struct question *q;

	if (all->n < ACCOUNTS_KEPT_MAX)
		return true;
	TAILQ_FOREACH_REVERSE(q, &all->questions, question_list, link)
	{
		if (!q->open && q->waiting == 0) {
			TAILQ_REMOVE(&all->questions, q, link);
			all->n--;
			mem_free(q);
			return true;
		}
	}
	return false;
}

static struct question *get(struct accounts *all, const struct question *key)
{
	struct question *q = find(all, key);

	if (q != NULL) {
		TAILQ_REMOVE(&all->questions, q, link);
	} else {
		q = make_room(all) ? mem_calloc(1, sizeof *q) : NULL;
		if (q == NULL)
			return NULL;
		*q = *key;
		all->n++;
	}
	TAILQ_INSERT_HEAD(&all->questions, q, link);
	return q;
}

static bool is_fresh(const struct accounts *all, const struct question *q)
{
	int64_t age = now_ms(all) - q->answered_ms;

	if (!q->answered)
		return false;
	if (q->kind == EVERYBODY)
		return q->rc == 0 && all->list.len > 0 && age < LIST_MS;
	return age < (q->rc == 0 ? FOUND_MS : q->rc == ERR_NOTFOUND ? NONE_MS : FAILED_MS);
}

/* How long the oldest open question has waited; 0: there is none. */
static int64_t waited(const struct accounts *all)
{
	const struct question *q;
	int64_t longest = 0;

	TAILQ_FOREACH(q, &all->questions, link)
	{
		if (q->open && now_ms(all) - q->asked_ms >= longest)
			longest = now_ms(all) - q->asked_ms + 1;
	}
	return longest;
}

static void wait_for(struct accounts *all, struct question *q, int64_t wait_ms)
{
	q->waiting++;
	while (q->open && !all->stopping) {
		int64_t left = q->asked_ms + wait_ms - now_ms(all);

		if (left <= 0 || waited(all) >= ACCOUNTS_SILENT_MS)
			break;
		(void)uv_cond_timedwait(&all->answer, &all->mutex, (uint64_t)left * 1000000);
	}
	q->waiting--;
	if (q->open && !q->told && !all->stopping) {
		q->told = true;
		uv_async_send(&all->wake);
	}
}

static int verdict(const struct question *q)
{
	if (q->found && q->kind != EVERYBODY)
		return 0;
	return q->open ? ERR_TIMEOUT : q->rc;
}

/* Locked. Asks and waits, as far as that is needed. */
static int answer(struct accounts *all, const struct question *key, int64_t wait_ms,
		  struct question **out)
{
	struct question *q = get(all, key);

	if (q == NULL)
		return ERR_BUSY;
	*out = q;
	if (is_fresh(all, q))
		return verdict(q);
	if (!q->open) {
		q->open = true;
		q->told = false;
		q->asked_ms = now_ms(all);
	}
	need_asker(all);
	wait_for(all, q, wait_ms);
	return verdict(q);
}

static int look_up(struct accounts *all, const struct question *key, int64_t wait_ms,
		   struct user *out)
{
	struct question *q;
	int rc;

	uv_mutex_lock(&all->mutex);
	rc = answer(all, key, wait_ms, &q);
	if (rc == 0)
		*out = q->user;
	uv_mutex_unlock(&all->mutex);
	return rc;
}

int accounts_by_uid(struct accounts *all, uint32_t uid, int64_t wait_ms, struct user *out)
{
	const struct question key = {.kind = BY_UID, .uid = uid};

	return all != NULL ? look_up(all, &key, wait_ms, out) : users_by_uid(uid, out, NULL);
}

int accounts_by_name(struct accounts *all, const char *name, int64_t wait_ms, struct user *out)
{
	struct question key = {.kind = BY_NAME};

	if (all == NULL)
		return users_by_name(name, out, NULL);
	if (strlen(name) >= sizeof key.name)
		return ERR_NOTFOUND;
	memcpy(key.name, name, strlen(name) + 1);
	return look_up(all, &key, wait_ms, out);
}

static uint32_t get_u32(const char *p)
{
	const unsigned char *b = (const unsigned char *)p;

	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int tell_list(const struct buf *list, users_cb cb, void *ctx)
{
	struct user user = {.name = ""};
	int rc = 0;

	for (size_t at = 0; list->len - at >= 8 && rc == 0;) {
		size_t n = get_u32(list->data + at + 4);

		user.uid = get_u32(list->data + at);
		at += 8;
		if (n >= sizeof user.home || n > list->len - at)
			break; /* cut off */
		memcpy(user.home, list->data + at, n);
		user.home[n] = '\0';
		at += n;
		rc = cb(ctx, &user);
	}
	return rc;
}

int accounts_each(struct accounts *all, int64_t wait_ms, users_cb cb, void *ctx)
{
	const struct question key = {.kind = EVERYBODY};
	struct buf list = {0};
	struct question *q;
	int rc;

	if (all == NULL)
		return users_each(cb, ctx, NULL);
	uv_mutex_lock(&all->mutex);
	rc = answer(all, &key, wait_ms, &q);
	if (rc == 0) {
		list = all->list;
		all->list = (struct buf){0};
	}
	uv_mutex_unlock(&all->mutex);
	if (rc == 0)
		rc = tell_list(&list, cb, ctx);
	buf_deinit(&list);
	return rc;
}

int64_t accounts_waited_ms(struct accounts *all)
{
	int64_t ms;

	uv_mutex_lock(&all->mutex);
	ms = waited(all);
	uv_mutex_unlock(&all->mutex);
	return ms;
}

/* --- life --- */

static void on_wake(uv_async_t *wake)
{
	struct accounts *all = wake->data;

	if (all->config.changed != NULL)
		all->config.changed(all->config.ctx);
}

int accounts_new(const struct accounts_config *config, struct accounts **out, struct err *err)
{
	struct accounts *all = mem_calloc(1, sizeof *all);

	if (all == NULL)
		return err_nomem(err);
	all->config = *config;
	if (config->source == NULL)
		all->config.source = &accounts_system;
	TAILQ_INIT(&all->questions);
	all->users = 1;
	all->wake.data = all;
	CHECK(uv_mutex_init(&all->mutex) == 0);
	CHECK(uv_cond_init(&all->answer) == 0);
	CHECK(uv_async_init(config->loop, &all->wake, on_wake) == 0);
	*out = all;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct accounts *all = handle->data;
	void (*stopped)(void *) = all->stopped;
	void *owner = all->owner;

	uv_mutex_lock(&all->mutex);
	let_go(all);
	stopped(owner);
}

void accounts_stop(struct accounts *all, void (*stopped)(void *owner), void *owner)
{
	uv_mutex_lock(&all->mutex);
	all->stopping = true;
	all->stopped = stopped;
	all->owner = owner;
	uv_cond_broadcast(&all->answer);
	uv_mutex_unlock(&all->mutex);
	uv_close((uv_handle_t *)&all->wake, on_closed);
}
