#include "agent/ran_list.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"

#define VERSION 1

void ran_list_deinit(struct ran_list *list)
{
	mem_free(list->items);
	*list = (struct ran_list){.items = NULL};
}

/* --- noting ------------------------------------------------------------------------------- */

static bool same_place(const struct ran *r, const struct ran_use *use)
{
	return r->uid == use->uid && uuid_cmp(&r->environment, &use->environment) == 0;
}

/* The newest: an older one of the same case was closed by dropping it, never by a second. */
static struct ran *find(struct ran_list *list, const struct ran_use *use)
{
	for (size_t i = 0; i < list->n; i++)
		if (same_place(&list->items[i], use) &&
		    strcmp(list->items[i].case_code, use->decision->case_code) == 0)
			return &list->items[i];
	return NULL;
}

enum group {
	GROUP_PLACE, /* of the same account and environment */
	GROUP_ACCOUNT,
	GROUP_ALL
};

static bool in_group(const struct ran *r, const struct ran_use *use, enum group group)
{
	return group == GROUP_ALL || (group == GROUP_ACCOUNT && r->uid == use->uid) ||
	       same_place(r, use);
}

/*
 * Makes room where a bound is reached, by dropping the oldest that was told; *slot is where the new
 * one goes. An account's own go first, so that it can't drive out those of others.
 */
static bool make_room(struct ran_list *list, const struct ran_use *use, struct ran **slot)
{
	static const size_t bounds[] = {RAN_EACH_MAX, RAN_ACCOUNT_MAX, RAN_MAX};

	*slot = NULL;
	for (enum group group = GROUP_PLACE; group <= GROUP_ALL; group++) {
		struct ran *oldest = NULL;
		size_t n = 0;

		for (size_t i = 0; i < list->n; i++) {
			struct ran *r = &list->items[i];

			if (!in_group(r, use, group))
				continue;
			n++;
			if (!r->untold && (oldest == NULL || r->last_ms < oldest->last_ms))
				oldest = r;
		}
		if (n < bounds[group])
			continue;
		*slot = oldest;
		return oldest != NULL;
	}
	return true;
}

static struct ran *append(struct ran_list *list)
{
	struct ran *items;
	size_t cap = list->cap == 0 ? 4 : list->cap * 2;

	if (list->n == list->cap) {
		items = mem_realloc(list->items, cap * sizeof *items);
		if (items == NULL)
			return NULL;
		list->items = items;
		list->cap = cap;
	}
	return &list->items[list->n++];
}

/* As many whole lines as there is room for. */
static void put_reasons(struct ran *r, const struct kept_decision *decision)
{
	size_t used = 0;

	for (size_t i = 0; i < decision->n_reasons; i++) {
		const struct reason *reason = &decision->reasons[i];
		size_t left = sizeof r->reasons - used;
		int n;

		if (reason->action != ACTION_BLOCK)
			continue;
		n = snprintf(r->reasons + used, left, "%s%s%s\n", reason->kind,
			     *reason->id != '\0' ? " " : "", reason->id);
		if (n < 0 || (size_t)n >= left)
			break;
		used += (size_t)n;
	}
	r->reasons[used] = '\0';
}

static struct ran *begin(struct ran_list *list, const struct ran_use *use)
{
	struct ran *r;

	if (!make_room(list, use, &r))
		return NULL;
	if (r == NULL)
		r = append(list);
	if (r == NULL)
		return NULL;
	*r = (struct ran){.environment = use->environment,
			  .uid = use->uid,
			  .first_ms = use->now_ms,
			  .last_ms = use->now_ms};
	memcpy(r->case_code, use->decision->case_code, sizeof r->case_code);
	put_reasons(r, use->decision);
	return r;
}

