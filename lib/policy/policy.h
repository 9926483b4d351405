/*
 * A policy as it was written: defaults, rules, exceptions. Plain data; everything points into one
 * arena and lives as long as it. Read from YAML by policy_read.h, sent signed to every agent, made
 * quick to evaluate by rule_index.h. The language is docs/policy.md.
 *
 * A rule's condition is asked of one package of one environment at a time: all: [{manager: conda},
 * {license: "AGPL-*"}] is "a conda package under such a licence". A rule none of whose conditions
 * is about packages is asked of the environment as a whole, once.
 *
 * Strings are never NULL ("" = not given). Durations and times are milliseconds, times UTC.
 */
#ifndef ENVWARDEN_LIB_POLICY_POLICY_H
#define ENVWARDEN_LIB_POLICY_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/uuid.h"
#include "lib/conda/match_spec.h"
#include "lib/policy/decision.h"

#define POLICY_RULES_MAX 200000
#define POLICY_EXCEPTIONS_MAX 200000
#define POLICY_DEPTH_MAX 16	   /* of conditions in conditions */
#define POLICY_CONDITIONS_MAX 4096 /* of one rule */
#define POLICY_ITEMS_MAX 1000	   /* children of a condition, texts of a list */
#define POLICY_ID_MAX 64	   /* bytes of a rule's or exception's id */
#define POLICY_TEXT_MAX 1024	   /* bytes of any other text */
#define POLICY_FIX_MAX 512

struct texts_list {
	const char *const *items;
	size_t n;
};

/* --- conditions --- */

/* Values travel on the wire: append only. */
enum condition_kind {
	CONDITION_ALL = 1,
	CONDITION_ANY,
	CONDITION_NOT,
	CONDITION_PACKAGE,	     /* specs; any of them */
	CONDITION_CHANNEL,	     /* texts: names, URLs, globs of either; any of them */
	CONDITION_LICENSE,	     /* texts: globs, whatever the case */
	CONDITION_MANAGER,	     /* texts: conda, pypi */
	CONDITION_CVE,		     /* cve */
	CONDITION_PACKAGE_AGE_BELOW, /* duration_ms since the package was built or published */
	CONDITION_ENV_NAME,	     /* texts: globs */
	CONDITION_ENV_PATH,	     /* texts: path globs, ** across folders */
	CONDITION_TOOL,		     /* texts: conda, mamba, micromamba, pixi, unknown */
	CONDITION_UNUSED_FOR, /* duration_ms since the last activation or sight of it running */
};

/* Severities, and "unknown" beside them: a rule names it apart, since unknown is not harmless. */
enum severity {
	SEVERITY_UNKNOWN,
	SEVERITY_NONE,
	SEVERITY_LOW,
	SEVERITY_MEDIUM,
	SEVERITY_HIGH,
	SEVERITY_CRITICAL,
};

/* What a finding amounts to (docs: verdicts). Bits, since conditions name several. */
enum finding_status {
	FINDING_REPORTED = 1u << 0,
	FINDING_ACTIVE = 1u << 1,
	FINDING_CLEARED = 1u << 2,
	FINDING_MITIGATED = 1u << 3,
	FINDING_DISPUTED = 1u << 4,
};

enum ternary {
	TERNARY_ANY,
	TERNARY_NO,
	TERNARY_YES
};

/* All that is given must hold of one finding of the package. */
struct cve_condition {
	struct texts_list ids; /* any of them, aliases counted; none = every one */
	bool has_severity;
	enum severity severity_at_least;
	bool or_unknown; /* a finding of unknown severity counts as well */
	bool has_cvss;
	double cvss_at_least; /* 0 to 10; unknown scores never reach it */
	unsigned status;      /* enum finding_status bits; 0 = FINDING_ACTIVE */
	enum ternary malicious;
	enum ternary kev;	      /* known to be exploited */
	int64_t published_before_ms;  /* the advisory is older than this; 0 = whatever its age */
	int64_t first_seen_before_ms; /* this environment has had it for longer; 0 = however long */
};

struct condition {
	enum condition_kind kind;
	unsigned line; /* where it stands in the source; 0 unknown */
	unsigned column;
	const struct condition *children;
	size_t n_children;
	const struct match_spec *specs;
	size_t n_specs;
	struct texts_list texts;
	const struct cve_condition *cve;
	int64_t duration_ms;
};

/* Whether a condition of this kind is about a package, or about the environment as a whole. */
bool condition_is_of_package(const struct condition *condition);

/* --- rules --- */

/* Whom a rule concerns. Everything given must hold; `except` turns the whole of it off. */
struct scope {
	struct texts_list labels;   /* given by the server; any of them */
	struct texts_list platform; /* the environment's; any of them */
	struct texts_list user;	    /* its owner; globs, any of them */
	const struct scope *except; /* "not:", NULL none */
};

enum rule_mode {
	RULE_ENFORCE,
	RULE_MONITOR, /* reported to the server, not shown */
};

struct rule {
	const char *id;
	struct condition when;
	struct scope scope;
	enum action action; /* warn or block */
	int64_t from_ms;    /* a block is a warning until then; 0 = at once */
	enum rule_mode mode;
	const char *message;
	const char *fix; /* with placeholders, see template.h */
	unsigned line;
	unsigned column;
};

/* Lifts one rule where everything given holds. */
struct exception {
	const char *id;
	const char *rule;	 /* of that id; "" = any (granted for an environment) */
	struct uuid environment; /* zero = not given */
	const char *env_path;	 /* path glob */
	const char *env_name;	 /* glob */
	const char *user;	 /* glob */
	const char *package;	 /* glob on the name of the package a reason is about */
	const char *owner;	 /* who answers for it */
	const char *ticket;
	const char *reason;
	int64_t expires_ms; /* trusted time; always given */
	bool lifts_status;  /* an explicit block too (break-glass) */
	unsigned line;
	unsigned column;
};

/* --- the whole --- */

struct policy_defaults {
	enum action on_timeout;	     /* the agent does not know in time */
	const char *when_agent_down; /* last_decision | allow | block */
	int64_t stale_after_ms;	     /* since the newest valid timestamp; 0 = never */
	enum action when_stale;
	int64_t defer_ms; /* grace a member may take; 0 = none */
	const char *contact;
};

struct policy {
	struct policy_defaults defaults;
	const struct rule *rules;
	size_t n_rules;
	const struct exception *exceptions;
	size_t n_exceptions;
};

/* last_decision, 30 days, warn, no deferring. */
void policy_defaults_init(struct policy_defaults *defaults);
void policy_init(struct policy *policy); /* those, and nothing else */

const char *severity_name(enum severity severity);
int severity_parse(const char *text, enum severity *out); /* ERR_INVALID */
const char *condition_name(enum condition_kind kind);	  /* its key in the language */

#endif
