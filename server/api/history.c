#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_env.h"
#include "server/db/db_journal.h"

struct history {
	struct db_history_filter filter;
	struct db_cursor after;
	size_t limit;
};

int history_begin(struct request *r)
{
	struct history *h = arena_calloc(&r->arena, 1, sizeof(*h));
	int rc;

	if (!h)
		return err_nomem(&r->err);
	r->data = h;
	rc = request_query_id(r, "environment", &h->filter.environment);
	if (rc == 0)
		rc = request_query_id(r, "machine", &h->filter.machine);
	if (rc == 0)
		rc = request_query_time(r, "since", &h->filter.since_ms);
	if (rc == 0)
		rc = request_query_time(r, "until", &h->filter.until_ms);
	if (rc == 0)
		rc = request_limit(r, &h->limit);
	return rc < 0 ? rc : request_after(r, &h->after);
}

int history_read(struct db_conn *conn, struct request *r)
{
	struct history *h = r->data;
	struct db_change *list;
	struct db_cursor next;
	size_t n;
	size_t i;
	int rc = db_history(conn, &h->filter, &h->after, h->limit, &r->arena, &list, &n, &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "history");
	json_key(&r->json, "changes");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++)
		document_change(&r->json, &list[i]);
	json_end_array(&r->json);
	if (n == h->limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].id};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}

int environment_history_read(struct db_conn *conn, struct request *r)
{
	struct history *h = r->data;
	struct db_env env;
	int rc = db_env_get(conn, &r->id, NULL, r->now_ms, &r->arena, &env, &r->err);

	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc, "no such environment");
	if (rc < 0)
		return rc;
	h->filter.environment = &r->id;
	return history_read(conn, r);
}
