#include "server/session/classes.h"

#include "lib/base/compiler.h"

#define KIND(name) ENVWARDEN__SYNC__ENVELOPE__KIND_##name

/* Every kind there is; those from the server are sent by no class. */
static const struct {
	Envwarden__Sync__Envelope__KindCase kind;
	unsigned classes;
} table[] = {
	{KIND(ENROL), SESSION_NONE},
	{KIND(RENEW), SESSION_FULL | SESSION_EXPIRED},
	{KIND(HELLO), SESSION_FULL},
	{KIND(PACKAGE_OFFER), SESSION_FULL},
	{KIND(PACKAGES), SESSION_FULL},
	{KIND(CHANGES), SESSION_FULL},
	{KIND(BUNDLE_REQUEST), SESSION_FULL},
	{KIND(BUNDLE_REPORT), SESSION_FULL},
	{KIND(PING), SESSION_FULL},
	{KIND(DECISION_REPORT), SESSION_FULL},
	{KIND(EXCEPTION_REQUEST), SESSION_FULL},

	{KIND(ENROL_REPLY), 0},
	{KIND(RENEW_REPLY), 0},
	{KIND(WELCOME), 0},
	{KIND(PACKAGE_NEED), 0},
	{KIND(ACK), 0},
	{KIND(PUSH), 0},
	{KIND(BUNDLE_CHUNK), 0},
	{KIND(PONG), 0},
	{KIND(DECISION_ACK), 0},
	/* An agent may say that it does not know a kind of ours, or what went wrong. */
	{KIND(ERROR), SESSION_FULL | SESSION_EXPIRED | SESSION_NONE},
	{KIND(UNSUPPORTED), SESSION_FULL | SESSION_EXPIRED | SESSION_NONE},
};

static int refuse(enum session_class class, struct err *err)
{
	switch (class) {
	case SESSION_NONE:
		return err_set(err, ERR_PERM,
			       "without a certificate only enrolment is possible: enrol this "
			       "machine");
	case SESSION_EXPIRED:
		return err_set(err, ERR_EXPIRED, "the machine's certificate has expired: renew it");
	case SESSION_FULL:
		break;
	}
	return err_set(err, ERR_PERM, "not for a machine that is enrolled already");
}

int class_check(Envwarden__Sync__Envelope__KindCase kind, enum session_class class, struct err *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		if (table[i].kind != kind)
			continue;
		if (table[i].classes == 0)
			return err_set(err, ERR_PROTOCOL, "a message only servers send");
		return (table[i].classes & class) != 0 ? 0 : refuse(class, err);
	}
	return err_set(err, ERR_UNSUPPORTED, "unknown kind of message");
}
