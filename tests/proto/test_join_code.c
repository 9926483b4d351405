#include "proto/join_code.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/proto/golden.h"
#include "tests/proto/samples.h"
#include "tests/support/fault.h"

#define TEXT_MAX 8192

static struct join_code sample(void)
{
	struct join_code code = {
		.organisation = sample_uuid(0x70),
		.name = "Beispiel GmbH \xc3\xa9",
		.addresses = {"warden.example.org:8443", "[2001:db8::7]:443"},
		.n_addresses = 2,
	};

	sample_bytes(code.root_hash, sizeof(code.root_hash), 0);
	sample_bytes(code.secret, sizeof(code.secret), 0xc0);
	return code;
}

static void assert_code_equal(const struct join_code *a, const struct join_code *b)
{
	assert_int_equal(uuid_cmp(&a->organisation, &b->organisation), 0);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->n_addresses, b->n_addresses);
	for (size_t i = 0; i < a->n_addresses; i++)
		assert_string_equal(a->addresses[i], b->addresses[i]);
	assert_memory_equal(a->root_hash, b->root_hash, sizeof(a->root_hash));
	assert_memory_equal(a->secret, b->secret, sizeof(a->secret));
}

static void test_golden(void **state)
{
	struct join_code code = sample();
	struct join_code back;
	struct buf golden, text;

	(void)state;
	golden_read_text("join_code.txt", &golden);
	buf_init(&text, TEXT_MAX);
	assert_int_equal(join_code_format(&code, &text, NULL), 0);
	assert_string_equal(buf_cstr(&text), buf_cstr(&golden));
	assert_int_equal(join_code_parse(golden.data, golden.len, &back, NULL), 0);
	assert_code_equal(&code, &back);
	buf_deinit(&text);
	buf_deinit(&golden);
}

/* The biggest and the smallest there are. */
static void test_extremes(void **state)
{
	struct join_code code = sample();
	struct join_code back;
	struct buf text;

	(void)state;
	memset(code.name, 'n', JOIN_CODE_NAME_MAX);
	code.n_addresses = JOIN_CODE_ADDRESSES_MAX;
	for (size_t i = 0; i < JOIN_CODE_ADDRESSES_MAX; i++) {
		memset(code.addresses[i], 'a', JOIN_CODE_ADDRESS_MAX);
		memcpy(code.addresses[i] + JOIN_CODE_ADDRESS_MAX - 6, ":65535", 7);
	}
	buf_init(&text, TEXT_MAX);
	assert_int_equal(join_code_format(&code, &text, NULL), 0);
	assert_int_equal(join_code_parse(text.data, text.len, &back, NULL), 0);
	assert_code_equal(&code, &back);
	buf_clear(&text);
	code.name[0] = '\0';
	code.n_addresses = 1;
	snprintf(code.addresses[0], sizeof(code.addresses[0]), "a:1");
	assert_int_equal(join_code_format(&code, &text, NULL), 0);
	assert_int_equal(join_code_parse(text.data, text.len, &back, NULL), 0);
	assert_code_equal(&code, &back);
	buf_deinit(&text);
}

