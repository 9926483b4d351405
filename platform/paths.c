#include "platform/paths.h"

int paths_fallback(const char *state_dir, char out[PATHS_MAX], struct err *err)
{
	char public_dir[PATHS_MAX];
	int rc = paths_join(public_dir, state_dir, "public", err);
	if (rc < 0)
		return rc;
	return paths_join(out, public_dir, "fallback", err);
}
