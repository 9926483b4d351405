#include "platform/mount_table.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "lib/base/mem.h"

struct mount_table {
	size_t refs;
	size_t n;
	struct mount *mounts;	  /* by point, then in the order told */
	const struct mount **ids; /* by id */
	const struct mount *root;
	bool has_remote;
	char *text; /* all strings */
};

/* --- one line --- */

/* The next field, cut out of the line; its octal escapes undone in place. NULL: there is none. */
static char *field(char **rest)
{
	char *start = *rest;
	char *to = start;
	char *from = start;

	if (start == NULL)
		return NULL;
	while (*from != '\0' && *from != ' ') {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
		    from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			*to++ = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*rest = *from == ' ' ? from + 1 : NULL;
	*to = '\0';
	return start;
}

static int number(const char *text, uint64_t max, uint64_t *out)
{
	uint64_t value = 0;

	if (text == NULL || *text == '\0')
		return ERR_INVALID;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9' || value > max / 10)
			return ERR_INVALID;
		value = value * 10 + (uint64_t)(*text - '0');
	}
	if (value > max)
		return ERR_INVALID;
	*out = value;
	return 0;
}

/* "major:minor" as st_dev has them. */
static int device(char *text, uint64_t *out)
{
	char *colon = text != NULL ? strchr(text, ':') : NULL;
	uint64_t major;
	uint64_t minor;

	if (colon == NULL)
		return ERR_INVALID;
	*colon = '\0';
	if (number(text, UINT32_MAX, &major) < 0 || number(colon + 1, UINT32_MAX, &minor) < 0)
		return ERR_INVALID;
	*out = (major & 0xfffff000u) << 32 | (major & 0xfffu) << 8 | (minor & 0xffffff00u) << 12 |
	       (minor & 0xffu);
	return 0;
}

static enum fs_class class_of(const char *type)
{
	static const struct {
		const char *type;
		enum fs_class class;
	} known[] = {
		{"9p", FS_NETWORK},	{"acfs", FS_NETWORK},	{"afs", FS_NETWORK},
		{"bcachefs", FS_LOCAL}, {"beegfs", FS_NETWORK}, {"btrfs", FS_LOCAL},
		{"ceph", FS_NETWORK},	{"cifs", FS_NETWORK},	{"coda", FS_NETWORK},
		{"ecryptfs", FS_LOCAL}, {"exfat", FS_LOCAL},	{"ext2", FS_LOCAL},
		{"ext3", FS_LOCAL},	{"ext4", FS_LOCAL},	{"f2fs", FS_LOCAL},
		{"fuse", FS_FUSE},	{"fuseblk", FS_FUSE},	{"gfs2", FS_NETWORK},
		{"gpfs", FS_NETWORK},	{"iso9660", FS_LOCAL},	{"jfs", FS_LOCAL},
		{"lustre", FS_NETWORK}, {"msdos", FS_LOCAL},	{"ncpfs", FS_NETWORK},
		{"nfs", FS_NETWORK},	{"nfs4", FS_NETWORK},	{"nilfs2", FS_LOCAL},
		{"ntfs3", FS_LOCAL},	{"ocfs2", FS_NETWORK},	{"orangefs", FS_NETWORK},
		{"overlay", FS_LOCAL},	{"panfs", FS_NETWORK},	{"pvfs2", FS_NETWORK},
		{"ramfs", FS_LOCAL},	{"reiserfs", FS_LOCAL}, {"smb3", FS_NETWORK},
		{"smbfs", FS_NETWORK},	{"squashfs", FS_LOCAL}, {"tmpfs", FS_LOCAL},
		{"udf", FS_LOCAL},	{"vboxsf", FS_NETWORK}, {"vfat", FS_LOCAL},
		{"virtiofs", FS_FUSE},	{"vmhgfs", FS_NETWORK}, {"xfs", FS_LOCAL},
		{"zfs", FS_LOCAL},
	};

	if (strncmp(type, "fuse.", 5) == 0)
		return FS_FUSE;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(type, known[i].type) == 0)
			return known[i].class;
	return FS_UNKNOWN;
}

