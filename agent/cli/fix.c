#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/ask.h"
#include "agent/cli/claim.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/message.h"
#include "agent/cli/output.h"
#include "agent/cli/repair.h"
#include "agent/cli/report.h"
#include "agent/cli/target.h"
#include "agent/cli/toolbox.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/run.h"
#include "platform/terminal.h"
#include "platform/users.h"

#define RECORD_MS 600000 /* a cold disk with a big environment */
#define SETTLED_MS 5000	 /* until a decision on what was read is made */
#define AGAIN_MS 100

struct options {
	struct target_words words;
	const char *socket;
	bool dry_run;
	bool yes;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "the environment of this name", offsetof(struct options, words.name)},
	{"--dry-run", NULL, "show what would be run", offsetof(struct options, dry_run)},
	{"--yes", NULL, "run it without asking; the tools do not ask either",
	 offsetof(struct options, yes)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "fix [ENV] [--dry-run] [--yes] [options]",
	.help = "Runs what lifts the warning or block of an environment (by default the active\n"
		"one), with the tool that owns it; shows it and asks before. Then the environment\n"
		"is read and checked again. Exits with 0 if it may be activated now, with 1 if a\n"
		"tool failed, with 4 if it is still blocked.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

struct fixing {
	const struct options *options;
	struct target *target;
	struct arena arena;
	struct environment_info environment;
	struct decision_reply reply;
	struct repair repair;
	char prefix[PATHS_MAX]; /* the environment's, in the bytes the system has */
	bool ran;
	bool failed; /* a tool, or it is not there */
};

/* --- the agent --- */

static int take(struct fixing *f, const Envwarden__Local__Envelope *m, struct err *err)
{
	if (m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT &&
	    m->environment->environment)
		return environment_from_wire(m->environment->environment, &f->environment, err);
	if (m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION)
		return decision_from_wire(m->decision, &f->arena, &f->reply, err);
	return 0; /* packages, and what a newer version tells */
}

/* The environment and the decision on it. */
static int learn(struct fixing *f, struct client *client, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ShowRequest request = ENVWARDEN__LOCAL__SHOW_REQUEST__INIT;
	Envwarden__Local__Envelope *answer = NULL;
	int rc;

	environment_info_init(&f->environment);
	decision_reply_init(&f->reply);
	request.target = &f->target->wire;
	request.can_prove = true;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_SHOW;
	m.show = &request;
	rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	while (rc == 0) {
		rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), &f->arena, &answer,
				 err);
		if (rc == 0 && answer->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (rc == 0)
			rc = take(f, answer, err);
	}
	if (rc == 0 && (!*f->environment.prefix || !*f->reply.prefix))
		rc = err_set(err, ERR_PROTOCOL, "the agent's answer lacks the environment");
	if (rc == 0)
		rc = text_to_path(f->environment.prefix, f->prefix, sizeof(f->prefix));
	return rc;
}

