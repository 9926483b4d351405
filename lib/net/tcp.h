/*
 * TCP handles on the heap, which pass from a dialer or listener to a connection. libuv's handles
 * cannot move, so their owner changes instead: whoever holds the pointer owns it and must end it by
 * tcp_discard() or hand it on. handle->data belongs to the present owner. Loop thread.
 */
#ifndef ENVWARDEN_LIB_NET_TCP_H
#define ENVWARDEN_LIB_NET_TCP_H

#include <uv.h>

#include "lib/base/err.h"

int tcp_new(uv_loop_t *loop, uv_tcp_t **out, struct err *err);

/* Closes and frees; callbacks in flight end in UV_ECANCELED first. NULL is fine. */
void tcp_discard(uv_tcp_t *tcp);

/* For a close callback that runs on a handle from tcp_new: frees it. */
void tcp_free_closed(uv_handle_t *handle);

/* "192.0.2.1:443" or "[2001:db8::1]:443" of the other (or own) end; "?" when unknown. */
#define TCP_NAME_MAX 64
void tcp_peer_name(const uv_tcp_t *tcp, char out[TCP_NAME_MAX]);
void tcp_own_name(const uv_tcp_t *tcp, char out[TCP_NAME_MAX]);

/* Of any socket address; the same words. */
void tcp_addr_name(const struct sockaddr *addr, char out[TCP_NAME_MAX]);

#endif
