#include "lib/policy/eval.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"

#define CASE_CODE_VERSION 1
#define CASE_CODE_LETTERS 4
#define CASE_CODE_BYTES 5 /* 8 letters, the first of which are taken */

static void hash_text(struct sha256 *h, const char *text)
{
	size_t n = strlen(text);
	const unsigned char be[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
				     (unsigned char)(n >> 8), (unsigned char)n};

	sha256_update(h, be, sizeof(be));
	sha256_update(h, text, n);
}

/* What a reason is about. A package counts by name: the case outlives its next version. */
static void hash_reason(const struct reason *r, unsigned char out[SHA256_SIZE])
{
	struct sha256 h;

	sha256_init(&h);
	hash_text(&h, r->kind);
	hash_text(&h, r->id);
	hash_text(&h, r->package ? r->package->manager : "");
	hash_text(&h, r->package ? r->package->name : "");
	sha256_final(&h, out);
}

static int cmp_hash(const void *a, const void *b)
{
	return memcmp(a, b, SHA256_SIZE);
}

/* Over the environment and the set of its reasons: sorted, each once. */
static void hash_case(const struct uuid *environment, const struct reason *reasons, size_t n,
		      unsigned char out[SHA256_SIZE])
{
	unsigned char hashes[DECISION_REASONS_MAX][SHA256_SIZE];
	const unsigned char version = CASE_CODE_VERSION;
	struct sha256 h;

	CHECK(n <= DECISION_REASONS_MAX);
	for (size_t i = 0; i < n; i++)
		hash_reason(&reasons[i], hashes[i]);
	if (n > 1)
		qsort(hashes, n, SHA256_SIZE, cmp_hash);
	sha256_init(&h);
	sha256_update(&h, &version, 1);
	sha256_update(&h, environment->b, sizeof(environment->b));
	for (size_t i = 0; i < n; i++) {
		if (i == 0 || memcmp(hashes[i], hashes[i - 1], SHA256_SIZE) != 0)
			sha256_update(&h, hashes[i], SHA256_SIZE);
	}
	sha256_final(&h, out);
}

int case_code_make(const struct uuid *environment, const struct reason *reasons, size_t n,
		   char out[CASE_CODE_MAX])
{
	unsigned char digest[SHA256_SIZE];
	struct buf code;
	int rc;

	hash_case(environment, reasons, n, digest);
	buf_init(&code, CASE_CODE_MAX);
	base32_encode(&code, digest, CASE_CODE_BYTES);
	rc = buf_rc(&code);
	if (rc == 0)
		snprintf(out, CASE_CODE_MAX, "EW-%.*s", CASE_CODE_LETTERS, buf_cstr(&code));
	buf_deinit(&code);
	return rc;
}
