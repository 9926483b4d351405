#include "lib/base/grams.h"

#include <string.h>

#define RUN_MAX 3
#define RUN_MASK UINT32_C(0xffffff)

/* The end of a text stands in runs as 0, its beginning too: what a pattern begins and ends with
 * counts as what is between. */
#define EDGE 0

static uint32_t lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (uint32_t)(c - 'A' + 'a') : (unsigned char)c;
}

/* The bit of the run of the n last bytes of `run`. */
static uint32_t bit_of(uint32_t run, unsigned n)
{
	uint32_t code = (run & (RUN_MASK >> (8 * (RUN_MAX - n)))) | (uint32_t)n << 24;

	return (code * UINT32_C(2654435761)) >> 16;
}

static void add_run(struct grams *g, uint32_t run, unsigned n)
{
	uint32_t bit = bit_of(run, n);

	g->bits[bit / 64] |= (uint64_t)1 << (bit % 64);
}

static bool has_run(const struct grams *g, uint32_t run, unsigned n)
{
	uint32_t bit = bit_of(run, n < RUN_MAX ? n : RUN_MAX);

	return (g->bits[bit / 64] >> (bit % 64) & 1) != 0;
}

static void add_bytes(struct grams *g, const char *text, size_t n)
{
	uint32_t run = EDGE;

	for (size_t i = 0; i <= n; i++) {
		run = (run << 8 | (i < n ? lower(text[i]) : EDGE)) & RUN_MASK;
		add_run(g, run, 1);
		add_run(g, run, 2);
		if (i > 0)
			add_run(g, run, 3);
	}
}

void grams_add(struct grams *grams, const char *text)
{
	size_t n = strlen(text);

	add_bytes(grams, text, n);
	if (n > 0 && text[n - 1] == '\n')
		add_bytes(grams, text, n - 1);
}

bool grams_may_match(const struct grams *grams, const char *pattern)
{
	uint32_t run = EDGE;
	unsigned n = 1; /* bytes in a row, the edge counted */

	for (;; pattern++) {
		if (*pattern == '*') {
			if (n > 0 && n < RUN_MAX && !has_run(grams, run, n))
				return false;
			run = 0;
			n = 0;
			continue;
		}
		run = (run << 8 | lower(*pattern)) & RUN_MASK;
		n++;
		if (n >= RUN_MAX && !has_run(grams, run, n))
			return false;
		if (*pattern == '\0')
			return n >= RUN_MAX || has_run(grams, run, n);
	}
}
