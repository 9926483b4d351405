/* The file that an agent leaves for the time it does not answer, if it is somebody to trust's. */
#ifndef ENVWARDEN_AGENT_CLI_FALLBACK_FILE_H
#define ENVWARDEN_AGENT_CLI_FALLBACK_FILE_H

#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "platform/safe_open.h"

/* ERR_NOTFOUND, ERR_PERM (a stranger's), and those of safe_read_whole; *info as of the file. */
int fallback_file_read(const char *path, struct buf *out, struct file_info *info, struct err *err);

#endif
