#include "agent/core/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/agent/samples.h"

#define NOW (INT64_C(1000) * IDENTITY_RECREATE_MS)

/* A candidate differs from the snapshot (inode 7, born 100, uid 1000) in what the row says. */
struct known {
	bool there;
	int64_t deleted_before_ms; /* -1 = it lives */
	bool expected;
	int64_t uid;
	uint64_t inode;
	int64_t created_ms;
	bool same_packages;
};
#define NONE ((struct known){0})
#define LIVING(inode, born) ((struct known){true, -1, false, 1000, inode, born, false})
#define GONE(ago) ((struct known){true, ago, false, 1000, 5, 50, false})

enum which {
	NOBODY,
	AT_PATH,
	AT_INODE,
	AT_SOURCE
};

struct row {
	const char *about;
	struct known at_path;
	struct known at_inode;
	struct known at_source;
	bool half_made;
	enum identity_kind kind;
	enum which known;
	enum which displaced;
};

static void fill(struct environment *e, const struct known *k, const struct snapshot *s)
{
	environment_init(e);
	e->prefix = "/known";
	e->device = 1;
	e->inode = k->inode;
	e->created_ms = k->created_ms;
	e->owner.uid = k->uid;
	e->owner.name = k->uid == 1000 ? "ana" : "ben";
	e->expected = k->expected;
	e->deleted_ms = k->deleted_before_ms < 0 || k->expected ? 0 : NOW - k->deleted_before_ms;
	if (k->same_packages)
		memcpy(e->digest, s->digest, sizeof(e->digest));
	else
		memset(e->digest, 9, sizeof(e->digest));
}

