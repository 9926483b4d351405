#include "agent/store/row.h"

#include <string.h>

#include "agent/store/layout.h"

#define REF_SIZE (PACKAGE_KEY_SIZE + 1)
#define MARKED_REF_SIZE (REF_SIZE + 16)
#define ROW_BEFORE 1  /* version of environments in the layout before */
#define TEXT_MAX 8192 /* bytes of any text; the fields' own limits are below it */

enum {
	FLAG_SELF_REPORTED = 1,
	FLAG_AT_START = 2,
	FLAG_DIGEST = 4
};

/* Of an environment; a store from before the second has 0 or 1 there. */
enum {
	FLAG_EXPECTED = 1,
	FLAG_OF_REPORT = 2
};

/* --- pieces ------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
	buf_add_lp(out, text, strlen(text));
}

static void put_person(struct buf *out, const struct person *p)
{
	put_text(out, p->name);
	buf_add_u64(out, (uint64_t)p->uid);
	put_text(out, p->how);
}

static void put_hash(struct buf *out, const unsigned char hash[SHA256_SIZE])
{
	buf_add(out, hash, SHA256_SIZE);
}

static const char *get_text(struct rd *r, struct arena *arena)
{
	size_t n;
	const char *data = rd_lp(r, TEXT_MAX, &n);
	const char *text = data ? arena_strndup(arena, data, n) : NULL;

	if (!text && r->rc == 0)
		r->rc = ERR_NOMEM;
	return text;
}

static void get_person(struct rd *r, struct arena *arena, struct person *out)
{
	out->name = get_text(r, arena);
	out->uid = (int64_t)rd_u64(r);
	out->how = get_text(r, arena);
}

static void get_bytes(struct rd *r, void *out, size_t n)
{
	const void *data = rd_bytes(r, n);

	if (data)
		memcpy(out, data, n);
}

static void get_version(struct rd *r, uint8_t version)
{
	if (rd_u8(r) != version && r->rc == 0)
		r->rc = ERR_CORRUPT;
}

/* The checksum was good, so anything wrong but memory is damage all the same. */
static int get_end(const struct rd *r)
{
	if (r->rc == ERR_NOMEM)
		return ERR_NOMEM;
	return r->rc < 0 || r->left > 0 ? ERR_CORRUPT : 0;
}

/* --- package references ------------------------------------------------------------------- */

/* One byte of a reference. */
#define REF_REQUESTED 1U
#define REF_INSTALLER_SHIFT 1

struct package_ref ref_at(const struct ref_list *list, size_t i)
{
	struct package_ref ref = {0};
	unsigned flags;
	struct rd r;

	rd_init(&r, list->items + i * list->size, list->size);
	get_bytes(&r, ref.key, PACKAGE_KEY_SIZE);
	flags = rd_u8(&r);
	ref.requested = (flags & REF_REQUESTED) != 0;
	ref.installer = (enum package_installer)(flags >> REF_INSTALLER_SHIFT);
	if (list->size == MARKED_REF_SIZE) {
		ref.stamp = rd_u64(&r);
		ref.claim = rd_u64(&r);
	}
	return ref;
}

static void put_ref(struct buf *out, const struct package_ref *ref, bool marked)
{
	buf_add(out, ref->key, PACKAGE_KEY_SIZE);
	buf_add_u8(out, (uint8_t)((ref->requested ? REF_REQUESTED : 0U) |
				  (unsigned)ref->installer << REF_INSTALLER_SHIFT));
	if (marked) {
		buf_add_u64(out, ref->stamp);
		buf_add_u64(out, ref->claim);
	}
}

void row_put_snapshot(struct buf *out, const struct package_list *packages, bool marked)
{
	buf_add_u8(out, LAYOUT_SNAPSHOT_VERSION);
	buf_add_u8(out, marked);
	buf_add_u32(out, (uint32_t)packages->n);
	for (size_t i = 0; i < packages->n; i++) {
		const struct package *p = &packages->items[i];
		struct package_ref ref = {.requested = p->requested,
					  .installer = p->installer,
					  .stamp = p->stamp,
					  .claim = p->claim};

		package_def_key(p, ref.key);
		put_ref(out, &ref, marked);
	}
}

