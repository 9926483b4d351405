#include "platform/users.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"

#define GROUP_ROOM 4096

/* Entries with members' names in GECOS fields grow, but nothing sane passes this. */
#define ENTRY_MAX (256 * 1024)

uint32_t users_current(void)
{
	return (uint32_t)geteuid();
}

bool users_is_root(void)
{
	return geteuid() == 0;
}

static int fill(struct user *out, const struct passwd *pw, struct err *err)
{
	const char *home = pw->pw_dir ? pw->pw_dir : "";
	size_t name_n = strlen(pw->pw_name);
	size_t home_n = strlen(home);
	if (name_n >= USERS_NAME_MAX || home_n >= USERS_HOME_MAX)
		return err_set(err, ERR_LIMIT, "account %.64s: name or home too long", pw->pw_name);
	out->uid = (uint32_t)pw->pw_uid;
	out->gid = (uint32_t)pw->pw_gid;
	memcpy(out->name, pw->pw_name, name_n + 1);
	memcpy(out->home, home, home_n + 1);
	return 0;
}

/* By name, or by uid when name is NULL. */
static int lookup(const char *name, uint32_t uid, struct user *out, struct err *err)
{
	struct passwd pw;
	struct passwd *found = NULL;
	char *room = NULL;
	int rc = 0;
	int e = ERANGE;

	for (size_t size = 1024; e == ERANGE && size <= ENTRY_MAX; size *= 4) {
		char *bigger = mem_realloc(room, size);
		if (!bigger) {
			rc = err_nomem(err);
			goto out;
		}
		room = bigger;
		do {
			e = name ? getpwnam_r(name, &pw, room, size, &found)
				 : getpwuid_r((uid_t)uid, &pw, room, size, &found);
		} while (e == EINTR);
	}
	/* Some name services answer an unknown account with one of these instead of "none". */
	bool unknown = e == 0 || e == ENOENT || e == ESRCH || e == EBADF || e == EPERM;
	if (found)
		rc = fill(out, found, err);
	else if (!unknown)
		rc = err_errno(err, e, "look up an account");
	else if (name)
		rc = err_set(err, ERR_NOTFOUND, "no account \"%s\"", name);
	else
		rc = err_set(err, ERR_NOTFOUND, "no account with number %u", (unsigned)uid);
out:
	mem_free(room);
	return rc;
}

int users_by_uid(uint32_t uid, struct user *out, struct err *err)
{
	return lookup(NULL, uid, out, err);
}

int users_by_name(const char *name, struct user *out, struct err *err)
{
	return lookup(name, 0, out, err);
}

int users_each(users_cb cb, void *ctx, struct err *err)
{
	int rc = 0;
	int e = 0;
	setpwent();
	while (rc == 0) {
		errno = 0;
		const struct passwd *pw = getpwent();
		if (!pw) {
			e = errno;
			break;
		}
		struct user user;
		if (fill(&user, pw, NULL) == 0) /* one odd account must not hide the others */
			rc = cb(ctx, &user);
	}
	endpwent();
	if (e != 0 && e != ENOENT)
		return err_errno(err, e, "list accounts");
	return rc;
}

bool users_group_is_own(const struct user *user)
{
	char room[GROUP_ROOM];
	struct group group;
	struct group *found = NULL;
	if (getgrgid_r((gid_t)user->gid, &group, room, sizeof(room), &found) != 0 || !found)
		return false; /* also one with so many members that they do not fit */
	for (char **member = found->gr_mem; *member; member++)
		if (strcmp(*member, user->name) != 0)
			return false;
	return strcmp(found->gr_name, user->name) == 0;
}
