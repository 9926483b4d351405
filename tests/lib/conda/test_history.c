#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/history.h"
#include "tests/lib/conda/fixture.h"
#include "tests/support/fault.h"

#define MAIN "/opt/miniforge3/lib/python3.11/site-packages/conda/__main__.py"
#define HEADER "==> 2026-11-22 18:48:09 <==\n"

/* One after the other on the heap, as the struct is big. */
static struct history *read_history(const char *data, size_t n, size_t step)
{
	struct history *h = mem_alloc(sizeof *h);

	assert_non_null(h);
	memset(h, 0xa5, sizeof *h);
	history_init(h);
	while (n > 0) {
		size_t piece = n < step ? n : step;

		history_feed(h, data, piece);
		data += piece;
		n -= piece;
	}
	assert_int_equal(history_finish(h), 0);
	return h;
}

static void format_facts(const struct history *h, struct buf *out)
{
	const struct history_facts *f = &h->last;

	buf_addf(out, "%s|%s|%s|%s|%s|%s|%s%s%s|+%zu -%zu of %zu", f->time, f->command, f->tool,
		 f->action, f->conda_version, f->source, f->source_is_path ? "path " : "",
		 f->is_clone ? "clone " : "", f->is_rename ? "rename " : "", f->added, f->removed,
		 h->sections);
	assert_true(text_is_utf8(f->command, strlen(f->command)));
	assert_true(text_is_utf8(f->source, strlen(f->source)));
}

static void check(const char *data, size_t n, const char *expected)
{
	static const size_t steps[] = {SIZE_MAX, 1, 7, 4096};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct history *h = read_history(data, n, steps[i]);
		struct buf got;

		buf_init(&got, 1 << 16);
		format_facts(h, &got);
		assert_string_equal(buf_cstr(&got), expected);
		buf_deinit(&got);
		mem_free(h);
	}
}

static const struct {
	const char *path;
	const char *expected;
} fixtures[] = {
	{"00-create/envs/a", "2026-11-22 18:48:09|" MAIN " create -y -n a foo=1.0|conda|create|"
			     "26.7.1|||+2 -0 of 1"},
	{"02-update/envs/a", "2026-11-22 18:48:10|" MAIN " update -y -n a openssl|conda|update|"
			     "26.7.1|||+1 -1 of 3"},
	{"04-clone/envs/b", "2026-11-22 18:48:11|" MAIN " create -y -n b --clone a|conda|create|"
			    "26.7.1|a|clone |+1 -0 of 1"},
	{"05-rename/envs/c", "2026-11-22 18:48:11|" MAIN " rename -n b c|conda|rename|"
			     "26.7.1|b|rename |+1 -0 of 1"},
	{"06-vars/envs/a", "2026-11-22 18:48:10|" MAIN " remove -y -n a foo|conda|remove|"
			   "26.7.1|||+0 -2 of 4"},
	{"08-python/envs/p", "2026-11-22 18:48:13|" MAIN " create -y -n p python pip|conda|create|"
			     "26.7.1|||+2 -0 of 1"},
};

static void test_fixtures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		char path[256];
		size_t n;
		char *data;

		snprintf(path, sizeof path, "conda-states/%s/conda-meta/history", fixtures[i].path);
		data = fixture_read(path, &n);
		check(data, n, fixtures[i].expected);
		mem_free(data);
	}
}

#define T "2026-11-22 18:48:09"