void row_put_snapshot_refs(struct buf *out, const struct ref_list *refs)
{
	bool marked = refs->size == MARKED_REF_SIZE;

	buf_add_u8(out, LAYOUT_SNAPSHOT_VERSION);
	buf_add_u8(out, marked);
	buf_add_u32(out, (uint32_t)refs->n);
	buf_add(out, refs->items, refs->n * refs->size);
}

void row_put_vec(struct buf *out, const struct package_ref *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_ref(out, &items[i], false);
}

struct ref_list row_vec_refs(struct bytes items)
{
	return (struct ref_list){.items = items.data, .n = items.n / REF_SIZE, .size = REF_SIZE};
}

static void put_refs(struct buf *out, const struct package_list *packages)
{
	unsigned char key[PACKAGE_KEY_SIZE];

	buf_add_u32(out, (uint32_t)packages->n);
	for (size_t i = 0; i < packages->n; i++) {
		package_def_key(&packages->items[i], key);
		buf_add(out, key, sizeof(key));
		buf_add_u8(out, packages->items[i].requested);
	}
}

static void get_refs(struct rd *r, size_t size, struct ref_list *out)
{
	uint32_t n = rd_u32(r);

	out->size = size;
	out->items = rd_bytes(r, (size_t)n * size);
	out->n = out->items ? n : 0;
}

bool row_is_old_snapshot(struct bytes value)
{
	return value.n > 0 && *(const unsigned char *)value.data == 0;
}

int row_get_snapshot(struct bytes value, struct ref_list *out)
{
	struct rd r;

	rd_init(&r, value.data, value.n);
	if (row_is_old_snapshot(value)) {
		get_refs(&r, REF_SIZE, out);
	} else {
		get_version(&r, LAYOUT_SNAPSHOT_VERSION);
		get_refs(&r, rd_u8(&r) != 0 ? MARKED_REF_SIZE : REF_SIZE, out);
	}
	return get_end(&r);
}

/* --- environments ------------------------------------------------------------------------- */

void row_put_environment(struct buf *out, const struct environment *env)
{
	buf_add_u8(out, LAYOUT_ROW_VERSION);
	put_text(out, env->prefix);
	buf_add_u64(out, env->device);
	buf_add_u64(out, env->inode);
	buf_add_u32(out, env->filesystem);
	put_person(out, &env->owner);
	put_text(out, env->platform);
	put_text(out, env->tool);
	buf_add_u64(out, (uint64_t)env->created_ms);
	buf_add_u64(out, (uint64_t)env->last_change_ms);
	buf_add_u64(out, (uint64_t)env->deleted_ms);
	buf_add_u8(out, (uint8_t)((env->expected ? FLAG_EXPECTED : 0) |
				  (env->self_reported ? FLAG_OF_REPORT : 0)));
	buf_add(out, env->cloned_from.b, UUID_SIZE);
	buf_add_u64(out, env->sections);
	buf_add_u64(out, env->package_count);
	put_hash(out, env->config_digest);
	put_text(out, env->config_names);
	put_hash(out, env->digest);
	put_hash(out, env->attribute_digest);
	buf_add_lp(out, env->stamp, env->stamp_n);
	buf_add(out, env->volume, VOLUME_SIZE);
	buf_add_u64(out, (uint64_t)env->last_used_ms);
	buf_add_u64(out, (uint64_t)env->last_run_ms);
}

bool row_is_old_environment(struct bytes value)
{
	return value.n > 0 && *(const unsigned char *)value.data == ROW_BEFORE;
}

int row_get_environment(const struct uuid *id, struct bytes value, struct arena *arena,
			struct environment *out)
{
	struct environment e = {.id = *id};
	uint8_t flags;
	const void *stamp;
	struct rd r;

