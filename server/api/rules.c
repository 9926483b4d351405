#include "server/api/rules.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/text.h"
#include "lib/policy/policy_read.h"
#include "server/db/db_policy.h"

#define RULES_TOLD 10
#define TOLD_BYTES 1024

/* "; did you mean "x"?", or all there are. */
static void add_others(struct buf *out, const struct policy *policy, const char *name)
{
	struct text_guess guess = {.word = name, .n = strlen(name)};
	size_t i;

	for (i = 0; i < policy->n_rules; i++)
		text_guess(&guess, policy->rules[i].id);
	if (guess.best) {
		buf_addf(out, "; did you mean \"%s\"?", guess.best);
		return;
	}
	buf_adds(out, policy->n_rules > 0 ? "; its rules are " : "; it has no rules");
	for (i = 0; i < policy->n_rules && i < RULES_TOLD; i++)
		buf_addf(out, "%s%s", i > 0 ? ", " : "", policy->rules[i].id);
	if (i < policy->n_rules)
		buf_addf(out, " and %zu more", policy->n_rules - i);
}

static int refuse(struct request *r, const struct db_policy *stored, const struct policy *policy,
		  const char *rule, unsigned status)
{
	struct buf text;
	int rc;

	buf_init(&text, TOLD_BYTES);
	buf_addf(&text, "rule: policy %" PRIu64 " has no rule \"%s\"", stored->version, rule);
	add_others(&text, policy, rule);
	/* More than fits: without the list. */
	rc = buf_rc(&text) == 0 ? request_refuse(r, status, ERR_NOTFOUND, "%s", buf_cstr(&text))
				: request_refuse(r, status, ERR_NOTFOUND,
						 "rule: policy %" PRIu64 " has no rule \"%s\"",
						 stored->version, rule);
	buf_deinit(&text);
	return rc;
}

int rules_expect(struct db_conn *conn, struct request *r, const char *rule, unsigned status)
{
	struct problems problems;
	struct db_policy stored;
	struct policy policy = {0};
	struct arena arena;
	size_t i = 0;
	int rc;

	if (*rule == '\0')
		return 0;
	arena_init(&arena, POLICY_MEMORY_MAX);
	rc = db_policy_get(conn, 0, &arena, &stored, &r->err);
	if (rc == ERR_NOTFOUND) {
		rc = request_refuse(
			r, status, rc,
			"rule: there is no rule \"%s\", since no policy was applied yet", rule);
		goto out;
	}
	problems_init(&problems, &arena);
	if (rc == 0)
		rc = policy_read(stored.source, strlen(stored.source), &arena, &policy, &problems,
				 &r->err);
	if (rc < 0)
		goto out;
	while (i < policy.n_rules && strcmp(policy.rules[i].id, rule) != 0)
		i++;
	if (i == policy.n_rules)
		rc = refuse(r, &stored, &policy, rule, status);
out:
	arena_deinit(&arena);
	return rc;
}
