#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/message.h"
#include "agent/cli/output.h"
#include "agent/cli/table.h"
#include "agent/cli/target.h"
#include "agent/cli/times.h"
#include "agent/cli/wrap.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define FACT_COLUMNS 14
#define WIDTH 80

struct options {
	struct target_words words;
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "the environment of this name", offsetof(struct options, words.name)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "show [ENV] [options]",
	.help = "Shows an environment (by default the active one): facts, channels, packages and\n"
		"the decision on it.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* What the agent answers, collected. */
struct picture {
	struct environment_info environment;
	bool has_environment;
	Envwarden__RanAfterBlock **ran;
	size_t n_ran;
	const Envwarden__Grace *deferred; /* NULL none */
	const Envwarden__Grace *unlocked;
	struct package_list packages;
	struct decision_reply decision;
	bool has_decision;
};

static int take_packages(struct picture *p, const Envwarden__Local__PackagesItem *item,
			 struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < item->n_packages; i++) {
		struct package package;

		rc = package_from_wire(item->packages[i], &package, err);
		if (rc == 0 && package_list_add(&p->packages, &package) < 0)
			rc = err_nomem(err);
	}
	return rc;
}

static int take(struct picture *p, const Envwarden__Local__Envelope *m, struct arena *arena,
		struct err *err)
{
	int rc = 0;

	switch (m->kind_case) {
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT:
		if (!m->environment->environment)
			return 0;
		rc = environment_from_wire(m->environment->environment, &p->environment, err);
		p->has_environment = rc == 0;
		p->ran = m->environment->environment->ran;
		p->n_ran = m->environment->environment->n_ran;
		p->deferred = m->environment->environment->deferred;
		p->unlocked = m->environment->environment->unlocked;
		return rc;
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES:
		return take_packages(p, m->packages, err);
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_DECISION:
		rc = decision_from_wire(m->decision, arena, &p->decision, err);
		p->has_decision = rc == 0;
		return rc;
	default:
		return 0; /* of a newer version */
	}
}

static int receive(struct client *client, struct picture *p, struct arena *arena, struct err *err)
{
	for (;;) {
		Envwarden__Local__Envelope *m;
		int rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), arena, &m, err);

		if (rc == 0 && m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (rc == 0)
			rc = take(p, m, arena, err);
		if (rc < 0)
			return rc;
	}
	if (!p->has_environment)
		return err_set(err, ERR_PROTOCOL, "the agent's answer lacks the environment");
	return 0;
}

/* --- as a document --- */

static int print_document(const struct picture *p, struct buf *out, struct err *err)
{
	struct json_writer w;

	output_document(&w, out, "envwarden.show/1");
	json_key(&w, "environment");
	document_environment(&w, &p->environment);
	json_key(&w, "packages");
	json_begin_array(&w);
	for (size_t i = 0; i < p->packages.n; i++)
		document_package(&w, &p->packages.items[i]);
	json_end_array(&w);
	if (p->n_ran > 0)
		document_runs(&w, p->ran, p->n_ran);
	document_grace(&w, "deferred", p->deferred);
	document_grace(&w, "unlocked", p->unlocked);
	if (p->has_decision) {
		json_key(&w, "decision");
		json_begin_object(&w);
		document_decision(&w, &p->decision);
		json_end_object(&w);
	}
	return output_end_document(&w, err);
}

/* --- for people --- */

static void fact(struct buf *out, const char *name, const char *text)
{
	if (!*text || strcmp(text, "-") == 0)
		return;
	buf_addf(out, "%-*s", FACT_COLUMNS, name);
	text_escape(out, text, strlen(text));
	buf_addc(out, '\n');
}

static void time_fact(struct buf *out, const char *name, int64_t wall_ms)
{
	char text[TIMES_TEXT_MAX];

	times_local(wall_ms, text);
	fact(out, name, text);
}

/* "ran blocked  3 times, last on 2026-11-23 01:02 by ana" */
static void ran_fact(const struct environment_info *e, struct buf *out)
{
	char when[TIMES_TEXT_MAX];
	struct buf line;

	if (e->runs_after_block == 0 && e->ran_ms == 0)
		return;
	buf_init(&line, OUTPUT_MAX);
	if (e->runs_after_block > 0)
		buf_addf(&line, "seen %" PRIu64 " time%s", e->runs_after_block,
			 e->runs_after_block == 1 ? "" : "s");
	if (e->ran_ms != 0) {
		times_local(e->ran_ms, when);
		buf_addf(&line, "%slast %s", line.len > 0 ? ", " : "", when);
		if (*e->ran_by.name)
			buf_addf(&line, " by %s", e->ran_by.name);
		else if (e->ran_by.uid >= 0)
			buf_addf(&line, " by uid %" PRId64, e->ran_by.uid);
	}
	fact(out, "ran blocked", buf_cstr(&line));
	buf_deinit(&line);
}

