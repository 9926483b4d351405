/*
 * Policies and exceptions <-> the messages they are signed in. The rules of convert.h hold: to the
 * wire, texts are borrowed and the rest is in the arena; from the wire, texts are borrowed from the
 * message, the rest is in the arena, and what breaks a rule of the language is ERR_INVALID.
 */
#ifndef ENVWARDEN_PROTO_CONVERT_POLICY_H
#define ENVWARDEN_PROTO_CONVERT_POLICY_H

#include "lib/base/arena.h"
#include "lib/base/err.h"
#include "lib/policy/policy.h"
#include "proto/codec.h"

int policy_to_wire(const struct policy *policy, struct arena *arena,
		   Envwarden__Bundle__Policy **out);
int policy_from_wire(const Envwarden__Bundle__Policy *wire, struct arena *arena, struct policy *out,
		     struct err *err);

int exceptions_to_wire(const struct exception *items, size_t n, struct arena *arena,
		       Envwarden__Bundle__Exception ***out);
int exceptions_from_wire(Envwarden__Bundle__Exception *const *wire, size_t n, struct arena *arena,
			 const struct exception **out, struct err *err);

#endif
