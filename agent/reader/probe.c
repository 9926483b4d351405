#include "agent/reader/probe.h"

#include <stdio.h>
#include <string.h>

#include "agent/link.h"
#include "agent/prefix/wire_path.h"
#include "agent/reader/entries.h"
#include "agent/reader/lanes.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "platform/safe_open.h"
#include "proto/convert.h"

struct lookup {
	struct piece piece;
	struct probe_context context;
	uint64_t id;
	struct arena arena;
	char **candidates;
	size_t n;
	size_t next;	  /* candidate to try */
	bool passed_over; /* one of them, since its file system does not answer */
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

static void reply(const struct probe_context *context, uint64_t id,
		  Envwarden__Reader__ProbeReply__State state, const char *prefix, uint64_t dev,
		  uint64_t ino)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__ProbeReply answer = ENVWARDEN__READER__PROBE_REPLY__INIT;
	struct wire_path path;

	answer.id = id;
	answer.state = state;
	(void)wire_path(&path, prefix, NULL); /* too long: nothing is known of it */
	answer.prefix = path.text;
	answer.device = dev;
	answer.inode = ino;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PROBE_REPLY;
	envelope.probe_reply = &answer;
	if (*context->link != NULL && link_send(*context->link, &envelope) < 0)
		link_stop(*context->link);
}

static void reply_entry(const struct probe_context *context, uint64_t id, const struct entry *e)
{
	uint64_t dev;
	uint64_t ino;

	entry_inode(e, &dev, &ino);
	reply(context, id, wire_state(entry_state(e)), entry_path(e), dev, ino);
}

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

	try_candidate(l, l->path);
}

static void lookup_free(struct lookup *l)
{
	arena_deinit(&l->arena);
	mem_free(l);
}

/* A candidate was there, or there are no more. */
static void lookup_end(struct lookup *l)
{
	const struct entry *e = NULL;

	if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__NONE && l->passed_over)
		l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__AWAY;
	if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN &&
	    l->context.left_alone(l->context.ctx, l->prefix)) {
		l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__UNREADABLE;
	} else if (l->state == ENVWARDEN__READER__PROBE_REPLY__STATE__UNKNOWN) {
		e = entries_find(l->context.entries, l->prefix);
		if (e == NULL)
			e = entries_find_inode(l->context.entries, l->info.dev, l->info.ino);
		if (e == NULL)
			(void)entries_candidate(l->context.entries, l->prefix, true);
	}
	if (e != NULL)
		reply_entry(&l->context, l->id, e);
	else
		reply(&l->context, l->id, l->state, l->prefix, l->info.dev, l->info.ino);
	lookup_free(l);
}

static bool is_known(const struct entry *e)
{
	return e != NULL && entry_state(e) != ENTRY_PLAIN;
}

/* Tries candidates until one is in a lane, is known, or there are no more. */
static void lookup_go_on(struct lookup *l)
{
	while (l->next < l->n) {
		const char *candidate = l->candidates[l->next++];
		const struct entry *e = entries_find(l->context.entries, candidate);

		if (is_known(e)) {
			reply_entry(&l->context, l->id, e);
			lookup_free(l);
			return;
		}
		(void)snprintf(l->path, sizeof l->path, "%s", candidate);
		if (lanes_submit(l->context.lanes, &l->piece, candidate, false) == 0)
			return;
		l->passed_over = true;
	}
	lookup_end(l);
}

static void lookup_done(struct piece *piece)
{
	struct lookup *l = container_of(piece, struct lookup, piece);

	if (*l->context.link == NULL)
		lookup_free(l);
	else if (l->state != ENVWARDEN__READER__PROBE_REPLY__STATE__NONE)
		lookup_end(l);
	else {
		l->passed_over = l->passed_over || piece->end == PIECE_REFUSED;
		lookup_go_on(l);
	}
}

/* If this one only waits for it, the others may be had. */
static void lookup_stuck(struct piece *piece)
{
	struct lookup *l = container_of(piece, struct lookup, piece);

	if (!lanes_cancel(piece))
		return;
	l->passed_over = true;
	lookup_go_on(l);
}

int probe(const struct probe_context *context, const Envwarden__Reader__Probe *request)
{
	const struct entry *e = NULL;
	struct lookup *l;
	char path[SAFE_PATH_MAX];
	bool whole = true;

	if (request->n_candidates > 0 &&
	    text_to_path(request->candidates[0], path, sizeof path) == 0)
		e = entries_find(context->entries, path);
	if (is_known(e)) {
		reply_entry(context, request->id, e);
		return 0;
	}
	l = mem_calloc(1, sizeof *l);
	if (l == NULL)
		return ERR_NOMEM;
	arena_init(&l->arena, request->n_candidates * (SAFE_PATH_MAX + 64) + 4096);
	l->candidates = arena_calloc(&l->arena, request->n_candidates + 1, sizeof *l->candidates);
	for (size_t i = 0; l->candidates != NULL && i < request->n_candidates; i++) {
		if (text_to_path(request->candidates[i], path, sizeof path) < 0)
			continue; /* no path can be that */
		l->candidates[l->n] = arena_strdup(&l->arena, path);
		whole = whole && l->candidates[l->n++] != NULL;
	}
	if (!whole || l->candidates == NULL) {
		arena_deinit(&l->arena);
		mem_free(l);
		return ERR_NOMEM;
	}
	l->context = *context;
	l->id = request->id;
	l->state = ENVWARDEN__READER__PROBE_REPLY__STATE__NONE;
	l->piece = (struct piece){.rank = PIECE_SHORT,
				  .run = lookup_run,
				  .done = lookup_done,
				  .stuck = lookup_stuck,
				  .path = l->path};
	lookup_go_on(l);
	return 0;
}