static void add_times(struct buf *line, uint64_t n, const char *what)
{
	if (n > 0)
		buf_addf(line, " %" PRIu64 " %s %s,", n, n == 1 ? "time" : "times", what);
}

/* "ana: 2 times a program, 1 time in a shell, 2026-11-22 20:40 to ...; rule old-openssl" */
static void run_fact(const struct ran_info *r, struct buf *out)
{
	char first[TIMES_TEXT_MAX], last[TIMES_TEXT_MAX];
	struct buf line;

	times_local(r->first_ms, first);
	times_local(r->last_ms, last);
	buf_init(&line, OUTPUT_MAX);
	if (*r->who.name)
		buf_addf(&line, "%s:", r->who.name);
	else
		buf_addf(&line, "uid %" PRId64 ":", r->who.uid);
	add_times(&line, r->programs, "a program");
	add_times(&line, r->shells, "in a shell");
	add_times(&line, r->repairs, "as it was changed");
	buf_addf(&line, " %s to %s;", first, last);
	for (size_t i = 0; i < r->n_reasons; i++)
		buf_addf(&line, "%s %s", i > 0 ? "," : "", r->reasons[i]);
	buf_addf(out, "%-*s", FACT_COLUMNS, "");
	text_escape(out, buf_cstr(&line), line.len);
	buf_addc(out, '\n');
	buf_deinit(&line);
}

static void run_facts(const struct picture *p, struct buf *out)
{
	for (size_t i = 0; i < p->n_ran; i++) {
		struct ran_info info;

		ran_from_wire(p->ran[i], &info);
		run_fact(&info, out);
	}
}

/* "until 2026-11-24 10:00, by ana, with code 3" */
static void grace_fact(struct buf *out, const char *name, const Envwarden__Grace *grace)
{
	char until[TIMES_TEXT_MAX];
	struct person who;
	struct buf line;

	if (grace == NULL)
		return;
	times_local(grace->until_ms, until);
	person_from_wire(grace->who, &who);
	buf_init(&line, OUTPUT_MAX);
	buf_addf(&line, "until %s", until);
	if (*who.name)
		buf_addf(&line, ", by %s", who.name);
	else if (who.uid >= 0)
		buf_addf(&line, ", by uid %" PRId64, who.uid);
	if (grace->serial != 0)
		buf_addf(&line, ", with code %" PRIu32, grace->serial);
	fact(out, name, buf_cstr(&line));
	if (grace->lifts_status)
		fact(out, "", "an administrator's block, too");
	buf_deinit(&line);
}

static void print_facts(const struct picture *p, struct buf *out)
{
	const struct environment_info *e = &p->environment;

	fact(out, "name", e->name);
	fact(out, "path", e->prefix);
	fact(out, "user", e->owner.name);
	fact(out, "platform", e->platform);
	fact(out, "tool", e->tool);
	fact(out, "status", action_status_name(e->status));
	time_fact(out, "created", e->created_ms);
	time_fact(out, "last change", e->last_change_ms);
	time_fact(out, "last used", e->last_used_ms);
	ran_fact(e, out);
	run_facts(p, out);
	grace_fact(out, "deferred", p->deferred);
	grace_fact(out, "unlocked", p->unlocked);
	if (e->self_reported)
		fact(out, "known by", "its owner's reports; the agent may not read it");
	if (e->excluded)
		fact(out, "excluded",
		     "the agent is told to leave this path alone; this is how it "
		     "was last seen");
	for (size_t i = 0; i < e->n_degraded; i++)
		fact(out, "degraded", e->degraded[i]);
}

/* A channel, or where pip's packages come from. */
static const char *origin(const struct package *package)
{
	return *package->channel ? package->channel : package->manager;
}

