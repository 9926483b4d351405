#include "agent/reader/repairing.h"

#include <string.h>

#include "lib/base/compiler.h"

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

static bool is_python(const char *name)
{
	return strncmp(name, "python", 6) == 0 &&
	       strspn(name + 6, "0123456789.") == strlen(name + 6);
}

/* A tool with its words behind it: some run what members want to run. */
static bool tool_changes(const char *tool, const char *const *words, size_t n)
{
	static const char *const tools[] = {"conda", "mamba", "micromamba", "pixi",
					    "uv",    "pip",   "pip3",	    "conda-env"};
	static const char *const uses[] = {"run", "shell", "exec", "x"};

	if (!is_one_of(tool, tools, ARRAY_SIZE(tools)))
		return false;
	for (size_t i = 0; i < n; i++)
		if (words[i][0] != '-')
			return !is_one_of(words[i], uses, ARRAY_SIZE(uses));
	return true;
}

static bool module_changes(const char *module, const char *const *words, size_t n)
{
	return strcmp(module, "compileall") == 0 || strcmp(module, "py_compile") == 0 ||
	       tool_changes(module, words, n);
}

bool repairing_words(const char *const *words, size_t n)
{
	size_t at = 1;

	if (n == 0)
		return false;
	if (!is_python(base_name(words[0])))
		return tool_changes(base_name(words[0]), words + 1, n - 1);
	while (at < n && words[at][0] == '-' && strcmp(words[at], "-m") != 0) {
		if (strchr(words[at], 'c') != NULL) /* a program in the next word */
			return false;
		at++;
	}
	if (at == n)
		return false;
	if (strcmp(words[at], "-m") == 0)
		return at + 1 < n && module_changes(words[at + 1], words + at + 2, n - at - 2);
	return tool_changes(base_name(words[at]), words + at + 1, n - at - 1);
}
