#include "agent/reader/condarc_path.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/mount_table.h"
#include "platform/route.h"
#include "platform/safe_open.h"

#define NAME_MAX_BYTES 255

struct remembered {
	struct condarc condarc; /* first: found by it. Empty when the file is no YAML */
	char *path;
	struct file_info info;
	struct arena arena;
	uint64_t used; /* when last, in calls */
	unsigned refs; /* the cache's, and of those who found it */
};

struct condarc_cache {
	uv_mutex_t lock; /* never held while a file is opened: that may take for ever */
	struct remembered *files[CONDARC_CACHE_MAX];
	uint64_t calls;
};

struct condarc_cache *condarc_cache_new(void)
{
	struct condarc_cache *cache = mem_calloc(1, sizeof *cache);

	if (cache != NULL && uv_mutex_init(&cache->lock) < 0) {
		mem_free(cache);
		cache = NULL;
	}
	return cache;
}

/* With the lock held, or before anybody else knows it. */
static void let_go(struct remembered *f)
{
	if (f == NULL || --f->refs > 0)
		return;
	mem_free(f->path);
	arena_deinit(&f->arena);
	mem_free(f);
}

void condarc_cache_free(struct condarc_cache *cache)
{
	if (cache == NULL)
		return;
	for (size_t i = 0; i < CONDARC_CACHE_MAX; i++)
		let_go(cache->files[i]);
	uv_mutex_destroy(&cache->lock);
	mem_free(cache);
}

void condarc_found_release(struct condarc_found *found)
{
	if (found->n == 0)
		return;
	uv_mutex_lock(&found->cache->lock);
	for (size_t i = 0; i < found->n; i++)
		let_go((struct remembered *)(uintptr_t)found->files[i]);
	uv_mutex_unlock(&found->cache->lock);
	found->n = 0;
}

/* The one of this path, else an empty one, else the one unused for longest. */
static struct remembered **slot_for(struct condarc_cache *cache, const char *path)
{
	struct remembered **oldest = &cache->files[0];

	for (size_t i = 0; i < CONDARC_CACHE_MAX; i++) {
		struct remembered **f = &cache->files[i];

		if (*f != NULL && strcmp((*f)->path, path) == 0)
			return f;
		if (*oldest != NULL && (*f == NULL || (*f)->used < (*oldest)->used))
			oldest = f;
	}
	return oldest;
}