static void tables(void **state)
{
	const struct known living = LIVING(7, 100);
	const struct known moved_copy = LIVING(8, 100);
	const struct known remounted = LIVING(7, 50);
	const struct known other = LIVING(8, 50);
	const struct known gone = GONE(1000);
	const struct known gone_before = GONE(IDENTITY_RENAME_MS);
	const struct known gone_long = GONE(IDENTITY_RECREATE_MS);
	const struct known expected = {true, -1, true, 1000, 0, 0, false};
	struct known ben = other;
	struct known ben_gone = gone;
	struct known ben_here = living;
	struct known ben_expected = expected;
	struct known reused = LIVING(7, 50);
	struct known same_packages = LIVING(7, 50);
	struct arena arena;
	struct snapshot s;

	(void)state;
	ben.uid = ben_gone.uid = ben_here.uid = ben_expected.uid = 1001;
	same_packages.same_packages = true;
	const struct row rows[] = {
		{"first sight", NONE, NONE, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"seen again", living, NONE, NONE, false, IDENTITY_SAME, AT_PATH, NOBODY},
		{"restored from a copy", moved_copy, NONE, NONE, false, IDENTITY_SAME, AT_PATH,
		 NOBODY},
		{"directory time changed", remounted, NONE, NONE, false, IDENTITY_SAME, AT_PATH,
		 NOBODY},
		{"changed hands", ben_here, NONE, NONE, false, IDENTITY_SAME, AT_PATH, NOBODY},
		{"made anew unseen", other, NONE, NONE, false, IDENTITY_RECREATED, AT_PATH, NOBODY},
		{"made anew, half", other, NONE, NONE, true, IDENTITY_NEW, NOBODY, AT_PATH},
		{"another's in its place", ben, NONE, NONE, false, IDENTITY_NEW, NOBODY, AT_PATH},
		{"made anew", gone, NONE, NONE, false, IDENTITY_RECREATED, AT_PATH, NOBODY},
		{"made anew too late", gone_long, NONE, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"another's was there", ben_gone, NONE, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"server knows it", expected, NONE, NONE, false, IDENTITY_SAME, AT_PATH, NOBODY},
		{"server knows another's", ben_expected, NONE, NONE, false, IDENTITY_NEW, NOBODY,
		 NOBODY},
		{"moved", NONE, living, NONE, false, IDENTITY_RENAMED, AT_INODE, NOBODY},
		{"moved, half-made", NONE, living, NONE, true, IDENTITY_NEW, NOBODY, NOBODY},
		{"inode used again", NONE, reused, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"moved, no birth", NONE, same_packages, NONE, false, IDENTITY_RENAMED, AT_INODE,
		 NOBODY},
		{"another's inode", NONE, ben_here, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"inode of a dead one", NONE, gone, NONE, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"renamed", NONE, NONE, other, false, IDENTITY_RENAMED, AT_SOURCE, NOBODY},
		{"renamed, source told gone", NONE, NONE, gone, false, IDENTITY_RENAMED, AT_SOURCE,
		 NOBODY},
		{"renamed from where one was long ago", NONE, NONE, gone_before, false,
		 IDENTITY_NEW, NOBODY, NOBODY},
		{"moved, and once renamed", NONE, living, other, false, IDENTITY_RENAMED, AT_INODE,
		 NOBODY},
		{"emptied", living, NONE, NONE, true, IDENTITY_NEW, NOBODY, AT_PATH},
		{"renamed from another's", NONE, NONE, ben, false, IDENTITY_NEW, NOBODY, NOBODY},
		{"renamed over another", other, NONE, other, false, IDENTITY_RENAMED, AT_SOURCE,
		 AT_PATH},
		{"renamed where one was", gone, NONE, other, false, IDENTITY_RENAMED, AT_SOURCE,
		 NOBODY},
		{"moved over another", other, living, NONE, false, IDENTITY_RENAMED, AT_INODE,
		 AT_PATH},
		{"seen under a second path", living, living, NONE, false, IDENTITY_SAME, AT_PATH,
		 NOBODY},
	};

	arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];
		struct environment e[4];
		struct candidates c;
		struct identity got;

		sample_snapshot(&s, &arena, "/e", 7, "a=1");
		s.created_ms = 100;
		s.empty_meta = r->half_made;
		fill(&e[AT_PATH], &r->at_path, &s);
		fill(&e[AT_INODE], &r->at_inode, &s);
		fill(&e[AT_SOURCE], &r->at_source, &s);
		c.at_path = r->at_path.there ? &e[AT_PATH] : NULL;
		c.at_inode = r->at_inode.there ? &e[AT_INODE] : NULL;
		c.at_source = r->at_source.there ? &e[AT_SOURCE] : NULL;
		got = identity_resolve(&c, &s, NOW);
		if (got.kind != r->kind || got.known != (r->known ? &e[r->known] : NULL) ||
		    got.displaced != (r->displaced ? &e[r->displaced] : NULL))
			fail_msg("%s: kind %d", r->about, (int)got.kind);
		snapshot_deinit(&s);
	}
	arena_deinit(&arena);
}

/* docs/formats.md, reckoned by another program. */
static void derived(void **state)
{
	static const unsigned char volume[VOLUME_SIZE] = {0x10, 0x26, 0xae, 0x75, 0x92, 0x77,
							  0x06, 0x8d, 0xde, 0xbc, 0x7f, 0xd7,
							  0x6c, 0x35, 0x39, 0x48};
	struct snapshot s;
	struct uuid one;
	struct uuid two;
	char text[UUID_TEXT_MAX];

	(void)state;
	snapshot_init(&s);
	s.filesystem = SNAPSHOT_NETWORK;
	s.inode = 4711;
	s.created_ms = INT64_C(1700000000000);
	memcpy(s.volume, volume, sizeof volume);
	assert_true(identity_fresh(&s, &one));
	uuid_format(&one, text);
	assert_string_equal(text, "1f5eeeb8-0eea-8d80-b155-85f6adfa662f");
	s.created_ms++; /* an inode is used again */
	assert_true(identity_fresh(&s, &two));
	assert_int_not_equal(uuid_cmp(&one, &two), 0);
	s.filesystem = 0;
	assert_false(identity_fresh(&s, &one));
	assert_false(identity_fresh(&s, &two));
	assert_int_not_equal(uuid_cmp(&one, &two), 0);
	s.filesystem = SNAPSHOT_NETWORK;
	memset(s.volume, 0, sizeof s.volume);
	assert_false(identity_fresh(&s, &one));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables),
		cmocka_unit_test(derived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
