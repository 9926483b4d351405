#include "agent/reader/repairing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *words[5];
	bool is;
} rows[] = {
	{{"/b/bin/python", "/b/bin/conda", "install", "-n"}, true},
	{{"/b/bin/python3.12", "/b/bin/mamba", "update"}, true},
	{{"/b/bin/python", "/b/bin/conda", "-q", "remove"}, true},
	{{"/b/bin/python", "/b/bin/conda"}, true},
	{{"/b/bin/python", "/b/bin/conda-env", "update"}, true},
	{{"/b/bin/python", "-m", "conda", "install"}, true},
	{{"/e/bin/python", "-m", "pip", "install"}, true},
	{{"/e/bin/python", "/e/bin/pip", "install", "x"}, true},
	{{"/e/bin/pip3"}, true},
	{{"/e/bin/python", "-Wi", "-m", "compileall"}, true},
	{{"/e/bin/python", "-m", "py_compile", "/e/x.py"}, true},
	{{"/b/bin/micromamba", "install"}, true},
	{{"/b/bin/pixi", "add"}, true},
	{{"/e/bin/uv", "pip", "install"}, true},
	/* Tools that run what a member wants to run. */
	{{"/b/bin/python", "/b/bin/conda", "run", "-n"}, false},
	{{"/b/bin/python", "/b/bin/conda", "-v", "run"}, false},
	{{"/b/bin/python", "-m", "conda", "run"}, false},
	{{"/b/bin/pixi", "run", "x"}, false},
	{{"/b/bin/pixi", "shell"}, false},
	{{"/b/bin/uv", "run", "x.py"}, false},
	{{"/b/bin/micromamba", "run", "-p"}, false},
	/* Everything else. */
	{{"/e/bin/python"}, false},
	{{"/e/bin/python", "-i"}, false},
	{{"/e/bin/python", "train.py", "/e/bin/conda"}, false},
	{{"/e/bin/python", "train.py", "install"}, false},
	{{"/e/bin/python", "-c", "conda"}, false},
	{{"/e/bin/python", "-Ic", "pip"}, false},
	{{"/e/bin/python", "-m"}, false},
	{{"/e/bin/python", "-m", "http.server"}, false},
	{{"/e/bin/python", "/e/bin/pip-audit"}, false},
	{{"/e/bin/python", "/home/a/conda/x.py"}, false},
	{{"/e/bin/pythonic", "/b/bin/conda"}, false},
	{{"/e/bin/jupyter", "lab"}, false},
	{{"", ""}, false},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = 0;

		while (rows[i].words[n] != NULL)
			n++;
		if (repairing_words(rows[i].words, n) != rows[i].is)
			fail_msg("row %zu: %s %s", i, rows[i].words[0],
				 n > 1 ? rows[i].words[1] : "");
	}
	assert_false(repairing_words(NULL, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
