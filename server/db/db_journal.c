#include "server/db/db_journal.h"

#include <inttypes.h>

#include "proto/canonical.h"
#include "server/db/db_apply.h"
#include "server/db/db_outbox.h"
#include "server/db/sql.h"

struct journal {
	int64_t row;
	uint64_t head;
	unsigned char head_hash[SHA256_SIZE];
};

static int machine_row(struct db_conn *conn, const struct uuid *id, int64_t *row, struct err *err)
{
	bool found = false;
	int rc = SQL_GET_INT(conn, row, &found, err, "SELECT id FROM machine WHERE uuid = $1",
			     ARG_UUID(id));

	return rc == 0 && !found ? err_set(err, ERR_NOTFOUND, "no such machine") : rc;
}

/* *out stays as it is when there is no such journal. */
static int journal_get(struct db_conn *conn, const struct uuid *machine, const struct uuid *epoch,
		       struct journal *out, struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc = SQL_OPEN(conn, &rows, err,
			  "SELECT j.id, j.head, j.head_hash FROM journal j"
			  " JOIN machine m ON m.id = j.machine_id"
			  " WHERE m.uuid = $1 AND j.epoch = $2",
			  ARG_UUID(machine), ARG_UUID(epoch));

	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0) {
		out->row = sql_int(rows, 0);
		out->head = (uint64_t)sql_int(rows, 1);
		(void)sql_fixed(rows, 2, out->head_hash, SHA256_SIZE);
	}
	sql_close(rows);
	return rc < 0 ? rc : 0;
}

static int journal_make(struct db_conn *conn, int64_t machine, const struct uuid *epoch,
			struct journal *out, struct err *err)
{
	bool found;

	return SQL_GET_INT(conn, &out->row, &found, err,
			   "INSERT INTO journal (machine_id, epoch, head, head_hash)"
			   " VALUES ($1, $2, 0, $3) RETURNING id",
			   ARG_INT(machine), ARG_UUID(epoch),
			   ARG_BLOB(out->head_hash, SHA256_SIZE));
}

/* The hash stored at a seq of a journal; seq 0 is zeroes. ERR_NOTFOUND. */
static int hash_at(struct db_conn *conn, const struct journal *journal, uint64_t seq,
		   unsigned char hash[SHA256_SIZE], struct err *err)
{
	struct sql_rows *rows = NULL;
	int rc;

	memset(hash, 0, SHA256_SIZE);
	if (seq == 0)
		return 0;
	if (seq == journal->head) {
		memcpy(hash, journal->head_hash, SHA256_SIZE);
		return 0;
	}
	if (seq > journal->head)
		return err_set(err, ERR_NOTFOUND, "no change %" PRIu64 " in this journal", seq);
	rc = SQL_OPEN(conn, &rows, err,
		      "SELECT hash FROM change WHERE journal_id = $1 AND seq = $2",
		      ARG_INT(journal->row), ARG_INT(seq));
	if (rc < 0)
		return rc;
	rc = sql_next(rows, err);
	if (rc > 0)
		rc = sql_fixed(rows, 0, hash, SHA256_SIZE)
			     ? 0
			     : err_set(err, ERR_CORRUPT, "change %" PRIu64 ": hash", seq);
	else if (rc == 0)
		rc = err_set(err, ERR_CORRUPT, "change %" PRIu64 " is missing", seq);
	sql_close(rows);
	return rc;
}

int db_journal_head(struct db_conn *conn, const struct uuid *machine, const struct uuid *epoch,
		    uint64_t *head, unsigned char hash[SHA256_SIZE], struct err *err)
{
	struct journal journal = {.head = 0};
	int rc = journal_get(conn, machine, epoch, &journal, err);

	if (rc < 0)
		return rc;
	*head = journal.head;
	memcpy(hash, journal.head_hash, SHA256_SIZE);
	return 0;
}

int db_journal_hash_at(struct db_conn *conn, const struct uuid *machine, const struct uuid *epoch,
		       uint64_t seq, unsigned char hash[SHA256_SIZE], struct err *err)
{
	struct journal journal = {.head = 0};
	unsigned char found[SHA256_SIZE];
	int rc = journal_get(conn, machine, epoch, &journal, err);

	if (rc == 0)
		rc = hash_at(conn, &journal, seq, found, err);
	if (rc == 0)
		memcpy(hash, found, SHA256_SIZE);
	return rc;
}

/* --- appending --- */

static bool is_fold(const struct change *c)
{
	return c->first_seq != 0 || c->folded > 1;
}

static uint64_t first_of(const struct change *c)
{
	return c->first_seq != 0 ? c->first_seq : c->seq;
}

