#include "agent/report.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "platform/safe_open.h"
#include "proto/codec.h"
#include "proto/limits.h"

#define MESSAGE_MEMORY_MAX (8u << 20) /* of one frame, unpacked */
#define INTAKE_MEMORY_MAX (24u << 20)
#define STAMP_MARK 'r'

void report_init(struct report *r)
{
	*r = (struct report){.bytes = 0};
	frame_decoder_init(&r->frames, LIMIT_READER_FRAME);
	arena_init(&r->message, MESSAGE_MEMORY_MAX);
	intake_init(&r->intake, INTAKE_MEMORY_MAX);
}

void report_deinit(struct report *r)
{
	frame_decoder_deinit(&r->frames);
	arena_deinit(&r->message);
	intake_deinit(&r->intake);
}

static int take_message(struct report *r, const Envwarden__Reader__Envelope *m)
{
	int rc = ERR_PROTOCOL;

	if (r->whole)
		return rc;
	switch (m->kind_case) {
	case ENVWARDEN__READER__ENVELOPE__KIND_FACTS:
		rc = intake_facts(&r->intake, m->facts);
		break;
	case ENVWARDEN__READER__ENVELOPE__KIND_PACKAGES:
		rc = intake_packages(&r->intake, m->packages);
		break;
	case ENVWARDEN__READER__ENVELOPE__KIND_FACTS_END:
		rc = intake_end(&r->intake, m->facts_end);
		r->whole = rc == 0;
		break;
	default:
		break;
	}
	return rc;
}

static int take_frame(struct report *r, const void *payload, size_t n, struct err *err)
{
	Envwarden__Reader__Envelope *m;
	int rc = codec_unpack_reader(payload, n, &r->message, &m, err);

	if (rc == 0) {
		rc = take_message(r, m);
		if (rc < 0)
			err_set(err, rc, "a message out of place");
	}
	arena_reset(&r->message);
	return rc;
}

int report_feed(struct report *r, const void *data, size_t n, struct err *err)
{
	const char *p = data;
	int rc = 0;

	if (n > LIMIT_REPORT - r->bytes)
		return err_set(err, ERR_LIMIT, "a report has at most %d bytes", LIMIT_REPORT);
	r->bytes += n;
	while (rc == 0 && n > 0) {
		const void *payload;
		size_t payload_n;
		size_t used;

		rc = frame_decode(&r->frames, p, n, &used, &payload, &payload_n);
		if (rc < 0) {
			err_set(err, rc, "%s", err_text(rc));
			break;
		}
		p += used;
		n -= used;
		if (payload != NULL)
			rc = take_frame(r, payload, payload_n, err);
	}
	if (rc < 0)
		(void)err_context(err, "report");
	return rc;
}

/* The owner may tell of root and of itself; whom else it names nobody can know. */
static void keep_honest(struct person *who, int64_t owner)
{
	if (who->uid != owner && who->uid != 0)
		who->uid = -1;
	who->name = ""; /* looked up by whoever stores it */
}

/* What later looks of the agent's own would believe. */
static int drop_marks(struct report *r)
{
	struct snapshot *s = &r->intake.snapshot;
	unsigned char *stamp = NULL;

	for (size_t i = 0; i < s->packages.n; i++) {
		s->packages.items[i].stamp = 0;
		s->packages.items[i].claim = 0;
	}
	if (s->stamp_n > 0 && s->stamp_n < SNAPSHOT_STAMP_MAX) {
		stamp = arena_alloc(&r->intake.arena, s->stamp_n + 1);
		if (stamp == NULL)
			return ERR_NOMEM;
		stamp[0] = STAMP_MARK;
		memcpy(stamp + 1, s->stamp, s->stamp_n);
	}
	s->stamp_n = stamp != NULL ? s->stamp_n + 1 : 0;
	s->stamp = stamp;
	return 0;
}

int report_finish(struct report *r, const struct report_proof *proof, struct err *err)
{
	struct snapshot *s = &r->intake.snapshot;

	if (!r->whole || !frame_decoder_idle(&r->frames))
		return err_set(err, ERR_PROTOCOL, "the report is not whole");
	if (strcmp(s->prefix, proof->prefix) != 0 || s->device != proof->device ||
	    s->inode != proof->inode)
		return err_set(err, ERR_PERM, "the report is of another directory");
	if (s->owner.uid != proof->owner)
		return err_set(err, ERR_PERM, "the report names another owner");
	if (s->filesystem > FS_UNKNOWN)
		s->filesystem = FS_UNKNOWN;
	s->owner.name = "";
	keep_honest(&s->history.owner, proof->owner);
	keep_honest(&s->python_owner, proof->owner);
	s->renamed_from = "";
	s->at_start = false;
	s->self_reported = true;
	if (drop_marks(r) < 0)
		return err_nomem(err);
	return 0;
}

const unsigned char *report_stamp(const unsigned char *stored, size_t stored_n, size_t *n)
{
	bool is_one = stored_n > 1 && stored[0] == STAMP_MARK;

	*n = is_one ? stored_n - 1 : 0;
	return is_one ? stored + 1 : NULL;
}