static const struct {
	const char *text;
	const char *expected;
} files[] = {
	{"", "||unknown|||||+0 -0 of 0"},
	{"\n\n", "||unknown|||||+0 -0 of 0"},
	{"// not relevant\n", "||pixi|||||+0 -0 of 0"},
	{"// no newline", "||pixi|||||+0 -0 of 0"},
	{"// pixi\n" HEADER "+a-1-0\n", T "||unknown|||||+1 -0 of 1"},
	{"+lost-1-0\n# cmd: conda install x\n" HEADER, T "||unknown|||||+0 -0 of 1"},
	{HEADER "+a-1-0", T "||unknown|||||+1 -0 of 1"}, /* cut */
	{"==> " T " <==\r\n# cmd: conda install x\r\n-a-1-0\r\n+a-2-0\r\n",
	 T "|conda install x|conda|install||||+1 -1 of 1"},
	{"==>x<==\n==><==\n==> <==\n==>\n", "x||unknown|||||+0 -0 of 1"},
	{"==> " T " <==\n# conda version: 3.8.0 \n# cmd: /usr/bin/micromamba update --all\n",
	 T "|/usr/bin/micromamba update --all|micromamba|update|3.8.0|||+0 -0 of 1"},
	{HEADER "# update specs: ['a']\n", T "||unknown|update||||+0 -0 of 1"},
	{HEADER "# remove specs: ['a']\n# neutered specs: []\n",
	 T "||unknown|remove||||+0 -0 of 1"},
	{HEADER "# uninstall specs: a\n", T "||unknown|remove||||+0 -0 of 1"},
	{HEADER "# install specs: a\n", T "||unknown|install||||+0 -0 of 1"},
	{HEADER "# create specs: a\n", T "||unknown|create||||+0 -0 of 1"},
	{HEADER "# cmd: odd program\n# update specs: []\n",
	 T "|odd program|unknown|update||||+0 -0 of 1"},
	{HEADER "# cmd: conda\n# update specs: []\n", T "|conda|conda|update||||+0 -0 of 1"},
	/* A second command line can only be a forged one. */
	{HEADER "# cmd: conda install x\n# cmd: conda remove y\n",
	 T "|conda install x|conda|install||||+0 -0 of 1"},
	{HEADER "# cmd:\n# cmd:  \n+a-1-0\n", T "||unknown|||||+1 -0 of 1"},
	{HEADER "# cmd: conda install -c https://u:p@h/c --token abc x --my-secret=s\n",
	 T "|conda install -c https://***@h/c --token *** x --my-secret=***|conda|install||||"
	   "+0 -0 of 1"},
	{HEADER "a-1-0\nb-1-0\n", T "||unknown|||||+0 -0 of 1"}, /* the form before conda 4 */
	{HEADER "# cmd: conda install \xff\x80\n",
	 T "|conda install \xef\xbf\xbd\xef\xbf\xbd|conda|install||||+0 -0 of 1"},
};

static void test_files(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		check(files[i].text, strlen(files[i].text), files[i].expected);
}

static void test_nul(void **state)
{
	static const char text[] =
		HEADER "# cmd: conda install a\0b\n+\0\n\0\n# conda version: \0\n";

	(void)state;
	check(text, sizeof text - 1,
	      T "|conda install a\xef\xbf\xbd"
		"b|conda|install|\xef\xbf\xbd|||+1 -0 of 1");
}