static bool same_file(const struct file_info *a, const struct file_info *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* What is wrong with a file is no error here: conda passes over it, too. */
static struct remembered *read_file(const struct safe_dir *dir, const char *name, const char *path,
				    uint32_t owner, const struct file_info *info)
{
	struct remembered *f = mem_calloc(1, sizeof *f);
	struct buf text;
	int rc;

	if (f == NULL || (f->path = mem_strdup(path)) == NULL) {
		mem_free(f);
		return NULL;
	}
	f->refs = 1;
	f->info = *info;
	arena_init(&f->arena, CONDARC_ARENA_MAX);
	buf_init(&text, CONDARC_FILE_MAX + 1);
	rc = safe_read_whole(dir, name, owner, CONDARC_FILE_MAX, &text, &f->info, NULL);
	if (rc == 0)
		rc = condarc_parse(text.data != NULL ? text.data : "", text.len, &f->arena,
				   &f->condarc, NULL);
	buf_deinit(&text);
	if (rc == ERR_NOMEM) {
		let_go(f);
		return NULL;
	}
	return f;
}

struct search {
	struct condarc_cache *cache;
	const struct condarc_reach *reach;
	struct condarc_found *out;
};

static struct remembered *recall(struct condarc_cache *cache, const char *path,
				 const struct file_info *info)
{
	struct remembered *f;

	uv_mutex_lock(&cache->lock);
	f = *slot_for(cache, path);
	if (f != NULL && strcmp(f->path, path) == 0 && same_file(&f->info, info)) {
		f->refs++;
		f->used = ++cache->calls;
	} else {
		f = NULL;
	}
	uv_mutex_unlock(&cache->lock);
	return f;
}

static void remember(struct condarc_cache *cache, struct remembered *f)
{
	struct remembered **slot;

	uv_mutex_lock(&cache->lock);
	slot = slot_for(cache, f->path);
	let_go(*slot);
	*slot = f;
	f->refs++;
	f->used = ++cache->calls;
	uv_mutex_unlock(&cache->lock);
}

/* The same place twice: the first counts, as in conda. */
static bool is_found(const struct condarc_found *found, const char *path)
{
	for (size_t i = 0; i < found->n; i++)
		if (strcmp(((const struct remembered *)found->files[i])->path, path) == 0)
			return true;
	return false;
}

/* A regular file beneath `dir`, which counts as lying at `path`. */
struct place {
	const struct safe_dir *dir;
	const char *name;
	const char *path;
	uint32_t owner;
};

static int add_regular(struct search *s, const struct place *at, const struct file_info *info)
{
	struct remembered *f = recall(s->cache, at->path, info);

	if (f == NULL) {
		f = read_file(at->dir, at->name, at->path, at->owner, info);
		if (f == NULL)
			return ERR_NOMEM;
		remember(s->cache, f);
	}
	if (f->condarc.given) {
		s->out->files[s->out->n++] = &f->condarc;
		return 0;
	}
	uv_mutex_lock(&s->cache->lock);
	let_go(f);
	uv_mutex_unlock(&s->cache->lock);
	return 0;
}

static bool is_theirs(const struct file_info *info, uint32_t owner)
{
	return owner == SAFE_OWNER_ANY || info->uid == owner || info->uid == 0;
}

/*
 * Whether a link may lead this account to a file: to one of its own, or to one of root's that
 * everybody may read, where everybody may go. Else a link would open for it what it may not.
 */
static bool may_lead(const struct safe_dir *root, const char *relative,
		     const struct file_info *info, uint32_t owner)
{
	char path[SAFE_PATH_MAX];
	struct file_info part;

	if (info->uid == owner)
		return true;
	if (info->uid != 0 || (info->mode & 0004) == 0)
		return false;
	(void)snprintf(path, sizeof path, "%s", relative);
	for (char *slash = strrchr(path, '/'); slash != NULL; slash = strrchr(path, '/')) {
		*slash = '\0';
		if (safe_stat(root, path, &part, NULL) < 0 ||
		    ((part.mode & 0001) == 0 && part.uid != owner))
			return false;
	}
	return true;
}

/* conda follows links: people keep such files in a repository. The target is opened free of links,
 * so that it is the file that was looked at. */
static int add_link(struct search *s, const char *path, uint32_t owner)
{
	char real[SAFE_PATH_MAX];
	struct safe_dir *root = NULL;
	struct file_info info;
	int rc = 0;

	(void)snprintf(real, sizeof real, "%s", path);
	if (route_resolve(s->reach->mounts, s->reach->group, real) != 0 ||
	    safe_dir_open("/", &root, NULL) < 0)
		return 0;
	if (safe_stat(root, real + 1, &info, NULL) == 0 && info.is_regular &&
	    may_lead(root, real + 1, &info, owner))
		rc = add_regular(s, &(struct place){root, real + 1, path, owner}, &info);
	safe_dir_close(root);
	return rc;
}

static int add_file(struct search *s, const struct safe_dir *dir, const char *folder,
		    const char *name, uint32_t owner)
{
	char path[SAFE_PATH_MAX];
	struct file_info info;
	int n = snprintf(path, sizeof path, "%s/%s", folder, name);

	if (n < 0 || (size_t)n >= sizeof path || safe_stat(dir, name, &info, NULL) < 0 ||
	    !is_theirs(&info, owner) || s->out->n == CONDARC_FILES_MAX || is_found(s->out, path))
		return 0;
	if (info.is_link)
		return add_link(s, path, owner);
	return info.is_regular ? add_regular(s, &(struct place){dir, name, path, owner}, &info) : 0;
}

static bool may_touch(const struct search *s, const char *path)
{
	char copy[SAFE_PATH_MAX];

	if (s->reach->mounts == NULL || !mount_table_has_remote(s->reach->mounts))
		return true;
	return snprintf(copy, sizeof copy, "%s", path) < (int)sizeof copy &&
	       route_follow(s->reach->mounts, s->reach->group, copy) == 0;
}

/* --- folders of files --- */

struct names {
	char (*names)[NAME_MAX_BYTES + 1];
	size_t n;
};

static int on_name(void *ctx, const char *name)
{
	struct names *all = ctx;

	if ((text_ends(name, ".yml") || text_ends(name, ".yaml")) &&
	    strlen(name) <= NAME_MAX_BYTES && all->n < CONDARC_FOLDER_MAX)
		(void)snprintf(all->names[all->n++], NAME_MAX_BYTES + 1, "%s", name);
	return 0;
}

static int cmp_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Every *.yml and *.yaml, sorted. */
static int add_folder(struct search *s, const char *folder, uint32_t owner)
{
	struct names all = {0};
	struct safe_dir *dir = NULL;
	int rc = 0;

	if (!may_touch(s, folder) || safe_dir_open(folder, &dir, NULL) < 0)
		return 0;
	all.names = mem_calloc(CONDARC_FOLDER_MAX, sizeof *all.names);
	if (all.names == NULL)
		rc = ERR_NOMEM;
	else
		(void)safe_dir_list(dir, CONDARC_FOLDER_MAX * 16, on_name, &all, NULL);
	if (all.n > 0)
		qsort(all.names, all.n, sizeof *all.names, cmp_names);
	for (size_t i = 0; rc == 0 && i < all.n; i++)
		rc = add_file(s, dir, folder, all.names[i], owner);
	mem_free(all.names);
	safe_dir_close(dir);
	return rc;
}

/* "<dir>/<name>": ".condarc", "condarc", "condarc.d"; the owner is the folder's own when asked. */
#define OWNER_OF_FOLDER (SAFE_OWNER_ANY - 1)

static int add_names(struct search *s, const char *folder, const char *const *names, size_t n,
		     uint32_t owner)
{
	struct safe_dir *dir = NULL;
	struct file_info info;
	int rc = 0;

	if (folder[0] != '/' || !may_touch(s, folder) || safe_dir_open(folder, &dir, NULL) < 0)
		return 0;
	if (owner == OWNER_OF_FOLDER)
		owner = safe_dir_info(dir, &info, NULL) == 0 ? info.uid : 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		char path[SAFE_PATH_MAX];
		int len = snprintf(path, sizeof path, "%s/%s", folder, names[i]);

		if (!text_ends(names[i], ".d"))
			rc = add_file(s, dir, folder, names[i], owner);
		else if (len > 0 && (size_t)len < sizeof path)
			rc = add_folder(s, path, owner);
	}
	safe_dir_close(dir);
	return rc;
}