	rd_init(&r, value.data, value.n);
	get_version(&r, row_is_old_environment(value) ? ROW_BEFORE : LAYOUT_ROW_VERSION);
	e.prefix = get_text(&r, arena);
	e.device = rd_u64(&r);
	e.inode = rd_u64(&r);
	e.filesystem = rd_u32(&r);
	get_person(&r, arena, &e.owner);
	e.platform = get_text(&r, arena);
	e.tool = get_text(&r, arena);
	e.created_ms = (int64_t)rd_u64(&r);
	e.last_change_ms = (int64_t)rd_u64(&r);
	e.deleted_ms = (int64_t)rd_u64(&r);
	flags = rd_u8(&r);
	e.expected = flags & FLAG_EXPECTED;
	e.self_reported = flags & FLAG_OF_REPORT;
	get_bytes(&r, e.cloned_from.b, UUID_SIZE);
	e.sections = rd_u64(&r);
	e.package_count = rd_u64(&r);
	get_bytes(&r, e.config_digest, SHA256_SIZE);
	e.config_names = get_text(&r, arena);
	get_bytes(&r, e.digest, SHA256_SIZE);
	get_bytes(&r, e.attribute_digest, SHA256_SIZE);
	stamp = rd_lp(&r, SNAPSHOT_STAMP_MAX, &e.stamp_n);
	if (stamp) {
		e.stamp = arena_dup(arena, stamp, e.stamp_n);
		if (!e.stamp)
			r.rc = ERR_NOMEM;
	}
	if (!row_is_old_environment(value)) {
		get_bytes(&r, e.volume, VOLUME_SIZE);
		e.last_used_ms = (int64_t)rd_u64(&r);
		e.last_run_ms = (int64_t)rd_u64(&r);
	}
	if (get_end(&r) < 0)
		return get_end(&r);
	*out = e;
	return 0;
}

/* --- package definitions ------------------------------------------------------------------ */

void row_put_package(struct buf *out, const struct package *p, bool sent)
{
	buf_add_u8(out, p->built_ms != 0 ? LAYOUT_PACKAGE_BUILT : LAYOUT_PACKAGE_VERSION);
	buf_add_u8(out, sent);
	put_text(out, p->manager);
	put_text(out, p->name);
	put_text(out, p->version);
	put_text(out, p->build);
	buf_add_u64(out, (uint64_t)p->build_number);
	put_text(out, p->channel);
	put_text(out, p->subdir);
	put_text(out, p->license);
	put_text(out, p->url);
	buf_add_u64(out, p->size);
	buf_add_lp(out, p->sha256, p->has_sha256 ? sizeof(p->sha256) : 0);
	buf_add_lp(out, p->md5, p->has_md5 ? sizeof(p->md5) : 0);
	if (p->built_ms != 0)
		buf_add_u64(out, (uint64_t)p->built_ms);
}

/* All of it or nothing; true when it is there. */
static bool get_optional(struct rd *r, unsigned char *out, size_t size)
{
	size_t n;
	const void *data = rd_lp(r, size, &n);

	if (!data || n == 0)
		return false;
	if (n != size) {
		r->rc = ERR_CORRUPT;
		return false;
	}
	memcpy(out, data, size);
	return true;
}

