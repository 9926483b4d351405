#include "agent/counts.h"

#include <string.h>

#define VERSION 3     /* 1, 2: without the moment of the block; 2: with the last run */
#define ROW_2_MORE 16 /* bytes behind `told` */

static void put(void *ctx, struct env *env)
{
	static const unsigned char none[sizeof env->ruling.told];
	struct buf *out = ctx;
	struct ruling *r = &env->ruling;

	r->counted = false;
	if (!env->lives || out->len + COUNTS_ROW > COUNTS_BYTES_MAX ||
	    (r->checks == 0 && r->runs_after_block == 0 && r->blocked_ms == 0 &&
	     memcmp(r->told, none, sizeof none) == 0))
		return;
	buf_add(out, env->id.b, UUID_SIZE);
	buf_add_u64(out, r->checks);
	buf_add_u64(out, r->warnings);
	buf_add_u64(out, r->refusals);
	buf_add_u64(out, r->runs_after_block);
	buf_add_u64(out, r->untold); /* a report of it is still owed */
	buf_add(out, r->told, sizeof r->told);
	buf_add_u64(out, (uint64_t)r->blocked_ms);
}

void counts_encode(const struct envs *all, struct buf *out)
{
	buf_add_u8(out, VERSION);
	envs_each(all, put, out);
}

static void take(const struct envs *all, struct rd *rd, uint8_t version, int64_t now_ms)
{
	struct ruling counted = {.kept = NULL};
	const void *id = rd_bytes(rd, UUID_SIZE);
	const void *told;
	struct uuid environment;
	struct env *env;

	counted.checks = rd_u64(rd);
	counted.warnings = rd_u64(rd);
	counted.refusals = rd_u64(rd);
	counted.runs_after_block = rd_u64(rd);
	counted.untold = rd_u64(rd) != 0;
	told = rd_bytes(rd, sizeof counted.told);
	if (version >= 3)
		counted.blocked_ms = (int64_t)rd_u64(rd);
	else if (version == 2)
		(void)rd_bytes(rd, ROW_2_MORE);
	if (rd->rc < 0)
		return;
	memcpy(environment.b, id, UUID_SIZE);
	env = envs_by_id(all, &environment);
	if (env == NULL)
		return;
	env->ruling.checks = counted.checks;
	env->ruling.warnings = counted.warnings;
	env->ruling.refusals = counted.refusals;
	env->ruling.runs_after_block = counted.runs_after_block;
	env->ruling.untold = counted.untold;
	env->ruling.blocked_ms = counted.blocked_ms > now_ms ? 1 : counted.blocked_ms;
	memcpy(env->ruling.told, told, sizeof env->ruling.told);
}

void counts_decode(const struct envs *all, const void *data, size_t n, int64_t now_ms)
{
	struct rd rd;
	uint8_t version;

	rd_init(&rd, data, n);
	version = rd_u8(&rd);
	while (version > 0 && version <= VERSION && rd.rc == 0 && rd.left > 0)
		take(all, &rd, version, now_ms);
}
