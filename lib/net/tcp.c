#include "lib/net/tcp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

int tcp_new(uv_loop_t *loop, uv_tcp_t **out, struct err *err)
{
	uv_tcp_t *tcp = mem_calloc(1, sizeof(*tcp));
	int rc;

	if (!tcp)
		return err_nomem(err);
	rc = uv_tcp_init(loop, tcp); /* without a family it opens nothing and so cannot half fail */
	if (rc < 0) {
		mem_free(tcp);
		return err_set(err, rc, "new socket: %s", uv_strerror(rc));
	}
	*out = tcp;
	return 0;
}

void tcp_free_closed(uv_handle_t *handle)
{
	mem_free(handle);
}

void tcp_discard(uv_tcp_t *tcp)
{
	if (!tcp)
		return;
	tcp->data = NULL;
	uv_close((uv_handle_t *)tcp, tcp_free_closed);
}

static void name_unknown(char out[TCP_NAME_MAX])
{
	memcpy(out, "?", 2);
}

void tcp_addr_name(const struct sockaddr *addr, char out[TCP_NAME_MAX])
{
	char ip[TCP_NAME_MAX - 10] = "";
	unsigned port = 0;
	bool v6 = addr->sa_family == AF_INET6;
	int rc = UV_EAFNOSUPPORT;

	if (v6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, addr, sizeof(in6));
		rc = uv_ip6_name(&in6, ip, sizeof(ip));
		port = ntohs(in6.sin6_port);
	} else if (addr->sa_family == AF_INET) {
		struct sockaddr_in in4;

		memcpy(&in4, addr, sizeof(in4));
		rc = uv_ip4_name(&in4, ip, sizeof(ip));
		port = ntohs(in4.sin_port);
	}
	if (rc < 0)
		name_unknown(out);
	else
		snprintf(out, TCP_NAME_MAX, v6 ? "[%s]:%u" : "%s:%u", ip, port);
}

void tcp_peer_name(const uv_tcp_t *tcp, char out[TCP_NAME_MAX])
{
	struct sockaddr_storage addr;
	int n = sizeof(addr);

	if (uv_tcp_getpeername(tcp, (struct sockaddr *)&addr, &n) < 0)
		name_unknown(out);
	else
		tcp_addr_name((struct sockaddr *)&addr, out);
}

void tcp_own_name(const uv_tcp_t *tcp, char out[TCP_NAME_MAX])
{
	struct sockaddr_storage addr;
	int n = sizeof(addr);

	if (uv_tcp_getsockname(tcp, (struct sockaddr *)&addr, &n) < 0)
		name_unknown(out);
	else
		tcp_addr_name((struct sockaddr *)&addr, out);
}
