#include "agent/cli/report.h"

#include "agent/cli/target.h"
#include "agent/prefix/examine.h"
#include "agent/prefix/facts.h"
#include "lib/conda/record.h"
#include "platform/clock.h"
#include "platform/process.h"
#include "proto/limits.h"

#define SETTLE_PATIENCE_MS 10000 /* for a run under way to end */
#define SEND_MS 10000		 /* for one frame */
#define STORED_MS 60000		 /* for the agent to make it durable */

/* --- reading --- */

static int judge(const struct examined *found, const char *prefix, struct err *err)
{
	switch (found->kind) {
	case EXAMINE_DENIED:
		return err_set(err, ERR_PERM, "%s: you may not read it, nor may the agent", prefix);
	case EXAMINE_NOTHING:
	case EXAMINE_PLAIN:
		return err_set(err, ERR_NOTFOUND, "%s: there is no environment there", prefix);
	default:
		if (found->is_cache)
			return err_set(err, ERR_NOTFOUND, "%s: a package cache, no environment",
				       prefix);
		return 0;
	}
}

/* One look; *wait_ms is 0 when what it found may be told. */
static int look(const struct report_request *request, struct json_reader *json, unsigned reads,
		struct arena *arena, struct examined *found, int64_t *wait_ms, struct err *err)
{
	const struct clock *clock = clock_system();
	struct examine_request what = {
		.prefix = request->prefix, .now_ms = clock->wall_ms(clock), .json = json};
	int rc;

	if (request->if_changed && request->stamp_n == SHA256_SIZE)
		what.stamp = request->stamp;
	rc = examine(&what, arena, found, err);
	if (rc < 0)
		return rc;
	rc = judge(found, request->prefix, err);
	found->signs.reads = reads;
	*wait_ms = found->kind == EXAMINE_ENVIRONMENT ? settle_judge(&found->signs).wait_ms : 0;
	if (rc < 0 || *wait_ms > 0)
		package_list_deinit(&found->packages);
	return rc;
}

/* Until it has settled. The caller frees the packages found. */
static int read_settled(const struct report_request *request, struct json_reader *json,
			struct arena *arena, struct examined *found, struct err *err)
{
	int64_t deadline = client_deadline(SETTLE_PATIENCE_MS);

	for (unsigned reads = 1;; reads++) {
		int64_t wait_ms = 0;
		int rc = look(request, json, reads, arena, found, &wait_ms, err);

		if (rc < 0 || wait_ms == 0)
			return rc;
		if (client_deadline(wait_ms) > deadline)
			return err_set(err, ERR_BUSY, "%s: it is being changed; try again",
				       request->prefix);
		arena_reset(arena);
		clock_sleep_ms(wait_ms);
	}
}

/* --- telling --- */

static int begin(struct client *client, const char *prefix, struct arena *arena,
		 Envwarden__Local__Envelope **answer, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ReportBegin request = ENVWARDEN__LOCAL__REPORT_BEGIN__INIT;
	char text[LIMIT_PATH + 1];
	int rc = target_text(prefix, text, err);

	if (rc < 0)
		return rc;
	request.prefix = text;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT;
	m.report = &request;
	rc = client_send(client, &m, client_deadline(SEND_MS), err);
	return rc < 0 ? rc : client_receive(client, client_deadline(STORED_MS), arena, answer, err);
}

static int send_pieces(struct client *client, const struct buf *frames, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ReportEnd end = ENVWARDEN__LOCAL__REPORT_END__INIT;
	int rc = 0;

	for (size_t at = 0; rc == 0 && at < frames->len; at += LIMIT_LOCAL_CHUNK) {
		Envwarden__Local__ReportChunk chunk = ENVWARDEN__LOCAL__REPORT_CHUNK__INIT;
		size_t left = frames->len - at;

		chunk.data.data = (uint8_t *)frames->data + at;
		chunk.data.len = left < LIMIT_LOCAL_CHUNK ? left : LIMIT_LOCAL_CHUNK;
		m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_CHUNK;
		m.report_chunk = &chunk;
		rc = client_send(client, &m, client_deadline(SEND_MS), err);
	}
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_END;
	m.report_end = &end;
	return rc < 0 ? rc : client_send(client, &m, client_deadline(SEND_MS), err);
}

static int tell(struct client *client, struct examined *found, const struct buf *frames,
		struct err *err)
{
	Envwarden__Local__Envelope *answer;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	rc = begin(client, found->prefix, &arena, &answer, err);
	if (rc < 0 || answer->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
		goto out; /* the agent could read it after all */
	if (answer->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_DESCRIPTOR_WANTED) {
		rc = err_set(err, ERR_PROTOCOL, "the agent answered something else");
		goto out;
	}
	rc = client_prove(client, found->prefix, err);
	if (rc == 0)
		rc = send_pieces(client, frames, err);
	if (rc == 0)
		rc = client_receive(client, client_deadline(STORED_MS), &arena, &answer, err);
out:
	arena_deinit(&arena);
	return rc;
}

int report(struct client *client, const struct report_request *request, struct err *err)
{
	struct json_reader *json = NULL;
	struct examined found;
	struct arena arena;
	struct buf frames;
	int rc = json_reader_new(&record_limits, &json);

	if (rc < 0)
		return err_nomem(err);
	arena_init(&arena, EXAMINE_ARENA_MAX);
	buf_init(&frames, LIMIT_REPORT);
	rc = read_settled(request, json, &arena, &found, err);
	if (rc == 0 && found.kind == EXAMINE_ENVIRONMENT) {
		rc = facts_pack(&found, "", false, &arena, &frames, err);
		package_list_deinit(&found.packages);
		if (rc == ERR_LIMIT)
			err_set(err, rc, "%s: too much in it for a report", request->prefix);
		if (rc == 0)
			rc = tell(client, &found, &frames, err);
	}
	buf_deinit(&frames);
	arena_deinit(&arena);
	json_reader_free(json);
	return rc;
}

void report_later(const char *prefix, const char *socket)
{
	const char *with_socket[] = {"envwarden", "record",   "--if-changed", "--prefix",
				     prefix,	  "--socket", socket,	      NULL};
	const char *plain[] = {"envwarden", "record", "--if-changed", "--prefix", prefix, NULL};

	(void)process_spawn_detached(socket ? with_socket : plain, NULL);
}
