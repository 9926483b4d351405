#include "lib/net/backoff.h"

/* part * chance / 2^32, for parts of at most some hours. */
static int64_t some_of(int64_t part, uint32_t chance)
{
	return (int64_t)(((uint64_t)part * chance) >> 32);
}

void backoff_ended(struct backoff *b, int64_t lived_ms)
{
	if (lived_ms >= BACKOFF_HEALTHY_MS)
		b->failures = 0;
}

int64_t backoff_next(struct backoff *b, uint32_t chance, int64_t hint_ms)
{
	int64_t step = BACKOFF_FIRST_MS, wait;

	for (unsigned i = 0; i < b->failures && step < BACKOFF_LAST_MS; i++)
		step *= 2;
	if (step > BACKOFF_LAST_MS)
		step = BACKOFF_LAST_MS;
	else if (step < BACKOFF_LAST_MS)
		b->failures++;
	wait = step / 2 + some_of(step / 2, chance);
	if (hint_ms > BACKOFF_HINT_MAX_MS)
		hint_ms = BACKOFF_HINT_MAX_MS;
	if (hint_ms > 0 && wait < hint_ms)
		wait = hint_ms + some_of(hint_ms / 4, chance);
	return wait;
}
