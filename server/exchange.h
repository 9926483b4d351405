/*
 * A database that takes another one's place in the state folder. A database is a file and its log,
 * "<file>-wal", in which its newest may be; a log beside the wrong file would be taken for its own.
 * So, cut short at any instant, the place has the old one with its log, the new one, or none
 * (state_database says so). The new one is the copy of a backup, which is only ever read.
 *
 * Blocking; while nobody has one of the databases open.
 */
#ifndef ENVWARDEN_SERVER_EXCHANGE_H
#define ENVWARDEN_SERVER_EXCHANGE_H

#include <stdint.h>

#include "lib/base/err.h"

/* With its log; readable by this account only. ERR_FULL, ERR_IO: part of it may be there. */
int exchange_copy(const char *from, const char *to, struct err *err);

/* With its log; fine if there is none. */
int exchange_remove(const char *path, struct err *err);

/*
 * `copy`, whose log must be gone (it has been closed properly), takes the place. What was there is
 * kept as "<place>.replaced-<now_s>", or the next number that is free. ERR_FULL, ERR_IO.
 */
int exchange_take(const char *copy, const char *place, int64_t now_s, struct err *err);

#endif
