#include "agent/cli/answer.h"

static int add(struct package_list *list, Envwarden__Package *const *items, size_t n,
	       struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct package package;

		rc = package_from_wire(items[i], &package, err);
		if (rc == 0 && package_list_add(list, &package) < 0)
			rc = err_nomem(err);
	}
	return rc;
}

static int take(struct answer *a, const Envwarden__Local__Envelope *m, struct err *err)
{
	int rc;

	switch (m->kind_case) {
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_ENVIRONMENT:
		if (!m->environment->environment)
			return 0;
		rc = environment_from_wire(m->environment->environment, &a->environment, err);
		a->has_environment = rc == 0;
		return rc;
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES:
		return add(&a->packages, m->packages->packages, m->packages->n_packages, err);
	case ENVWARDEN__LOCAL__ENVELOPE__KIND_DIFF_ITEM:
		rc = add(&a->added, m->diff_item->added, m->diff_item->n_added, err);
		if (rc == 0)
			rc = add(&a->removed, m->diff_item->removed, m->diff_item->n_removed, err);
		return rc;
	default:
		return 0; /* of a newer version */
	}
}

int answer_collect(struct client *client, const char *socket, Envwarden__Local__Envelope *request,
		   struct arena *arena, struct answer *out, struct err *err)
{
	int rc = client_connect(client, socket, err);

	if (rc == 0)
		rc = client_send(client, request, client_deadline(CLIENT_ANSWER_MS), err);
	while (rc == 0) {
		Envwarden__Local__Envelope *m;

		rc = client_recv(client, client_deadline(CLIENT_ANSWER_MS), arena, &m, err);
		if (rc == 0 && m->kind_case == ENVWARDEN__LOCAL__ENVELOPE__KIND_END)
			break;
		if (rc == 0)
			rc = take(out, m, err);
	}
	if (rc == 0 && !out->has_environment)
		rc = err_set(err, ERR_PROTOCOL, "the agent's answer lacks the environment");
	client_close(client);
	return rc;
}

void answer_deinit(struct answer *a)
{
	package_list_deinit(&a->packages);
	package_list_deinit(&a->added);
	package_list_deinit(&a->removed);
}
