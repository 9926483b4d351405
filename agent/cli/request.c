#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/asked_text.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "agent/cli/target.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/terminal.h"
#include "proto/convert.h"
#include "proto/limits.h"

#define WIDTH_MAX 80

struct options {
	struct target_words words;
	const char *reason;
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "the environment of this name", offsetof(struct options, words.name)},
	{"--reason", "TEXT", "why you need it as it is", offsetof(struct options, reason)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "request [ENV] [--reason TEXT] [options]",
	.help = "Asks your organisation for an exception, for an environment of yours that is\n"
		"blocked or warned about; without --reason, says what became of that. Without the\n"
		"network the request waits on this machine.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static void document_request(struct json_writer *w, const Envwarden__Local__AskedException *m)
{
	struct uuid id;

	uuid_from_wire(&m->id, &id);
	json_begin_object(w);
	document_uuid(w, "id", &id);
	json_kv_str(w, "state", asked_text_state(m->state));
	json_kv_str_opt(w, "user", m->user);
	json_kv_str(w, "reason", m->reason);
	json_kv_str_opt(w, "case", m->case_code);
	json_kv_time_opt(w, "made", m->made_ms);
	json_kv_str_opt(w, "message", m->message);
	json_kv_str_opt(w, "exception", m->exception);
	json_kv_time_opt(w, "until", m->until_ms);
	json_end_object(w);
}

static int print_document(const Envwarden__Local__AskedReply *reply, bool asked, struct err *err)
{
	struct json_writer w;
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, "envwarden.request/1");
	json_kv_str(&w, "name", reply->name);
	if (asked)
		json_kv_bool(&w, "new", !reply->existed);
	json_kv_bool(&w, "connected", reply->connected);
	json_key(&w, "requests");
	json_begin_array(&w);
	for (size_t i = 0; i < reply->n_requests; i++)
		document_request(&w, reply->requests[i]);
	json_end_array(&w);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

static size_t width_of(enum terminal_stream stream)
{
	int width = terminal_width(stream);

	return width > 0 && width < WIDTH_MAX ? (size_t)width : WIDTH_MAX;
}

/* What was just done is talk, what became of it is data. */
static int print_text(const Envwarden__Local__AskedReply *reply, const struct options *options,
		      const char *typed, struct err *err)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, OUTPUT_MAX);
	if (options->reason) {
		asked_text_made(&text, reply, typed, width_of(TERMINAL_ERR));
		rc = buf_rc(&text);
		if (rc == 0)
			(void)fwrite(text.data, 1, text.len, stderr);
	} else {
		asked_text_states(&text, reply, width_of(TERMINAL_OUT));
		rc = output_write(&text, err);
	}
	buf_deinit(&text);
	return rc < 0 ? err_set(err, rc, "%s", err_text(rc)) : 0;
}

static int show(const Envwarden__Local__Envelope *answer, const struct options *options,
		const char *typed, struct err *err)
{
	if (answer->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_ASKED)
		return err_set(err, ERR_PROTOCOL, "the agent answered something else");
	return options->json ? print_document(answer->asked, options->reason != NULL, err)
			     : print_text(answer->asked, options, typed, err);
}

static int ask(const struct options *options, const struct target *target)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT, *answer;
	Envwarden__Local__ExceptionAsk asks = ENVWARDEN__LOCAL__EXCEPTION_ASK__INIT;
	Envwarden__Local__ExceptionStates looks = ENVWARDEN__LOCAL__EXCEPTION_STATES__INIT;
	Envwarden__Local__Target wire = target->wire;
	struct client client = {0};
	struct err err = ERR_INIT;
	struct arena arena;
	int rc;

	if (options->reason) {
		asks.target = &wire;
		asks.reason = (char *)(uintptr_t)options->reason;
		m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_EXCEPTION_ASK;
		m.exception_ask = &asks;
	} else {
		looks.target = &wire;
		m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_EXCEPTION_STATES;
		m.exception_states = &looks;
	}
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	rc = client_connect(&client, options->socket, &err);
	if (rc == 0)
		rc = client_ask(&client, &m, &arena, &answer, &err);
	if (rc == 0)
		rc = show(answer, options, wire.typed, &err);
	client_close(&client);
	arena_deinit(&arena);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}

/* Before anything is sent: what no message can carry is a wrong use. */
static int check_reason(const char *reason, struct err *err)
{
	if (!reason)
		return 0;
	if (reason[strspn(reason, " \t\r\n")] == '\0')
		return err_set(err, ERR_USAGE, "--reason: why do you need it as it is?");
	if (strlen(reason) > LIMIT_TEXT)
		return err_set(err, ERR_USAGE, "--reason: more than %d bytes", LIMIT_TEXT);
	return text_is_utf8(reason, strlen(reason))
		       ? 0
		       : err_set(err, ERR_USAGE, "--reason: not UTF-8");
}

int command_request(int argc, char **argv)
{
	struct options options = {.socket = NULL};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0)
		rc = check_reason(options.reason, &err);
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	return rc < 0 ? output_usage(argv[0], &err) : ask(&options, &target);
}
