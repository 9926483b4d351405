/*
 * Preloaded into a program, it shows it a name service that lists nobody, and that does not answer
 * while the file $ACCOUNTS_HANG exists.
 */
#include <dlfcn.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int by_uid_fn(uid_t, struct passwd *, char *, size_t, struct passwd **);
typedef int by_name_fn(const char *, struct passwd *, char *, size_t, struct passwd **);

static void hang(void)
{
	const struct timespec a_while = {.tv_nsec = 20000000};
	const char *flag = getenv("ACCOUNTS_HANG");

	while (flag != NULL && access(flag, F_OK) == 0)
		(void)nanosleep(&a_while, NULL);
}

static void *next(const char *name, void *fn, size_t n)
{
	void *found = dlsym(RTLD_NEXT, name);

	memcpy(fn, &found, n);
	return found;
}

int getpwuid_r(uid_t uid, struct passwd *pw, char *room, size_t size, struct passwd **out)
{
	by_uid_fn *fn;

	hang();
	return next("getpwuid_r", &fn, sizeof fn) != NULL ? fn(uid, pw, room, size, out) : -1;
}

int getpwnam_r(const char *name, struct passwd *pw, char *room, size_t size, struct passwd **out)
{
	by_name_fn *fn;

	hang();
	return next("getpwnam_r", &fn, sizeof fn) != NULL ? fn(name, pw, room, size, out) : -1;
}

struct passwd *getpwent(void)
{
	hang();
	return NULL;
}
