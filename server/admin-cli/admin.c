#include "server/admin-cli/admin.h"

#include <stdarg.h>
#include <string.h>

#include <curl/curl.h>
#include <uv.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/help.h"

#define LINE_MAX_BYTES 16384
#define NAME_MAX_BYTES 32 /* of a word that may name a command */

static const enum option login_options[] = {OPT_USER, OPT_PASSWORD_FILE, OPT_N};
static const enum option list_options[] = {OPT_QUERY,  OPT_MACHINE, OPT_USER, OPT_PLATFORM,
					   OPT_STATUS, OPT_LIMIT,   OPT_N};
static const enum option status_options[] = {OPT_MESSAGE, OPT_UNTIL, OPT_PACKAGE, OPT_NO_WAIT,
					     OPT_N};
static const enum option history_options[] = {OPT_SINCE, OPT_LIMIT, OPT_FOLLOW, OPT_N};
static const enum option ran_options[] = {OPT_RULE,  OPT_USER,	OPT_MACHINE,
					  OPT_SINCE, OPT_LIMIT, OPT_N};
static const enum option machine_options[] = {OPT_QUERY, OPT_PLATFORM, OPT_LIMIT, OPT_N};
static const enum option export_options[] = {OPT_OUT, OPT_FORCE, OPT_VALID, OPT_N};
static const enum option join_options[] = {OPT_USES,	  OPT_EXPIRES, OPT_LABELS,
					   OPT_EPHEMERAL, OPT_TITLE,   OPT_N};
static const enum option audit_options[] = {OPT_LIMIT, OPT_N};
static const enum option apply_options[] = {OPT_NOTE, OPT_YES, OPT_NO_WAIT, OPT_N};
static const enum option draft_options[] = {OPT_OUT, OPT_FORCE, OPT_NOTE, OPT_N};
static const enum option signed_options[] = {OPT_NO_WAIT, OPT_N};
static const enum option limit_options[] = {OPT_LIMIT, OPT_N};
static const enum option grant_options[] = {OPT_RULE,	OPT_EXPIRES, OPT_REASON,
					    OPT_TICKET, OPT_PACKAGE, OPT_N};
static const enum option exceptions_options[] = {OPT_RULE, OPT_ALL, OPT_N};
static const enum option requests_options[] = {OPT_ALL, OPT_N};
static const enum option approve_options[] = {OPT_EXPIRES, OPT_RULE, OPT_TICKET, OPT_MESSAGE,
					      OPT_N};
static const enum option deny_options[] = {OPT_MESSAGE, OPT_N};
static const enum option unlock_options[] = {OPT_FOR, OPT_AND_STATUS, OPT_REASON, OPT_N};
static const enum option no_options[] = {OPT_N};

