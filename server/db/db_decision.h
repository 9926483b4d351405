/*
 * What agents decide about their environments, as they report it, and the evidence that rules and
 * statuses leave: since when, until when, how often it was warned, refused, used all the same.
 */
#ifndef ENVWARDEN_SERVER_DB_DB_DECISION_H
#define ENVWARDEN_SERVER_DB_DB_DECISION_H

#include "lib/base/uuid.h"
#include "lib/policy/decision.h"
#include "server/db/db.h"

#define DB_DECISIONS_MAX 10000 /* environments of one machine */
#define DB_DECISION_PACKAGE_MAX 512

struct db_counters {
	int64_t checks;
	int64_t warnings;
	int64_t refusals;
	int64_t runs_after_block;
};

/* One rule's or status's say about one environment. */
struct db_reason {
	const char *kind; /* "status", "rule", "cve" ... */
	const char *rule; /* its id; "" for a status */
	enum action action;
	bool monitored;	     /* it would have been so */
	const char *package; /* "openssl 1.0.2u": one of those it is about, "" none */
	int64_t packages;    /* how many it is about; 0 = the environment as a whole */
	/* Set by the store. */
	int64_t since_ms;
	int64_t lifted_ms; /* 0 = it holds */
	struct db_counters counters;
};

struct db_decision {
	struct uuid machine;
	struct uuid environment;
	enum action action;
	const char *case_code;
	uint64_t policy_version;
	uint64_t status_version;
	int64_t decided_ms;
	int64_t received_ms;
	struct db_counters counters;	 /* since the agent's store was made */
	int64_t deferred_until_ms;	 /* 0 = not deferred */
	uint32_t unlocked_serial;	 /* 0 = not unlocked */
	const struct db_reason *reasons; /* those that hold, the strongest first */
	size_t n_reasons;
};

/*
 * Takes a report: the decision replaces the one before, what its counters have grown by is counted
 * for the reasons that held meanwhile, and reasons that are gone are marked as lifted. Reasons of
 * the same rule are told once each (the strongest; packages added up). ERR_NOTFOUND: no such
 * machine; ERR_LIMIT: more than DB_DECISIONS_MAX environments, or a text too long.
 */
int db_decision_put(struct db_conn *conn, const struct db_decision *decision, struct err *err);
/* ERR_NOTFOUND: none was reported. Counters stand in the decision and with its reasons. */
int db_decision_get(struct db_conn *conn, const struct uuid *machine,
		    const struct uuid *environment, struct arena *arena, struct db_decision *out,
		    struct err *err);

/* --- evidence --- */

struct db_rule_evidence {
	const char *kind;
	const char *rule;
	bool monitored;
	int64_t environments; /* that it concerns today */
	int64_t blocked;      /* of them: by a block */
	int64_t users;	      /* owners of these environments */
	int64_t lifted;	      /* it held for and does no more */
	struct db_counters counters;
	int64_t first_ms; /* when it held first */
};
/* Of all rules and statuses, by kind and name. */
int db_evidence_rules(struct db_conn *conn, struct arena *arena, struct db_rule_evidence **out,
		      size_t *n, struct err *err);

struct db_env_evidence {
	struct uuid machine;
	struct uuid environment;
	const char *hostname;
	const char *prefix; /* "" while the journal has not told it */
	const char *user;
	struct db_reason reason;
};
/* The environments of one rule (of a kind); continue with {.set = true, .num = how many were seen}.
 */
int db_evidence_environments(struct db_conn *conn, const char *kind, const char *rule,
			     const struct db_cursor *after, size_t limit, struct arena *arena,
			     struct db_env_evidence **out, size_t *n, struct err *err);

#endif
