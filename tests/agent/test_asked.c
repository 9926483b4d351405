#include "agent/asked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "tests/support/fault.h"

static struct asked *make(uint8_t n, uint32_t uid, enum asked_state state)
{
	struct asked from = {.id = {{n, n}},
			     .environment = {{7}},
			     .uid = uid,
			     .made_ms = n,
			     .case_code = "EW-91C0",
			     .state = state,
			     .until_ms = 9,
			     .user = (char *)(uintptr_t) "ana",
			     .reason = (char *)(uintptr_t) "the driver\nneeds it",
			     .message = (char *)(uintptr_t) "caf\303\251"};
	struct asked *a;

	assert_int_equal(asked_new(&from, &a), 0);
	return a;
}

static void add(struct asked_list *list, struct asked *a)
{
	assert_int_equal(asked_list_add(list, a), 0);
}

static void test_kept(void **state)
{
	struct asked *a = make(1, 1000, ASKED_DENIED), *b;
	struct buf bytes;

	(void)state;
	buf_init(&bytes, ASKED_BYTES_MAX);
	asked_encode(a, &bytes);
	assert_int_equal(buf_rc(&bytes), 0);
	assert_int_equal(asked_decode(bytes.data, bytes.len, &b), 0);
	assert_memory_equal(&a->id, &b->id, UUID_SIZE);
	assert_memory_equal(&a->environment, &b->environment, UUID_SIZE);
	assert_int_equal(b->uid, 1000);
	assert_int_equal(b->made_ms, 1);
	assert_int_equal(b->until_ms, 9);
	assert_int_equal(b->state, ASKED_DENIED);
	assert_string_equal(b->case_code, "EW-91C0");
	assert_string_equal(b->user, "ana");
	assert_string_equal(b->reason, a->reason);
	assert_string_equal(b->message, a->message);
	assert_string_equal(b->exception, "");
	asked_free(b);
	/* Whatever is cut off, it is none any more; and neither with something behind it. */
	for (size_t n = 0; n < bytes.len; n++)
		assert_int_equal(asked_decode(bytes.data, n, &b), ERR_INVALID);
	buf_addc(&bytes, 'x');
	assert_int_equal(asked_decode(bytes.data, bytes.len, &b), ERR_INVALID);
	bytes.len--;
	bytes.data[0]++;
	assert_int_equal(asked_decode(bytes.data, bytes.len, &b), ERR_INVALID);
	buf_deinit(&bytes);
	asked_free(a);
}

/* The largest that fields allow fits what is set aside for it. */
static void test_largest(void **state)
{
	static char text[1025];
	struct asked from = {.state = ASKED_OPEN,
			     .case_code = "EW-123456789012",
			     .user = text,
			     .reason = text,
			     .message = text};
	struct asked *a;
	struct buf bytes;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(asked_new(&from, &a), 0);
	buf_init(&bytes, ASKED_BYTES_MAX);
	asked_encode(a, &bytes);
	assert_int_equal(buf_rc(&bytes), 0);
	asked_free(a);
	assert_int_equal(asked_decode(bytes.data, bytes.len, &a), 0);
	asked_free(a);
	buf_deinit(&bytes);
}

static void test_hear(void **state)
{
	struct said_request said = {.state = ASKED_OPEN, .message = "", .exception = ""};
	struct asked *a = make(1, 1, ASKED_OPEN);

	(void)state;
	a->until_ms = 0;
	mem_free(a->message);
	a->message = mem_strdup("");
	assert_false(asked_hear(a, NULL));
	assert_false(a->heard);
	assert_false(asked_hear(a, &said)); /* as it is known */
	assert_true(a->heard);
	assert_false(a->unkept);
	/* A server that was restored has lost it. */
	assert_false(asked_hear(a, NULL));
	assert_false(a->heard);
	said = (struct said_request){
		.state = ASKED_APPROVED, .message = "Fine.", .exception = "EX-1", .until_ms = 5};
	assert_true(asked_hear(a, &said));
	assert_true(a->unkept);
	assert_int_equal(a->state, ASKED_APPROVED);
	assert_true(asked_holds(a, 4) && !asked_holds(a, 5));
	assert_int_equal(a->until_ms, 5);
	assert_string_equal(a->message, "Fine.");
	assert_string_equal(a->exception, "EX-1");
	assert_false(asked_hear(a, &said));
	said.until_ms = 3; /* revoked */
	assert_true(asked_hear(a, &said));
	/* Long answered, and not told of any more: the answer stays. */
	assert_false(asked_hear(a, NULL));
	assert_int_equal(a->state, ASKED_APPROVED);
	said.state = 9;
	assert_false(asked_hear(a, &said));
	assert_int_equal(a->state, ASKED_APPROVED);
	asked_free(a);
}

