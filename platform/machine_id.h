/*
 * A stable mark of this installation of the operating system, to notice cloned disks and moved
 * stores. Always hashed with our own name, so that it can't be linked with what other software
 * derives from the same id; the raw id never leaves this module.
 */
#ifndef ENVWARDEN_PLATFORM_MACHINE_ID_H
#define ENVWARDEN_PLATFORM_MACHINE_ID_H

#include "lib/base/err.h"

#define MACHINE_ID_SIZE 32

/* ERR_NOTFOUND: the system has none (some containers). */
int machine_id_get(unsigned char out[MACHINE_ID_SIZE], struct err *err);

#endif
