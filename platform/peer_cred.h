/*
 * Who is at the other end of a local connection, as the operating system vouches for it. Works from
 * both ends: an agent asks about its client, the command about the agent. The pid is a hint (the
 * process may have ended and its number be another's by now); the uid is not.
 */
#ifndef ENVWARDEN_PLATFORM_PEER_CRED_H
#define ENVWARDEN_PLATFORM_PEER_CRED_H

#include <stdint.h>

#include "lib/base/err.h"

struct peer_cred {
	uint32_t uid; /* as in users.h */
	int64_t pid;  /* 0 if unknown */
};

/* handle: a connected socket's descriptor, or a pipe's HANDLE (what uv_fileno gives). */
int peer_cred_get(intptr_t handle, struct peer_cred *out, struct err *err);

#endif
