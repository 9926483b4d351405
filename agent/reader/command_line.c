#include "agent/reader/command_line.h"

#include <string.h>

#include "lib/base/compiler.h"

static bool is_system(const char *path, size_t n)
{
	static const char *const prefixes[] = {"/usr", "/usr/local"};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strlen(prefixes[i]) == n && memcmp(prefixes[i], path, n) == 0)
			return true;
	return false;
}

size_t command_line_prefix(const char *word)
{
	const char *bin = NULL;

	if (word[0] != '/')
		return 0;
	for (const char *p = strstr(word, "/bin/"); p != NULL; p = strstr(p + 1, "/bin/"))
		bin = p;
	if (bin == NULL || strchr(bin + 5, '/') != NULL || is_system(word, (size_t)(bin - word)))
		return 0;
	return (size_t)(bin - word);
}

bool command_line_runs(const char *const *words, size_t word)
{
	static const char *const interpreters[] = {"sh",  "bash", "dash",   "zsh",
						   "ksh", "perl", "python", "python3"};
	const char *slash = strrchr(words[0], '/');
	const char *name = slash != NULL ? slash + 1 : words[0];

	if (word == 0)
		return true;
	for (size_t i = 1; i < word; i++)
		if (words[i][0] != '-')
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
		if (strcmp(name, interpreters[i]) == 0)
			return true;
	return false;
}
