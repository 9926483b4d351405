/*
 * Offsets of the file, integers big-endian:
 *    0  magic (8), 8 version (4), 12 size of the file (4)
 *   16  first 16 bytes of SHA-256 over everything from 32 on
 *   32  policy version (8), 40 when_agent_down (4), 44 entries (4), 48 contact (4)
 *   52  entries, sorted by path: device (8), inode (8), action (4), path, name, case code,
 *       message, fix (4 each; version 1 has no fix)
 *  ...  texts, each ended by '\0', to the end of the file; all texts above are offsets into it
 */
#include "proto/fallback.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/mem.h"

#define MAGIC "EWFALLBK"
#define MAGIC_SIZE 8
#define VERSION 2
#define VERSION_WITHOUT_FIX 1
#define CHECKSUM_AT 16
#define CHECKSUM_SIZE 16
#define BODY_AT 32
#define CONTACT_AT 48
#define ENTRIES_AT 52
#define ENTRY_SIZE 40
#define ENTRY_SIZE_WITHOUT_FIX 36

/* Indexed by enum agent_down. */
static const char *const agent_down_names[] = {"last_decision", "allow", "block"};

const char *agent_down_name(enum agent_down value)
{
	CHECK((size_t)value < ARRAY_SIZE(agent_down_names));
	return agent_down_names[value];
}

int agent_down_parse(const char *text, enum agent_down *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(agent_down_names); i++) {
		if (strcmp(text, agent_down_names[i]) == 0) {
			*out = (enum agent_down)i;
			return 0;
		}
	}
	return ERR_INVALID;
}

static void checksum(const unsigned char *file, size_t n, unsigned char out[CHECKSUM_SIZE])
{
	unsigned char hash[SHA256_SIZE];

	sha256(file + BODY_AT, n - BODY_AT, hash);
	memcpy(out, hash, CHECKSUM_SIZE);
}

/* --- encode ---------------------------------------------------------------------------------- */

static int cmp_paths(const void *a, const void *b)
{
	const struct fallback_entry *const *x = a;
	const struct fallback_entry *const *y = b;

	return strcmp((*x)->path, (*y)->path);
}

/* The entries by path; *out is for mem_free. */
static int sort_entries(const struct fallback *file, const struct fallback_entry ***out,
			struct err *err)
{
	const struct fallback_entry **sorted = mem_calloc(file->n + 1, sizeof(*sorted));

	if (!sorted)
		return err_nomem(err);
	for (size_t i = 0; i < file->n; i++)
		sorted[i] = &file->entries[i];
	if (file->n > 1)
		qsort(sorted, file->n, sizeof(*sorted), cmp_paths);
	for (size_t i = 1; i < file->n; i++) {
		if (strcmp(sorted[i - 1]->path, sorted[i]->path) == 0) {
			mem_free(sorted);
			return err_set(err, ERR_INVALID, "fallback: a path twice");
		}
	}
	*out = sorted;
	return 0;
}

static void add_text(struct buf *b, const char *text)
{
	buf_add(b, text, strlen(text) + 1);
}

/* Writes the offset of a text and moves on to where the next one will stand. */
static void add_offset(struct buf *b, const char *text, size_t *next)
{
	buf_add_u32(b, (uint32_t)*next);
	*next += strlen(text) + 1;
}

static void add_entry(struct buf *b, const struct fallback_entry *e, size_t *next)
{
	buf_add_u64(b, e->device);
	buf_add_u64(b, e->inode);
	buf_add_u32(b, (uint32_t)e->action);
	add_offset(b, e->path, next);
	add_offset(b, e->name, next);
	add_offset(b, e->case_code, next);
	add_offset(b, e->message, next);
	add_offset(b, e->fix, next);
}

/* Everything but the size and the checksum, which are zero. */
static void add_file(struct buf *b, const struct fallback *file,
		     const struct fallback_entry *const *sorted)
{
	static const unsigned char zeroes[4 + CHECKSUM_SIZE];
	size_t next = ENTRIES_AT + file->n * ENTRY_SIZE;

	buf_add(b, MAGIC, MAGIC_SIZE);
	buf_add_u32(b, VERSION);
	buf_add(b, zeroes, sizeof(zeroes));
	buf_add_u64(b, file->policy_version);
	buf_add_u32(b, (uint32_t)file->when_agent_down);
	buf_add_u32(b, (uint32_t)file->n);
	add_offset(b, file->contact, &next);
	for (size_t i = 0; i < file->n; i++)
		add_entry(b, sorted[i], &next);
	add_text(b, file->contact);
	for (size_t i = 0; i < file->n; i++) {
		add_text(b, sorted[i]->path);
		add_text(b, sorted[i]->name);
		add_text(b, sorted[i]->case_code);
		add_text(b, sorted[i]->message);
		add_text(b, sorted[i]->fix);
	}
}

static void put_u32(unsigned char *at, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		at[i] = (unsigned char)(v >> (24 - 8 * i));
}

int fallback_encode(const struct fallback *file, struct buf *out, struct err *err)
{
	const struct fallback_entry **sorted = NULL;
	struct buf b;
	unsigned char *data;
	int rc;

	if (file->n > FALLBACK_MAX / ENTRY_SIZE)
		return err_set(err, ERR_LIMIT, "fallback: too many entries");
	rc = sort_entries(file, &sorted, err);
	if (rc < 0)
		return rc;
	buf_init(&b, FALLBACK_MAX);
	add_file(&b, file, sorted);
	if (buf_rc(&b) == 0) {
		data = (unsigned char *)b.data;
		put_u32(data + 12, (uint32_t)b.len);
		checksum(data, b.len, data + CHECKSUM_AT);
		buf_add(out, b.data, b.len);
	}
	rc = buf_rc(&b) < 0 ? buf_rc(&b) : buf_rc(out);
	if (rc < 0)
		err_set(err, rc, "fallback: %s", err_text(rc));
	buf_deinit(&b);
	mem_free(sorted);
	return rc;
}

