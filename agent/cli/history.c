#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "agent/cli/target.h"
#include "agent/cli/times.h"
#include "lib/base/since.h"
#include "lib/base/text.h"
#include "platform/clock.h"

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
};

/* --- one change for people --- */

static void add_packages(struct buf *out, char sign, const struct package_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct package *package = &list->items[i];
		const char *parts[] = {package->name, package->version, package->build};

		buf_addf(out, "    %c", sign);
		for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
			if (!*parts[j])
				continue;
			buf_addc(out, ' ');
			text_escape(out, parts[j], strlen(parts[j]));
		}
		if (strcmp(package->manager, "conda") != 0) {
			buf_adds(out, " (");
			text_escape(out, package->manager, strlen(package->manager));
			buf_addc(out, ')');
		}
		buf_addc(out, '\n');
	}
}

static void add_part(struct buf *out, const char *before, const char *text)
{
	if (!*text)
		return;
	buf_adds(out, before);
	text_escape(out, text, strlen(text));
}

static void add_change(struct buf *out, const struct change *change)
{
	char time[TIMES_TEXT_MAX];

	times_local(change->time_ms, time);
	buf_addf(out, "%s  %-9s ", time, change_kind_name(change->kind));
	add_part(out, " ", change->prefix);
	add_part(out, "  from ", change->from_prefix);
	if (change->added.n > 0 || change->removed.n > 0)
		buf_addf(out, "  +%zu -%zu", change->added.n, change->removed.n);
	add_part(out, "  by ", change->actor.name);
	add_part(out, "  ", change->tool);
	add_part(out, ": ", change->command);
	add_part(out, "  ", change->detail);
	if (change->folded > 1)
		buf_addf(out, "  (%" PRIu64 " changes in one)", change->folded);
	if (change->seen_at_start)
		buf_adds(out, "  (seen at start)");
	if (change->self_reported)
		buf_adds(out, "  (self-reported)");
	buf_addc(out, '\n');
	add_packages(out, '-', &change->removed);
	add_packages(out, '+', &change->added);
}

static int print_change(struct listing *l, const struct change *change, struct err *err)
{
	if (!l->options->json) {
		add_change(&l->out, change);
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

static int history(struct client *client, const struct options *options, struct target *target,
		   int64_t since_ms, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__HistoryRequest request = ENVWARDEN__LOCAL__HISTORY_REQUEST__INIT;
	struct listing listing = {.options = options};
	int rc;

	buf_init(&listing.out, OUTPUT_MAX);
	request.target = &target->wire;
	request.since_ms = since_ms;
	request.follow = options->follow;
	request.can_prove = true;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_HISTORY;
	m.history = &request;
	rc = client_connect(client, options->socket, err);
	if (rc == 0)
		rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	if (rc == 0)
		rc = print_all(client, &listing, err);
	client_close(client);
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
