#include "agent/cli/change_text.h"

#include <inttypes.h>
#include <string.h>

#include "agent/cli/times.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define GAP_DIGITS 8 /* of an epoch */

static void add_packages(struct buf *out, char sign, const struct package_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		const struct package *package = &list->items[i];
		const char *parts[] = {package->name, package->version, package->build};

		buf_addf(out, "    %c", sign);
		for (size_t j = 0; j < ARRAY_SIZE(parts); j++) {
			if (!*parts[j])
				continue;
			buf_addc(out, ' ');
			text_escape(out, parts[j], strlen(parts[j]));
		}
		if (strcmp(package->manager, "conda") != 0) {
			buf_adds(out, " (");
			text_escape(out, package->manager, strlen(package->manager));
			buf_addc(out, ')');
		}
		buf_addc(out, '\n');
	}
}

static void add_part(struct buf *out, const char *before, const char *text)
{
	if (!*text)
		return;
	buf_adds(out, before);
	text_escape(out, text, strlen(text));
}

/* "by ana  conda", "by account 1001", "with conda" where nothing tells who it was. */
static void add_actor(struct buf *out, const struct change *change)
{
	bool known = *change->actor.name || change->actor.uid >= 0;

	if (*change->actor.name)
		add_part(out, "  by ", change->actor.name);
	else if (known)
		buf_addf(out, "  by account %" PRId64, change->actor.uid);
	add_part(out, known ? "  " : "  with ", change->tool);
}

/* Its detail names the journal that ended: two of those are told apart by a few digits. */
static void add_gap(struct buf *out, const struct change *change)
{
	buf_adds(out, " changes from before may be missing: an older journal (");
	text_escape(out, change->detail, strnlen(change->detail, GAP_DIGITS));
	buf_adds(out, "...) was lost or closed");
}

void change_text(const struct change *change, struct buf *out)
{
	char time[TIMES_TEXT_MAX];

	times_local(change->time_ms, time);
	buf_addf(out, "%s  %-9s ", time, change_kind_name(change->kind));
	add_part(out, " ", change->prefix);
	add_part(out, "  from ", change->from_prefix);
	if (change->added.n > 0 || change->removed.n > 0)
		buf_addf(out, "  +%zu -%zu", change->added.n, change->removed.n);
	add_actor(out, change);
	add_part(out, ": ", change->command);
	if (change->kind == CHANGE_GAP)
		add_gap(out, change);
	else
		add_part(out, "  ", change->detail);
	if (change->folded > 1)
		buf_addf(out, "  (%" PRIu64 " changes in one)", change->folded);
	if (change->seen_at_start)
		buf_adds(out, "  (seen at start)");
	if (change->self_reported)
		buf_adds(out, "  (self-reported)");
	buf_addc(out, '\n');
	add_packages(out, '-', &change->removed);
	add_packages(out, '+', &change->added);
}
