#include "proto/join_code.h"

#include <stdbool.h>
#include <string.h>

#include "lib/base/base32.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "proto/limits.h"

#define PREFIX "EW1-"
#define GROUP 5
#define CHECKSUM 4

/* The payload, checksum included: length (2), organisation, root hash, secret, name, addresses. */
#define FIXED_PART (2 + UUID_SIZE + SHA256_SIZE + JOIN_CODE_SECRET_SIZE)
#define PAYLOAD_MIN (FIXED_PART + 1 + 1 + 1 + CHECKSUM)
#define PAYLOAD_MAX                                                                                \
	(FIXED_PART + 1 + JOIN_CODE_NAME_MAX + 1 +                                                 \
	 JOIN_CODE_ADDRESSES_MAX * (1 + JOIN_CODE_ADDRESS_MAX) + CHECKSUM)

#define MISTYPED "join code is mistyped: "
#define WHOLE "; copy all of it" /* what whoever reads the error can do */

/* Buffers here hold the secret. */
static void wipe(struct buf *b)
{
	if (b->data)
		crypto_wipe(b->data, b->cap);
	buf_deinit(b);
}

static void checksum(const void *payload, size_t n, unsigned char out[CHECKSUM])
{
	unsigned char hash[SHA256_SIZE];
	struct sha256 h;

	sha256_init(&h);
	sha256_update(&h, PREFIX, strlen(PREFIX));
	sha256_update(&h, payload, n);
	sha256_final(&h, hash);
	memcpy(out, hash, CHECKSUM);
}

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '-' || c == '_';
}

/* The characters of "host" or "[v6]"; what they name is found out when it is dialled. */
static bool is_host(const char *host, size_t n)
{
	bool v6 = n > 2 && host[0] == '[' && host[n - 1] == ']';

	for (size_t i = v6; i < n - v6; i++) {
		if (!is_host_char(host[i]) && !(v6 && host[i] == ':'))
			return false;
	}
	return n > 0;
}

static bool is_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	unsigned long long port = 0;

	return colon && is_host(text, (size_t)(colon - text)) &&
	       text_to_u64(colon + 1, strlen(colon + 1), &port) == 0 && port >= 1 && port <= 65535;
}

static int check(const struct join_code *code, struct err *err)
{
	if (!text_is_utf8(code->name, strlen(code->name)))
		return err_set(err, ERR_INVALID, "join code: name is not UTF-8");
	if (code->n_addresses < 1 || code->n_addresses > JOIN_CODE_ADDRESSES_MAX)
		return err_set(err, ERR_INVALID, "join code: 1 to %d addresses, not %zu",
			       JOIN_CODE_ADDRESSES_MAX, code->n_addresses);
	for (size_t i = 0; i < code->n_addresses; i++) {
		if (!is_address(code->addresses[i]))
			return err_set(err, ERR_INVALID, "join code: address %zu is not host:port",
				       i + 1);
	}
	return 0;
}

/* --- out ------------------------------------------------------------------------------------- */

static void add_text(struct buf *b, const char *text)
{
	size_t n = strlen(text);

	buf_add_u8(b, (uint8_t)n);
	buf_add(b, text, n);
}

static size_t payload_size(const struct join_code *code)
{
	size_t n = FIXED_PART + 1 + strlen(code->name) + 1 + CHECKSUM;

	for (size_t i = 0; i < code->n_addresses; i++)
		n += 1 + strlen(code->addresses[i]);
	return n;
}

static void add_payload(struct buf *b, const struct join_code *code)
{
	unsigned char sum[CHECKSUM];

	buf_add_u16(b, (uint16_t)payload_size(code));
	buf_add(b, code->organisation.b, UUID_SIZE);
	buf_add(b, code->root_hash, SHA256_SIZE);
	buf_add(b, code->secret, JOIN_CODE_SECRET_SIZE);
	add_text(b, code->name);
	buf_add_u8(b, (uint8_t)code->n_addresses);
	for (size_t i = 0; i < code->n_addresses; i++)
		add_text(b, code->addresses[i]);
	if (buf_rc(b) < 0)
		return;
	checksum(b->data, b->len, sum);
	buf_add(b, sum, sizeof(sum));
}

int join_code_format(const struct join_code *code, struct buf *out, struct err *err)
{
	struct buf payload;
	struct buf digits;
	int rc = check(code, err);

	if (rc < 0)
		return rc;
	buf_init(&payload, PAYLOAD_MAX);
	buf_init(&digits, LIMIT_JOIN_CODE);
	/* All the room at once: a buffer that moves leaves a copy of the secret behind. */
	if (!buf_reserve(&payload, PAYLOAD_MAX) || !buf_reserve(&digits, LIMIT_JOIN_CODE)) {
		rc = err_nomem(err);
		goto out;
	}
	add_payload(&payload, code);
	base32_encode(&digits, payload.data, payload.len);
	CHECK(buf_rc(&payload) == 0 && buf_rc(&digits) == 0);
	buf_adds(out, PREFIX);
	for (size_t i = 0; i < digits.len; i += GROUP) {
		size_t left = digits.len - i;

		if (i > 0)
			buf_addc(out, '-');
		buf_add(out, digits.data + i, left < GROUP ? left : GROUP);
	}
	rc = buf_rc(out);
	if (rc < 0)
		err_set(err, rc, "join code: %s", err_text(rc));
out:
	wipe(&digits);
	wipe(&payload);
	return rc;
}

