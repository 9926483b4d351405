#include "agent/prefix/settle.h"

/* Looking again costs one directory listing, and the end usually announces itself by an event. */
#define RECHECK_MS 250
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 4000

void settle_signs_init(struct settle_signs *signs)
{
	*signs = (struct settle_signs){
		.held_copy_age_ms = -1,
		.lock_age_ms = -1,
		.installing_age_ms = -1,
		.unclosed_age_ms = -1,
		.empty_history_age_ms = -1,
		.unlisted_record_age_ms = -1,
		.unfinished_dist_age_ms = -1,
		.stashed_dist_age_ms = -1,
		.unrecorded_dist_age_ms = -1,
		.rename_age_ms = -1,
	};
}

static int64_t retry_ms(unsigned reads)
{
	int64_t wait = RETRY_FIRST_MS;

	while (--reads > 0 && wait < RETRY_MAX_MS)
		wait *= 2;
	return wait;
}

/* A sign counts while it is younger than what a killed run may have left behind. */
static bool counts(int64_t age_ms, int64_t limit_ms)
{
	return age_ms >= 0 && age_ms < limit_ms;
}

struct settle_verdict settle_judge(const struct settle_signs *signs)
{
	struct {
		int64_t age_ms;
		int64_t limit_ms;
		enum settle_reason reason;
	} rules[] = {
		{signs->held_copy_age_ms, SETTLE_STALE_MS, SETTLE_HELD_COPY},
		{signs->lock_age_ms, SETTLE_STALE_MS, SETTLE_LOCK},
		{signs->installing_age_ms, SETTLE_STALE_MS, SETTLE_INSTALLING},
		{signs->unclosed_age_ms, SETTLE_PIXI_MS, SETTLE_INSTALLING},
		{signs->empty_history_age_ms, SETTLE_HISTORY_MS, SETTLE_HISTORY},
		{signs->unlisted_record_age_ms, SETTLE_HISTORY_MS, SETTLE_HISTORY},
		{signs->unfinished_dist_age_ms, SETTLE_HISTORY_MS, SETTLE_DIST},
		{signs->stashed_dist_age_ms, SETTLE_STALE_MS, SETTLE_DIST},
		{signs->unrecorded_dist_age_ms, SETTLE_LINK_MS, SETTLE_DIST},
		{signs->rename_age_ms, SETTLE_RENAME_MS, SETTLE_RENAME},
	};

	for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
		if (counts(rules[i].age_ms, rules[i].limit_ms))
			return (struct settle_verdict){rules[i].reason, RECHECK_MS};
	if (signs->unreadable > 0 && signs->reads < SETTLE_RETRIES)
		return (struct settle_verdict){SETTLE_UNREADABLE, retry_ms(signs->reads)};
	return (struct settle_verdict){SETTLE_READY, 0};
}
