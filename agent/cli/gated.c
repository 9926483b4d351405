#include "agent/cli/gated.h"

#include <stddef.h>
#include <string.h>

#include "platform/paths.h"
#include "platform/safe_open.h"

#define ENTRIES_MAX 100000 /* a big base has some thousand in lib */

struct search {
	const struct safe_dir *lib;
	bool found;
};

/* One without the pieces ends it: an upgrade leaves them with the Python that was, beside the one
 * that is. */
static int look(void *ctx, const char *name)
{
	struct search *s = ctx;
	struct safe_dir *python = NULL, *site = NULL;
	struct file_info info;
	int lacks = 0;

	if (strncmp(name, "python3.", 8) != 0 || safe_dir_open_at(s->lib, name, &python, NULL) < 0)
		return 0;
	if (safe_dir_open_at(python, "site-packages", &site, NULL) == 0) {
		s->found = safe_stat(site, "envwarden.pth", &info, NULL) == 0 &&
			   safe_stat(site, "_envwarden_gate.py", &info, NULL) == 0;
		lacks = !s->found;
	}
	safe_dir_close(site);
	safe_dir_close(python);
	return lacks;
}

bool gated_by_base(const char *conda)
{
	char bin[PATHS_MAX], base[PATHS_MAX], path[PATHS_MAX];
	struct safe_dir *lib = NULL;
	struct search search = {.found = false};

	if (!conda || paths_parent(bin, conda, NULL) < 0 || paths_parent(base, bin, NULL) < 0 ||
	    paths_join(path, base, "lib", NULL) < 0 || safe_dir_open(path, &lib, NULL) < 0)
		return false;
	search.lib = lib;
	if (safe_dir_list(lib, ENTRIES_MAX, look, &search, NULL) != 0)
		search.found = false;
	safe_dir_close(lib);
	return search.found;
}
