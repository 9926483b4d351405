/* enroll: a join code from somebody who may join this machine. */
#include <string.h>

#include "agent/requests.h"
#include "platform/users.h"

static void enrol_reply(struct engine *e, struct local_call *call)
{
	Envwarden__Local__Envelope answer = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__EnrollReply reply = ENVWARDEN__LOCAL__ENROLL_REPLY__INIT;

	reply.organisation = wire_text(e->identity.name);
	reply.machine = wire_uuid(&e->identity.machine);
	answer.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_ENROLL_REPLY;
	answer.enroll_reply = &reply;
	local_call_end(call, &answer);
}

static void enrol_ended(void *ctx, int rc, const struct err *err)
{
	struct local_call *call = ctx;

	if (rc < 0)
		local_call_fail(call, rc, err->text);
	else
		enrol_reply(local_call_data(call), call);
}

void request_enroll(void *ctx, struct local_call *call, const Envwarden__Local__EnrollRequest *m)
{
	struct engine *e = ctx;
	uint32_t uid = local_call_uid(call);
	struct join_code code;
	struct err err = ERR_INIT;

	if (uid != 0 && !(e->options->user && uid == users_current())) {
		local_call_fail(call, ERR_PERM, "only root may enrol this machine: use sudo");
		return;
	}
	if (join_code_parse(m->join_code, strlen(m->join_code), &code, &err) < 0) {
		local_call_fail(call, err.code, err.text);
		return;
	}
	local_call_set_data(call, e);
	if (e->enrolled && uuid_cmp(&code.organisation, &e->identity.organisation) == 0)
		enrol_reply(e, call);
	else
		syncing_enrol(e, &code, enrol_ended, call);
	crypto_wipe(&code, sizeof code);
}
