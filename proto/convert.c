#include "proto/convert.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"

/* --- small pieces ---------------------------------------------------------------------------- */

/* protobuf-c's structs hold plain pointers; packing only reads through them. */
ProtobufCBinaryData wire_bytes(const void *data, size_t n)
{
	return (ProtobufCBinaryData){.len = n, .data = n > 0 ? (uint8_t *)data : NULL};
}

ProtobufCBinaryData wire_uuid(const struct uuid *u)
{
	return wire_bytes(u, !u || uuid_is_zero(u) ? 0 : sizeof(u->b));
}

char *wire_text(const char *text)
{
	return (char *)text;
}

static void bytes_from_wire(const ProtobufCBinaryData *b, unsigned char *out, size_t n)
{
	CHECK(b->len == 0 || b->len == n);
	if (b->len == 0)
		memset(out, 0, n);
	else
		memcpy(out, b->data, n);
}

void uuid_from_wire(const ProtobufCBinaryData *b, struct uuid *out)
{
	bytes_from_wire(b, out->b, sizeof(out->b));
}

void hash_from_wire(const ProtobufCBinaryData *b, unsigned char out[SHA256_SIZE])
{
	bytes_from_wire(b, out, SHA256_SIZE);
}

Envwarden__Action action_to_wire(enum action action)
{
	switch (action) {
	case ACTION_ALLOW:
		break;
	case ACTION_WARN:
		return ENVWARDEN__ACTION__ACTION_WARN;
	case ACTION_BLOCK:
		return ENVWARDEN__ACTION__ACTION_BLOCK;
	}
	return ENVWARDEN__ACTION__ACTION_ALLOW;
}

int action_from_wire(Envwarden__Action wire, enum action *out, struct err *err)
{
	static const enum action known[] = {
		[ENVWARDEN__ACTION__ACTION_ALLOW] = ACTION_ALLOW,
		[ENVWARDEN__ACTION__ACTION_WARN] = ACTION_WARN,
		[ENVWARDEN__ACTION__ACTION_BLOCK] = ACTION_BLOCK,
	};
	int value = (int)wire;

	if (value < 0 || (size_t)value >= ARRAY_SIZE(known))
		return err_set(err, ERR_INVALID, "unknown action %d", value);
	*out = known[value];
	return 0;
}

/* --- packages and persons -------------------------------------------------------------------- */

static void package_fill(const struct package *p, Envwarden__Package *wire)
{
	envwarden__package__init(wire);
	wire->manager = wire_text(p->manager);
	wire->name = wire_text(p->name);
	wire->version = wire_text(p->version);
	wire->build = wire_text(p->build);
	wire->build_number = p->build_number;
	wire->channel = wire_text(p->channel);
	wire->subdir = wire_text(p->subdir);
	wire->sha256 = wire_bytes(p->sha256, p->has_sha256 ? sizeof(p->sha256) : 0);
	wire->md5 = wire_bytes(p->md5, p->has_md5 ? sizeof(p->md5) : 0);
	wire->license = wire_text(p->license);
	wire->url = wire_text(p->url);
	wire->size = p->size;
	wire->built_ms = p->built_ms;
	wire->requested = p->requested;
	wire->installer = wire_text(package_installer_name(p->installer));
}

int package_to_wire(const struct package *p, struct arena *arena, Envwarden__Package **out)
{
	Envwarden__Package *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	package_fill(p, wire);
	*out = wire;
	return 0;
}

int packages_to_wire(const struct package *items, size_t n, struct arena *arena,
		     Envwarden__Package ***out)
{
	Envwarden__Package **list = arena_calloc(arena, n, sizeof(Envwarden__Package *));
	Envwarden__Package *room = arena_calloc(arena, n, sizeof(*room));

	if (!list || !room)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		list[i] = &room[i];
		package_fill(&items[i], list[i]);
	}
	*out = list;
	return 0;
}

int package_from_wire(const Envwarden__Package *wire, struct package *out, struct err *err)
{
	if (wire->manager[0] == '\0' || wire->name[0] == '\0')
		return err_set(err, ERR_INVALID, "package without manager or name");
	if (wire->build_number < PACKAGE_BUILD_NUMBER_UNKNOWN)
		return err_set(err, ERR_INVALID, "package with a negative build number");
	if (wire->built_ms < 0 || wire->built_ms > PACKAGE_BUILT_MAX_MS)
		return err_set(err, ERR_INVALID, "package built at no time");
	*out = (struct package){
		.manager = wire->manager,
		.name = wire->name,
		.version = wire->version,
		.build = wire->build,
		.build_number = wire->build_number,
		.channel = wire->channel,
		.subdir = wire->subdir,
		.license = wire->license,
		.url = wire->url,
		.size = wire->size,
		.built_ms = wire->built_ms,
		.has_sha256 = wire->sha256.len > 0,
		.has_md5 = wire->md5.len > 0,
		.requested = wire->requested,
		.installer = package_installer_of(wire->installer),
	};
	bytes_from_wire(&wire->sha256, out->sha256, sizeof(out->sha256));
	bytes_from_wire(&wire->md5, out->md5, sizeof(out->md5));
	return 0;
}