int row_get_package(struct bytes value, struct arena *arena, struct package *out, bool *sent)
{
	struct package p = {0};
	bool was_sent;
	bool built;
	struct rd r;

	rd_init(&r, value.data, value.n);
	built = value.n > 0 && *(const unsigned char *)value.data == LAYOUT_PACKAGE_BUILT;
	get_version(&r, built ? LAYOUT_PACKAGE_BUILT : LAYOUT_PACKAGE_VERSION);
	was_sent = rd_u8(&r) != 0;
	p.manager = get_text(&r, arena);
	p.name = get_text(&r, arena);
	p.version = get_text(&r, arena);
	p.build = get_text(&r, arena);
	p.build_number = (int64_t)rd_u64(&r);
	p.channel = get_text(&r, arena);
	p.subdir = get_text(&r, arena);
	p.license = get_text(&r, arena);
	p.url = get_text(&r, arena);
	p.size = rd_u64(&r);
	p.has_sha256 = get_optional(&r, p.sha256, sizeof(p.sha256));
	p.has_md5 = get_optional(&r, p.md5, sizeof(p.md5));
	if (built)
		p.built_ms = (int64_t)rd_u64(&r);
	if (get_end(&r) < 0)
		return get_end(&r);
	*out = p;
	*sent = was_sent;
	return 0;
}

/* --- changes ------------------------------------------------------------------------------ */

static void put_change_body(struct buf *out, const struct change *c)
{
	buf_add_u64(out, (uint64_t)c->time_ms);
	buf_add_u8(out, (uint8_t)c->kind);
	buf_add(out, c->environment.b, UUID_SIZE);
	put_text(out, c->prefix);
	put_text(out, c->from_prefix);
	buf_add(out, c->cloned_from.b, UUID_SIZE);
	put_person(out, &c->actor);
	put_person(out, &c->owner);
	put_text(out, c->platform);
	put_text(out, c->tool);
	put_text(out, c->command);
	put_text(out, c->detail);
	buf_add_u8(out, (uint8_t)((c->self_reported ? FLAG_SELF_REPORTED : 0) |
				  (c->seen_at_start ? FLAG_AT_START : 0) |
				  (c->has_digest ? FLAG_DIGEST : 0)));
	put_hash(out, c->digest);
	put_refs(out, &c->added);
	put_refs(out, &c->removed);
}

void row_put_change(struct buf *out, const struct change *c, const unsigned char hash[SHA256_SIZE])
{
	buf_add_u8(out, LAYOUT_CHANGE_VERSION);
	put_hash(out, hash);
	put_change_body(out, c);
}

static void put_fold(struct buf *out, const unsigned char hash[SHA256_SIZE], uint64_t first,
		     const struct change_row *row)
{
	buf_add_u8(out, LAYOUT_FOLDED_VERSION);
	put_hash(out, hash);
	buf_add_u64(out, first);
	buf_add_u64(out, row->change.folded);
	buf_add_u64(out, row->oldest);
	buf_add_u8(out, row->change.begun);
}

void row_put_folded(struct buf *out, const struct change_row *row)
{
	put_fold(out, row->hash, row->change.first_seq, row);
	put_change_body(out, &row->change);
}

/* Either version up to the body. */
static void get_change_head(struct rd *r, struct change_row *out)
{
	uint8_t version = rd_u8(r);

	if (version != LAYOUT_CHANGE_VERSION && version != LAYOUT_FOLDED_VERSION && r->rc == 0)
		r->rc = ERR_CORRUPT;
	get_bytes(r, out->hash, SHA256_SIZE);
	if (version != LAYOUT_FOLDED_VERSION)
		return;
	out->change.first_seq = rd_u64(r);
	out->change.folded = rd_u64(r);
	out->oldest = rd_u64(r);
	out->change.begun = rd_u8(r) != 0;
}

int row_put_first(struct buf *out, struct bytes value, uint64_t first)
{
	struct change_row row = {.oldest = 0};
	const void *body;
	size_t n;
	struct rd r;

	rd_init(&r, value.data, value.n);
	get_change_head(&r, &row);
	n = r.left;
	body = rd_bytes(&r, n);
	if (r.rc < 0 || !body)
		return ERR_CORRUPT;
	put_fold(out, row.hash, first, &row);
	buf_add(out, body, n);
	return buf_rc(out);
}

int row_get_hash(struct bytes value, unsigned char hash[SHA256_SIZE])
{
	struct change_row row = {.oldest = 0};
	struct rd r;

	rd_init(&r, value.data, value.n);
	get_change_head(&r, &row);
	if (r.rc < 0)
		return ERR_CORRUPT;
	memcpy(hash, row.hash, SHA256_SIZE);
	return 0;
}

