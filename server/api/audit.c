#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_admin.h"

struct audit {
	struct db_audit_filter filter;
	struct db_cursor after;
	size_t limit;
};

int audit_begin(struct request *r)
{
	struct audit *a = arena_calloc(&r->arena, 1, sizeof(*a));
	int rc;

	if (!a)
		return err_nomem(&r->err);
	r->data = a;
	a->filter.who = request_query(r, "who");
	a->filter.what = request_query(r, "what");
	a->filter.target = request_query(r, "target");
	rc = request_limit(r, &a->limit);
	return rc < 0 ? rc : request_after(r, &a->after);
}

static void write_entry(struct json_writer *w, const struct db_audit *entry)
{
	json_begin_object(w);
	json_kv_int(w, "id", entry->id);
	json_kv_time_opt(w, "at", entry->at_ms);
	json_kv_str(w, "who", entry->who);
	json_kv_str(w, "what", entry->what);
	json_kv_str_opt(w, "target", entry->target);
	json_kv_str_opt(w, "detail", entry->detail);
	json_end_object(w);
}

int audit_read(struct db_conn *conn, struct request *r)
{
	struct audit *a = r->data;
	struct db_audit *list;
	struct db_cursor next;
	size_t n;
	size_t i;
	int rc =
		db_audit_list(conn, &a->filter, &a->after, a->limit, &r->arena, &list, &n, &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "audit");
	json_key(&r->json, "entries");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++)
		write_entry(&r->json, &list[i]);
	json_end_array(&r->json);
	if (n == a->limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].id};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}
