#include "agent/reader/probe.h"

#include <stdio.h>
#include <string.h>

#include "agent/accounts.h"
#include "agent/core/resolve.h"
#include "agent/link.h"
#include "agent/prefix/wire_path.h"
#include "agent/reader/condarc_path.h"
#include "agent/reader/entries.h"
#include "agent/reader/exclude.h"
#include "agent/reader/lanes.h"
#include "agent/reader/places.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/safe_open.h"
#include "proto/convert.h"

#define LOOKUP_ARENA_MAX (8u << 20)
#define ACCOUNT_MS 30 /* others wait behind it, and who asks has 100 ms */

struct lookup {
	struct piece piece;
	struct probe_context context;
	struct arena arena;
	Envwarden__Reader__Probe request; /* copied; texts in the arena */
	struct condarc_found found;
	struct resolved candidates;
	bool resolved;	  /* candidates are known */
	bool from_root;	  /* resolved without the home, whose file system does not answer */
	size_t n_own;	  /* of the candidates, those that conda would try, too */
	size_t next;	  /* candidate to try */
	bool passed_over; /* a candidate, since its file system does not answer */
	char path[SAFE_PATH_MAX];
	/* the first candidate that is a directory: */
	Envwarden__Reader__ProbeReply__State state; /* NONE, NOT_ENV, UNREADABLE or UNKNOWN */
	char prefix[SAFE_PATH_MAX];
	struct file_info info;
};

static Envwarden__Reader__ProbeReply__State wire_state(enum entry_state state)
{
	switch (state) {
	case ENTRY_NEW:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN;
	case ENTRY_CLEAN:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__CLEAN;
	case ENTRY_DIRTY:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__DIRTY;
	case ENTRY_BUSY:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__BUSY;
	case ENTRY_PLAIN:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__NOT_ENV;
	case ENTRY_AWAY:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__AWAY;
	case ENTRY_DENIED:
		return ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE;
	}
	return ENVWARDEN__READER__PROBE_REPLY__STATE__NONE;
}

static void reply(const struct probe_context *context, Envwarden__Reader__ProbeReply *answer,
		  const char *prefix)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	struct wire_path path;

	(void)wire_path(&path, prefix, NULL); /* too long: nothing is known of it */
	answer->prefix = path.text;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PROBE_REPLY;
	envelope.probe_reply = answer;
	if (*context->link != NULL && link_send(*context->link, &envelope) < 0)
		link_stop(*context->link);
	answer->prefix = wire_text(""); /* borrowed until here */
}

static void reply_entry(const struct probe_context *context, uint64_t id, struct entry *e,
			bool guessed)
{
	Envwarden__Reader__ProbeReply answer = ENVWARDEN__READER__PROBE_REPLY__INIT;

	answer.id = id;
	answer.state = wire_state(entry_state(e));
	answer.guessed = guessed;
	answer.lease = entry_lend(e);
	entry_inode(e, &answer.device, &answer.inode);
	reply(context, &answer, entry_path(e));
}

/* --- what is meant: on a lane, for files say it --- */

static bool home_of(void *ctx, const char *name, char home[EXPAND_PATH_MAX])
{
	struct accounts *accounts = ctx;
	struct user user;

	return accounts_by_name(accounts, name, ACCOUNT_MS, &user) == 0 && user.home[0] == '/' &&
	       snprintf(home, EXPAND_PATH_MAX, "%s", user.home) < EXPAND_PATH_MAX;
}

static enum resolve_kind kind_of(const Envwarden__Reader__Probe *request)
{
	return request->kind <= RESOLVE_NAME ? (enum resolve_kind)request->kind : RESOLVE_ENV;
}

static bool asks_mamba(const Envwarden__Reader__Probe *request)
{
	return (request->asker & ENVWARDEN__READER__PROBE_ASKER__ASKER_MAMBA) != 0;
}

/* The folders of CONDA_ENVS_DIRS as one more file, of the highest priority. mamba turns them round
 * and puts them in front (libmamba: envs_dirs_hook). */
