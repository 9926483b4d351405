/* Shell integration in the shells this machine has, around a conda that only says what it does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "tests/agent/cli/fake_agent.h"
#include "tests/agent/cli/run.h"
#include "tests/support/tmpdir.h"

/* One shell: how it evaluates the integration, defines a conda and calls it; what stands for a
 * prompt in a script. */
struct shell {
	const char *name;
	const char *paths[2];
	const char *flag;   /* no rc files */
	const char *early;  /* conda known before the integration is evaluated */
	const char *init;   /* $E is the command */
	const char *late;   /* conda known afterwards; NULL = this shell can't */
	const char *status; /* the words for the last status; NULL: it is kept by the call */
};

static const struct shell shells[] = {
	{"bash",
	 {"/usr/bin/bash", "/bin/bash"},
	 "--norc",
	 "conda() { echo \"own:$*\"; }\n",
	 "eval \"$($E shell-init bash)\"\n",
	 "PROMPT_COMMAND='echo prompt'\neval \"$($E shell-init bash)\"\n"
	 "conda() { echo \"own:$*\"; }\neval \"$PROMPT_COMMAND\"\n",
	 "$?"},
	{"zsh",
	 {"/usr/bin/zsh", "/bin/zsh"},
	 "-f",
	 "conda() { echo \"own:$*\"; }\n",
	 "eval \"$($E shell-init zsh)\"\n",
	 "eval \"$($E shell-init zsh)\"\nconda() { echo \"own:$*\"; }\n"
	 "for f in $precmd_functions; do $f; done\necho prompt\n",
	 "$?"},
	{"fish",
	 {"/usr/bin/fish", "/bin/fish"},
	 "--no-config",
	 "function conda; echo \"own:$argv\"; end\n",
	 "$E shell-init fish | source\n",
	 "$E shell-init fish | source\nfunction conda; echo \"own:$argv\"; end\n"
	 "emit fish_prompt\necho prompt\n",
	 "$status"},
	{"posix",
	 {"/usr/bin/dash", "/bin/dash"},
	 "-u",
	 "conda() { echo \"own:$*\"; }\n",
	 "eval \"$($E shell-init posix)\"\n",
	 NULL,
	 "$?"},
	{"tcsh",
	 {"/usr/bin/tcsh", "/bin/tcsh"},
	 "-f",
	 "alias conda 'echo own:\\!*'\n",
	 "eval \"`$E shell-init tcsh`\"\n",
	 "eval \"`$E shell-init tcsh`\"\nalias conda 'echo own:\\!*'\nprecmd\necho prompt\n",
	 "$status"},
	{"xonsh",
	 {"/usr/bin/xonsh", "/usr/local/bin/xonsh"},
	 "--no-rc",
	 "aliases['conda'] = lambda args: print('own:' + ' '.join(args))\n",
	 "import subprocess\nexecx(subprocess.getoutput('$E shell-init xonsh'))\n",
	 "import subprocess\nexecx(subprocess.getoutput('$E shell-init xonsh'))\n"
	 "aliases['conda'] = lambda args: print('own:' + ' '.join(args))\n"
	 "events.on_pre_prompt.fire()\necho prompt\n",
	 NULL},
};

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
	fake_agent_start(&f.agent, f.socket, &(struct fake_options){0});
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

static const char *path_of(const struct shell *shell)
{
	for (size_t i = 0; i < ARRAY_SIZE(shell->paths); i++) {
		if (access(shell->paths[i], X_OK) == 0)
			return shell->paths[i];
	}
	return NULL;
}

static void run_script(struct fixture *f, const struct shell *shell, const char *command,
		       const char *script)
{
	char variable[512];
	const char *args[] = {path_of(shell), shell->flag, "script", NULL};
	struct run_options options = {.home = f->home.path, .socket = f->socket};

	snprintf(variable, sizeof(variable), "E=%s", command);
	options.variable = variable;
	tmpdir_write_text(&f->home, "script", script);
	run_program(&options, args, &f->run);
}

/* A shell waits for a check but a moment: on a busy machine it is asked again. */
static void run_script_in_time(struct fixture *f, const struct shell *shell, const char *command,
			       const char *script)
{
	for (int i = 0; i < 50; i++) {
		run_script(f, shell, command, script);
		if (!strstr(f->run.err, "did not answer in time"))
			return;
	}
}

