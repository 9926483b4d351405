#include "platform/inotify_events.h"

#include <string.h>

/* <sys/inotify.h> */
#define BIT_UNMOUNT 0x00002000u
#define BIT_OVERFLOW 0x00004000u
#define BIT_IGNORED 0x00008000u
#define BIT_DELETE_SELF 0x00000400u
#define BIT_MOVE_SELF 0x00000800u
#define BIT_FOLDER 0x40000000u

struct header {
	int32_t wd;
	uint32_t mask;
	uint32_t cookie;
	uint32_t name_size;
};

static void classify(const struct header *h, struct inotify_fact *out)
{
	out->wd = h->wd;
	out->ended = false;
	out->is_folder = (h->mask & BIT_FOLDER) != 0;
	if (h->mask & BIT_OVERFLOW) {
		out->wd = WATCH_NONE;
		out->kind = WATCH_OVERFLOW;
	} else if (h->mask & (BIT_DELETE_SELF | BIT_MOVE_SELF | BIT_UNMOUNT | BIT_IGNORED)) {
		out->kind = WATCH_GONE;
		/* A moved directory is still watched, at a place nobody knows. */
		out->ended = (h->mask & BIT_MOVE_SELF) == 0;
	} else {
		out->kind = WATCH_DIRTY;
	}
}

bool inotify_next(const void *data, size_t n, size_t *pos, struct inotify_fact *out)
{
	const char *at = (const char *)data + *pos;
	struct header h;
	if (n - *pos < sizeof(h))
		return false;
	memcpy(&h, at, sizeof(h));
	if (h.name_size > n - *pos - sizeof(h))
		return false;
	const char *name = at + sizeof(h);
	if (h.name_size > 0 && !memchr(name, '\0', h.name_size))
		return false;
	classify(&h, out);
	out->name = h.name_size > 0 && name[0] != '\0' ? name : NULL;
	*pos += sizeof(h) + h.name_size;
	return true;
}
