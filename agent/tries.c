#include "agent/tries.h"

#include <stddef.h>

bool tries_may(struct tries *tries, uint32_t uid, int64_t now_ms)
{
	size_t at = 0;

	for (size_t i = 0; i < TRIES_ACCOUNTS; i++) {
		if (tries->accounts[i].n > 0 && tries->accounts[i].uid == uid) {
			at = i;
			break;
		}
		if (tries->accounts[i].since_ms < tries->accounts[at].since_ms)
			at = i;
	}
	if (tries->accounts[at].uid != uid || tries->accounts[at].n == 0 ||
	    now_ms - tries->accounts[at].since_ms >= TRIES_MS) {
		tries->accounts[at].uid = uid;
		tries->accounts[at].since_ms = now_ms;
		tries->accounts[at].n = 0;
	}
	return ++tries->accounts[at].n <= TRIES_MAX;
}
