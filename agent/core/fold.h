/*
 * Folding: when the server was away for so long that the journal is full of changes it has not got,
 * an older change of an environment goes into a later one, which then tells the net effect of both.
 * Pure; the packages' part is net.h of the store.
 */
#ifndef ENVWARDEN_AGENT_CORE_FOLD_H
#define ENVWARDEN_AGENT_CORE_FOLD_H

#include "lib/conda/change.h"

/*
 * Makes *later what both changes come to, all but its packages, whose numbers after folding are
 * given: who, when and how of the later one; beginning, old path and origin of the older one.
 */
void fold_changes(const struct change *older, size_t added, size_t removed, struct change *later);

/* Whether a change stands for an environment's whole life: made and deleted, nothing is left. */
bool fold_is_void(const struct change *c);

#endif
