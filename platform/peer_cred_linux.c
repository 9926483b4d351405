#include "platform/peer_cred.h"

#include <errno.h>
#include <sys/socket.h>

int peer_cred_get(intptr_t handle, struct peer_cred *out, struct err *err)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);
	if (getsockopt((int)handle, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return err_errno(err, errno, "ask who the peer is");
	if (cred.uid == (uid_t)-1) /* a socket without a peer */
		return err_set(err, ERR_NOTFOUND, "the system does not know the peer");
	out->uid = (uint32_t)cred.uid;
	out->pid = cred.pid;
	return 0;
}