/* The calls all shells are put through, and what must come of them. */
static const struct {
	const char *call;
	const char *out;
	bool refused;
} calls[] = {
	{"conda activate fine", "own:activate fine\n", false},
	{"conda activate legacy-etl", "", true},
	{"conda activate --stack legacy-etl", "", true},
	{"conda activate -n legacy-etl", "", true},
	{"conda install \"x>=3\" 'a b'", "own:install x>=3 a b\n", false},
	{"conda install legacy-etl", "own:install legacy-etl\n", false},
	{"conda deactivate", "own:deactivate\n", false},
	{"conda activate", "own:activate\n", false},
	{"conda", "own:\n", false},
};

/* The call, and what prints its status. */
static void add_call(const struct shell *shell, const char *call, char *out, size_t n)
{
	if (shell->status)
		snprintf(out, n, "%s\necho status=%s\n", call, shell->status);
	else
		snprintf(out, n, "ran = ![%s]\nprint('status=%%d' %% ran.returncode)\n", call);
}

static void expect_calls(struct fixture *f, const struct shell *shell, const char *set,
			 const char *printed)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		char script[8192], call[512], want[256];

		add_call(shell, calls[i].call, call, sizeof(call));
		snprintf(script, sizeof(script), "%s%s", set, call);
		snprintf(want, sizeof(want), "%s%sstatus=%d\n", printed, calls[i].out,
			 calls[i].refused ? 4 : 0);
		run_script_in_time(f, shell, run_command_path(), script);
		if (strcmp(f->run.out, want) != 0)
			fail_msg("%s, %s: got\n%s(%s)\nwanted\n%s", shell->name, calls[i].call,
				 f->run.out, f->run.err, want);
		if (calls[i].refused)
			assert_non_null(strstr(f->run.err, "\"legacy-etl\" is BLOCKED"));
		else
			assert_string_equal(f->run.err, "");
	}
}

static void each_shell(void **state, void (*test)(struct fixture *f, const struct shell *shell))
{
	size_t tested = 0;

	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		if (!path_of(&shells[i])) {
			print_message("%s is not installed\n", shells[i].name);
			continue;
		}
		test(*state, &shells[i]);
		tested++;
	}
	assert_true(tested > 0);
}

static void known_before(struct fixture *f, const struct shell *shell)
{
	char set[2048];

	snprintf(set, sizeof(set), "%s%s", shell->early, shell->init);
	expect_calls(f, shell, set, "");
}

static void test_known_before(void **state)
{
	each_shell(state, known_before);
}

/* Initialised by an rc file that comes later: at the next prompt it is gated all the same. */
static void known_after(struct fixture *f, const struct shell *shell)
{
	if (shell->late)
		expect_calls(f, shell, shell->late, "prompt\n");
}

static void test_known_after(void **state)
{
	each_shell(state, known_after);
}

/* A program of its own that says by itself what path it has. */
static int link_or_copy(const char *from, const char *to)
{
	const char *args[] = {"/bin/cp", from, to, NULL};
	struct run_options options = {.home = "/"};
	static struct run run;

	if (link(from, to) == 0)
		return 0;
	run_program(&options, args, &run);
	return run.code;
}

/* A hung agent costs a moment; a command that is gone costs nothing: conda works as ever. */
static void broken(struct fixture *f, const struct shell *shell)
{
	char script[4096], call[512], copy[TMPDIR_PATH_MAX];

	add_call(shell, "conda activate hang", call, sizeof(call));
	snprintf(script, sizeof(script), "%s%s%s", shell->early, shell->init, call);
	run_script(f, shell, run_command_path(), script);
	assert_string_equal(f->run.out, "own:activate hang\nstatus=0\n");
	assert_true(f->run.ms < 3000);

	tmpdir_path(&f->home, "gone-envwarden", copy);
	assert_int_equal(link_or_copy(run_command_path(), copy), 0);
	add_call(shell, "conda activate legacy-etl", call, sizeof(call));
	snprintf(script, sizeof(script), "%s%srm $E\n%s", shell->early, shell->init, call);
	run_script(f, shell, copy, script);
	if (strcmp(f->run.out, "own:activate legacy-etl\nstatus=0\n") != 0)
		fail_msg("%s without the command: %s(%s)", shell->name, f->run.out, f->run.err);
	assert_string_equal(f->run.err, "");
}

static void test_broken(void **state)
{
	each_shell(state, broken);
}

