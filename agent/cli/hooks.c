#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/base.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/table.h"
#include "agent/cli/wanted.h"
#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "platform/process.h"
#include "platform/safe_open.h"
#include "platform/users.h"
#include "proto/convert.h"

#define ACCOUNT_PATIENCE_MS 20000 /* for the bases of one account, the last one apart */

struct options {
	const char *base;
	const char *socket;
	const char *state_dir;
	bool all;
	bool wanted;
	bool hashes;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--base", "PATH", "the base at this path", offsetof(struct options, base)},
	{"--all", NULL, "every base the agent knows: as root everybody's, else your own",
	 offsetof(struct options, all)},
	{"--wanted", NULL, "the bases the agent asks for, which are asked for no longer then",
	 offsetof(struct options, wanted)},
	{"--state-dir", "DIR", "with --wanted: the agent's state folder",
	 offsetof(struct options, state_dir)},
	{"--hashes", NULL, "the SHA-256 of each file that is placed, for whoever has to allow them",
	 offsetof(struct options, hashes)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "hooks place|remove|status [--base PATH | --all | --wanted] [options]",
	.help = "Places in conda bases what asks the agent when conda activates an environment,\n"
		"removes it, or says whether it is there (by default in all). Each base is "
		"changed\n"
		"with the rights of its owner. Exits with 5 if `status` finds one without.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static const struct table_column columns[] = {
	{.title = "BASE"}, {.title = "PYTHON"}, {.title = "STATE"}, {.title = "WHY"}};

/* An account whose bases were worked on. */
struct account {
	struct account *next;
	uint32_t uid;
	int64_t spent_ms;
};

/* A base to work on, in the order the agent told. */
struct known {
	struct known *next;
	const char *prefix;
	uint32_t uid;
};

struct run {
	const struct options *options;
	struct account *accounts;
	enum base_action action;
	struct pieces pieces;
	struct arena arena;
	struct table table;
	struct json_writer writer;
	struct buf out;
	size_t n;      /* bases */
	size_t not_so; /* of them not as they were to be */
};

/* --- one base --- */

/* text: the path as it is shown. */
static void add(struct run *run, const char *text, const struct base_report *report)
{
	struct json_writer *w = &run->writer;
	const char *state = base_state_name(report->state);

	if (!run->options->json) {
		table_cell(&run->table, text);
		table_cell(&run->table, report->pythons);
		table_cell(&run->table, state);
		table_cell(&run->table, report->why);
		return;
	}
	json_begin_object(w);
	json_kv_str(w, "prefix", text);
	json_kv_str(w, "state", state);
	json_kv_str(w, "pythons", report->pythons);
	json_kv_str_opt(w, "why", report->why);
	json_end_object(w);
}

static struct account *account_of(struct run *run, uint32_t uid)
{
	struct account *a = run->accounts;

	while (a && a->uid != uid)
		a = a->next;
	if (a)
		return a;
	a = arena_calloc(&run->arena, 1, sizeof(*a));
	if (a) {
		a->uid = uid;
		a->next = run->accounts;
		run->accounts = a;
	}
	return a;
}

/* Whoever has many bases that hang, or take long, keeps the others waiting only so long. */
static void work(struct run *run, const struct base_job *job, struct base_report *report)
{
	const struct clock *clock = clock_system();
	struct account *account = account_of(run, job->uid);
	int64_t began = clock->mono_ms(clock);

	if (account && account->spent_ms >= ACCOUNT_PATIENCE_MS) {
		*report = (struct base_report){.state = BASE_FAILED};
		(void)snprintf(report->why, sizeof(report->why),
			       "other bases of uid %u took too long", (unsigned)job->uid);
		return;
	}
	base_work_as_owner(job, report);
	if (account)
		account->spent_ms += clock->mono_ms(clock) - began;
}

/* An environment that is no base is skipped, unless it was named. */
static void do_one(struct run *run, const char *text, uint32_t uid, bool named)
{
	enum base_state wanted = run->action == BASE_REMOVE ? BASE_MISSING : BASE_PLACED;
	struct base_report report = {0};
	char prefix[PATHS_MAX];
	struct base_job job = {
		.prefix = prefix, .uid = uid, .action = run->action, .pieces = &run->pieces};

	if (text_to_path(text, prefix, sizeof(prefix)) < 0)
		return;
	work(run, &job, &report);
	if (report.state == BASE_NONE && !named)
		return;
	if (report.state == BASE_NONE)
		(void)snprintf(report.why, sizeof(report.why),
			       "no base of conda or mamba with a Python of its own");
	if (run->action == BASE_REMOVE && report.state == BASE_MISSING)
		report.why[0] = '\0';
	run->n++;
	run->not_so += report.state != wanted;
	add(run, text, &report);
}

/* --- which ones --- */

static int do_named(struct run *run, struct err *err)
{
	struct safe_dir *dir = NULL;
	struct file_info info = {0};
	char real[PATHS_MAX];
	struct buf text;
	int rc = safe_dir_open(run->options->base, &dir, err);

	buf_init(&text, 4 * PATHS_MAX);
	if (rc == 0)
		rc = safe_dir_info(dir, &info, err);
	if (rc == 0)
		rc = safe_dir_real_path(dir, real, sizeof(real), err);
	safe_dir_close(dir);
	if (rc == 0) {
		text_from_path(&text, real);
		do_one(run, buf_cstr(&text), info.uid, true);
	}
	buf_deinit(&text);
	return rc;
}

static int keep(struct run *run, const struct environment_info *info, struct known ***last,
		struct err *err)
{
	struct known *known;

