/* What the files of syncing.c share: the sync client's callbacks that need the store, and its
 * state. */
#ifndef ENVWARDEN_AGENT_SYNCING_IMPL_H
#define ENVWARDEN_AGENT_SYNCING_IMPL_H

#include "agent/engine.h"

#define SYNCING_KEY_CONTINUITY "continuity"
#define SYNCING_KEY_USE_TOLD "use-told"
#define SYNCING_MEMORY_MAX (64u << 20) /* of one answer that is put together */

struct syncing {
	struct sync *client;
	bool connected;
	char server[LIMIT_ADDRESS + 1];
	char why[ENGINE_TEXT_MAX];
	unsigned char continuity[16];
	bool has_continuity;
	int64_t uses_ms;	 /* when the uses under way were gathered, 0 = none are */
	struct note_told *notes; /* under way */
	size_t n_notes;
	char ticket_path[PATHS_MAX];
	char identity_path[PATHS_MAX];
	syncing_enrol_cb enrolled;
	void *enrolled_ctx;
	void (*stopped)(void *owner); /* while it stops */
	void *owner;
};

/* Needs an identity. */
int syncing_start_client(struct engine *e, struct err *err);

/* --- syncing_read.c: what the server lacks, from the store --- */
void syncing_read_batch(void *ctx, uint64_t after);
void syncing_read_packages(void *ctx, const unsigned char *keys, size_t n);

/* --- syncing_keep.c: what the server said, into the store --- */
void syncing_keep_ack(struct engine *e, const struct uuid *epoch, uint64_t seq,
		      const unsigned char *keys, size_t n);
void syncing_acked(void *ctx, const struct uuid *epoch, uint64_t seq);
void syncing_packages_sent(void *ctx, const unsigned char *keys, size_t n);
void syncing_welcome(void *ctx, const Envwarden__Sync__Welcome *welcome);
void syncing_packages_lost(void *ctx);

#endif
