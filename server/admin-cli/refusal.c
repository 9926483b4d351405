#include "server/admin-cli/refusal.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define VALUE_SHOWN 48 /* bytes; a longer one is not repeated */

/* The API's members and parameters, and the options they come from. */
static const struct {
	const char *name;
	enum option option;
} members[] = {
	{"expires", OPT_EXPIRES},   {"hours", OPT_VALID},     {"hours", OPT_EXPIRES},
	{"label", OPT_LABELS},	    {"labels", OPT_LABELS},   {"limit", OPT_LIMIT},
	{"machine", OPT_MACHINE},   {"message", OPT_MESSAGE}, {"minutes", OPT_FOR},
	{"note", OPT_NOTE},	    {"package", OPT_PACKAGE}, {"packages", OPT_PACKAGE},
	{"platform", OPT_PLATFORM}, {"q", OPT_QUERY},	      {"reason", OPT_REASON},
	{"rule", OPT_RULE},	    {"since", OPT_SINCE},     {"status", OPT_STATUS},
	{"ticket", OPT_TICKET},	    {"title", OPT_TITLE},     {"until", OPT_UNTIL},
	{"user", OPT_USER},	    {"uses", OPT_USES},
};

/* OPT_N: none that was given. */
static enum option option_of(const struct options *options, const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (strlen(members[i].name) == n && memcmp(members[i].name, name, n) == 0 &&
		    options->values[members[i].option])
			return members[i].option;
	return OPT_N;
}

bool refusal_text(const struct options *options, const char *detail, struct buf *out)
{
	static const char body[] = "body: ";
	const char *text = text_starts(detail, body) ? detail + sizeof(body) - 1 : detail;
	const char *end = strstr(text, ": ");
	enum option option = end ? option_of(options, text, (size_t)(end - text)) : OPT_N;
	const char *value;

	if (option == OPT_N) {
		buf_adds(out, detail);
		return false;
	}
	value = options->values[option];
	buf_adds(out, option_name(option));
	if (value[strspn(value, " \t\r\n")] && strlen(value) <= VALUE_SHOWN)
		buf_addf(out, " %s", value);
	buf_adds(out, end);
	return true;
}
