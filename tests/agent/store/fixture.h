/* A store in a folder of its own, with words for what tests do to it. Failures end the test. */
#ifndef ENVWARDEN_TESTS_AGENT_STORE_FIXTURE_H
#define ENVWARDEN_TESTS_AGENT_STORE_FIXTURE_H

#include <stdint.h>

#include "agent/store/store.h"
#include "lib/base/arena.h"
#include "tests/support/tmpdir.h"

#define FIXTURE_NOW INT64_C(1795000000000)

struct fixture {
	struct tmpdir dir;
	struct store_options options;
	struct store *store;
	struct arena arena;
	int64_t now_ms; /* goes on by a second with each snapshot */
};

/* For cmocka. Whatever a test did, the store it leaves is probed and has to be sound. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_reopen(struct fixture *f);

/* Applies and releases a snapshot, or one made of sample_snapshot's words. */
struct applied fixture_apply(struct fixture *f, struct snapshot *s);
struct applied fixture_see(struct fixture *f, const char *prefix, uint64_t inode,
			   const char *specs);
struct applied fixture_gone(struct fixture *f, const char *prefix, uint64_t inode);

/* "name=version ..." as stored. */
const char *fixture_packages(struct fixture *f, const struct uuid *id);

/* The journal in words: "1 created churn +a=1 +b=2; 2 updated churn -b=2 +b=3; ..." */
const char *fixture_journal(struct fixture *f);
const char *fixture_journal_after(struct fixture *f, const struct store_history_query *query);

#endif
