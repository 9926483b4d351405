#include "server/session/classes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/compiler.h"

#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

/* The rule written out once more: kind -> what each class hears. */
static const struct {
	Envwarden__Sync__Envelope__KindCase kind;
	int none, expired, full;
} cases[] = {
	{KIND(ENROL), 0, ERR_EXPIRED, ERR_PERM},
	{KIND(RENEW), ERR_PERM, 0, 0},
	{KIND(HELLO), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(PACKAGE_OFFER), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(PACKAGES), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(CHANGES), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(BUNDLE_REQUEST), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(BUNDLE_REPORT), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(PING), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(DECISION_REPORT), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(EXCEPTION_REQUEST), ERR_PERM, ERR_EXPIRED, 0},
	{KIND(ENROL_REPLY), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(RENEW_REPLY), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(WELCOME), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(PACKAGE_NEED), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(ACK), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(PUSH), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(BUNDLE_CHUNK), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(PONG), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(DECISION_ACK), ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
	{KIND(ERROR), 0, 0, 0},
	{KIND(UNSUPPORTED), 0, 0, 0},
	{KIND(_NOT_SET), ERR_UNSUPPORTED, ERR_UNSUPPORTED, ERR_UNSUPPORTED},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(class_check(cases[i].kind, SESSION_NONE, NULL), cases[i].none);
		assert_int_equal(class_check(cases[i].kind, SESSION_EXPIRED, NULL),
				 cases[i].expired);
		assert_int_equal(class_check(cases[i].kind, SESSION_FULL, NULL), cases[i].full);
	}
}

/* A kind added to the protocol must be given its classes. */
static void test_complete(void **state)
{
	const ProtobufCMessageDescriptor *envelope = &envwarden__sync__envelope__descriptor;

	(void)state;
	assert_int_equal(envelope->n_fields, ARRAY_SIZE(cases) - 1);
	for (unsigned i = 0; i < envelope->n_fields; i++) {
		int rc = class_check((Envwarden__Sync__Envelope__KindCase)envelope->fields[i].id,
				     SESSION_FULL, NULL);

		assert_int_not_equal(rc, ERR_UNSUPPORTED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