static int change_check(const struct change *c, struct err *err)
{
	const struct {
		const char *what;
		const char *text;
		size_t max;
	} fields[] = {
		{"prefix", c->prefix, CHANGE_PATH_MAX},
		{"from_prefix", c->from_prefix, CHANGE_PATH_MAX},
		{"actor", c->actor.name, CHANGE_USER_MAX},
		{"actor's how", c->actor.how, CHANGE_HOW_MAX},
		{"owner", c->owner.name, CHANGE_USER_MAX},
		{"owner's how", c->owner.how, CHANGE_HOW_MAX},
		{"platform", c->platform, PACKAGE_SUBDIR_MAX},
		{"tool", c->tool, CHANGE_TOOL_MAX},
		{"command", c->command, CHANGE_COMMAND_MAX},
		{"detail", c->detail, CHANGE_DETAIL_MAX},
	};
	int rc = 0;

	if (c->kind < CHANGE_CREATED || c->kind > CHANGE_GAP)
		return err_set(err, ERR_INVALID, "kind: unknown");
	if (uuid_is_zero(&c->environment) && c->kind != CHANGE_GAP)
		return err_set(err, ERR_INVALID, "environment: no id");
	for (size_t i = 0; i < ARRAY_SIZE(fields) && rc == 0; i++)
		rc = sql_check_text(fields[i].what, fields[i].text, fields[i].max, err);
	return rc;
}

static int change_insert(struct db_conn *conn, const struct journal *journal, int64_t machine,
			 int64_t env, const struct change *c, const unsigned char *hash,
			 int64_t now_ms, int64_t *id, struct err *err)
{
	bool found;

	return SQL_GET_INT(
		conn, id, &found, err,
		"INSERT INTO change (journal_id, seq, machine_id, env_id, time_ms, received_ms,"
		" kind, prefix, from_prefix, cloned_from, actor, actor_uid, actor_how, owner,"
		" owner_uid, owner_how, platform, tool, command, detail, self_reported,"
		" seen_at_start, digest, hash, first_seq, folded)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,"
		" $17, $18, $19, $20, $21, $22, $23, $24, $25, $26) RETURNING id",
		ARG_INT(journal->row), ARG_INT(c->seq), ARG_INT(machine), ARG_REF(env),
		ARG_INT(c->time_ms), ARG_INT(now_ms), ARG_INT(c->kind), ARG_TEXT(c->prefix),
		ARG_TEXT(c->from_prefix),
		uuid_is_zero(&c->cloned_from) ? ARG_NULL : ARG_UUID(&c->cloned_from),
		ARG_TEXT(c->actor.name), ARG_INT(c->actor.uid), ARG_TEXT(c->actor.how),
		ARG_TEXT(c->owner.name), ARG_INT(c->owner.uid), ARG_TEXT(c->owner.how),
		ARG_TEXT(c->platform), ARG_TEXT(c->tool), ARG_TEXT(c->command), ARG_TEXT(c->detail),
		ARG_INT(c->self_reported), ARG_INT(c->seen_at_start),
		c->has_digest ? ARG_BLOB(c->digest, SHA256_SIZE) : ARG_NULL,
		ARG_BLOB(hash, SHA256_SIZE), ARG_INT(c->first_seq), ARG_INT(c->folded));
}

/* The dictionary rows of a list, and the change's links to them. */
static int packages_store(struct db_conn *conn, int64_t change, bool added,
			  const struct package_list *list, int64_t now_ms,
			  struct apply_package *out, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < list->n && rc == 0; i++) {
		out[i].requested = list->items[i].requested;
		rc = db_package_put(conn, &list->items[i], now_ms, &out[i].id, NULL, err);
		if (rc == 0)
			rc = SQL_RUN(conn, NULL, err,
				     "INSERT INTO change_pkg (change_id, added, pkg_id, requested)"
				     " VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
				     ARG_INT(change), ARG_INT(added), ARG_INT(out[i].id),
				     ARG_INT(out[i].requested));
	}
	return rc;
}

static int change_store(struct db_conn *conn, const struct journal *journal,
			const struct apply_machine *machine, const struct change *c,
			const unsigned char *hash, int64_t now_ms, struct err *err)
{
	struct arena arena;
	struct apply_package *added, *removed;
	int64_t env = 0, id = 0;
	int rc = change_check(c, err);

	arena_init(&arena, SIZE_MAX);
	added = arena_calloc(&arena, c->added.n + 1, sizeof(*added));
	removed = arena_calloc(&arena, c->removed.n + 1, sizeof(*removed));
	if (rc == 0 && (!added || !removed))
		rc = err_nomem(err);
	if (rc == 0 && c->kind != CHANGE_GAP)
		rc = env_apply_row(conn, machine, c, now_ms, &env, err);
	if (rc == 0)
		rc = change_insert(conn, journal, machine->row, env, c, hash, now_ms, &id, err);
	if (rc == 0)
		rc = packages_store(conn, id, false, &c->removed, now_ms, removed, err);
	if (rc == 0)
		rc = packages_store(conn, id, true, &c->added, now_ms, added, err);
	if (rc == 0 && env)
		rc = env_apply(conn, env, c,
			       &(struct apply_packages){added, c->added.n, removed, c->removed.n},
			       now_ms, err);
	if (rc == 0 && env)
		rc = status_inherit(conn, machine, env, c, now_ms, err);
	if (rc == 0 && c->kind == CHANGE_DELETED)
		rc = decision_end(conn, machine->row, &c->environment, now_ms, err);
	arena_deinit(&arena);
	return rc;
}

