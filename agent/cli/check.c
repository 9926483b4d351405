#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/cli/args.h"
#include "agent/cli/ask.h"
#include "agent/cli/claim.h"
#include "agent/cli/client.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/gated.h"
#include "agent/cli/hint.h"
#include "agent/cli/message.h"
#include "agent/cli/output.h"
#include "agent/cli/pixi.h"
#include "agent/cli/report.h"
#include "agent/cli/shown.h"
#include "agent/cli/typed.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/safe_open.h"
#include "platform/terminal.h"

#define TIMEOUT_MS 150 /* what a shell may wait for us */
#define START_MS 10    /* of that goes by until we run, and after our end */
#define TIMEOUT_MAX_MS 600000
#define WIDTH_MAX 80
#define DAY_MS INT64_C(86400000)
#define AGAIN_MS 10000 /* another layer of the gate asks about the same activation */
#define MEMORY_MAX (8 * 1048576)

struct options {
	struct target_words words;
	const char *timeout;
	const char *socket;
	bool hook;
	bool active;
	bool prove;
	bool typed;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--prefix", "PATH", "the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "the environment of this name", offsetof(struct options, words.name)},
	{"--tool", "TOOL", "on behalf of conda, mamba, micromamba or pixi",
	 offsetof(struct options, words.tool)},
	{"--base", "PATH", "the base of that tool", offsetof(struct options, words.base)},
	{"--hook", NULL, "the gate asks: somebody is activating it",
	 offsetof(struct options, hook)},
	{"--active", NULL, "the gate asks about what is active already",
	 offsetof(struct options, active)},
	{"--prove", NULL, "of what is active: only show that you may see it",
	 offsetof(struct options, prove)},
	{"--typed", NULL, "behind -- is what was typed; its tool too, without --tool",
	 offsetof(struct options, typed)},
	{"--timeout-ms", "N", "how long to wait for the agent (150)",
	 offsetof(struct options, timeout)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "check [ENV | --prefix PATH | --name NAME] [options]",
	.help = "Says whether an environment may be activated; by default the active one. Exits\n"
		"with 4 if it is blocked, with 1 if there is none, else with 0, also when no\n"
		"agent answers: then what the agent last left on disk decides.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static int parse_timeout(const struct options *options, int64_t *ms, struct err *err)
{
	const char *text = options->timeout;
	unsigned long long n;

	*ms = options->hook ? TIMEOUT_MS - START_MS : TIMEOUT_MS;
	if (!text)
		return 0;
	if (text_to_u64(text, strlen(text), &n) < 0 || n > TIMEOUT_MAX_MS)
		return err_set(err, ERR_USAGE, "--timeout-ms takes 0 to %d", TIMEOUT_MAX_MS);
	*ms = (int64_t)n;
	return 0;
}

static int print_document(const struct decision_reply *reply, struct err *err)
{
	struct json_writer w;
	struct buf out;
	int rc;

	buf_init(&out, OUTPUT_MAX);
	output_document(&w, &out, "envwarden.check/1");
	document_decision(&w, reply);
	rc = output_end_document(&w, err);
	buf_deinit(&out);
	return rc;
}

static bool is_absent(const struct decision_reply *reply)
{
	return reply->absent && reply->decision.action == ACTION_ALLOW;
}

/* "~" is for shells that know it, with homes that begin with a slash. */
static const char *shown_home(char home[PATHS_MAX])
{
	return paths_is_absolute("/") && paths_home(home, NULL) == 0 ? home : NULL;
}

/* The prefix as this account sees it, free of links: what the agent could not look at. */
static bool find_real(const struct target *target, char real[PATHS_MAX])
{
	char path[PATHS_MAX];
	struct safe_dir *dir = NULL;
	bool found = target_resolve(target, path, NULL) == 0 &&
		     safe_dir_open(path, &dir, NULL) == 0 &&
		     safe_dir_real_path(dir, real, PATHS_MAX, NULL) == 0;

	safe_dir_close(dir);
	return found;
}

static void print_message(const struct decision_reply *reply, const struct target *target,
			  const struct options *options)
{
	struct message_style style = {
		.width = WIDTH_MAX,
		.colour = terminal_colour(TERMINAL_ERR),
		.one_line = !terminal_is(TERMINAL_ERR),
		.active = options->active,
		.asked = !options->hook,
	};
	const char *typed = *target->wire.typed ? target->wire.typed : target->wire.conda_prefix;
	int width = terminal_width(TERMINAL_ERR);
	char home[PATHS_MAX], real[PATHS_MAX];
	struct buf text, env;

	if (width > 0 && width < WIDTH_MAX)
		style.width = (size_t)width;
	style.home = shown_home(home);
	style.unfound =
		style.asked && strcmp(reply->source, "agent") != 0 && !find_real(target, real);
	buf_init(&text, OUTPUT_MAX);
	buf_init(&env, OUTPUT_MAX);
	hint_environment(&env, target->wire.typed, reply->prefix, reply->name, style.home);
	style.env = buf_cstr(&env);
	if (is_absent(reply))
		message_absent(&text, typed, &style);
	else
		message_decision(&text, reply, &style);
	if (buf_rc(&text) == 0 && text.len > 0)
		(void)fwrite(text.data, 1, text.len, stderr);
	buf_deinit(&env);
	buf_deinit(&text);
}

/* The environment an answer is about, to know it again: agents that don't answer name no prefix. */
static void find_key(const struct target *target, const struct decision_reply *reply,
		     struct buf *out)
{
	char real[PATHS_MAX];

	if (*reply->prefix)
		buf_adds(out, reply->prefix);
	else if (find_real(target, real))
		text_from_path(out, real);
	else
		buf_adds(out, reply->name);
}

/* Said before: a warning today, or that nobody answered when another layer asked just now. */
static bool said_before(const struct target *target, const struct decision_reply *reply)
{
	const struct clock *clock = clock_system();
	bool warns = reply->decision.action == ACTION_WARN;
	struct buf key;
	bool before;

	buf_init(&key, 4 * PATHS_MAX);
	find_key(target, reply, &key);
	before = shown_lately(buf_cstr(&key), warns ? reply->decision.case_code : "unchecked",
			      warns ? DAY_MS : AGAIN_MS, clock->wall_ms(clock));
	buf_deinit(&key);
	return before;
}

/* To the gate: what is new. The tool says itself that there is no such environment. */
static bool is_worth_saying(const struct target *target, const struct decision_reply *reply)
{
	if (message_is_silent(reply) || is_absent(reply))
		return false;
	return reply->decision.action == ACTION_BLOCK || !said_before(target, reply);
}

/* Who asks plainly, person or script, has the answer every time, also a good one. */
static void tell(const struct options *options, const struct target *target,
		 const struct decision_reply *reply)
{
	if (!options->hook || is_worth_saying(target, reply))
		print_message(reply, target, options);
}

/*
 * Where the agent may not look it can't follow links or try names either. If it knows the real path
 * by a report, what it says about that one holds.
 */
static void ask_by_real_path(const struct ask *first, struct target *target, const char *text,
			     struct arena *arena, struct decision_reply *reply)
{
	struct ask again = *first;

	if (strcmp(reply->prefix, text) == 0)
		return;
	target->wire.typed = (char *)(uintptr_t)text;
	target->wire.kind = ENVWARDEN__LOCAL__TARGET__KIND__PREFIX;
	again.target = target;
	ask(&again, arena, reply);
}

static int decide(struct options *options, int64_t timeout_ms, struct err *err)
{
	/* Not on the stack, every page of which is touched: of these, most never are. */
	static struct target target;
	static struct ask_places places;
	static char real[PATHS_MAX], text[LIMIT_PATH + 1];
	struct ask request = {
		.target = &target, .interactive = options->hook, .active = options->active};
	struct decision_reply reply;
	bool wanted;
	struct arena arena;
	int rc = target_init(&target, &options->words, err);

	if (rc == 0 && !*target.wire.typed && !*target.wire.conda_prefix)
		rc = err_set(err, ERR_USAGE, "no environment is active; name one");
	if (rc < 0)
		return output_usage("check", err);
	if (options->prove) {
		claim_active(&target, options->socket);
		return EXIT_FINE;
	}
	ask_find_places(&places, client_named_socket(options->socket), &request);
	request.deadline_ms = client_deadline(timeout_ms);
	arena_init(&arena, MEMORY_MAX);
	ask(&request, &arena, &reply);
	wanted = reply.report_wanted && find_real(&target, real) &&
		 target_text(real, text, NULL) == 0;
	if (wanted)
		ask_by_real_path(&request, &target, text, &arena, &reply);
	if (options->json)
		rc = print_document(&reply, err);
	else
		tell(options, &target, &reply);
	if (rc < 0)
		output_say("%s", err->text);
	if (reply.decision.action == ACTION_BLOCK)
		rc = EXIT_BLOCKED;
	else if (is_absent(&reply) && !options->hook)
		rc = EXIT_FAILED;
	else
		rc = rc < 0 ? EXIT_FAILED : EXIT_FINE;
	if (wanted)
		report_later(real, options->socket); /* when the answer is given */
	if (reply.proof_wanted && text_to_path(reply.prefix, real, sizeof real) == 0)
		claim_active_later(real, options->socket);
	arena_deinit(&arena);
	return rc;
}

/* What was typed behind "--", if it says so before; *argc then ends there. */
static size_t cut_typed(int *argc, char **argv, char *const **words)
{
	bool typed = false;

	for (int i = 1; i < *argc; i++) {
		typed = typed || strcmp(argv[i], "--typed") == 0;
		if (typed && strcmp(argv[i], "--") == 0) {
			size_t n = (size_t)(*argc - i - 1);

			*words = argv + i + 1;
			*argc = i;
			return n;
		}
	}
	return 0;
}

/* false: nothing is activated by it, or what is can't be told. room: for a path. */
static bool take_typed(struct target_words *to, const struct typed *typed, char room[PATHS_MAX])
{
	const char *active = getenv("CONDA_PREFIX");

	switch (typed->kind) {
	case TYPED_NOTHING:
		return false;
	case TYPED_ACTIVE:
		to->env = active && *active ? NULL : "base";
		return true;
	case TYPED_ENV:
		to->env = typed->what;
		return true;
	case TYPED_NAME:
		to->name = typed->what;
		return true;
	case TYPED_PREFIX:
		to->prefix = typed->what;
		return true;
	case TYPED_PIXI:
		to->prefix = room;
		return pixi_find(typed->manifest, typed->what, room, NULL) == 0;
	}
	return false;
}

/* The tool that a line begins with: cmd.exe's text names it as it is started, "conda.bat". */
static void take_tool(struct target_words *to, size_t *n_words, char *const **words, char room[16])
{
	size_t n;

	if (to->tool || *n_words == 0)
		return;
	n = strcspn(**words, ".");
	n = n < 16 ? n : 15;
	memcpy(room, **words, n);
	room[n] = '\0';
	to->tool = room;
	(*words)++;
	(*n_words)--;
}

static bool is_conda(const char *tool)
{
	return tool && strcmp(tool, "conda") == 0;
}

int command_check(int argc, char **argv)
{
	char *const *words = NULL;
	size_t n_words = cut_typed(&argc, argv, &words);
	struct options options = {0};
	char room[PATHS_MAX], tool[16];
	struct typed typed;
	struct err err = ERR_INIT;
	struct args args = {0};
	int64_t timeout_ms = 0;
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (rc == 0)
		rc = parse_timeout(&options, &timeout_ms, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (options.typed) {
		take_tool(&options.words, &n_words, &words, tool);
		if (is_conda(options.words.tool) && gated_by_base(getenv("CONDA_EXE")))
			return EXIT_FINE;
		typed = typed_read(options.words.tool ? options.words.tool : "", n_words, words);
		if (!take_typed(&options.words, &typed, room))
			return EXIT_FINE;
	}
	return decide(&options, timeout_ms, &err);
}
