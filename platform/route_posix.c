#include "platform/route.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as the kernel has it */

struct walk {
	char done[SAFE_PATH_MAX]; /* free of links; "" is the root */
	char rest[SAFE_PATH_MAX];
};

static int glue(char out[SAFE_PATH_MAX], const char *a, const char *b)
{
	int n = snprintf(out, SAFE_PATH_MAX, "%s%s%s", a, b[0] != '\0' ? "/" : "", b);

	return n < 0 || n >= SAFE_PATH_MAX ? ERR_LIMIT : 0;
}

static void go_up(struct walk *w)
{
	char *slash = strrchr(w->done, '/');

	if (slash != NULL)
		*slash = '\0';
}

/* The next part is cut off the rest; false: there is none. */
static bool next_part(struct walk *w, char part[SAFE_PATH_MAX])
{
	char *start = w->rest + strspn(w->rest, "/");
	size_t n = strcspn(start, "/");

	memcpy(part, start, n);
	part[n] = '\0';
	memmove(w->rest, start + n, strlen(start + n) + 1);
	return n > 0;
}

/* The link's target comes before the rest. */
static int follow(struct walk *w, const char *target)
{
	char rest[SAFE_PATH_MAX];
	int rc = glue(rest, target, w->rest + strspn(w->rest, "/"));

	if (rc < 0)
		return rc;
	memcpy(w->rest, rest, sizeof rest);
	if (target[0] == '/')
		w->done[0] = '\0';
	return 0;
}

static int write_back(const struct walk *w, char path[SAFE_PATH_MAX], int result)
{
	const char *rest = w->rest + strspn(w->rest, "/");
	int rc = w->done[0] == '\0' && rest[0] == '\0' ? glue(path, "/", "")
						       : glue(path, w->done, rest);

	return rc < 0 ? rc : result;
}

int route_follow(const struct mount_table *table, uint64_t group, char path[SAFE_PATH_MAX])
{
	return mount_table_has_remote(table) ? route_resolve(table, group, path) : 0;
}

int route_resolve(const struct mount_table *table, uint64_t group, char path[SAFE_PATH_MAX])
{
	struct walk w = {.done = ""};
	char part[SAFE_PATH_MAX];
	char next[SAFE_PATH_MAX];
	char target[SAFE_PATH_MAX];
	unsigned links = 0;

	(void)snprintf(w.rest, sizeof w.rest, "%s", path);
	while (next_part(&w, part)) {
		const struct mount *m;
		ssize_t n;

		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			go_up(&w);
			continue;
		}
		if (glue(next, w.done, part) < 0)
			return ERR_LIMIT;
		m = table != NULL ? mount_table_find(table, next) : NULL;
		if (m != NULL && m->group != 0 && m->group != group) {
			memcpy(w.done, next, sizeof next);
			return write_back(&w, path, 1);
		}
		n = readlink(next, target, sizeof target);
		if (n < 0) { /* no link, or nothing one may know of */
			memcpy(w.done, next, sizeof next);
			continue;
		}
		if ((size_t)n >= sizeof target || ++links > LINKS_MAX)
			return ERR_LIMIT;
		target[n] = '\0';
		if (follow(&w, target) < 0)
			return ERR_LIMIT;
	}
	return write_back(&w, path, 0);
}
