#include "agent/envs.h"

#include <string.h>

#include "lib/base/mem.h"

static int cmp_id(const struct env *a, const struct env *b)
{
	return uuid_cmp(&a->id, &b->id);
}

static int cmp_path(const struct env *a, const struct env *b)
{
	return strcmp(a->prefix, b->prefix);
}

static int cmp_inode(const struct env *a, const struct env *b)
{
	if (a->device != b->device)
		return a->device < b->device ? -1 : 1;
	return a->inode < b->inode ? -1 : a->inode > b->inode;
}

RB_GENERATE_STATIC(env_ids, env, by_id, cmp_id)
RB_GENERATE_STATIC(env_paths, env, by_path, cmp_path)
RB_GENERATE_STATIC(env_inodes, env, by_inode, cmp_inode)

void envs_init(struct envs *all)
{
	*all = (struct envs){0};
	RB_INIT(&all->ids);
	RB_INIT(&all->paths);
	RB_INIT(&all->inodes);
}

static void drop_notes(struct env *env)
{
	for (size_t i = 0; i < env->n_notes; i++)
		mem_free(env->notes[i]);
	mem_free(env->notes);
	env->notes = NULL;
	env->n_notes = 0;
}

void env_set_notes(struct env *env, const char *const *notes, size_t n)
{
	drop_notes(env);
	env->notes = n > 0 ? mem_calloc(n, sizeof *env->notes) : NULL;
	for (size_t i = 0; env->notes != NULL && i < n; i++) {
		char *note = mem_strdup(notes[i]);

		if (note != NULL)
			env->notes[env->n_notes++] = note;
	}
}

void env_set_mount(struct env *env, const char *mount, bool remote)
{
	mem_free(env->mount);
	env->mount = mount[0] != '\0' ? mem_strdup(mount) : NULL;
	env->remote = remote;
}

static void env_free(struct env *env)
{
	if (env == NULL)
		return;
	drop_notes(env);
	ruling_deinit(&env->ruling);
	mem_free(env->prefix);
	mem_free(env->owner);
	mem_free(env->platform);
	mem_free(env->tool);
	mem_free(env->mount);
	mem_free(env);
}

void envs_deinit(struct envs *all)
{
	struct env *env;

	while ((env = RB_MIN(env_ids, &all->ids)) != NULL) {
		RB_REMOVE(env_ids, &all->ids, env);
		env_free(env);
	}
}

struct env *envs_by_id(const struct envs *all, const struct uuid *id)
{
	struct env key = {.id = *id};

	return RB_FIND(env_ids, (struct env_ids *)&all->ids, &key);
}

struct env *envs_by_path(const struct envs *all, const char *path)
{
	struct env key = {.prefix = (char *)path};

	return RB_FIND(env_paths, (struct env_paths *)&all->paths, &key);
}

struct env *envs_by_inode(const struct envs *all, uint64_t device, uint64_t inode)
{
	struct env key = {.device = device, .inode = inode};

	return inode == 0 ? NULL : RB_FIND(env_inodes, (struct env_inodes *)&all->inodes, &key);
}

static void leave(struct envs *all, struct env *env)
{
	if (env->at_path)
		RB_REMOVE(env_paths, &all->paths, env);
	if (env->at_inode)
		RB_REMOVE(env_inodes, &all->inodes, env);
	env->at_path = false;
	env->at_inode = false;
	all->living -= env->lives;
	RB_REMOVE(env_ids, &all->ids, env);
}

/* Of several that were at a path the living one, else the last to have changed, is found there. */
static bool yields(const struct env *there, const struct env *comes)
{
	if (there->lives != comes->lives)
		return comes->lives;
	return comes->last_change_ms >= there->last_change_ms;
}

static void enter(struct envs *all, struct env *env)
{
	struct env *there = envs_by_path(all, env->prefix);

	RB_INSERT(env_ids, &all->ids, env);
	all->living += env->lives;
	if (there != NULL && yields(there, env)) {
		RB_REMOVE(env_paths, &all->paths, there);
		there->at_path = false;
		there = NULL;
	}
	if (there == NULL) {
		RB_INSERT(env_paths, &all->paths, env);
		env->at_path = true;
	}
	if (!env->lives || env->inode == 0)
		return;
	there = envs_by_inode(all, env->device, env->inode);
	if (there != NULL) {
		RB_REMOVE(env_inodes, &all->inodes, there);
		there->at_inode = false;
	}
	RB_INSERT(env_inodes, &all->inodes, env);
	env->at_inode = true;
}

