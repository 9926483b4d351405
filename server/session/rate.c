#include "server/session/rate.h"

#include <string.h>

#include <uv.h>

#include "lib/base/crypto.h"

void rate_init(struct rate *rate, int64_t burst, int64_t each_ms)
{
	memset(rate, 0, sizeof(*rate));
	crypto_random(rate->salt, sizeof(rate->salt));
	rate->burst = burst;
	rate->each_ms = each_ms;
}

/* What counts of an address: an IPv6 network of 64 bits, else the host's text. */
static struct rate_bucket *bucket_of(struct rate *rate, const char *peer)
{
	unsigned char address[16], digest[SHA256_SIZE];
	const char *end = strrchr(peer, ':');
	size_t n = end ? (size_t)(end - peer) : strlen(peer);
	char host[64];
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, rate->salt, sizeof(rate->salt));
	if (peer[0] == '[' && n > 2 && n - 2 < sizeof(host)) {
		memcpy(host, peer + 1, n - 2);
		host[n - 2] = '\0';
	} else {
		host[0] = '\0';
	}
	if (host[0] && uv_inet_pton(AF_INET6, host, address) == 0)
		sha256_update(&h, address, 8);
	else
		sha256_update(&h, peer, n);
	sha256_final(&h, digest);
	return &rate->buckets[((unsigned)digest[0] << 8 | digest[1]) % RATE_BUCKETS];
}

bool rate_take(struct rate *rate, const char *peer, int64_t mono_ms, int64_t *wait_ms)
{
	struct rate_bucket *bucket = bucket_of(rate, peer);
	int64_t passed = mono_ms - bucket->at_ms;

	bucket->spent_ms -= passed < bucket->spent_ms ? passed : bucket->spent_ms;
	bucket->at_ms = mono_ms;
	if (bucket->spent_ms > (rate->burst - 1) * rate->each_ms) {
		*wait_ms = bucket->spent_ms - (rate->burst - 1) * rate->each_ms;
		return false;
	}
	bucket->spent_ms += rate->each_ms;
	return true;
}

void rate_return(struct rate *rate, const char *peer)
{
	struct rate_bucket *bucket = bucket_of(rate, peer);

	bucket->spent_ms -= rate->each_ms < bucket->spent_ms ? rate->each_ms : bucket->spent_ms;
}