/* --- decode ---------------------------------------------------------------------------------- */

static uint32_t get_u32(const unsigned char *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t get_u64(const unsigned char *at)
{
	return (uint64_t)get_u32(at) << 32 | get_u32(at + 4);
}

static const char *text_at(const unsigned char *data, size_t offset_at)
{
	return (const char *)data + get_u32(data + offset_at);
}

static int check_head(const unsigned char *data, size_t n, size_t *entry_size, struct err *err)
{
	uint32_t version;
	unsigned char sum[CHECKSUM_SIZE];

	if (n > FALLBACK_MAX)
		return err_set(err, ERR_LIMIT, "fallback: larger than %d bytes", FALLBACK_MAX);
	if (n < BODY_AT || memcmp(data, MAGIC, MAGIC_SIZE) != 0)
		return err_set(err, ERR_CORRUPT, "fallback: not such a file");
	version = get_u32(data + MAGIC_SIZE);
	if (version != VERSION && version != VERSION_WITHOUT_FIX)
		return err_set(err, ERR_UNSUPPORTED, "fallback: another version's file");
	if (n <= ENTRIES_AT || get_u32(data + 12) != n)
		return err_set(err, ERR_CORRUPT, "fallback: not all of it is there");
	checksum(data, n, sum);
	if (memcmp(sum, data + CHECKSUM_AT, CHECKSUM_SIZE) != 0)
		return err_set(err, ERR_CORRUPT, "fallback: checksum differs");
	*entry_size = version == VERSION ? ENTRY_SIZE : ENTRY_SIZE_WITHOUT_FIX;
	return 0;
}

/* Each text begins inside of the texts; the '\0' at the file's end ends the last. */
static bool entry_is_good(const unsigned char *entry, size_t size, size_t texts, size_t n)
{
	if (get_u32(entry + 16) > ACTION_BLOCK)
		return false;
	for (size_t at = 20; at < size; at += 4) {
		uint32_t offset = get_u32(entry + at);

		if (offset < texts || offset >= n)
			return false;
	}
	return true;
}

static bool body_is_good(const unsigned char *data, size_t n, size_t entry_size)
{
	size_t entries = get_u32(data + 44);
	size_t texts = ENTRIES_AT + entries * entry_size;
	uint32_t contact = get_u32(data + CONTACT_AT);

	if (entries > (n - ENTRIES_AT) / entry_size || data[n - 1] != '\0')
		return false;
	if (contact < texts || contact >= n || get_u32(data + 40) > AGENT_DOWN_BLOCK)
		return false;
	for (size_t i = 0; i < entries; i++) {
		if (!entry_is_good(data + ENTRIES_AT + i * entry_size, entry_size, texts, n))
			return false;
	}
	return true;
}

int fallback_open(const void *data, size_t n, struct fallback_view *out, struct err *err)
{
	const unsigned char *p = data;
	size_t entry_size = 0;
	int rc = check_head(p, n, &entry_size, err);

	if (rc < 0)
		return rc;
	/* A checksum is no signature: whoever may write the file can make one. */
	if (!body_is_good(p, n, entry_size))
		return err_set(err, ERR_CORRUPT, "fallback: malformed");
	*out = (struct fallback_view){
		.policy_version = get_u64(p + BODY_AT),
		.when_agent_down = (enum agent_down)get_u32(p + 40),
		.n = get_u32(p + 44),
		.contact = text_at(p, CONTACT_AT),
		.data = p,
		.entry_size = entry_size,
	};
	return 0;
}

static void read_entry(const struct fallback_view *view, size_t i, struct fallback_entry *out)
{
	size_t at = ENTRIES_AT + i * view->entry_size;

	*out = (struct fallback_entry){
		.device = get_u64(view->data + at),
		.inode = get_u64(view->data + at + 8),
		.action = (enum action)get_u32(view->data + at + 16),
		.path = text_at(view->data, at + 20),
		.name = text_at(view->data, at + 24),
		.case_code = text_at(view->data, at + 28),
		.message = text_at(view->data, at + 32),
		.fix = view->entry_size == ENTRY_SIZE ? text_at(view->data, at + 36) : "",
	};
}

static int find_path(const struct fallback_view *view, const char *path, struct fallback_entry *out)
{
	size_t low = 0;
	size_t high = view->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct fallback_entry entry;
		int order;

		read_entry(view, mid, &entry);
		order = strcmp(entry.path, path);
		if (order == 0) {
			*out = entry;
			return 0;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return ERR_NOTFOUND;
}

int fallback_find(const struct fallback_view *view, const char *path, uint64_t device,
		  uint64_t inode, struct fallback_entry *out)
{
	if (path && find_path(view, path, out) == 0)
		return 0;
	for (size_t i = 0; inode != 0 && i < view->n; i++) {
		struct fallback_entry entry;

		read_entry(view, i, &entry);
		if (entry.device == device && entry.inode == inode) {
			*out = entry;
			return 0;
		}
	}
	return ERR_NOTFOUND;
}
