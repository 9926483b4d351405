#include "proto/convert.h"

#include <string.h>

static const struct decision_reply blank = {
	.prefix = "",
	.name = "",
	.source = "",
	.contact = "",
	.notice = "",
};

void decision_reply_init(struct decision_reply *reply)
{
	*reply = blank;
	reply->decision.valid_until_ms = INT64_MAX;
}

static int reasons_to_wire(const struct decision *d, struct arena *arena, Envwarden__Reason ***out)
{
	Envwarden__Reason **list = arena_calloc(arena, d->n_reasons, sizeof(Envwarden__Reason *));
	Envwarden__Reason *room = arena_calloc(arena, d->n_reasons, sizeof(*room));

	if (!list || !room)
		return ERR_NOMEM;
	for (size_t i = 0; i < d->n_reasons; i++) {
		const struct reason *reason = &d->reasons[i];
		Envwarden__Reason *wire = &room[i];

		envwarden__reason__init(wire);
		wire->kind = wire_text(reason->kind);
		wire->id = wire_text(reason->id);
		wire->message = wire_text(reason->message);
		wire->fix = wire_text(reason->fix);
		wire->action = action_to_wire(reason->action);
		wire->block_from_ms = reason->block_from_ms;
		if (reason->package && package_to_wire(reason->package, arena, &wire->package) < 0)
			return ERR_NOMEM;
		list[i] = wire;
	}
	*out = list;
	return 0;
}

int decision_to_wire(const struct decision_reply *reply, struct arena *arena,
		     Envwarden__Decision **out)
{
	const struct decision *d = &reply->decision;
	Envwarden__Decision *wire = arena_alloc(arena, sizeof(*wire));

	if (!wire)
		return ERR_NOMEM;
	envwarden__decision__init(wire);
	if (reasons_to_wire(d, arena, &wire->reasons) < 0)
		return ERR_NOMEM;
	wire->n_reasons = d->n_reasons;
	wire->action = action_to_wire(d->action);
	wire->prefix = wire_text(reply->prefix);
	wire->name = wire_text(reply->name);
	wire->environment = wire_uuid(&reply->environment);
	wire->case_code = wire_text(d->case_code);
	wire->policy_version = reply->policy_version;
	wire->source = wire_text(reply->source);
	wire->valid_until_ms = d->valid_until_ms;
	wire->contact = wire_text(reply->contact);
	wire->notice = wire_text(reply->notice);
	wire->proof_wanted = reply->proof_wanted;
	wire->report_wanted = reply->report_wanted;
	wire->absent = reply->absent;
	*out = wire;
	return 0;
}

static int reason_package(const Envwarden__Package *wire, struct arena *arena, struct reason *out,
			  struct err *err)
{
	struct package *package = arena_alloc(arena, sizeof(*package));

	if (!package)
		return err_nomem(err);
	out->package = package;
	return package_from_wire(wire, package, err);
}

static int reason_from_wire(const Envwarden__Reason *wire, struct arena *arena, struct reason *out,
			    struct err *err)
{
	int rc = action_from_wire(wire->action, &out->action, err);

	out->kind = wire->kind;
	out->id = wire->id;
	out->message = wire->message;
	out->fix = wire->fix;
	out->block_from_ms = wire->block_from_ms;
	if (rc == 0 && wire->package)
		rc = reason_package(wire->package, arena, out, err);
	return rc;
}

int decision_from_wire(const Envwarden__Decision *wire, struct arena *arena,
		       struct decision_reply *out, struct err *err)
{
	struct decision_reply reply = blank;
	struct decision *d = &reply.decision;
	int rc = action_from_wire(wire->action, &d->action, err);

	if (rc == 0 && strlen(wire->case_code) >= sizeof(d->case_code))
		rc = err_set(err, ERR_INVALID, "case code too long");
	if (rc < 0)
		return rc;
	d->reasons = arena_calloc(arena, wire->n_reasons, sizeof(*d->reasons));
	if (!d->reasons)
		return err_nomem(err);
	d->n_reasons = wire->n_reasons;
	for (size_t i = 0; rc == 0 && i < d->n_reasons; i++)
		rc = reason_from_wire(wire->reasons[i], arena, &d->reasons[i], err);
	if (rc < 0)
		return rc;
	memcpy(d->case_code, wire->case_code, strlen(wire->case_code) + 1);
	d->valid_until_ms = wire->valid_until_ms;
	reply.prefix = wire->prefix;
	reply.name = wire->name;
	reply.policy_version = wire->policy_version;
	reply.source = wire->source;
	reply.contact = wire->contact;
	reply.notice = wire->notice;
	reply.proof_wanted = wire->proof_wanted;
	reply.report_wanted = wire->report_wanted;
	reply.absent = wire->absent;
	uuid_from_wire(&wire->environment, &reply.environment);
	*out = reply;
	return 0;
}
