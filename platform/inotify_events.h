/*
 * What Linux's watch queue delivers, taken apart: a pure function over the bytes of one read(). The
 * numbers are the kernel's ABI, repeated here so that this compiles and is tested everywhere.
 */
#ifndef ENVWARDEN_PLATFORM_INOTIFY_EVENTS_H
#define ENVWARDEN_PLATFORM_INOTIFY_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "platform/watch.h"

struct inotify_fact {
	int wd; /* the kernel's watch; WATCH_NONE for an overflow */
	enum watch_kind kind;
	bool ended;	  /* the kernel has dropped the watch by itself */
	bool is_folder;	  /* the entry is a directory */
	const char *name; /* inside the bytes, ended; NULL if none */
};

/*
 * Reads the next event at *pos and moves *pos behind it. false: the end (or bytes that are no whole
 * event; the kernel never writes such). Alignment does not matter.
 */
bool inotify_next(const void *data, size_t n, size_t *pos, struct inotify_fact *out);

#endif
