#include "platform/local_socket.h"

#include "lib/base/compiler.h"

/* Nobody holds a server here, so what takes one is never called. */

int local_server_start(const struct local_server_options *options, struct local_server **out,
		       struct err *err)
{
	(void)options;
	(void)out;
	return err_set(err, ERR_UNSUPPORTED, "no agent serves on Windows yet");
}

int local_server_accept(struct local_server *server, struct uv_pipe_s *client)
{
	(void)client;
	CHECK(!server);
	return ERR_UNSUPPORTED;
}

void local_server_stop(struct local_server *server, local_server_stopped_cb stopped, void *owner)
{
	(void)stopped;
	(void)owner;
	CHECK(!server);
}
