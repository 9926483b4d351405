/*
 * Bytes <-> wire messages. The structs protobuf-c generates stop here and in proto/convert.h.
 *
 * Unpacking: the size is capped, everything the message needs comes out of `arena` (whose maximum
 * caps what hostile bytes can make of it: LIMIT_*_MEMORY), and a walk over the descriptors checks
 * each field: texts are UTF-8 without '\0' and within their limit, byte strings have their size,
 * lists their count. What comes out can be used without further checks of that kind; which fields
 * may be empty says proto/field_limits.c. Enumerations may hold values this version does not know,
 * and the kind of an envelope may be NOT_SET: a kind of a newer version, to be answered with
 * "unsupported".
 *
 * Lifetime: the message and all it points to live in the arena and, because they were copied, not
 * in the bytes. Nothing is freed one by one; arena_reset or arena_deinit ends the message. After an
 * error the arena may hold remains, to be reset likewise.
 *
 * Errors: ERR_LIMIT (too big, too many, needs more memory than the arena may give), ERR_INVALID
 * (not this message, or a field breaks its rule; err names it), ERR_NOMEM. Any thread.
 */
#ifndef ENVWARDEN_PROTO_CODEC_H
#define ENVWARDEN_PROTO_CODEC_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/base/buf.h"
#include "lib/base/err.h"
#include "proto/bundle.pb-c.h"
#include "proto/local.pb-c.h"
#include "proto/reader.pb-c.h"
#include "proto/sync.pb-c.h"

/* --- one message without its length prefix -> struct in the arena --- */
int codec_unpack_local(const void *data, size_t n, struct arena *arena,
		       Envwarden__Local__Envelope **out, struct err *err);
int codec_unpack_reader(const void *data, size_t n, struct arena *arena,
			Envwarden__Reader__Envelope **out, struct err *err);
int codec_unpack_sync(const void *data, size_t n, struct arena *arena,
		      Envwarden__Sync__Envelope **out, struct err *err);
/* Signed bytes are to be verified before their body is unpacked: use proto/signed.h. */
int codec_unpack_signed(const void *data, size_t n, struct arena *arena,
			Envwarden__Bundle__Signed **out, struct err *err);
int codec_unpack_body(const void *data, size_t n, struct arena *arena,
		      Envwarden__Bundle__Body **out, struct err *err);

/*
 * Appends one frame, ready to send: 4-byte big-endian length and the message. The same walk checks
 * it first, so that a field the other side would refuse fails here, where it was made. On an error
 * `frame` is as it was (but for a sticky error of its own: ERR_NOMEM, or ERR_LIMIT past its max).
 */
int codec_pack_local(const Envwarden__Local__Envelope *msg, struct buf *frame, struct err *err);
int codec_pack_reader(const Envwarden__Reader__Envelope *msg, struct buf *frame, struct err *err);
int codec_pack_sync(const Envwarden__Sync__Envelope *msg, struct buf *frame, struct err *err);

/* Appends the message alone, without a length. */
int codec_pack_signed(const Envwarden__Bundle__Signed *msg, struct buf *out, struct err *err);
int codec_pack_body(const Envwarden__Bundle__Body *msg, struct buf *out, struct err *err);

/* Bytes a message takes packed, to cut streams into frames (LIMIT_*_CHUNK); the tag and length it
 * gets inside a list come on top (at most CODEC_ITEM_EXTRA). */
#define CODEC_ITEM_EXTRA 8
size_t codec_size(const ProtobufCMessage *msg);

#endif
