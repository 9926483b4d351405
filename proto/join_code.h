/*
 * Join codes: what enrols a machine, made by the server, carried by people or by a file.
 *
 * Text: "EW1-" and the payload in base32 (lib/base/base32.h), in groups of five with '-' between.
 * Case does not matter, and '-', blanks and line ends may stand anywhere after the prefix. A
 * checksum tells mistyping from other causes. Any thread.
 */
#ifndef ENVWARDEN_PROTO_JOIN_CODE_H
#define ENVWARDEN_PROTO_JOIN_CODE_H

#include <stddef.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/err.h"
#include "lib/base/uuid.h"

#define JOIN_CODE_NAME_MAX 128
#define JOIN_CODE_ADDRESS_MAX 255
#define JOIN_CODE_ADDRESSES_MAX 4
#define JOIN_CODE_SECRET_SIZE 16

struct join_code {
	struct uuid organisation;
	char name[JOIN_CODE_NAME_MAX + 1]; /* of the organisation, UTF-8; shown before joining */
	char addresses[JOIN_CODE_ADDRESSES_MAX][JOIN_CODE_ADDRESS_MAX + 1]; /* host:port */
	size_t n_addresses;						    /* 1 to 4 */
	unsigned char root_hash[SHA256_SIZE]; /* of the root certificate's SPKI */
	unsigned char secret[JOIN_CODE_SECRET_SIZE];
};

/*
 * Appends the text. ERR_INVALID if an address is not host:port ("[::1]:8443" for IPv6), the name is
 * not UTF-8 or there is no address.
 */
int join_code_format(const struct join_code *code, struct buf *out, struct err *err);

/*
 * ERR_INVALID with the cause in words a person can act on: empty, no join code, too short, too
 * long, mistyped; ERR_UNSUPPORTED for another version's code. The secret of *out is the caller's to
 * wipe.
 */
int join_code_parse(const char *text, size_t n, struct join_code *out, struct err *err);

#endif
