/*
 * How many versions compare and packages match in a second on one processor, against comparing the
 * same texts as bytes.
 *
 *   bench_spec                        nothing needed; best of several rounds
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/compiler.h"
#include "lib/conda/match_spec.h"
#include "tests/bench/measure.h"

#define ROUNDS 7
#define ROUND_OPERATIONS 2000000
#define N_PACKAGES 64

/* As packages have them. */
static const char *const versions[] = {
	"1.26.4",
	"3.0.14",
	"2024.2.2",
	"1.1.1w",
	"2.5.1.post200+cu118",
	"12.4.127",
	"0.22.3",
	"9e",
	"14.3.1.post26.g9d75ca2",
	"1.0.0rc1",
	"2023.11.17",
	"5.15.8.2",
	"4.3.21",
	"1!164.3095",
	"6.4.20240210",
	"3.12.2",
};
#define N_VERSIONS ARRAY_SIZE(versions)

/* As policies and advisories have them. */
static const char *const specs[] = {
	"openssl <3.0.14",   "openssl>=3,<3.0.14",
	"numpy 1.26.*",	     "conda-forge::python=3.12",
	"*[license='gpl*']", "python >=3.8,<3.12|>=3.13 *_cpython",
	"defaults::*",	     "zlib[version='<1.2.12|1.2.13',build='h*_0']",
};
static const char *const names[] = {"openssl", "numpy", "python", "zlib"};

struct bench {
	struct version parsed[N_VERSIONS];
	size_t lengths[N_VERSIONS];
	struct match_spec specs[ARRAY_SIZE(specs)];
	struct match_subject subjects[N_PACKAGES];
	const char *keys[N_PACKAGES]; /* the packages as one text, to be compared as bytes */
	long sink;		      /* keeps the compiler from leaving the work out */
};

static void compare_texts(struct bench *b, size_t i)
{
	size_t x = i % N_VERSIONS, y = (i / N_VERSIONS) % N_VERSIONS;
	struct version_room rooms[2];
	struct version v, w;

	CHECK(version_parse(versions[x], b->lengths[x], &rooms[0], &v, NULL) == 0);
	CHECK(version_parse(versions[y], b->lengths[y], &rooms[1], &w, NULL) == 0);
	b->sink += version_cmp(&v, &w) < 0;
}

static void compare_parsed(struct bench *b, size_t i)
{
	b->sink += version_cmp(&b->parsed[i % N_VERSIONS],
			       &b->parsed[(i / N_VERSIONS) % N_VERSIONS]) < 0;
}

static void compare_bytes(struct bench *b, size_t i)
{
	b->sink += strcmp(versions[i % N_VERSIONS], versions[(i / N_VERSIONS) % N_VERSIONS]) < 0;
}

static void match(struct bench *b, size_t i)
{
	b->sink += match_spec_match(&b->specs[i % ARRAY_SIZE(specs)],
				    &b->subjects[(i / ARRAY_SIZE(specs)) % N_PACKAGES]);
}

static void find_bytes(struct bench *b, size_t i)
{
	b->sink += strstr(b->keys[(i / ARRAY_SIZE(specs)) % N_PACKAGES],
			  specs[i % ARRAY_SIZE(specs)]) != NULL;
}

/* The best of the rounds, in operations a second of processor time. */
static double best_rate(struct bench *b, void (*operation)(struct bench *b, size_t i))
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		clock_t start = clock();
		double rate;

		for (size_t i = 0; i < ROUND_OPERATIONS; i++)
			operation(b, i);
		rate = ROUND_OPERATIONS / ((double)(clock() - start) / CLOCKS_PER_SEC);
		best = rate > best ? rate : best;
	}
	return best;
}

static void prepare(struct bench *b, struct arena *arena)
{
	for (size_t i = 0; i < N_VERSIONS; i++) {
		struct version_room room;

		b->lengths[i] = strlen(versions[i]);
		CHECK(version_parse(versions[i], b->lengths[i], &room, &b->parsed[i], NULL) == 0);
		CHECK(version_keep(arena, &b->parsed[i]) == 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++)
		CHECK(match_spec_parse(specs[i], strlen(specs[i]), arena, &b->specs[i], NULL) == 0);
	for (size_t i = 0; i < N_PACKAGES; i++) {
		struct match_package package = {
			.name = names[i % ARRAY_SIZE(names)],
			.version = versions[i % N_VERSIONS],
			.build = i % 3 == 0 ? "h0f_0_cpython" : "py312hc5e2394_0",
			.channel = i % 2 == 0 ? "https://conda.anaconda.org/conda-forge/linux-64"
					      : "https://repo.anaconda.com/pkgs/main/linux-64",
			.subdir = "linux-64",
			.license = i % 5 == 0 ? "GPL-3.0-only" : "BSD-3-Clause",
		};
		char key[512];

		CHECK(match_subject_init(&b->subjects[i], &package, arena, NULL) == 0);
		(void)snprintf(key, sizeof key, "%s::%s=%s=%s %s", package.channel, package.name,
			       package.version, package.build, package.license);
		b->keys[i] = arena_strdup(arena, key);
		CHECK(b->keys[i] != NULL);
	}
}

static void report(const char *what, double figure, double reference, double least,
		   const char *budget)
{
	measure_print(&(struct measure_row){.what = what,
					    .figure = figure,
					    .reference = reference,
					    .unit = "/s",
					    .budget = budget,
					    .ok = figure >= least});
}

int main(void)
{
	static struct bench bench;
	struct arena arena;
	double reference;

	arena_init(&arena, 16 << 20);
	prepare(&bench, &arena);
	reference = best_rate(&bench, compare_bytes);
	report("versions compared, parsed each time, against `strcmp`",
	       best_rate(&bench, compare_texts), reference, 1e6, ">= 1000000 /s");
	report("versions compared, parsed before, against `strcmp`",
	       best_rate(&bench, compare_parsed), reference, 1e6, ">= 1000000 /s");
	report("packages matched, against `strstr` in their texts", best_rate(&bench, match),
	       best_rate(&bench, find_bytes), 5e5, ">= 500000 /s");
	arena_deinit(&arena);
	return bench.sink >= 0 ? 0 : 1;
}
