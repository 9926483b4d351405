/*
 * The net effect of consecutive changes of one environment on its packages, kept as references:
 * what was not there before them and is after them, and the other way round. A package is matched
 * by its definition here, and by its identity when it is spelled out: one whose attributes moved in
 * between is still the same package.
 */
#ifndef ENVWARDEN_AGENT_STORE_NET_H
#define ENVWARDEN_AGENT_STORE_NET_H

#include "agent/store/row.h"

struct ref_vec {
	struct package_ref *items; /* sorted by key, each once */
	size_t n;
	size_t cap;
};

struct net {
	struct ref_vec added;
	struct ref_vec removed;
};

/* Takes in the next change. ERR_NOMEM: *net is what it was. */
int net_add(struct net *net, const struct ref_list *added, const struct ref_list *removed);
void net_deinit(struct net *net); /* also of a zeroed one */

/*
 * Takes out of two sorted lists what is in both by identity, one for one: the net effect of lists
 * that were put together by definition.
 */
void net_cancel(struct package_list *added, struct package_list *removed);

/*
 * What the packages were before a net effect: `now` without `added`, with `removed`; all sorted.
 * Strings are borrowed. ERR_NOMEM.
 */
int net_undo(const struct package_list *now, const struct package_list *added,
	     const struct package_list *removed, struct package_list *out);

#endif