static const struct command commands[] = {
	{"login", "--user U [--password-file F|-]", "log in; the token is kept in the config file",
	 0, 0, login_options, cmd_login, false},
	{"logout", "", "end the token", 0, 0, no_options, cmd_logout, false},
	{"logging", "on|off|status", "the organisation's switch: off = nothing is watched", 1, 1,
	 no_options, cmd_logging, false},
	{"env list",
	 "[--query Q] [--machine M] [--user U] [--platform P] [--status ok|warn|block] [--limit N]",
	 "the environments known", 0, 0, list_options, cmd_env_list, false},
	{"env show", "ENV", "one environment with its packages", 1, 1, no_options, cmd_env_show,
	 false},
	{"env set-status",
	 "ENV... ok|warn|block [--message TEXT] [--until TIME|fixed] [--package SPEC;...] "
	 "[--no-wait]",
	 "set or remove an explicit status, and wait until connected machines have it (2 s at "
	 "most); fixed: until none of the packages is there, those that break rules unless told",
	 2, OPTIONS_WORDS_MAX, status_options, cmd_env_set_status, false},
	{"env history", "[ENV] [--since TIME] [--limit N] [--follow]", "what changed, oldest first",
	 0, 1, history_options, cmd_env_history, false},
	{"env ran", "[ENV] [--rule RULE] [--user U] [--machine M] [--since TIME] [--limit N]",
	 "who used what although it was blocked, the newest first", 0, 1, ran_options, cmd_env_ran,
	 false},
	{"machine list", "[--query Q] [--platform P] [--limit N]", "the machines enrolled", 0, 0,
	 machine_options, cmd_machine_list, false},
	{"machine export-bundle", "MACHINE -o FILE [--force] [--valid 7d]",
	 "its signed state as a file, for a machine that reaches no server: there, envwarden "
	 "import FILE",
	 1, 1, export_options, cmd_machine_export, false},
	{"join-code create",
	 "[--uses N] [--expires 7d] [--labels A,B] [--ephemeral] [--title TEXT]",
	 "a code that enrols machines", 0, 0, join_options, cmd_join_code_create, false},
	{"policy check", "FILE", "what is wrong with a policy; asks no server", 1, 1, no_options,
	 cmd_policy_check, true},
	{"policy plan", "FILE", "what a policy would change in the fleet", 1, 1, no_options,
	 cmd_policy_plan, false},
	{"policy apply", "FILE [--note TEXT] [--yes] [--no-wait]",
	 "check, plan, ask, then sign it and send it to every machine", 1, 1, apply_options,
	 cmd_policy_apply, false},
	{"policy export-body", "FILE -o DRAFT [--force] [--note TEXT]",
	 "check, and write what is to be signed, where the server has no policy key", 1, 1,
	 draft_options, cmd_policy_export_body, false},
	{"policy import-signed", "FILE [--no-wait]",
	 "apply a draft that was signed (envwarden-server root sign)", 1, 1, signed_options,
	 cmd_policy_import_signed, false},
	{"policy show", "[VERSION]", "a policy as it was written, the newest unless told", 0, 1,
	 no_options, cmd_policy_show, false},
	{"policy log", "[--limit N]", "the policies applied, newest first", 0, 0, limit_options,
	 cmd_policy_log, false},
	{"policy rollback", "VERSION [--note TEXT] [--yes] [--no-wait]",
	 "apply the text of an old version as a new one", 1, 1, apply_options, cmd_policy_rollback,
	 false},
	{"policy report", "[RULE]",
	 "what rules and statuses have done; with RULE, to which environments", 0, 1, no_options,
	 cmd_policy_report, false},
	{"exception grant",
	 "ENV --expires TIME --reason TEXT [--rule RULE] [--package GLOB] [--ticket T]",
	 "lift a rule (any unless told) for one environment", 1, 1, grant_options,
	 cmd_exception_grant, false},
	{"exception list", "[--rule RULE] [--all]", "exceptions granted that hold, or all", 0, 0,
	 exceptions_options, cmd_exception_list, false},
	{"exception revoke", "ID", "end an exception", 1, 1, no_options, cmd_exception_revoke,
	 false},
	{"request list", "[--all]", "members' requests that are open, or all", 0, 0,
	 requests_options, cmd_request_list, false},
	{"request approve", "ID --expires TIME [--rule RULE] [--ticket T] [--message TEXT]",
	 "grant what was asked for", 1, 1, approve_options, cmd_request_approve, false},
	{"request deny", "ID [--message TEXT]", "refuse it; the member reads the message", 1, 1,
	 deny_options, cmd_request_deny, false},
	{"unlock revoke", "ENV", "the codes issued for it count no more", 1, 1, no_options,
	 cmd_unlock_revoke, false},
	{"unlock", "ENV --reason TEXT [--for 2h] [--and-status]",
	 "a code that lets one environment be used for a while, also without the network", 1, 1,
	 unlock_options, cmd_unlock, false},
	{"audit", "[--limit N]", "who did what, newest first", 0, 0, audit_options, cmd_audit,
	 false},
};

/* --- talking --- */

static void write_line(FILE *file, const char *prefix, const char *fmt, va_list ap) EW_PRINTF(3, 0);