static int64_t newest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Whether something differs that decisions are made of. */
static bool differs(const struct env *a, const struct env *b)
{
	return a->lives != b->lives || a->created_ms != b->created_ms ||
	       memcmp(a->digest, b->digest, sizeof a->digest) != 0 ||
	       memcmp(a->attribute_digest, b->attribute_digest, sizeof a->attribute_digest) != 0 ||
	       !same_text(a->prefix, b->prefix) || !same_text(a->owner, b->owner) ||
	       !same_text(a->platform, b->platform) || !same_text(a->tool, b->tool);
}

int envs_put(struct envs *all, const struct environment *row)
{
	struct env *old = envs_by_id(all, &row->id);
	struct env *env = mem_calloc(1, sizeof *env);

	if (env == NULL)
		return ERR_NOMEM;
	env->id = row->id;
	env->prefix = mem_strdup(row->prefix);
	env->owner = mem_strdup(row->owner.name);
	env->platform = mem_strdup(row->platform);
	env->tool = mem_strdup(row->tool);
	if (!env->prefix || !env->owner || !env->platform || !env->tool) {
		env_free(env);
		return ERR_NOMEM;
	}
	env->owner_uid = row->owner.uid;
	env->device = row->device;
	env->inode = row->inode;
	memcpy(env->volume, row->volume, sizeof env->volume);
	env->package_count = row->package_count;
	env->created_ms = row->created_ms;
	env->last_change_ms = row->last_change_ms;
	env->lives = environment_lives(row);
	env->self_reported = row->self_reported;
	if (row->self_reported && row->stamp_n > 0 && row->stamp_n <= sizeof env->stamp) {
		memcpy(env->stamp, row->stamp, row->stamp_n);
		env->stamp_n = row->stamp_n;
	}
	env->seen = old != NULL && old->seen;
	env->away = old != NULL && old->away && env->lives;
	env->saved_used_ms = row->last_used_ms;
	env->saved_run_ms = row->last_run_ms;
	/* What was seen since the store last heard of it is newer than the row. */
	env->last_used_ms = newest(row->last_used_ms, old != NULL ? old->last_used_ms : 0);
	env->last_run_ms = newest(row->last_run_ms, old != NULL ? old->last_run_ms : 0);
	env->cloned_from = row->cloned_from;
	memcpy(env->digest, row->digest, sizeof env->digest);
	memcpy(env->attribute_digest, row->attribute_digest, sizeof env->attribute_digest);
	env->ruling.due = true;
	if (old != NULL) {
		env->ruling = old->ruling;
		env->ruling.due = old->ruling.due || differs(old, env);
		old->ruling = (struct ruling){.kept = NULL};
		env->made_seq = old->made_seq;
		env->changed_seq = old->changed_seq;
		env->mount = old->mount;
		old->mount = NULL;
		env->remote = old->remote;
		env->pieces = old->pieces;
		memcpy(env->pieces_digest, old->pieces_digest, sizeof env->pieces_digest);
		env->notes = old->notes;
		env->n_notes = old->n_notes;
		memcpy(env->notes_told, old->notes_told, sizeof env->notes_told);
		old->notes = NULL;
		old->n_notes = 0;
		leave(all, old);
		env_free(old);
	}
	enter(all, env);
	return 0;
}

const char *env_name(const struct env *env)
{
	const char *slash = strrchr(env->prefix, '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : env->prefix;
}

void envs_each(const struct envs *all, envs_cb cb, void *ctx)
{
	struct env *env;
	struct env *next;

	for (env = RB_MIN(env_paths, (struct env_paths *)&all->paths); env != NULL; env = next) {
		next = RB_NEXT(env_paths, &all->paths, env);
		cb(ctx, env);
	}
}
