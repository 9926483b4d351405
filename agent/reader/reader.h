/*
 * The reader process: the only one that opens members' files and parses them. It keeps watch, reads
 * what has settled and tells the core; it has no network, no keys and no store, and gives up the
 * means to get them before it reads the first byte.
 */
#ifndef ENVWARDEN_AGENT_READER_READER_H
#define ENVWARDEN_AGENT_READER_READER_H

#include <stdint.h>

/*
 * Runs until the core's end of the socket pair closes. fd: our end. parent: the pid of the
 * supervisor, with which this process ends. Returns the process's exit code.
 */
int reader_main(int fd, int64_t parent);

#endif
