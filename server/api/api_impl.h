/* What the API's loop (api.c) and its exchanges (exchange.c) share. The loop's thread only. */
#ifndef ENVWARDEN_SERVER_API_API_IMPL_H
#define ENVWARDEN_SERVER_API_API_IMPL_H

#include <stdbool.h>
#include <stddef.h>

#include <microhttpd.h>
#include <uv.h>

#include "proto/join_code.h"
#include "server/api/api.h"
#include "server/api/login_rate.h"

#define API_COMPUTING_MAX 2 /* passwords checked at a time: each takes 19 MiB */
#define API_WAITING_MAX 32  /* for that; more are told to come again */

struct db_port;
struct exchange;

struct api {
	struct api_config config; /* address, certificate and key are of the start only */
	char address_texts[JOIN_CODE_ADDRESSES_MAX][JOIN_CODE_ADDRESS_MAX + 1];
	const char *addresses[JOIN_CODE_ADDRESSES_MAX];
	struct MHD_Daemon *daemon;
	struct db_port *port;
	MHD_socket quiet; /* the listening socket, ours again once stopping */

	uv_loop_t loop;
	uv_thread_t thread;
	uv_poll_t poll; /* libmicrohttpd's epoll descriptor */
	uv_timer_t timer;
	uv_prepare_t prepare;
	uv_async_t stop;
	bool resumed; /* connections were resumed since libmicrohttpd ran */
	bool stopping;
	bool closing;

	size_t large;	  /* exchanges with a large body */
	size_t working;	  /* exchanges whose answer is being made */
	size_t computing; /* of them on the thread pool, */
	size_t n_waiting; /* and waiting for it */
	struct exchange *waiting;
	struct exchange **waiting_end;
	struct login_rate login_rate;
};

/* An exchange has been answered: the last one ends a stopping API. */
void api_worked(struct api *api);

#endif