/* Reads it again, as `envwarden record` does, and waits until that is in the journal. */
static int record(struct fixing *f, struct client *client, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__RecordRequest request = ENVWARDEN__LOCAL__RECORD_REQUEST__INIT;
	Envwarden__Local__Envelope *answer = NULL;
	bool wanted = false;
	int rc;

	request.target = &f->target->wire;
	request.can_report = true;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD;
	m.record = &request;
	rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	while (rc == 0) {
		rc = client_recv(client, client_deadline(RECORD_MS), &f->arena, &answer, err);
		if (rc == 0 && answer->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		wanted = wanted ||
			 (rc == 0 &&
			  answer->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_ASKED);
	}
	if (rc == 0 && wanted)
		rc = report(client, &(struct report_request){.prefix = f->prefix}, err);
	return rc;
}

/* A decision on what was just read may be on its way still: a block is believed after a while. */
static int learn_again(struct fixing *f, struct client *client, struct err *err)
{
	int64_t until = client_deadline(SETTLED_MS);
	int rc = client_connect(client, f->options->socket, err);

	if (rc == 0)
		rc = record(f, client, err);
	while (rc == 0) {
		rc = learn(f, client, err);
		if (rc < 0 || f->reply.decision.action == ACTION_ALLOW ||
		    client_deadline(0) >= until)
			break;
		clock_sleep_ms(AGAIN_MS);
	}
	client_close(client);
	return rc;
}

/* --- what is shown --- */

static void add_reason(struct buf *out, const struct reason *reason)
{
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	message_cause(&text, reason);
	buf_adds(out, "     ");
	text_escape(out, buf_cstr(&text), text.len);
	buf_addc(out, '\n');
	buf_deinit(&text);
}

static void add_ask(struct buf *out, const struct decision_reply *reply)
{
	buf_adds(out, "Ask ");
	text_escape(out, reply->contact, strlen(reply->contact));
	buf_adds(out, *reply->contact ? "" : "your administrators");
	if (*reply->decision.case_code)
		buf_addf(out, ", case %s", reply->decision.case_code);
	buf_addc(out, '\n');
}

static void add_step(struct buf *out, const struct repair_step *step, size_t number)
{
	const char *text = step->why ? step->why : step->command;

	if (step->why)
		buf_adds(out, "  -  ");
	else
		buf_addf(out, "%3zu  ", number);
	text_escape(out, text, strlen(text));
	buf_addc(out, '\n');
	if (step->why && *step->reason->fix) {
		buf_adds(out, "     | ");
		text_escape(out, step->reason->fix, strlen(step->reason->fix));
		buf_addc(out, '\n');
	}
	add_reason(out, step->reason);
}

static void make_page(const struct fixing *f, struct buf *out)
{
	size_t number = 0;

	buf_addc(out, '"');
	text_escape(out, f->environment.name, strlen(f->environment.name));
	buf_addf(out, "\" %s. %s\n",
		 f->reply.decision.action == ACTION_BLOCK ? "is BLOCKED" : "has a WARNING",
		 f->repair.n_runnable > 0 ? "To lift it:" : "Nothing can be run to lift it:");
	for (size_t i = 0; i < f->repair.n; i++)
		add_step(out, &f->repair.steps[i], f->repair.steps[i].why ? number : ++number);
	if (f->repair.n_runnable < f->repair.n)
		add_ask(out, &f->reply);
}

/* Data when nothing but that is asked for, else talk. */
static int print_page(const struct fixing *f, bool data, struct err *err)
{
	struct buf out;
	int rc = 0;

	buf_init(&out, OUTPUT_MAX);
	make_page(f, &out);
	if (data)
		rc = output_write(&out, err);
	else if (buf_rc(&out) == 0)
		(void)fwrite(out.data, 1, out.len, stderr);
	buf_deinit(&out);
	return rc;
}

static void document_step(struct json_writer *w, const struct repair_step *step)
{
	json_begin_object(w);
	json_kv_str(w, "reason", step->reason->kind);
	json_kv_str_opt(w, "id", step->reason->id);
	if (step->why) {
		json_kv_str(w, "why_not", step->why);
		json_kv_str_opt(w, "fix", step->reason->fix);
	} else {
		json_kv_str(w, "tool", step->tool);
		json_kv_str(w, "command", step->command);
	}
	json_end_object(w);
}

/* The steps as they were planned, the decision as it is now. */
static int print_document(const struct fixing *f, struct err *err)
{
	struct json_writer w;
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, "envwarden.fix/1");
	json_key(&w, "steps");
	json_begin_array(&w);
	for (size_t i = 0; i < f->repair.n; i++)
		document_step(&w, &f->repair.steps[i]);
	json_end_array(&w);
	json_kv_bool(&w, "ran", f->ran);
	json_kv_bool(&w, "failed", f->failed);
	document_decision(&w, &f->reply);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

/* --- running --- */

/* Whoever runs it runs programs of the environment: nobody does so for somebody else. */
static int check_owner(const struct fixing *f, struct err *err)
{
	const struct person *owner = &f->environment.owner;

	if (owner->uid < 0 || owner->uid == (int64_t)users_current())
		return 0;
	return err_set(err, ERR_PERM,
		       "it belongs to %s: run this as that account, since tools run what is in it",
		       *owner->name ? owner->name : "another account");
}

static int confirm(const struct fixing *f, struct err *err)
{
	bool yes = false;
	int rc;

	if (f->options->yes)
		return 0;
	rc = terminal_ask(f->repair.n_runnable > 1 ? "Run these?" : "Run this?", true, &yes, err);
	if (rc == ERR_NOTFOUND)
		return err_set(err, ERR_USAGE, "no terminal to ask on: say --yes to go ahead");
	if (rc == 0 && !yes)
		return err_set(err, ERR_CANCELED, "nothing was run");
	return rc;
}

static void run_step(struct fixing *f, struct repair_step *step)
{
	static const char *const quiet[] = {"CONDA_ALWAYS_YES=true", "MAMBA_ALWAYS_YES=true",
					    "PIP_YES=1", NULL};
	struct run_command command = {.words = step->words.items,
				      .extra = f->options->yes ? quiet : quiet + 3};
	char program[PATHS_MAX];
	struct err err = ERR_INIT;
	int status = 0;
	int rc = toolbox_find(step->tool, f->prefix, program, &err);

	if (rc == 0) {
		command.program = step->words.items[0] = program;
		output_say("running %s, with %s", step->command, program);
		f->ran = true;
		rc = run_wait(&command, &status, &err);
	}
	f->failed = rc < 0 || status != 0;
	if (rc < 0)
		output_say("%s", err.text);
	else if (status != 0)
		output_say("%s failed with status %d", step->tool, status);
}

static void run_all(struct fixing *f)
{
	for (size_t i = 0; i < f->repair.n && !f->failed; i++)
		if (!f->repair.steps[i].why)
			run_step(f, &f->repair.steps[i]);
}

/* --- how it ends --- */

static int exit_code(const struct fixing *f)
{
	if (f->failed)
		return EXIT_FAILED;
	return f->reply.decision.action == ACTION_BLOCK ? EXIT_BLOCKED : EXIT_FINE;
}

static void tell_rest(const struct fixing *f)
{
	const struct decision *d = &f->reply.decision;
	struct buf out;

	if (d->action == ACTION_ALLOW) {
		output_say("\"%s\" may be activated.", f->environment.name);
		return;
	}
	output_say("\"%s\" %s still:", f->environment.name,
		   d->action == ACTION_BLOCK ? "is BLOCKED" : "has a WARNING");
	buf_init(&out, OUTPUT_MAX);
	for (size_t i = 0; i < d->n_reasons; i++)
		add_reason(&out, &d->reasons[i]);
	add_ask(&out, &f->reply);
	if (buf_rc(&out) == 0)
		(void)fwrite(out.data, 1, out.len, stderr);
	buf_deinit(&out);
}

static int run_and_check(struct fixing *f, struct client *client, struct err *err)
{
	int rc = check_owner(f, err);

	if (rc == 0)
		rc = print_page(f, false, err);
	if (rc == 0)
		rc = confirm(f, err);
	if (rc < 0)
		return rc;
	claim_repair(f->target, f->options->socket, false);
	run_all(f);
	claim_repair(f->target, f->options->socket, true);
	if (f->ran)
		rc = learn_again(f, client, err);
	if (rc == 0)
		tell_rest(f);
	return rc;
}

/* What there is to do, done or shown. */
static int proceed(struct fixing *f, struct client *client, struct err *err)
{
	const struct repair_input input = {.environment = &f->environment,
					   .decision = &f->reply.decision,
					   .prefix = f->prefix};
	int rc = repair_plan(&input, &f->arena, &f->repair);

	if (rc < 0)
		return err_set(err, rc, "%s", err_text(rc));
	if (f->reply.decision.action == ACTION_ALLOW)
		output_say("\"%s\" may be activated: there is nothing to fix.",
			   f->environment.name);
	else if (f->options->dry_run || f->repair.n_runnable == 0)
		rc = f->options->json ? 0 : print_page(f, f->options->dry_run, err);
	else
		rc = run_and_check(f, client, err);
	if (rc == 0 && f->options->json)
		rc = print_document(f, err);
	return rc;
}

/* --- without the agent --- */

/* What it left on disk says whether, and an administrator's words; not what to run. */
static int without_agent(struct fixing *f, const struct err *why)
{
	struct ask_places places;
	struct ask request = {.target = f->target};

	ask_find_places(&places, client_named_socket(f->options->socket), &request);
	request.deadline_ms = client_deadline(0);
	ask(&request, &f->arena, &f->reply);
	output_say("%s", why->text);
	if (f->reply.decision.action == ACTION_ALLOW || f->reply.decision.n_reasons == 0)
		return EXIT_NO_AGENT;
	f->environment.name = f->reply.name;
	output_say("\"%s\" was %s when it last answered; what lifts it, the agent alone knows.",
		   f->reply.name,
		   f->reply.decision.action == ACTION_BLOCK ? "BLOCKED" : "warned about");
	if (*f->reply.decision.reasons[0].message)
		output_say("| %s", f->reply.decision.reasons[0].message);
	if (*f->reply.contact)
		output_say("ask %s, case %s", f->reply.contact, f->reply.decision.case_code);
	return f->reply.decision.action == ACTION_BLOCK ? EXIT_BLOCKED : EXIT_FINE;
}

static int fix(struct fixing *f)
{
	struct client client = {0};
	struct err err = ERR_INIT;
	int code;
	int rc = client_connect(&client, f->options->socket, &err);

	if (rc == 0)
		rc = learn(f, &client, &err);
	client_close(&client);
	if (rc < 0) {
		bool down = !client.refused && (rc == ERR_NOTFOUND || rc == ERR_UNREACHABLE ||
						rc == ERR_TIMEOUT || rc == ERR_CLOSED);

		return down ? without_agent(f, &err) : client_failed(&client, &err);
	}
	rc = proceed(f, &client, &err);
	code = f->options->dry_run && f->repair.n_runnable > 0 ? EXIT_FINE : exit_code(f);
	if (rc == ERR_USAGE && !f->ran)
		return output_usage("fix", &err);
	if (rc == ERR_CANCELED && !f->ran) {
		output_say("%s", err.text);
		return code;
	}
	return rc < 0 ? client_failed(&client, &err) : code;
}

int command_fix(int argc, char **argv)
{
	struct options options = {0};
	struct target target;
	struct fixing f = {.options = &options, .target = &target};
	struct err err = ERR_INIT;
	struct args args = {0};
	int code;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc == 0 && !*target.wire.typed && !*target.wire.conda_prefix)
		rc = err_set(&err, ERR_USAGE, "no environment is active; name one");
	if (rc < 0)
		return output_usage(argv[0], &err);
	arena_init(&f.arena, CLIENT_MEMORY);
	code = fix(&f);
	arena_deinit(&f.arena);
	return code;
}
