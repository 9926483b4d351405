#include "agent/cli/remote.h"

#include <inttypes.h>

#include "agent/cli/times.h"

void remote_text(const Envwarden__Local__StatusReply *s, struct buf *out)
{
	uint64_t left = s->remote;
	char late[TIMES_TEXT_MAX];

	buf_addf(out, "%" PRIu64 " on file systems that tell of no changes:", s->remote);
	for (size_t i = 0; i < s->n_remote_mounts; i++) {
		const Envwarden__Local__MountCount *m = s->remote_mounts[i];

		buf_addf(out, "%s %s (%" PRIu64 ")", i > 0 ? "," : "", m->mount, m->environments);
		left -= m->environments < left ? m->environments : left;
	}
	if (left > 0)
		buf_addf(out, "%s elsewhere (%" PRIu64 ")", s->n_remote_mounts > 0 ? "," : "",
			 left);
	times_span((int64_t)(s->late_ms / 1000), late);
	buf_addf(out, "; a change there may be seen %s late", late);
}