	if (info->owner.uid < 0 || info->owner.uid >= USERS_UID_NONE)
		return 0;
	known = arena_calloc(&run->arena, 1, sizeof(*known));
	if (!known)
		return err_set(err, ERR_NOMEM, "the list of environments");
	known->prefix = info->prefix; /* in the arena, as the message is */
	known->uid = (uint32_t)info->owner.uid;
	**last = known;
	*last = &known->next;
	return 0;
}

/* All of them first: the agent would not wait while a base takes long. */
static int do_known(struct run *run, struct client *client, struct err *err)
{
	struct known *first = NULL, **last = &first;
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ListRequest request = ENVWARDEN__LOCAL__LIST_REQUEST__INIT;
	struct environment_info info;
	Envwarden__Local__Envelope *answer;
	int rc = client_connect(client, run->options->socket, err);

	request.all = users_is_root();
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST;
	m.list = &request;
	if (rc == 0)
		rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	while (rc == 0) {
		rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), &run->arena, &answer,
				 err);
		if (rc < 0 || answer->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (answer->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT ||
		    !answer->environment->environment)
			continue; /* of a newer version */
		rc = environment_from_wire(answer->environment->environment, &info, err);
		if (rc == 0)
			rc = keep(run, &info, &last, err);
	}
	for (const struct known *k = first; k && rc == 0; k = k->next)
		do_one(run, k->prefix, k->uid, false);
	return rc;
}

static int do_wanted(struct run *run, struct err *err)
{
	const struct wanted_base *bases = NULL;
	size_t n = 0;
	int rc = wanted_take(run->options->state_dir, &run->arena, &bases, &n, err);

	for (size_t i = 0; i < n && rc == 0; i++)
		do_one(run, bases[i].prefix, bases[i].uid, false);
	return rc;
}

/* --- what is printed --- */

/* What systemd starts, where it is enabled: packaging/systemd. */
static void warn_that_they_come_back(void)
{
	static const char *const enabled[] = {
		"/etc/systemd/system/timers.target.wants/envwarden-hooks.timer",
		"/etc/systemd/system/paths.target.wants/envwarden-hooks.path"};

	for (size_t i = 0; i < ARRAY_SIZE(enabled); i++) {
		if (!files_exists(enabled[i]))
			continue;
		output_say("what is removed comes back, until this is done: systemctl disable "
			   "--now envwarden-hooks.timer envwarden-hooks.path");
		return;
	}
}

static void begin(struct run *run)
{
	if (!run->options->json) {
		table_init(&run->table, &run->arena, columns, ARRAY_SIZE(columns));
		return;
	}
	output_document(&run->writer, &run->out, "envwarden.hooks/1");
	json_key(&run->writer, "bases");
	json_begin_array(&run->writer);
}

