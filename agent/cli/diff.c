#include <string.h>

#include "agent/cli/answer.h"
#include "agent/cli/args.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/moment.h"
#include "agent/cli/output.h"
#include "agent/cli/table.h"
#include "agent/cli/target.h"
#include "lib/base/text.h"
#include "platform/clock.h"

struct options {
	struct target_words words;
	const char *from;
	const char *to;
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "of the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "of the environment of this name", offsetof(struct options, words.name)},
	{"--from", "T", MOMENT_HELP, offsetof(struct options, from)},
	{"--to", "T", "the same, later (now)", offsetof(struct options, to)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "diff [ENV] --from T [--to T] [options]",
	.help = "Shows what differs between an environment's packages at two moments. A deleted\n"
		"environment answers by its last path.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* --- both lists, sorted, put side by side ------------------------------------------------- */

/* One line: a package that came, went, or (both) is of another version or build now. */
struct pair {
	const struct package *was; /* NULL = came */
	const struct package *is;  /* NULL = went */
	const struct package *one; /* the newer of those there are */
};

static int cmp_name(const struct package *a, const struct package *b)
{
	int c = strcmp(a->manager, b->manager);

	return c != 0 ? c : strcmp(a->name, b->name);
}

/* The next pair of the two lists; false at their ends. */
static bool next_pair(const struct answer *a, size_t *i, size_t *j, struct pair *out)
{
	const struct package *was = *i < a->removed.n ? &a->removed.items[*i] : NULL;
	const struct package *is = *j < a->added.n ? &a->added.items[*j] : NULL;
	int c;

	if (!was && !is)
		return false;
	c = !was ? 1 : !is ? -1 : cmp_name(was, is);
	*out = (struct pair){c <= 0 ? was : NULL, c >= 0 ? is : NULL, c >= 0 ? is : was};
	*i += c <= 0;
	*j += c >= 0;
	return true;
}

/* --- as a document ------------------------------------------------------------------------ */

static void add_list(struct json_writer *w, const struct answer *a, const char *key, bool was,
		     bool is)
{
	size_t i = 0;
	size_t j = 0;
	struct pair p;

	json_key(w, key);
	json_begin_array(w);
	while (next_pair(a, &i, &j, &p)) {
		if ((p.was != NULL) != was || (p.is != NULL) != is)
			continue;
		if (was && is) {
			json_begin_object(w);
			json_key(w, "from");
			document_package(w, p.was);
			json_key(w, "to");
			document_package(w, p.is);
			json_end_object(w);
		} else {
			document_package(w, was ? p.was : p.is);
		}
	}
	json_end_array(w);
}

static void add_moment(struct json_writer *w, const char *key, const Envwarden__Local__Moment *m)
{
	if (m->seq == 0 && m->time_ms == 0)
		return;
	json_key(w, key);
	json_begin_object(w);
	if (m->seq != 0)
		json_kv_int(w, "seq", (int64_t)m->seq);
	json_kv_time_opt(w, "time", m->time_ms);
	json_end_object(w);
}

static int print_document(const struct answer *a, const Envwarden__Local__DiffRequest *request,
			  struct buf *out, struct err *err)
{
	struct json_writer w;

	output_document(&w, out, "envwarden.diff/1");
	json_key(&w, "environment");
	json_begin_object(&w);
	document_uuid(&w, "id", &a->environment.id);
	json_kv_str(&w, "prefix", a->environment.prefix);
	json_end_object(&w);
	add_moment(&w, "from", request->from);
	add_moment(&w, "to", request->to);
	add_list(&w, a, "added", false, true);
	add_list(&w, a, "removed", true, false);
	add_list(&w, a, "updated", true, true);
	return output_end_document(&w, err);
}

/* --- for people --------------------------------------------------------------------------- */

/* "1.1.1w h_0" */
static const char *version_of(const struct package *p, struct buf *room)
{
	buf_clear(room);
	if (p)
		buf_addf(room, "%s%s%s", p->version, *p->build ? " " : "", p->build);
	return buf_cstr(room);
}

static int print_page(const struct answer *a, struct arena *arena, struct buf *out, struct err *err)
{
	static const struct table_column columns[] = {{.title = ""},
						      {.title = "PACKAGE"},
						      {.title = "WAS"},
						      {.title = "IS"},
						      {.title = "FROM"}};
	struct table t;
	struct pair p;
	struct buf room;
	size_t i = 0;
	size_t j = 0;
	int rc;

	if (a->added.n + a->removed.n == 0) {
		output_say("nothing differs");
		return 0;
	}
	table_init(&t, arena, columns, ARRAY_SIZE(columns));
	buf_init(&room, 4096);
	while (next_pair(a, &i, &j, &p)) {
		table_cell(&t, !p.was ? "+" : p.is ? "~" : "-");
		table_cell(&t, p.one->name);
		table_cell(&t, version_of(p.was, &room));
		table_cell(&t, version_of(p.is, &room));
		table_cell(&t, *p.one->channel ? p.one->channel : p.one->manager);
	}
	buf_deinit(&room);
	rc = table_print(&t, 0, out);
	return rc < 0 ? err_set(err, rc, "%s", err_text(rc)) : output_write(out, err);
}

/* --- the command -------------------------------------------------------------------------- */

static int diff(struct client *client, const struct options *options,
		Envwarden__Local__DiffRequest *request, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct answer answer = {.has_environment = false};
	struct arena arena;
	struct buf out;
	int rc;

	arena_init(&arena, CLIENT_MEMORY);
	buf_init(&out, OUTPUT_MAX);
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DIFF;
	m.diff = request;
	rc = answer_collect(client, options->socket, &m, &arena, &answer, err);
	if (rc == 0)
		rc = options->json ? print_document(&answer, request, &out, err)
				   : print_page(&answer, &arena, &out, err);
	answer_deinit(&answer);
	buf_deinit(&out);
	arena_deinit(&arena);
	return rc;
}

int command_diff(int argc, char **argv)
{
	const struct clock *clock = clock_system();
	Envwarden__Local__DiffRequest request = ENVWARDEN__LOCAL__DIFF_REQUEST__INIT;
	Envwarden__Local__Moment from;
	Envwarden__Local__Moment to;
	struct options options = {0};
	struct client client = {0};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0 && !options.from)
		rc = err_set(&err, ERR_USAGE, "say from when: --from 2d");
	if (rc == 0)
		rc = moment_parse(options.from, clock->wall_ms(clock), &from, &err);
	if (rc == 0)
		rc = moment_parse(options.to, clock->wall_ms(clock), &to, &err);
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	request.target = &target.wire;
	request.can_prove = true;
	request.from = &from;
	request.to = &to;
	return diff(&client, &options, &request, &err) < 0 ? client_failed(&client, &err)
							   : EXIT_FINE;
}