static int of_variable(struct lookup *l, struct condarc *out)
{
	const Envwarden__Reader__Probe *request = &l->request;
	size_t n = request->n_envs_dirs;

	*out = (struct condarc){.given = n > 0, .n = n};
	out->items = arena_calloc(&l->arena, n + 1, sizeof *out->items);
	for (size_t i = 0; out->items != NULL && i < n; i++)
		out->items[i].text = request->envs_dirs[asks_mamba(request) ? n - 1 - i : i];
	return out->items != NULL ? 0 : ERR_NOMEM;
}

static int find_envs_dirs(struct lookup *l, struct resolve_input *in)
{
	const Envwarden__Reader__Probe *request = &l->request;
	const struct mount *m = mount_table_find(l->piece.table, l->path);
	const struct condarc_reach reach = {l->piece.table, m != NULL ? m->group : 0};
	const struct condarc_who who = {.uid = request->uid,
					.home = in->where.home,
					.xdg_config_home = request->config[0],
					.base = request->root_prefix,
					.conda_prefix = request->conda_prefix,
					.condarc = request->config[1],
					.mambarc = request->config[2],
					.mamba = in->mamba};
	const struct condarc *files[CONDARC_FILES_MAX + 1];
	struct condarc variable;
	size_t n;
	int rc = condarc_path_of_user(l->context.condarc, &reach, &who, &l->found);

	if (rc == 0)
		rc = of_variable(l, &variable);
	if (rc != 0)
		return rc;
	n = l->found.n;
	memcpy(files, l->found.files, n * sizeof files[0]);
	if (variable.given)
		files[n++] = &variable;
	return condarc_merge(files, n, in->mamba ? CONDARC_BY_MAMBA : CONDARC_BY_CONDA, &l->arena,
			     &in->envs_dirs, &in->n_envs_dirs);
}

static bool names_user(const struct resolve_input *in)
{
	bool yes = strstr(in->typed, "USER") != NULL || strstr(in->typed, "LOGNAME") != NULL;

	for (size_t i = 0; i < in->n_envs_dirs; i++)
		yes = yes || strstr(in->envs_dirs[i], "USER") != NULL ||
		      strstr(in->envs_dirs[i], "LOGNAME") != NULL;
	return yes;
}

/* What conda would try, then what the core knows. The account is asked for only where it matters:
 * that may take a while. */
static int find_candidates(struct lookup *l)
{
	const Envwarden__Reader__Probe *request = &l->request;
	struct user user = {.name = "", .home = ""};
	struct resolve_input in = {
		.kind = kind_of(request),
		.typed = request->typed,
		.where = {.home = request->home,
			  .user = user.name,
			  .conda_prefix = request->conda_prefix,
			  .base = request->root_prefix,
			  .cwd = request->cwd,
			  .home_of = home_of,
			  .ctx = l->context.accounts},
		.mamba = asks_mamba(request),
		.base_read_only =
			(request->asker & ENVWARDEN__READER__PROBE_ASKER__ASKER_READ_ONLY) != 0};
	int rc = 0;

	if (in.where.home[0] != '/' &&
	    accounts_by_uid(l->context.accounts, request->uid, ACCOUNT_MS, &user) == 0)
		in.where.home = user.home;
	if (resolve_by_name(in.kind, in.typed))
		rc = find_envs_dirs(l, &in);
	if (rc == 0 && user.name[0] == '\0' && names_user(&in) &&
	    accounts_by_uid(l->context.accounts, request->uid, ACCOUNT_MS, &user) < 0)
		user.name[0] = '\0';
	if (rc == 0 && resolve(&in, &l->arena, &l->candidates, NULL) == ERR_NOMEM)
		rc = ERR_NOMEM;
	l->n_own = l->candidates.n;
	for (size_t i = 0; i < request->n_candidates && rc == 0; i++)
		rc = resolve_add(&l->candidates, &l->arena, request->candidates[i]);
	condarc_found_release(&l->found);
	return rc;
}

/* --- which of them is there --- */

