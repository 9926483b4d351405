/*
 * What a policy is asked about: one environment, its packages and what is known of them, the
 * machine it is on. All of it borrowed from the caller for the call.
 */
#ifndef ENVWARDEN_LIB_POLICY_FACTS_H
#define ENVWARDEN_LIB_POLICY_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/uuid.h"
#include "lib/conda/package.h"
#include "lib/policy/policy.h"

/* One vulnerability of one package, as the advisories have it. */
struct finding {
	const char *id; /* "CVE-2020-14343" */
	struct texts_list aliases;
	enum severity severity;
	double cvss; /* below 0: unknown */
	enum finding_status status;
	bool malicious;
	bool kev;
	int64_t published_ms;  /* 0 unknown: never old enough for a rule that asks */
	int64_t first_seen_ms; /* when this environment had it first, 0 unknown */
};

struct policy_package {
	const struct package *package;
	const struct finding *findings;
	size_t n_findings;
};

#define POLICY_PACKAGES_MAX 16384

struct policy_facts {
	struct uuid environment;
	const char *name;
	const char *path;
	const char *user;
	const char *platform;
	const char *tool;
	struct texts_list labels; /* of the machine */
	int64_t created_ms;
	int64_t last_used_ms;		       /* 0: since it was created, as far as is known */
	const struct policy_package *packages; /* in package_cmp's order: the first reasons count */
	size_t n_packages;		       /* at most POLICY_PACKAGES_MAX */
};

#endif
