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

/* --- brackets --- */

/* Bit i speaks of byte i of a block. */
struct masks {
	uint64_t quotes;
	uint64_t backslashes;
	uint64_t brackets; /* of both kinds, opening and closing */
};

/* The two kinds of brackets differ in one bit, as upper and lower case do. */
#define FOLD 0x20

#if defined(__SSE2__)

static uint64_t equal16(__m128i v, char c)
{
	return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8(c)));
}

static struct masks block_masks(const unsigned char *p)
{
	struct masks m = {0};

	for (unsigned i = 0; i < BLOCK; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i folded = _mm_or_si128(v, _mm_set1_epi8(FOLD));

		m.quotes |= equal16(v, '"') << i;
		m.backslashes |= equal16(v, '\\') << i;
		m.brackets |= (equal16(folded, '{') | equal16(folded, '}')) << i;
	}
	return m;
}

#else

static struct masks block_masks(const unsigned char *p)
{
	struct masks m = {0};

	for (unsigned i = 0; i < BLOCK; i++) {
		unsigned folded = p[i] | FOLD;

		m.quotes |= (uint64_t)(p[i] == '"') << i;
		m.backslashes |= (uint64_t)(p[i] == '\\') << i;
		m.brackets |= (uint64_t)(folded == '{' || folded == '}') << i;
	}
	return m;
}

#endif

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
	for (unsigned shift = 1; shift < BLOCK; shift *= 2)
		bits ^= bits << shift;
	return bits;
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
	size_t i = 0;
	unsigned seen = 0;

#if defined(__SSE2__)
	for (; n - i >= 16; i += 16) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(v, _mm_set1_epi8(0x1f)), v);
		unsigned top = (unsigned)_mm_movemask_epi8(v);
		unsigned stop = (unsigned)(equal16(v, '"') | equal16(v, '\\')) |
				(unsigned)_mm_movemask_epi8(control);

		if (stop) {
			unsigned at = ew_ctz64(stop);
			if (seen || top & ((1U << at) - 1))
				*high = true;
			return i + at;
		}
		seen |= top;
	}
#endif
	for (; i < n && p[i] != '"' && p[i] != '\\' && p[i] >= 0x20; i++)
		seen |= p[i] & 0x80;
	if (seen)
		*high = true;
	return i;
}
