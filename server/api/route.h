/*
 * Every endpoint of the API: one constant table, with who may use it and what it takes.
 * openapi.yaml describes the same table to the world; a test compares the two.
 */
#ifndef ENVWARDEN_SERVER_API_ROUTE_H
#define ENVWARDEN_SERVER_API_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/uuid.h"

#define ROUTE_BASE "/api/v1"
#define ROUTE_METHODS_MAX 64 /* bytes of an Allow header's value */

struct db_conn;
struct request;

enum route_access {
	ROUTE_VIEWER,
	ROUTE_OPERATOR,
	ROUTE_ADMIN,
	ROUTE_OPEN, /* without a token */
};

struct route {
	const char *method;
	const char *path; /* below ROUTE_BASE; "{id}" stands for one id */
	enum route_access access;
	const char *const *query; /* parameters it knows, NULL-ended; NULL = none */
	bool body;		  /* takes a JSON object */
	bool large;		  /* of up to API_LARGE_MAX bytes */
	bool notify;		  /* machines must hear of what it writes */
	unsigned status;	  /* of the answer */
	/* The steps; NULL = none. 0, or ERR_* with the request's err set. A read that answers 1 is
	 * called again, after others had their turn. */
	int (*begin)(struct request *r);
	int (*read)(struct db_conn *conn, struct request *r);
	int (*compute)(struct request *r);
	int (*write)(struct db_conn *conn, struct request *r);
};

extern const struct route routes[];
extern const size_t routes_n;

enum route_match {
	ROUTE_FOUND,
	ROUTE_NO_PATH,
	ROUTE_NO_METHOD,
};

/*
 * HEAD finds what GET does. *id is set for paths with one. With ROUTE_NO_METHOD, `allow` lists the
 * methods the path has.
 */
enum route_match route_find(const char *method, const char *path, const struct route **out,
			    struct uuid *id, char allow[ROUTE_METHODS_MAX]);

bool route_knows_query(const struct route *route, const char *name);

#endif
