#include "agent/cli/args.h"
#include "agent/cli/change_text.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "agent/cli/target.h"
#include "lib/base/since.h"
#include "platform/clock.h"

#define RECONNECT_MS 500

struct options {
	struct target_words words;
	const char *since;
	const char *socket;
	bool follow;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "of the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "of the environment of this name", offsetof(struct options, words.name)},
	{"--since", "T", "changes after 2d, 3h, 30m ago, or a time like 2026-11-22T17:17:42Z",
	 offsetof(struct options, since)},
	{"--follow", NULL, "go on with changes as they happen", offsetof(struct options, follow)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "history [ENV] [options]",
	.help = "Prints the journal of an environment, or of all you may see; oldest first.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

struct listing {
	const struct options *options;
	struct json_writer writer; /* of the one document; with --follow there is one a line */
	struct buf out;
	struct uuid epoch; /* of the newest change printed, zeroes: none yet */
	uint64_t seq;
	bool answered; /* an agent took the request, so this goes on when it is back */
	bool waiting;  /* it was said that it does not answer */
	bool was_lost; /* no change was printed since it is back */
	bool any;      /* a change was printed */
};

static void note_position(struct listing *l, const struct change *change)
{
	if (l->was_lost && !uuid_is_zero(&l->epoch) && uuid_cmp(&l->epoch, &change->epoch) != 0)
		output_say("the agent's journal began a new epoch: environments are told anew");
	l->was_lost = false;
	l->epoch = change->epoch;
	l->seq = change->seq;
}

static int print_change(struct listing *l, const struct change *change, struct err *err)
{
	l->any = true;
	if (l->options->follow)
		note_position(l, change);
	if (!l->options->json) {
		change_text(change, &l->out);
	} else if (l->options->follow) {
		json_writer_init(&l->writer, &l->out);
		document_change(&l->writer, change);
		buf_addc(&l->out, '\n');
	} else {
		document_change(&l->writer, change);
	}
	return output_write(&l->out, err);
}

/* --- changes as they come, in one frame or more --- */

struct assembly {
	struct change change;
	bool open; /* further packages of this change follow */
};

static int add_wire(struct package_list *list, Envwarden__Package *const *items, size_t n,
		    struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct package package;

		rc = package_from_wire(items[i], &package, err);
		if (rc == 0 && package_list_add(list, &package) < 0)
			rc = err_nomem(err);
	}
	return rc;
}

static int assemble(struct assembly *a, const Envwarden__Local__ChangeItem *item, struct err *err)
{
	const Envwarden__Change *wire = item->change;
	int rc;

	if (!wire || (a->open && wire->seq != a->change.seq))
		return err_set(err, ERR_PROTOCOL, "the agent's answer has pieces that don't fit");
	if (!a->open) {
		rc = change_from_wire(wire, &a->change, err);
	} else {
		rc = add_wire(&a->change.added, wire->added, wire->n_added, err);
		if (rc == 0)
			rc = add_wire(&a->change.removed, wire->removed, wire->n_removed, err);
	}
	if (rc == 0)
		a->open = item->more;
	return rc;
}

static int receive(struct client *client, struct listing *l, struct arena *arena, struct err *err)
{
	int64_t patience = l->options->follow ? -1 : CLIENT_ANSWER_MS;
	struct assembly a = {.open = false};
	int rc;

	change_init(&a.change);
	for (;;) {
		Envwarden__Local__Envelope *m;

		rc = client_recv(client, client_deadline(patience), arena, &m, err);
		if (rc < 0 || m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_CHANGE)
			continue; /* of a newer version */
		rc = assemble(&a, m->change, err);
		if (rc == 0 && !a.open) {
			rc = print_change(l, &a.change, err);
			change_deinit(&a.change);
			change_init(&a.change);
			arena_reset(arena);
		}
		if (rc < 0)
			break;
	}
	change_deinit(&a.change);
	return rc;
}

/* --- the command --- */

static int print_all(struct client *client, struct listing *l, struct err *err)
{
	bool one_document = l->options->json && !l->options->follow;
	struct arena arena;
	int rc;

	arena_init(&arena, CLIENT_MEMORY);
	if (one_document) {
		output_document(&l->writer, &l->out, "envwarden.history/1");
		json_key(&l->writer, "changes");
		json_begin_array(&l->writer);
	}
	rc = receive(client, l, &arena, err);
	if (rc == 0 && one_document) {
		json_end_array(&l->writer);
		rc = output_end_document(&l->writer, err);
	}
	arena_deinit(&arena);
	return rc;
}

static int ask(struct client *client, struct listing *l, struct target *target, int64_t since_ms,
	       struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__HistoryRequest request = ENVWARDEN__LOCAL__HISTORY_REQUEST__INIT;
	int rc;

	request.target = &target->wire;
	request.since_ms = since_ms;
	request.follow = l->options->follow;
	request.can_prove = true;
	if (!uuid_is_zero(&l->epoch)) {
		request.after_epoch =
			(ProtobufCBinaryData){.len = sizeof(l->epoch.b), .data = l->epoch.b};
		request.after_seq = l->seq;
	}
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_HISTORY;
	m.history = &request;
	rc = client_connect(client, l->options->socket, err);
	return rc < 0 ? rc : client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
}

/*
 * Whether what ended the answer passes: the agent was stopped or has started anew. Just started, it
 * may not know the environment yet.
 */
static bool passes(const struct listing *l, const struct client *client, int rc)
{
	if (!l->options->follow || !l->answered)
		return false;
	switch (rc) {
	case 0:
	case ERR_CLOSED:
	case ERR_TIMEOUT:
	case ERR_UNREACHABLE:
		return true;
	case ERR_NOTFOUND:
	case ERR_BUSY:
		return !client->refused || l->was_lost;
	default:
		return false;
	}
}

static void wait_for_agent(struct listing *l)
{
	if (!l->waiting)
		output_say("the agent does not answer; waiting for it");
	l->waiting = true;
	l->was_lost = true;
	clock_sleep_ms(RECONNECT_MS);
}

static int history(struct client *client, const struct options *options, struct target *target,
		   int64_t since_ms, struct err *err)
{
	struct listing listing = {.options = options};
	int rc;

	buf_init(&listing.out, OUTPUT_MAX);
	for (;;) {
		struct err why = ERR_INIT;
		bool asked;

		rc = ask(client, &listing, target, since_ms, &why);
		asked = rc == 0;
		if (asked)
			rc = print_all(client, &listing, &why);
		if (asked && !client->refused) {
			listing.answered = true;
			listing.waiting = false;
		}
		client_close(client);
		if (!passes(&listing, client, rc)) {
			*err = why;
			break;
		}
		wait_for_agent(&listing);
	}
	if (rc == 0 && !listing.any && !options->json)
		output_say(since_ms > 0 ? "no changes since then" : "no changes are kept");
	buf_deinit(&listing.out);
	return rc;
}

int command_history(int argc, char **argv)
{
	const struct clock *clock = clock_system();
	struct options options = {0};
	struct client client = {0};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int64_t since_ms = 0;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0 && options.since)
		rc = since_parse(options.since, clock->wall_ms(clock), &since_ms, &err);
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	rc = history(&client, &options, &target, since_ms, &err);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
