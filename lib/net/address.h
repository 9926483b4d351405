/* "host:port", "[v6]:port", "host", "v6": where a server listens or is dialled. Pure. */
#ifndef ENVWARDEN_LIB_NET_ADDRESS_H
#define ENVWARDEN_LIB_NET_ADDRESS_H

#include <stdint.h>

#include "lib/base/err.h"

#define ADDRESS_HOST_MAX 256			/* with the '\0' */
#define ADDRESS_TEXT_MAX (ADDRESS_HOST_MAX + 8) /* "[host]:65535" */

struct address {
	char host[ADDRESS_HOST_MAX]; /* a name or an IP address, without brackets */
	uint16_t port;
};

/*
 * Host characters are letters, digits and ".-_:%"; never empty. Without a port default_port is
 * taken; port 0 is accepted only as default_port or written out. ERR_INVALID with the reason.
 */
int address_parse(const char *text, uint16_t default_port, struct address *out, struct err *err);
void address_format(const struct address *address, char out[ADDRESS_TEXT_MAX]);

#endif