static int parse_line(char *line, struct mount *m)
{
	char *rest = line;
	char *text;
	uint64_t id;
	uint64_t parent;

	*m = (struct mount){.id = 0};
	if (number(field(&rest), INT32_MAX, &id) < 0 ||
	    number(field(&rest), INT32_MAX, &parent) < 0 || device(field(&rest), &m->device) < 0)
		return ERR_INVALID;
	m->id = (int64_t)id;
	m->parent = (int64_t)parent;
	m->root = field(&rest);
	m->point = field(&rest);
	if (m->point == NULL || m->point[0] != '/')
		return ERR_INVALID;
	do /* options, and any number of optional fields up to "-" */
		text = field(&rest);
	while (text != NULL && strcmp(text, "-") != 0);
	m->type = field(&rest);
	m->source = field(&rest);
	if (m->type == NULL || m->source == NULL)
		return ERR_INVALID;
	m->fs = class_of(m->type);
	m->on_access = strcmp(m->type, "autofs") == 0;
	return 0;
}

/* --- volumes --- */

static void add_text(struct sha256 *hash, const char *text)
{
	size_t n = strlen(text);
	const unsigned char length[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
					 (unsigned char)(n >> 8), (unsigned char)n};

	sha256_update(hash, length, sizeof length);
	sha256_update(hash, text, n);
}

/* Versions of a protocol are one file system. */
static const char *family(const char *type)
{
	if (strcmp(type, "nfs4") == 0)
		return "nfs";
	if (strcmp(type, "smb3") == 0)
		return "cifs";
	return type;
}

/* Names that disks get in the order in which they are found. */
static bool stays(const char *source)
{
	return strncmp(source, "/dev/", 5) != 0 || strncmp(source, "/dev/mapper/", 12) == 0 ||
	       strncmp(source, "/dev/disk/", 10) == 0;
}

static void set_volume(const struct mount_table *table, struct mount *m)
{
	bool shared = m->fs == FS_NETWORK;
	unsigned char digest[SHA256_SIZE];
	struct sha256 hash;

	if (m == table->root)
		return;
	sha256_init(&hash);
	add_text(&hash, shared ? "envwarden volume 1" : "envwarden mount 1");
	add_text(&hash, family(m->type));
	add_text(&hash, shared || stays(m->source) ? m->source : "");
	add_text(&hash, m->root);
	if (!shared)
		add_text(&hash, m->point);
	sha256_final(&hash, digest);
	memcpy(m->volume, digest, sizeof m->volume);
}

/* "files:/export" and "//files/share" name a server; else the device counts. */
static void set_group(struct mount *m)
{
	const char *host = strncmp(m->source, "//", 2) == 0 ? m->source + 2 : m->source;
	const char *end = host == m->source ? strstr(host, ":/") : strchr(host, '/');
	unsigned char digest[SHA256_SIZE];
	struct sha256 hash;

	if (!mount_is_remote(m))
		return;
	sha256_init(&hash);
	if (m->fs == FS_NETWORK && end != NULL && end != host) {
		add_text(&hash, family(m->type));
		sha256_update(&hash, host, (size_t)(end - host));
	} else {
		sha256_update(&hash, &m->device, sizeof m->device);
	}
	sha256_final(&hash, digest);
	memcpy(&m->group, digest, sizeof m->group);
	m->group |= 1; /* not 0 */
}

/* --- the table --- */

static int cmp_point(const void *a, const void *b)
{
	const struct mount *x = a;
	const struct mount *y = b;
	int order = strcmp(x->point, y->point);

	if (order == 0) /* in the order told; all strings lie in one text */
		order = x->point < y->point ? -1 : x->point > y->point;
	return order;
}

static int cmp_id(const void *a, const void *b)
{
	const struct mount *const *x = a;
	const struct mount *const *y = b;

	return (*x)->id < (*y)->id ? -1 : (*x)->id > (*y)->id;
}

