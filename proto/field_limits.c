#include "proto/field_limits.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/uuid.h"
#include "lib/policy/unlock.h"
#include "proto/canonical.h"
#include "proto/join_code.h"
#include "proto/limits.h"

#define TEXT(name, most)                                                                           \
	{                                                                                          \
		.field = name, .kind = FIELD_TEXT, .max = (most)                                   \
	}
#define TEXTS(name, most, count)                                                                   \
	{                                                                                          \
		.field = name, .kind = FIELD_TEXT, .max = (most), .items = (count)                 \
	}
#define FIXED(name, size)                                                                          \
	{                                                                                          \
		.field = name, .kind = FIELD_BYTES, .min = (size), .max = (size)                   \
	}
#define FIXED_OF(of, name, size)                                                                   \
	{                                                                                          \
		.field = name, .message = of, .kind = FIELD_BYTES, .min = (size), .max = (size)    \
	}
#define FIXED_OR_NONE(name, size)                                                                  \
	{                                                                                          \
		.field = name, .kind = FIELD_BYTES, .min = (size), .max = (size), .empty_ok = true \
	}
#define BYTES(name, most)                                                                          \
	{                                                                                          \
		.field = name, .kind = FIELD_BYTES, .max = (most), .empty_ok = true                \
	}
#define BYTES_LIST(name, most, count)                                                              \
	{                                                                                          \
		.field = name, .kind = FIELD_BYTES, .min = 1, .max = (most), .items = (count)      \
	}
#define LIST(name, count)                                                                          \
	{                                                                                          \
		.field = name, .kind = FIELD_MESSAGE, .items = (count)                             \
	}

