#include "agent/lease.h"

#include <stddef.h>

#include "platform/mounts.h"
#include "platform/shared_word.h"
#include "platform/watch.h"

#define AWAKE 1u

int lease_ends_new(struct lease_ends *out, struct err *err)
{
	int rc;

	*out = (struct lease_ends){.word = -1, .queue = WATCH_NONE};
	rc = shared_word_new(&out->word, err);
	if (rc == 0)
		rc = watch_queue_new(&out->queue, err);
	if (rc < 0)
		lease_ends_close(out);
	return rc;
}

void lease_ends_close(struct lease_ends *ends)
{
	shared_word_close(ends->word);
	watch_queue_close(ends->queue);
	*ends = (struct lease_ends){.word = -1, .queue = WATCH_NONE};
}

int lease_lender_open(struct lease_lender *lender, int word, struct err *err)
{
	int rc = shared_word_map(word, true, &lender->word, err);

	if (rc < 0)
		return rc;
	lender->awake = true;
	atomic_store(lender->word, AWAKE);
	return 0;
}

void lease_lender_close(struct lease_lender *lender)
{
	if (lender->word != NULL)
		atomic_store(lender->word, AWAKE);
	shared_word_unmap(lender->word);
	lender->word = NULL;
}

/* Only this thread writes, so what is there is what it wrote last. */
void lease_wake(struct lease_lender *lender)
{
	if (lender->awake || lender->word == NULL)
		return;
	lender->awake = true;
	atomic_fetch_or(lender->word, AWAKE);
}

void lease_rest(struct lease_lender *lender, uint64_t epoch)
{
	if (lender->word == NULL)
		return;
	lender->awake = false;
	atomic_store(lender->word, epoch * 2);
}

int lease_holder_open(struct lease_holder *holder, struct lease_ends *ends, struct err *err)
{
	_Atomic uint64_t *word;
	int rc = 0;

	*holder = (struct lease_holder){.queue = WATCH_NONE, .mounts = -1};
	if (ends->word >= 0 && ends->queue != WATCH_NONE)
		rc = shared_word_map(ends->word, false, &word, err);
	if (rc == 0 && ends->word >= 0 && ends->queue != WATCH_NONE) {
		*holder = (struct lease_holder){
			.word = word, .queue = ends->queue, .mounts = mounts_notice_open()};
		ends->queue = WATCH_NONE;
	}
	lease_ends_close(ends);
	return rc;
}

void lease_holder_close(struct lease_holder *holder)
{
	shared_word_unmap(holder->word);
	watch_queue_close(holder->queue);
	mounts_notice_close(holder->mounts);
	*holder = (struct lease_holder){.queue = WATCH_NONE, .mounts = -1};
}

uint64_t lease_remounts(struct lease_holder *holder)
{
	if (mounts_noticed(holder->mounts))
		holder->remounts++;
	return holder->remounts;
}

bool lease_is_good(const struct lease_holder *holder, uint64_t epoch)
{
	return epoch != LEASE_NONE && holder->word != NULL && watch_queue_is_empty(holder->queue) &&
	       atomic_load(holder->word) == epoch * 2;
}
