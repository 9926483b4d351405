/* Hello -> Welcome: is it the one machine of this name, where does its journal stand, what is new.
 */
#include <inttypes.h>
#include <string.h>

#include "lib/base/log.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "server/db/db_env.h"
#include "server/db/db_journal.h"
#include "server/session/session_impl.h"

/* Where the machine's journal stands here, against what it says. */
struct position {
	uint64_t head; /* 0: the epoch is new here */
	bool new_epoch;
};

static int position_find(struct db_conn *conn, const struct task *task, struct position *out,
			 struct err *err)
{
	const Envwarden__Sync__Hello *hello = task->message->hello;
	unsigned char known[SHA256_SIZE], claimed[SHA256_SIZE];
	struct uuid epoch;
	int rc;

	uuid_from_wire(&hello->epoch, &epoch);
	hash_from_wire(&hello->head_hash, claimed);
	rc = db_journal_head(conn, &task->machine, &epoch, &out->head, known, err);
	if (rc < 0)
		return rc;
	/* Behind us: it lost changes that we have, and would write others in their place. */
	out->new_epoch = hello->head < out->head || task->conflicted;
	if (out->head == 0 || hello->head != out->head)
		return 0;
	out->new_epoch = out->new_epoch || !crypto_equal(known, claimed, SHA256_SIZE);
	return 0;
}

/*
 * Good are the token of the last Welcome, the one before it (the last was lost), and none from a
 * store that never got one: a new machine's, or one that begins a new journal.
 */
static bool token_good(const struct db_machine *machine, const unsigned char *token, bool new_epoch)
{
	static const unsigned char none[DB_CONTINUITY_SIZE];

	if (crypto_equal(token, machine->continuity, DB_CONTINUITY_SIZE) ||
	    crypto_equal(token, machine->continuity_previous, DB_CONTINUITY_SIZE))
		return true;
	return new_epoch && crypto_equal(token, none, DB_CONTINUITY_SIZE);
}

/* Stores the next token. The one that came stays good until the agent returns the next. */
static int token_next(struct db_conn *conn, const struct db_machine *machine,
		      const unsigned char *came, unsigned char *next, struct err *err)
{
	int rc = 0;

	if (!crypto_equal(came, machine->continuity, DB_CONTINUITY_SIZE))
		rc = db_machine_set_continuity(conn, &machine->id, came, err);
	crypto_random(next, DB_CONTINUITY_SIZE);
	return rc < 0 ? rc : db_machine_set_continuity(conn, &machine->id, next, err);
}

static int clone_found(struct db_conn *conn, struct task *task, struct err *err)
{
	char id[UUID_TEXT_MAX];
	int rc = db_machine_suspect_clone(conn, &task->machine, err);

	uuid_format(&task->machine, id);
	log_warn("session", "clone suspected", LOG_STR("machine", id));
	return rc < 0 ? rc : task_refuse(task, ERR_PERM, "clone suspected: enrol again", err);
}

/* The store is older than the machine's last token: the key vouches for it, this once. */
static int taken_back(struct db_conn *conn, struct task *task, const struct db_machine *machine,
		      const unsigned char *came, struct err *err)
{
	char id[UUID_TEXT_MAX];
	int rc = db_machine_taken_back(conn, &task->machine, err);

	uuid_format(&task->machine, id);
	log_info("session", "taken back after the restore", LOG_STR("machine", id),
		 LOG_INT("known_token", token_good(machine, came, false)));
	return rc < 0 ? rc : restored_policy(conn, task, err);
}

/* The environments a new store is to know again, as many as fit beside the rest of a Welcome. */
static int known_list(struct db_conn *conn, struct task *task, Envwarden__Sync__Welcome *welcome,
		      struct err *err)
{
	struct db_env *envs;
	size_t n = 0, room = LIMIT_SYNC_CHUNK;
	int rc = db_env_known(conn, &task->machine, LIMIT_KNOWN, &task->arena, &envs, &n, err);

