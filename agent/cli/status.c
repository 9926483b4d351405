#include <inttypes.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/output.h"
#include "agent/cli/remote.h"
#include "agent/cli/times.h"
#include "lib/base/text.h"
#include "proto/limits.h"

struct options {
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "status [options]",
	.help = "Shows the agent's health. Exits with 5 if this machine is not enrolled or "
		"anything\n"
		"is degraded; each such line says what, why, and what to do.",
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* --- as a document --- */

static void uuid_field(struct json_writer *w, const char *key, const ProtobufCBinaryData *bytes)
{
	struct uuid uuid;

	uuid_from_wire(bytes, &uuid);
	document_uuid(w, key, &uuid);
}

static void add_parts(struct json_writer *w, const Envwarden__Local__StatusReply *s)
{
	json_key(w, "journal");
	json_begin_object(w);
	uuid_field(w, "epoch", &s->epoch);
	json_kv_int(w, "head", (int64_t)s->head);
	json_kv_int(w, "acked", (int64_t)s->acked);
	json_end_object(w);
	json_kv_int(w, "policy_version", (int64_t)s->policy_version);
	json_kv_int(w, "status_version", (int64_t)s->status_version);
	if (s->advisories_age_s >= 0) {
		json_key(w, "advisories");
		json_begin_object(w);
		json_kv_int(w, "version", (int64_t)s->advisories_version);
		json_kv_int(w, "age_s", s->advisories_age_s);
		json_end_object(w);
	}
	json_key(w, "degraded");
	json_begin_array(w);
	for (size_t i = 0; i < s->n_degraded; i++) {
		json_begin_object(w);
		json_kv_str(w, "what", s->degraded[i]->what);
		json_kv_str_opt(w, "why", s->degraded[i]->why);
		json_kv_str_opt(w, "do", s->degraded[i]->remedy);
		json_end_object(w);
	}
	json_end_array(w);
}

static void add_remote(struct json_writer *w, const Envwarden__Local__StatusReply *s)
{
	if (s->remote == 0)
		return;
	json_key(w, "remote");
	json_begin_object(w);
	json_kv_int(w, "environments", (int64_t)s->remote);
	json_kv_int(w, "late_s", (int64_t)(s->late_ms / 1000));
	json_key(w, "mounts");
	json_begin_object(w);
	for (size_t i = 0; i < s->n_remote_mounts; i++)
		json_kv_int(w, s->remote_mounts[i]->mount,
			    (int64_t)s->remote_mounts[i]->environments);
	json_end_object(w);
	json_end_object(w);
}

static void add_ran(struct json_writer *w, const Envwarden__Local__RanBlocked *ran)
{
	if (ran == NULL)
		return;
	json_key(w, "ran_after_block");
	json_begin_object(w);
	json_kv_int(w, "times", (int64_t)ran->times);
	json_kv_int(w, "environments", (int64_t)ran->environments);
	json_kv_time_opt(w, "last", ran->last_ms);
	json_kv_str_opt(w, "prefix", ran->prefix);
	json_end_object(w);
}

static int print_document(const Envwarden__Local__StatusReply *s, struct buf *out, struct err *err)
{
	struct json_writer w;

	output_document(&w, out, "envwarden.status/1");
	json_kv_str(&w, "version", s->version);
	json_kv_bool(&w, "enrolled", s->enrolled);
	uuid_field(&w, "machine", &s->machine);
	json_kv_str_opt(&w, "organisation", s->organisation);
	json_kv_str_opt(&w, "server", s->server);
	json_kv_bool(&w, "connected", s->connected);
	json_kv_bool(&w, "logging", s->logging);
	json_kv_int(&w, "environments", (int64_t)s->environments);
	json_kv_int(&w, "watched", (int64_t)s->watched);
	json_kv_int(&w, "polled", (int64_t)s->polled);
	json_kv_int(&w, "self_reported", (int64_t)s->self_reported);
	json_kv_int(&w, "unreported", (int64_t)s->unreported);
	add_remote(&w, s);
	add_ran(&w, s->ran_blocked);
	add_parts(&w, s);
	return output_end_document(&w, err);
}

/* --- for people --- */

static void line(struct buf *out, const char *name, const char *text)
{
	buf_addf(out, "%-14s", name);
	text_escape(out, text, strlen(text));
	buf_addc(out, '\n');
}

static void add_organisation(const Envwarden__Local__StatusReply *s, struct buf *out)
{
	if (!s->enrolled) {
		line(out, "organisation",
		     "not enrolled: changes are logged for this machine only, "
		     "nothing leaves it");
		return;
	}
	line(out, "organisation", s->organisation);
	buf_adds(out, "server        ");
	text_escape(out, s->server, strlen(s->server));
	buf_adds(out, s->connected ? ", connected\n" : ", not connected\n");
	line(out, "logging", s->logging ? "on" : "switched off by the organisation");
}

static void add_versions(const Envwarden__Local__StatusReply *s, struct buf *out)
{
	char age[TIMES_TEXT_MAX];

	buf_addf(out, "policy        version %" PRIu64 "\n", s->policy_version);
	if (s->advisories_age_s < 0)
		return;
	times_span(s->advisories_age_s, age);
	buf_addf(out, "advisories    version %" PRIu64 ", %s old\n", s->advisories_version, age);
}

static void add_polled(const Envwarden__Local__StatusReply *s, struct buf *out)
{
	struct buf text;

	if (s->remote == 0)
		return;
	buf_init(&text, OUTPUT_MAX);
	remote_text(s, &text);
	line(out, "polled", buf_rc(&text) == 0 ? buf_cstr(&text) : "");
	buf_deinit(&text);
}

/* "3 times in 2 environments", then when, and in which */
static void add_ran_lines(const Envwarden__Local__RanBlocked *ran, struct buf *out)
{
	char when[TIMES_TEXT_MAX];

	if (ran == NULL)
		return;
	buf_addf(out, "ran blocked   %" PRIu64 " time%s in %" PRIu64 " environment%s\n", ran->times,
		 ran->times == 1 ? "" : "s", ran->environments, ran->environments == 1 ? "" : "s");
	if (ran->last_ms == 0)
		return;
	times_local(ran->last_ms, when);
	line(out, "  last", when);
	if (*ran->prefix)
		line(out, "  in", ran->prefix);
}

static void add_degraded(const Envwarden__Local__StatusReply *s, struct buf *out)
{
	for (size_t i = 0; i < s->n_degraded; i++) {
		const Envwarden__Local__Degraded *d = s->degraded[i];

		line(out, "degraded", d->what);
		if (*d->why)
			line(out, "  why", d->why);
		if (*d->remedy)
			line(out, "  do", d->remedy);
	}
}

static int print_page(const Envwarden__Local__StatusReply *s, struct buf *out, struct err *err)
{
	line(out, "agent", s->version);
	add_organisation(s, out);
	buf_addf(out,
		 "environments  %" PRIu64 " (%" PRIu64 " watched, %" PRIu64 " polled)\n"
		 "journal       %" PRIu64 " changes",
		 s->environments, s->watched, s->polled, s->head);
	if (s->enrolled)
		buf_addf(out, ", %" PRIu64 " acknowledged by the server", s->acked);
	buf_addc(out, '\n');
	add_polled(s, out);
	if (s->enrolled)
		add_versions(s, out);
	add_ran_lines(s->ran_blocked, out);
	add_degraded(s, out);
	return output_write(out, err);
}

int command_status(int argc, char **argv)
{
	Envwarden__Local__Envelope request = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__StatusRequest nothing = ENVWARDEN__LOCAL__STATUS_REQUEST__INIT;
	Envwarden__Local__Envelope *m = NULL;
	struct options options = {0};
	struct client client = {0};
	struct err err = ERR_INIT;
	struct args args = {0};
	struct arena arena;
	struct buf out;
	int code = EXIT_FINE;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc < 0)
		return output_usage(argv[0], &err);
	if (args.help)
		return EXIT_FINE;
	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	buf_init(&out, OUTPUT_MAX);
	request.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS;
	request.status = &nothing;
	rc = client_connect(&client, options.socket, &err);
	if (rc == 0)
		rc = client_ask(&client, &request, &arena, &m, &err);
	if (rc == 0 && m->kind_case != ENVWARDEN__LOCAL__ENVELOPE__KIND_STATUS_REPLY)
		rc = err_set(&err, ERR_PROTOCOL, "the agent answered something else");
	if (rc == 0)
		rc = options.json ? print_document(m->status_reply, &out, &err)
				  : print_page(m->status_reply, &out, &err);
	if (rc == 0 && (!m->status_reply->enrolled || m->status_reply->n_degraded > 0))
		code = EXIT_DEGRADED;
	client_close(&client);
	buf_deinit(&out);
	arena_deinit(&arena);
	return rc < 0 ? client_failed(&client, &err) : code;
}