/* --- in -------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Passes over blanks and "EW1-"; what follows is base32. */
static int skip_prefix(const char **text, size_t *n, struct err *err)
{
	const char *p = *text;
	const char *end = p + *n;
	const char *version;

	while (p < end && is_blank(*p))
		p++;
	if (p == end)
		return err_set(err, ERR_INVALID, "join code is empty");
	if (end - p < 3 || (p[0] != 'E' && p[0] != 'e') || (p[1] != 'W' && p[1] != 'w'))
		return err_set(err, ERR_INVALID, "not a join code: one begins with " PREFIX WHOLE);
	version = p + 2;
	for (p = version; p < end && *p >= '0' && *p <= '9';)
		p++;
	if (p == version || p == end || *p != '-')
		return err_set(err, ERR_INVALID, "not a join code: one begins with " PREFIX WHOLE);
	if (p - version != 1 || *version != PREFIX[2])
		return err_set(err, ERR_UNSUPPORTED,
			       "join code of another version: this one reads " PREFIX);
	*text = p + 1;
	*n = (size_t)(end - *text);
	return 0;
}

/* The digits alone, so that they can be counted. */
static void collect_digits(const char *text, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		if (!is_blank(text[i]) && text[i] != '-')
			buf_addc(out, text[i]);
	}
}

/* Compares the number of digits with the length the first of them tell. */
static int check_length(const struct buf *digits, struct err *err)
{
	struct buf decoded;
	size_t want = 0;
	int rc;

	if (digits->len < 8)
		return err_set(err, ERR_INVALID, "join code is too short" WHOLE);
	buf_init(&decoded, 5);
	rc = base32_decode(digits->data, 8, &decoded);
	if (rc == 0)
		want = (size_t)((unsigned char)decoded.data[0] << 8 |
				(unsigned char)decoded.data[1]);
	buf_deinit(&decoded);
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0)
		return err_set(err, ERR_INVALID, MISTYPED "a character no code has" WHOLE);
	if (want < PAYLOAD_MIN || want > PAYLOAD_MAX)
		return err_set(err, ERR_INVALID, MISTYPED "its beginning makes no sense" WHOLE);
	want = (want * 8 + 4) / 5;
	if (digits->len < want)
		return err_set(err, ERR_INVALID,
			       "join code is too short: %zu of %zu characters" WHOLE, digits->len,
			       want);
	if (digits->len > want)
		return err_set(err, ERR_INVALID,
			       "join code is too long: %zu characters instead of %zu", digits->len,
			       want);
	return 0;
}

static int decode(const struct buf *digits, struct buf *payload, struct err *err)
{
	unsigned char sum[CHECKSUM];
	int rc = check_length(digits, err);

	if (rc < 0)
		return rc;
	rc = base32_decode(digits->data, digits->len, payload);
	if (rc == ERR_NOMEM)
		return err_nomem(err);
	if (rc < 0)
		return err_set(err, ERR_INVALID, MISTYPED "a character no code has" WHOLE);
	checksum(payload->data, payload->len - CHECKSUM, sum);
	if (memcmp(sum, payload->data + payload->len - CHECKSUM, CHECKSUM) != 0)
		return err_set(err, ERR_INVALID, MISTYPED "checksum differs" WHOLE);
	payload->len -= CHECKSUM;
	return 0;
}

static void take(struct rd *r, void *out, size_t n)
{
	const void *from = rd_bytes(r, n);

	if (from)
		memcpy(out, from, n);
}

/* A text of at most max bytes without '\0'; out has room for max + 1 and is zeroed. */
static void take_text(struct rd *r, char *out, size_t max)
{
	size_t n = rd_u8(r);

	if (n > max)
		r->rc = ERR_INVALID;
	take(r, out, n);
	if (r->rc == 0 && strlen(out) != n)
		r->rc = ERR_INVALID;
}

/* The checksum was right, so what is wrong here was made wrong. */
static int parse_payload(const struct buf *payload, struct join_code *out, struct err *err)
{
	struct rd r;

	rd_init(&r, payload->data, payload->len);
	rd_u16(&r);
	take(&r, out->organisation.b, UUID_SIZE);
	take(&r, out->root_hash, SHA256_SIZE);
	take(&r, out->secret, JOIN_CODE_SECRET_SIZE);
	take_text(&r, out->name, JOIN_CODE_NAME_MAX);
	out->n_addresses = rd_u8(&r);
	if (out->n_addresses > JOIN_CODE_ADDRESSES_MAX)
		return err_set(err, ERR_INVALID, "join code: too many addresses");
	for (size_t i = 0; i < out->n_addresses; i++)
		take_text(&r, out->addresses[i], JOIN_CODE_ADDRESS_MAX);
	if (r.rc < 0 || r.left > 0)
		return err_set(err, ERR_INVALID, "join code: malformed payload");
	return check(out, err);
}

int join_code_parse(const char *text, size_t n, struct join_code *out, struct err *err)
{
	struct join_code code = {0};
	struct buf digits;
	struct buf payload;
	int rc;

	if (n > LIMIT_JOIN_CODE)
		return err_set(err, ERR_INVALID, "join code is too long");
	buf_init(&digits, LIMIT_JOIN_CODE);
	buf_init(&payload, LIMIT_JOIN_CODE);
	rc = skip_prefix(&text, &n, err);
	if (rc < 0)
		goto out;
	if (!buf_reserve(&digits, LIMIT_JOIN_CODE) || !buf_reserve(&payload, LIMIT_JOIN_CODE)) {
		rc = err_nomem(err);
		goto out;
	}
	collect_digits(text, n, &digits);
	rc = decode(&digits, &payload, err);
	if (rc == 0)
		rc = parse_payload(&payload, &code, err);
	if (rc == 0)
		*out = code;
out:
	crypto_wipe(&code, sizeof(code));
	wipe(&payload);
	wipe(&digits);
	return rc;
}
