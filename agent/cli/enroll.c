#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "lib/base/text.h"
#include "platform/terminal.h"
#include "proto/convert.h"
#include "proto/join_code.h"
#include "proto/limits.h"

#define ENROLL_MS 120000 /* the agent dials, makes a key and waits for its certificate */

struct options {
	const char *join_file;
	const char *socket;
	bool yes;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--join-file", "FILE", "read the join code from a file, or from stdin (-)",
	 offsetof(struct options, join_file)},
	{"--yes", NULL, "do not ask", offsetof(struct options, yes)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "enroll [--join-file FILE|-] [options]",
	.help = "Joins this machine to an organisation. Asks for the join code if no file is "
		"given,\n"
		"shows whose it is and what will be sent, and asks before anything is.",
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* The join code as it was given; wiped when done. */
struct secret {
	char text[LIMIT_JOIN_CODE + 1];
	size_t n;
	struct join_code code;
};

/* --- the code --- */

static int read_file(const char *path, struct secret *secret, struct err *err)
{
	bool from_stdin = strcmp(path, "-") == 0;
	FILE *file = from_stdin ? stdin : fopen(path, "rb");
	int rc = 0;

	if (!file)
		return err_set(err, ERR_NOTFOUND, "cannot open %s", path);
	/* No buffer of libc's that would keep the code. */
	(void)setvbuf(file, NULL, _IONBF, 0);
	secret->n = fread(secret->text, 1, sizeof(secret->text), file);
	if (ferror(file))
		rc = err_set(err, ERR_IO, "cannot read %s", path);
	else if (secret->n == sizeof(secret->text))
		rc = err_set(err, ERR_LIMIT, "%s: too long for a join code", path);
	else
		secret->text[secret->n] = '\0';
	if (!from_stdin)
		(void)fclose(file);
	return rc;
}

static int get_code(const struct options *options, struct secret *secret, struct err *err)
{
	int rc;

	if (options->join_file) {
		rc = read_file(options->join_file, secret, err);
	} else {
		rc = terminal_read_line("Join code (not shown): ", true, secret->text,
					sizeof(secret->text), err);
		secret->n = rc == 0 ? strlen(secret->text) : 0;
		if (rc == ERR_NOTFOUND)
			return err_set(err, ERR_USAGE,
				       "no terminal to ask for the join code: use --join-file");
	}
	return rc < 0 ? rc : join_code_parse(secret->text, secret->n, &secret->code, err);
}

/* --- the question --- */

static void say_terms(const struct join_code *code)
{
	output_say("this machine would join %s, at:", code->name);
	for (size_t i = 0; i < code->n_addresses; i++)
		output_say("  %s", code->addresses[i]);
	output_say("It would then be sent, once the organisation has switched logging on:");
	output_say(
		"  this machine's name, system and agent version; of each conda environment its");
	output_say("  path, owner, packages and channels; of each change the account, time, tool");
	output_say("  and command, with secrets masked. Never the contents of files.");
}

static int confirm(const struct options *options, const struct join_code *code, struct err *err)
{
	bool yes = false;
	int rc;

	say_terms(code);
	if (options->yes)
		return 0;
	rc = terminal_ask("Proceed?", true, &yes, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_USAGE, "no terminal to ask on: say --yes to go ahead");
	if (rc == 0 && !yes)
		return err_set(err, ERR_CANCELED, "not enrolled: nothing was sent");
	return rc;
}

/* --- the agent --- */

/* Already enrolled: 1 = with this organisation, and said so; ERR_EXISTS = with another. */
static int check_enrolled(struct client *client, const struct join_code *code, struct arena *arena,
			  struct err *err)
{
	Envwarden__Local__Envelope request = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusRequest nothing = ENVWARDEN__LOCAL__STATUS_REQUEST__INIT;
	Envwarden__Local__Envelope *m;
	const Envwarden__Local__StatusReply *status;
	struct uuid organisation;
	int rc;

	request.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS;
	request.status = &nothing;
	rc = client_ask(client, &request, arena, &m, err);
	if (rc < 0 || m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY)
		return rc;
	status = m->status_reply;
	if (!status->enrolled)
		return 0;
	uuid_from_wire(&status->organisation_id, &organisation);
	if (uuid_cmp(&organisation, &code->organisation) != 0) {
		client->refused = true;
		return err_set(err, ERR_EXISTS, "this machine is enrolled with %s already",
			       status->organisation);
	}
	output_say("this machine is enrolled with %s already", status->organisation);
	return 1;
}

static int enroll(struct client *client, struct secret *secret, struct arena *arena,
		  Envwarden__Local__EnrollReply **out, struct err *err)
{
	Envwarden__Local__Envelope request = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnrollRequest enroll_request = ENVWARDEN__LOCAL__ENROLL_REQUEST__INIT;
	Envwarden__Local__Envelope *m;
	int rc;

	/* As it is spelled without what stands around it in a file. */
	while (secret->n > 0 && strchr(" \t\r\n", secret->text[secret->n - 1]))
		secret->text[--secret->n] = '\0';
	enroll_request.join_code = secret->text;
	request.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL;
	request.enroll = &enroll_request;
	rc = client_send(client, &request, client_deadline(CLIENT_ANSWER_MS), err);
	if (rc == 0)
		rc = client_recv(client, client_deadline(ENROLL_MS), arena, &m, err);
	if (rc == 0 && m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL_REPLY)
		rc = err_set(err, ERR_PROTOCOL, "the agent answered something else");
	if (rc == 0)
		*out = m->enroll_reply;
	return rc;
}

static int print_result(const Envwarden__Local__EnrollReply *reply, bool json, struct err *err)
{
	struct json_writer w;
	struct uuid machine;
	struct buf out;
	int rc;

	if (!json) {
		output_say("this machine is now enrolled with %s", reply->organisation);
		return 0;
	}
	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, "envwarden.enroll/1");
	json_kv_str(&w, "organisation", reply->organisation);
	uuid_from_wire(&reply->machine, &machine);
	document_uuid(&w, "machine", &machine);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

static int run(const struct options *options, struct client *client, struct secret *secret,
	       struct err *err)
{
	Envwarden__Local__EnrollReply *reply = NULL;
	struct arena arena;
	int rc = client_connect(client, options->socket, err);

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	if (rc == 0)
		rc = check_enrolled(client, &secret->code, &arena, err);
	if (rc == 0)
		rc = confirm(options, &secret->code, err);
	if (rc == 0)
		rc = enroll(client, secret, &arena, &reply, err);
	client_close(client);
	if (rc == 0)
		rc = print_result(reply, options->json, err);
	arena_deinit(&arena);
	return rc;
}

/* It must not be repeated on a terminal that others may see, either. */
static bool has_code(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (text_starts(argv[i], "EW"))
			return true;
	return false;
}

int command_enroll(int argc, char **argv)
{
	struct options options = {0};
	struct client client = {0};
	struct secret secret = {0};
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc < 0) {
		if (has_code(argc, argv))
			err_set(&err, rc,
				"a join code is secret and not for the command line, "
				"which others can see: use --join-file");
		return output_usage(argv[0], &err);
	}
	if (args.help)
		return EXIT_FINE;
	rc = get_code(&options, &secret, &err);
	if (rc == 0)
		rc = run(&options, &client, &secret, &err);
	else
		client.refused = true; /* no agent was asked: its reach is not the matter */
	crypto_wipe(&secret, sizeof(secret));
	if (rc == ERR_USAGE)
		return output_usage(argv[0], &err);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
