#include "agent/store/net.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

static int cmp_ref(const void *a, const void *b)
{
	return memcmp(((const struct package_ref *)a)->key, ((const struct package_ref *)b)->key,
		      PACKAGE_KEY_SIZE);
}

/* The references of a change, sorted, each once. */
static int take(const struct ref_list *list, struct ref_vec *out)
{
	size_t n = 0;

	*out = (struct ref_vec){.cap = list->n + 1};
	out->items = mem_calloc(out->cap, sizeof(*out->items));
	if (!out->items)
		return ERR_NOMEM;
	for (size_t i = 0; i < list->n; i++)
		out->items[i] = ref_at(list, i);
	if (list->n > 1)
		qsort(out->items, list->n, sizeof(*out->items), cmp_ref);
	for (size_t i = 0; i < list->n; i++) {
		if (n == 0 || cmp_ref(&out->items[n - 1], &out->items[i]) != 0)
			out->items[n++] = out->items[i];
	}
	out->n = n;
	return 0;
}

/* a without what is in both is left in *a, b without it in *b. */
static void cancel(struct ref_vec *a, struct ref_vec *b)
{
	size_t na = 0;
	size_t nb = 0;
	size_t i = 0;
	size_t j = 0;

	while (i < a->n || j < b->n) {
		int c = i == a->n ? 1 : j == b->n ? -1 : cmp_ref(&a->items[i], &b->items[j]);

		if (c < 0) {
			a->items[na++] = a->items[i++];
		} else if (c > 0) {
			b->items[nb++] = b->items[j++];
		} else {
			i++;
			j++;
		}
	}
	a->n = na;
	b->n = nb;
}

/* Both, each once; those of b where both have it. */
static int unite(const struct ref_vec *a, const struct ref_vec *b, struct ref_vec *out)
{
	size_t i = 0;
	size_t j = 0;

	*out = (struct ref_vec){.cap = a->n + b->n + 1};
	out->items = mem_calloc(out->cap, sizeof(*out->items));
	if (!out->items)
		return ERR_NOMEM;
	while (i < a->n || j < b->n) {
		int c = i == a->n ? 1 : j == b->n ? -1 : cmp_ref(&a->items[i], &b->items[j]);

		if (c < 0) {
			out->items[out->n++] = a->items[i++];
		} else {
			out->items[out->n++] = b->items[j++];
			i += c == 0;
		}
	}
	return 0;
}

static int copy(const struct ref_vec *from, struct ref_vec *to)
{
	return unite(from, &(struct ref_vec){0}, to);
}

int net_add(struct net *net, const struct ref_list *added, const struct ref_list *removed)
{
	struct ref_vec plus = {0};
	struct ref_vec minus = {0};
	struct ref_vec had = {0}; /* net->added without what this change takes out again */
	struct ref_vec lacked = {0};
	struct net next = {0};
	int rc = take(added, &plus);

	if (rc == 0)
		rc = take(removed, &minus);
	if (rc == 0)
		rc = copy(&net->added, &had);
	if (rc == 0)
		rc = copy(&net->removed, &lacked);
	if (rc == 0) {
		cancel(&had, &minus);
		cancel(&lacked, &plus);
		rc = unite(&had, &plus, &next.added);
	}
	if (rc == 0)
		rc = unite(&lacked, &minus, &next.removed);
	if (rc == 0) {
		net_deinit(net);
		*net = next;
		next = (struct net){0};
	}
	net_deinit(&next);
	mem_free(plus.items);
	mem_free(minus.items);
	mem_free(had.items);
	mem_free(lacked.items);
	return rc;
}

void net_deinit(struct net *net)
{
	mem_free(net->added.items);
	mem_free(net->removed.items);
	*net = (struct net){0};
}

/* --- spelled out -------------------------------------------------------------------------- */

void net_cancel(struct package_list *added, struct package_list *removed)
{
	size_t na = 0;
	size_t nr = 0;
	size_t i = 0;
	size_t j = 0;

	while (i < added->n || j < removed->n) {
		int c = i == added->n	  ? 1
			: j == removed->n ? -1
					  : package_cmp(&added->items[i], &removed->items[j]);

		if (c < 0) {
			added->items[na++] = added->items[i++];
		} else if (c > 0) {
			removed->items[nr++] = removed->items[j++];
		} else {
			i++;
			j++;
		}
	}
	added->n = na;
	removed->n = nr;
}

int net_undo(const struct package_list *now, const struct package_list *added,
	     const struct package_list *removed, struct package_list *out)
{
	struct package_list list = {0};
	size_t j = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < now->n; i++) {
		while (j < added->n && package_cmp(&added->items[j], &now->items[i]) < 0)
			j++;
		if (j == added->n || package_cmp(&added->items[j], &now->items[i]) != 0)
			rc = package_list_add(&list, &now->items[i]);
	}
	for (size_t i = 0; rc == 0 && i < removed->n; i++)
		rc = package_list_add(&list, &removed->items[i]);
	if (rc < 0) {
		package_list_deinit(&list);
		return rc;
	}
	package_list_sort(&list);
	*out = list;
	return 0;
}
