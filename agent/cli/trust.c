#include "agent/cli/trust.h"

#include <string.h>

#include "platform/paths.h"
#include "platform/safe_open.h"
#include "platform/users.h"

/* The owner of a directory that may well be closed to us; false: not known. */
static bool owner_of(const char *path, uint32_t *uid)
{
	char parent[PATHS_MAX];
	struct safe_dir *dir = NULL;
	struct file_info info;
	const char *name;
	bool known = false;

	if (paths_parent(parent, path, NULL) < 0)
		return false;
	name = path + strlen(parent);
	name += strspn(name, "/\\");
	if (safe_dir_open(parent, &dir, NULL) == 0 && safe_stat(dir, name, &info, NULL) == 0 &&
	    info.is_dir) {
		*uid = info.uid;
		known = true;
	}
	safe_dir_close(dir);
	return known;
}

static bool is_service_account(uint32_t uid)
{
	struct paths_agent machine;
	char run[PATHS_MAX];
	uint32_t owner;

	if (paths_agent(PATHS_MACHINE, &machine, NULL) < 0)
		return false;
	if (paths_parent(run, machine.socket, NULL) == 0 && owner_of(run, &owner) && owner == uid)
		return true;
	return owner_of(machine.state, &owner) && owner == uid;
}

bool trust_uid(uint32_t uid)
{
	return uid == 0 || uid == users_current() || is_service_account(uid);
}
