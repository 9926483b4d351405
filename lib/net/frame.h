/*
 * Frames: a 4-byte big-endian length and that many bytes. The same on unix sockets, inside TLS and
 * on socket pairs; what the bytes mean is proto's business. Pure: no sockets here.
 *
 * The decoder is incremental: it takes bytes as they come, in any cuts. A length over the maximum
 * is refused when its fourth byte is seen, before anything is allocated, and memory then grows with
 * the bytes that really arrived: a peer that only announces a big frame costs nothing. After an
 * error the stream has lost its place: the connection must be closed, and further calls return the
 * same error.
 *
 * Errors: ERR_LIMIT (over the maximum), ERR_NOMEM.
 */
#ifndef ENVWARDEN_LIB_NET_FRAME_H
#define ENVWARDEN_LIB_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/base/err.h"

#define FRAME_HEADER_SIZE 4

/* The limits of design.md's protocols, payload bytes. */
#define FRAME_LOCAL_MAX (64 * 1024)
#define FRAME_SYNC_MAX (1024 * 1024)

/* Appends header and payload; ERR_LIMIT if n > max, else buf_rc(out). Nothing appended on
 * ERR_LIMIT. */
int frame_encode(struct buf *out, const void *payload, size_t n, size_t max);

struct frame_decoder {
	struct buf payload; /* of the frame being read, or just completed */
	size_t max;
	uint32_t size;	   /* announced length, once the header is whole */
	unsigned header_n; /* header bytes seen, 0..4 */
	bool complete;	   /* the last call finished a frame */
	int rc;		   /* sticky */
};

/* max: largest payload accepted, at most UINT32_MAX. */
void frame_decoder_init(struct frame_decoder *d, size_t max);
void frame_decoder_deinit(struct frame_decoder *d); /* also of a zeroed struct */

/*
 * Takes bytes until one frame is whole or the bytes run out. *used says how many were taken, also
 * when the answer is an error (then it is of no use). If a frame is whole, *payload (never NULL,
 * borrowed until the next call) and *payload_n tell it; else *payload is NULL. Call again with the
 * rest until used == n and no frame came:
 *
 *	while (n > 0) {
 *		rc = frame_decode(d, p, n, &used, &payload, &payload_n);
 *		if (rc < 0) ...close...
 *		p += used, n -= used;
 *		if (payload) ...handle...
 *	}
 */
int frame_decode(struct frame_decoder *d, const void *data, size_t n, size_t *used,
		 const void **payload, size_t *payload_n);

/*
 * How many bytes finish the header or, that known, the frame: a reader that never takes more keeps
 * no bytes of the next frame. Never 0.
 */
size_t frame_decoder_want(const struct frame_decoder *d);

/* True between frames: a stream that ends elsewhere was cut. */
bool frame_decoder_idle(const struct frame_decoder *d);

#endif
