#include "agent/reader/pixi_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

struct row {
	const char *text;
	const char *expect; /* "no", "default", the path, or "!" for an error */
};

static const struct row rows[] = {
	{"", "no"},
	{"detached-environments = true", "default"},
	{"detached-environments = false\n", "no"},
	{"detached-environments = \"/srv/pixi\"\n", "/srv/pixi"},
	{"  detached-environments='~/envs' # here\n", "~/envs"},
	{"\"detached-environments\" = '/a'\n", "/a"},
	{"detached-environments = \"/a\\u00e9\\\"\\\\b\"", "/a\xC3\xA9\"\\b"},
	{"default-channels = [\n \"x\", # ]\n \"detached-environments = true\"\n]\n"
	 "detached-environments = '/b'\n",
	 "/b"},
	{"a = [\n['x'],\n]\ndetached-environments = true\n", "default"},
	{"a = \"\"\"\ndetached-environments = true\n\"\"\"\n", "no"},
	{"a = '''\n[x]\n'''\ndetached-environments = true\r\n", "default"},
	{"[cache]\ndetached-environments = true\n", "no"},
	{"cache.detached-environments = '/x'\n", "no"},
	{"detached-environments.x = '/x'\n", "no"},
	{"x.'a=b' = 1\ndetached-environments = true\n", "default"},
	{"# detached-environments = true\n", "no"},
	{"detached-environments = 3\n", "!"},
	{"detached-environments = \"/a\n\"", "!"},
	{"detached-environments = \"/a\\q\"", "!"},
	{"detached-environments = \"/a\\ud800\"", "!"},
	{"detached-environments = ''", "!"},
	{"a = \"never ends", "!"},
	{"detached-environments", "no"},
	{"=\n\n==", "no"},
};

static void each_text(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct pixi_config got;
		const char *shown = "!";

		if (pixi_config_parse(rows[i].text, strlen(rows[i].text), &got, NULL) == 0)
			shown = got.detached == PIXI_DETACHED_NO	? "no"
				: got.detached == PIXI_DETACHED_DEFAULT ? "default"
									: got.path;
		if (strcmp(shown, rows[i].expect) != 0)
			fail_msg("%s -> %s", rows[i].text, shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
