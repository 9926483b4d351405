#include <string.h>

#include "agent/sent.h"
#include "lib/base/compiler.h"
#include "lib/base/json.h"

/* Never shown: the join code's secret, and the token by which clones are told apart. */
static const char *const secrets[] = {"secret", "continuity"};

static bool is_secret(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		if (strcmp(name, secrets[i]) == 0)
			return true;
	}
	return false;
}

static void describe(struct json_writer *w, const ProtobufCMessage *message);

static void add_bytes(struct json_writer *w, const ProtobufCBinaryData *bytes)
{
	struct buf hex;

	buf_init(&hex, 2 * bytes->len + 1);
	buf_add_hex(&hex, bytes->data, bytes->len);
	json_strn(w, hex.data ? hex.data : "", hex.len);
	buf_deinit(&hex);
}

static void add_enum(struct json_writer *w, const ProtobufCFieldDescriptor *field, int value)
{
	const ProtobufCEnumValue *known =
		protobuf_c_enum_descriptor_get_value(field->descriptor, value);

	if (known)
		json_str(w, known->name);
	else
		json_int(w, value);
}

/* One value at `at`, of the field's type. */
static void add_value(struct json_writer *w, const ProtobufCFieldDescriptor *field, const void *at)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		json_str(w, *(const char *const *)at);
		break;
	case PROTOBUF_C_TYPE_BYTES:
		add_bytes(w, at);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		describe(w, *(const ProtobufCMessage *const *)at);
		break;
	case PROTOBUF_C_TYPE_BOOL:
		json_bool(w, *(const protobuf_c_boolean *)at);
		break;
	case PROTOBUF_C_TYPE_ENUM:
		add_enum(w, field, *(const int *)at);
		break;
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		json_int(w, *(const int32_t *)at);
		break;
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		json_int(w, *(const uint32_t *)at);
		break;
	default: /* the schema has no floating point; the rest is 64 bits */
		json_int(w, *(const int64_t *)at);
		break;
	}
}

static size_t size_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	case PROTOBUF_C_TYPE_ENUM:
		return sizeof(int);
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return sizeof(int32_t);
	default:
		return sizeof(int64_t);
	}
}

/* Whether a single field says something: proto3 knows no others. */
static bool says(const ProtobufCFieldDescriptor *field, const void *at)
{
	static const unsigned char zeroes[sizeof(int64_t)];

	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return *(const char *const *)at && **(const char *const *)at;
	case PROTOBUF_C_TYPE_MESSAGE:
		return *(const void *const *)at != NULL;
	case PROTOBUF_C_TYPE_BYTES:
		return ((const ProtobufCBinaryData *)at)->len > 0;
	default:
		return memcmp(at, zeroes, size_of(field)) != 0;
	}
}

static void add_repeated(struct json_writer *w, const ProtobufCFieldDescriptor *field,
			 const char *base)
{
	size_t n = *(const size_t *)(const void *)(base + field->quantifier_offset);
	const char *items = *(const char *const *)(const void *)(base + field->offset);

	if (n == 0)
		return;
	json_key(w, field->name);
	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		add_value(w, field, items + i * size_of(field));
	json_end_array(w);
}

static bool not_this_one(const ProtobufCFieldDescriptor *field, const char *base)
{
	return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
	       *(const uint32_t *)(const void *)(base + field->quantifier_offset) != field->id;
}

static void describe(struct json_writer *w, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *d = message->descriptor;
	const char *base = (const char *)message;

	json_begin_object(w);
	for (unsigned i = 0; i < d->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &d->fields[i];

		if (is_secret(field->name)) {
			if (says(field, base + field->offset))
				json_kv_str(w, field->name, "(not shown)");
		} else if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			add_repeated(w, field, base);
		} else if (!not_this_one(field, base) && says(field, base + field->offset)) {
			json_key(w, field->name);
			add_value(w, field, base + field->offset);
		}
	}
	json_end_object(w);
}

void sent_describe(const ProtobufCMessage *message, struct buf *out)
{
	struct json_writer w;

	json_writer_init(&w, out);
	describe(&w, message);
}
