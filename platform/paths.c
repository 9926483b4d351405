#include "platform/paths.h"

#include <string.h>

int paths_fallback(const char *state_dir, char out[PATHS_MAX], struct err *err)
{
	char public_dir[PATHS_MAX];
	int rc = paths_join(public_dir, state_dir, "public", err);
	if (rc < 0)
		return rc;
	return paths_join(out, public_dir, "fallback", err);
}

int paths_fallback_of_socket(const char *socket_path, char out[PATHS_MAX], struct err *err)
{
	static const char suffix[] = ".fallback";
	size_t n = strlen(socket_path);
	if (n + sizeof(suffix) > PATHS_MAX)
		return err_set(err, ERR_LIMIT, "path too long: %.64s...", socket_path);
	memcpy(out, socket_path, n);
	memcpy(out + n, suffix, sizeof(suffix));
	return 0;
}
