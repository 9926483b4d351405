#include "agent/cli/fallback_file.h"

#include <string.h>

#include "agent/cli/trust.h"
#include "platform/paths.h"
#include "proto/fallback.h"

int fallback_file_read(const char *path, struct buf *out, struct file_info *info, struct err *err)
{
	char folder[PATHS_MAX];
	struct safe_dir *dir = NULL;
	int rc = paths_parent(folder, path, err);

	if (rc == 0)
		rc = safe_dir_open(folder, &dir, err);
	if (rc == 0) {
		const char *name = path + strlen(folder);

		name += strspn(name, "/\\");
		rc = safe_read_whole(dir, name, SAFE_OWNER_ANY, FALLBACK_MAX, out, info, err);
	}
	if (rc == 0 && !trust_uid(info->uid))
		rc = err_set(err, ERR_PERM, "%s: belongs to a stranger", path);
	safe_dir_close(dir);
	return rc;
}