static const struct {
	const char *command;
	const char *expected; /* tool action source kind */
} commands[] = {
	{"", "unknown|||"},
	{"conda", "conda|||"},
	{"conda install", "conda|install||"},
	{"/usr/bin/conda-env-script.py create -f x.yml", "conda|create||"},
	{"/usr/bin/conda env update -f x.yml", "conda|update||"},
	{"/usr/bin/conda env", "conda|||"},
	{"C:\\Program Files\\conda\\Scripts\\conda-script.py upgrade --all", "conda|update||"},
	{"C:\\m\\Library\\bin\\mamba.exe install x", "mamba|install||"},
	{"/opt/x/bin/mamba uninstall x", "mamba|remove||"},
	{"micromamba -r /root/prefix -n e install x", "micromamba|install||"},
	{"conda --no-plugins install remove", "conda|install||"},
	{"conda self-update", "conda|self-update||"},
	{"conda INSTALL x", "conda|||"},
	{"conda 'install' x", "conda|||"},
	{"python -m conda install x", "unknown|||"},
	{"/usr/bin/python x.py install conda", "conda|||"},
	{"pip install conda", "conda|||"},
	{"make -j conda install", "unknown|||"},
	{"_conda.exe install --offline --file /x", "conda|install||"},
	{"conda rename -n b c", "conda|rename|b|rename"},
	{"conda rename --name b c", "conda|rename|b|rename"},
	{"conda rename --name=b c", "conda|rename|b|rename"},
	{"conda rename -n b --yes c", "conda|rename|b|rename"},
	{"conda rename --yes c -n b", "conda|rename|b|rename"},
	{"conda rename -p /envs/b c", "conda|rename|/envs/b|rename path"},
	{"conda rename -p /my envs/b c", "conda|rename|/my envs/b|rename path"},
	{"conda rename --prefix=/my envs/b c", "conda|rename|/my envs/b|rename path"},
	{"conda rename --prefix b c", "conda|rename|b|rename path"},
	{"conda rename b c", "conda|rename|b|rename"},
	{"conda rename --yes b c", "conda|rename|b|rename"},
	{"conda rename /e/b c", "conda|rename|/e/b|rename path"},
	{"conda rename c", "conda|rename||rename"},
	{"conda remove -n a --all", "conda|remove||removal"},
	{"micromamba remove -a -p /envs/a", "micromamba|remove||removal"},
	{"mamba env remove -n a -y", "mamba|remove||removal"},
	{"conda remove -n a --all --keep-env", "conda|remove||"},
	{"conda uninstall -n a foo", "conda|remove||"},
	{"conda install -n a --all", "conda|install||"},
	{"conda rename", "conda|rename||rename"},
	{"conda rename -n", "conda|rename||rename"},
	{"conda create -n b --clone a", "conda|create|a|clone"},
	{"conda create --clone a -n b", "conda|create|a|clone"},
	{"conda create --clone=a -n b", "conda|create|a|clone"},
	{"conda create --clone C:\\Users\\Ana Silva\\a -n b",
	 "conda|create|C:\\Users\\Ana Silva\\a|clone path"},
	{"conda create --clone=/x/my env -n b", "conda|create|/x/my env|clone path"},
	{"conda create --clone", "conda|create||clone"},
	{"conda create --clone= -n b", "conda|create||clone"},
	{"conda create --cloned a", "conda|create||"},
	{"conda install --clone a", "conda|install||"},
};

static void test_commands(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct history_facts f = {
			.source = "old", .is_clone = true, .is_rename = true, .is_removal = true};
		char got[2048];

		history_parse_command(commands[i].command, strlen(commands[i].command), &f);
		snprintf(got, sizeof got, "%s|%s|%s|%s%s%s%s", f.tool, f.action, f.source,
			 f.is_rename ? "rename" : "", f.is_clone ? "clone" : "",
			 f.is_removal ? "removal" : "", f.source_is_path ? " path" : "");
		if (strcmp(got, commands[i].expected) != 0)
			fail_msg("%s: %s, not %s", commands[i].command, got, commands[i].expected);
	}
}

static const struct {
	const char *command;
	const char *expected;
} targets[] = {
	{"conda create -n b foo", "b foo"},
	{"conda install -y --prefix=/e/b foo", "/e/b foo"},
	{"conda env remove --name b -y", "b"},
	{"micromamba create -p /e/b --clone /e/a", "/e/b"},
	{"conda rename -n a b", "b"},
	{"conda rename -p /e/a /e/b", "/e/b"},
	{"conda rename a b", "b"},
	{"conda install foo", ""},
	{"conda install -n", ""},
};

static void test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(targets); i++) {
		struct history_facts f = {.target = "old"};

		history_parse_command(targets[i].command, strlen(targets[i].command), &f);
		if (strcmp(f.target, targets[i].expected) != 0)
			fail_msg("%s: %s", targets[i].command, f.target);
	}
}