/* "channels   conda-forge (40), pypi (2)": in the order of first use. */
static void print_channels(const struct picture *p, struct buf *out)
{
	const char *before = "";
	struct buf line;

	buf_init(&line, OUTPUT_MAX);
	for (size_t i = 0; i < p->packages.n; i++) {
		const char *name = origin(&p->packages.items[i]);
		size_t count = 0, first = p->packages.n;

		for (size_t j = 0; j < p->packages.n; j++) {
			if (strcmp(origin(&p->packages.items[j]), name) != 0)
				continue;
			count++;
			first = j < first ? j : first;
		}
		if (first != i)
			continue;
		buf_addf(&line, "%s%s (%zu)", before, name, count);
		before = ", ";
	}
	fact(out, "channels", buf_cstr(&line));
	buf_deinit(&line);
}

static int print_packages(const struct picture *p, struct arena *arena, struct buf *out)
{
	char from[PACKAGE_CHANNEL_MAX + 32];
	static const struct table_column columns[] = {{.title = "PACKAGE"},
						      {.title = "VERSION"},
						      {.title = "BUILD"},
						      {.title = "CHANNEL"}};
	struct table packages;

	table_init(&packages, arena, columns, ARRAY_SIZE(columns));
	for (size_t i = 0; i < p->packages.n; i++) {
		const struct package *package = &p->packages.items[i];

		table_cell(&packages, package->name);
		table_cell(&packages, package->version);
		table_cell(&packages, package->build);
		(void)snprintf(from, sizeof from, "%s%s%s", origin(package),
			       package->installer != PACKAGE_BY_UNKNOWN ? ", by " : "",
			       package_installer_name(package->installer));
		table_cell(&packages, from);
	}
	buf_addf(out, "packages      %zu\n", p->packages.n);
	if (p->packages.n == 0)
		return 0;
	buf_addc(out, '\n');
	return table_print(&packages, 0, out);
}

static void print_decision(const struct decision_reply *reply, struct buf *out)
{
	const struct decision *d = &reply->decision;
	struct buf text;

	buf_init(&text, OUTPUT_MAX);
	message_block_from(&text, d);
	buf_addf(out, "%-*s%s%s%s\n", FACT_COLUMNS, "decision", action_name(d->action),
		 text.len > 0 ? ", " : "", buf_cstr(&text));
	for (size_t i = 0; i < d->n_reasons; i++) {
		const struct reason *reason = &d->reasons[i];
		struct wrap w;

		buf_clear(&text);
		message_cause(&text, reason);
		buf_addc(&text, *reason->message ? ':' : '.');
		wrap_begin(&w, out, WIDTH, "  Why   ", "        ");
		wrap_text(&w, buf_cstr(&text), NULL);
		wrap_end(&w);
		wrap_lines(out, WIDTH, "        | ", reason->message);
		if (*reason->fix)
			wrap_command(out, "  Fix   ", reason->fix);
	}
	fact(out, "case", d->case_code);
	if (d->n_reasons > 0)
		fact(out, "contact", reply->contact);
	fact(out, "note", reply->notice);
	buf_deinit(&text);
}

static int print_page(const struct picture *p, struct arena *arena, struct buf *out,
		      struct err *err)
{
	int rc;

	print_facts(p, out);
	if (p->has_decision)
		print_decision(&p->decision, out);
	print_channels(p, out);
	rc = print_packages(p, arena, out);
	return rc < 0 ? err_set(err, rc, "%s", err_text(rc)) : output_write(out, err);
}

/* --- the command --- */

static int show(struct client *client, const struct options *options, struct target *target,
		struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__ShowRequest request = ENVWARDEN__LOCAL__SHOW_REQUEST__INIT;
	struct picture picture = {0};
	struct arena arena;
	struct buf out;
	int rc;

	arena_init(&arena, CLIENT_MEMORY);
	buf_init(&out, OUTPUT_MAX);
	request.target = &target->wire;
	request.can_prove = true;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_SHOW;
	m.show = &request;
	rc = client_connect(client, options->socket, err);
	if (rc == 0)
		rc = client_send(client, &m, client_deadline(CLIENT_ANSWER_MS), err);
	if (rc == 0)
		rc = receive(client, &picture, &arena, err);
	if (rc == 0 && options->json)
		rc = print_document(&picture, &out, err);
	else if (rc == 0)
		rc = print_page(&picture, &arena, &out, err);
	client_close(client);
	package_list_deinit(&picture.packages);
	buf_deinit(&out);
	arena_deinit(&arena);
	return rc;
}

int command_show(int argc, char **argv)
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
	if (rc < 0)
		return output_usage(argv[0], &err);
	return show(&client, &options, &target, &err) < 0 ? client_failed(&client, &err)
							  : EXIT_FINE;
}
