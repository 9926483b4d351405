#include <string.h>

#include "server/api/documents.h"
#include "server/api/request.h"
#include "server/api/resources.h"
#include "server/db/db_env.h"
#include "server/db/db_machine.h"

struct environments {
	struct db_env_filter filter;
	enum db_env_order order;
	struct db_cursor after;
	size_t limit;
	const char *hostname; /* machine given by name; NULL else */
};

struct word {
	const char *text;
	int value;
};
static const struct word shown_words[] = {
	{"live", DB_ENVS_LIVE},
	{"deleted", DB_ENVS_DELETED},
	{"archived", DB_ENVS_ARCHIVED},
	{"all", DB_ENVS_ALL},
};
static const struct word order_words[] = {
	{"name", DB_ENVS_BY_NAME},
	{"change", DB_ENVS_BY_CHANGE},
};

static int take_word(struct request *r, const char *name, const struct word *words, size_t n,
		     int *out)
{
	const char *text = request_query(r, name);
	size_t i;

	*out = words[0].value;
	if (!text)
		return 0;
	for (i = 0; i < n; i++) {
		if (strcmp(words[i].text, text) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return err_set(&r->err, ERR_INVALID, "%s: unknown word \"%s\"", name, text);
}

/* A machine is named by its id or by its host name. */
static int take_machine(struct request *r, const struct uuid **id, const char **hostname)
{
	const char *text = request_query(r, "machine");
	struct uuid *parsed;

	if (!text)
		return 0;
	parsed = arena_alloc(&r->arena, sizeof(*parsed));
	if (!parsed)
		return err_nomem(&r->err);
	if (uuid_parse(text, parsed) == 0)
		*id = parsed;
	else
		*hostname = text;
	return 0;
}

static int take_filter(struct request *r, struct environments *e)
{
	const char *status = request_query(r, "status");
	int shown = 0;
	int order = 0;
	int rc = take_word(r, "shown", shown_words, ARRAY_SIZE(shown_words), &shown);

	if (rc == 0)
		rc = take_word(r, "order", order_words, ARRAY_SIZE(order_words), &order);
	if (rc == 0)
		rc = take_machine(r, &e->filter.machine, &e->hostname);
	if (rc < 0)
		return rc;
	e->order = (enum db_env_order)order;
	e->filter.shown = (enum db_env_shown)shown;
	e->filter.text = request_query(r, "q");
	e->filter.user = request_query(r, "user");
	e->filter.platform = request_query(r, "platform");
	e->filter.package = request_query(r, "package");
	e->filter.version = request_query(r, "version");
	e->filter.now_ms = r->now_ms;
	e->filter.has_status = status != NULL;
	if (status && action_parse_status(status, &e->filter.status) < 0)
		return err_set(&r->err, ERR_INVALID, "status: neither ok, warn nor block");
	if (e->filter.version && !e->filter.package)
		return err_set(&r->err, ERR_INVALID, "version: of which package?");
	return 0;
}

int environments_begin(struct request *r)
{
	struct environments *e = arena_calloc(&r->arena, 1, sizeof(*e));
	int rc;

	if (!e)
		return err_nomem(&r->err);
	r->data = e;
	rc = take_filter(r, e);
	if (rc == 0)
		rc = request_limit(r, &e->limit);
	return rc < 0 ? rc : request_after(r, &e->after);
}

/* The one machine of a host name. *found is false when there is none. */
static int machine_called(struct db_conn *conn, struct request *r, const char *hostname,
			  struct uuid *out, bool *found)
{
	struct db_machine_filter filter = {.text = hostname};
	struct db_cursor after = {0};
	struct db_machine *list;
	size_t n;
	size_t i;
	int rc;

	*found = false;
	do {
		rc = db_machine_list(conn, &filter, &after, DB_PAGE_MAX, &r->arena, &list, &n,
				     &r->err);
		if (rc < 0)
			return rc;
		for (i = 0; i < n; i++) {
			if (strcmp(list[i].hostname, hostname) != 0)
				continue;
			if (*found)
				return request_refuse(r, 409, ERR_CONFLICT,
						      "machine: several are called \"%s\"; give an "
						      "id (GET /machines)",
						      hostname);
			*found = true;
			*out = list[i].id;
		}
		if (n > 0)
			after = (struct db_cursor){.set = true, .id = list[n - 1].row};
	} while (n == DB_PAGE_MAX);
	return 0;
}

int environment_write(struct db_conn *conn, struct request *r, const struct db_env *env)
{
	struct db_decision decision;
	int rc = db_decision_get(conn, &env->machine, &env->id, &r->arena, &decision, NULL);

	if (rc < 0 && rc != ERR_NOTFOUND)
		return err_set(&r->err, rc, "decision: %s", err_text(rc));
	document_environment(&r->json, env, rc == 0 ? &decision : NULL,
			     request_connected(r, &env->machine));
	return 0;
}

static struct db_cursor place_of(const struct db_env *env, enum db_env_order order)
{
	if (order == DB_ENVS_BY_NAME)
		return (struct db_cursor){.set = true, .text = env->name, .id = env->row};
	return (struct db_cursor){.set = true, .num = env->last_change_ms, .id = env->row};
}

static int answer_page(struct db_conn *conn, struct request *r, struct environments *e)
{
	struct db_cursor next;
	struct db_env *list;
	size_t n;
	size_t i;
	int rc = db_env_list(conn, &e->filter, e->order, &e->after, e->limit, &r->arena, &list, &n,
			     &r->err);

	if (rc < 0)
		return rc;
	request_open(r, "list");
	json_key(&r->json, "environments");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++) {
		rc = environment_write(conn, r, &list[i]);
		if (rc < 0)
			return rc;
	}
	json_end_array(&r->json);
	if (n == e->limit) {
		next = place_of(&list[n - 1], e->order);
		request_next(r, &next);
	}
	request_close(r);
	return 0;
}

static void answer_none(struct request *r)
{
	request_open(r, "list");
	json_key(&r->json, "environments");
	json_begin_array(&r->json);
	json_end_array(&r->json);
	request_close(r);
}

int environments_read(struct db_conn *conn, struct request *r)
{
	struct environments *e = r->data;
	struct uuid machine;
	bool found;
	int rc;

	if (e->hostname) {
		rc = machine_called(conn, r, e->hostname, &machine, &found);
		if (rc < 0)
			return rc;
		if (!found) {
			answer_none(r);
			return 0;
		}
		e->filter.machine = &machine;
	}
	return answer_page(conn, r, e);
}

/* --- one of them --- */

int environment_begin(struct request *r)
{
	const struct uuid *machine;
	int rc = request_query_id(r, "machine", &machine);

	r->data = (void *)machine;
	return rc;
}

static int environment_get(struct db_conn *conn, struct request *r, struct db_env *env)
{
	int rc = db_env_get(conn, &r->id, r->data, r->now_ms, &r->arena, env, &r->err);

	if (rc == ERR_NOTFOUND)
		return request_refuse(r, 404, rc, "no such environment");
	return rc;
}

int environment_read(struct db_conn *conn, struct request *r)
{
	struct db_env env;
	int rc = environment_get(conn, r, &env);

	if (rc < 0)
		return rc;
	request_open(r, "environment");
	json_key(&r->json, "environment");
	rc = environment_write(conn, r, &env);
	if (rc < 0)
		return rc;
	request_close(r);
	return 0;
}

int environment_packages_read(struct db_conn *conn, struct request *r)
{
	struct db_package *list = NULL;
	struct db_env env;
	size_t n = 0;
	size_t i;
	int rc = environment_get(conn, r, &env);

	if (rc == 0)
		rc = db_env_packages(conn, env.row, &r->arena, &list, &n, &r->err);
	if (rc < 0)
		return rc;
	request_open(r, "packages");
	json_key(&r->json, "packages");
	json_begin_array(&r->json);
	for (i = 0; i < n; i++)
		document_package(&r->json, &list[i].package, true);
	json_end_array(&r->json);
	request_close(r);
	return 0;
}
