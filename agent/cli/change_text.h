/* One change of a journal as people read it: a line, and a line for each package. */
#ifndef ENVWARDEN_AGENT_CLI_CHANGE_TEXT_H
#define ENVWARDEN_AGENT_CLI_CHANGE_TEXT_H

#include "lib/base/buf.h"
#include "lib/conda/change.h"

/* Appends to `out`; whatever is in the change is made harmless for a terminal. */
void change_text(const struct change *change, struct buf *out);

#endif