/* The state stays NONE when it is not there. */
static void try_candidate(struct lookup *l, const char *path)
{
	struct safe_dir *dir = NULL;
	struct file_info meta;
	int rc = safe_dir_open(path, &dir, NULL);

	if (rc == 0)
		rc = safe_dir_real_path(dir, l->prefix, sizeof l->prefix, NULL);
	if (rc == 0)
		rc = safe_dir_info(dir, &l->info, NULL);
	if (rc == 0)
		l->state = safe_stat(dir, "conda-meta", &meta, NULL) == 0 && meta.is_dir
				   ? ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN
				   : ENVWARDEN__READER__PROBE_REPLY__STATE__NOT_ENV;
	else if (rc == ERR_PERM)
		l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE;
	safe_dir_close(dir);
}

static void lookup_run(struct piece *piece)
{
	struct lookup *l = container_of(piece, struct lookup, piece);

	if (l->resolved)
		try_candidate(l, l->path);
	else if (find_candidates(l) < 0)
		l->candidates.n = 0;
}

static void lookup_free(struct lookup *l)
{
	arena_deinit(&l->arena);
	mem_free(l);
}

/* Where a tool that asks has its root, there are environments. */
static void tell_root(const struct lookup *l)
{
	const char *root = l->request.root_prefix;

	if (root[0] == '/' && *l->context.places != NULL)
		(void)places_add(*l->context.places, PLACE_PREFIX, root);
}

/* The candidate tried last is one that conda would not have found. */
static bool was_guessed(const struct lookup *l)
{
	return l->next > l->n_own;
}

/* A candidate was there, or there are no more. */
static void lookup_end(struct lookup *l)
{
	Envwarden__Reader__ProbeReply answer = ENVWARDEN__READER__PROBE_REPLY__INIT;
	struct entry *e = NULL;

	if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__NONE && l->passed_over)
		l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__AWAY;
	if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN &&
	    exclude_has(l->context.exclude, l->prefix)) {
		l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE;
	} else if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN) {
		e = entries_find(l->context.entries, l->prefix);
		if (e == NULL)
			e = entries_find_inode(l->context.entries, l->info.dev, l->info.ino);
		if (e == NULL)
			(void)entries_candidate(l->context.entries, l->prefix, true);
		tell_root(l);
	}
	if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__NONE && l->candidates.n > 0)
		(void)snprintf(l->prefix, sizeof l->prefix, "%s", l->candidates.candidates[0]);
	if (e != NULL) {
		reply_entry(&l->context, l->request.id, e, was_guessed(l));
	} else {
		answer.id = l->request.id;
		answer.state = l->state;
		answer.guessed = was_guessed(l);
		answer.device = l->info.dev;
		answer.inode = l->info.ino;
		reply(&l->context, &answer, l->prefix);
	}
	lookup_free(l);
}

static bool is_known(const struct entry *e)
{
	return e != NULL && entry_state(e) != ENTRY_PLAIN;
}

/* Tries candidates until one is in a lane, is known, or there are no more. */
static void lookup_go_on(struct lookup *l)
{
	while (l->next < l->candidates.n) {
		const char *candidate = l->candidates.candidates[l->next++];
		struct entry *e = entries_find(l->context.entries, candidate);

		if (is_known(e)) {
			reply_entry(&l->context, l->request.id, e, was_guessed(l));
			lookup_free(l);
			return;
		}
		(void)snprintf(l->path, sizeof l->path, "%s", candidate);
		if (exclude_has(l->context.exclude, candidate)) {
			l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE;
			(void)snprintf(l->prefix, sizeof l->prefix, "%s", candidate);
			break;
		}
		if (lanes_submit(l->context.lanes, &l->piece, candidate, false) == 0)
			return;
		l->passed_over = true;
	}
	lookup_end(l);
}

/* In the lane of the home, whose files say most; if that does not answer, without it. */
static void resolve_start(struct lookup *l)
{
	if (!l->from_root && l->request.home[0] == '/') {
		(void)snprintf(l->path, sizeof l->path, "%s", l->request.home);
		if (lanes_submit(l->context.lanes, &l->piece, l->path, false) == 0)
			return;
	}
	l->from_root = true;
	(void)snprintf(l->path, sizeof l->path, "/");
	if (lanes_submit(l->context.lanes, &l->piece, l->path, false) == 0)
		return;
	l->resolved = true;
	lookup_end(l);
}

