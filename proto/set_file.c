#include "proto/set_file.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "proto/signed.h"

static const char magic[8] = {'E', 'W', 'S', 'T', 'A', 'T', 'E', 1};
#define HEADER (sizeof(magic) + 8)

struct place {
	const char *role;
	size_t max;
	struct set_file_item *item;
};

/* In the order of the file, behind the roots. */
#define PLACES 4
static void places_of(struct set_file *set, struct place out[PLACES])
{
	out[0] = (struct place){ROLE_POLICY, LIMIT_BUNDLE, &set->policy};
	out[1] = (struct place){ROLE_ADVISORIES, LIMIT_BUNDLE, &set->advisories};
	out[2] = (struct place){ROLE_STATUS, LIMIT_BUNDLE, &set->status};
	out[3] = (struct place){ROLE_TIMESTAMP, LIMIT_SMALL_SIGNED, &set->timestamp};
}

/* --- parsing --- */

static bool is_role(const char *role, const void *name, size_t n)
{
	return strlen(role) == n && memcmp(role, name, n) == 0;
}

static int take_root(struct set_file *set, const struct set_file_item *item, struct err *err)
{
	if (set->policy.n + set->advisories.n + set->status.n > 0)
		return err_set(err, ERR_INVALID, "the file has a root behind other roles");
	if (set->n_roots == LIMIT_ROOTS || item->n > LIMIT_SMALL_SIGNED)
		return err_set(err, ERR_LIMIT, "the file has too many roots, or too large a one");
	set->roots[set->n_roots++] = *item;
	return 0;
}

static int take(struct set_file *set, const void *name, size_t name_n,
		const struct set_file_item *item, struct err *err)
{
	struct place places[PLACES];

	if (item->n == 0)
		return err_set(err, ERR_INVALID, "the file has an empty piece");
	if (is_role(ROLE_ROOT, name, name_n))
		return take_root(set, item, err);
	places_of(set, places);
	for (size_t i = 0; i < PLACES; i++) {
		if (!is_role(places[i].role, name, name_n))
			continue;
		if (places[i].item->n > 0)
			return err_set(err, ERR_INVALID, "the file has %s twice", places[i].role);
		if (item->n > places[i].max)
			return err_set(err, ERR_LIMIT, "%s: too large", places[i].role);
		*places[i].item = *item;
		return 0;
	}
	return 0; /* a role of a newer version */
}

static int header(struct rd *r, size_t n, struct err *err)
{
	const void *begin = rd_bytes(r, sizeof(magic));
	uint64_t size = rd_u64(r);

	if (n > LIMIT_BUNDLE)
		return err_set(err, ERR_LIMIT, "larger than an air-gap file may be");
	if (!begin || memcmp(begin, magic, sizeof(magic) - 1) != 0)
		return err_set(err, ERR_INVALID, "this is no air-gap file");
	if (memcmp(begin, magic, sizeof(magic)) != 0)
		return err_set(err, ERR_INVALID,
			       "this air-gap file is for a newer version of envwarden");
	if (r->rc < 0 || size > n)
		return err_set(err, ERR_TRUNCATED, "the file is cut off: %zu bytes of it are here",
			       n);
	if (size < n)
		return err_set(err, ERR_INVALID, "the file goes on behind its end");
	return 0;
}

static int piece(struct rd *r, struct set_file *set, struct err *err)
{
	struct set_file_item item;
	size_t name_n = 0;
	const void *name = rd_lp(r, LIMIT_ROLE, &name_n);

	item.data = rd_lp(r, LIMIT_BUNDLE, &item.n);
	if (r->rc < 0)
		return err_set(err, ERR_INVALID, "the file is damaged");
	if (set->timestamp.n > 0)
		return err_set(err, ERR_INVALID, "the file goes on behind its timestamp");
	return take(set, name, name_n, &item, err);
}

int set_file_parse(const void *data, size_t n, struct set_file *out, struct err *err)
{
	struct set_file set = {.n_roots = 0};
	struct rd r;
	int rc;

	rd_init(&r, data, n);
	rc = header(&r, n, err);
	while (rc == 0 && r.left > 0)
		rc = piece(&r, &set, err);
	if (rc == 0 && (set.n_roots == 0 || set.timestamp.n == 0))
		rc = err_set(err, ERR_INVALID, "the file has no %s",
			     set.n_roots == 0 ? ROLE_ROOT : ROLE_TIMESTAMP);
	if (rc == 0)
		*out = set;
	return rc;
}

/* --- formatting --- */

static size_t size_of(const char *role, const struct set_file_item *item)
{
	return item->n > 0 ? 4 + strlen(role) + 4 + item->n : 0;
}

static void add(struct buf *out, const char *role, const struct set_file_item *item)
{
	if (item->n == 0)
		return;
	buf_add_lp(out, role, strlen(role));
	buf_add_lp(out, item->data, item->n);
}

int set_file_format(const struct set_file *set, struct buf *out, struct err *err)
{
	struct set_file copy = *set;
	struct place places[PLACES];
	size_t size = HEADER;

	places_of(&copy, places);
	for (size_t i = 0; i < set->n_roots; i++)
		size += size_of(ROLE_ROOT, &set->roots[i]);
	for (size_t i = 0; i < PLACES; i++)
		size += size_of(places[i].role, places[i].item);
	if (size > LIMIT_BUNDLE)
		return err_set(err, ERR_LIMIT, "the set is larger than an air-gap file may be");
	buf_add(out, magic, sizeof(magic));
	buf_add_u64(out, size);
	for (size_t i = 0; i < set->n_roots; i++)
		add(out, ROLE_ROOT, &set->roots[i]);
	for (size_t i = 0; i < PLACES; i++)
		add(out, places[i].role, places[i].item);
	return buf_rc(out) < 0 ? err_set(err, buf_rc(out), "%s", err_text(buf_rc(out))) : 0;
}
