#include "server/admin-cli/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "proto/join_code.h"
#include "tests/server/api/world.h"

#define ARGS_MAX 32

static struct world *world;
static char config_path[TMPDIR_PATH_MAX];
static char password_path[TMPDIR_PATH_MAX];
static char *out;
static char *err;

/* Runs a command; what it said stands in `out` and `err`. */
static int run(const char *first, ...)
{
	const char *argv[ARGS_MAX] = {"envwarden-admin"};
	size_t out_n;
	size_t err_n;
	FILE *out_file;
	FILE *err_file;
	va_list ap;
	int argc = 1;
	int result;

	free(out);
	free(err);
	out_file = open_memstream(&out, &out_n);
	err_file = open_memstream(&err, &err_n);
	assert_non_null(out_file);
	assert_non_null(err_file);
	va_start(ap, first);
	for (; first; first = va_arg(ap, const char *)) {
		assert_in_range(argc, 1, ARGS_MAX - 1);
		argv[argc++] = first;
	}
	va_end(ap);
	result = (int)admin_run(argc, argv, out_file, err_file);
	assert_int_equal(fclose(out_file), 0);
	assert_int_equal(fclose(err_file), 0);
	return result;
}

static int login(const char *user)
{
	return run("--server", world->url, "--ca", world->ca, "login", "--user", user,
		   "--password-file", password_path, NULL);
}

static int setup(void **state)
{
	assert_int_equal(world_setup(state), 0);
	world = *state;
	tmpdir_write_text(&world->dir, "password", WORLD_PASSWORD "\n");
	tmpdir_path(&world->dir, "password", password_path);
	tmpdir_path(&world->dir, "conf/admin.conf", config_path);
	assert_int_equal(setenv("ENVWARDEN_ADMIN_CONFIG", config_path, 1), 0);
	return 0;
}

static int teardown(void **state)
{
	free(out);
	free(err);
	return world_teardown(state);
}

static void says(const char *text, const char *words)
{
	if (!strstr(text, words))
		fail_msg("\"%s\" is not in: %s", words, text);
}