int row_get_change(struct bytes value, struct arena *arena, struct change_row *out)
{
	struct change_row row = {.oldest = 0};
	struct change *c = &row.change;
	uint8_t flags;
	struct rd r;

	change_init(c);
	rd_init(&r, value.data, value.n);
	get_change_head(&r, &row);
	c->time_ms = (int64_t)rd_u64(&r);
	c->kind = (enum change_kind)rd_u8(&r);
	get_bytes(&r, c->environment.b, UUID_SIZE);
	c->prefix = get_text(&r, arena);
	c->from_prefix = get_text(&r, arena);
	get_bytes(&r, c->cloned_from.b, UUID_SIZE);
	get_person(&r, arena, &c->actor);
	get_person(&r, arena, &c->owner);
	c->platform = get_text(&r, arena);
	c->tool = get_text(&r, arena);
	c->command = get_text(&r, arena);
	c->detail = get_text(&r, arena);
	flags = rd_u8(&r);
	c->self_reported = flags & FLAG_SELF_REPORTED;
	c->seen_at_start = flags & FLAG_AT_START;
	c->has_digest = flags & FLAG_DIGEST;
	get_bytes(&r, c->digest, SHA256_SIZE);
	get_refs(&r, REF_SIZE, &row.added);
	get_refs(&r, REF_SIZE, &row.removed);
	if (get_end(&r) < 0)
		return get_end(&r);
	*out = row;
	return 0;
}

/* --- epochs ------------------------------------------------------------------------------- */

void row_put_epoch(struct buf *out, const struct epoch_row *e)
{
	buf_add_u8(out, LAYOUT_EPOCH_VERSION);
	buf_add(out, e->uuid.b, UUID_SIZE);
	buf_add_u64(out, e->head);
	buf_add_u64(out, e->acked);
	put_hash(out, e->head_hash);
	buf_add_u8(out, e->baseline);
	buf_add(out, e->baseline_after.b, UUID_SIZE);
	buf_add_u64(out, (uint64_t)e->baseline_ms);
}

int row_get_epoch(struct bytes value, struct epoch_row *out)
{
	struct epoch_row e = {0};
	struct rd r;

	rd_init(&r, value.data, value.n);
	get_version(&r, LAYOUT_EPOCH_VERSION);
	get_bytes(&r, e.uuid.b, UUID_SIZE);
	e.head = rd_u64(&r);
	e.acked = rd_u64(&r);
	get_bytes(&r, e.head_hash, SHA256_SIZE);
	e.baseline = rd_u8(&r) != 0;
	get_bytes(&r, e.baseline_after.b, UUID_SIZE);
	e.baseline_ms = (int64_t)rd_u64(&r);
	if (get_end(&r) < 0)
		return get_end(&r);
	*out = e;
	return 0;
}

/* --- keys --------------------------------------------------------------------------------- */

struct bytes key_uuid(const struct uuid *id)
{
	return (struct bytes){id->b, UUID_SIZE};
}

struct bytes key_path(struct row_key *out, const char *prefix)
{
	sha256(prefix, strlen(prefix), out->b);
	return (struct bytes){out->b, SHA256_SIZE};
}

static void put_be(unsigned char *to, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		to[i] = (unsigned char)(v >> (56 - 8 * i));
}

struct bytes key_pair(struct row_key *out, uint64_t a, uint64_t b)
{
	put_be(out->b, a);
	put_be(out->b + 8, b);
	return (struct bytes){out->b, 16};
}

struct bytes key_number(struct row_key *out, uint64_t n)
{
	put_be(out->b, n);
	return (struct bytes){out->b, 8};
}

uint64_t key_read(struct bytes key, size_t offset)
{
	struct rd r;

	rd_init(&r, key.data, key.n);
	rd_bytes(&r, offset);
	return rd_u64(&r);
}
