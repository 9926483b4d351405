/*
 * Unlock codes: an administrator reads one to a member, and one environment of one machine may be
 * used for a while, whatever its decision; the agent checks it without the network.
 *
 *   code  = base32(expiry(4) | flags(1) | serial(4) | mac(10)), in groups of four
 *   mac   = the first 10 bytes of HMAC-SHA-256 under the machine's unlock key, over
 *           "envwarden-unlock\0" | environment(16) | expiry | flags | serial
 *
 * expiry is in minutes since 1970, UTC, judged by trusted time. The key is 32 random bytes made by
 * the server for each machine; it travels in the machine's status bundle and is never shown to
 * members. Serials count up per machine; revoked ones are listed in the status bundle. Pure.
 */
#ifndef ENVWARDEN_LIB_POLICY_UNLOCK_H
#define ENVWARDEN_LIB_POLICY_UNLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/err.h"
#include "lib/base/uuid.h"

#define UNLOCK_KEY_SIZE 32
#define UNLOCK_CODE_MAX 64 /* bytes of the text, with its end */

struct unlock {
	struct uuid environment;
	int64_t expires_ms; /* cut to whole minutes */
	uint32_t serial;
	bool lifts_status; /* an explicit block too, not the rules' alone */
};

/* "K7Q2-…": ERR_INVALID for an expiry that does not fit. */
int unlock_format(const struct unlock *unlock, const unsigned char key[UNLOCK_KEY_SIZE],
		  char out[UNLOCK_CODE_MAX], struct err *err);

/*
 * Checks a code typed by a member for this environment; case, blanks and '-' do not matter.
 * ERR_INVALID: no code. ERR_VERIFY: not for this environment, not made with this key, or mistyped.
 * Whether it has expired or is revoked, the caller looks up in *out.
 */
int unlock_parse(const char *text, size_t n, const struct uuid *environment,
		 const unsigned char key[UNLOCK_KEY_SIZE], struct unlock *out, struct err *err);

#endif
