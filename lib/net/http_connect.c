#include "lib/net/http_connect.h"

#include <string.h>

/* Only for the proxy's credentials, so it lives here. */
static void add_base64(struct buf *out, const char *text, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < n; i += 3) {
		unsigned long bits = (unsigned long)p[i] << 16;

		if (i + 1 < n)
			bits |= (unsigned long)p[i + 1] << 8;
		if (i + 2 < n)
			bits |= p[i + 2];
		buf_addc(out, digits[bits >> 18 & 63]);
		buf_addc(out, digits[bits >> 12 & 63]);
		buf_addc(out, i + 1 < n ? digits[bits >> 6 & 63] : '=');
		buf_addc(out, i + 2 < n ? digits[bits & 63] : '=');
	}
}

int http_connect_request(const struct address *to, const char *credentials, struct buf *out,
			 struct err *err)
{
	char target[ADDRESS_TEXT_MAX];

	for (const char *c = credentials; c && *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, ERR_INVALID,
				       "proxy credentials have a control character");
	}
	address_format(to, target);
	buf_addf(out, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
	if (credentials) {
		buf_adds(out, "Proxy-Authorization: Basic ");
		add_base64(out, credentials, strlen(credentials));
		buf_adds(out, "\r\n");
	}
	buf_adds(out, "\r\n");
	return buf_rc(out) < 0
		       ? err_set(err, buf_rc(out), "proxy request: %s", err_text(buf_rc(out)))
		       : 0;
}

/* Bytes up to and with the empty line; 0 = not there yet. */
static size_t head_size(const char *p, size_t n)
{
	for (size_t i = 0; i + 4 <= n; i++) {
		if (memcmp(p + i, "\r\n\r\n", 4) == 0)
			return i + 4;
	}
	return 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "HTTP/1.x NNN" -> NNN, or -1 */
static int status_of(const char *p, size_t n)
{
	if (n < 12 || memcmp(p, "HTTP/1.", 7) != 0 || !is_digit(p[7]) || p[8] != ' ' ||
	    !is_digit(p[9]) || !is_digit(p[10]) || !is_digit(p[11]))
		return -1;
	return (p[9] - '0') * 100 + (p[10] - '0') * 10 + (p[11] - '0');
}

int http_connect_parse(const void *data, size_t n, bool *done, struct err *err)
{
	const char *p = data;
	size_t head = head_size(p, n);
	int status = status_of(p, n);

	if (n >= 12 && status < 0)
		return err_set(err, ERR_PROTOCOL, "the proxy does not speak HTTP");
	if (head == 0) {
		if (n >= HTTP_CONNECT_HEAD_MAX)
			return err_set(err, ERR_LIMIT, "the proxy's answer is too long");
		*done = false;
		return 0;
	}
	if (status < 0)
		return err_set(err, ERR_PROTOCOL, "the proxy does not speak HTTP");
	if (status == 407)
		return err_set(err, ERR_PERM, "the proxy wants other credentials");
	if (status < 200 || status > 299)
		return err_set(err, ERR_UNREACHABLE, "the proxy refused: HTTP status %d", status);
	if (head != n)
		return err_set(err, ERR_PROTOCOL, "bytes before the tunnel began");
	*done = true;
	return 0;
}