/* What made the environment is kept while later runs come. */
static void test_first(void **state)
{
	static const char made[] = HEADER "# cmd: " MAIN " create -n b --clone a\n+x::foo-1-0\n";
	static const char later[] = HEADER "# cmd: " MAIN " install -n b bar\n";
	struct buf text;
	struct history *h;

	(void)state;
	buf_init(&text, 4096);
	for (int sections = 1; sections <= 3; sections++) {
		buf_adds(&text, sections == 1 ? made : later);
		h = read_history(text.data, text.len, 7);
		assert_int_equal(h->sections, sections);
		assert_true(h->first.is_clone);
		assert_string_equal(h->first.source, "a");
		assert_int_equal(h->first.added, 1);
		assert_int_equal(h->last.is_clone, sections == 1);
		mem_free(h);
	}
	buf_deinit(&text);
}

static const struct {
	const char *command;
	const char *expected; /* NULL = as it is */
} masks[] = {
	{"", NULL},
	{" conda install -y  numpy\t>=1", NULL},
	{"conda ", "conda"},
	{"conda install tokenizers=0.1 -n token", NULL},
	{"x --token abc y", "x --token *** y"},
	{"x --token=abc y", "x --token=*** y"},
	{"x --auth-token  abc", "x --auth-token  ***"},
	{"x --password --yes abc", NULL},
	{"x --password= --api-key k --apikey=k --api_key k --passwd k --client-secret k",
	 "x --password=*** --api-key *** --apikey=*** --api_key *** --passwd *** --client-secret "
	 "***"},
	{"x --token", NULL},
	{"x -c t/tk-1/chan", "x -c t/***/chan"},
	{"x --channel=https://a:b@h/t/x/y", "x --channel=https://***@h/t/***/y"},
};

static void test_masks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		const char *expected = masks[i].expected;
		struct buf out;

		buf_init(&out, 4096);
		history_mask_command(&out, masks[i].command, strlen(masks[i].command));
		assert_string_equal(buf_cstr(&out), expected != NULL ? expected : masks[i].command);
		buf_deinit(&out);
	}
}

/* A secret at the place where a long line is cut must not come through in part. */
static void test_long_lines(void **state)
{
	struct buf text;

	(void)state;
	/* From a line that is whole to one that is cut in its first secret. */
	for (size_t pad = HISTORY_LINE_MAX - 30; pad < HISTORY_LINE_MAX + 60; pad++) {
		struct history *h;

		buf_init(&text, 1 << 16);
		buf_adds(&text, HEADER "# cmd: conda install --token=");
		while (text.len < pad)
			buf_addc(&text, 'x');
		buf_adds(&text, " https://user:hunter2@host/x --yes\n+a-1-0\n");
		h = read_history(text.data, text.len, 100);
		assert_null(strstr(h->last.command, "hun"));
		assert_null(strstr(h->last.command, "xx"));
		if (pad < HISTORY_LINE_MAX)
			assert_non_null(strstr(h->last.command, "--token=***"));
		assert_int_equal(h->last.added, 1);
		assert_string_equal(h->last.action, "install");
		assert_true(strlen(h->last.command) <= HISTORY_COMMAND_MAX);
		mem_free(h);
		buf_deinit(&text);
	}
}

static int finish_one(void *ctx)
{
	static const char text[] = HEADER "# cmd: conda install x\n";
	struct history *h = ctx;

	history_init(h);
	history_feed(h, text, strlen(text));
	return history_finish(h);
}

static void test_faults(void **state)
{
	struct history *h = mem_alloc(sizeof *h);

	(void)state;
	assert_non_null(h);
	fault_each_alloc(finish_one, h, 1);
	assert_string_equal(h->last.command, "conda install x");
	mem_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures), cmocka_unit_test(test_files),
		cmocka_unit_test(test_nul),	 cmocka_unit_test(test_commands),
		cmocka_unit_test(test_nul),	 cmocka_unit_test(test_targets),
		cmocka_unit_test(test_nul),	 cmocka_unit_test(test_first),
		cmocka_unit_test(test_masks),	 cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