static void write_line(FILE *file, const char *prefix, const char *fmt, va_list ap)
{
	struct buf text;
	struct buf line;

	buf_init(&text, LINE_MAX_BYTES);
	buf_init(&line, 4 * LINE_MAX_BYTES);
	buf_vaddf(&text, fmt, ap);
	buf_adds(&line, prefix);
	text_escape(&line, buf_cstr(&text), text.len);
	(void)fprintf(file, "%s\n", buf_cstr(&line));
	buf_deinit(&text);
	buf_deinit(&line);
}

enum admin_exit admin_fail(const struct admin *a, enum admin_exit code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(a->err, "envwarden-admin: ", fmt, ap);
	va_end(ap);
	return code;
}

void admin_say(const struct admin *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(a->err, "", fmt, ap);
	va_end(ap);
}

void admin_print(const struct admin *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	write_line(a->out, "", fmt, ap);
	va_end(ap);
}

int64_t admin_now_ms(void)
{
	return clock_system()->wall_ms(clock_system());
}

/* --- choosing the command --- */

static void help(const struct admin *a, FILE *to)
{
	help_begin(to);
	(void)help_commands(to, commands, ARRAY_SIZE(commands), NULL);
	help_end(to, a->config.path);
}

/* How many words of the command line are the command's name; 0 = another command. */
static size_t fits(const struct command *c, const struct options *o)
{
	const char *space = strchr(c->name, ' ');
	size_t n = space ? (size_t)(space - c->name) : strlen(c->name);

	if (o->n_words == 0 || strlen(o->words[0]) != n || memcmp(o->words[0], c->name, n) != 0)
		return 0;
	if (!space)
		return 1;
	return o->n_words > 1 && strcmp(o->words[1], space + 1) == 0 ? 2 : 0;
}

static const struct command *command_called(const struct options *o, size_t *name_words)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		*name_words = fits(&commands[i], o);
		if (*name_words > 0)
			return &commands[i];
	}
	return NULL;
}

/* The first word of several commands. */
static bool is_group(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (text_starts(commands[i].name, word) && commands[i].name[n] == ' ')
			return true;
	return false;
}

/* "did you mean": by the first two words, else by the first one. */
static enum admin_exit unknown_command(const struct admin *a)
{
	const struct options *o = &a->options;
	char both[2 * NAME_MAX_BYTES + 2];
	struct text_guess guess;

	if (o->n_words == 1 && is_group(o->words[0])) {
		(void)admin_fail(a, ADMIN_USAGE, "%s what?", o->words[0]);
		(void)help_commands(a->err, commands, ARRAY_SIZE(commands), o->words[0]);
		return ADMIN_USAGE;
	}
	for (size_t n = o->n_words < 2 ? 1 : 2; n > 0; n--) {
		(void)snprintf(both, sizeof(both), "%.*s%s%.*s", NAME_MAX_BYTES, o->words[0],
			       n > 1 ? " " : "", NAME_MAX_BYTES, n > 1 ? o->words[1] : "");
		guess = (struct text_guess){.word = both, .n = strlen(both)};
		for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
			text_guess(&guess, commands[i].name);
		if (guess.best)
			return admin_fail(a, ADMIN_USAGE,
					  "no such command \"%s\"; did you mean %s? See "
					  "envwarden-admin --help",
					  both, guess.best);
	}
	return admin_fail(a, ADMIN_USAGE, "no such command \"%s\"; see envwarden-admin --help",
			  both);
}

/* --help alone, behind a command, or behind the first word of several. */
static enum admin_exit tell_help(struct admin *a)
{
	const struct options *o = &a->options;
	const struct command *c;
	size_t name_words;

	(void)config_load(&a->config, NULL);
	if (o->n_words == 0) {
		help(a, a->out);
		return ADMIN_OK;
	}
	c = command_called(o, &name_words);
	if (c)
		help_command(a->out, c);
	else if (help_commands(a->out, commands, ARRAY_SIZE(commands), o->words[0]) == 0)
		return unknown_command(a);
	return ADMIN_OK;
}

static bool takes(const struct command *c, enum option option)
{
	const enum option *o;

	for (o = c->options; *o != OPT_N; o++)
		if (*o == option)
			return true;
	return option < OPT_USER;
}

static enum admin_exit check_use(const struct admin *a, const struct command *c, size_t words)
{
	int i;

