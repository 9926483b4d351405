#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "proto/join_code.h"
#include "tests/agent/cli/fake_agent.h"
#include "tests/agent/cli/golden.h"
#include "tests/agent/cli/run.h"
#include "tests/support/tmpdir.h"

struct fixture {
	struct tmpdir home;
	char socket[TMPDIR_PATH_MAX];
	struct fake_agent agent;
	struct run run;
};

static int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	tmpdir_make(&f.home);
	tmpdir_path(&f.home, "agent.sock", f.socket);
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fake_agent_stop(&f->agent);
	tmpdir_remove(&f->home);
	return 0;
}

static void serve(struct fixture *f, const struct fake_options *options)
{
	fake_agent_stop(&f->agent);
	fake_agent_start(&f->agent, f->socket, options);
}

struct command_case {
	const char *name; /* of the golden files */
	const char *args[8];
	int code;
	int terminal;
	const char *input;
	const char *variable;
};

static void run_case(struct fixture *f, const struct command_case *c)
{
	struct run_options options = {
		.home = f->home.path,
		.socket = f->socket,
		.input = c->input,
		.variable = c->variable,
		.terminal = c->terminal,
	};
	char name[80];

	run_envwarden(&options, c->args, &f->run);
	snprintf(name, sizeof(name), "%s.out", c->name);
	golden_expect(name, f->run.out, f->run.out_n);
	snprintf(name, sizeof(name), "%s.err", c->name);
	golden_expect(name, f->run.err, f->run.err_n);
	if (f->run.code != c->code)
		fail_msg("%s: exit code %d, not %d", c->name, f->run.code, c->code);
}

/* However slow the machine is just now: that the agent takes too long is a case of its own. */
#define PATIENT_CHECK "check", "--timeout-ms", "60000"

static const struct command_case checks[] = {
	{"check_block", {PATIENT_CHECK, "legacy-etl"}, 4, 0, NULL, NULL},
	{"check_block_json", {PATIENT_CHECK, "--json", "legacy-etl"}, 4, 0, NULL, NULL},
	{"check_block_tty", {PATIENT_CHECK, "--tool", "conda", "legacy-etl"}, 4, 80, NULL, NULL},
	{"check_block_no_colour", {PATIENT_CHECK, "legacy-etl"}, 4, 80, NULL, "NO_COLOR=1"},
	{"check_status", {PATIENT_CHECK, "frozen"}, 4, 0, NULL, NULL},
	{"check_allow", {PATIENT_CHECK, "fine"}, 0, 0, NULL, NULL},
	{"check_allow_json", {PATIENT_CHECK, "fine", "--json"}, 0, 0, NULL, NULL},
	{"check_allow_person", {PATIENT_CHECK, "fine"}, 0, 80, NULL, NULL},
	{"check_notice", {PATIENT_CHECK, "slow"}, 0, 0, NULL, NULL},
	{"check_name", {PATIENT_CHECK, "--name", "frozen"}, 4, 0, NULL, NULL},
	{"check_default", {PATIENT_CHECK}, 0, 0, NULL, "CONDA_PREFIX=/home/ana/envs/x"},
	{"check_warn", {PATIENT_CHECK, "churn"}, 0, 0, NULL, NULL},
	/* Who asks is answered every time, the gate tells once a day. */
	{"check_warn", {PATIENT_CHECK, "churn"}, 0, 0, NULL, NULL},
	{"check_warn_hook", {PATIENT_CHECK, "--hook", "churn"}, 0, 0, NULL, NULL},
	{"check_warn_again", {PATIENT_CHECK, "--hook", "churn"}, 0, 0, NULL, NULL},
	{"check_warn", {PATIENT_CHECK, "churn"}, 0, 0, NULL, NULL},
	{"check_absent", {PATIENT_CHECK, "nope"}, 1, 0, NULL, NULL},
	{"check_absent_tty", {PATIENT_CHECK, "nope"}, 1, 80, NULL, NULL},
	{"check_absent_json", {PATIENT_CHECK, "--json", "nope"}, 1, 0, NULL, NULL},
	{"check_absent_hook", {PATIENT_CHECK, "--hook", "nope"}, 0, 0, NULL, NULL},
	{"check_warn_marked", {PATIENT_CHECK, "marked"}, 0, 0, NULL, NULL},
	{"check_warn_json", {PATIENT_CHECK, "churn", "--json"}, 0, 0, NULL, NULL},
	{"check_two", {"check", "churn", "--name", "x"}, 2, 0, NULL, NULL},
	{"check_timeout", {"check", "--timeout-ms", "soon"}, 2, 0, NULL, NULL},
};