int person_to_wire(const struct person *p, struct arena *arena, Envwarden__Person **out)
{
	Envwarden__Person *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__person__init(wire);
	wire->name = wire_text(p->name);
	wire->uid = p->uid;
	wire->how = wire_text(p->how);
	*out = wire;
	return 0;
}

void person_from_wire(const Envwarden__Person *wire, struct person *out)
{
	*out = (struct person){.name = "", .uid = -1, .how = ""};
	if (wire)
		*out = (struct person){.name = wire->name, .uid = wire->uid, .how = wire->how};
}

/* --- runs after a block ---------------------------------------------------------------------- */

int ran_to_wire(const struct ran_info *info, struct arena *arena, Envwarden__RanAfterBlock **out)
{
	Envwarden__RanAfterBlock *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__ran_after_block__init(wire);
	if (person_to_wire(&info->who, arena, &wire->who) < 0)
		return ERR_NOMEM;
	wire->environment = wire_uuid(&info->environment);
	wire->case_code = wire_text(info->case_code);
	wire->reasons = (char **)(uintptr_t)info->reasons;
	wire->n_reasons = info->n_reasons;
	wire->first_ms = info->first_ms;
	wire->last_ms = info->last_ms;
	wire->programs = info->programs;
	wire->shells = info->shells;
	wire->repairs = info->repairs;
	*out = wire;
	return 0;
}

void ran_from_wire(const Envwarden__RanAfterBlock *wire, struct ran_info *out)
{
	*out = (struct ran_info){.case_code = wire->case_code,
				 .reasons = (const char *const *)wire->reasons,
				 .n_reasons = wire->n_reasons,
				 .first_ms = wire->first_ms,
				 .last_ms = wire->last_ms,
				 .programs = wire->programs,
				 .shells = wire->shells,
				 .repairs = wire->repairs};
	uuid_from_wire(&wire->environment, &out->environment);
	person_from_wire(wire->who, &out->who);
}

/* --- environments ---------------------------------------------------------------------------- */

void environment_info_init(struct environment_info *info)
{
	*info = (struct environment_info){
		.prefix = "", .name = "", .platform = "", .tool = "", .status = ACTION_ALLOW};
	person_from_wire(NULL, &info->owner);
	person_from_wire(NULL, &info->ran_by);
}

int environment_to_wire(const struct environment_info *info, struct arena *arena,
			Envwarden__Environment **out)
{
	Envwarden__Environment *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__environment__init(wire);
	if (person_to_wire(&info->owner, arena, &wire->owner) < 0)
		return ERR_NOMEM;
	wire->id = wire_uuid(&info->id);
	wire->prefix = wire_text(info->prefix);
	wire->name = wire_text(info->name);
	wire->platform = wire_text(info->platform);
	wire->tool = wire_text(info->tool);
	wire->package_count = info->package_count;
	wire->status = action_to_wire(info->status);
	wire->created_ms = info->created_ms;
	wire->last_change_ms = info->last_change_ms;
	wire->last_used_ms = info->last_used_ms;
	wire->runs_after_block = info->runs_after_block;
	wire->ran_ms = info->ran_ms;
	if (info->ran_ms != 0 && person_to_wire(&info->ran_by, arena, &wire->ran_by) < 0)
		return ERR_NOMEM;
	wire->degraded = (char **)info->degraded;
	wire->n_degraded = info->n_degraded;
	wire->self_reported = info->self_reported;
	wire->excluded = info->excluded;
	*out = wire;
	return 0;
}

int environment_from_wire(const Envwarden__Environment *wire, struct environment_info *out,
			  struct err *err)
{
	struct environment_info info = {
		.prefix = wire->prefix,
		.name = wire->name,
		.platform = wire->platform,
		.tool = wire->tool,
		.package_count = wire->package_count,
		.created_ms = wire->created_ms,
		.last_change_ms = wire->last_change_ms,
		.last_used_ms = wire->last_used_ms,
		.runs_after_block = wire->runs_after_block,
		.ran_ms = wire->ran_ms,
		.degraded = (const char *const *)wire->degraded,
		.n_degraded = wire->n_degraded,
		.self_reported = wire->self_reported,
		.excluded = wire->excluded,
	};
	int rc = action_from_wire(wire->status, &info.status, err);

	if (rc < 0)
		return rc;
	uuid_from_wire(&wire->id, &info.id);
	person_from_wire(wire->owner, &info.owner);
	person_from_wire(wire->ran_by, &info.ran_by);
	*out = info;
	return 0;
}
