#include "lib/conda/history.h"

#include <string.h>

#include "lib/base/text.h"
#include "lib/conda/history_text.h"

#define CMD "# cmd:"
#define CONDA_VERSION "# conda version:"
#define SPECS " specs:"

/* Masking makes a command longer at most by three bytes for each one. */
#define MASKED_MAX (4 * HISTORY_LINE_MAX + 16)

void history_init(struct history *h)
{
	h->last = (struct history_facts){.tool = "unknown"};
	h->first = h->last;
	h->sections = 0;
	h->line_len = 0;
	h->line_cut = false;
	h->command_len = 0;
}

static bool starts(const char *line, size_t n, const char *prefix)
{
	return n >= strlen(prefix) && memcmp(line, prefix, strlen(prefix)) == 0;
}

static void trim(const char **text, size_t *n)
{
	while (*n > 0 && ((*text)[0] == ' ' || (*text)[0] == '\t')) {
		(*text)++;
		(*n)--;
	}
	while (*n > 0 && strchr(" \t\r", (*text)[*n - 1]) != NULL && (*text)[*n - 1] != '\0')
		(*n)--;
}

static void keep_first(struct history *h)
{
	if (h->command_len > 0)
		history_parse_command(h->command, h->command_len, &h->last);
	h->first = h->last;
}

/* "==> time <==" */
static bool take_header(struct history *h, const char *line, size_t n)
{
	if (n < 6 || !starts(line, n, "==>") || memcmp(line + n - 3, "<==", 3) != 0)
		return false;
	line += 3;
	n -= 6;
	trim(&line, &n);
	if (n == 0)
		return false;
	if (h->sections == 1)
		keep_first(h);
	h->last = (struct history_facts){.tool = "unknown"};
	h->command_len = 0;
	h->sections++;
	history_text_copy(line, n, h->last.time, sizeof h->last.time);
	return true;
}

/* "# update specs: [...]" and its likes: the action, where no command says it. */
static void take_specs(struct history_facts *facts, const char *line, size_t n)
{
	static const char *const words[] = {"update", "remove", "install", "create", "uninstall"};

	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		size_t len = strlen(words[i]);

		if (starts(line, n, words[i]) && starts(line + len, n - len, SPECS))
			history_text_action(words[i], len, facts->action, sizeof facts->action);
	}
}

static void take_comment(struct history *h, const char *line, size_t n)
{
	struct history_facts *facts = &h->last;

	if (starts(line, n, CMD)) {
		if (h->command_len > 0)
			return; /* a later one stands in an argument of the first */
		line += strlen(CMD);
		n -= strlen(CMD);
		trim(&line, &n);
		while (h->line_cut && n > 0 && line[n - 1] != ' ')
			n--; /* half a word may be half a secret, which nobody recognises */
		if (n > 0)
			memcpy(h->command, line, n);
		h->command_len = n;
	} else if (starts(line, n, CONDA_VERSION)) {
		line += strlen(CONDA_VERSION);
		n -= strlen(CONDA_VERSION);
		trim(&line, &n);
		history_text_copy(line, n, facts->conda_version, sizeof facts->conda_version);
	} else if (facts->action[0] == '\0' && starts(line, n, "# ")) {
		take_specs(facts, line + 2, n - 2);
	}
}

static void take_text(struct history *h, const char *line, size_t n)
{
	trim(&line, &n);
	if (n == 0 || take_header(h, line, n))
		return;
	if (h->sections == 0) {
		/* pixi overwrites the file with one comment */
		if (starts(line, n, "//"))
			memcpy(h->last.tool, "pixi", sizeof "pixi");
		return;
	}
	if (line[0] == '#')
		take_comment(h, line, n);
	else if (line[0] == '+')
		h->last.added++;
	else if (line[0] == '-')
		h->last.removed++;
}

static void take_line(struct history *h)
{
	take_text(h, h->line, h->line_len);
	h->line_len = 0;
	h->line_cut = false;
}

void history_feed(struct history *h, const void *data, size_t n)
{
	const char *p = data;

	while (n > 0) {
		const char *end = memchr(p, '\n', n);
		size_t piece = end != NULL ? (size_t)(end - p) : n;
		size_t room = sizeof h->line - h->line_len;
		size_t kept = piece < room ? piece : room;

		memcpy(h->line + h->line_len, p, kept);
		h->line_len += kept;
		h->line_cut |= kept < piece;
		if (end == NULL)
			return;
		take_line(h);
		p += piece + 1;
		n -= piece + 1;
	}
}

int history_finish(struct history *h)
{
	struct buf masked;
	int rc;

	take_line(h);
	if (h->sections <= 1)
		keep_first(h);
	if (h->command_len == 0)
		return 0;
	history_parse_command(h->command, h->command_len, &h->last);
	buf_init(&masked, MASKED_MAX);
	history_mask_command(&masked, h->command, h->command_len);
	rc = buf_rc(&masked);
	if (rc == 0)
		history_text_copy(masked.data, masked.len, h->last.command, sizeof h->last.command);
	buf_deinit(&masked);
	return rc;
}
