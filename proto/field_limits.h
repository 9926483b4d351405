/*
 * What each text, byte string and list of the schemas may hold. Keyed by the field's name, since
 * the same name means the same thing in every message; a message that differs has a line of its
 * own. Inside of proto/ only: everybody else meets these rules through the codec.
 */
#ifndef ENVWARDEN_PROTO_FIELD_LIMITS_H
#define ENVWARDEN_PROTO_FIELD_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/codec.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_MESSAGE
};

/* Without pointers, so that no program has to relocate the table when it starts. */
struct field_limit {
	char field[24];
	char message[24]; /* short name of the only message this is for, "" = any */
	enum field_kind kind;
	uint32_t min; /* bytes; of one item if it is a list. An empty byte string is judged by
			 empty_ok alone */
	uint32_t max;
	uint32_t unit;	/* a byte string's length is a multiple of it; 0 = any length */
	bool empty_ok;	/* byte strings */
	uint32_t items; /* of a list */
};

/*
 * The rule for a text, byte string or list; NULL for a field no rule was written for, which is a
 * mistake in the table (a test walks all schemas).
 */
const struct field_limit *field_limit_find(const ProtobufCMessageDescriptor *message,
					   const ProtobufCFieldDescriptor *field);

#endif
