#include "proto/canonical.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proto/golden.h"
#include "tests/proto/samples.h"

static void check_package(const struct package *p, const char *name)
{
	unsigned char keys[2 * PACKAGE_KEY_SIZE];
	char golden[64];
	struct buf b;

	buf_init(&b, 65536);
	package_canonical(&b, p);
	snprintf(golden, sizeof(golden), "package_%s", name);
	golden_check(golden, b.data, b.len);
	buf_clear(&b);
	package_attributes(&b, p);
	snprintf(golden, sizeof(golden), "attributes_%s", name);
	golden_check(golden, b.data, b.len);
	buf_deinit(&b);
	package_key(p, keys);
	package_def_key(p, keys + PACKAGE_KEY_SIZE);
	snprintf(golden, sizeof(golden), "keys_%s", name);
	golden_check(golden, keys, sizeof(keys));
}

static void test_packages(void **state)
{
	struct package numpy = sample_numpy();
	struct package openssl = sample_openssl();
	struct package requests = sample_requests();
	struct package built = sample_numpy();

	(void)state;
	built.built_ms = 1700000000123;
	check_package(&built, "built");
	check_package(&numpy, "numpy");
	check_package(&openssl, "openssl");
	check_package(&requests, "requests");
}

/* Which key each field is in. */
static void test_keys_cover(void **state)
{
	static const struct {
		size_t text; /* offset of a text field */
		bool in_key;
	} table[] = {
		{offsetof(struct package, manager), true},
		{offsetof(struct package, name), true},
		{offsetof(struct package, version), true},
		{offsetof(struct package, build), true},
		{offsetof(struct package, channel), true},
		{offsetof(struct package, subdir), true},
		{offsetof(struct package, license), false},
		{offsetof(struct package, url), false},
	};
	unsigned char key[PACKAGE_KEY_SIZE], def[PACKAGE_KEY_SIZE];
	unsigned char key2[PACKAGE_KEY_SIZE], def2[PACKAGE_KEY_SIZE];
	struct package base = sample_numpy();

	(void)state;
	package_key(&base, key);
	package_def_key(&base, def);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct package p = base;

		*(const char **)((char *)&p + table[i].text) = "other";
		package_key(&p, key2);
		package_def_key(&p, def2);
		assert_int_equal(memcmp(key, key2, sizeof(key)) != 0, table[i].in_key);
		assert_memory_not_equal(def, def2, sizeof(def));
	}
}

/* A claim beside the identity makes another definition of the same package; a wish makes none. */
static void test_claims(void **state)
{
	unsigned char key[PACKAGE_KEY_SIZE], def[PACKAGE_KEY_SIZE];
	unsigned char key2[PACKAGE_KEY_SIZE], def2[PACKAGE_KEY_SIZE];
	struct package a = sample_numpy();
	struct package b = sample_numpy();

	(void)state;
	package_key(&a, key);
	package_def_key(&a, def);
	b.requested = false;
	package_def_key(&b, def2);
	assert_memory_equal(def, def2, sizeof(def));
	b.md5[0] ^= 1;
	package_key(&b, key2);
	package_def_key(&b, def2);
	assert_memory_equal(key, key2, sizeof(key));
	assert_memory_not_equal(def, def2, sizeof(def));
	b = a;
	b.size++;
	package_def_key(&b, def2);
	assert_memory_not_equal(def, def2, sizeof(def));
	b = a;
	b.built_ms = 1;
	package_key(&b, key2);
	package_def_key(&b, def2);
	assert_memory_equal(key, key2, sizeof(key));
	assert_memory_not_equal(def, def2, sizeof(def));
	b = a;
	b.has_sha256 = false;
	package_key(&b, key2);
	assert_memory_not_equal(key, key2, sizeof(key));
	b = a;
	b.build_number = -1;
	package_key(&b, key2);
	assert_memory_not_equal(key, key2, sizeof(key));
}