static void test_order_and_open(void **state)
{
	struct asked_list list = {0};
	const struct uuid env = {{7}}, other = {{8}};

	(void)state;
	add(&list, make(3, 1, ASKED_DENIED));
	add(&list, make(1, 1, ASKED_OPEN));
	add(&list, make(2, 2, ASKED_OPEN));
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(list.items[i]->made_ms, i + 1);
	assert_ptr_equal(asked_list_open(&list, &env, "EW-91C0", 1), list.items[0]);
	assert_ptr_equal(asked_list_open(&list, &env, "EW-91C0", 2), list.items[1]);
	assert_null(asked_list_open(&list, &env, "EW-91C0", 3));
	assert_null(asked_list_open(&list, &env, "EW-0000", 1));
	assert_null(asked_list_open(&list, &other, "EW-91C0", 1));
	asked_list_remove(&list, 0);
	assert_null(asked_list_open(&list, &env, "EW-91C0", 1));
	assert_int_equal(list.n, 2);
	asked_list_deinit(&list);
}

static void test_room(void **state)
{
	struct asked_list list = {0};
	size_t at = 99;

	(void)state;
	add(&list, make(1, 2, ASKED_DENIED));
	for (size_t i = 0; i < ASKED_OF_USER_MAX; i++) {
		assert_int_equal(asked_list_room(&list, 1, &at), 0);
		assert_int_equal(at, list.n);
		add(&list, make((uint8_t)(i + 2), 1, ASKED_OPEN));
	}
	/* Another member's answered one does not help, an own one does: the oldest. */
	assert_int_equal(asked_list_room(&list, 1, &at), ERR_LIMIT);
	assert_int_equal(asked_list_room(&list, 2, &at), 0);
	assert_int_equal(at, list.n);
	list.items[4]->state = ASKED_APPROVED;
	list.items[9]->state = ASKED_DENIED;
	assert_int_equal(asked_list_room(&list, 1, &at), 0);
	assert_int_equal(at, 4);
	/* A full machine: anybody's answered one. */
	for (uint32_t i = 100; list.n < ASKED_MAX; i++)
		add(&list, make(200, i, ASKED_OPEN));
	assert_int_equal(asked_list_room(&list, 3, &at), 0);
	assert_int_equal(at, 0);
	list.items[0]->state = list.items[4]->state = list.items[9]->state = ASKED_OPEN;
	assert_int_equal(asked_list_room(&list, 3, &at), ERR_LIMIT);
	asked_list_deinit(&list);
}

static int one_life(void *ctx)
{
	struct asked_list list = {0};
	struct asked from = {.state = ASKED_OPEN, .reason = (char *)(uintptr_t) "why"};
	struct said_request said = {.state = ASKED_DENIED, .message = "no", .exception = "x"};
	struct asked *a = NULL;
	int rc = asked_new(&from, &a);

	(void)ctx;
	if (rc == 0)
		rc = asked_list_add(&list, a);
	if (rc < 0) {
		asked_free(a);
		return rc;
	}
	(void)asked_hear(a, &said);
	rc = strcmp(a->message, "no") == 0 && strcmp(a->exception, "x") == 0 ? 0 : ERR_NOMEM;
	asked_list_deinit(&list);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(one_life, NULL, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept), cmocka_unit_test(test_largest),
		cmocka_unit_test(test_hear), cmocka_unit_test(test_order_and_open),
		cmocka_unit_test(test_room), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
