/* Enrol and Renew: what makes a machine, and what keeps it one. */
#include <string.h>

#include "lib/base/crypto.h"
#include "proto/convert.h"
#include "proto/limits.h"
#include "server/db/db_admin.h"
#include "server/db/db_bundle.h"
#include "server/db/db_org.h"
#include "server/pki/ca.h"
#include "server/session/session_impl.h"

/* Whatever is wrong with a code, the answer is the same: nothing to learn for those who guess. */
#define REFUSED                                                                                    \
	"the organisation's server does not accept this join code: it is wrong, was used up or "   \
	"has expired; ask your administrator for a new one"

static int join(struct db_conn *conn, struct task *task, struct db_join_code *out, struct err *err)
{
	unsigned char hash[SHA256_SIZE];
	const Envwarden__Sync__Enrol *enrol = task->message->enrol;
	int rc;

	sha256(enrol->secret.data, enrol->secret.len, hash);
	rc = db_join_consume(conn, hash, task->now_ms, &task->arena, out, err);
	if (rc == ERR_PERM || rc == ERR_EXPIRED)
		rc = err_set(err, ERR_PERM, "%s", REFUSED);
	return rc;
}

static struct db_machine_info info_of(const Envwarden__Sync__MachineInfo *m)
{
	return (struct db_machine_info){.hostname = m->hostname,
					.platform = m->platform,
					.os = m->os,
					.agent_version = m->agent_version,
					.machine_id_hash = m->machine_id_hash.len == SHA256_SIZE
								   ? m->machine_id_hash.data
								   : NULL};
}

static struct db_machine_cert cert_of(const struct ca_issued *issued)
{
	struct db_machine_cert cert = {.not_after_ms = issued->not_after_ms};

	memcpy(cert.key_hash, issued->key_hash, sizeof(cert.key_hash));
	memcpy(cert.serial, issued->serial, sizeof(cert.serial));
	return cert;
}

static int machine_make(struct db_conn *conn, struct task *task, const struct db_join_code *code,
			const struct ca_issued *issued, struct err *err)
{
	const Envwarden__Sync__MachineInfo *info = task->message->enrol->machine;
	char id[UUID_TEXT_MAX];
	int rc = db_machine_insert(conn,
				   &(struct db_machine_new){.id = task->machine,
							    .info = info_of(info),
							    .cert = cert_of(issued),
							    .labels = code->labels,
							    .join_code = code->id,
							    .ephemeral = code->ephemeral},
				   task->now_ms, err);

	if (rc < 0)
		return rc;
	uuid_format(&task->machine, id);
	return db_audit_append(conn,
			       &(struct db_audit){.at_ms = task->now_ms,
						  .who = "system",
						  .what = "machine.enrolled",
						  .target = id,
						  .detail = info->hostname},
			       err);
}

/* Every root version there is, for the agent to step through. */
static int roots_get(struct db_conn *conn, struct task *task, ProtobufCBinaryData **out, size_t *n,
		     struct err *err)
{
	struct db_bundle *roots;
	int rc = db_bundle_roots(conn, &task->arena, &roots, n, err);

	if (rc < 0)
		return rc;
	*out = arena_calloc(&task->arena, *n, sizeof(**out));
	if (!*out)
		return err_nomem(err);
	for (size_t i = 0; i < *n; i++)
		(*out)[i] = wire_bytes(roots[i].data, roots[i].n);
	return 0;
}

static int enrol_reply(struct db_conn *conn, struct task *task, const struct ca_issued *issued,
		       struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__EnrolReply reply = ENVWARDEN__SYNC__ENROL_REPLY__INIT;
	const struct ca_cert *root = ca_root(task->config->ca);
	ProtobufCBinaryData chain[] = {wire_bytes(issued->cert.der, issued->cert.n),
				       wire_bytes(root->der, root->n)};
	struct db_org org;
	int rc = db_org_get(conn, &task->arena, &org, err);

	if (rc == 0)
		rc = roots_get(conn, task, &reply.roots, &reply.n_roots, err);
	if (rc < 0)
		return rc;
	reply.machine = wire_uuid(&task->machine);
	reply.chain = chain;
	reply.n_chain = ARRAY_SIZE(chain);
	reply.organisation = wire_uuid(&org.id);
	reply.name = wire_text(org.name);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_ENROL_REPLY;
	envelope.enrol_reply = &reply;
	return task_reply(task, &envelope, err);
}

/* The code's use, the machine and its certificate: all or nothing. */
int enrol_run(struct db_conn *conn, struct task *task, struct err *err)
{
	const Envwarden__Sync__Enrol *enrol = task->message->enrol;
	struct ca_issued issued;
	struct db_join_code code;
	int rc;

	if (!enrol->machine)
		return err_set(err, ERR_INVALID, "enrol: nothing said about the machine");
	rc = join(conn, task, &code, err);
	if (rc < 0)
		return rc;
	uuid_new(&task->machine);
	rc = ca_issue_machine(task->config->ca, enrol->csr.data, enrol->csr.len, &task->machine,
			      code.ephemeral, task->now_ms, &issued, err);
	if (rc == 0)
		rc = machine_make(conn, task, &code, &issued, err);
	if (rc == 0)
		rc = enrol_reply(conn, task, &issued, err);
	return rc;
}

/*
 * For the same key only: an answer that gets lost then does no harm, since the certificate the
 * machine has stays that of its newest key.
 */
int renew_run(struct db_conn *conn, struct task *task, struct err *err)
{
	Envwarden__Sync__Envelope envelope = ENVWARDEN__SYNC__ENVELOPE__INIT;
	Envwarden__Sync__RenewReply reply = ENVWARDEN__SYNC__RENEW_REPLY__INIT;
	const ProtobufCBinaryData *csr = &task->message->renew->csr;
	const struct ca_cert *root = ca_root(task->config->ca);
	ProtobufCBinaryData chain[2];
	struct ca_issued issued = {.not_after_ms = 0};
	struct db_machine machine;
	struct db_machine_cert cert;
	int rc = task_machine(conn, task, &machine, err);

	if (rc == 0)
		rc = ca_issue_machine(task->config->ca, csr->data, csr->len, &task->machine,
				      machine.ephemeral, task->now_ms, &issued, err);
	if (rc == 0 && !crypto_equal(issued.key_hash, task->key_hash, SHA256_SIZE))
		rc = err_set(err, ERR_INVALID, "renew: the request is for another key");
	if (rc < 0)
		return rc;
	cert = cert_of(&issued);
	rc = db_machine_set_cert(conn, &task->machine, &cert, err);
	if (rc < 0)
		return rc;
	task->not_after_ms = issued.not_after_ms;
	chain[0] = wire_bytes(issued.cert.der, issued.cert.n);
	chain[1] = wire_bytes(root->der, root->n);
	reply.chain = chain;
	reply.n_chain = ARRAY_SIZE(chain);
	envelope.kind_case = ENVWARDEN__SYNC__ENVELOPE__KIND_RENEW_REPLY;
	envelope.renew_reply = &reply;
	return task_reply(task, &envelope, err);
}