const struct mount *mount_table_by_id(const struct mount_table *table, int64_t id)
{
	size_t low = 0;
	size_t high = table != NULL ? table->n : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->ids[middle]->id == id)
			return table->ids[middle];
		if (table->ids[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* The first mount at a point, or where it would be. */
static size_t first_at(const struct mount_table *table, const char *point, size_t length)
{
	size_t low = 0;
	size_t high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		/* Equal up to the length and longer: behind. */
		if (strncmp(table->mounts[middle].point, point, length) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct mount *m, const char *point, size_t length)
{
	return strncmp(m->point, point, length) == 0 && m->point[length] == '\0';
}

/* Where a walk that stands on `on` gets to at this point; several may lie on each other. */
static const struct mount *enter(const struct mount_table *table, const struct mount *on,
				 const char *point, size_t length)
{
	size_t first = first_at(table, point, length);

	for (size_t steps = 0; steps < table->n; steps++) { /* a lie may lead in a circle */
		const struct mount *next = NULL;

		for (size_t i = first; i < table->n && is_at(&table->mounts[i], point, length); i++)
			if (table->mounts[i].parent == on->id && &table->mounts[i] != on)
				next = &table->mounts[i];
		if (next == NULL)
			break;
		on = next;
	}
	return on;
}

const struct mount *mount_table_find(const struct mount_table *table, const char *path)
{
	const struct mount *on = table != NULL ? table->root : NULL;

	if (on == NULL || path[0] != '/')
		return NULL;
	for (size_t i = 1; path[i - 1] != '\0'; i++)
		if ((path[i] == '/' || path[i] == '\0') && path[i - 1] != '/')
			on = enter(table, on, path, i);
	return on;
}

/* The process's root: what is mounted on its root's own folder does not change where "/" leads. */
static void find_root(struct mount_table *table)
{
	for (size_t i = 0; i < table->n && table->root == NULL; i++) {
		const struct mount *m = &table->mounts[i];

		if (strcmp(m->point, "/") == 0 &&
		    (m->parent == m->id || mount_table_by_id(table, m->parent) == NULL))
			table->root = m;
	}
}

static size_t count_lines(const char *text, size_t n)
{
	size_t lines = 1;

	for (size_t i = 0; i < n; i++)
		lines += text[i] == '\n';
	return lines;
}

static int parse(struct mount_table *table, struct err *err)
{
	char *next;
	size_t number = 1;

	for (char *line = table->text; line != NULL; line = next, number++) {
		next = strchr(line, '\n');
		if (next != NULL)
			*next++ = '\0';
		if (line[0] == '\0')
			continue;
		if (parse_line(line, &table->mounts[table->n]) < 0)
			return err_set(err, ERR_INVALID, "mount table: line %zu is none", number);
		table->n++;
	}
	return 0;
}

static void finish(struct mount_table *table)
{
	if (table->n == 0)
		return;
	qsort(table->mounts, table->n, sizeof *table->mounts, cmp_point);
	for (size_t i = 0; i < table->n; i++)
		table->ids[i] = &table->mounts[i];
	qsort(table->ids, table->n, sizeof(*table->ids), cmp_id);
	find_root(table);
	for (size_t i = 0; i < table->n; i++) {
		struct mount *m = &table->mounts[i];
		const struct mount *parent = mount_table_by_id(table, m->parent);

		m->by_automount = !m->on_access && parent != NULL && parent->on_access;
		table->has_remote = table->has_remote || mount_is_remote(m);
		set_group(m);
		set_volume(table, m);
	}
}

int mount_table_read(const char *text, size_t n, struct mount_table **out, struct err *err)
{
	size_t lines = count_lines(text, n);
	struct mount_table *table = NULL;
	int rc = 0;

	if (n > MOUNT_TABLE_TEXT_MAX || lines > MOUNT_TABLE_MAX)
		return err_set(err, ERR_LIMIT, "mount table: more than %d mounts", MOUNT_TABLE_MAX);
	table = mem_calloc(1, sizeof *table);
	if (table == NULL)
		return err_nomem(err);
	table->refs = 1;
	table->text = mem_alloc(n + 1);
	table->mounts = mem_calloc(lines, sizeof *table->mounts);
	table->ids = mem_calloc(lines, sizeof(*table->ids));
	if (table->text == NULL || table->mounts == NULL || table->ids == NULL) {
		rc = err_nomem(err);
		goto out;
	}
	if (n > 0)
		memcpy(table->text, text, n);
	table->text[n] = '\0';
	rc = parse(table, err);
	if (rc == 0) {
		finish(table);
		*out = table;
		return 0;
	}
out:
	mount_table_unref(table);
	return rc;
}

struct mount_table *mount_table_ref(struct mount_table *table)
{
	table->refs++;
	return table;
}

void mount_table_unref(struct mount_table *table)
{
	if (table == NULL || --table->refs > 0)
		return;
	mem_free(table->ids);
	mem_free(table->mounts);
	mem_free(table->text);
	mem_free(table);
}

bool mount_table_has_remote(const struct mount_table *table)
{
	return table != NULL && table->has_remote;
}