bool ran_list_note(struct ran_list *list, const struct ran_use *use)
{
	struct ran *r = find(list, use);
	int64_t counted_ms;

	if (r == NULL)
		r = begin(list, use);
	if (r == NULL)
		return false;
	if (use->now_ms > r->last_ms)
		r->last_ms = use->now_ms;
	counted_ms = r->counted_ms[use->how];
	if (counted_ms != 0 && use->now_ms >= counted_ms && use->now_ms - counted_ms < RAN_AGAIN_MS)
		return false;
	r->counted_ms[use->how] = use->now_ms;
	r->times[use->how]++;
	r->untold = true;
	r->telling = false;
	return true;
}

/* --- asking ------------------------------------------------------------------------------- */

size_t ran_list_of(const struct ran_list *list, const struct uuid *environment,
		   const struct ran **out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		const struct ran *r = &list->items[i];
		size_t at = n;

		if (uuid_cmp(&r->environment, environment) != 0)
			continue;
		while (at > 0 && out[at - 1]->last_ms < r->last_ms)
			at--;
		if (at == max)
			continue;
		n += n < max;
		memmove(out + at + 1, out + at, (n - at - 1) * sizeof(struct ran *));
		out[at] = r;
	}
	return n;
}

/* --- kept --------------------------------------------------------------------------------- */

void ran_list_encode(const struct ran_list *list, struct buf *out)
{
	buf_add_u8(out, VERSION);
	for (size_t i = 0; i < list->n; i++) {
		const struct ran *r = &list->items[i];

		buf_add(out, r->environment.b, UUID_SIZE);
		buf_add_u64(out, r->uid);
		buf_add_lp(out, r->case_code, strlen(r->case_code));
		buf_add_lp(out, r->reasons, strlen(r->reasons));
		buf_add_u64(out, (uint64_t)r->first_ms);
		buf_add_u64(out, (uint64_t)r->last_ms);
		for (size_t how = 0; how < RAN_HOWS; how++) {
			buf_add_u64(out, r->times[how]);
			buf_add_u64(out, (uint64_t)r->counted_ms[how]);
		}
		buf_add_u8(out, r->untold);
	}
}

static void read_text(struct rd *rd, char *out, size_t cap)
{
	size_t n;
	const char *text = rd_lp(rd, cap - 1, &n);

	if (text == NULL || memchr(text, '\0', n) != NULL) {
		rd->rc = rd->rc < 0 ? rd->rc : ERR_INVALID;
		return;
	}
	memcpy(out, text, n);
	out[n] = '\0';
}

static void read_one(struct rd *rd, struct ran *r)
{
	const void *id = rd_bytes(rd, UUID_SIZE);

	*r = (struct ran){.uid = 0};
	if (id != NULL)
		memcpy(r->environment.b, id, UUID_SIZE);
	r->uid = (uint32_t)rd_u64(rd);
	read_text(rd, r->case_code, sizeof r->case_code);
	read_text(rd, r->reasons, sizeof r->reasons);
	r->first_ms = (int64_t)rd_u64(rd);
	r->last_ms = (int64_t)rd_u64(rd);
	for (size_t how = 0; how < RAN_HOWS; how++) {
		r->times[how] = rd_u64(rd);
		r->counted_ms[how] = (int64_t)rd_u64(rd);
	}
	r->untold = rd_u8(rd) != 0;
}

int ran_list_decode(struct ran_list *list, const void *data, size_t n)
{
	struct rd rd;

	list->n = 0;
	rd_init(&rd, data, n);
	if (rd_u8(&rd) != VERSION)
		return ERR_INVALID;
	while (rd.rc == 0 && rd.left > 0 && list->n < RAN_MAX) {
		struct ran one;
		struct ran *to;

		read_one(&rd, &one);
		to = rd.rc == 0 ? append(list) : NULL;
		if (to == NULL)
			return rd.rc < 0 ? ERR_INVALID : ERR_NOMEM;
		*to = one;
	}
	return rd.left == 0 ? 0 : ERR_INVALID;
}
