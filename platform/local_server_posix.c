#include "platform/local_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <uv.h>

#include "lib/base/compiler.h"
#include "lib/base/mem.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/paths.h"
#include "platform/peer_cred.h"

#define BACKLOG 1024 /* the system cuts it to its own maximum */
#define PROBE_MS 200 /* how long a server that is there may take to show it */

struct local_server {
	uv_pipe_t listener;
	uv_pipe_t spare; /* takes a client that is turned away, for as long as closing lasts */
	bool spare_open;
	bool in_callback;
	bool handed_over; /* the waiting client was accepted */
	bool waits;	  /* one waits to be turned away */
	bool stopping;
	int pending; /* open handles; freed where it reaches 0 */
	local_server_cb waiting;
	void *ctx;
	local_server_stopped_cb stopped;
	void *owner;
};

/* --- clients --- */

static void server_release(struct local_server *server)
{
	if (--server->pending > 0)
		return;
	local_server_stopped_cb stopped = server->stopped;
	void *owner = server->owner;
	mem_free(server);
	if (stopped)
		stopped(owner);
}

static void on_listener_closed(uv_handle_t *handle)
{
	server_release(handle->data);
}

static void turn_away(struct local_server *server);

static void on_spare_closed(uv_handle_t *handle)
{
	struct local_server *server = handle->data;
	server->spare_open = false;
	if (server->waits && !server->stopping)
		turn_away(server);
	server_release(server);
}

/* Until it is accepted here, libuv holds the client and listens for no other. */
static void turn_away(struct local_server *server)
{
	server->waits = server->spare_open;
	if (server->waits)
		return;
	CHECK(uv_pipe_init(server->listener.loop, &server->spare, 0) == 0);
	server->spare.data = server;
	server->spare_open = true;
	server->pending++;
	(void)uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&server->spare);
	uv_close((uv_handle_t *)&server->spare, on_spare_closed);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct local_server *server = listener->data;
	if (status < 0 || server->stopping)
		return; /* the client gave up before we came to it */
	server->handed_over = false;
	server->in_callback = true;
	server->waiting(server->ctx, server);
	server->in_callback = false;
	if (!server->handed_over && !server->stopping)
		turn_away(server);
}

int local_server_accept(struct local_server *server, uv_pipe_t *client)
{
	CHECK(server->in_callback && !server->handed_over);
	int rc = uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)client);
	if (rc == 0)
		server->handed_over = true;
	return rc;
}

/* --- the socket --- */

static int in_use(const char *path, struct local_client *peer, struct err *err)
{
	struct peer_cred cred;
	if (peer && peer_cred_get(peer->handle, &cred, NULL) == 0 && cred.pid > 0)
		return err_set(err, ERR_EXISTS, "%s: in use by another agent (pid %lld)", path,
			       (long long)cred.pid);
	return err_set(err, ERR_EXISTS, "%s: in use by another agent", path);
}

static int remove_stale(const char *path, struct err *err)
{
	struct stat st;
	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, ERR_EXISTS, "%s: exists and is not a socket", path);
	return files_remove(path, err);
}

/* Makes sure that nobody serves here and nothing lies in the way. */
static int clear_path(const char *path, struct err *err)
{
	struct local_client peer = LOCAL_CLIENT_NONE;
	struct err found = ERR_INIT; /* nobody there is what we hope for, no error */
	const struct clock *clock = clock_system();
	int rc = local_client_open(path, clock->mono_ms(clock) + PROBE_MS, &peer, &found);
	switch (rc) {
	case 0:
		rc = in_use(path, &peer, err);
		local_client_close(&peer);
		return rc;
	case ERR_TIMEOUT:
		return in_use(path, NULL, err);
	case ERR_NOTFOUND:
	case ERR_UNREACHABLE:
		return remove_stale(path, err);
	default:
		return err_set(err, rc, "%s", found.text);
	}
}

static int make_socket(struct local_server *server, const struct local_server_options *options,
		       struct err *err)
{
	const char *path = options->path;
	int rc = uv_pipe_bind(&server->listener, path);
	if (rc < 0)
		return err_set(err, rc, "listen at %s: %s", path, uv_strerror(rc));
	/* Before it listens nobody can connect, so no window stays open under a lax umask. */
	if (chmod(path, options->for_everybody ? 0666 : 0600) < 0)
		return err_errno(err, errno, "set mode of %s", path);
	rc = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
	if (rc < 0)
		return err_set(err, rc, "listen at %s: %s", path, uv_strerror(rc));
	return 0;
}

static int prepare_path(const struct local_server_options *options, struct err *err)
{
	char dir[PATHS_MAX];
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
	size_t n = strlen(options->path);
	if (n == 0 || n > max)
		return err_set(err, ERR_LIMIT, "%s: a socket's path has 1 to %zu bytes, not %zu",
			       options->path, max, n);
	int rc = paths_parent(dir, options->path, err);
	if (rc == 0)
		rc = files_mkdir(dir, options->for_everybody ? 0755 : 0700, err);
	if (rc == 0)
		rc = clear_path(options->path, err);
	return rc;
}

int local_server_start(const struct local_server_options *options, struct local_server **out,
		       struct err *err)
{
	int rc = prepare_path(options, err);
	if (rc < 0)
		return rc;
	struct local_server *server = mem_calloc(1, sizeof(*server));
	if (!server)
		return err_nomem(err);
	server->waiting = options->waiting;
	server->ctx = options->ctx;
	rc = uv_pipe_init(options->loop, &server->listener, 0);
	if (rc < 0) {
		mem_free(server);
		return err_set(err, rc, "make a socket: %s", uv_strerror(rc));
	}
	server->listener.data = server;
	server->pending = 1;
	rc = make_socket(server, options, err);
	if (rc < 0) {
		local_server_stop(server, NULL, NULL);
		return rc;
	}
	*out = server;
	return 0;
}

void local_server_stop(struct local_server *server, local_server_stopped_cb stopped, void *owner)
{
	if (server->stopping)
		return;
	server->stopping = true;
	server->stopped = stopped;
	server->owner = owner;
	/* Closing removes the socket's file, too. */
	uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}