	for (i = 0; i < OPT_N; i++)
		if (a->options.values[i] && !takes(c, (enum option)i))
			return admin_fail(a, ADMIN_USAGE, "%s takes no %s", c->name,
					  option_name((enum option)i));
	if (words < c->words_min || words > c->words_max)
		return admin_fail(a, ADMIN_USAGE, "usage: envwarden-admin %s %s", c->name,
				  c->usage);
	return ADMIN_OK;
}

/* --- settings --- */

/* The config file names the certificate for runs from any folder. */
static int set_ca(struct config *c, const char *path, struct err *err)
{
	uv_fs_t req;
	int rc = uv_fs_realpath(NULL, &req, path, NULL);

	if (rc < 0)
		rc = err_set(err, ERR_NOTFOUND, "--ca %s: %s", path, uv_strerror(rc));
	else if (strlen(req.ptr) >= sizeof(c->ca))
		rc = err_set(err, ERR_LIMIT, "--ca: too long a path");
	else
		(void)snprintf(c->ca, sizeof(c->ca), "%s", (const char *)req.ptr);
	uv_fs_req_cleanup(&req);
	return rc;
}

static int set_server(struct config *c, const char *url, struct err *err)
{
	size_t n = strlen(url);

	if (!text_starts(url, "https://") || n >= sizeof(c->server))
		return err_set(err, ERR_USAGE, "--server: an address like https://host:port");
	while (n > 0 && url[n - 1] == '/')
		n--;
	/* A token is never sent to another server than the one that gave it. */
	if (strlen(c->server) != n || memcmp(c->server, url, n) != 0)
		crypto_wipe(c->token, sizeof(c->token));
	memcpy(c->server, url, n);
	c->server[n] = '\0';
	return 0;
}

static int settle_config(struct admin *a, struct err *err)
{
	const char *const *v = a->options.values;
	int rc = config_load(&a->config, err);

	if (rc == 0 && v[OPT_SERVER])
		rc = set_server(&a->config, v[OPT_SERVER], err);
	if (rc == 0 && v[OPT_CA])
		rc = set_ca(&a->config, v[OPT_CA], err);
	if (rc == 0 && v[OPT_TOKEN_FILE])
		rc = config_read_token(v[OPT_TOKEN_FILE], a->config.token, err);
	return rc;
}

/* --- the whole --- */

static enum admin_exit run(struct admin *a)
{
	struct err err = ERR_INIT;
	const struct command *c;
	size_t name_words;
	enum admin_exit result;
	int rc;

	if (a->options.values[OPT_HELP])
		return tell_help(a);
	rc = settle_config(a, &err);
	if (rc < 0)
		return admin_fail(a, rc == ERR_USAGE ? ADMIN_USAGE : ADMIN_FAILED, "%s", err.text);
	if (a->options.n_words == 0) {
		help(a, a->err);
		return ADMIN_USAGE;
	}
	c = command_called(&a->options, &name_words);
	if (!c)
		return unknown_command(a);
	result = check_use(a, c, a->options.n_words - name_words);
	if (result == ADMIN_OK && !c->local)
		result = client_new(a, &a->client);
	if (result == ADMIN_OK)
		result = c->run(a, a->options.words + name_words, a->options.n_words - name_words);
	if (result == ADMIN_OK && fflush(a->out) != 0)
		result = admin_fail(a, ADMIN_FAILED, "the output could not be written");
	return result;
}

enum admin_exit admin_run(int argc, const char *const *argv, FILE *out, FILE *err)
{
	struct admin *a = mem_calloc(1, sizeof(*a));
	struct err why = ERR_INIT;
	enum admin_exit result;

	if (!a) {
		(void)fputs("envwarden-admin: out of memory\n", err);
		return ADMIN_FAILED;
	}
	a->out = out;
	a->err = err;
	if (options_parse(argc, argv, &a->options, &why) < 0)
		result = admin_fail(a, ADMIN_USAGE, "%s", why.text);
	else
		result = run(a);
	client_free(a->client);
	crypto_wipe(&a->config, sizeof(a->config));
	mem_free(a);
	return result;
}
