#include "tests/proto/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

void sample_bytes(unsigned char *out, size_t n, unsigned first)
{
	for (size_t i = 0; i < n; i++)
		out[i] = (unsigned char)(first + i);
}

struct uuid sample_uuid(unsigned first)
{
	struct uuid u;

	sample_bytes(u.b, sizeof(u.b), first);
	return u;
}

struct package sample_numpy(void)
{
	struct package p = {
		.manager = "conda",
		.name = "numpy",
		.version = "2.1.3",
		.build = "py312h58c1407_0",
		.channel = "https://conda.example.org/forge",
		.subdir = "linux-64",
		.license = "BSD-3-Clause",
		.url = "https://conda.example.org/forge/linux-64/"
		       "numpy-2.1.3-py312h58c1407_0.conda",
		.size = 8388631,
		.has_sha256 = true,
		.has_md5 = true,
		.requested = true,
	};

	sample_bytes(p.sha256, sizeof(p.sha256), 0);
	sample_bytes(p.md5, sizeof(p.md5), 0xa0);
	return p;
}

struct package sample_openssl(void)
{
	struct package p = {
		.manager = "conda",
		.name = "openssl",
		.version = "1.0.2u",
		.build = "0",
		.channel = "main",
		.subdir = "linux-64",
		.license = "OpenSSL",
		.url = "",
		.has_md5 = true,
	};

	sample_bytes(p.md5, sizeof(p.md5), 0xb0);
	return p;
}

struct package sample_requests(void)
{
	return (struct package){
		.manager = "pypi",
		.name = "requests",
		.version = "2.32.3",
		.build = "",
		.build_number = PACKAGE_BUILD_NUMBER_UNKNOWN,
		.channel = "",
		.subdir = "",
		.license = "Apache-2.0",
		.url = "",
	};
}

static void add(struct package_list *list, struct package p)
{
	assert_int_equal(package_list_add(list, &p), 0);
}

void sample_packages(struct package_list *out)
{
	*out = (struct package_list){0};
	add(out, sample_requests());
	add(out, sample_numpy());
	add(out, sample_openssl());
	package_list_sort(out);
}

void sample_update(struct change *out)
{
	change_init(out);
	out->epoch = sample_uuid(0x10);
	out->seq = 7;
	out->time_ms = 1764000000123;
	out->kind = CHANGE_UPDATED;
	out->environment = sample_uuid(0x20);
	out->prefix = "/home/ana/envs/churn";
	add(&out->added, sample_numpy());
	add(&out->added, sample_requests());
	add(&out->removed, sample_openssl());
	out->actor = (struct person){.name = "ana", .uid = 1000, .how = "owner of history"};
	out->owner = (struct person){.name = "ana", .uid = 1000, .how = ""};
	out->platform = "linux-64";
	out->tool = "conda";
	out->command = "conda install numpy";
	out->seen_at_start = true;
	out->has_digest = true;
	sample_bytes(out->digest, sizeof(out->digest), 0x40);
}

void sample_gap(struct change *out)
{
	change_init(out);
	out->epoch = sample_uuid(0x30);
	out->seq = 1;
	out->time_ms = 1764000001000;
	out->kind = CHANGE_GAP;
	out->detail = "101112131415161718191a1b1c1d1e1f";
}

void assert_package_equal(const struct package *a, const struct package *b)
{
	assert_int_equal(package_cmp_all(a, b), 0);
	assert_int_equal(a->has_sha256, b->has_sha256);
	assert_int_equal(a->has_md5, b->has_md5);
	assert_memory_equal(a->sha256, b->sha256, sizeof(a->sha256));
	assert_memory_equal(a->md5, b->md5, sizeof(a->md5));
}

static void assert_packages_equal(const struct package_list *a, const struct package_list *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_package_equal(&a->items[i], &b->items[i]);
}

static void assert_person_equal(const struct person *a, const struct person *b)
{
	assert_string_equal(a->name, b->name);
	assert_true(a->uid == b->uid);
	assert_string_equal(a->how, b->how);
}

void assert_change_equal(const struct change *a, const struct change *b)
{
	assert_int_equal(uuid_cmp(&a->epoch, &b->epoch), 0);
	assert_true(a->seq == b->seq);
	assert_true(a->time_ms == b->time_ms);
	assert_int_equal(a->kind, b->kind);
	assert_int_equal(uuid_cmp(&a->environment, &b->environment), 0);
	assert_string_equal(a->prefix, b->prefix);
	assert_string_equal(a->from_prefix, b->from_prefix);
	assert_int_equal(uuid_cmp(&a->cloned_from, &b->cloned_from), 0);
	assert_packages_equal(&a->added, &b->added);
	assert_packages_equal(&a->removed, &b->removed);
	assert_person_equal(&a->actor, &b->actor);
	assert_person_equal(&a->owner, &b->owner);
	assert_string_equal(a->platform, b->platform);
	assert_string_equal(a->tool, b->tool);
	assert_string_equal(a->command, b->command);
	assert_string_equal(a->detail, b->detail);
	assert_int_equal(a->self_reported, b->self_reported);
	assert_int_equal(a->seen_at_start, b->seen_at_start);
	assert_int_equal(a->has_digest, b->has_digest);
	assert_memory_equal(a->digest, b->digest, sizeof(a->digest));
}
