#include "proto/codec.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "proto/field_limits.h"
#include "proto/limits.h"

/* --- memory ---------------------------------------------------------------------------------- */

/*
 * protobuf-c forgets the length of a text and ends it by '\0', so that one with a '\0' inside looks
 * shorter than it was. The size asked for stands in front of each piece: the walk compares.
 */
#define ROOM_HEADER _Alignof(max_align_t)
_Static_assert(ROOM_HEADER >= sizeof(size_t), "the size fits in front of a piece");

struct unpacking {
	struct arena *arena;
	int rc; /* why a piece was refused: ERR_LIMIT or ERR_NOMEM */
};

/* An arena says NULL for both; what it has left tells which. Its blocks need a little themselves.
 */
#define ARENA_OVERHEAD 256

static int refusal(const struct arena *arena, size_t size)
{
	size_t left = arena->max > arena->used ? arena->max - arena->used : 0;

	return left < ARENA_OVERHEAD || left - ARENA_OVERHEAD < size ? ERR_LIMIT : ERR_NOMEM;
}

static void *piece_alloc(void *ctx, size_t size)
{
	struct unpacking *u = ctx;
	char *piece = NULL;

	if (size <= SIZE_MAX - ROOM_HEADER)
		piece = arena_alloc(u->arena, size + ROOM_HEADER);
	if (!piece) {
		u->rc = refusal(u->arena, size);
		return NULL;
	}
	memcpy(piece, &size, sizeof(size));
	return piece + ROOM_HEADER;
}

/* The arena ends all pieces at once. */
static void piece_free(void *ctx, void *piece)
{
	(void)ctx;
	(void)piece;
}

static size_t piece_size(const void *piece)
{
	size_t size;

	memcpy(&size, (const char *)piece - ROOM_HEADER, sizeof(size));
	return size;
}

/* --- the walk -------------------------------------------------------------------------------- */

/* One value is looked at: its place in the schemas, and whether it came out of piece_alloc. */
struct at {
	const ProtobufCMessageDescriptor *message;
	const ProtobufCFieldDescriptor *field;
	const struct field_limit *limit; /* NULL where none applies: a single message, a number */
	bool unpacked;
};

static int refuse(const struct at *at, int code, const char *why, struct err *err)
{
	return err_set(err, code, "%s.%s: %s", at->message->short_name, at->field->name, why);
}

static int check_text(const struct at *at, const char *text, struct err *err)
{
	size_t n = text ? strlen(text) : 0;

	if (n == 0 && (!text || text == protobuf_c_empty_string))
		return 0;
	if (at->unpacked && piece_size(text) != n + 1)
		return refuse(at, ERR_INVALID, "a zero byte in a text", err);
	if (n > at->limit->max)
		return refuse(at, ERR_LIMIT, "text too long", err);
	if (!text_is_utf8(text, n))
		return refuse(at, ERR_INVALID, "not UTF-8", err);
	return 0;
}

static int check_bytes(const struct at *at, const ProtobufCBinaryData *bytes, struct err *err)
{
	const struct field_limit *limit = at->limit;

	if (bytes->len == 0)
		return limit->empty_ok ? 0 : refuse(at, ERR_INVALID, "missing", err);
	if (bytes->len > limit->max && limit->min < limit->max)
		return refuse(at, ERR_LIMIT, "too long", err);
	if (bytes->len < limit->min || bytes->len > limit->max)
		return refuse(at, ERR_INVALID, "wrong length", err);
	if (limit->unit > 0 && bytes->len % limit->unit != 0)
		return refuse(at, ERR_INVALID, "wrong length", err);
	return 0;
}

static int walk(const ProtobufCMessage *msg, bool unpacked, unsigned depth, struct err *err);

static int check_value(const struct at *at, const void *member, unsigned depth, struct err *err)
{
	const ProtobufCMessage *inner;

	switch (at->field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return check_text(at, *(const char *const *)member, err);
	case PROTOBUF_C_TYPE_BYTES:
		return check_bytes(at, member, err);
	case PROTOBUF_C_TYPE_MESSAGE:
		inner = *(const ProtobufCMessage *const *)member;
		return inner ? walk(inner, at->unpacked, depth + 1, err) : 0;
	default:
		return 0;
	}
}

static size_t item_size(ProtobufCType type)
{
	return type == PROTOBUF_C_TYPE_BYTES ? sizeof(ProtobufCBinaryData) : sizeof(void *);
}

static int check_list(const struct at *at, const void *member, size_t n, unsigned depth,
		      struct err *err)
{
	const char *items = *(const char *const *)member;
	size_t size = item_size(at->field->type);
	int rc = 0;

