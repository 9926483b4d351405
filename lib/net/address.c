#include "lib/net/address.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr(".-_:%", c));
}

static int bad(struct err *err, const char *why)
{
	return err_set(err, ERR_INVALID, "address: %s", why);
}

/* Finds host and port texts; port NULL = none. */
static int split(const char *text, const char **host, size_t *host_n, const char **port,
		 struct err *err)
{
	const char *colon = strchr(text, ':');

	*host = text;
	*host_n = strlen(text);
	*port = NULL;
	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (!end || (end[1] != '\0' && end[1] != ':'))
			return bad(err, "no \"]\" after the IPv6 address");
		*host = text + 1;
		*host_n = (size_t)(end - text) - 1;
		if (end[1] == ':')
			*port = end + 2;
	} else if (colon && !strchr(colon + 1, ':')) { /* two colons: a bare IPv6 address */
		*host_n = (size_t)(colon - text);
		*port = colon + 1;
	}
	return 0;
}

int address_parse(const char *text, uint16_t default_port, struct address *out, struct err *err)
{
	const char *host, *port_text;
	unsigned long long port = default_port;
	size_t n;
	int rc = split(text, &host, &n, &port_text, err);

	if (rc < 0)
		return rc;
	if (n == 0)
		return bad(err, "no host");
	if (n >= ADDRESS_HOST_MAX)
		return bad(err, "host name is too long");
	for (size_t i = 0; i < n; i++) {
		if (!is_host_char(host[i]))
			return bad(err, "a character that no host name has");
	}
	if (port_text && (text_to_u64(port_text, strlen(port_text), &port) < 0 || port > 65535))
		return bad(err, "port is not a number up to 65535");
	memcpy(out->host, host, n);
	out->host[n] = '\0';
	out->port = (uint16_t)port;
	return 0;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX])
{
	bool v6 = strchr(address->host, ':') != NULL;

	snprintf(out, ADDRESS_TEXT_MAX, "%s%s%s:%u", v6 ? "[" : "", address->host, v6 ? "]" : "",
		 (unsigned)address->port);
}