static void test_usage(void **state)
{
	static const struct {
		const char *args[6];
		const char *words;
	} cases[] = {
		{{"hello"}, "no such command"},
		{{"env"}, "env what?\n  env list"},
		{{"env", "show"}, "usage: envwarden-admin env show ENV"},
		{{"env", "list", "more"}, "usage: envwarden-admin env list"},
		{{"env", "list", "--until", "7d"}, "env list takes no --until"},
		{{"env", "list", "--hello"}, "unknown option --hello"},
		{{"env", "list", "--query"}, "--query needs a value"},
		{{"env", "list", "--json", "--json"}, "twice"},
		{{"env", "list", "--limit", "x"}, "--limit: a number"},
		{{"env", "set-status", "x", "bad"}, "ok, warn or block"},
		{{"env", "history", "--since", "soon"}, "--since: \"soon\" is no time: 2d, 3h"},
		{{"logging", "maybe"}, "on, off or status"},
		{{"--server", "http://x", "audit"}, "https://"},
		{{"audit"}, "which server?"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *v = cases[i].args;

		assert_int_equal(run(v[0], v[1], v[2], v[3], v[4], v[5], NULL), ADMIN_USAGE);
		says(err, cases[i].words);
		assert_string_equal(out, "");
	}
	assert_int_equal(run(NULL, NULL), ADMIN_USAGE);
	assert_int_equal(run("--help", NULL), ADMIN_OK);
	says(out, "env set-status");
}

static void test_login(void **state)
{
	struct stat st;

	(void)state;
	tmpdir_write_text(&world->dir, "wrong", "not the password");
	assert_int_equal(run("--server", world->url, "audit", NULL), ADMIN_FAILED);
	says(err, "does not prove to be the server");
	assert_int_equal(run("--server", world->url, "--ca", password_path, "audit", NULL),
			 ADMIN_FAILED);
	assert_int_equal(run("--server", world->url, "--ca", world->ca, "audit", NULL),
			 ADMIN_FORBIDDEN);
	assert_int_equal(run("--server", "https://127.0.0.1:1", "--ca", world->ca, "audit", NULL),
			 ADMIN_UNREACHABLE);
	says(err, "is not reachable");
	{
		char wrong[TMPDIR_PATH_MAX];

		tmpdir_path(&world->dir, "wrong", wrong);
		assert_int_equal(run("--server", world->url, "--ca", world->ca, "login", "--user",
				     "ada", "--password-file", wrong, NULL),
				 ADMIN_FORBIDDEN);
	}
	assert_string_equal(err, "envwarden-admin: wrong user or password\n");
	assert_int_equal(login("ada"), ADMIN_OK);
	says(err, "as ada (admin).");
	assert_int_equal(stat(config_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	/* From here on neither server nor token is asked for; another server does not get it. */
	assert_int_equal(run("logging", "status", NULL), ADMIN_OK);
	assert_string_equal(out, "Logging is off for Test.\n");
	assert_int_equal(run("logout", NULL), ADMIN_OK);
	assert_int_equal(run("logging", "status", NULL), ADMIN_FORBIDDEN);

	assert_int_equal(login("vic"), ADMIN_OK);
	assert_int_equal(run("logging", "on", NULL), ADMIN_FORBIDDEN);
	says(err, "not permitted");
	/* A config others can read is refused. */
	assert_int_equal(chmod(config_path, 0644), 0);
	assert_int_equal(run("logging", "status", NULL), ADMIN_FAILED);
	says(err, config_path);
	assert_int_equal(chmod(config_path, 0600), 0);
	tmpdir_write_text(&world->dir, "conf/admin.conf", "server = x\nhello = 1\n");
	assert_int_equal(chmod(config_path, 0600), 0);
	assert_int_equal(run("logging", "status", NULL), ADMIN_FAILED);
	says(err, "line 2: unknown key \"hello\"");
	assert_int_equal(remove(config_path), 0);
}

/* A token that was good once. */
static void test_token_refused(void **state)
{
	char path[TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_write_text(&world->dir, "token",
			  "ewt_0000000000000000000000000000000000000000000000000000000000000000\n");
	tmpdir_path(&world->dir, "token", path);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(
		run("--token-file", path, "--server", world->url, "--ca", world->ca, "audit", NULL),
		ADMIN_FORBIDDEN);
	says(err, "log in again: envwarden-admin login");
}

#define HEAD                                                                                       \
	"NAME                  STATUS  DECISION  USER  MACHINE  PLATFORM  PACKAGES  "              \
	"CHANGED           PREFIX\n"
#define ROW(name, decision, host, packages, prefix)                                                \
	name "  ok      " decision "  ana   " host "   linux-64  " packages                        \
	     "         2025-11-24 16:00  " prefix "\n"

static void test_list(void **state)
{
	static const char table[] =
		HEAD ROW("alpha               ", "block   ", "host-1", "2", "/home/ana/envs/alpha")
			ROW("alpha               ", "allow   ", "host-2", "2", "/srv/envs/alpha")
				ROW("beta                ", "allow   ", "host-1", "0",
				    "/home/ana/envs/beta")
					ROW("ev\\x1b[31mil\\u{202e}", "allow   ", "host-1", "0",
					    "/home/ana/envs/ev\\x1b[31mil\\u{202e}");

	(void)state;
	assert_int_equal(login("ada"), ADMIN_OK);
	assert_int_equal(run("env", "list", NULL), ADMIN_OK);
	assert_string_equal(out, table);
	assert_int_equal(
		run("env", "list", "--query", "alpha", "--machine", "host-2", "--json", NULL),
		ADMIN_OK);
	assert_string_equal(
		out,
		"{\"schema\":\"envwarden.list/1\",\"environments\":[{\"id\":"
		"\"15151515-1515-1515-1515-151515151515\",\"prefix\":\"/srv/envs/alpha\","
		"\"name\":\"alpha\",\"user\":\"ana\",\"machine\":{\"id\":"
		"\"02020202-0202-0202-0202-020202020202\",\"hostname\":\"host-2\"},"
		"\"connected\":false,\"platform\":\"linux-64\",\"tool\":\"conda\",\"packages\":2,"
		"\"status\":\"ok\",\"status_delivered\":false,\"created\":\"2025-11-24T16:00:00."
		"000Z\",\"last_change\":"
		"\"2025-11-24T16:00:00.000Z\",\"deleted\":false,\"archived\":false,\"excluded\":"
		"false,\"degraded\":[]}]}\n");
	assert_int_equal(run("env", "list", "--limit", "2", "--json", NULL), ADMIN_OK);
	assert_null(strstr(out, "beta"));
	/* Nothing of the data can steer a terminal, in documents neither. */
	assert_int_equal(run("env", "list", "--json", NULL), ADMIN_OK);
	assert_null(strchr(out, '\x1b'));
	assert_null(strstr(out, "\xe2\x80\xae"));
}

static void test_show(void **state)
{
	(void)state;
	assert_int_equal(run("env", "show", "/home/ana/envs/alpha", NULL), ADMIN_OK);
	says(out, "Machine   host-1\n");
	says(out, "PACKAGE  VERSION  BUILD  FROM");
	says(out, "numpy    1.26.4   h0_1   conda");
	assert_int_equal(run("env", "show", "beta", "--json", NULL), ADMIN_OK);
	says(out, "{\"schema\":\"envwarden.show/1\",\"environment\":{");
	says(out, "\"packages\":[]}");
	assert_int_equal(run("env", "show", "gamma", NULL), ADMIN_FAILED);
	says(err, "no environment is called \"gamma\"; see: envwarden-admin env list");
	assert_int_equal(run("env", "show", "alpha", NULL), ADMIN_FAILED);
	assert_string_equal(
		err, "envwarden-admin: 2 environments are called \"alpha\"; give the id of one:\n"
		     "  0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b  host-1:/home/ana/envs/alpha\n"
		     "  15151515-1515-1515-1515-151515151515  host-2:/srv/envs/alpha\n");
	assert_int_equal(run("env", "show", WORLD_HOSTILE, NULL), ADMIN_OK);
	assert_null(strchr(out, '\x1b'));
}

#define LATER "; its machine is not connected and hears of it when it next connects.\n"

static void test_set_status(void **state)
{
	(void)state;
	assert_int_equal(run("env", "set-status", "beta", "/srv/envs/alpha", "block", "--message",
			     "Not this one.", "--until", "7d", NULL),
			 ADMIN_OK);
	assert_string_equal(out, "host-1:/home/ana/envs/beta is BLOCKED" LATER
				 "host-2:/srv/envs/alpha is BLOCKED" LATER);
	assert_int_equal(run("env", "list", "--status", "block", NULL), ADMIN_OK);
	says(out, "beta");
	assert_null(strstr(out, "/home/ana/envs/alpha"));
	assert_int_equal(run("env", "show", "beta", NULL), ADMIN_OK);
	says(out, "Message   Not this one.\n");
	says(out, "Set by    ada\n");
	assert_int_equal(run("env", "set-status", "alpha", "ok", NULL), ADMIN_FAILED);
	assert_int_equal(run("env", "set-status", "beta", "/srv/envs/alpha", "ok", NULL), ADMIN_OK);
	says(out, "host-1:/home/ana/envs/beta has no explicit status" LATER);
	assert_int_equal(run("audit", "--limit", "5", NULL), ADMIN_OK);
	says(out, "status.set");
	says(out, "environment:0c0c0c0c-0c0c-0c0c-0c0c-0c0c0c0c0c0c");
}

/* Policy as code, from the file to what it would change and to the version that is shown. */
static void test_policy(void **state)
{
	char good[TMPDIR_PATH_MAX], bad[TMPDIR_PATH_MAX], mild[TMPDIR_PATH_MAX];

	(void)state;
	tmpdir_write_text(&world->dir, "good.yaml",
			  "policy: 1\nrules:\n"
			  "  - {id: no-numpy, when: {package: \"numpy <2\"}, action: block, "
			  "message: \"Use 2.\"}\n");
	tmpdir_write_text(&world->dir, "bad.yaml", "policy: 1\nrules:\n  - {id: x, wen: {}}\n");
	tmpdir_write_text(&world->dir, "mild.yaml",
			  "policy: 1\nrules:\n"
			  "  - {id: no-numpy, when: {package: \"numpy <2\"}, action: warn, "
			  "message: \"Use 2.\"}\n");
	tmpdir_path(&world->dir, "mild.yaml", mild);
	tmpdir_path(&world->dir, "good.yaml", good);
	tmpdir_path(&world->dir, "bad.yaml", bad);
	assert_int_equal(run("policy", "check", good, NULL), ADMIN_OK);
	says(err, "good.yaml: 1 rule, 0 exceptions; no errors, 1 warning\n");
	assert_int_equal(run("policy", "check", bad, NULL), ADMIN_FAILED);
	says(err, "bad.yaml:3:");
	assert_int_equal(run("policy", "show", NULL), ADMIN_FAILED);
	says(err, "no policy was applied yet");
	assert_int_equal(run("policy", "plan", good, NULL), ADMIN_OK);
	says(out, "It changes 2 of 4 environments, of 1 user:\n"
		  "  blocked  0 -> 2\n"
		  "  warned   0 -> 0\n"
		  "  allowed  4 -> 2\n"
		  "  rule no-numpy: blocked 0 -> 2\n");
	says(out, "allow -> block  host-1:/home/ana/envs/alpha (ana)");
	assert_int_equal(run("policy", "apply", bad, "--yes", NULL), ADMIN_FAILED);
	assert_int_equal(
		run("policy", "apply", good, "--yes", "--no-wait", "--note", "first", NULL),
		ADMIN_OK);
	says(out, "policy 1 is applied; active on 0 of 2 machines");
	assert_int_equal(run("policy", "plan", good, "--json", NULL), ADMIN_OK);
	says(out, "\"changes\":0");
	/* Milder: neither a block more nor a rule that ends. */
	assert_int_equal(run("policy", "plan", mild, NULL), ADMIN_OK);
	says(out, "It changes 2 of 4 environments, of 1 user:\n"
		  "  blocked  2 -> 0\n"
		  "  warned   0 -> 2\n"
		  "  allowed  2 -> 2\n"
		  "  rule no-numpy: blocked 2 -> 0, warned 0 -> 2\n"
		  "    block -> warn  host-1:/home/ana/envs/alpha (ana)\n");
	assert_int_equal(run("policy", "rollback", "1", "--yes", "--no-wait", NULL), ADMIN_OK);
	says(out, "It changes nothing for the 4 environments there are.\n");
	says(err, "It is policy 1, word for word.\n");
	says(out, "policy 2 is applied");
	assert_int_equal(run("policy", "show", "1", NULL), ADMIN_OK);
	says(out, "id: no-numpy");
	assert_int_equal(run("policy", "log", NULL), ADMIN_OK);
	says(out, "rollback to 1");
	says(out, "first");
	assert_int_equal(run("policy", "report", NULL), ADMIN_OK);
	says(out, "trial");
	assert_int_equal(run("policy", "report", "old", NULL), ADMIN_OK);
	says(out, "numpy 1.26.4");
	assert_int_equal(run("policy", "report", "no-numpy", NULL), ADMIN_OK);
	says(err, "It has concerned no environment yet.\n");
	assert_int_equal(run("policy", "report", "no-nunpy", NULL), ADMIN_FAILED);
	says(err, "rule: policy 2 has no rule \"no-nunpy\"; did you mean \"no-numpy\"?\n");
	assert_int_equal(run("policy", "rollback", "0", "--yes", NULL), ADMIN_USAGE);
	says(err, "VERSION is a number from 1 on, not \"0\"; see: envwarden-admin policy log\n");
	assert_int_equal(run("policy", "rollback", "9", "--yes", NULL), ADMIN_FAILED);
	says(err, "no policy has version 9\n");
	assert_int_equal(run("env", "show", "/home/ana/envs/alpha", NULL), ADMIN_OK);
	says(out, "Why       block by rule old  numpy 1.26.4");
	says(out, "would warn by rule trial");
}

static void test_lifts(void **state)
{
	char id[37];

	(void)state;
	world_env_id(11, id);
	assert_int_equal(run("exception", "grant", "beta", "--reason", "why", NULL), ADMIN_USAGE);
	says(err, "must end");
	assert_int_equal(run("exception", "grant", "beta", "--reason", "why", "--expires", "7d",
			     "--rule", "no-numpy", NULL),
			 ADMIN_OK);
	assert_int_equal(run("exception", "list", NULL), ADMIN_OK);
	says(out, "no-numpy");
	assert_int_equal(run("exception", "revoke", id, NULL), ADMIN_OK);
	assert_int_equal(run("exception", "revoke", id, NULL), ADMIN_FAILED);
	assert_int_equal(run("request", "list", NULL), ADMIN_OK);
	says(out, "EW-ABCD");
	assert_int_equal(
		run("request", "approve", id, "--expires", "7d", "--message", "Fine.", NULL),
		ADMIN_OK);
	assert_int_equal(run("request", "deny", id, NULL), ADMIN_FAILED);
	says(err, "it was approved before");
	assert_int_equal(run("request", "list", NULL), ADMIN_OK);
	assert_null(strstr(out, "EW-ABCD"));
	assert_int_equal(run("unlock", "beta", NULL), ADMIN_USAGE);
	assert_int_equal(run("unlock", "beta", "--reason", "phone", "--for", "2h", NULL), ADMIN_OK);
	assert_true(strlen(out) > 30);
	assert_int_equal(run("unlock", "revoke", "beta", NULL), ADMIN_OK);
	says(out, "1 code revoked");
	/* Until what breaks rules is gone, or what is named. */
	assert_int_equal(
		run("env", "set-status", "/home/ana/envs/alpha", "block", "--until", "fixed", NULL),
		ADMIN_OK);
	assert_int_equal(run("env", "show", "/home/ana/envs/alpha", "--json", NULL), ADMIN_OK);
	says(out, "\"packages\":[\"numpy 1.26.4\"]");
	assert_int_equal(run("env", "set-status", "beta", "block", "--until", "fixed", NULL),
			 ADMIN_FAILED);
	says(err, "say which must go");
	assert_int_equal(run("env", "set-status", "beta", "block", "--until", "fixed", "--package",
			     "openssl <3; pyyaml", NULL),
			 ADMIN_OK);
	assert_int_equal(run("env", "set-status", "beta", "block", "--until", "fixed", "--package",
			     "openssl >>3", NULL),
			 ADMIN_USAGE);
	says(err, "--package openssl >>3: \"openssl >>3\" is no spec");
	assert_int_equal(run("env", "set-status", "/home/ana/envs/alpha", "ok", NULL), ADMIN_OK);
	says(out, "still blocked by rule \"old\": grant an exception?");
}

/* What was typed is what is talked of, not the API's names for it. */
static void test_refusals(void **state)
{
	static const struct {
		const char *args[8];
		int code;
		const char *words;
	} cases[] = {
		{{"exception", "grant", "beta", "--reason", "x", "--expires", "2020-01-01"},
		 ADMIN_USAGE,
		 "--expires 2020-01-01: this time is past; name one to come\n"},
		{{"exception", "grant", "beta", "--reason", " ", "--expires", "2d"},
		 ADMIN_USAGE,
		 "--reason: say why it is granted\n"},
		{{"exception", "grant", "beta", "--reason=x", "--expires=2d", "--rule", "numpy"},
		 ADMIN_FAILED,
		 "--rule numpy: policy 2 has no rule \"numpy\"; did you mean \"no-numpy\"?\n"},
		{{"exception", "grant", "beta", "--reason=x", "--expires=2d", "--rule", "z"},
		 ADMIN_FAILED,
		 "--rule z: policy 2 has no rule \"z\"; its rules are no-numpy\n"},
		{{"request", "approve", "01010101-0101-0101-0101-010101010101", "--expires=2d",
		  "--rule=z"},
		 ADMIN_FAILED,
		 "--rule z: policy 2 has no rule"},
		{{"request", "approve", "12", "--expires=2d"},
		 ADMIN_USAGE,
		 "\"12\" is no id; see: envwarden-admin request list\n"},
		{{"exception", "revoke", "12"},
		 ADMIN_USAGE,
		 "\"12\" is no id; see: envwarden-admin exception list\n"},
		{{"unlock", "beta", "--reason=x", "--for", "8d"},
		 ADMIN_USAGE,
		 "--for 8d: a code counts for 7 days (10080 minutes) at most\n"},
		{{"unlock", "beta", "--reason="},
		 ADMIN_USAGE,
		 "--reason: say why it is unlocked\n"},
		{{"env", "set-status", "beta", "warn", "--until", "2020-01-01"},
		 ADMIN_USAGE,
		 "--until 2020-01-01: this time is past; name one to come\n"},
		{{"env", "list", "--status", "bad"},
		 ADMIN_USAGE,
		 "--status bad: neither ok, warn nor block\n"},
		{{"join-code", "create", "--labels", "a b"}, ADMIN_USAGE, "--labels a b: only"},
		{{"policy", "pln", "x.yaml"},
		 ADMIN_USAGE,
		 "no such command \"policy pln\"; did you mean policy plan?"},
		{{"exceptoin"}, ADMIN_USAGE, "no such command \"exceptoin\"; see"},
		{{"env", "list", "--platfrom=x"},
		 ADMIN_USAGE,
		 "unknown option --platfrom=x; did you mean --platform?\n"},
	};
	char text[1100];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const *v = cases[i].args;

		if (run(v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], NULL) != cases[i].code)
			fail_msg("case %zu: %s", i, err);
		says(err, cases[i].words);
		assert_string_equal(out, "");
	}
	/* Too long a value is not repeated. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(run("env", "set-status", "beta", "warn", "--message", text, NULL),
			 ADMIN_USAGE);
	assert_string_equal(err,
			    "envwarden-admin: --message: at most 1024 bytes of text, not 1099\n");
}

/* Every command tells about itself, no line beyond the 80th column. */
static void test_help(void **state)
{
	static const char *const names[][2] = {
		{"login", NULL},	{"env", NULL},		 {"env", "set-status"},
		{"policy", "apply"},	{"policy", NULL},	 {"exception", "grant"},
		{"unlock", NULL},	{"unlock", "revoke"},	 {"machine", "export-bundle"},
		{"request", "approve"}, {"join-code", "create"}, {NULL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *line;

		assert_int_equal(run("--help", names[i][0], names[i][1], NULL), ADMIN_OK);
		assert_string_equal(err, "");
		for (line = out; *line; line += strcspn(line, "\n") + 1)
			/* The settings' path may be long. */
			if (strcspn(line, "\n") > 80 && strncmp(line, "Settings:", 9) != 0)
				fail_msg("a line is too long: %s", line);
	}
	assert_int_equal(run("policy", "apply", "-h", NULL), ADMIN_OK);
	says(out, "usage: envwarden-admin policy apply FILE");
	assert_int_equal(run("policy", "--help", NULL), ADMIN_OK);
	says(out, "policy rollback VERSION");
	assert_null(strstr(out, "env list"));
	assert_int_equal(run("polcy", "--help", NULL), ADMIN_USAGE);
}

/* What is there is replaced on request alone, and a link is, not what it leads to. */
static void test_files(void **state)
{
	char policy[TMPDIR_PATH_MAX], to[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];
	struct stat st;

	(void)state;
	tmpdir_path(&world->dir, "good.yaml", policy);
	tmpdir_path(&world->dir, "draft", to);
	tmpdir_path(&world->dir, "link", link);
	tmpdir_write_text(&world->dir, "draft", "precious");
	assert_int_equal(symlink(to, link), 0);
	for (int i = 0; i < 2; i++) {
		const char *path = i == 0 ? to : link;

		assert_int_equal(run("policy", "export-body", policy, "-o", path, NULL),
				 ADMIN_FAILED);
		says(err, ": is there already; --force replaces it\n");
	}
	assert_int_equal(run("policy", "export-body", policy, "--force", "-o", link, NULL),
			 ADMIN_OK);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(to, &st), 0);
	assert_int_equal(st.st_size, strlen("precious"));
	assert_int_equal(run("policy", "export-body", policy, "--force", "-o", to, NULL), ADMIN_OK);
	assert_int_equal(stat(to, &st), 0);
	assert_true(st.st_size > 20);
	assert_int_equal(run("policy", "export-body", policy, "--force", "-o", "/dev/null", NULL),
			 ADMIN_FAILED);
	says(err, "/dev/null: not a file\n");
}

static uint64_t now_ms(void)
{
	return uv_hrtime() / 1000000;
}

static void report_soon(void *arg)
{
	(void)arg;
	uv_sleep(300);
	world_report(world, 1, 1000);
}

/* Whoever sets a status and then looks on a connected machine finds it there. */
static void test_delivery(void **state)
{
	uint64_t begin = now_ms();
	uv_thread_t machine;

	(void)state;
	world_report(world, 1, 1);
	assert_int_equal(run("env", "set-status", "beta", "block", NULL), ADMIN_OK);
	assert_in_range(now_ms() - begin, 0, 1500); /* it is not connected: not waited for */

	atomic_store(&world->connected, 1);
	assert_int_equal(run("env", "set-status", "beta", "warn", "--no-wait", NULL), ADMIN_OK);
	assert_string_equal(out, "host-1:/home/ana/envs/beta shows a WARNING; its machine has not "
				 "confirmed it yet.\n");

	begin = now_ms();
	assert_int_equal(run("env", "set-status", "beta", "block", NULL), ADMIN_OK);
	assert_in_range(now_ms() - begin, 2000, 30000);
	says(out, "is BLOCKED; its machine has not confirmed it yet.\n");

	begin = now_ms();
	assert_int_equal(uv_thread_create(&machine, report_soon, NULL), 0);
	assert_int_equal(run("env", "set-status", "/srv/envs/alpha", "beta", "/home/ana/envs/alpha",
			     "block", NULL),
			 ADMIN_OK);
	assert_int_equal(uv_thread_join(&machine), 0);
	assert_in_range(now_ms() - begin, 300, 30000);
	assert_string_equal(out, "host-2:/srv/envs/alpha is BLOCKED" LATER
				 "host-1:/home/ana/envs/beta is BLOCKED (delivered).\n"
				 "host-1:/home/ana/envs/alpha is BLOCKED (delivered).\n");
	assert_int_equal(run("env", "show", "beta", NULL), ADMIN_OK);
	says(out, "Delivered yes\n");

	/* Taking it back is waited for likewise. */
	world_report(world, 1, 1);
	assert_int_equal(uv_thread_create(&machine, report_soon, NULL), 0);
	assert_int_equal(run("env", "set-status", "/srv/envs/alpha", "beta", "/home/ana/envs/alpha",
			     "ok", "--json", NULL),
			 ADMIN_OK);
	assert_int_equal(uv_thread_join(&machine), 0);
	says(out, "\"connected\":true,");
	says(out, "\"status\":\"ok\",\"status_delivered\":true,");
	atomic_store(&world->connected, 0);
}

static void test_rest(void **state)
{
	static const char *const none_since[] = {"5s", "30m", "3h", "2030-01-01",
						 "2030-01-01T00:00:00+02:00"};
	struct join_code code;

	(void)state;
	assert_int_equal(run("env", "history", "/home/ana/envs/alpha", NULL), ADMIN_OK);
	assert_string_equal(out, "2025-11-24 16:00  created    host-1:/home/ana/envs/alpha  ana, "
				 "conda +numpy 1.26.4 +python 3.12.1\n");
	assert_int_equal(run("env", "history", "--json", NULL), ADMIN_OK);
	says(out, "{\"schema\":\"envwarden.history/1\",\"changes\":[{\"id\":1,\"seq\":1,");
	for (size_t i = 0; i < sizeof(none_since) / sizeof(none_since[0]); i++) {
		assert_int_equal(run("env", "history", "--since", none_since[i], NULL), ADMIN_OK);
		assert_string_equal(out, "");
	}
	assert_int_equal(run("machine", "list", NULL), ADMIN_OK);
	says(out, "host-2  active  win-64");
	assert_int_equal(run("logging", "on", "--json", NULL), ADMIN_OK);
	says(out, "\"logging\":true");
	assert_int_equal(run("join-code", "create", "--uses", "2", "--expires", "1d", "--labels",
			     "finance,lab", NULL),
			 ADMIN_OK);
	assert_int_equal(join_code_parse(out, strlen(out), &code, NULL), 0);
	assert_string_equal(code.name, "Test");
	assert_int_equal(run("join-code", "create", "--expires", "soon", NULL), ADMIN_USAGE);
}

/* What is written to a full disk is not said to be written. */
static void test_output_fails(void **state)
{
	const char *argv[] = {"envwarden-admin", "env", "list"};
	FILE *full = fopen("/dev/full", "w");
	FILE *quiet = fopen("/dev/null", "w");

	(void)state;
	assert_non_null(full);
	assert_non_null(quiet);
	assert_int_equal(admin_run(3, argv, full, quiet), ADMIN_FAILED);
	(void)fclose(full);
	(void)fclose(quiet);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usage),	      cmocka_unit_test(test_login),
		cmocka_unit_test(test_token_refused), cmocka_unit_test(test_list),
		cmocka_unit_test(test_show),	      cmocka_unit_test(test_set_status),
		cmocka_unit_test(test_policy),	      cmocka_unit_test(test_lifts),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_help),
		cmocka_unit_test(test_files),	      cmocka_unit_test(test_delivery),
		cmocka_unit_test(test_rest),	      cmocka_unit_test(test_output_fails),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
