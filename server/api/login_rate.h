/*
 * How often passwords may be tried, per account and per address. A fixed table that forgets those
 * who have waited longest: whoever floods it with made-up accounts runs into the limit of their
 * address first. One thread.
 */
#ifndef ENVWARDEN_SERVER_API_LOGIN_RATE_H
#define ENVWARDEN_SERVER_API_LOGIN_RATE_H

#include <stdint.h>

#define LOGIN_RATE_WAYS 8
#define LOGIN_RATE_SETS 256

#define LOGIN_ACCOUNT_BURST 10
#define LOGIN_ACCOUNT_MS 6000 /* then one every so often */
#define LOGIN_ADDRESS_BURST 30
#define LOGIN_ADDRESS_MS 2000

struct login_slot {
	uint64_t key;	 /* 0 = free */
	int64_t paid_ms; /* all tries so far are paid for at this time */
};
struct login_rate {
	unsigned char salt[16];
	struct login_slot slots[LOGIN_RATE_SETS][LOGIN_RATE_WAYS];
};

void login_rate_init(struct login_rate *rate);

/* 0 = go on (the try is counted); else how many ms to wait. Times are monotonic. */
int64_t login_rate_take(struct login_rate *rate, const char *account, const char *address,
			int64_t now_ms);
/* The right password came: the account's tries are forgotten. */
void login_rate_forgive(struct login_rate *rate, const char *account);

#endif
