#include "agent/cli/grace.h"

#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/times.h"
#include "proto/limits.h"

static int print(const Envwarden__Local__GraceReply *reply, const char *schema, struct err *err)
{
	struct json_writer w;
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, schema);
	json_kv_str(&w, "name", reply->name);
	json_kv_time_opt(&w, "until", reply->until_ms);
	if (reply->case_code[0] != '\0')
		json_kv_str(&w, "case", reply->case_code);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

static int show(const struct grace_options *options, const Envwarden__Local__Envelope *answer,
		const char *schema, const char *verb, struct err *err)
{
	char until[TIMES_TEXT_MAX];

	if (answer->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_GRACE)
		return err_set(err, ERR_PROTOCOL, "the agent answered something else");
	if (options->json)
		return print(answer->grace, schema, err);
	times_local(answer->grace->until_ms, until);
	output_say("\"%s\" %s until %s", answer->grace->name, verb, until);
	return 0;
}

int grace_ask(const struct grace_options *options, Envwarden__Local__Envelope *request,
	      const char *schema, const char *verb)
{
	struct client client = {0};
	struct err err = ERR_INIT;
	Envwarden__Local__Envelope *answer;
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	rc = client_connect(&client, options->socket, &err);
	if (rc == 0)
		rc = client_ask(&client, request, &arena, &answer, &err);
	if (rc == 0)
		rc = show(options, answer, schema, verb, &err);
	client_close(&client);
	arena_deinit(&arena);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