static void test_check(void **state)
{
	struct fixture *f = *state;

	serve(f, &(struct fake_options){0});
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++)
		run_case(f, &checks[i]);
}

/* Hung and gone agents: never 3, soon, and the shell goes on. */
static void test_check_without_agent(void **state)
{
	static const struct command_case hung = {
		"check_hung", {"check", "--json", "hang"}, 0, 0, NULL, NULL};
	static const struct command_case gone = {"check_gone", {"check", "churn"}, 0, 80, NULL,
						 NULL};
	struct fixture *f = *state;

	serve(f, &(struct fake_options){0});
	run_case(f, &hung);
	assert_in_range(f->run.ms, 140, 5000);
	fake_agent_stop(&f->agent);
	run_case(f, &gone);
}

/* Every command tells about itself, in a terminal of 80 columns. */
static void test_help(void **state)
{
	static const char *const names[] = {
		"check",  "list",    "show",  "history",    "diff",   "export", "record",
		"fix",	  "request", "defer", "unlock",	    "status", "doctor", "sent",
		"enroll", "import",  "spec",  "shell-init", "hooks",
	};
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path, .socket = f->socket};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *const args[] = {names[i], "--help", NULL};
		const char *line;

		run_envwarden(&options, args, &f->run);
		assert_int_equal(f->run.code, 0);
		assert_int_equal(f->run.err_n, 0);
		assert_true(text_starts(f->run.out, "usage: envwarden "));
		for (line = f->run.out; *line; line += strcspn(line, "\n") + 1)
			if (strcspn(line, "\n") > 80)
				fail_msg("too long a line: %.100s", line);
	}
}

