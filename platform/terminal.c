#include "platform/terminal.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>

#include "lib/base/compiler.h"

#define ASK_TIMES 3

static bool same_word(const char *answer, const char *word)
{
	size_t i = 0;
	while (answer[i] && tolower((unsigned char)answer[i]) == word[i])
		i++;
	return answer[i] == word[i];
}

/* true: an answer */
static bool understand(const char *answer, bool default_yes, bool *yes)
{
	bool is_yes = same_word(answer, "y") || same_word(answer, "yes");
	bool is_no = same_word(answer, "n") || same_word(answer, "no");
	if (!is_yes && !is_no && answer[0] != '\0')
		return false;
	*yes = is_yes || (!is_no && default_yes);
	return true;
}

int terminal_ask(const char *question, bool default_yes, bool *yes, struct err *err)
{
	char prompt[1024];
	const char *choice = default_yes ? "[Y/n]" : "[y/N]";
	int n = snprintf(prompt, sizeof(prompt), "%s %s ", question, choice);
	if (n < 0 || (size_t)n >= sizeof(prompt))
		return err_set(err, ERR_LIMIT, "question too long");
	for (int i = 0; i < ASK_TIMES; i++) {
		char answer[16];
		struct err failed = ERR_INIT;
		int rc = terminal_read_line(prompt, false, answer, sizeof(answer), &failed);
		if (rc == ERR_LIMIT)
			continue; /* too long to be any of the answers */
		if (rc < 0)
			return err_set(err, rc, "%s", failed.text);
		if (understand(answer, default_yes, yes))
			return 0;
	}
	*yes = false;
	return 0;
}
