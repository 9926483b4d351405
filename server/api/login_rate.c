#include "server/api/login_rate.h"

#include <string.h>

#include "lib/base/crypto.h"

void login_rate_init(struct login_rate *rate)
{
	memset(rate, 0, sizeof(*rate));
	crypto_random(rate->salt, sizeof(rate->salt));
}

/* Salted, so that nobody can choose whom to push out of a set. */
static uint64_t key_of(const struct login_rate *rate, char kind, const char *text)
{
	unsigned char hash[SHA256_SIZE];
	struct sha256 h;
	uint64_t key;

	sha256_init(&h);
	sha256_update(&h, rate->salt, sizeof(rate->salt));
	sha256_update(&h, &kind, 1);
	sha256_update(&h, text, strlen(text));
	sha256_final(&h, hash);
	memcpy(&key, hash, sizeof(key));
	return key ? key : 1;
}

/* The slot of a key, or the one of its set that was paid for longest ago. */
static struct login_slot *slot_of(struct login_rate *rate, uint64_t key, int64_t now_ms)
{
	struct login_slot *set = rate->slots[key % LOGIN_RATE_SETS];
	struct login_slot *oldest = &set[0];
	int i;

	for (i = 0; i < LOGIN_RATE_WAYS; i++) {
		if (set[i].key == key)
			return &set[i];
		if (set[i].key == 0 || (oldest->key != 0 && set[i].paid_ms < oldest->paid_ms))
			oldest = &set[i];
	}
	*oldest = (struct login_slot){.key = key, .paid_ms = now_ms};
	return oldest;
}

static int64_t wait_of(struct login_slot *slot, int burst, int64_t each_ms, int64_t now_ms)
{
	int64_t ahead;

	if (slot->paid_ms < now_ms)
		slot->paid_ms = now_ms;
	ahead = slot->paid_ms + each_ms - now_ms;
	return ahead > burst * each_ms ? ahead - burst * each_ms : 0;
}

int64_t login_rate_take(struct login_rate *rate, const char *account, const char *address,
			int64_t now_ms)
{
	struct login_slot *slot = slot_of(rate, key_of(rate, 'a', address), now_ms);
	int64_t wait = wait_of(slot, LOGIN_ADDRESS_BURST, LOGIN_ADDRESS_MS, now_ms);

	if (wait > 0)
		return wait;
	slot->paid_ms += LOGIN_ADDRESS_MS;
	slot = slot_of(rate, key_of(rate, 'n', account), now_ms);
	wait = wait_of(slot, LOGIN_ACCOUNT_BURST, LOGIN_ACCOUNT_MS, now_ms);
	if (wait == 0)
		slot->paid_ms += LOGIN_ACCOUNT_MS;
	return wait;
}

void login_rate_forgive(struct login_rate *rate, const char *account)
{
	uint64_t key = key_of(rate, 'n', account);
	struct login_slot *set = rate->slots[key % LOGIN_RATE_SETS];
	int i;

	for (i = 0; i < LOGIN_RATE_WAYS; i++)
		if (set[i].key == key)
			set[i] = (struct login_slot){0};
}
