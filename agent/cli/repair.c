#include "agent/cli/repair.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/paths.h"

static const char *const condas[] = {"conda", "mamba", "micromamba"};

struct planning {
	const struct repair_input *in;
	struct arena *arena;
	struct repair_step *step;
	struct err err; /* why a step is none */
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool is_conda(const char *tool)
{
	for (size_t i = 0; i < ARRAY_SIZE(condas); i++)
		if (is(condas[i], tool))
			return true;
	return false;
}

static int refuse(struct planning *p, const char *why)
{
	return err_set(&p->err, ERR_INVALID, "%s", why);
}

/* --- words --- */

static const char *word(const struct planning *p, size_t i)
{
	const struct words *w = &p->step->words;

	return i < w->n ? w->items[i] : "";
}

static void drop(struct words *w, size_t at, size_t n)
{
	memmove(&w->items[at], &w->items[at + n], (w->n - at - n) * sizeof(w->items[0]));
	w->n -= n;
	w->items[w->n] = NULL;
}

static int insert(struct planning *p, size_t at, const char *text)
{
	struct words *w = &p->step->words;

	if (w->n == WORDS_MAX)
		return err_set(&p->err, ERR_LIMIT, "the command has too many words");
	memmove(&w->items[at + 1], &w->items[at], (w->n - at) * sizeof(w->items[0]));
	w->items[at] = text;
	w->n++;
	w->items[w->n] = NULL;
	return 0;
}

static int insert_two(struct planning *p, size_t at, const char *option, const char *value)
{
	int rc = insert(p, at, value);

	return rc < 0 ? rc : insert(p, at, option);
}

/* Whether an option of these names is among the words from `at` on: "-p X", "-pX", "--prefix=X". */
static size_t find_option(const struct words *w, size_t at, const char *letter, const char *name)
{
	for (; at < w->n; at++) {
		const char *text = w->items[at];
		size_t n = strlen(name);

		if (is(text, "--"))
			break;
		if (strncmp(text, name, n) == 0 && (text[n] == '\0' || text[n] == '='))
			return at;
		if (*letter && strncmp(text, letter, 2) == 0 && strncmp(text, "--", 2) != 0)
			return at;
	}
	return w->n;
}

/* A path that begins as the prefix does in messages, in the bytes the system has. */
static int make_bytes(struct planning *p)
{
	const char *shown = p->in->environment->prefix;
	struct words *w = &p->step->words;

	for (size_t i = 0; i < w->n; i++) {
		struct buf text;
		size_t n = strlen(shown);
		int rc;

		if (strncmp(w->items[i], shown, n) != 0 ||
		    (w->items[i][n] != '\0' && w->items[i][n] != '/'))
			continue;
		buf_init(&text, 2 * (size_t)PATHS_MAX);
		buf_addf(&text, "%s%s", p->in->prefix, w->items[i] + n);
		rc = buf_rc(&text);
		if (rc == 0)
			w->items[i] = arena_strdup(p->arena, buf_cstr(&text));
		buf_deinit(&text);
		if (rc == ERR_NOMEM || !w->items[i])
			return ERR_NOMEM;
		if (rc < 0)
			return refuse(p, "the path is too long");
	}
	return 0;
}

/* --- conda, mamba, micromamba --- */

/* Whether a word says which environment, and means this one. */
static bool is_own_prefix(const struct planning *p, size_t at)
{
	const char *text = word(p, at);

	if (is(text, "-p") || is(text, "--prefix"))
		return is(word(p, at + 1), p->in->prefix);
	return text_starts(text, "--prefix=") && is(text + strlen("--prefix="), p->in->prefix);
}

/* Of options that say where, the last one counts: none may say another place. */
static int check_here(struct planning *p)
{
	const struct words *w = &p->step->words;
	size_t at = find_option(w, 1, "-p", "--prefix");

	while (at < w->n && is_own_prefix(p, at))
		at = find_option(w, at + 1, "-p", "--prefix");
	if (at < w->n || find_option(w, 1, "-n", "--name") < w->n)
		return refuse(p, "it is about another environment");
	return 0;
}

/* The environment by its path: a name is looked up, and may be another one's. */
static int name_by_path(struct planning *p)
{
	struct words *w = &p->step->words;
	size_t at = find_option(w, 1, "-n", "--name");
	bool apart = is(word(p, at), "-n") || is(word(p, at), "--name");
	int rc = 0;

	if (apart && is(word(p, at + 1), p->in->environment->name)) {
		w->items[at] = "-p";
		w->items[at + 1] = p->in->prefix;
	} else if (at == w->n && find_option(w, 1, "-p", "--prefix") == w->n) {
		rc = insert_two(p, w->n, "-p", p->in->prefix);
	}
	return rc < 0 ? rc : check_here(p);
}

/* conda's update takes names alone; what it means with a version is its install. */
static void update_to_version(struct planning *p)
{
	struct words *w = &p->step->words;

	if (!is(w->items[0], "conda") || !is(word(p, 1), "update"))
		return;
	for (size_t i = 2; i < w->n; i++) {
		if (w->items[i][0] != '-' && !is(w->items[i - 1], "-p") &&
		    strpbrk(w->items[i], "<>=") != NULL)
			w->items[1] = "install";
	}
}

static int use_python(struct planning *p);
static int use_uv(struct planning *p);

/*
 * "conda run -n X pip install Y": the interpreter of the environment runs pip itself. No activation
 * is needed for it, and so the gate needs no exception that could be used for anything else.
 */
static int take_out_run(struct planning *p)
{
	struct words *w = &p->step->words;
	size_t at = 2;
	int rc = name_by_path(p);

	if (rc < 0)
		return rc;
	while (at < w->n && w->items[at][0] == '-')
		at += is(w->items[at], "-p") || is(w->items[at], "--prefix") ? 2 : 1;
	if (at >= w->n)
		return refuse(p, "it runs nothing");
	drop(w, 0, at);
	/* What name_by_path had to add stands at the end. */
	if (w->n > 2 && is(w->items[w->n - 2], "-p") && is(w->items[w->n - 1], p->in->prefix))
		drop(w, w->n - 2, 2);
	if (is(w->items[0], "uv"))
		return use_uv(p);
	if (is(w->items[0], "pip") || is(w->items[0], "pip3") || text_starts(w->items[0], "python"))
		return use_python(p);
	return refuse(p, "it runs something in the environment that is not pip or uv");
}

static int use_conda(struct planning *p)
{
	static const char *const changing[] = {"install", "update",    "upgrade",
					       "remove",  "uninstall", "reinstall"};

	p->step->tool = word(p, 0);
	if (is(word(p, 1), "run"))
		return take_out_run(p);
	for (size_t i = 0; i < ARRAY_SIZE(changing); i++) {
		if (is(word(p, 1), changing[i])) {
			update_to_version(p);
			return name_by_path(p);
		}
	}
	return refuse(p, "it does not change the environment's packages");
}

/* --- pixi --- */

/* WORKSPACE of WORKSPACE/.pixi/envs/NAME; NULL: memory, or it lies elsewhere. */
static const char *workspace_of(const struct planning *p)
{
	static const char folder[] = "/.pixi/envs/";
	const char *slash = strrchr(p->in->prefix, '/');
	size_t n = slash ? (size_t)(slash - p->in->prefix) + 1 : 0;

	if (n < sizeof(folder) ||
	    memcmp(slash + 1 - (sizeof(folder) - 1), folder, sizeof(folder) - 1) != 0)
		return NULL;
	return arena_strndup(p->arena, p->in->prefix, n - (sizeof(folder) - 1));
}

/* pixi changes a workspace's manifest, which is not the environment that happens to be near. */
static int use_pixi(struct planning *p)
{
	static const char *const changing[] = {"add",	  "remove",  "update",
					       "upgrade", "install", "reinstall"};
	struct words *w = &p->step->words;
	const char *workspace;
	bool changes = false;
	size_t at = find_option(w, 1, "", "--manifest-path");

	p->step->tool = "pixi";
	for (size_t i = 0; i < ARRAY_SIZE(changing); i++)
		changes = changes || is(word(p, 1), changing[i]);
	if (!changes)
		return refuse(p, "it does not change the environment's packages");
	if (find_option(w, 1, "-n", "--name") < w->n || find_option(w, 1, "-p", "--prefix") < w->n)
		return refuse(p, "pixi knows workspaces, not environments by -n or -p");
	workspace = workspace_of(p);
	if (!workspace)
		return refuse(p, "which workspace of pixi's it belongs to is not known");
	if (at == w->n)
		return insert_two(p, 2, "--manifest-path", workspace);
	if (!is(w->items[at], "--manifest-path") || at + 1 >= w->n)
		return refuse(p, "it is about another workspace");
	w->items[at + 1] = workspace;
	return 0;
}

/* --- pip and uv --- */

/* `python`: the option of the tool that names another interpreter. */
static int check_pip(struct planning *p, size_t verb, const char *python)
{
	const struct words *w = &p->step->words;

	if (!is(word(p, verb), "install") && !is(word(p, verb), "uninstall"))
		return refuse(p, "it does not change the environment's packages");
	if (find_option(w, 1, "-t", "--target") < w->n || find_option(w, 1, "", "--root") < w->n ||
	    find_option(w, 1, "", "--prefix") < w->n || find_option(w, 1, "", python) < w->n)
		return refuse(p, "it is about another place");
	return 0;
}

/* "pip install X", "python -m pip install X", the latter by the interpreter's path too. */
static int use_python(struct planning *p)
{
	struct words *w = &p->step->words;
	const char *first = w->items[0];
	int rc = 0;

	p->step->tool = REPAIR_PYTHON;
	if (is(first, "pip") || is(first, "pip3")) {
		w->items[0] = "pip";
		rc = insert_two(p, 0, REPAIR_PYTHON, "-m");
	} else if (!is(word(p, 1), "-m") || !is(word(p, 2), "pip")) {
		return refuse(p, "it runs something else than pip");
	}
	return rc < 0 ? rc : check_pip(p, 3, "--python");
}

static int use_uv(struct planning *p)
{
	struct words *w = &p->step->words;
	size_t at = find_option(w, 1, "-p", "--python");
	int rc;

	p->step->tool = "uv";
	if (!is(word(p, 1), "pip"))
		return refuse(p, "of uv it knows uv pip alone");
	rc = check_pip(p, 2, "--system");
	if (rc < 0)
		return rc;
	if (at == w->n)
		return insert_two(p, 3, "--python", p->in->prefix);
	if (at + 1 >= w->n || !is(word(p, at + 1), p->in->prefix))
		return refuse(p, "it is about another environment");
	return 0;
}

/* Its path, as it is written for this system or another. */
static bool is_own_python(const struct planning *p, const char *text)
{
	size_t n = strlen(p->in->prefix);

	return strncmp(text, p->in->prefix, n) == 0 &&
	       (is(text + n, "/bin/python") || is(text + n, "/python.exe"));
}

/* --- all of them --- */

static int understand(struct planning *p)
{
	int rc = make_bytes(p);
	const char *first = word(p, 0);

	if (rc < 0)
		return rc;
	if (is_conda(first))
		return use_conda(p);
	if (is(first, "pixi"))
		return use_pixi(p);
	if (is(first, "uv"))
		return use_uv(p);
	if (is(first, "pip") || is(first, "pip3") || is(first, "python") || is_own_python(p, first))
		return use_python(p);
	return err_set(&p->err, ERR_INVALID,
		       "it begins with \"%s\", not with conda, mamba, micromamba, pixi, pip or uv",
		       first);
}

/* As messages have it, where a path is not UTF-8. NULL: no memory. */
static const char *as_text(struct planning *p, const char *bytes)
{
	struct buf text;
	const char *out = NULL;

	if (text_is_utf8(bytes, strlen(bytes)))
		return arena_strdup(p->arena, bytes);
	buf_init(&text, 4 * strlen(bytes) + 1);
	text_from_path(&text, bytes);
	if (buf_rc(&text) == 0)
		out = arena_strdup(p->arena, buf_cstr(&text));
	buf_deinit(&text);
	return out;
}

static int show(struct planning *p)
{
	struct buf text;
	int rc;

	buf_init(&text, (size_t)8 * WORDS_TEXT_MAX);
	for (size_t i = 0; i < p->step->words.n; i++) {
		if (i > 0)
			buf_addc(&text, ' ');
		if (i == 0 && is(p->step->tool, REPAIR_PYTHON)) {
			text_shell_quote(&text, p->in->prefix);
			buf_adds(&text, text_starts(p->in->environment->platform, "win-")
						? "/python.exe"
						: "/bin/python");
		} else {
			text_shell_quote(&text, p->step->words.items[i]);
		}
	}
	rc = buf_rc(&text);
	if (rc == 0)
		p->step->command = as_text(p, buf_cstr(&text));
	buf_deinit(&text);
	return rc < 0 || p->step->command ? rc : ERR_NOMEM;
}

/* The reason's step; what stands in its way becomes its `why`. */
static int make_step(struct planning *p)
{
	const char *fix = p->step->reason->fix;
	int rc;

	p->err = ERR_INIT;
	p->step->command = fix;
	p->step->tool = "";
	if (!*fix) {
		p->step->why = "no automatic fix is known";
		return 0;
	}
	rc = words_split(fix, p->arena, &p->step->words, &p->err);
	if (rc == 0)
		rc = understand(p);
	if (rc == 0)
		return show(p);
	if (rc == ERR_NOMEM)
		return rc;
	p->step->why = arena_strdup(p->arena, p->err.text);
	return p->step->why ? 0 : ERR_NOMEM;
}

static bool is_there(const struct repair *all, const struct repair_step *step)
{
	for (size_t i = 0; i < all->n; i++)
		if (*step->command && is(all->steps[i].command, step->command))
			return true;
	return false;
}

int repair_plan(const struct repair_input *in, struct arena *arena, struct repair *out)
{
	const struct decision *d = in->decision;
	struct repair all = {.n = 0};
	struct planning p = {.in = in, .arena = arena};

	all.steps = arena_calloc(arena, d->n_reasons + 1, sizeof(*all.steps));
	if (!all.steps)
		return ERR_NOMEM;
	for (size_t i = 0; i < d->n_reasons; i++) {
		int rc;

		p.step = &all.steps[all.n];
		*p.step = (struct repair_step){.reason = &d->reasons[i]};
		rc = make_step(&p);
		if (rc < 0)
			return rc;
		if (is_there(&all, p.step))
			continue;
		all.n++;
		all.n_runnable += p.step->why == NULL;
	}
	*out = all;
	return 0;
}