	if (n > at->limit->items)
		return refuse(at, ERR_LIMIT, "too many items", err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = check_value(at, items + i * size, depth, err);
	return rc;
}

/* Another of its oneof is set. */
static bool is_other(const ProtobufCFieldDescriptor *field, const char *msg)
{
	const uint32_t *set = (const void *)(msg + field->quantifier_offset);

	return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *set != field->id;
}

/*
 * What meets any rule without a look at it: most texts and lists of a message are absent. A text
 * that was unpacked and is empty may have begun with a zero byte, unless it is the default itself.
 */
static bool is_absent(const ProtobufCFieldDescriptor *field, const char *msg, bool unpacked)
{
	const char *text;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(const void *)(msg + field->quantifier_offset) == 0;
	if (field->type != PROTOBUF_C_TYPE_STRING)
		return false;
	text = *(const char *const *)(const void *)(msg + field->offset);
	return text == protobuf_c_empty_string || (text && !unpacked && *text == '\0');
}

static int check_field(const ProtobufCMessage *msg, const ProtobufCFieldDescriptor *field,
		       bool unpacked, unsigned depth, struct err *err)
{
	const char *base = (const char *)msg;
	const void *member = base + field->offset;
	const void *quantifier = base + field->quantifier_offset;
	bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
	struct at at = {.message = msg->descriptor, .field = field, .unpacked = unpacked};

	if (list || field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_BYTES) {
		at.limit = field_limit_find(msg->descriptor, field);
		CHECK(at.limit);
	}
	if (list)
		return check_list(&at, member, *(const size_t *)quantifier, depth, err);
	return check_value(&at, member, depth, err);
}

/*
 * The schemas do not recurse, so the depth is theirs: a CHECK, not an error. Most fields of most
 * messages are not set; this runs twice for each message, so they are passed by first of all.
 */
static int walk(const ProtobufCMessage *msg, bool unpacked, unsigned depth, struct err *err)
{
	const char *base = (const char *)msg;
	int rc = 0;

	CHECK(depth < LIMIT_NESTING);
	for (unsigned i = 0; rc == 0 && i < msg->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &msg->descriptor->fields[i];

		if (!is_other(field, base) && !is_absent(field, base, unpacked))
			rc = check_field(msg, field, unpacked, depth, err);
	}
	return rc;
}

/* --- unpack ---------------------------------------------------------------------------------- */

static int unpack_failed(const struct unpacking *u, const ProtobufCMessageDescriptor *descriptor,
			 struct err *err)
{
	if (u->rc == ERR_NOMEM)
		return err_nomem(err);
	if (u->rc == ERR_LIMIT)
		return err_set(err, ERR_LIMIT, "%s: needs too much memory", descriptor->name);
	return err_set(err, ERR_INVALID, "%s: malformed message", descriptor->name);
}

static int unpack(const ProtobufCMessageDescriptor *descriptor, size_t max, const void *data,
		  size_t n, struct arena *arena, ProtobufCMessage **out, struct err *err)
{
	struct unpacking u = {.arena = arena};
	ProtobufCAllocator allocator = {
		.alloc = piece_alloc, .free = piece_free, .allocator_data = &u};
	ProtobufCMessage *msg;
	int rc;

	if (n > max)
		return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", descriptor->name, max);
	msg = protobuf_c_message_unpack(descriptor, &allocator, n, data);
	if (!msg)
		return unpack_failed(&u, descriptor, err);
	rc = walk(msg, true, 0, err);
	if (rc == 0)
		*out = msg;
	return rc;
}

/* --- pack ------------------------------------------------------------------------------------ */

static int pack(const ProtobufCMessage *msg, size_t max, bool framed, struct buf *out,
		struct err *err)
{
	size_t prefix = framed ? 4 : 0;
	size_t n;
	char *room;
	int rc = walk(msg, false, 0, err);

	if (rc < 0)
		return rc;
	n = protobuf_c_message_get_packed_size(msg);
	if (n > max)
		return err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", msg->descriptor->name,
			       max);
	room = buf_reserve(out, prefix + n);
	if (!room)
		return err_set(err, buf_rc(out), "%s: %s", msg->descriptor->name,
			       err_text(buf_rc(out)));
	if (framed)
		buf_add_u32(out, (uint32_t)n);
	protobuf_c_message_pack(msg, (uint8_t *)room + prefix);
	out->len += n;
	return 0;
}

size_t codec_size(const ProtobufCMessage *msg)
{
	return protobuf_c_message_get_packed_size(msg);
}

/* --- the kinds of messages ------------------------------------------------------------------- */

#define UNPACK(kind, type, descriptor, max)                                                        \
	int codec_unpack_##kind(const void *data, size_t n, struct arena *arena, type **out,       \
				struct err *err)                                                   \
	{                                                                                          \
		ProtobufCMessage *msg;                                                             \
		int rc = unpack(&(descriptor), max, data, n, arena, &msg, err);                    \
		if (rc == 0)                                                                       \
			*out = (type *)msg;                                                        \
		return rc;                                                                         \
	}

#define PACK(kind, type, max, framed)                                                              \
	int codec_pack_##kind(const type *msg, struct buf *out, struct err *err)                   \
	{                                                                                          \
		return pack(&msg->base, max, framed, out, err);                                    \
	}

UNPACK(local, Envwarden__Local__Envelope, envwarden__local__envelope__descriptor, LIMIT_LOCAL_FRAME)
UNPACK(reader, Envwarden__Reader__Envelope, envwarden__reader__envelope__descriptor,
       LIMIT_READER_FRAME)
UNPACK(sync, Envwarden__Sync__Envelope, envwarden__sync__envelope__descriptor, LIMIT_SYNC_FRAME)
UNPACK(signed, Envwarden__Bundle__Signed, envwarden__bundle__signed__descriptor, LIMIT_BUNDLE)
UNPACK(body, Envwarden__Bundle__Body, envwarden__bundle__body__descriptor, LIMIT_BUNDLE)

PACK(local, Envwarden__Local__Envelope, LIMIT_LOCAL_FRAME, true)
PACK(reader, Envwarden__Reader__Envelope, LIMIT_READER_FRAME, true)
PACK(sync, Envwarden__Sync__Envelope, LIMIT_SYNC_FRAME, true)
PACK(signed, Envwarden__Bundle__Signed, LIMIT_BUNDLE, false)
PACK(body, Envwarden__Bundle__Body, LIMIT_BUNDLE, false)
