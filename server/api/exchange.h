/*
 * One HTTP request and its answer: receives the body, finds the route, runs its steps (request.h)
 * with the connection suspended, and answers. The one file but api.c that knows libmicrohttpd.
 */
#ifndef ENVWARDEN_SERVER_API_EXCHANGE_H
#define ENVWARDEN_SERVER_API_EXCHANGE_H

#include <microhttpd.h>

/* Callbacks of libmicrohttpd; cls is the struct api, *state the exchange. */
enum MHD_Result exchange_handle(void *cls, struct MHD_Connection *connection, const char *url,
				const char *method, const char *version, const char *upload,
				size_t *upload_n, void **state);
void exchange_completed(void *cls, struct MHD_Connection *connection, void **state,
			enum MHD_RequestTerminationCode code);

#endif
