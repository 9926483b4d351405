/*
 * The reader process: the only one that opens members' files and parses them. It keeps watch, reads
 * what has settled and tells the core; it has no network, no keys and no store, and gives up the
 * means to get them before it reads the first byte.
 */
#ifndef ENVWARDEN_AGENT_READER_READER_H
#define ENVWARDEN_AGENT_READER_READER_H

#include <stdint.h>

struct lease_ends;

/*
 * Runs until the core's end of the socket pair closes. fd: our end. lease: what the core has the
 * other end of, to be taken over; -1: it has none. parent: the pid of the supervisor, with which
 * this process ends. Returns the process's exit code.
 */
int reader_main(int fd, struct lease_ends *lease, int64_t parent);

#endif