static int finish(struct run *run, struct err *err)
{
	int rc;

	if (run->options->json) {
		json_end_array(&run->writer);
		return output_end_document(&run->writer, err);
	}
	if (run->n == 0) {
		output_say(run->options->wanted ? "nothing is to be placed"
						: "the agent knows no conda base yet; for one of "
						  "yours: --base PATH");
		return 0;
	}
	rc = table_print(&run->table, 0, &run->out);
	if (rc < 0)
		return err_set(err, rc, "%s", err_text(rc));
	return output_write(&run->out, err);
}

/* As sha256sum prints them; below site-packages. */
static int print_hashes(struct run *run, struct err *err)
{
	unsigned char hash[SHA256_SIZE];

	for (size_t i = 0; i < run->pieces.n; i++) {
		const struct piece *piece = &run->pieces.items[i];

		sha256(piece->text, piece->n, hash);
		buf_add_hex(&run->out, hash, sizeof(hash));
		buf_addf(&run->out, "  %s%s\n", piece->in_folder ? PIECES_FOLDER "/" : "",
			 piece->name);
	}
	return output_write(&run->out, err);
}

static int do_all(struct run *run)
{
	static const int codes[] = {[BASE_LOOK] = EXIT_DEGRADED,
				    [BASE_PLACE] = EXIT_FAILED,
				    [BASE_REMOVE] = EXIT_FAILED};
	struct client client = {0};
	struct err err = ERR_INIT;
	int rc;

	begin(run);
	if (run->action == BASE_REMOVE)
		warn_that_they_come_back();
	if (run->options->base)
		rc = do_named(run, &err);
	else if (run->options->wanted)
		rc = do_wanted(run, &err);
	else
		rc = do_known(run, &client, &err);
	client_close(&client);
	if (rc < 0 && !run->options->base && !run->options->wanted)
		return client_failed(&client, &err);
	if (rc == 0)
		rc = finish(run, &err);
	if (rc < 0)
		output_say("%s", err.text);
	if (rc < 0)
		return EXIT_FAILED;
	return run->not_so > 0 ? codes[run->action] : EXIT_FINE;
}

static int parse_action(const struct args *args, const struct options *options,
			enum base_action *action, struct err *err)
{
	static const char *const names[] = {
		[BASE_LOOK] = "status", [BASE_PLACE] = "place", [BASE_REMOVE] = "remove"};

	for (size_t i = 0; i < ARRAY_SIZE(names) && args->n_words > 0; i++) {
		if (strcmp(args->words[0], names[i]) != 0)
			continue;
		*action = (enum base_action)i;
		if ((options->base != NULL) + options->all + options->wanted > 1)
			return err_set(err, ERR_USAGE, "name one base, or all");
		if (*action != BASE_PLACE && options->wanted)
			return err_set(err, ERR_USAGE, "--wanted goes with `place` alone");
		if (options->state_dir && !options->wanted)
			return err_set(err, ERR_USAGE, "--state-dir goes with --wanted alone");
		if (*action != BASE_LOOK && !options->base && !options->all && !options->wanted)
			return err_set(err, ERR_USAGE, "say which: --base PATH or --all");
		if (options->hashes && (*action != BASE_LOOK || options->json))
			return err_set(err, ERR_USAGE, "--hashes goes with `status` alone");
		return 0;
	}
	return err_set(err, ERR_USAGE, "say what to do: place, remove or status");
}

int command_hooks(int argc, char **argv)
{
	struct options options = {0};
	struct run run = {.options = &options};
	char command[PATHS_MAX];
	struct err err = ERR_INIT;
	struct args args = {0};
	int code = EXIT_FAILED;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0)
		rc = parse_action(&args, &options, &run.action, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	arena_init(&run.arena, CLIENT_MEMORY);
	buf_init(&run.out, OUTPUT_MAX);
	rc = process_own_path(command, sizeof(command), &err);
	if (rc == 0)
		rc = pieces_init(&run.pieces, command, &err);
	if (rc == 0 && options.hashes) {
		rc = print_hashes(&run, &err);
		code = EXIT_FINE;
	} else if (rc == 0) {
		code = do_all(&run);
	}
	if (rc < 0)
		output_say("%s", err.text);
	pieces_deinit(&run.pieces);
	buf_deinit(&run.out);
	arena_deinit(&run.arena);
	return rc < 0 ? EXIT_FAILED : code;
}