	if (rc < 0 || n == 0)
		return rc;
	welcome->known = arena_calloc(&task->arena, n, sizeof(*welcome->known));
	if (!welcome->known)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++) {
		Envwarden__Sync__KnownEnvironment *known =
			arena_alloc(&task->arena, sizeof(*known));
		size_t size;

		if (!known)
			return err_nomem(err);
		envwarden__sync__known_environment__init(known);
		known->id = wire_uuid(&envs[i].id);
		known->prefix = wire_text(envs[i].path);
		known->owner = wire_text(envs[i].user);
		size = codec_size(&known->base) + CODEC_ITEM_EXTRA;
		if (size > room)
			break;
		room -= size;
		welcome->known[welcome->n_known++] = known;
	}
	return 0;
}

/* Everything but the timestamp, which is signed meanwhile. */
static int welcome_make(struct db_conn *conn, struct task *task, const struct position *at,
			const unsigned char *token, struct err *err)
{
	Envwarden__Sync__Welcome *welcome = arena_calloc(&task->arena, 1, sizeof(*welcome));
	int rc = 0;

	if (!welcome)
		return err_nomem(err);
	envwarden__sync__welcome__init(welcome);
	welcome->continuity.data = arena_dup(&task->arena, token, DB_CONTINUITY_SIZE);
	welcome->continuity.len = DB_CONTINUITY_SIZE;
	if (!welcome->continuity.data)
		return err_nomem(err);
	if (at->head == 0)
		rc = known_list(conn, task, welcome, err);
	welcome->server_time_ms = task->now_ms;
	welcome->acked = at->head;
	welcome->new_epoch = at->new_epoch;
	welcome->takes_runs = true;
	task->answer_data = welcome;
	return rc;
}

static int welcome_answer(struct task *task, const struct buf *timestamp, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Welcome welcome = *(const Envwarden__Sync__Welcome *)task->answer_data;

	welcome.timestamp = wire_bytes(timestamp->data, timestamp->len);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_WELCOME;
	envelope.welcome = &welcome;
	return task_reply(task, &envelope, err);
}

static int seen(struct db_conn *conn, const struct task *task, struct err *err)
{
	const Envwarden__Sync__MachineInfo *m = task->message->hello->info;
	struct db_machine_info info;

	if (!m)
		return db_machine_seen(conn, &task->machine, NULL, task->now_ms, err);
	info = (struct db_machine_info){
		.hostname = m->hostname,
		.platform = m->platform,
		.os = m->os,
		.agent_version = m->agent_version,
		.wishes = {.items = (const char *const *)m->labels, .n = m->n_labels},
		.machine_id_hash =
			m->machine_id_hash.len == SHA256_SIZE ? m->machine_id_hash.data : NULL};
	return db_machine_seen(conn, &task->machine, &info, task->now_ms, err);
}

int hello_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__Hello *hello = task->message->hello;
	unsigned char came[DB_CONTINUITY_SIZE] = {0}, next[DB_CONTINUITY_SIZE];
	struct position at = {.head = 0};
	struct db_machine machine;
	int rc;

	if (hello->protocol == 0)
		return err_set(err, ERR_UNSUPPORTED, "protocol version 0 is not spoken here");
	if (hello->continuity.len == sizeof(came))
		memcpy(came, hello->continuity.data, sizeof(came));
	rc = task_machine(conn, task, &machine, err);
	if (rc == 0)
		rc = position_find(conn, task, &at, err);
	if (rc < 0)
		return rc;
	if (machine.restored)
		rc = taken_back(conn, task, &machine, came, err);
	else if (!token_good(&machine, came, at.head == 0))
		return clone_found(conn, task, err);
	if (rc == 0)
		rc = token_next(conn, &machine, came, next, err);
	if (rc == 0)
		rc = seen(conn, task, err);
	if (rc == 0)
		rc = welcome_make(conn, task, &at, next, err);
	task->answer = welcome_answer;
	return rc < 0 ? rc : state_run(conn, task, err);
}