/* Those of shells that are not here: the path is where it belongs, quoted as they quote. */
static void test_texts_of_other_shells(void **state)
{
	static const struct {
		const char *shell;
		const char *before;
		const char *behind;
	} texts[] = {
		{"powershell", "$global:EnvwardenCommand = '", "'\n"},
		{"nu", "\n    const command = '", "'\n"},
		{"cmd", "\n:gate\n@\"", "\" check --hook --typed -- %*\n"},
	};
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const char *args[] = {"shell-init", texts[i].shell, NULL};
		char want[8192];

		run_envwarden(&options, args, &f->run);
		snprintf(want, sizeof(want), "%s%s%s", texts[i].before, run_command_path(),
			 texts[i].behind);
		assert_int_equal(f->run.code, 0);
		assert_null(strstr(f->run.out, "@ENVWARDEN@"));
		assert_non_null(strstr(f->run.out, want));
	}
}

/* A name with what PowerShell takes for quotes, and what the console's encoding would change. */
static void test_a_path_beyond_ascii(void **state)
{
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path};
	const char *args[] = {NULL, "shell-init", "powershell", NULL};
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->home,
		    "O\xe2\x80\x99"
		    "B'\xc3\xa9\xf0\x9f\x90\x8d-envwarden",
		    path);
	assert_int_equal(link_or_copy(run_command_path(), path), 0);
	args[0] = path;
	run_program(&options, args, &f->run);
	assert_int_equal(f->run.code, 0);
	assert_non_null(strstr(f->run.out, "/O' + [char]0x2019 + 'B''' + [char]0x00e9 + '' + "
					   "[char]0xd83d + '' + [char]0xdc0d + '-envwarden'\n"));
	for (const char *p = f->run.out; *p; p++)
		assert_true((unsigned char)*p < 128);
	args[2] = "cmd"; /* which has no such way */
	run_program(&options, args, &f->run);
	assert_int_equal(f->run.code, 1);

	args[2] = "powershell";
	tmpdir_path(&f->home, "\xff-envwarden", path);
	assert_int_equal(link_or_copy(run_command_path(), path), 0);
	run_program(&options, args, &f->run);
	assert_int_equal(f->run.code, 1);
}

/*
 * What nobody can run here is held by its words at least: nothing that Constrained Language Mode
 * refuses, nothing that leaves a trace in $Error at each prompt, and no check that may throw.
 */
static void test_rules_of_powershell(void **state)
{
	static const char *const never[] = {"GetNewClosure", "::Exists",	 "[Console]",
					    "[IO.",	     "SilentlyContinue", ".Invoke("};
	static const char *const in_order[] = {
		"\nfunction global:Test-EnvwardenGate",
		"\n    $ErrorActionPreference = 'Continue'\n",
		"\n    $PSNativeCommandUseErrorActionPreference = $false\n",
		"& $global:EnvwardenCommand check --hook @Words\n",
		"\n    function global:prompt {\n        $fine = $?\n"
		"        $code = $global:LASTEXITCODE\n",
		"Install-EnvwardenGate; Test-EnvwardenActive",
		"$global:LASTEXITCODE = $code\n            if (-not $fine) { Write-Error ",
		"& $global:EnvwardenPrompts[$depth]\n",
	};
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path};
	const char *args[] = {"shell-init", "powershell", NULL};
	const char *at;

	run_envwarden(&options, args, &f->run);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (strstr(f->run.out, never[i]))
			fail_msg("%s", never[i]);
	}
	at = f->run.out;
	for (size_t i = 0; i < ARRAY_SIZE(in_order); i++) {
		at = strstr(at, in_order[i]);
		if (!at)
			fail_msg("not, or not there: %s", in_order[i]);
	}
}

/* As cmd's text asks: the tool is the first word, as it is started. */
static void test_a_whole_line(void **state)
{
	static const struct {
		const char *words[4];
		int code;
	} lines[] = {
		{{"conda.bat", "activate", "legacy-etl"}, 4},
		{{"mamba", "activate", "legacy-etl"}, 4},
		{{"conda.bat", "activate", "fine"}, 0},
		{{"conda.bat", "list", "legacy-etl"}, 0},
		{{"pixi", "activate", "legacy-etl"}, 0},
		{{"a-name-longer-than-any-tool"}, 0},
		{{NULL}, 0},
	};
	struct fixture *f = *state;
	struct run_options options = {.home = f->home.path, .socket = f->socket};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const char *const *w = lines[i].words;
		const char *args[] = {"check", "--timeout-ms", "60000", "--hook", "--typed",
				      "--",    w[0],	       w[1],	w[2],	  NULL};

		run_envwarden(&options, args, &f->run);
		if (f->run.code != lines[i].code)
			fail_msg("%zu: %d %s", i, f->run.code, f->run.err);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_known_before),
		CASE(test_known_after),
		CASE(test_broken),
		CASE(test_texts_of_other_shells),
		CASE(test_a_path_beyond_ascii),
		CASE(test_rules_of_powershell),
		CASE(test_a_whole_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
