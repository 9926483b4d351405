/*
 * Walks all schemas: each text, byte string and list has a rule, and what is unpacked keeps to it.
 * A message with one field at and beyond its limit is built from wire bytes, whatever it lies in.
 */
#include "proto/field_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/limits.h"

#define NESTING_MAX 8
#define BYTES_MAX (LIMIT_BUNDLE + 65536)

/* --- wire bytes ------------------------------------------------------------------------------ */

static void add_varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_u8(b, (uint8_t)(v | 0x80));
	buf_add_u8(b, (uint8_t)v);
}

static void add_bytes(struct buf *b, uint32_t id, const void *data, size_t n)
{
	add_varint(b, (uint64_t)id << 3 | 2);
	add_varint(b, n);
	buf_add(b, data, n);
}

/* A field of n equal bytes. */
static void add_fill(struct buf *b, uint32_t id, size_t n, char fill)
{
	char *data = mem_alloc(n + 1);

	assert_non_null(data);
	memset(data, fill, n);
	add_bytes(b, id, data, n);
	mem_free(data);
}

static const struct field_limit *limit_of(const ProtobufCMessageDescriptor *m,
					  const ProtobufCFieldDescriptor *f)
{
	bool bounded = f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES ||
		       f->label == PROTOBUF_C_LABEL_REPEATED;

	return bounded ? field_limit_find(m, f) : NULL;
}

/* The byte strings a message must have to be one, but for the field under test. */
static void add_required(struct buf *b, const ProtobufCMessageDescriptor *m,
			 const ProtobufCFieldDescriptor *but)
{
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->fields[i];
		const struct field_limit *limit = limit_of(m, f);

		if (f != but && limit && limit->kind == FIELD_BYTES && limit->items == 0 &&
		    !limit->empty_ok)
			add_fill(b, f->id, limit->min, 'k');
	}
}

/* --- the walk -------------------------------------------------------------------------------- */

typedef int (*unpack_fn)(const void *data, size_t n, struct err *err);

struct place {
	unpack_fn unpack;
	const ProtobufCMessageDescriptor *messages[NESTING_MAX]; /* from the outermost in */
	const ProtobufCFieldDescriptor *fields[NESTING_MAX];
	size_t depth;
	unsigned tested;
};

#define UNPACK(kind, type)                                                                         \
	static int unpack_##kind(const void *data, size_t n, struct err *err)                      \
	{                                                                                          \
		struct arena arena;                                                                \
		type *msg;                                                                         \
		int rc;                                                                            \
                                                                                                   \
		arena_init(&arena, SIZE_MAX / 2);                                                  \
		rc = codec_unpack_##kind(data, n, &arena, &msg, err);                              \
		arena_deinit(&arena);                                                              \
		return rc;                                                                         \
	}
UNPACK(local, Envwarden__Local__Envelope)
UNPACK(reader, Envwarden__Reader__Envelope)
UNPACK(sync, Envwarden__Sync__Envelope)
UNPACK(signed, Envwarden__Bundle__Signed)
UNPACK(body, Envwarden__Bundle__Body)

/* Puts the innermost message's bytes into the messages around it and unpacks the whole. */
static int unpack_at(const struct place *place, struct buf *content, struct err *err)
{
	struct buf outer;
	int rc;

	assert_int_equal(buf_rc(content), 0);
	for (size_t i = place->depth - 1; i-- > 0;) {
		buf_init(&outer, BYTES_MAX);
		add_required(&outer, place->messages[i], place->fields[i]);
		add_bytes(&outer, place->fields[i]->id, content->data, content->len);
		assert_int_equal(buf_rc(&outer), 0);
		buf_deinit(content);
		*content = outer;
	}
	rc = place->unpack(content->data, content->len, err);
	buf_deinit(content);
	return rc;
}

/* The message at the end of the place with its last field `count` times `n` bytes of `fill`. */
static int try(const struct place *place, size_t count, size_t n, char fill, struct err *err)
{
	const ProtobufCMessageDescriptor *m = place->messages[place->depth - 1];
	const ProtobufCFieldDescriptor *f = place->fields[place->depth - 1];
	struct buf inner;
	struct buf b;

	buf_init(&b, BYTES_MAX);
	buf_init(&inner, BYTES_MAX);
	add_required(&b, m, f);
	if (f->type == PROTOBUF_C_TYPE_MESSAGE)
		add_required(&inner, f->descriptor, NULL);
	for (size_t i = 0; i < count; i++) {
		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			add_bytes(&b, f->id, inner.data, inner.len);
		else
			add_fill(&b, f->id, n, fill);
	}
	buf_deinit(&inner);
	return unpack_at(place, &b, err);
}

