#include "agent/prefix/marks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/crypto.h"

static void put_u64(unsigned char *out, uint64_t v)
{
	for (size_t i = 8; i > 0; i--) {
		out[i - 1] = (unsigned char)v;
		v >>= 8;
	}
}

static uint64_t get_u64(const unsigned char *p)
{
	uint64_t v = 0;

	for (size_t i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

static uint64_t finish(struct sha256 *hash)
{
	unsigned char digest[SHA256_SIZE];
	uint64_t v;

	sha256_final(hash, digest);
	v = get_u64(digest);
	return v != 0 ? v : 1;
}

static bool is_racy(const struct file_info *info, int64_t now_ms)
{
	return info->ctime_ns > now_ms * 1000000 - MARKS_RACY_NS;
}

static void add_info(struct sha256 *hash, const struct file_info *info)
{
	const uint64_t facts[] = {info->ino, info->size, (uint64_t)info->mtime_ns,
				  (uint64_t)info->ctime_ns};

	sha256_update(hash, facts, sizeof facts);
}

uint64_t marks_stamp(const char *name, const struct file_info *info, const struct file_info *second,
		     int64_t now_ms)
{
	struct sha256 hash;

	if (is_racy(info, now_ms) || (second != NULL && is_racy(second, now_ms)))
		return 0;
	sha256_init(&hash);
	sha256_update(&hash, (const unsigned char[]){MARKS_READING}, 1);
	sha256_update(&hash, name, strlen(name) + 1);
	add_info(&hash, info);
	if (second != NULL)
		add_info(&hash, second);
	return finish(&hash);
}

uint64_t marks_claim(const char *anchor)
{
	char lower[256];
	struct sha256 hash;
	size_t n = 0;

	sha256_init(&hash);
	for (const char *p = anchor; *p != '\0'; p++) {
		lower[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p - 'A' + 'a') : *p;
		if (n == sizeof lower || p[1] == '\0') {
			sha256_update(&hash, lower, n);
			n = 0;
		}
	}
	return finish(&hash);
}

bool marks_find(const struct marks *marks, uint64_t stamp, uint64_t *claim)
{
	size_t low = 0;
	size_t high = marks->n;

	if (stamp == 0)
		return false;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const unsigned char *pair = marks->pairs + mid * MARKS_PAIR;
		uint64_t there = get_u64(pair);

		if (there == stamp) {
			*claim = get_u64(pair + 8);
			return true;
		}
		if (there < stamp)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

void marks_put(unsigned char pair[MARKS_PAIR], uint64_t stamp, uint64_t claim)
{
	put_u64(pair, stamp);
	put_u64(pair + 8, claim);
}

static int cmp_pairs(const void *a, const void *b)
{
	return memcmp(a, b, MARKS_PAIR);
}

void marks_sort(unsigned char *pairs, size_t n)
{
	if (n > 1)
		qsort(pairs, n, MARKS_PAIR, cmp_pairs);
}
