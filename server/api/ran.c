/* Who used what although it was blocked, over the fleet. */
#include <string.h>

#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_ran.h"

/* "rule old-openssl" -> its kind and its id. */
static void write_reason(struct json_writer *w, const char *text)
{
	size_t kind = strcspn(text, " ");

	json_begin_object(w);
	json_key(w, "kind");
	json_strn(w, text, kind);
	json_kv_str(w, "rule", text[kind] ? text + kind + 1 : "");
	json_end_object(w);
}

static void write_ran(struct json_writer *w, const struct db_ran *ran)
{
	json_begin_object(w);
	document_id(w, "environment", &ran->environment);
	json_kv_str_opt(w, "prefix", ran->prefix);
	document_id(w, "machine", &ran->machine);
	json_kv_str(w, "hostname", ran->hostname);
	json_kv_str_opt(w, "user", ran->user);
	json_kv_int(w, "uid", ran->uid);
	json_kv_str_opt(w, "case", ran->case_code);
	json_key(w, "reasons");
	json_begin_array(w);
	for (size_t i = 0; i < ran->n_reasons; i++)
		write_reason(w, ran->reasons[i]);
	json_end_array(w);
	json_kv_time_opt(w, "first", ran->first_ms);
	json_kv_time_opt(w, "last", ran->last_ms);
	json_kv_int(w, "programs", ran->programs);
	json_kv_int(w, "shells", ran->shells);
	json_kv_int(w, "repairs", ran->repairs);
	json_end_object(w);
}

static int take_filter(struct request *r, struct db_ran_filter *f)
{
	const char *machine = request_query(r, "machine");
	struct uuid *id = arena_alloc(&r->arena, sizeof(*id));
	int rc = request_query_id(r, "environment", &f->environment);

	if (!id)
		return err_nomem(&r->err);
	if (machine && uuid_parse(machine, id) == 0)
		f->machine = id;
	else
		f->hostname = machine;
	f->rule = request_query(r, "rule");
	f->user = request_query(r, "user");
	return rc < 0 ? rc : request_query_time(r, "since", &f->since_ms);
}

int ran_list_read(struct db_conn *conn, struct request *r)
{
	struct db_ran_filter filter = {.since_ms = 0};
	struct db_cursor after, next;
	struct db_ran *list;
	size_t limit, n;
	int rc = request_limit(r, &limit);

	if (rc == 0)
		rc = take_filter(r, &filter);
	if (rc == 0)
		rc = request_after(r, &after);
	if (rc == 0)
		rc = db_ran_list(conn, &filter, &after, limit, &r->arena, &list, &n, &r->err);
	if (rc != 0)
		return rc;
	request_open(r, "ran_after_block");
	json_key(&r->json, "runs");
	json_begin_array(&r->json);
	for (size_t i = 0; i < n; i++)
		write_ran(&r->json, &list[i]);
	json_end_array(&r->json);
	if (n == limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].row};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}