static const struct command_case reads[] = {
	{"list", {"list"}, 0, 0, NULL, NULL},
	{"list_all", {"list", "--all"}, 0, 0, NULL, NULL},
	{"list_tty", {"list", "--all"}, 0, 80, NULL, NULL},
	{"list_json", {"list", "--all", "--json"}, 0, 0, NULL, NULL},
	{"list_json", {"--json", "list", "--all"}, 0, 0, NULL, NULL}, /* options may come first */
	{"no_agent_there", {"--socket", "/nonexistent/s", "list"}, 3, 0, NULL, NULL},
	{"show", {"show", "legacy-etl"}, 0, 0, NULL, NULL},
	{"show_json", {"show", "legacy-etl", "--json"}, 0, 0, NULL, NULL},
	{"show_granted", {"show", "granted"}, 0, 80, NULL, NULL},
	{"show_granted_40", {"show", "granted"}, 0, 40, NULL, NULL},
	{"show_granted_json", {"show", "granted", "--json"}, 0, 0, NULL, NULL},
	{"show_helped", {"show", "helped"}, 0, 0, NULL, NULL},
	{"show_helped_json", {"show", "helped", "--json"}, 0, 0, NULL, NULL},
	{"show_gone", {"show", "gone"}, 1, 0, NULL, NULL},
	{"show_hollow", {"show", "hollow"}, 1, 0, NULL, NULL},
	{"show_not_permitted", {"show", "secret"}, 7, 0, NULL, NULL},
	{"history", {"history"}, 0, 0, NULL, NULL},
	{"history_local_time", {"history"}, 0, 0, NULL, "TZ=XXX-9"},
	{"history_since", {"history", "--since", "2026-11-22T18:00:00Z"}, 0, 0, NULL, NULL},
	{"history_json", {"history", "churn", "--json"}, 0, 0, NULL, NULL},
	{"history_bad_time", {"history", "--since", "soon"}, 2, 0, NULL, NULL},
	{"history_nothing", {"history", "quiet"}, 0, 0, NULL, NULL},
	{"history_nothing_since", {"history", "quiet", "--since", "1d"}, 0, 0, NULL, NULL},
	{"history_several", {"history", "twice"}, 2, 0, NULL, NULL},
	{"diff", {"diff", "churn", "--from", "2d"}, 0, 0, NULL, NULL},
	{"diff_json", {"diff", "churn", "--from", "1", "--to", "2", "--json"}, 0, 0, NULL, NULL},
	{"diff_same", {"diff", "churn", "--from", "7"}, 0, 0, NULL, NULL},
	{"diff_no_from", {"diff", "churn"}, 2, 0, NULL, NULL},
	{"diff_bad_time", {"diff", "churn", "--from", "0"}, 2, 0, NULL, NULL},
	{"export_explicit", {"export", "churn", "--format", "explicit"}, 0, 0, NULL, NULL},
	{"export_yaml", {"export", "churn", "--format", "yaml"}, 0, 0, NULL, NULL},
	{"export_yaml_odd", {"export", "odd", "--format", "yaml", "--at", "1"}, 0, 0, NULL, NULL},
	{"export_json", {"export", "churn", "--json"}, 0, 0, NULL, NULL},
	{"export_gone", {"export", "churn", "--format=yaml", "--at", "9"}, 1, 0, NULL, NULL},
	{"export_no_format", {"export", "churn"}, 2, 0, NULL, NULL},
	{"export_other", {"export", "churn", "--format", "zip"}, 2, 0, NULL, NULL},
	{"sent", {"sent"}, 0, 0, NULL, NULL},
	{"sent_json", {"sent", "--json"}, 0, 0, NULL, NULL},
	{"sent_last", {"sent", "--last", "1"}, 0, 0, NULL, NULL},
	{"sent_bad", {"sent", "--last", "0"}, 2, 0, NULL, NULL},
	{"help_diff", {"help", "diff"}, 0, 0, NULL, NULL},
	{"help_export", {"help", "export"}, 0, 0, NULL, NULL},
	{"help_sent", {"help", "sent"}, 0, 0, NULL, NULL},
	{"help_doctor", {"help", "doctor"}, 0, 0, NULL, NULL},
	{"record", {"record", "churn"}, 0, 0, NULL, NULL},
	{"record_all", {"record", "--all"}, 1, 0, NULL, NULL},
	{"log", {"log", "churn"}, 0, 0, NULL, NULL},
	{"record_tty", {"record", "--all"}, 1, 60, NULL, NULL},
	{"record_json", {"record", "--all", "--json"}, 1, 0, NULL, NULL},
	{"record_both", {"record", "--all", "churn"}, 2, 0, NULL, NULL},
	{"version", {"--version"}, 0, 0, NULL, NULL},
	{"help", {"help"}, 0, 0, NULL, NULL},
	{"help_check", {"help", "check"}, 0, 0, NULL, NULL},
	{"nothing", {NULL}, 2, 0, NULL, NULL},
	{"no_command", {"ch\033[2Jeck"}, 2, 0, NULL, NULL},
	{"no_option", {"list", "--everything"}, 2, 0, NULL, NULL},
	{"shell_init_none", {"shell-init", "nushell"}, 2, 0, NULL, NULL},
};

static void test_reads(void **state)
{
	struct fixture *f = *state;

	serve(f, &(struct fake_options){0});
	for (size_t i = 0; i < ARRAY_SIZE(reads); i++)
		run_case(f, &reads[i]);
}

