#include "agent/cli/shell_init.h"

#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/command.h"
#include "agent/cli/output.h"
#include "lib/base/text.h"
#include "platform/paths.h"
#include "platform/process.h"
#include "platform/safe_open.h"

#define SH "'/bin/sh'"
/* Read by sh: starts what $0 and the words are, and waits for it a second at most. Not even for its
 * end then: what waits for a mount may be past all signals. Without what shells, in whose quotes
 * this stands, would read there. A machine that is busy needs far more than the 150 ms within which
 * the command itself answers. What else is open is closed: whoever reads from it would wait for the
 * sleep to end. */
#define FOR_A_SECOND                                                                               \
	"'exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; f() { kill -9 $p; exit 0; }; trap f USR1; "     \
	"{ test -x \"$0\" && exec \"$0\" \"$@\"; } & p=$!; "                                       \
	"{ sleep 1; kill -USR1 $$; } >/dev/null 2>&1 & t=$!; wait $p; s=$?; kill $t 2>/dev/null; " \
	"exit $s'"

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

enum beyond_ascii {
	AS_IT_IS,
	BY_NUMBER,
	REFUSED
};

/* How a shell quotes, and what it reads even there: a path with that is refused. */
struct quoting {
	const char *shell; /* NULL: all others */
	char mark;
	const char *special;
	enum beyond_ascii beyond;
};

static const struct quoting quotings[] = {
	{"powershell", '\'', "\r\n", BY_NUMBER},
	{"cmd", '"', "\"%!\r\n", REFUSED},  /* read in the console's encoding */
	{"xonsh", '\'', "\r\n'", AS_IT_IS}, /* a raw string */
	{"nu", '\'', "\r\n'", AS_IT_IS},
	{NULL, '\'', "\\!\r\n'", AS_IT_IS},
};

static bool may_quote(const struct quoting *q, const char *path)
{
	bool plain = true;

	for (const char *p = path; *p; p++)
		plain = plain && (unsigned char)*p < 128;
	if (strpbrk(path, q->special))
		return false;
	return plain || q->beyond == AS_IT_IS ||
	       (q->beyond == BY_NUMBER && text_is_utf8(path, strlen(path)));
}

/*
 * PowerShell reads what we print in the console's encoding, not as UTF-8, and takes some letters
 * beyond ASCII for quotes: they are told by number, in UTF-16.
 */
static void add_by_number(struct buf *out, uint32_t c)
{
	if (c > 0xffff) {
		buf_addf(out, "' + [char]0x%04x + '", 0xd800 + (unsigned)((c - 0x10000) >> 10));
		c = 0xdc00 + ((c - 0x10000) & 0x3ff);
	}
	buf_addf(out, "' + [char]0x%04x + '", (unsigned)c);
}

static int quote(const char *path, const char *shell, struct buf *out, struct err *err)
{
	const struct quoting *q = quotings;

	while (q->shell && strcmp(q->shell, shell) != 0)
		q++;
	if (!may_quote(q, path))
		return err_set(err, ERR_UNSUPPORTED,
			       "%s: this path can't be quoted for every shell; install elsewhere",
			       path);
	buf_addc(out, q->mark);
	for (const char *p = path; *p;) {
		uint32_t c = 0;

		if (q->beyond == BY_NUMBER && (unsigned char)*p > 127) {
			p += text_utf8_decode(p, strlen(p), &c);
			add_by_number(out, c);
			continue;
		}
		if (*p == q->mark)
			buf_addc(out, q->mark);
		buf_addc(out, *p++);
	}
	buf_addc(out, q->mark);
	return 0;
}

/* What a mark in the texts stands for. */
struct filling {
	const char *mark;
	struct buf text;
};

enum {
	ENVWARDEN,
	PRESENT,
	RUN,
	TIMED,
	FILLINGS
};

static const struct filling *find_mark(const struct filling *fillings, const char *p, size_t n)
{
	for (size_t i = 0; i < FILLINGS; i++) {
		size_t length = strlen(fillings[i].mark);

		if (n >= length && memcmp(p, fillings[i].mark, length) == 0)
			return &fillings[i];
	}
	return NULL;
}

static void fill_in(const struct shell_text *text, const struct filling *fillings, struct buf *out)
{
	const char *p = (const char *)text->text;
	const char *end = p + text->n;

	while (p < end) {
		const struct filling *f = find_mark(fillings, p, (size_t)(end - p));

		if (f) {
			buf_add(out, f->text.data, f->text.len);
			p += strlen(f->mark);
		} else {
			buf_addc(out, *p++);
		}
	}
}

/* Whether touching this file may never end. */
static bool may_hang(const char *path)
{
	char folder[PATHS_MAX];
	struct safe_dir *dir = NULL;
	enum fs_class fs = FS_LOCAL;

	if (paths_parent(folder, path, NULL) == 0 && safe_dir_open(folder, &dir, NULL) == 0)
		(void)safe_dir_fs_class(dir, &fs, NULL);
	safe_dir_close(dir);
	return fs == FS_NETWORK || fs == FS_FUSE;
}

static int print(const struct shell_text *text, struct err *err)
{
	struct filling fillings[FILLINGS] = {
		[ENVWARDEN] = {.mark = "@ENVWARDEN@"},
		[PRESENT] = {.mark = "@PRESENT@"},
		[RUN] = {.mark = "@RUN@"},
		[TIMED] = {.mark = "@TIMED@"},
	};
	struct buf *quoted = &fillings[ENVWARDEN].text;
	char path[PATHS_MAX];
	struct buf out;
	bool remote;
	int rc;

	for (size_t i = 0; i < FILLINGS; i++)
		buf_init(&fillings[i].text, 16 * PATHS_MAX);
	buf_init(&out, OUTPUT_MAX);
	rc = process_own_path(path, sizeof(path), err);
	if (rc == 0)
		rc = quote(path, text->shell, quoted, err);
	if (rc == 0) {
		remote = may_hang(path);
		buf_adds(&fillings[PRESENT].text, remote ? SH : buf_cstr(quoted));
		buf_adds(&fillings[RUN].text, remote ? SH " -c " FOR_A_SECOND " " : "");
		buf_adds(&fillings[RUN].text, buf_cstr(quoted));
		buf_adds(&fillings[TIMED].text, SH " -c " FOR_A_SECOND " ");
		buf_adds(&fillings[TIMED].text, buf_cstr(quoted));
		fill_in(text, fillings, &out);
		rc = output_write(&out, err);
	}
	for (size_t i = 0; i < FILLINGS; i++)
		buf_deinit(&fillings[i].text);
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
