#include "proto/fallback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/crypto.h"
#include "lib/base/mem.h"
#include "tests/proto/golden.h"
#include "tests/support/fault.h"

static const struct fallback_entry entries[] = {
	{"/opt/conda", 0, 0, ACTION_ALLOW, "base", "", "", ""},
	{"/home/ana/envs/legacy-etl", 64769, 7654321, ACTION_BLOCK, "legacy-etl", "EW-91C0",
	 "OpenSSL 1.x gets no security fixes any more.",
	 "conda update -p ~/envs/legacy-etl \"openssl>=3\""},
	{"/home/ana/envs/churn", 64769, 1234567, ACTION_WARN, "churn", "EW-77B3",
	 "CVE-2020-14343 in pyyaml", ""},
};

static const struct fallback sample = {
	.policy_version = 41,
	.when_agent_down = AGENT_DOWN_LAST_DECISION,
	.contact = "security@example.org",
	.entries = entries,
	.n = 3,
};

static void encode(struct buf *b)
{
	buf_init(b, FALLBACK_MAX);
	assert_int_equal(fallback_encode(&sample, b, NULL), 0);
}

static void test_golden(void **state)
{
	struct buf b;

	(void)state;
	encode(&b);
	golden_check("fallback", b.data, b.len);
	buf_deinit(&b);
}

static void assert_found(const struct fallback_view *view, const char *path, uint64_t device,
			 uint64_t inode, const struct fallback_entry *want)
{
	struct fallback_entry got;

	if (!want) {
		assert_int_equal(fallback_find(view, path, device, inode, &got), ERR_NOTFOUND);
		return;
	}
	assert_int_equal(fallback_find(view, path, device, inode, &got), 0);
	assert_string_equal(got.path, want->path);
	assert_true(got.device == want->device && got.inode == want->inode);
	assert_int_equal(got.action, want->action);
	assert_string_equal(got.name, want->name);
	assert_string_equal(got.case_code, want->case_code);
	assert_string_equal(got.message, want->message);
	assert_string_equal(got.fix, want->fix);
}

static void test_find(void **state)
{
	struct fallback_view view;
	struct buf b;

	(void)state;
	encode(&b);
	assert_int_equal(fallback_open(b.data, b.len, &view, NULL), 0);
	assert_true(view.policy_version == 41);
	assert_int_equal(view.when_agent_down, AGENT_DOWN_LAST_DECISION);
	assert_string_equal(view.contact, "security@example.org");
	for (size_t i = 0; i < 3; i++)
		assert_found(&view, entries[i].path, 0, 0, &entries[i]);
	assert_found(&view, "/elsewhere", 64769, 7654321, &entries[1]);
	assert_found(&view, NULL, 64769, 1234567, &entries[2]);
	/* The path counts more than what has its inode now. */
	assert_found(&view, "/home/ana/envs/churn", 64769, 7654321, &entries[2]);
	assert_found(&view, "/home/ana/envs", 1, 1234567, NULL);
	assert_found(&view, "/home/ana/envs/churn2", 0, 0, NULL);
	assert_found(&view, "", 0, 0, NULL);
	assert_found(&view, NULL, 0, 0, NULL); /* an unknown inode is no inode */
	buf_deinit(&b);
}

/* Makes the checksum right again, as one who may write the file could. */
static void reseal(struct buf *b)
{
	unsigned char hash[SHA256_SIZE];

	sha256(b->data + 32, b->len - 32, hash);
	memcpy(b->data + 16, hash, 16);
}

/* As agents wrote it before there were fixes in it: one entry, 36 bytes. */
static void test_of_the_first_version(void **state)
{
	static const char texts[] = "ask\0/e\0e\0EW-1\0no";
	enum {
		AT = 52 + 36,
		SIZE = AT + sizeof texts
	};
	const struct fallback_entry want = {"/e", 3, 4, ACTION_BLOCK, "e", "EW-1", "no", ""};
	static const uint32_t offsets[] = {4, 7, 9, 14}; /* path, name, case, message */
	struct fallback_view view;
	struct buf b;

	(void)state;
	buf_init(&b, FALLBACK_MAX);
	buf_add(&b, "EWFALLBK", 8);
	buf_add_u32(&b, 1);
	buf_add_u32(&b, SIZE);
	buf_add(&b, (const char[16]){0}, 16);
	buf_add_u64(&b, 41);
	buf_add_u32(&b, AGENT_DOWN_LAST_DECISION);
	buf_add_u32(&b, 1);
	buf_add_u32(&b, AT);
	buf_add_u64(&b, 3);
	buf_add_u64(&b, 4);
	buf_add_u32(&b, ACTION_BLOCK);
	for (size_t i = 0; i < 4; i++)
		buf_add_u32(&b, AT + offsets[i]);
	buf_add(&b, texts, sizeof texts);
	reseal(&b);
	assert_int_equal(fallback_open(b.data, b.len, &view, NULL), 0);
	assert_string_equal(view.contact, "ask");
	assert_found(&view, "/e", 0, 0, &want);
	buf_deinit(&b);
}