static void lookup_done(struct piece *piece)
{
	struct lookup *l = container_of(piece, struct lookup, piece);

	if (*l->context.link == NULL) {
		lookup_free(l);
	} else if (!l->resolved && piece->end == PIECE_REFUSED && !l->from_root) {
		l->from_root = true;
		resolve_start(l);
	} else if (l->state != ENVWARDEN__READER__PROBE_REPLY__STATE__NONE) {
		lookup_end(l);
	} else {
		l->passed_over = l->passed_over || (l->resolved && piece->end == PIECE_REFUSED);
		l->resolved = true;
		lookup_go_on(l);
	}
}

/* If this one only waits for it, the others may be had. */
static void lookup_stuck(struct piece *piece)
{
	struct lookup *l = container_of(piece, struct lookup, piece);

	if (!lanes_cancel(piece))
		return;
	if (l->resolved || l->from_root) {
		l->passed_over = l->passed_over || l->resolved;
		l->resolved = true;
		lookup_go_on(l);
	} else {
		l->from_root = true;
		resolve_start(l);
	}
}

/* --- asking --- */

/* A path that is known needs no file. */
static struct entry *find_known(const struct probe_context *context,
				const Envwarden__Reader__Probe *request)
{
	const struct resolve_input in = {.kind = kind_of(request),
					 .typed = request->typed,
					 .where = {.home = request->home,
						   .conda_prefix = request->conda_prefix,
						   .cwd = request->cwd}};
	char text[EXPAND_PATH_MAX];
	char path[SAFE_PATH_MAX];
	struct entry *e = NULL;

	if (resolve_by_name(in.kind, in.typed) || resolve_path(&in, text, NULL) < 0)
		return NULL;
	if (text_to_path(text, path, sizeof path) == 0)
		e = entries_find(context->entries, path);
	return is_known(e) ? e : NULL;
}

/* From the text on the wire to the path; "" for what can be none. */
static char *copy_path(struct arena *arena, const char *text)
{
	char path[SAFE_PATH_MAX];

	return arena_strdup(arena, text_to_path(text, path, sizeof path) == 0 ? path : "");
}

static int copy_request(struct lookup *l, const Envwarden__Reader__Probe *request)
{
	static char none[] = "";
	static char *const nothing[] = {none, none, none};
	char **texts[] = {&l->request.typed, &l->request.cwd, &l->request.conda_prefix,
			  &l->request.root_prefix, &l->request.home};
	struct {
		char ***list;
		size_t n;
	} lists[] = {{&l->request.candidates, request->n_candidates},
		     {&l->request.envs_dirs, request->n_envs_dirs},
		     {&l->request.config, request->n_config}};

	l->request = *request;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if ((*texts[i] = copy_path(&l->arena, *texts[i])) == NULL)
			return ERR_NOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		char **copy = arena_calloc(&l->arena, lists[i].n + 1, sizeof *copy);

		for (size_t k = 0; copy != NULL && k < lists[i].n; k++)
			if ((copy[k] = copy_path(&l->arena, (*lists[i].list)[k])) == NULL)
				return ERR_NOMEM;
		if (copy == NULL)
			return ERR_NOMEM;
		*lists[i].list = copy;
	}
	if (l->request.n_config != ARRAY_SIZE(nothing))
		l->request.config = (char **)(uintptr_t)nothing;
	return 0;
}

int probe(const struct probe_context *context, const Envwarden__Reader__Probe *request)
{
	struct entry *e = find_known(context, request);
	struct lookup *l;

	places_add_account(*context->places, request->uid);
	if (e != NULL) {
		reply_entry(context, request->id, e, false);
		return 0;
	}
	l = mem_calloc(1, sizeof *l);
	if (l == NULL)
		return ERR_NOMEM;
	arena_init(&l->arena, LOOKUP_ARENA_MAX);
	if (copy_request(l, request) < 0) {
		lookup_free(l);
		return ERR_NOMEM;
	}
	l->context = *context;
	l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__NONE;
	l->piece = (struct piece){.rank = PIECE_SHORT,
				  .run = lookup_run,
				  .done = lookup_done,
				  .stuck = lookup_stuck,
				  .path = l->path};
	resolve_start(l);
	return 0;
}
