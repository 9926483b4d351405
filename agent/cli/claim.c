#include "agent/cli/claim.h"

#include "agent/cli/client.h"
#include "lib/base/arena.h"
#include "platform/process.h"
#include "proto/limits.h"

static void say(Envwarden__Local__Envelope *m, const char *socket)
{
	Envwarden__Local__Envelope *answer;
	struct client client = {0};
	struct err err = ERR_INIT;
	struct arena arena;

	arena_init(&arena, LIMIT_LOCAL_MEMORY);
	if (client_connect(&client, socket, &err) == 0 &&
	    client_send(&client, m, client_deadline(CLIENT_ANSWER_MS), &err) == 0)
		(void)client_recv(&client, client_deadline(CLIENT_ANSWER_MS), &arena, &answer,
				  &err);
	client_close(&client);
	arena_deinit(&arena);
}

void claim_repair(const struct target *target, const char *socket, bool over)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__Repair repair = ENVWARDEN__LOCAL__REPAIR__INIT;

	repair.target = (Envwarden__Local__Target *)(uintptr_t)&target->wire;
	repair.over = over;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_REPAIR;
	m.repair = &repair;
	say(&m, socket);
}

void claim_active(const struct target *target, const char *socket)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__CheckRequest request = ENVWARDEN__LOCAL__CHECK_REQUEST__INIT;

	request.target = (Envwarden__Local__Target *)(uintptr_t)&target->wire;
	request.interactive = request.active = request.can_prove = true;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_CHECK;
	m.check = &request;
	say(&m, socket);
}

void claim_active_later(const char *prefix, const char *socket)
{
	const char *with_socket[] = {"envwarden", "check", "--hook",   "--active", "--prove",
				     "--prefix",  prefix,  "--socket", socket,	   NULL};
	const char *plain[] = {"envwarden", "check",	"--hook", "--active",
			       "--prove",   "--prefix", prefix,	  NULL};

	(void)process_spawn_detached(socket ? with_socket : plain, NULL);
}