static int add_rc(struct search *s, const char *folder, uint32_t owner, bool mamba)
{
	static const char *const names[] = {".condarc", "condarc", "condarc.d", ".mambarc"};

	return add_names(s, folder, names, mamba ? 4 : 3, owner);
}

static int add_mambarc(struct search *s, const char *folder, uint32_t owner)
{
	static const char *const names[] = {".mambarc", "mambarc", "mambarc.d"};

	return add_names(s, folder, names, 3, owner);
}

/* "<parent>/<name>", or "" without a parent. */
static const char *below(const char *parent, const char *name, char out[SAFE_PATH_MAX])
{
	int n = snprintf(out, SAFE_PATH_MAX, "%s/%s", parent, name);

	return parent[0] == '/' && n > 0 && n < SAFE_PATH_MAX ? out : "";
}

/* --- the parts of the search path --- */

static int add_system(struct search *s, bool mamba)
{
	int rc = add_rc(s, "/etc/conda", 0, mamba);

	return rc == 0 ? add_rc(s, "/var/lib/conda", 0, mamba) : rc;
}

static int add_home(struct search *s, const char *home, uint32_t uid)
{
	static const char *const last[] = {".condarc"};
	char folder[SAFE_PATH_MAX];
	int rc = add_rc(s, below(home, ".config/conda", folder), uid, false);

	if (rc == 0)
		rc = add_rc(s, below(home, ".conda", folder), uid, false);
	return rc == 0 ? add_names(s, home, last, 1, uid) : rc;
}

