#include <inttypes.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/times.h"
#include "lib/base/text.h"

#define LAST_DEFAULT 20
#define LAST_MAX 1000

struct options {
	const char *last;
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--last", "N", "how many messages (20)", offsetof(struct options, last)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "sent [--last N] [options]",
	.help = "Shows what left this machine: the newest messages to the organisation's server,\n"
		"as they were sent, oldest first. Secrets, and pings, which say nothing, are left\n"
		"out; a message too big to be kept is named with its size.",
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

struct listing {
	const struct options *options;
	struct json_writer writer;
	struct buf out;
	size_t n;
};

static void add_document(struct listing *l, const Envwarden__Local__SentItem *item)
{
	struct json_writer *w = &l->writer;

	json_begin_object(w);
	json_kv_int(w, "number", (int64_t)item->number);
	json_kv_time_opt(w, "time", item->time_ms);
	json_kv_str_opt(w, "kind", item->kind);
	json_kv_int(w, "bytes", (int64_t)item->size);
	if (*item->content) {
		json_key(w, "content");
		json_raw(w, item->content, strlen(item->content));
	}
	json_end_object(w);
}

static void add_line(struct listing *l, const Envwarden__Local__SentItem *item)
{
	char time[TIMES_TEXT_MAX];

	times_local(item->time_ms, time);
	buf_addf(&l->out, "%s  ", time);
	text_escape(&l->out, item->kind, strlen(item->kind));
	buf_addf(&l->out, ", %" PRIu64 " bytes\n", item->size);
	if (!*item->content)
		return;
	buf_adds(&l->out, "    ");
	text_escape(&l->out, item->content, strlen(item->content));
	buf_addc(&l->out, '\n');
}

static int receive(struct client *client, struct listing *l, struct arena *arena, struct err *err)
{
	for (;;) {
		Envwarden__Local__Envelope *m;
		int rc;

		arena_reset(arena);
		rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), arena, &m, err);
		if (rc < 0 || m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			return rc;
		if (m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_SENT_ITEM)
			continue;
		l->n++;
		if (l->options->json)
			add_document(l, m->sent_item);
		else
			add_line(l, m->sent_item);
	}
}

static int print(struct client *client, struct listing *l, struct err *err)
{
	struct arena arena;
	int rc;

	arena_init(&arena, CLIENT_MEMORY);
	if (l->options->json) {
		output_document(&l->writer, &l->out, "envwarden.sent/1");
		json_key(&l->writer, "messages");
		json_begin_array(&l->writer);
	}
	rc = receive(client, l, &arena, err);
	arena_deinit(&arena);
	if (rc < 0)
		return rc;
	if (l->options->json) {
		json_end_array(&l->writer);
		return output_end_document(&l->writer, err);
	}
	if (l->n == 0)
		output_say("nothing has left this machine");
	return output_write(&l->out, err);
}

static int parse_last(const char *text, uint32_t *last, struct err *err)
{
	unsigned long long n = LAST_DEFAULT;

	if (text && (text_to_u64(text, strlen(text), &n) < 0 || n == 0 || n > LAST_MAX))
		return err_set(err, ERR_USAGE, "--last takes 1 to %d", LAST_MAX);
	*last = (uint32_t)n;
	return 0;
}

int command_sent(int argc, char **argv)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__SentRequest request = ENVWARDEN__LOCAL__SENT_REQUEST__INIT;
	struct options options = {0};
	struct listing listing = {.options = &options};
	struct client client = {0};
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0)
		rc = parse_last(options.last, &request.last, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	buf_init(&listing.out, OUTPUT_MAX);
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_SENT;
	m.sent = &request;
	rc = client_connect(&client, options.socket, &err);
	if (rc == 0)
		rc = client_send(&client, &m, client_deadline(CLIENT_ANSWER_MS), &err);
	if (rc == 0)
		rc = print(&client, &listing, &err);
	client_close(&client);
	buf_deinit(&listing.out);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
