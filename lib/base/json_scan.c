#include "lib/base/json_scan.h"

#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define BLOCK 64

/* --- nesting --- */

bool json_nest_in_object(const struct json_nest *nest)
{
	size_t d = nest->depth - 1;

	return nest->kinds[d / 64] >> (d % 64) & 1;
}

int json_nest_open(struct json_nest *nest, bool object)
{
	size_t d = nest->depth;
	uint64_t bit = UINT64_C(1) << (d % 64);

	if (d >= nest->max)
		return ERR_LIMIT;
	if (object)
		nest->kinds[d / 64] |= bit;
	else
		nest->kinds[d / 64] &= ~bit;
	nest->depth++;
	return 0;
}

int json_nest_close(struct json_nest *nest, bool object)
{
	if (nest->depth == 0 || json_nest_in_object(nest) != object)
		return ERR_INVALID;
	nest->depth--;
	return 0;
}

/* --- bytes side by side --- */

/* Bit i speaks of byte i of a lane or a block. */
struct masks {
	uint64_t quotes;
	uint64_t backslashes;
	uint64_t brackets; /* of both kinds, opening and closing */
};

/* The two kinds of brackets differ in one bit, as upper and lower case do. */
#define FOLD 0x20

#if defined(__SSE2__)

#define LANE 16

static uint64_t bits(__m128i v)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(v);
}

static __m128i equal(__m128i v, char c)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8(c));
}

static struct masks lane_masks(const unsigned char *p)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i folded = _mm_or_si128(v, _mm_set1_epi8(FOLD));

	return (struct masks){
		.quotes = bits(equal(v, '"')),
		.backslashes = bits(equal(v, '\\')),
		.brackets = bits(_mm_or_si128(equal(folded, '{'), equal(folded, '}'))),
	};
}

/* Quotes, backslashes and control characters; in *high the bytes that are not ASCII. */
static uint64_t lane_stops(const unsigned char *p, uint64_t *high)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);

	*high = bits(v);
	return bits(_mm_or_si128(_mm_or_si128(equal(v, '"'), equal(v, '\\')), control));
}

#else

#define LANE 8
#define EACH UINT64_C(0x0101010101010101)

/* Byte 0 lowest, whatever the machine. */
static uint64_t load(const unsigned char *p)
{
	return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
	       (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
	       (uint64_t)p[7] << 56;
}

/* From the top bit of each byte to one bit a byte. */
static uint64_t bits(uint64_t v)
{
	return (v >> 7 & EACH) * UINT64_C(0x0102040810204080) >> 56;
}

/* The top bit of each byte that is c. */
static uint64_t equal(uint64_t v, unsigned char c)
{
	uint64_t differ = v ^ EACH * c;

	return ~(((differ & EACH * 0x7f) + EACH * 0x7f) | differ);
}

static struct masks lane_masks(const unsigned char *p)
{
	uint64_t v = load(p);
	uint64_t folded = v | EACH * FOLD;

	return (struct masks){
		.quotes = bits(equal(v, '"')),
		.backslashes = bits(equal(v, '\\')),
		.brackets = bits(equal(folded, '{') | equal(folded, '}')),
	};
}

/* Quotes, backslashes and control characters; in *high the bytes that are not ASCII. */
static uint64_t lane_stops(const unsigned char *p, uint64_t *high)
{
	uint64_t v = load(p);

	*high = bits(v);
	return bits(equal(v, '"') | equal(v, '\\') | equal(v & EACH * 0xe0, 0));
}

#endif

/* --- brackets --- */

static struct masks block_masks(const unsigned char *p)
{
	struct masks m = {0};

	for (unsigned i = 0; i < BLOCK; i += LANE) {
		struct masks lane = lane_masks(p + i);

		m.quotes |= lane.quotes << i;
		m.backslashes |= lane.backslashes << i;
		m.brackets |= lane.brackets << i;
	}
	return m;
}

/* The bytes of a block of n that a backslash in front takes out of the language. */
static uint64_t escaped_bytes(struct json_scan *s, uint64_t backslashes, size_t n)
{
	uint64_t escaped = s->escaped ? 1 : 0;

	s->escaped = false;
	backslashes &= ~escaped;
	while (backslashes) {
		unsigned at = ew_ctz64(backslashes);
		uint64_t after = at + 1 < BLOCK ? UINT64_C(2) << at : 0;

		s->escaped = at + 1 == n;
		escaped |= after;
		backslashes &= ~(UINT64_C(1) << at | after);
	}
	return escaped;
}

/* Each bit becomes the parity of the bits up to it: from quotes to the inside of strings. */
static uint64_t parity_up_to(uint64_t bits)
{
	bits ^= bits << 1;
	bits ^= bits << 2;
	bits ^= bits << 4;
	bits ^= bits << 8;
	bits ^= bits << 16;
	return bits ^ bits << 32;
}

/* The brackets outside of strings in a block, of which the first n bytes count. */
static uint64_t live_brackets(struct json_scan *s, const unsigned char *block, size_t n)
{
	struct masks m = block_masks(block);
	uint64_t inside;

	if (m.backslashes | (uint64_t)s->escaped)
		m.quotes &= ~escaped_bytes(s, m.backslashes, n);
	inside = parity_up_to(m.quotes) ^ s->in_string;
	s->in_string = 0 - (inside >> (BLOCK - 1));
	return m.brackets & ~inside;
}

int json_scan_brackets(struct json_scan *s, struct json_nest *nest, size_t until,
		       const unsigned char *p, size_t n, size_t *used)
{
	unsigned char tail[BLOCK];

	for (size_t done = 0; done < n; done += BLOCK) {
		const unsigned char *block = p + done;
		size_t block_n = BLOCK;
		uint64_t brackets;

		if (n - done < BLOCK) {
			block_n = n - done;
			memset(tail, ' ', sizeof(tail));
			memcpy(tail, block, block_n);
			block = tail;
		}
		brackets = live_brackets(s, block, block_n);
		for (; brackets; brackets &= brackets - 1) {
			unsigned at = ew_ctz64(brackets);
			bool object = (block[at] & FOLD) != 0;
			bool opens = (block[at] | FOLD) == '{';
			int rc = opens ? json_nest_open(nest, object)
				       : json_nest_close(nest, object);

			*used = done + at;
			if (rc < 0)
				return rc;
			if (nest->depth == until) {
				(*used)++;
				return 1;
			}
		}
	}
	*used = n;
	return 0;
}

/* --- strings --- */

size_t json_scan_plain(const unsigned char *p, size_t n, bool *high)
{
	uint64_t seen = 0;
	size_t i = 0;

	for (; n - i >= LANE; i += LANE) {
		uint64_t top, stops = lane_stops(p + i, &top);

		if (stops) {
			unsigned at = ew_ctz64(stops);

			if (seen || top & ((UINT64_C(1) << at) - 1))
				*high = true;
			return i + at;
		}
		seen |= top;
	}
	for (; i < n && p[i] != '"' && p[i] != '\\' && p[i] >= 0x20; i++)
		seen |= p[i] & 0x80;
	if (seen)
		*high = true;
	return i;
}
