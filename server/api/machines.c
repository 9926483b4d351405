#include <string.h>

#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_machine.h"

struct machines {
	struct db_machine_filter filter;
	struct db_cursor after;
	size_t limit;
};

static int take_state(struct request *r, struct db_machine_filter *filter)
{
	static const enum db_machine_state states[] = {DB_MACHINE_ACTIVE, DB_MACHINE_RETIRED,
						       DB_MACHINE_REVOKED};
	const char *text = request_query(r, "state");
	size_t i;

	if (!text)
		return 0;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcmp(db_machine_state_name(states[i]), text) == 0) {
			filter->has_state = true;
			filter->state = states[i];
			return 0;
		}
	}
	return err_set(&r->err, ERR_INVALID, "state: neither active, retired nor revoked");
}

int machines_begin(struct request *r)
{
	struct machines *m = arena_calloc(&r->arena, 1, sizeof(*m));
	int rc;

	if (!m)
		return err_nomem(&r->err);
	r->data = m;
	m->filter.text = request_query(r, "q");
	m->filter.platform = request_query(r, "platform");
	m->filter.label = request_query(r, "label");
	rc = take_state(r, &m->filter);
	if (rc == 0)
		rc = request_limit(r, &m->limit);
	return rc < 0 ? rc : request_after(r, &m->after);
}

int machines_read(struct db_conn *conn, struct request *r)
{
	struct machines *m = r->data;
	struct db_machine *list;
	struct db_cursor next;
	size_t n;
	size_t i;
	int rc = db_machine_list(conn, &m->filter, &m->after, m->limit, &r->arena, &list, &n,
				 &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "machines");
	json_key(&r->json, "machines");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++)
		document_machine(&r->json, &list[i], request_connected(r, &list[i].id));
	json_end_array(&r->json);
	if (n == m->limit) {
		next = (struct db_cursor){.set = true, .id = list[n - 1].row};
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}
