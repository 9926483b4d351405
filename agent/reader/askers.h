/* Those who wait for one prefix to be read: a list of their ids, each with since when. */
#ifndef ENVWARDEN_AGENT_READER_ASKERS_H
#define ENVWARDEN_AGENT_READER_ASKERS_H

#include <stdbool.h>
#include <stdint.h>

#define ASKERS_MAX 64 /* of one prefix */

struct asker; /* NULL is the empty list */

/* ERR_BUSY: too many wait; ERR_NOMEM. */
int askers_add(struct asker **list, uint64_t id, int64_t now_ms);

/* Takes one off who has waited since before_ms or longer; false when there is none. */
bool askers_take(struct asker **list, int64_t before_ms, uint64_t *id);

void askers_give(struct asker **from, struct asker **to); /* all of them */

#endif
