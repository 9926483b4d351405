#include "agent/cli/shell_init.h"

#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "platform/paths.h"
#include "platform/process.h"

#define MARK "@ENVWARDEN@"

static const struct arg_table table = {
	.synopsis = "shell-init bash|zsh|fish|posix|tcsh|xonsh|nu|powershell|cmd",
	.help = "Prints the text that makes a shell ask the agent before it activates an "
		"environment, and at a prompt about one that is active unasked.\n\n"
		"For bash, at the end of ~/.bashrc:  eval \"$(envwarden shell-init bash)\"",
	.max_words = 1,
};

static const struct shell_text *find(const char *shell)
{
	for (const struct shell_text *t = shell_texts; t->shell; t++) {
		if (strcmp(t->shell, shell) == 0)
			return t;
	}
	return NULL;
}

/* How a shell quotes, and what it reads even there: a path with that is refused. */
struct quoting {
	const char *shell; /* NULL: all others */
	char mark;
	const char *special;
};

static const struct quoting quotings[] = {
	{"powershell", '\'', "\r\n"}, {"cmd", '"', "\"$%!\r\n"}, /* in a macro of doskey */
	{"xonsh", '\'', "\r\n'"},				 /* a raw string */
	{"nu", '\'', "\r\n'"},	      {NULL, '\'', "\\!\r\n'"},
};

static int quote(const char *path, const char *shell, struct buf *out, struct err *err)
{
	const struct quoting *q = quotings;

	while (q->shell && strcmp(q->shell, shell) != 0)
		q++;
	if (strpbrk(path, q->special))
		return err_set(err, ERR_UNSUPPORTED,
			       "%s: this path can't be quoted for every shell; install elsewhere",
			       path);
	buf_addc(out, q->mark);
	for (const char *p = path; *p; p++) {
		if (*p == q->mark)
			buf_addc(out, q->mark);
		buf_addc(out, *p);
	}
	buf_addc(out, q->mark);
	return 0;
}

static void fill_in(const struct shell_text *text, const char *quoted, struct buf *out)
{
	const char *p = (const char *)text->text;
	const char *end = p + text->n;

	while (p < end) {
		size_t left = (size_t)(end - p);

		if (left >= strlen(MARK) && memcmp(p, MARK, strlen(MARK)) == 0) {
			buf_adds(out, quoted);
			p += strlen(MARK);
		} else {
			buf_addc(out, *p++);
		}
	}
}

static int print(const struct shell_text *text, struct err *err)
{
	char path[PATHS_MAX];
	struct buf quoted, out;
	int rc;

	buf_init(&quoted, 4 * PATHS_MAX);
	buf_init(&out, OUTPUT_MAX);
	rc = process_own_path(path, sizeof(path), err);
	if (rc == 0)
		rc = quote(path, text->shell, &quoted, err);
	if (rc == 0) {
		fill_in(text, buf_cstr(&quoted), &out);
		rc = output_write(&out, err);
	}
	buf_deinit(&quoted);
	buf_deinit(&out);
	return rc;
}

int command_shell_init(int argc, char **argv)
{
	const struct shell_text *text = NULL;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, NULL, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0 && args.n_words > 0)
		text = find(args.words[0]);
	if (rc == 0 && !text)
		err_set(&err, ERR_USAGE,
			"name one of: bash zsh fish posix tcsh xonsh nu powershell cmd");
	if (!text)
		return output_usage(argv[0], &err);
	if (print(text, &err) < 0) {
		output_say("%s", err.text);
		return EXIT_FAILED;
	}
	return EXIT_FINE;
}
