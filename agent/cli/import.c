/* import: a file of signed state (docs/formats.md, air-gap files) to the agent, which verifies it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/times.h"
#include "proto/limits.h"

#define TAKEN_MS 120000 /* for the agent to verify it and make it durable */
#define READ_SIZE 65536

struct options {
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "import FILE [options]",
	.help = "Takes over the signed policy and statuses in a file that was exported for this\n"
		"machine, where it can't reach its server; - reads stdin. What the agent verifies\n"
		"is the same as over the network; a file it refuses changes nothing. For root.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static int read_file(const char *path, struct buf *out, struct err *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	FILE *file = from_stdin ? stdin : fopen(path, "rb");
	size_t n = READ_SIZE;

	if (!file)
		return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
	while (n == READ_SIZE && buf_rc(out) == 0) {
		char *room = buf_reserve(out, READ_SIZE);

		n = room ? fread(room, 1, READ_SIZE, file) : 0;
		out->len += n;
	}
	if (ferror(file))
		err_set(err, ERR_IO, "cannot read %s", path);
	else if (buf_rc(out) < 0 || out->len > LIMIT_BUNDLE)
		err_set(err, ERR_LIMIT, "%s: larger than an air-gap file may be", path);
	else if (out->len == 0)
		err_set(err, ERR_INVALID, "%s: is empty", path);
	if (!from_stdin)
		(void)fclose(file);
	return err->code;
}

static int send_file(struct client *client, const struct buf *file, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ImportBegin begin = ENVWARDEN__LOCAL__IMPORT_BEGIN__INIT;
	Envwarden__Local__ImportEnd end = ENVWARDEN__LOCAL__IMPORT_END__INIT;
	int rc;

	begin.total = file->len;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT;
	m.import = &begin;
	rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	for (size_t at = 0; rc == 0 && at < file->len; at += LIMIT_LOCAL_CHUNK) {
		Envwarden__Local__ImportChunk chunk = ENVWARDEN__LOCAL__IMPORT_CHUNK__INIT;
		size_t left = file->len - at;

		chunk.data.data = (uint8_t *)file->data + at;
		chunk.data.len = left < LIMIT_LOCAL_CHUNK ? left : LIMIT_LOCAL_CHUNK;
		m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_CHUNK;
		m.import_chunk = &chunk;
		rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	}
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_END;
	m.import_end = &end;
	return rc < 0 ? rc : client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
}

static int print(const Envwarden__Local__ImportReply *reply, struct err *err)
{
	struct json_writer w;
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, "envwarden.import/1");
	json_kv_int(&w, "policy_version", (int64_t)reply->policy_version);
	json_kv_int(&w, "status_version", (int64_t)reply->status_version);
	json_kv_time_opt(&w, "created", reply->created_ms);
	json_kv_time_opt(&w, "stale", reply->stale_ms);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

static void say(const Envwarden__Local__ImportReply *reply)
{
	char created[TIMES_TEXT_MAX], stale[TIMES_TEXT_MAX];

	times_local(reply->created_ms, created);
	times_local(reply->stale_ms, stale);
	if (reply->policy_version > 0)
		output_say("policy %" PRIu64 " and status %" PRIu64 " are active, as of %s",
			   reply->policy_version, reply->status_version, created);
	else
		output_say("status %" PRIu64 " is active, without a policy, as of %s",
			   reply->status_version, created);
	if (reply->stale_ms > 0)
		output_say("they count as fresh until %s", stale);
}

static int import(struct client *client, const struct options *options, const struct buf *file,
		  struct err *err)
{
	Envwarden__Local__Envelope *answer;
	struct arena arena;
	int rc = client_connect(client, options->socket, err);

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	if (rc == 0)
		rc = send_file(client, file, err);
	if (rc == 0)
		rc = client_recv(client, client_deadline(TAKEN_MS), &arena, &answer, err);
	if (rc == 0 && answer->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_IMPORT_REPLY)
		rc = err_set(err, ERR_PROTOCOL, "the agent answered something else");
	if (rc == 0 && options->json)
		rc = print(answer->import_reply, err);
	else if (rc == 0)
		say(answer->import_reply);
	client_close(client);
	arena_deinit(&arena);
	return rc;
}

int command_import(int argc, char **argv)
{
	struct options options = {0};
	struct client client = {0};
	struct err err = ERR_INIT;
	struct args args = {0};
	struct buf file;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0 && args.n_words == 0)
		rc = err_set(&err, ERR_USAGE, "which file? (- is stdin)");
	if (rc < 0)
		return output_usage(argv[0], &err);
	buf_init(&file, LIMIT_BUNDLE + READ_SIZE);
	rc = read_file(args.words[0], &file, &err);
	if (rc < 0)
		client.refused = true; /* no agent was asked: its reach is not the matter */
	else
		rc = import(&client, &options, &file, &err);
	buf_deinit(&file);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