static const struct command_case requests[] = {
	{"request", {"request", "legacy-etl"}, 0, 80, NULL, NULL},
	{"request_narrow", {"request", "legacy-etl"}, 0, 40, NULL, NULL},
	{"request_json", {"request", "legacy-etl", "--json"}, 0, 0, NULL, NULL},
	{"request_none", {"request", "fine"}, 0, 0, NULL, NULL},
	{"request_none_json", {"request", "fine", "--json"}, 0, 0, NULL, NULL},
	{"request_made", {"request", "legacy-etl", "--reason", "why"}, 0, 80, NULL, NULL},
	{"request_made_json",
	 {"request", "legacy-etl", "--reason=why", "--json"},
	 0,
	 0,
	 NULL,
	 NULL},
	{"request_queued", {"request", "it's mine", "--reason", "why"}, 0, 40, NULL, NULL},
	{"request_twice", {"request", "twice", "--reason", "why"}, 0, 0, NULL, NULL},
	{"request_hostile", {"request", "e\033[2J\nx", "--reason", "why"}, 0, 0, NULL, NULL},
	{"request_not_permitted", {"request", "secret", "--reason", "why"}, 7, 0, NULL, NULL},
	{"request_no_reason", {"request", "legacy-etl", "--reason", " \n"}, 2, 0, NULL, NULL},
	{"request_help", {"help", "request"}, 0, 0, NULL, NULL},
};

static void test_requests(void **state)
{
	struct fixture *f = *state;

	serve(f, &(struct fake_options){0});
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		run_case(f, &requests[i]);
	fake_agent_stop(&f->agent);
	run_case(f, &(struct command_case){"request_no_agent", {"request", "x"}, 3, 0, NULL, NULL});
}

/* These ask nobody. */
static const struct command_case specs[] = {
	{"spec_less", {"spec", "compare", "1.1.1a", "1.1.1"}, 0, 0, NULL, NULL},
	{"spec_equal", {"spec", "--scheme", "conda", "compare", "1.1", "1.1.0"}, 0, 0, NULL, NULL},
	{"spec_no_version", {"spec", "compare", "1..1\033[2J", "1.1.0"}, 1, 0, NULL, NULL},
	{"spec_true", {"spec", "version-match", ">=1.2,<2|~=3.4", "3.9"}, 0, 0, NULL, NULL},
	{"spec_refused", {"spec", "version-match", ">=1,=>2", "3.9"}, 1, 0, NULL, NULL},
	{"spec_cannot_tell", {"spec", "version-match", ">=1", "1..2"}, 1, 0, NULL, NULL},
	{"spec_asks_for_none", {"spec", "version-match", "~=1", "2"}, 1, 0, NULL, NULL},
	{"spec_few", {"spec", "match", "numpy", "numpy", "1.0"}, 2, 0, NULL, NULL},
	{"spec_none", {"spec"}, 2, 0, NULL, NULL},
	{"spec_other", {"spec", "compile"}, 2, 0, NULL, NULL},
	{"spec_scheme", {"spec", "compare", "1", "2", "--scheme=pep440"}, 2, 0, NULL, NULL},
	{"spec_stdin_words", {"spec", "compare", "--stdin", "1"}, 2, 0, NULL, NULL},
	{"spec_help", {"help", "spec"}, 0, 0, NULL, NULL},
	{"spec_compare_rows",
	 {"spec", "compare", "--stdin"},
	 0,
	 0,
	 "1\t2\n1\t1.0\n\t1\n1\n1\t2\t3\n1.0\\n\t\\t1\n\\x\t1\n2\t1",
	 NULL},
	{"spec_version_rows",
	 {"spec", "version-match", "--stdin"},
	 0,
	 0,
	 "^1\\\\.[0-3]$\t1.2\n^1\\\\.[0-3]$\t1.4\n^(?=a)$\t1\n",
	 NULL},
	{"spec_match_rows",
	 {"spec", "match", "--stdin"},
	 0,
	 0,
	 "conda-forge::numpy>=1.2\tnumpy\t1.26.4\tpy312_0\t0\tconda-forge/linux-64\tlinux-64\n"
	 "numpy[license='bsd*']\tnumpy\t1\t0\t0\tdefaults\tnoarch\tBSD-3-Clause\n"
	 "numpy[license='bsd*']\tnumpy\t1\t0\t0\tdefaults\tnoarch\n"
	 "numpy\tnumpy\t1\t0\tmany\tdefaults\tnoarch\n"
	 "numpy[bad=1]\tnumpy\t1\t0\t0\tdefaults\tnoarch\n"
	 "numpy\tnumpy\t1\t0\t0\t./here\tnoarch\n",
	 NULL},
};

