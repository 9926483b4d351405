/*
 * Everything that is not as it should be, with why and what to do: what the agent says of itself,
 * and what can be seen from here, also while it does not answer.
 */
#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/fallback_file.h"
#include "agent/cli/output.h"
#include "agent/cli/remote.h"
#include "agent/cli/times.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "proto/fallback.h"
#include "proto/limits.h"

#define CLOCK_SLACK_MS 120000 /* what file systems and clocks may disagree by */
#define TEXT_MAX 512

struct options {
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "doctor [options]",
	.help = "Examines the agent, also one that does not answer: what is wrong, why, and what\n"
		"to do. Exits with 0 if all is well, 5 if something is degraded or this machine\n"
		"is not enrolled, 3 if the agent is not reachable.",
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

enum state {
	STATE_OK,
	STATE_DEGRADED,
	STATE_FAILED, /* not reachable */
};

struct report {
	const struct options *options;
	struct json_writer writer;
	struct buf out;
	enum state worst;
};

/* --- saying it ---------------------------------------------------------------------------- */

static void line(struct buf *out, const char *name, const char *text)
{
	buf_addf(out, "%-10s", name);
	text_escape(out, text, strlen(text));
	buf_addc(out, '\n');
}

static void tell(struct report *r, enum state state, const char *what, const char *why,
		 const char *remedy)
{
	static const char *const names[] = {"ok", "degraded", "failed"};

	if (state > r->worst)
		r->worst = state;
	if (r->options->json) {
		json_begin_object(&r->writer);
		json_kv_str(&r->writer, "state", names[state]);
		json_kv_str(&r->writer, "what", what);
		json_kv_str_opt(&r->writer, "why", why);
		json_kv_str_opt(&r->writer, "do", remedy);
		json_end_object(&r->writer);
		return;
	}
	line(&r->out, names[state], what);
	if (*why)
		line(&r->out, "  why", why);
	if (*remedy)
		line(&r->out, "  do", remedy);
}

/* --- an agent that answers ---------------------------------------------------------------- */

/* No fault, but what is there is seen later than elsewhere. */
static void tell_remote(struct report *r, const Envwarden__Local__StatusReply *s)
{
	struct buf text;

	if (s->remote == 0)
		return;
	buf_init(&text, OUTPUT_MAX);
	remote_text(s, &text);
	tell(r, STATE_OK, "environments are polled", buf_rc(&text) == 0 ? buf_cstr(&text) : "",
	     "nothing; poll_s in the agent's configuration says how often");
	buf_deinit(&text);
}

static void tell_status(struct report *r, const Envwarden__Local__StatusReply *s)
{
	char text[TEXT_MAX];

	(void)snprintf(text, sizeof(text), "the agent (%.64s) answers", s->version);
	tell(r, STATE_OK, text, "", "");
	if (!s->enrolled)
		tell(r, STATE_DEGRADED, "this machine is not enrolled",
		     "changes are logged for its own users only; nothing leaves it",
		     "nothing, or join an organisation: envwarden enroll --join-file FILE");
	else if (!s->logging)
		tell(r, STATE_OK, "logging is switched off by the organisation", "", "");
	if (s->enrolled && s->connected) {
		(void)snprintf(text, sizeof(text), "connected to %.256s", s->server);
		tell(r, STATE_OK, text, "", "");
	}
	tell_remote(r, s);
	for (size_t i = 0; i < s->n_degraded; i++)
		tell(r, STATE_DEGRADED, s->degraded[i]->what, s->degraded[i]->why,
		     s->degraded[i]->remedy);
	if (s->head > s->acked && s->enrolled && s->logging) {
		(void)snprintf(text, sizeof(text), "%llu changes wait to be sent",
			       (unsigned long long)(s->head - s->acked));
		tell(r, STATE_OK, text, "", "");
	}
}

static int ask_status(struct report *r, struct client *client, struct err *err)
{
	Envwarden__Local__Envelope request = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusRequest nothing = ENVWARDEN__LOCAL__STATUS_REQUEST__INIT;
	Envwarden__Local__Envelope *m = NULL;
	struct arena arena;
	int rc = client_connect(client, r->options->socket, err);

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	request.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS;
	request.status = &nothing;
	if (rc == 0)
		rc = client_ask(client, &request, &arena, &m, err);
	if (rc == 0 && m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY)
		rc = err_set(err, ERR_PROTOCOL, "the agent answered something else");
	if (rc == 0)
		tell_status(r, m->status_reply);
	client_close(client);
	arena_deinit(&arena);
	return rc;
}

/* --- one that does not -------------------------------------------------------------------- */

/* Where the agent that is meant has its things; "" = cannot be told from here. */
struct place {
	char state[PATHS_MAX];
	char fallback[PATHS_MAX];
	bool machine;
};

static void find_place(const struct options *options, struct place *place)
{
	const char *named = client_named_socket(options->socket);
	struct paths_agent paths;

	*place = (struct place){.machine = false};
	if (named) {
		if (paths_fallback_of_socket(named, place->fallback, NULL) < 0)
			place->fallback[0] = '\0';
		return;
	}
	place->machine = paths_agent(PATHS_MACHINE, &paths, NULL) == 0 && files_exists(paths.state);
	if (!place->machine && paths_agent(PATHS_USER, &paths, NULL) < 0)
		return;
	memcpy(place->state, paths.state, sizeof(place->state));
	if (paths_fallback(paths.state, place->fallback, NULL) < 0)
		place->fallback[0] = '\0';
}

static void tell_unreachable(struct report *r, const struct place *place, const struct err *why)
{
	const char *start = place->machine ? "start it: systemctl start envwardend; if it does not "
					     "stay, journalctl -u envwardend says why"
					   : "start it: envwardend (with --user for your own)";

	switch (why->code) {
	case ERR_NOTFOUND:
		if (!place->machine && place->state[0] && !files_exists(place->state))
			tell(r, STATE_FAILED, "no agent is installed here", why->text,
			     "install it, or start one of your own: envwardend --user");
		else
			tell(r, STATE_FAILED, "the agent is not running", why->text, start);
		return;
	case ERR_UNREACHABLE:
		tell(r, STATE_FAILED, "the agent has ended and left its socket behind", why->text,
		     start);
		return;
	case ERR_PERM:
		tell(r, STATE_FAILED, "your account may not talk to this agent", why->text,
		     "ask who runs it; the machine's agent serves everybody");
		return;
	case ERR_VERIFY:
		tell(r, STATE_FAILED, "somebody else serves the agent's socket", why->text,
		     "do not trust it; tell your administrator");
		return;
	case ERR_TIMEOUT:
		tell(r, STATE_FAILED, "the agent does not answer in time", why->text,
		     "look at the load of the machine and at the agent's log; restart it if it "
		     "stays so");
		return;
	default:
		tell(r, STATE_FAILED, "the agent does not answer", why->text, start);
	}
}

/* Whether what the agent needs can be written: only its own account, or root, can tell. */
static void check_state(struct report *r, const struct place *place)
{
	char path[PATHS_MAX];
	struct err err = ERR_INIT;
	int rc;

	if (!place->state[0] || !files_exists(place->state))
		return;
	rc = paths_join(path, place->state, "doctor", &err);
	if (rc == 0)
		rc = files_atomic_write(path, "", 0, 0600, &err);
	if (rc == 0)
		rc = files_remove(path, &err);
	if (rc == 0)
		tell(r, STATE_OK, "the agent's state folder can be written", "", "");
	else if (rc != ERR_PERM) /* not ours to write is no news for a member */
		tell(r, STATE_DEGRADED, "the agent's state folder can't be written", err.text,
		     "free space or mend the file system; the agent goes on by itself");
}

/* What activations go by meanwhile. */
static void check_fallback(struct report *r, const struct place *place, int64_t now_ms)
{
	struct fallback_view view;
	struct file_info info;
	struct err err = ERR_INIT;
	struct buf file;
	char age[TIMES_TEXT_MAX];
	char text[TEXT_MAX];
	int rc;

	if (!place->fallback[0])
		return;
	buf_init(&file, FALLBACK_MAX + 1);
	rc = fallback_file_read(place->fallback, &file, &info, &err);
	if (rc == 0)
		rc = fallback_open(file.data, file.len, &view, &err);
	if (rc == ERR_NOTFOUND) {
		tell(r, STATE_DEGRADED, "the agent left no decisions",
		     "without it every activation is allowed, unchecked", "start the agent");
	} else if (rc < 0) {
		tell(r, STATE_DEGRADED, "the decisions the agent left can't be used", err.text,
		     "start the agent: it writes them anew");
	} else if (info.mtime_ns / 1000000 > now_ms + CLOCK_SLACK_MS) {
		tell(r, STATE_DEGRADED, "the clock is behind",
		     "the agent's last decisions are from a time that is still to come",
		     "set the clock");
	} else {
		times_span((now_ms - info.mtime_ns / 1000000) / 1000, age);
		(void)snprintf(text, sizeof(text), "decisions of %s ago are on disk", age);
		tell(r, STATE_OK, text, "", "");
	}
	buf_deinit(&file);
}

/* --- the command -------------------------------------------------------------------------- */

static void examine(struct report *r)
{
	const struct clock *clock = clock_system();
	struct client client = {0};
	struct err why = ERR_INIT;
	struct place place;

	if (ask_status(r, &client, &why) == 0)
		return;
	find_place(r->options, &place);
	tell_unreachable(r, &place, &why);
	check_state(r, &place);
	check_fallback(r, &place, clock->wall_ms(clock));
}

int command_doctor(int argc, char **argv)
{
	static const int codes[] = {EXIT_FINE, EXIT_DEGRADED, EXIT_NO_AGENT};
	struct options options = {0};
	struct report report = {.options = &options};
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc < 0)
		return output_usage(argv[0], &err);
	if (args.help)
		return EXIT_FINE;
	buf_init(&report.out, OUTPUT_MAX);
	if (options.json) {
		output_document(&report.writer, &report.out, "envwarden.doctor/1");
		json_key(&report.writer, "checks");
		json_begin_array(&report.writer);
	}
	examine(&report);
	if (options.json) {
		json_end_array(&report.writer);
		rc = output_end_document(&report.writer, &err);
	} else {
		rc = output_write(&report.out, &err);
	}
	buf_deinit(&report.out);
	if (rc < 0)
		output_say("%s", err.text);
	return rc < 0 ? EXIT_FAILED : codes[report.worst];
}
