/*
 * Session classes (docs/formats.md, TLS): what a peer showed in the handshake decides which kinds
 * of message it may send. Pure.
 */
#ifndef ENVWARDEN_SERVER_SESSION_CLASSES_H
#define ENVWARDEN_SERVER_SESSION_CLASSES_H

#include "lib/base/err.h"
#include "proto/sync.pb-c.h"

enum session_class {
	SESSION_NONE = 1,    /* no certificate */
	SESSION_EXPIRED = 2, /* a good chain that has only expired */
	SESSION_FULL = 4     /* a valid certificate of a machine */
};

/*
 * 0, or ERR_UNSUPPORTED (a kind of a newer version: to be answered so), ERR_PROTOCOL (a kind no
 * agent sends), ERR_PERM (not from this class), ERR_EXPIRED (not from this class, but from the full
 * one).
 */
int class_check(Envwarden__Sync__Envelope__KindCase kind, enum session_class class,
		struct err *err);

#endif