static void test_spec(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		run_case(f, &specs[i]);
}

static void test_status(void **state)
{
	static const struct command_case fine = {"status", {"status"}, 0, 0, NULL, NULL};
	static const struct command_case fine_json = {
		"status_json", {"status", "--json"}, 0, 0, NULL, NULL};
	static const struct command_case alone = {"status_alone", {"status"}, 5, 0, NULL, NULL};
	static const struct command_case alone_json = {
		"status_alone_json", {"status", "--json"}, 5, 0, NULL, NULL};
	static const struct command_case degraded = {
		"status_degraded", {"status"}, 5, 0, NULL, NULL};
	static const struct command_case degraded_json = {
		"status_degraded_json", {"status", "--json"}, 5, 0, NULL, NULL};
	static const struct command_case gone = {"status_gone", {"status"}, 3, 0, NULL, NULL};
	struct fixture *f = *state;

	serve(f, &(struct fake_options){.enrolled = true});
	run_case(f, &fine);
	run_case(f, &fine_json);
	serve(f, &(struct fake_options){0});
	run_case(f, &alone);
	run_case(f, &alone_json);
	serve(f, &(struct fake_options){.enrolled = true, .degraded = true});
	run_case(f, &degraded);
	run_case(f, &degraded_json);
	fake_agent_stop(&f->agent);
	run_case(f, &gone);
}

/* What ran although it was blocked. */
static void test_status_ran(void **state)
{
	static const struct command_case some[] = {
		{"status_ran", {"status"}, 0, 80, NULL, NULL},
		{"status_ran_40", {"status"}, 0, 40, NULL, NULL},
		{"status_ran_json", {"status", "--json"}, 0, 0, NULL, NULL},
	};
	static const struct command_case one = {"status_ran_once", {"status"}, 0, 0, NULL, NULL};
	struct fixture *f = *state;

	serve(f, &(struct fake_options){.enrolled = true, .ran = 2});
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		run_case(f, &some[i]);
	serve(f, &(struct fake_options){.enrolled = true, .ran = 1});
	run_case(f, &one);
}

static void test_doctor(void **state)
{
	static const struct command_case fine = {"doctor", {"doctor"}, 0, 0, NULL, NULL};
	static const struct command_case alone = {"doctor_alone", {"doctor"}, 5, 0, NULL, NULL};
	static const struct command_case degraded = {
		"doctor_degraded", {"doctor"}, 5, 0, NULL, NULL};
	static const struct command_case degraded_json = {
		"doctor_degraded_json", {"doctor", "--json"}, 5, 0, NULL, NULL};
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path, .socket = f->socket};
	static const char *const words[] = {"doctor", "--json", NULL};

	serve(f, &(struct fake_options){.enrolled = true});
	run_case(f, &fine);
	serve(f, &(struct fake_options){0});
	run_case(f, &alone);
	serve(f, &(struct fake_options){.enrolled = true, .degraded = true});
	run_case(f, &degraded);
	run_case(f, &degraded_json);
	fake_agent_stop(&f->agent);
	/* The path of the socket is another each time. */
	run_envwarden(&options, words, &f->run);
	assert_int_equal(f->run.code, 3);
	assert_non_null(strstr(f->run.out, "the agent has ended and left its socket behind"));
	options.socket = "/nonexistent/agent.sock";
	run_envwarden(&options, words, &f->run);
	assert_int_equal(f->run.code, 3);
	assert_non_null(strstr(f->run.out, "the agent left no decisions"));
}