/* One change of a batch: its place in the chain, and then it is either known or stored. */
static int append_one(struct db_conn *conn, const struct db_append *batch, size_t i,
		      struct journal *journal, const struct apply_machine *machine,
		      unsigned char chain[SHA256_SIZE], int64_t now_ms, struct err *err)
{
	const struct change *c = &batch->changes[i];
	unsigned char known[SHA256_SIZE];
	int rc;

	if (i > 0 && first_of(c) != batch->changes[i - 1].seq + 1)
		return err_set(err, ERR_INVALID, "seqs are not consecutive");
	if (first_of(c) > c->seq || c->seq > INT64_MAX || c->folded > INT64_MAX)
		return err_set(err, ERR_INVALID, "seq: out of range");
	if (uuid_cmp(&c->epoch, &batch->epoch) != 0)
		return err_set(err, ERR_INVALID, "a change of another epoch");
	/* A fold's hash is that of a change that is no more: the machine's word, as all of it is.
	   What lies before it was looked at, and what follows must go on from it. */
	if (is_fold(c))
		memcpy(chain, batch->hashes[i], SHA256_SIZE);
	else
		change_chain(chain, c, chain);
	if (!crypto_equal(chain, batch->hashes[i], SHA256_SIZE))
		return err_set(err, ERR_VERIFY, "the hash is not that of the change");
	if (c->seq <= journal->head) {
		rc = hash_at(conn, journal, c->seq, known, err);
		if (rc == 0 && !crypto_equal(known, chain, SHA256_SIZE))
			rc = err_set(err, ERR_CONFLICT, "another change is known here");
		return rc;
	}
	/* A part of what it tells is here already, and can't be told from the rest. */
	if (first_of(c) <= journal->head)
		return err_set(err, ERR_CONFLICT, "a part of a fold is known here");
	rc = change_store(conn, journal, machine, c, chain, now_ms, err);
	if (rc == 0) {
		journal->head = c->seq;
		memcpy(journal->head_hash, chain, SHA256_SIZE);
	}
	return rc;
}

static int batch_check(struct db_conn *conn, const struct db_append *batch,
		       const struct journal *journal, struct err *err)
{
	unsigned char before[SHA256_SIZE];
	uint64_t first = first_of(&batch->changes[0]);
	int rc;

	if (first == 0 || first > (uint64_t)INT64_MAX - batch->n)
		return err_set(err, ERR_INVALID, "seq: out of range");
	if (first - 1 > journal->head)
		return err_set(err, ERR_STALE,
			       "changes from %" PRIu64 " on, but the newest here is %" PRIu64,
			       first, journal->head);
	rc = hash_at(conn, journal, first - 1, before, err);
	if (rc == 0 && !crypto_equal(before, batch->previous_hash, SHA256_SIZE))
		rc = err_set(err, ERR_CONFLICT, "another change is known before these");
	return rc;
}

int db_journal_append(struct db_conn *conn, const struct db_append *batch, int64_t now_ms,
		      uint64_t *acked, struct err *err)
{
	struct apply_machine machine = {.id = batch->machine};
	struct journal journal = {.row = 0};
	unsigned char chain[SHA256_SIZE];
	uint64_t head;
	int rc = machine_row(conn, &batch->machine, &machine.row, err);

	if (rc == 0)
		rc = journal_get(conn, &batch->machine, &batch->epoch, &journal, err);
	if (rc == 0 && batch->n > 0)
		rc = batch_check(conn, batch, &journal, err);
	if (rc == 0 && batch->n > 0 && journal.row == 0)
		rc = journal_make(conn, machine.row, &batch->epoch, &journal, err);
	if (rc < 0)
		return rc;
	head = journal.head;
	memcpy(chain, batch->previous_hash, SHA256_SIZE);
	for (size_t i = 0; i < batch->n; i++) {
		rc = append_one(conn, batch, i, &journal, &machine, chain, now_ms, err);
		if (rc < 0) {
			if (err)
				(void)err_context(err, "change %" PRIu64, batch->changes[i].seq);
			return rc;
		}
	}
	if (journal.head > head) {
		rc = SQL_RUN(conn, NULL, err,
			     "UPDATE journal SET head = $1, head_hash = $2 WHERE id = $3",
			     ARG_INT(journal.head), ARG_BLOB(journal.head_hash, SHA256_SIZE),
			     ARG_INT(journal.row));
		if (rc == 0)
			rc = db_outbox_add(conn, DB_OUTBOX_CHANGES, &batch->machine, now_ms, err);
	}
	if (rc == 0)
		*acked = journal.head;
	return rc;
}