static int add_home_of_mamba(struct search *s, const char *home, uint32_t uid)
{
	static const char *const last[] = {".mambarc"};
	char folder[SAFE_PATH_MAX];
	int rc = add_mambarc(s, below(home, ".config/mamba", folder), uid);

	if (rc == 0)
		rc = add_mambarc(s, below(home, ".mamba", folder), uid);
	return rc == 0 ? add_names(s, home, last, 1, uid) : rc;
}

/* What a variable names: a folder of files, or a file whose name says that it is one. */
static int add_named(struct search *s, const char *path, uint32_t uid)
{
	static const char *const names[] = {".condarc", "condarc", ".mambarc", "mambarc"};
	const char *slash = strrchr(path, '/');
	char folder[SAFE_PATH_MAX];
	bool fits = text_ends(path, ".yml") || text_ends(path, ".yaml");
	int n;

	if (slash == NULL || path[0] != '/')
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		fits = fits || strcmp(slash + 1, names[i]) == 0;
	n = snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	if (fits && n > 0 && (size_t)n < sizeof folder) {
		const char *name = slash + 1;
		size_t before = s->out->n;
		int rc = add_names(s, folder, &name, 1, uid);

		if (rc < 0 || s->out->n > before)
			return rc;
	}
	return add_folder(s, path, uid);
}

static struct search begin(struct condarc_cache *cache, const struct condarc_reach *reach,
			   struct condarc_found *out)
{
	out->n = 0;
	out->cache = cache;
	return (struct search){.cache = cache, .reach = reach, .out = out};
}

static int end(struct condarc_found *out, int rc)
{
	if (rc < 0)
		condarc_found_release(out);
	return rc;
}

int condarc_path_of_user(struct condarc_cache *cache, const struct condarc_reach *reach,
			 const struct condarc_who *who, struct condarc_found *out)
{
	struct search s = begin(cache, reach, out);
	char folder[SAFE_PATH_MAX];
	const char *xdg = below(who->xdg_config_home, "conda", folder);
	int rc = add_system(&s, who->mamba);

	if (rc == 0)
		rc = add_rc(&s, who->base, OWNER_OF_FOLDER, who->mamba);
	if (rc == 0 && !who->mamba) /* mamba reads it after those of the home */
		rc = add_rc(&s, xdg, who->uid, false);
	if (rc == 0)
		rc = add_home(&s, who->home, who->uid);
	if (rc == 0 && who->mamba)
		rc = add_rc(&s, xdg, who->uid, false);
	if (rc == 0)
		rc = add_rc(&s, who->conda_prefix, OWNER_OF_FOLDER, false);
	if (rc == 0)
		rc = add_named(&s, who->condarc, who->uid);
	if (rc == 0 && who->mamba)
		rc = add_home_of_mamba(&s, who->home, who->uid);
	if (rc == 0 && who->mamba)
		rc = add_named(&s, who->mambarc, who->uid);
	return end(out, rc);
}

int condarc_path_of_home(struct condarc_cache *cache, const struct condarc_reach *reach,
			 const char *home, uint32_t uid, struct condarc_found *out)
{
	struct search s = begin(cache, reach, out);
	int rc = add_home(&s, home, uid);

	return end(out, rc == 0 ? add_home_of_mamba(&s, home, uid) : rc);
}

int condarc_path_of_folder(struct condarc_cache *cache, const struct condarc_reach *reach,
			   const char *folder, struct condarc_found *out)
{
	struct search s = begin(cache, reach, out);

	return end(out, add_rc(&s, folder, OWNER_OF_FOLDER, true));
}
