/* What goes up: package definitions, and changes by their keys. */
#include <string.h>

#include "lib/base/mem.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "server/db/db_env.h"
#include "server/db/db_journal.h"
#include "server/db/db_package.h"
#include "server/session/session_impl.h"

/* Packages spelled out for one message; there is one writer, so this is needed once. */
#define DICTIONARY_MEMORY (256U << 20)

int offer_run(struct db_conn *conn, struct task *task, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__PackageNeed need = ENVWARDEN__SYNC__PACKAGE_NEED__INIT;
	const ProtobufCBinaryData *offered = &task->message->package_offer->keys;
	unsigned char *missing = arena_alloc(&task->arena, offered->len + 1);
	size_t n = 0;
	int rc;

	if (!missing)
		return err_nomem(err);
	rc = db_package_missing(conn, offered->data, offered->len / PACKAGE_KEY_SIZE, missing, &n,
				err);
	if (rc < 0)
		return rc;
	need.keys = wire_bytes(missing, n * PACKAGE_KEY_SIZE);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_PACKAGE_NEED;
	envelope.package_need = &need;
	return task_reply(task, &envelope, err);
}

/* Their keys are computed by the store from what came: no machine names a package for the fleet. */
int packages_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__Packages *packages = task->message->packages;
	struct package package;
	int64_t id;
	int rc = 0;

	for (size_t i = 0; i < packages->n_packages && rc == 0; i++) {
		rc = package_from_wire(packages->packages[i], &package, err);
		if (rc == 0)
			rc = db_package_put(conn, &package, task->now_ms, &id, NULL, err);
	}
	return rc;
}

/* --- changes --- */

struct batch {
	struct change *changes; /* in the task's arena, as are these: */
	unsigned char (*hashes)[SHA256_SIZE];
	size_t n;
	struct arena packages;
};

static void batch_free(struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		change_deinit(&batch->changes[i]);
	arena_deinit(&batch->packages);
}

static int batch_read(struct db_conn *conn, struct task *task, const struct uuid *epoch,
		      struct batch *batch, struct err *err)
{
	const Envwarden__Sync__Changes *wire = task->message->changes;
	struct db_dictionary dictionary = {.conn = conn, .arena = &batch->packages};
	struct package_lookup lookup = {.find = db_dictionary_find, .ctx = &dictionary};
	int rc = 0;

	batch->changes = arena_calloc(&task->arena, wire->n_changes + 1, sizeof(*batch->changes));
	batch->hashes = arena_calloc(&task->arena, wire->n_changes + 1, SHA256_SIZE);
	if (!batch->changes || !batch->hashes)
		return err_nomem(err);
	for (size_t i = 0; i < wire->n_changes && rc == 0; i++) {
		rc = journal_change_from_wire(wire->changes[i], epoch, &lookup, &batch->changes[i],
					      err);
		if (rc == 0)
			batch->n++;
		hash_from_wire(&wire->changes[i]->hash, batch->hashes[i]);
	}
	if (rc == ERR_NOTFOUND && dictionary.rc < 0)
		return err_set(err, dictionary.rc, "package dictionary: %s",
			       err_text(dictionary.rc));
	if (rc == ERR_NOTFOUND)
		return err_set(err, rc,
			       "changes: a package is not known here; offer the packages first");
	return rc;
}

static int ack(struct task *task, const struct uuid *epoch, uint64_t seq, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__Ack message = ENVWARDEN__SYNC__ACK__INIT;

	message.epoch = wire_uuid(epoch);
	message.seq = seq;
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_ACK;
	envelope.ack = &message;
	return task_reply(task, &envelope, err);
}

/* A clock that is ahead must not keep later uses from being told. */
static int uses_store(struct db_conn *conn, const struct task *task, struct err *err)
{
	const Envwarden__Sync__Changes *wire = task->message->changes;
	int rc = 0;

	for (size_t i = 0; i < wire->n_uses && rc == 0; i++) {
		int64_t used_ms = wire->uses[i]->last_used_ms;
		struct uuid id;

		uuid_from_wire(&wire->uses[i]->environment, &id);
		rc = db_env_used(conn, &task->machine, &id,
				 used_ms < task->now_ms ? used_ms : task->now_ms, err);
	}
	return rc;
}

/* Rules ask how long an environment was not used; one that never was, since it was made: never
 * later than now, whatever its machine says. */
static int made_store(struct db_conn *conn, const struct task *task, struct err *err)
{
	const Envwarden__Sync__Changes *wire = task->message->changes;
	int rc = 0;

	for (size_t i = 0; i < wire->n_changes && rc == 0; i++) {
		const Envwarden__Sync__JournalChange *change = wire->changes[i];
		struct uuid id;

		if (change->created_ms <= 0)
			continue;
		uuid_from_wire(&change->environment, &id);
		rc = db_env_made(
			conn, &task->machine, &id,
			change->created_ms < task->now_ms ? change->created_ms : task->now_ms, err);
	}
	return rc;
}

static int notes_store(struct db_conn *conn, const struct task *task, struct err *err)
{
	const Envwarden__Sync__Changes *wire = task->message->changes;
	int rc = 0;

	for (size_t i = 0; i < wire->n_notes && rc == 0; i++) {
		struct db_env_notes notes = {
			.texts = (const char *const *)wire->notes[i]->degraded,
			.n = wire->notes[i]->n_degraded,
			.excluded = wire->notes[i]->excluded,
		};

		uuid_from_wire(&wire->notes[i]->environment, &notes.environment);
		rc = db_env_note(conn, &task->machine, &notes, err);
	}
	return rc;
}

int changes_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__Changes *wire = task->message->changes;
	struct db_append append = {.machine = task->machine};
	struct batch batch = {.n = 0};
	uint64_t acked = 0;
	int rc;

	uuid_from_wire(&wire->epoch, &append.epoch);
	hash_from_wire(&wire->previous_hash, append.previous_hash);
	arena_init(&batch.packages, DICTIONARY_MEMORY);
	rc = batch_read(conn, task, &append.epoch, &batch, err);
	if (rc == 0) {
		append.changes = batch.changes;
		append.hashes = (const unsigned char(*)[SHA256_SIZE])batch.hashes;
		append.n = batch.n;
		rc = db_journal_append(conn, &append, task->now_ms, &acked, err);
		if (rc == ERR_NOTFOUND)
			rc = err_set(err, ERR_PERM, "this machine is not known: enrol it again");
		else if (rc < 0)
			(void)err_context(err, "changes");
	}
	if (rc == 0)
		rc = made_store(conn, task, err);
	if (rc == 0)
		rc = uses_store(conn, task, err);
	if (rc == 0)
		rc = notes_store(conn, task, err);
	batch_free(&batch);
	return rc < 0 ? rc : ack(task, &append.epoch, acked, err);
}
