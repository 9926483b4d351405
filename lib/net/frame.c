#include "lib/net/frame.h"

/* Payload memory kept between frames; more is given back, since most connections are idle. */
#define KEEP_BYTES 1024

int frame_encode(struct buf *out, const void *payload, size_t n, size_t max)
{
	if (n > max || n > UINT32_MAX)
		return ERR_LIMIT;
	buf_add_lp(out, payload, n);
	return buf_rc(out);
}

void frame_decoder_init(struct frame_decoder *d, size_t max)
{
	CHECK(max <= UINT32_MAX);
	*d = (struct frame_decoder){.max = max};
	buf_init(&d->payload, max);
}

void frame_decoder_deinit(struct frame_decoder *d)
{
	buf_deinit(&d->payload);
}

static void next_frame(struct frame_decoder *d)
{
	d->complete = false;
	d->header_n = 0;
	d->size = 0;
	if (d->payload.cap > KEEP_BYTES)
		buf_deinit(&d->payload);
	buf_clear(&d->payload);
}

size_t frame_decoder_want(const struct frame_decoder *d)
{
	if (d->complete)
		return FRAME_HEADER_SIZE;
	if (d->header_n < FRAME_HEADER_SIZE)
		return FRAME_HEADER_SIZE - d->header_n;
	return d->size - d->payload.len;
}

int frame_decode(struct frame_decoder *d, const void *data, size_t n, size_t *used,
		 const void **payload, size_t *payload_n)
{
	const unsigned char *p = data;
	size_t at = 0, part;

	*used = 0;
	*payload = NULL;
	*payload_n = 0;
	if (d->rc < 0)
		return d->rc;
	if (d->complete)
		next_frame(d);
	while (d->header_n < FRAME_HEADER_SIZE && at < n) {
		d->size = d->size << 8 | p[at++];
		d->header_n++;
	}
	if (d->header_n == FRAME_HEADER_SIZE) {
		if (d->size > d->max)
			return d->rc = ERR_LIMIT;
		part = d->size - d->payload.len;
		if (part > n - at)
			part = n - at;
		buf_add(&d->payload, p + at, part);
		if (buf_rc(&d->payload) < 0)
			return d->rc = buf_rc(&d->payload);
		at += part;
		d->complete = d->payload.len == d->size;
	}
	*used = at;
	if (d->complete) {
		*payload = d->payload.data ? d->payload.data : "";
		*payload_n = d->payload.len;
	}
	return 0;
}

bool frame_decoder_idle(const struct frame_decoder *d)
{
	return d->rc == 0 && (d->complete || d->header_n == 0);
}