static const char *join_code_of(const char *organisation, int id)
{
	static char text[2048];
	struct join_code code = {.n_addresses = 2};
	struct buf out;

	snprintf(code.name, sizeof(code.name), "%s", organisation);
	snprintf(code.addresses[0], sizeof(code.addresses[0]), "warden.example.org:7443");
	snprintf(code.addresses[1], sizeof(code.addresses[1]), "10.0.0.7:7443");
	memset(code.secret, 5, sizeof(code.secret));
	memset(&code.organisation, id, sizeof(code.organisation));
	buf_init(&out, sizeof(text) - 2);
	assert_int_equal(join_code_format(&code, &out, NULL), 0);
	snprintf(text, sizeof(text), "%s\n", buf_cstr(&out));
	buf_deinit(&out);
	return text;
}

static const char *join_code(const char *organisation)
{
	return join_code_of(organisation, 6);
}

static void test_enroll(void **state)
{
	struct fixture *f = *state;
	struct command_case c = {"enroll", {"enroll", "--join-file", "-", "--yes"}, 0, 0, NULL,
				 NULL};
	char on_terminal[2100];

	serve(f, &(struct fake_options){0});
	c.input = join_code("Example Org");
	run_case(f, &c);
	c = (struct command_case){
		"enroll_no_yes", {"enroll", "--join-file", "-"}, 2, 0, c.input, NULL};
	run_case(f, &c);
	tmpdir_write_text(&f->home, "join", join_code("Ex\033[2Jample Org"));
	c = (struct command_case){
		"enroll_json", {"enroll", "--join-file", "join", "--yes", "--json"}, 0, 0, NULL,
		NULL};
	run_case(f, &c);
	c = (struct command_case){"enroll_no_code", {"enroll"}, 2, 0, NULL, NULL};
	run_case(f, &c);
	c = (struct command_case){"enroll_argv", {"enroll", "--yes", "EW1-ABCDE"}, 2, 0, NULL,
				  NULL};
	run_case(f, &c);
	c = (struct command_case){
		"enroll_mistyped", {"enroll", "--join-file", "-"}, 1, 0, "EW1-ABCDE\n", NULL};
	run_case(f, &c);
	c = (struct command_case){
		"enroll_no_file", {"enroll", "--join-file", "nowhere"}, 1, 0, NULL, NULL};
	run_case(f, &c);
	snprintf(on_terminal, sizeof(on_terminal), "%sn\n", join_code("Example Org"));
	c = (struct command_case){"enroll_no", {"enroll"}, 1, 80, on_terminal, NULL};
	run_case(f, &c);
	serve(f, &(struct fake_options){.degraded = true});
	c = (struct command_case){"enroll_failed",
				  {"enroll", "--join-file", "-", "--yes"},
				  1,
				  0,
				  join_code("Example Org"),
				  NULL};
	run_case(f, &c);
	serve(f, &(struct fake_options){.enrolled = true});
	c = (struct command_case){"enroll_again",
				  {"enroll", "--join-file", "-"},
				  0,
				  0,
				  join_code("Example Org"),
				  NULL};
	run_case(f, &c);
	c = (struct command_case){"enroll_elsewhere",
				  {"enroll", "--join-file", "-", "--yes"},
				  1,
				  0,
				  join_code_of("Other Org", 7),
				  NULL};
	run_case(f, &c);
	c.input = join_code_of("Example Org", 8); /* another that has the same name */
	run_case(f, &c);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_check),    CASE(test_check_without_agent),
		CASE(test_help),     CASE(test_reads),
		CASE(test_requests), CASE(test_spec),
		CASE(test_status),   CASE(test_status_ran),
		CASE(test_enroll),   CASE(test_doctor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
