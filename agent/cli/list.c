#include <stdio.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "agent/cli/table.h"
#include "agent/cli/times.h"
#include "platform/terminal.h"

struct options {
	const char *socket;
	bool all;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--all", NULL, "those of every account (if permitted)", offsetof(struct options, all)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "list [options]",
	.help = "Lists the environments the agent knows. STATUS is what holds on activation, and\n"
		"whether one is only partly read or not mounted (degraded; show says why), or\n"
		"left alone since the agent was told to (excluded). On a terminal long names and\n"
		"paths are shortened.",
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static const struct table_column columns[] = {
	{.title = "NAME", .shorten = TABLE_KEEP_BEGIN},
	{.title = "PATH", .shorten = TABLE_KEEP_END},
	{.title = "USER"},
	{.title = "PACKAGES", .right = true},
	{.title = "STATUS"},
	{.title = "LAST CHANGE"},
	{.title = "LAST USED"},
};
static const struct table_column own_columns[] = {
	{.title = "NAME", .shorten = TABLE_KEEP_BEGIN},
	{.title = "PATH", .shorten = TABLE_KEEP_END},
	{.title = "PACKAGES", .right = true},
	{.title = "STATUS"},
	{.title = "LAST CHANGE"},
	{.title = "LAST USED"},
};

/* What is printed, environment by environment. */
struct listing {
	const struct options *options;
	struct table table;
	struct json_writer writer;
	struct buf out;
};

static void begin(struct listing *l, struct arena *arena)
{
	buf_init(&l->out, OUTPUT_MAX);
	if (l->options->json) {
		output_document(&l->writer, &l->out, "envwarden.list/1");
		json_key(&l->writer, "environments");
		json_begin_array(&l->writer);
	} else if (l->options->all) {
		table_init(&l->table, arena, columns, ARRAY_SIZE(columns));
	} else {
		table_init(&l->table, arena, own_columns, ARRAY_SIZE(own_columns));
	}
	if (terminal_is(TERMINAL_OUT))
		l->table.fit = (size_t)terminal_width(TERMINAL_OUT);
}

static void add(struct listing *l, const struct environment_info *environment)
{
	char time[TIMES_TEXT_MAX];
	char status[64];

	if (l->options->json) {
		document_environment(&l->writer, environment);
		return;
	}
	times_day(environment->last_change_ms, time); /* `show` has the minute */
	table_cell(&l->table, environment->name);
	table_cell(&l->table, environment->prefix);
	if (l->options->all)
		table_cell(&l->table, environment->owner.name);
	table_number(&l->table, environment->package_count);
	(void)snprintf(status, sizeof status, "%s%s%s%s", action_status_name(environment->status),
		       environment->self_reported ? ", self-reported" : "",
		       environment->excluded ? ", excluded" : "",
		       environment->n_degraded > 0 ? ", degraded" : "");
	table_cell(&l->table, status);
	table_cell(&l->table, time);
	times_day(environment->last_used_ms, time);
	table_cell(&l->table, time);
}

static int finish(struct listing *l, struct err *err)
{
	int rc;

	if (l->options->json) {
		json_end_array(&l->writer);
		return output_end_document(&l->writer, err);
	}
	if (!l->table.first) {
		output_say("no environments are known");
		return 0;
	}
	rc = table_print(&l->table, 0, &l->out);
	if (rc < 0)
		return err_set(err, rc, "%s", err_text(rc));
	return output_write(&l->out, err);
}

static int receive(struct client *client, struct listing *l, struct arena *arena, struct err *err)
{
	for (;;) {
		struct environment_info environment;
		Envwarden__Local__Envelope *m;
		int rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), arena, &m, err);

		if (rc < 0 || m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			return rc;
		if (m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT ||
		    !m->environment->environment)
			continue; /* of a newer version */
		rc = environment_from_wire(m->environment->environment, &environment, err);
		if (rc < 0)
			return rc;
		add(l, &environment);
	}
}

int command_list(int argc, char **argv)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ListRequest request = ENVWARDEN__LOCAL__LIST_REQUEST__INIT;
	struct options options = {0};
	struct listing listing = {.options = &options};
	struct client client = {0};
	struct err err = ERR_INIT;
	struct args args = {0};
	struct arena arena;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc < 0)
		return output_usage(argv[0], &err);
	if (args.help)
		return EXIT_FINE;
	arena_init(&arena, CLIENT_MEMORY);
	begin(&listing, &arena);
	request.all = options.all;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_LIST;
	m.list = &request;
	rc = client_connect(&client, options.socket, &err);
	if (rc == 0)
		rc = client_send(&client, &m, client_deadline(CLIENT_ANSWER_MS), &err);
	if (rc == 0)
		rc = receive(&client, &listing, &arena, &err);
	if (rc == 0)
		rc = finish(&listing, &err);
	client_close(&client);
	buf_deinit(&listing.out);
	arena_deinit(&arena);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