static void test_empty(void **state)
{
	struct fallback file = {.when_agent_down = AGENT_DOWN_BLOCK, .contact = ""};
	struct fallback_view view;
	struct buf b;

	(void)state;
	buf_init(&b, FALLBACK_MAX);
	assert_int_equal(fallback_encode(&file, &b, NULL), 0);
	assert_int_equal(fallback_open(b.data, b.len, &view, NULL), 0);
	assert_int_equal(view.when_agent_down, AGENT_DOWN_BLOCK);
	assert_string_equal(view.contact, "");
	assert_found(&view, "/p", 1, 1, NULL);
	buf_deinit(&b);
}

#define MANY 5000

static void test_many(void **state)
{
	static char paths[MANY][32];
	struct fallback_entry *many = mem_calloc(MANY, sizeof(*many));
	struct fallback file = sample;
	struct fallback_view view;
	struct buf b;

	(void)state;
	assert_non_null(many);
	for (size_t i = 0; i < MANY; i++) {
		snprintf(paths[i], sizeof(paths[i]), "/envs/%zu", i * 7919 % MANY);
		many[i] = (struct fallback_entry){paths[i], 1,	 i + 1, ACTION_BLOCK,
						  "n",	    "c", "m",	"f"};
	}
	file.entries = many;
	file.n = MANY;
	buf_init(&b, FALLBACK_MAX);
	assert_int_equal(fallback_encode(&file, &b, NULL), 0);
	assert_int_equal(fallback_open(b.data, b.len, &view, NULL), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_found(&view, paths[i], 0, 0, &many[i]);
	buf_deinit(&b);
	mem_free(many);
}

static void test_encode_refuses(void **state)
{
	static char message[FALLBACK_MAX];
	struct fallback_entry twice[] = {entries[0], entries[1], entries[0]};
	struct fallback file = sample;
	struct buf b;

	(void)state;
	buf_init(&b, 4 * FALLBACK_MAX);
	file.entries = twice;
	assert_int_equal(fallback_encode(&file, &b, NULL), ERR_INVALID);
	memset(message, 'm', sizeof(message) - 1);
	twice[0].message = message;
	file.n = 1;
	assert_int_equal(fallback_encode(&file, &b, NULL), ERR_LIMIT);
	file.n = FALLBACK_MAX;
	assert_int_equal(fallback_encode(&file, &b, NULL), ERR_LIMIT);
	assert_int_equal(b.len, 0);
	buf_deinit(&b);
}

/* Whatever byte changes, the file is refused; whatever is cut off, too. */
static void test_damaged(void **state)
{
	struct fallback_view view;
	struct buf b;

	(void)state;
	encode(&b);
	for (size_t i = 0; i < b.len; i++) {
		int rc;

		b.data[i] = (char)(b.data[i] ^ 1);
		rc = fallback_open(b.data, b.len, &view, NULL);
		assert_int_equal(rc, i >= 8 && i < 12 ? ERR_UNSUPPORTED : ERR_CORRUPT);
		b.data[i] = (char)(b.data[i] ^ 1);
		assert_int_equal(fallback_open(b.data, i, &view, NULL), ERR_CORRUPT);
	}
	buf_deinit(&b);
}

/* The same with a right checksum: nothing may be read outside of the bytes. */
static void test_hostile(void **state)
{
	struct fallback_view view;
	struct fallback_entry e;
	struct buf b;
	size_t opened = 0;

	(void)state;
	encode(&b);
	for (size_t i = 32; i < b.len; i++) {
		char was = b.data[i];

		for (int v = 0; v < 3; v++) {
			b.data[i] = (char)(v == 0 ? 0 : v == 1 ? 0xff : was + 1);
			reseal(&b);
			if (fallback_open(b.data, b.len, &view, NULL) < 0)
				continue;
			opened++;
			if (fallback_find(&view, "/opt/conda", 64769, 1234567, &e) == 0)
				assert_in_range(strlen(e.message), 0, b.len);
		}
		b.data[i] = was;
	}
	assert_true(opened > 100);
	b.data[b.len - 1] = 'x'; /* a last text without end */
	reseal(&b);
	assert_int_equal(fallback_open(b.data, b.len, &view, NULL), ERR_CORRUPT);
	assert_int_equal(fallback_open(b.data, FALLBACK_MAX + 1, &view, NULL), ERR_LIMIT);
	buf_deinit(&b);
}

static void test_names(void **state)
{
	enum agent_down v = AGENT_DOWN_ALLOW;

	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(agent_down_parse(agent_down_name((enum agent_down)i), &v), 0);
		assert_int_equal(v, i);
	}
	assert_int_equal(agent_down_parse("", &v), ERR_INVALID);
	assert_int_equal(agent_down_parse("Block", &v), ERR_INVALID);
}

static int once(void *ctx)
{
	struct buf b;
	int rc;

	(void)ctx;
	buf_init(&b, FALLBACK_MAX);
	rc = fallback_encode(&sample, &b, NULL);
	buf_deinit(&b);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(once, NULL, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_of_the_first_version),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_encode_refuses),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