static void test_digests(void **state)
{
	unsigned char out[4 * SHA256_SIZE];
	struct package_list none = {0};
	struct package_list list;

	(void)state;
	sample_packages(&list);
	snapshot_digest(&list, out);
	attribute_digest(&list, out + SHA256_SIZE);
	snapshot_digest(&none, out + 2 * SHA256_SIZE);
	attribute_digest(&none, out + 3 * SHA256_SIZE);
	golden_check("digests", out, sizeof(out));
	package_list_deinit(&list);
}

/* `requested` counts for the attributes, not for the snapshot. */
static void test_digests_apart(void **state)
{
	unsigned char snapshot[SHA256_SIZE], attributes[SHA256_SIZE], out[SHA256_SIZE];
	struct package_list list;

	(void)state;
	sample_packages(&list);
	snapshot_digest(&list, snapshot);
	attribute_digest(&list, attributes);
	list.items[0].requested = !list.items[0].requested;
	snapshot_digest(&list, out);
	assert_memory_equal(out, snapshot, sizeof(out));
	attribute_digest(&list, out);
	assert_memory_not_equal(out, attributes, sizeof(out));
	package_list_deinit(&list);
}

static void test_root_digest(void **state)
{
	struct root_digest_entry entries[2];
	struct package_list list;
	unsigned char out[SHA256_SIZE];

	(void)state;
	sample_packages(&list);
	entries[0].environment = sample_uuid(0x60); /* sorted by the function */
	sample_bytes(entries[0].snapshot, SHA256_SIZE, 0);
	sample_bytes(entries[0].attributes, SHA256_SIZE, 0x80);
	entries[1].environment = sample_uuid(0x20);
	snapshot_digest(&list, entries[1].snapshot);
	attribute_digest(&list, entries[1].attributes);
	root_digest(entries, 2, out);
	golden_check("root_digest", out, sizeof(out));
	package_list_deinit(&list);
}

static void test_changes(void **state)
{
	static const unsigned char zeroes[SHA256_SIZE];
	unsigned char chain[2 * SHA256_SIZE];
	unsigned char same[SHA256_SIZE];
	struct change update, gap;
	struct buf b;

	(void)state;
	sample_update(&update);
	sample_gap(&gap);
	buf_init(&b, 65536);
	change_canonical(&b, &update);
	golden_check("change_updated", b.data, b.len);
	buf_clear(&b);
	change_canonical(&b, &gap);
	golden_check("change_gap", b.data, b.len);
	change_chain(zeroes, &update, chain);
	change_chain(chain, &gap, chain + SHA256_SIZE);
	golden_check("chain", chain, sizeof(chain));
	memcpy(same, chain, sizeof(same));
	change_chain(same, &gap, same);
	assert_memory_equal(same, chain + SHA256_SIZE, sizeof(same));
	buf_deinit(&b);
	change_deinit(&update);
	change_deinit(&gap);
}

/* No two fields of a change can be exchanged unnoticed. */
static void test_change_fields(void **state)
{
	static const size_t texts[] = {
		offsetof(struct change, prefix),     offsetof(struct change, from_prefix),
		offsetof(struct change, actor.name), offsetof(struct change, actor.how),
		offsetof(struct change, owner.name), offsetof(struct change, owner.how),
		offsetof(struct change, platform),   offsetof(struct change, tool),
		offsetof(struct change, command),    offsetof(struct change, detail),
	};
	enum {
		N = sizeof(texts) / sizeof(texts[0])
	};
	static const unsigned char zeroes[SHA256_SIZE];
	unsigned char seen[N][SHA256_SIZE];
	struct change c;

	(void)state;
	sample_gap(&c);
	for (size_t i = 0; i < N; i++) {
		struct change other = c;

		*(const char **)((char *)&other + texts[i]) = "x";
		change_chain(zeroes, &other, seen[i]);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(seen[k], seen[i], SHA256_SIZE);
	}
	change_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packages),      cmocka_unit_test(test_keys_cover),
		cmocka_unit_test(test_claims),	      cmocka_unit_test(test_digests),
		cmocka_unit_test(test_digests_apart), cmocka_unit_test(test_root_digest),
		cmocka_unit_test(test_changes),	      cmocka_unit_test(test_change_fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
