#include <stdint.h>

#include "agent/store/row.h"
#include "lib/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void environment(struct bytes value, struct arena *arena, struct buf *out)
{
	static const struct uuid id;
	struct environment env;

	if (row_get_environment(&id, value, arena, &env) < 0)
		return;
	row_put_environment(out, &env);
	CHECK(row_get_environment(&id, (struct bytes){out->data, out->len}, arena, &env) == 0);
}

static void package(struct bytes value, struct arena *arena, struct buf *out)
{
	struct package p;
	bool sent;

	if (row_get_package(value, arena, &p, &sent) < 0)
		return;
	row_put_package(out, &p, sent);
	CHECK(row_get_package((struct bytes){out->data, out->len}, arena, &p, &sent) == 0);
}

static void change(struct bytes value, struct arena *arena)
{
	unsigned char hash[SHA256_SIZE];
	struct change_row row;

	if (row_get_change(value, arena, &row) < 0)
		return;
	CHECK(row_get_hash(value, hash) == 0);
	for (size_t i = 0; i < row.added.n; i++)
		ref_at(&row.added, i);
	for (size_t i = 0; i < row.removed.n; i++)
		ref_at(&row.removed, i);
}

/* A value of the store, its first byte saying of which table; what decodes, decodes again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes value;
	struct epoch_row epoch;
	struct ref_list refs;
	struct arena arena;
	struct buf out;

	if (size == 0)
		return 0;
	value = (struct bytes){data + 1, size - 1};
	arena_init(&arena, 8 << 20);
	buf_init(&out, ROW_MAX);
	switch (data[0]) {
	case 'e':
		environment(value, &arena, &out);
		break;
	case 'p':
		package(value, &arena, &out);
		break;
	case 'c':
		change(value, &arena);
		break;
	case 'o':
		row_get_epoch(value, &epoch);
		break;
	default:
		row_get_snapshot(value, &refs);
	}
	buf_deinit(&out);
	arena_deinit(&arena);
	return 0;
}
