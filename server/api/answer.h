/* Answers as libmicrohttpd sends them: documents, problems, and the headers of both. */
#ifndef ENVWARDEN_SERVER_API_ANSWER_H
#define ENVWARDEN_SERVER_API_ANSWER_H

#include <microhttpd.h>

struct request;

struct answer_extra {
	const char *allow;	   /* for a method the path does not have */
	const char *if_none_match; /* what the client holds; NULL = nothing */
};

/*
 * rc: how the request's steps ended. Takes what is in the request's `out`. NULL when memory ran
 * out.
 */
struct MHD_Response *answer_make(struct request *r, int rc, const struct answer_extra *extra,
				 unsigned *status);

#endif
