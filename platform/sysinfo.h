/* What this machine calls itself, for display and for scopes of rules. */
#ifndef ENVWARDEN_PLATFORM_SYSINFO_H
#define ENVWARDEN_PLATFORM_SYSINFO_H

#include "lib/base/err.h"

#define SYSINFO_TEXT_MAX 256

struct sysinfo {
	char hostname[SYSINFO_TEXT_MAX];
	char platform[32]; /* conda's word: "linux-64", "linux-aarch64", "osx-arm64", "win-64" */
	char os[SYSINFO_TEXT_MAX]; /* name and version for people: "Debian GNU/Linux 12 (bookworm)"
				    */
	char kernel[SYSINFO_TEXT_MAX]; /* "6.1.0-18-amd64" */
};

/* What can't be told is "unknown", so this does not fail for want of a file. */
int sysinfo_get(struct sysinfo *out, struct err *err);

#endif
