/*
 * What the reader need not read again: it is lent the marks of the files that an environment's
 * packages were read from (agent/prefix/marks.h), tells the stamps of those it found unchanged, and
 * their packages are taken from the store.
 *
 * The stamps are looked up when the facts are applied, on the store's thread, among the packages as
 * they are then: whatever was stored in between, a stamp that is still there stands for the same
 * file. One that is not makes the facts void, and the reader is asked for all of it.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/engine.h"
#include "agent/prefix/marks.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

#define KNOWN_MEMORY_MAX (96u << 20)

/* --- lending marks --- */

struct lending {
	struct job job;
	uint64_t id;
	struct uuid environment;
	unsigned char *pairs;
	size_t n;
};

static void send_known(struct engine *e, uint64_t id, const struct lending *known)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Known message = ENVWARDEN__READER__KNOWN__INIT;

	message.id = id;
	if (known != NULL && known->n > 0) {
		message.basis = wire_uuid(&known->environment);
		message.marks = wire_bytes(known->pairs, known->n * MARKS_PAIR);
	}
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_KNOWN;
	envelope.known = &message;
	if (e->link != NULL && link_send(e->link, &envelope) < 0)
		link_stop(e->link);
}

static void lend_run(struct job *job)
{
	struct lending *l = container_of(job, struct lending, job);
	struct package_list packages = {0};
	struct arena arena;

	arena_init(&arena, KNOWN_MEMORY_MAX);
	job->rc = store_packages(job->e->store, &l->environment, &arena, &packages, &job->err);
	if (job->rc == 0)
		l->pairs = mem_calloc(packages.n + 1, MARKS_PAIR);
	for (size_t i = 0; l->pairs != NULL && i < packages.n; i++)
		if (packages.items[i].stamp != 0)
			marks_put(l->pairs + l->n++ * MARKS_PAIR, packages.items[i].stamp,
				  packages.items[i].claim);
	marks_sort(l->pairs, l->n);
	package_list_deinit(&packages);
	arena_deinit(&arena);
}

static void lend_done(struct job *job)
{
	struct lending *l = container_of(job, struct lending, job);

	send_known(job->e, l->id, job->rc == 0 ? l : NULL);
	mem_free(l->pairs);
	mem_free(l);
}

int known_recall(struct engine *e, const Envwarden__Reader__Recall *recall)
{
	const struct env *env = envs_by_path(&e->envs, recall->prefix);
	struct lending *l = NULL;

	if (env != NULL && env->lives && env->package_count > 0 && !env->unmarked)
		l = mem_calloc(1, sizeof *l);
	if (l == NULL) {
		send_known(e, recall->id, NULL);
		return 0;
	}
	l->id = recall->id;
	l->environment = env->id;
	l->job.run = lend_run;
	l->job.done = lend_done;
	engine_submit(e, &l->job);
	return 0;
}

/* --- taking kept packages from the store --- */

static int cmp_stamps(const void *a, const void *b)
{
	const struct package *x = a;
	const struct package *y = b;

	return (x->stamp > y->stamp) - (x->stamp < y->stamp);
}

static int add_kept(const struct kept_packages *kept, const struct package_list *before,
		    struct package_list *into, struct err *err)
{
	struct rd stamps;

	rd_init(&stamps, kept->stamps, kept->n * 8);
	for (size_t i = 0; i < kept->n; i++) {
		struct package key = {.stamp = rd_u64(&stamps)};
		const struct package *found = NULL;

		if (before->n > 0 && key.stamp != 0)
			found = bsearch(&key, before->items, before->n, sizeof key, cmp_stamps);
		if (found == NULL)
			return err_set(err, ERR_NOTFOUND,
				       "a package that was kept is not in the store");
		if (package_list_add(into, found) < 0)
			return err_nomem(err);
	}
	return 0;
}

int known_merge(struct store *store, struct intake *in, struct err *err)
{
	struct package_list before = {0};
	int rc = store_packages(store, &in->kept.basis, &in->arena, &before, err);

	if (rc < 0)
		return rc;
	if (before.n > 1)
		qsort(before.items, before.n, sizeof *before.items, cmp_stamps);
	rc = add_kept(&in->kept, &before, &in->snapshot.packages, err);
	package_list_deinit(&before);
	return rc;
}
