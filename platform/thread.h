/*
 * A thread that nobody waits for: for calls that may never return. What it uses must live for as
 * long as it runs, which may be until the process ends.
 */
#ifndef ENVWARDEN_PLATFORM_THREAD_H
#define ENVWARDEN_PLATFORM_THREAD_H

#include "lib/base/err.h"

/* ERR_LIMIT, ERR_NOMEM or ERR_IO: the system gives no more; run is not called then. */
int thread_start(void (*run)(void *arg), void *arg, struct err *err);

#endif
