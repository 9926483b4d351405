#include <stdint.h>

#include "agent/report.h"
#include "lib/base/compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A member's report, in two pieces; the proof agrees with whatever it says of itself. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t first = size > 0 ? data[0] % size : 0;
	struct report r;

	report_init(&r);
	if (report_feed(&r, data, first, NULL) == 0 &&
	    report_feed(&r, data + first, size - first, NULL) == 0) {
		const struct snapshot *s = &r.intake.snapshot;
		struct report_proof proof = {.prefix = s->prefix,
					     .device = s->device,
					     .inode = s->inode,
					     .owner = s->owner.uid};

		if (report_finish(&r, &proof, NULL) == 0)
			CHECK(s->self_reported && s->renamed_from[0] == '\0');
	}
	report_deinit(&r);
	return 0;
}
