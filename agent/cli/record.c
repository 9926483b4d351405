#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "agent/cli/report.h"
#include "agent/cli/target.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/terminal.h"

#define BAR_COLUMNS 30
#define PATIENCE_MS 600000  /* a cold disk with a big environment */
#define FIRST_SCAN_MS 60000 /* how long an agent is waited for that has just started */
#define AGAIN_MS 250

struct options {
	struct target_words words;
	const char *socket;
	bool all;
	bool if_changed;
	bool json;
};

/* What the agent may not read and this process is to. */
struct wanted {
	char prefix[PATHS_MAX];
	unsigned char stamp[LIMIT_STAMP];
	size_t stamp_n;
};

struct answers {
	uint64_t recorded;
	bool told; /* something was, so nothing is begun again */
	struct wanted *wanted;
	size_t n_wanted;
	bool json;
	bool bar;
	struct json_writer w;
	struct buf document; /* --json: what is printed in the end */
};

static const struct arg_option option_table[] = {
	{"--all", NULL, "every environment of yours; as root, of everybody",
	 offsetof(struct options, all)},
	{"--prefix", "PATH", "the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "the environment of this name", offsetof(struct options, words.name)},
	{"--if-changed", NULL, "what the agent may not read: only if it has changed",
	 offsetof(struct options, if_changed)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "record [ENV | --all] [options]",
	.help = "Reads an environment now (by default the active one) and waits until what "
		"changed\n"
		"is in the journal. What the agent may not read is read by this command and\n"
		"reported, as you: it is marked self-reported.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* One line, drawn over itself: "[#####.....] 12/40 /home/ana/envs/churn" */
static void draw(const Envwarden__Local__RecordProgress *progress)
{
	size_t width = (size_t)terminal_width(TERMINAL_ERR);
	uint64_t total = progress->total > 0 ? progress->total : 1;
	uint64_t done = progress->done < total ? progress->done : total;
	size_t filled = (size_t)((double)done / (double)total * BAR_COLUMNS);
	struct buf line;

	buf_init(&line, 65536);
	buf_adds(&line, "\r\033[K[");
	for (size_t i = 0; i < BAR_COLUMNS; i++)
		buf_addc(&line, i < filled ? '#' : '.');
	buf_addf(&line, "] %" PRIu64 "/%" PRIu64, progress->done, progress->total);
	if (strlen(progress->prefix) + BAR_COLUMNS + 24 < width) {
		buf_addc(&line, ' ');
		text_escape(&line, progress->prefix, strlen(progress->prefix));
	}
	if (buf_rc(&line) == 0)
		(void)fwrite(line.data, 1, line.len, stderr);
	(void)fflush(stderr);
	buf_deinit(&line);
}

/* One is dealt with: a line now, or an item of the document. failed: why it is not recorded. */
static int tell(struct answers *answers, const char *prefix, const char *failed, struct err *err)
{
	struct buf line;
	int rc = 0;

	answers->told = true;
	answers->recorded += *failed == '\0';
	if (answers->json) {
		json_begin_object(&answers->w);
		json_kv_str(&answers->w, "prefix", prefix);
		if (*failed)
			json_kv_str(&answers->w, "failed", failed);
		json_end_object(&answers->w);
		return 0;
	}
	if (answers->bar && !*failed)
		return 0;
	buf_init(&line, 65536);
	buf_adds(&line, *failed ? "not recorded " : "recorded ");
	text_escape(&line, prefix, strlen(prefix));
	if (*failed) {
		buf_adds(&line, ": ");
		text_escape(&line, failed, strlen(failed));
	}
	buf_addc(&line, '\n');
	if (answers->bar)
		(void)fputs("\r\033[K", stderr);
	rc = output_write(&line, err);
	buf_deinit(&line);
	return rc;
}

static int want(struct answers *answers, const Envwarden__Local__ReportWanted *m, struct err *err)
{
	struct wanted *all = mem_realloc(answers->wanted, (answers->n_wanted + 1) * sizeof *all);
	struct wanted *one;

	if (all == NULL)
		return err_nomem(err);
	answers->wanted = all;
	one = &all[answers->n_wanted];
	if (strlen(m->prefix) >= sizeof one->prefix || m->stamp.len > sizeof one->stamp)
		return err_set(err, ERR_PROTOCOL, "the agent's answer has too long a path");
	memcpy(one->prefix, m->prefix, strlen(m->prefix) + 1);
	one->stamp_n = m->stamp.len;
	if (one->stamp_n > 0)
		memcpy(one->stamp, m->stamp.data, one->stamp_n);
	answers->n_wanted++;
	return 0;
}

static int progress(struct answers *answers, const Envwarden__Local__RecordProgress *m,
		    struct err *err)
{
	int rc = *m->ended ? tell(answers, m->ended, m->failed, err) : 0;

	if (rc == 0 && answers->bar)
		draw(m);
	return rc;
}

static int receive(struct client *client, struct answers *answers, struct err *err)
{
	struct arena arena;
	int rc;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	for (;;) {
		Envwarden__Local__Envelope *m;

		arena_reset(&arena);
		rc = client_recv(client, client_deadline(PATIENCE_MS), &arena, &m, err);
		if (rc < 0 || m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_REPORT_ASKED)
			rc = want(answers, m->report_asked, err);
		if (rc == 0 && m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD_PROGRESS)
			rc = progress(answers, m->record_progress, err);
		if (rc < 0)
			break;
	}
	if (answers->bar)
		(void)fputs("\r\033[K", stderr);
	arena_deinit(&arena);
	return rc;
}

/* The path as this account sees it: the agent can't tell which of several a name means. */
static const char *real_prefix(const struct options *options, const struct target *target,
			       const struct wanted *wanted, char room[PATHS_MAX])
{
	if (!options->all && target_resolve(target, room, NULL) == 0)
		return room;
	return text_to_path(wanted->prefix, room, PATHS_MAX) == 0 ? room : wanted->prefix;
}

/* Of several, those that can't be reported do not keep the others from it; the first is told of. */
static int report_wanted(struct client *client, const struct options *options,
			 const struct target *target, struct answers *answers, struct err *err)
{
	char room[PATHS_MAX];
	int first = 0;

	for (size_t i = 0; i < answers->n_wanted; i++) {
		const struct wanted *wanted = &answers->wanted[i];
		const struct report_request request = {
			.prefix = real_prefix(options, target, wanted, room),
			.stamp = wanted->stamp,
			.stamp_n = wanted->stamp_n,
			.if_changed = options->if_changed};
		struct err why = ERR_INIT;
		int rc = report(client, &request, &why);

		if (rc < 0 && first == 0)
			first = err_set(err, rc, "%s", why.text);
		if (tell(answers, request.prefix, rc < 0 ? why.text : "", err) < 0)
			return ERR_IO;
		if (rc < 0 && !client->refused)
			break; /* nothing more can be said on this connection */
	}
	return first;
}

static int print_result(struct answers *answers, struct err *err)
{
	struct buf out;
	int rc;

	if (answers->json) {
		json_end_array(&answers->w);
		json_kv_int(&answers->w, "recorded", (int64_t)answers->recorded);
		return output_end_document(&answers->w, err);
	}
	buf_init(&out, OUTPUT_MAX);
	buf_addf(&out, "recorded %" PRIu64 "\n", answers->recorded);
	rc = output_write(&out, err);
	buf_deinit(&out);
	return rc;
}

static void answers_init(struct answers *answers, bool json)
{
	*answers = (struct answers){.json = json, .bar = !json && terminal_is(TERMINAL_ERR)};
	buf_init(&answers->document, OUTPUT_MAX);
	if (!json)
		return;
	output_document(&answers->w, &answers->document, "envwarden.record/1");
	json_key(&answers->w, "environments");
	json_begin_array(&answers->w);
}

static int ask(struct client *client, const struct options *options, struct target *target,
	       struct answers *answers, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__RecordRequest request = ENVWARDEN__LOCAL__RECORD_REQUEST__INIT;
	int rc;

	request.can_report = true;
	request.target = &target->wire;
	request.all = options->all;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_RECORD;
	m.record = &request;
	rc = client_connect(client, options->socket, err);
	if (rc == 0)
		rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	if (rc == 0)
		rc = receive(client, answers, err);
	if (rc == 0)
		rc = report_wanted(client, options, target, answers, err);
	client_close(client);
	return rc;
}

/* An agent that has just started knows what is there after its first scan, a new reader likewise.
 */
static bool starts(const struct client *client, const struct answers *answers, int rc)
{
	return rc == ERR_CANCELED && client->refused && !answers->told;
}

static int record(struct client *client, const struct options *options, struct target *target,
		  struct err *err)
{
	const struct clock *clock = clock_system();
	int64_t deadline = client_deadline(FIRST_SCAN_MS);
	struct err why = ERR_INIT;
	struct answers answers;
	int rc;

	answers_init(&answers, options->json);
	rc = ask(client, options, target, &answers, &why);
	while (starts(client, &answers, rc) && clock->mono_ms(clock) < deadline) {
		clock_sleep_ms(AGAIN_MS);
		why = ERR_INIT;
		rc = ask(client, options, target, &answers, &why);
	}
	if (rc < 0)
		*err = why;
	/* What of many was recorded is told with what was not. */
	if (rc == 0 || (options->all && client->refused)) {
		struct err told = ERR_INIT;
		int printed = print_result(&answers, &told);

		if (rc == 0 && printed < 0)
			rc = err_set(err, printed, "%s", told.text);
	}
	mem_free(answers.wanted);
	buf_deinit(&answers.document);
	return rc;
}

int command_record(int argc, char **argv)
{
	struct options options = {0};
	struct client client = {0};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc == 0 && options.all && *target.wire.typed)
		rc = err_set(&err, ERR_USAGE, "name an environment or say --all, not both");
	if (rc < 0)
		return output_usage(argv[0], &err);
	rc = record(&client, &options, &target, &err);
	return rc < 0 ? client_failed(&client, &err) : EXIT_FINE;
}