static void test_addresses(void **state)
{
	static const struct {
		const char *address;
		int rc;
	} table[] = {
		{"host:1", 0},
		{"10.0.0.1:65535", 0},
		{"[::1]:443", 0},
		{"", ERR_INVALID},
		{"host", ERR_INVALID},
		{"host:", ERR_INVALID},
		{":443", ERR_INVALID},
		{"host:0", ERR_INVALID},
		{"host:65536", ERR_INVALID},
		{"host:44x", ERR_INVALID},
		{"ho st:443", ERR_INVALID},
		{"::1:443", ERR_INVALID},
		{"[]:443", ERR_INVALID},
		{"[::1:443", ERR_INVALID},
		{"https://host:443", ERR_INVALID},
		{"h\x1b[0m:443", ERR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct join_code code = sample();
		struct buf text;
		int rc;

		snprintf(code.addresses[1], sizeof(code.addresses[1]), "%s", table[i].address);
		buf_init(&text, TEXT_MAX);
		rc = join_code_format(&code, &text, NULL);
		if (rc != table[i].rc)
			fail_msg("\"%s\": %s", table[i].address, err_name(rc));
		assert_int_equal(rc == 0, text.len > 0);
		buf_deinit(&text);
	}
}

static void test_made_wrong(void **state)
{
	struct join_code code = sample();
	struct buf text;

	(void)state;
	buf_init(&text, TEXT_MAX);
	code.n_addresses = 0;
	assert_int_equal(join_code_format(&code, &text, NULL), ERR_INVALID);
	code.n_addresses = JOIN_CODE_ADDRESSES_MAX + 1;
	assert_int_equal(join_code_format(&code, &text, NULL), ERR_INVALID);
	code = sample();
	code.name[0] = (char)0xff;
	assert_int_equal(join_code_format(&code, &text, NULL), ERR_INVALID);
	buf_deinit(&text);
}

/* However people pass it on: lower case, blanks, line ends, letters that look like digits. */
static void test_forgiving(void **state)
{
	struct join_code code = sample();
	struct join_code back;
	struct buf golden, text;

	(void)state;
	golden_read_text("join_code.txt", &golden);
	buf_init(&text, TEXT_MAX);
	buf_adds(&text, " \r\n");
	for (size_t i = 0; i < golden.len; i++) {
		char c = golden.data[i];

		if (i >= 4 && c == '-')
			buf_adds(&text, i % 4 == 0 ? "\r\n " : "");
		else if (i >= 4 && c == '0')
			buf_addc(&text, 'o');
		else if (i >= 4 && c == '1')
			buf_addc(&text, 'L');
		else
			buf_addc(&text, (char)(c >= 'A' && c <= 'Z' ? c + 32 : c));
	}
	buf_adds(&text, "\n");
	assert_int_equal(join_code_parse(text.data, text.len, &back, NULL), 0);
	assert_code_equal(&code, &back);
	buf_deinit(&text);
	buf_deinit(&golden);
}

static void expect_parse(const char *text, size_t n, int rc, const char *words)
{
	struct join_code code = {.n_addresses = 99};
	struct err err = ERR_INIT;
	int got = join_code_parse(text, n, &code, &err);

	if (got != rc || !strstr(err.text, words))
		fail_msg("\"%.*s\": %s, %s", (int)n, text, err_name(got), err.text);
	assert_int_equal(code.n_addresses, 99);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text;
		int rc;
		const char *words;
	} table[] = {
		{"", ERR_INVALID, "empty"},
		{" \n\t", ERR_INVALID, "empty"},
		{"hello", ERR_INVALID, "not a join code"},
		{"EW", ERR_INVALID, "not a join code"},
		{"EW1", ERR_INVALID, "not a join code"},
		{"EW-91C0", ERR_INVALID, "not a join code"}, /* a case code */
		{"EW2-AAAAA", ERR_UNSUPPORTED, "another version"},
		{"EW11-AAAAA", ERR_UNSUPPORTED, "another version"},
		{"EW1-", ERR_INVALID, "too short"},
		{"EW1-02170-W", ERR_INVALID, "too short"},
		{"EW1-02170-WBJED", ERR_INVALID, "too short: 10 of"},
		{"EW1-02170-WB!ED", ERR_INVALID, "mistyped"},
		{"EW1-00000-00000", ERR_INVALID, "mistyped"},
		{"EW1-ZZZZZ-ZZZZZ", ERR_INVALID, "mistyped"},
	};
	static char huge[5000];

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect_parse(table[i].text, strlen(table[i].text), table[i].rc, table[i].words);
	memset(huge, 'A', sizeof(huge));
	memcpy(huge, "EW1-", 4);
	expect_parse(huge, sizeof(huge), ERR_INVALID, "too long");
}

/* Each way of getting a whole code wrong, at each place. */
static void test_mistyped(void **state)
{
	struct buf golden, text;

	(void)state;
	golden_read_text("join_code.txt", &golden);
	buf_init(&text, TEXT_MAX);
	for (size_t i = 4; i < golden.len; i++) {
		char *c = &golden.data[i];
		char was = *c;

		if (was == '-')
			continue;
		*c = was == 'Z' ? 'Y' : 'Z';
		expect_parse(golden.data, golden.len, ERR_INVALID, "");
		if (i > 10)
			expect_parse(golden.data, golden.len, ERR_INVALID, "mistyped");
		*c = was;
		expect_parse(golden.data, i, ERR_INVALID, "too short");
	}
	buf_add(&text, golden.data, golden.len);
	buf_addc(&text, '0');
	expect_parse(text.data, text.len, ERR_INVALID, "too long");
	buf_deinit(&text);
	buf_deinit(&golden);
}

static int once(void *ctx)
{
	struct join_code code = sample();
	struct join_code back;
	struct buf text;
	int rc;

	(void)ctx;
	buf_init(&text, TEXT_MAX);
	rc = join_code_format(&code, &text, NULL);
	if (rc == 0)
		rc = join_code_parse(text.data, text.len, &back, NULL);
	buf_deinit(&text);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(once, NULL, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),	  cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_addresses), cmocka_unit_test(test_made_wrong),
		cmocka_unit_test(test_forgiving), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mistyped),  cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