/* Sorted by field; among equals, those of one message come first. */
static const struct field_limit table[] = {
	TEXT("action", LIMIT_WORD),
	LIST("added", LIMIT_PACKAGES),
	FIXED_OR_NONE("after_epoch", UUID_SIZE),
	TEXT("agent_version", LIMIT_WORD),
	FIXED_OR_NONE("basis", UUID_SIZE),
	{.field = "body", .kind = FIELD_BYTES, .min = 1, .max = LIMIT_BUNDLE},
	TEXT("build", PACKAGE_BUILD_MAX),
	TEXTS("candidates", LIMIT_PATH, LIMIT_CANDIDATES),
	TEXT("case_code", CASE_CODE_MAX),
	BYTES_LIST("chain", LIMIT_CERTIFICATE, LIMIT_CHAIN),
	LIST("changes", LIMIT_CHANGES),
	TEXT("channel", PACKAGE_CHANNEL_MAX),
	FIXED_OR_NONE("cloned_from", UUID_SIZE),
	TEXT("code", LIMIT_WORD),
	TEXT("command", CHANGE_COMMAND_MAX),
	TEXT("conda_prefix", LIMIT_PATH),
	TEXT("condarc", LIMIT_PATH),
	TEXTS("config", LIMIT_PATH, LIMIT_PROBE_CONFIG),
	FIXED_OR_NONE("config_digest", SHA256_SIZE),
	TEXT("config_names", LIMIT_WORD),
	TEXT("contact", LIMIT_CONTACT),
	TEXT("content", LIMIT_SENT_CONTENT),
	FIXED_OF("Welcome", "continuity", UUID_SIZE),
	FIXED_OR_NONE("continuity", UUID_SIZE),
	{.field = "csr", .kind = FIELD_BYTES, .min = 1, .max = LIMIT_CSR},
	TEXT("cwd", LIMIT_PATH),
	{.field = "data",
	 .message = "ReportChunk",
	 .kind = FIELD_BYTES,
	 .max = LIMIT_LOCAL_CHUNK,
	 .empty_ok = true},
	{.field = "data",
	 .message = "ImportChunk",
	 .kind = FIELD_BYTES,
	 .max = LIMIT_LOCAL_CHUNK,
	 .empty_ok = true},
	BYTES("data", LIMIT_BUNDLE_CHUNK),
	TEXTS("degraded", LIMIT_TEXT, LIMIT_DEGRADED),
	LIST("degraded", LIMIT_DEGRADED),
	TEXTS("denied_paths", LIMIT_PATH, LIMIT_DENIED),
	TEXT("detail", CHANGE_DETAIL_MAX),
	FIXED_OR_NONE("digest", SHA256_SIZE),
	TEXT("ended", LIMIT_PATH),
	TEXT("env_name", LIMIT_TEXT),
	TEXT("env_path", LIMIT_TEXT),
	FIXED_OF("EnvironmentStatus", "environment", UUID_SIZE),
	FIXED_OF("EnvironmentDecision", "environment", UUID_SIZE),
	FIXED_OF("ExceptionRequest", "environment", UUID_SIZE),
	FIXED_OF("EnvironmentUse", "environment", UUID_SIZE),
	FIXED_OF("RanAfterBlock", "environment", UUID_SIZE),
	FIXED_OR_NONE("environment", UUID_SIZE),
	LIST("environments", LIMIT_KNOWN),
	TEXTS("envs_dirs", LIMIT_PATH, LIMIT_ENVS_DIRS),
	FIXED_OF("Ack", "epoch", UUID_SIZE),
	FIXED_OF("Changes", "epoch", UUID_SIZE),
	FIXED_OF("Hello", "epoch", UUID_SIZE),
	FIXED_OR_NONE("epoch", UUID_SIZE),
	TEXTS("except_labels", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXTS("except_platforms", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXTS("except_users", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXT("exception", LIMIT_WORD),
	LIST("exceptions", LIMIT_EXCEPTIONS),
	TEXTS("exclude", LIMIT_PATH, LIMIT_ROOT_FOLDERS),
	TEXT("failed", LIMIT_TEXT),
	TEXT("fix", DECISION_MESSAGE_MAX),
	TEXTS("fixed_specs", STATUS_SPEC_MAX, STATUS_SPECS_MAX),
	TEXT("from_prefix", CHANGE_PATH_MAX),
	FIXED("hash", SHA256_SIZE),
	FIXED_OR_NONE("head_hash", SHA256_SIZE),
	LIST("held", LIMIT_ROLES),
	TEXT("home", LIMIT_PATH),
	LIST("homes", LIMIT_HOMES),
	TEXT("hostname", LIMIT_WORD),
	TEXT("how", CHANGE_HOW_MAX),
	FIXED_OF("RequestState", "id", UUID_SIZE),
	FIXED_OF("ExceptionRequest", "id", UUID_SIZE),
	FIXED_OF("AskedException", "id", UUID_SIZE),
	TEXT("id", LIMIT_WORD),
	FIXED("id", UUID_SIZE),
	TEXTS("ids", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXT("installer", LIMIT_WORD),
	TEXT("join_code", LIMIT_JOIN_CODE),
	FIXED("key", PACKAGE_KEY_SIZE),
	FIXED("key_id", SHA256_SIZE),
	{.field = "keys",
	 .kind = FIELD_BYTES,
	 .max = LIMIT_OFFER_KEYS * PACKAGE_KEY_SIZE,
	 .unit = PACKAGE_KEY_SIZE,
	 .empty_ok = true},
	TEXT("kind", LIMIT_WORD),
	LIST("known", LIMIT_KNOWN),
	TEXTS("labels", LIMIT_LABEL, LIMIT_LABELS),
	TEXT("license", PACKAGE_LICENSE_MAX),
	FIXED_OF("EnrolReply", "machine", UUID_SIZE),
	FIXED_OF("Status", "machine", UUID_SIZE),
	FIXED_OR_NONE("machine", UUID_SIZE),
	FIXED_OR_NONE("machine_id_hash", SHA256_SIZE),
	TEXT("mambarc", LIMIT_PATH),
	TEXT("manager", PACKAGE_MANAGER_MAX),
	{.field = "marks", .kind = FIELD_BYTES, .max = LIMIT_MARKS, .unit = 16, .empty_ok = true},
	FIXED_OR_NONE("md5", 16),
	TEXT("message", DECISION_MESSAGE_MAX),
	LIST("monitored", DECISION_REASONS_MAX),
	TEXT("mount", LIMIT_PATH),
	TEXT("name", LIMIT_WORD),
	LIST("notes", LIMIT_NOTES),
	TEXT("notice", LIMIT_TEXT),
	TEXT("organisation", LIMIT_WORD),
	FIXED("organisation", UUID_SIZE),
	FIXED_OR_NONE("organisation_id", UUID_SIZE),
	TEXT("os", LIMIT_WORD),
	TEXT("owner", CHANGE_USER_MAX),
	TEXT("package", LIMIT_TEXT),
	LIST("packages", LIMIT_PACKAGES),
	TEXT("path", LIMIT_PATH),
	TEXT("platform", PACKAGE_SUBDIR_MAX),
	TEXTS("platforms", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXT("prefix", CHANGE_PATH_MAX),
	FIXED_OR_NONE("previous_hash", SHA256_SIZE),
	LIST("programs", LIMIT_CANDIDATES),
	TEXT("python_tool", CHANGE_TOOL_MAX),
	LIST("ran", LIMIT_RAN_SHOWN),
	TEXT("reason", LIMIT_TEXT),
	{.field = "reasons",
	 .message = "RanAfterBlock",
	 .kind = FIELD_TEXT,
	 .max = LIMIT_TEXT,
	 .items = LIMIT_RAN_REASONS},
	LIST("reasons", DECISION_REASONS_MAX),
	TEXT("remedy", LIMIT_TEXT),
	LIST("remote_mounts", LIMIT_STATUS_MOUNTS),
	LIST("removed", LIMIT_PACKAGES),
	TEXT("renamed_from", LIMIT_PATH),
	{.field = "requests", .message = "AskedReply", .kind = FIELD_MESSAGE, .items = LIMIT_ASKED},
	LIST("requests", LIMIT_REQUESTS),
	{.field = "revoked_unlocks",
	 .kind = FIELD_BYTES,
	 .max = LIMIT_REQUESTS * 4,
	 .unit = 4,
	 .empty_ok = true},
	TEXT("role", LIMIT_ROLE),
	LIST("roles", LIMIT_ROLES),
	TEXT("root_prefix", LIMIT_PATH),
	TEXTS("roots", LIMIT_PATH, LIMIT_ROOT_FOLDERS),
	BYTES_LIST("roots", LIMIT_SMALL_SIGNED, LIMIT_ROOTS),
	TEXT("rule", LIMIT_WORD),
	LIST("rules", LIMIT_RULES),
	LIST("runs", LIMIT_RUNS),
	FIXED("secret", JOIN_CODE_SECRET_SIZE),
	TEXT("server", LIMIT_ADDRESS),
	FIXED_OR_NONE("sha256", SHA256_SIZE),
	{.field = "signature", .kind = FIELD_BYTES, .min = 1, .max = CRYPTO_SIG_MAX},
	LIST("signatures", LIMIT_ROLE_KEYS),
	TEXT("source", LIMIT_PATH),
	BYTES_LIST("spki", CRYPTO_SPKI_MAX, LIMIT_ROLE_KEYS),
	BYTES("stamp", LIMIT_STAMP),
	{.field = "stamps", .kind = FIELD_BYTES, .max = LIMIT_STAMPS, .unit = 8, .empty_ok = true},
	LIST("statuses", LIMIT_STATUSES),
	TEXT("subdir", PACKAGE_SUBDIR_MAX),
	TEXT("target", LIMIT_PATH),
	TEXT("text", LIMIT_TEXT),
	TEXTS("texts", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	TEXT("ticket", LIMIT_TEXT),
	BYTES("timestamp", LIMIT_SMALL_SIGNED),
	TEXT("tool", CHANGE_TOOL_MAX),
	TEXT("typed", LIMIT_PATH),
	FIXED_OR_NONE("unlock_key", UNLOCK_KEY_SIZE),
	TEXTS("unreadable", LIMIT_TEXT, LIMIT_UNREADABLE),
	TEXT("url", PACKAGE_URL_MAX),
	LIST("used", LIMIT_USED_CODES),
	TEXT("user", LIMIT_TEXT),
	TEXTS("users", LIMIT_TEXT, LIMIT_POLICY_ITEMS),
	LIST("uses", LIMIT_USES),
	TEXT("version", PACKAGE_VERSION_MAX),
	FIXED_OR_NONE("volume", 16),
	TEXT("what", LIMIT_TEXT),
	LIST("when", LIMIT_CONDITIONS),
	TEXT("when_agent_down", LIMIT_ROLE),
	TEXT("why", LIMIT_TEXT),
	TEXT("xdg_config_home", LIMIT_PATH),
};

static enum field_kind kind_of(const ProtobufCFieldDescriptor *field)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		return FIELD_TEXT;
	case PROTOBUF_C_TYPE_BYTES:
		return FIELD_BYTES;
	default:
		return FIELD_MESSAGE;
	}
}

/*
 * A name as the table's lines hold it: padded by zeros. Their first eight bytes, read as a number,
 * are in the same order as the names.
 */
struct name {
	char text[sizeof table[0].field];
	uint64_t begin;
};

static uint64_t begin_of(const char text[static 8])
{
	const unsigned char *p = (const unsigned char *)text;

	return (uint64_t)p[0] << 56 | (uint64_t)p[1] << 48 | (uint64_t)p[2] << 40 |
	       (uint64_t)p[3] << 32 | (uint64_t)p[4] << 24 | (uint64_t)p[5] << 16 |
	       (uint64_t)p[6] << 8 | (uint64_t)p[7];
}

/* false: longer than any in the table */
static bool make_name(struct name *name, const char *text)
{
	size_t n = strlen(text);

	if (n >= sizeof name->text)
		return false;
	memset(name->text, 0, sizeof name->text);
	memcpy(name->text, text, n);
	name->begin = begin_of(name->text);
	return true;
}

static int compare(const struct field_limit *line, const struct name *name)
{
	uint64_t begin = begin_of(line->field);

	if (begin != name->begin)
		return begin < name->begin ? -1 : 1;
	return memcmp(line->field, name->text, sizeof name->text);
}

/* The first line of the table whose field is not before `name`. */
static size_t lower_bound(const struct name *name)
{
	size_t low = 0;
	size_t high = ARRAY_SIZE(table);

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (compare(&table[mid], name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct field_limit *field_limit_find(const ProtobufCMessageDescriptor *message,
					   const ProtobufCFieldDescriptor *field)
{
	enum field_kind kind = kind_of(field);
	bool list = field->label == PROTOBUF_C_LABEL_REPEATED;
	struct name name;

	if (!make_name(&name, field->name))
		return NULL;
	for (size_t i = lower_bound(&name); i < ARRAY_SIZE(table) && compare(&table[i], &name) == 0;
	     i++) {
		if (table[i].message[0] && strcmp(table[i].message, message->short_name) != 0)
			continue;
		if (table[i].kind == kind && (table[i].items > 0) == list)
			return &table[i];
	}
	return NULL;
}