static void expect(const struct place *place, int rc, int want, const struct err *err)
{
	const char *message = place->messages[place->depth - 1]->short_name;
	const char *field = place->fields[place->depth - 1]->name;
	char start[256];

	snprintf(start, sizeof(start), "%s.%s: ", message, field);
	if (rc != want)
		fail_msg("%sexpected %s, not %s (%s)", start, want ? err_name(want) : "0",
			 rc ? err_name(rc) : "0", rc ? err->text : "");
	if (want != 0 && strncmp(err->text, start, strlen(start)) != 0)
		fail_msg("%sthe error names another field: %s", start, err->text);
}

static void expect_try(const struct place *place, size_t count, size_t n, char fill, int want)
{
	struct err err = ERR_INIT;
	int rc = try(place, count, n, fill, &err);

	expect(place, rc, want, &err);
}

static void test_text(const struct place *place, const struct field_limit *limit)
{
	expect_try(place, 1, limit->max, 'x', 0);
	expect_try(place, 1, limit->max + 1, 'x', ERR_LIMIT);
	expect_try(place, 1, 2, '\0', ERR_INVALID);
	expect_try(place, 1, 2, (char)0xff, ERR_INVALID);
}

static void test_bytes(const struct place *place, const struct field_limit *limit)
{
	bool fixed = limit->min == limit->max;

	expect_try(place, 1, 0, 'x', limit->empty_ok ? 0 : ERR_INVALID);
	if (limit->unit > 1)
		expect_try(place, 1, limit->unit + 1, 'x', ERR_INVALID);
	if (limit->min > 1)
		expect_try(place, 1, limit->min - 1, 'x', ERR_INVALID);
	if (limit->max >= LIMIT_BUNDLE) /* the message's own cap comes first */
		return;
	expect_try(place, 1, limit->max, 'x', 0);
	expect_try(place, 1, limit->max + 1, 'x', fixed ? ERR_INVALID : ERR_LIMIT);
}

static void test_field(struct place *place)
{
	const ProtobufCFieldDescriptor *f = place->fields[place->depth - 1];
	const struct field_limit *limit = limit_of(place->messages[place->depth - 1], f);

	if (f->type == PROTOBUF_C_TYPE_STRING)
		test_text(place, limit);
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		test_bytes(place, limit);
	if (f->label == PROTOBUF_C_LABEL_REPEATED) {
		expect_try(place, limit->items, limit->min ? limit->min : 1, 'x', 0);
		expect_try(place, limit->items + 1, limit->min ? limit->min : 1, 'x', ERR_LIMIT);
	}
	place->tested++;
}

static void visit(struct place *place, const ProtobufCMessageDescriptor *m)
{
	assert_in_range(place->depth, 0, NESTING_MAX - 1);
	place->messages[place->depth++] = m;
	for (unsigned i = 0; i < m->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->fields[i];

		place->fields[place->depth - 1] = f;
		if (f->type == PROTOBUF_C_TYPE_STRING || f->type == PROTOBUF_C_TYPE_BYTES ||
		    f->label == PROTOBUF_C_LABEL_REPEATED) {
			if (!field_limit_find(m, f))
				fail_msg("no rule for %s.%s", m->short_name, f->name);
			test_field(place);
		}
		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			visit(place, f->descriptor);
	}
	place->depth--;
}

static void test_all(void **state)
{
	static const struct {
		unpack_fn unpack;
		const ProtobufCMessageDescriptor *top;
		unsigned at_least; /* fields, so that the walk can't come to nothing unnoticed */
	} table[] = {
		{unpack_local, &envwarden__local__envelope__descriptor, 80},
		{unpack_reader, &envwarden__reader__envelope__descriptor, 30},
		{unpack_sync, &envwarden__sync__envelope__descriptor, 60},
		{unpack_signed, &envwarden__bundle__signed__descriptor, 4},
		{unpack_body, &envwarden__bundle__body__descriptor, 12},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct place place = {.unpack = table[i].unpack};

		visit(&place, table[i].top);
		assert_in_range(place.tested, table[i].at_least, 1000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
