#include <stdio.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "lib/base/text.h"
#include "lib/conda/match_spec.h"

#define FIELDS_MAX 8
#define LINE_MAX_BYTES (4 * MATCH_SPEC_MAX)

struct options {
	const char *scheme;
	bool from_stdin;
};

static const struct arg_option option_table[] = {
	{"--scheme", "NAME", "whose versions: conda", offsetof(struct options, scheme)},
	{"--stdin", NULL, "rows of tab-separated arguments from standard input",
	 offsetof(struct options, from_stdin)},
};

static const struct arg_table table = {
	.synopsis =
		"spec compare A B | version-match SPEC VERSION |\n"
		"                      match SPEC NAME VERSION BUILD BUILD_NUMBER CHANNEL SUBDIR "
		"[LICENSE]",
	.help = "For authors of policies: how two versions compare (<, = or >), whether a version "
		"or\n"
		"a package is one that a spec means (true or false), as conda sees it. Asks no "
		"agent.\n"
		"What is refused answers invalid, with the reason on standard error; exits with 1\n"
		"then, with 0 when reading rows, each of which gets one line of answer. \\t, \\n "
		"and\n"
		"\\\\ in a row stand for tab, line end and backslash.",
	.max_words = ARGS_WORDS_MAX,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* What is asked, one row of it. */
struct row {
	const char *fields[FIELDS_MAX];
	size_t n;
	struct arena *arena;
};

/* Gives the answer, or "invalid" in err's words by returning an error. */
typedef int (*answer_cb)(const struct row *row, const char **answer, struct err *err);

static int answer_compare(const struct row *row, const char **answer, struct err *err)
{
	struct version_room rooms[2];
	struct version versions[2];
	int order;

	for (size_t i = 0; i < 2; i++) {
		const char *text = row->fields[i];

		if (version_parse(text, strlen(text), &rooms[i], &versions[i], err) < 0)
			return err_context(err, "\"%s\"", text);
	}
	order = version_cmp(&versions[0], &versions[1]);
	*answer = order < 0 ? "<" : order > 0 ? ">" : "=";
	return 0;
}

/* A match's result: an answer, or that there is none. */
static int tell_match(int result, const struct version_subject *version, const char **answer,
		      struct err *err)
{
	if (result < 0 && !version->valid)
		return err_set(err, result, "cannot tell: \"%s\" is no version", version->text);
	if (result < 0)
		return err_set(err, result,
			       "cannot tell: the spec asks for what no version or package has");
	*answer = result ? "true" : "false";
	return 0;
}

static int answer_version_match(const struct row *row, const char **answer, struct err *err)
{
	const char *text = row->fields[0], *version = row->fields[1];
	struct version_subject subject;
	struct version_room room;
	struct version_spec spec;
	int rc = version_spec_parse(text, strlen(text), row->arena, &spec, err);

	if (rc < 0)
		return err_context(err, "\"%s\"", text);
	version_subject_init(&subject, version, strlen(version), &room);
	return tell_match(version_spec_match(&spec, &subject), &subject, answer, err);
}

static int answer_match(const struct row *row, const char **answer, struct err *err)
{
	const char *const *f = row->fields;
	struct match_package package = {
		.name = f[1],
		.version = f[2],
		.build = f[3],
		.channel = f[5],
		.subdir = f[6],
		.license = row->n > 7 ? f[7] : NULL,
	};
	struct match_subject subject;
	struct match_spec spec;
	long long number;
	int rc = match_spec_parse(f[0], strlen(f[0]), row->arena, &spec, err);

	if (rc < 0)
		return err_context(err, "\"%s\"", f[0]);
	if (text_to_i64(f[4], strlen(f[4]), &number) < 0)
		return err_set(err, ERR_INVALID, "build number \"%s\": not a number", f[4]);
	package.build_number = number;
	rc = match_subject_init(&subject, &package, row->arena, err);
	if (rc < 0)
		return rc;
	return tell_match(match_spec_match(&spec, &subject), &subject.version, answer, err);
}

static const struct question {
	const char *name;
	size_t least, most; /* fields */
	answer_cb answer;
} questions[] = {
	{"compare", 2, 2, answer_compare},
	{"match", 7, 8, answer_match},
	{"version-match", 2, 2, answer_version_match},
};

static const struct question *find_question(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
		if (strcmp(questions[i].name, name) == 0)
			return &questions[i];
	return NULL;
}

/* Takes the escapes out, in place; false for one that is none. */
static bool unescape(char *field)
{
	char *to = field;

	for (const char *c = field; *c; c++) {
		if (*c != '\\') {
			*to++ = *c;
			continue;
		}
		c++;
		if (*c != 't' && *c != 'n' && *c != '\\')
			return false;
		*to++ = *c == 't' ? '\t' : *c == 'n' ? '\n' : '\\';
	}
	*to = '\0';
	return true;
}

/* One line without its end, as fields. */
static int row_split(const struct question *question, char *line, size_t n, struct row *row,
		     struct err *err)
{
	if (memchr(line, '\0', n))
		return err_set(err, ERR_INVALID, "a NUL byte");
	row->n = 0;
	for (char *field = line; field;) {
		char *tab = strchr(field, '\t');

		if (row->n == question->most)
			return err_set(err, ERR_INVALID, "more than %zu fields", question->most);
		if (tab)
			*tab++ = '\0';
		if (!unescape(field))
			return err_set(err, ERR_INVALID, "an escape that is not \\t, \\n or \\\\");
		row->fields[row->n++] = field;
		field = tab;
	}
	if (row->n < question->least)
		return err_set(err, ERR_INVALID, "fewer than %zu fields", question->least);
	return 0;
}

/* A line without its end; 1 = there is one, 0 = the end. One too long is read, and told in *rc. */
static int read_line(struct buf *line, int *rc)
{
	int c = getc(stdin);

	buf_clear(line);
	*rc = 0;
	if (c == EOF)
		return 0;
	for (; c != EOF && c != '\n'; c = getc(stdin))
		buf_addc(line, (char)c);
	buf_addc(line, '\0');
	*rc = buf_rc(line);
	return 1;
}

static int answer_rows(const struct question *question, struct arena *arena)
{
	struct buf line;
	size_t number = 0;
	int rc;

	buf_init(&line, LINE_MAX_BYTES);
	while (read_line(&line, &rc) > 0) {
		struct row row = {.arena = arena};
		const char *answer = "invalid";
		struct err err = ERR_INIT;

		number++;
		if (rc < 0)
			(void)err_set(&err, rc, "%s", err_text(rc));
		else
			rc = row_split(question, line.data, line.len - 1, &row, &err);
		if (rc == 0)
			rc = question->answer(&row, &answer, &err);
		if (rc < 0) {
			answer = "invalid";
			output_say("line %zu: %s", number, err.text);
		}
		arena_reset(arena);
		(void)puts(answer);
		/* Whoever waits for the answer before the next row gets it. */
		if (fflush(stdout) != 0)
			break;
	}
	rc = ferror(stdin) || ferror(stdout) ? EXIT_FAILED : EXIT_FINE;
	if (rc != EXIT_FINE)
		output_say("reading rows or writing answers failed");
	buf_deinit(&line);
	return rc;
}

static int answer_once(const struct question *question, const struct args *args,
		       struct arena *arena)
{
	struct row row = {.n = args->n_words - 1, .arena = arena};
	const char *answer = "invalid";
	struct err err = ERR_INIT;
	int rc;

	for (size_t i = 0; i < row.n; i++)
		row.fields[i] = args->words[i + 1];
	rc = question->answer(&row, &answer, &err);
	if (rc < 0)
		output_say("%s", err.text);
	(void)puts(rc < 0 ? "invalid" : answer);
	return rc < 0 ? EXIT_FAILED : EXIT_FINE;
}

static int check_usage(const struct options *options, const struct args *args,
		       const struct question **question, struct err *err)
{
	size_t n = args->n_words;

	if (options->scheme && strcmp(options->scheme, "conda") != 0)
		return err_set(err, ERR_USAGE, "not supported yet: %s", options->scheme);
	if (n == 0)
		return err_set(err, ERR_USAGE, "compare, match or version-match?");
	*question = find_question(args->words[0]);
	if (!*question)
		return err_set(err, ERR_USAGE, "no \"%s\"", args->words[0]);
	if (options->from_stdin && n > 1)
		return err_set(err, ERR_USAGE, "--stdin goes without further arguments");
	if (!options->from_stdin && (n - 1 < (*question)->least || n - 1 > (*question)->most))
		return err_set(err, ERR_USAGE, "wrong number of arguments for %s", args->words[0]);
	return 0;
}

int command_spec(int argc, char **argv)
{
	struct options options = {0};
	const struct question *question = NULL;
	struct err err = ERR_INIT;
	struct args args = {0};
	struct arena arena;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0)
		rc = check_usage(&options, &args, &question, &err);
	if (rc < 0 || !question)
		return output_usage(argv[0], &err);
	arena_init(&arena, MATCH_SPEC_MEMORY(MATCH_SPEC_MAX));
	rc = options.from_stdin ? answer_rows(question, &arena)
				: answer_once(question, &args, &arena);
	arena_deinit(&arena);
	return rc;
}
