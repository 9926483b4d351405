/*
 * What differs between two snapshots' packages. A package that differs in its attributes only
 * (requested, licence, URL, size) is the same package: no change, but worth storing anew.
 */
#ifndef ENVWARDEN_AGENT_CORE_DIFF_H
#define ENVWARDEN_AGENT_CORE_DIFF_H

#include <stdbool.h>

#include "lib/conda/package.h"

struct diff {
	struct package_list added;   /* strings borrowed from `after` */
	struct package_list removed; /* strings borrowed from `before` */
	bool attributes;	     /* something that stayed has other attributes */
};

/* Both lists sorted by package_cmp_all, no identity twice. ERR_NOMEM. */
int diff_packages(const struct package_list *before, const struct package_list *after,
		  struct diff *out);
void diff_deinit(struct diff *d); /* also of a zeroed struct */

#endif
