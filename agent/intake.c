#include "agent/intake.h"

#include <string.h>

#include "agent/prefix/marks.h"
#include "lib/base/log.h"
#include "proto/convert.h"

/* --- pieces --- */

static const char *keep(struct intake *in, const char *text)
{
	const char *copy = arena_strdup(&in->arena, text);

	return copy != NULL ? copy : "";
}

static void keep_person(struct intake *in, const Envwarden__Person *wire, struct person *out)
{
	person_from_wire(wire, out); /* nobody when absent */
	out->name = keep(in, out->name);
	out->how = "";
}

static void keep_notes(struct intake *in, const Envwarden__Reader__Facts *facts)
{
	const char **notes = arena_calloc(&in->arena, facts->n_unreadable + 1, sizeof *notes);

	if (notes == NULL)
		return;
	for (size_t i = 0; i < facts->n_unreadable; i++)
		notes[i] = keep(in, facts->unreadable[i]);
	in->snapshot.unreadable = notes;
	in->snapshot.n_unreadable = facts->n_unreadable;
}

static void keep_history(struct intake *in, const Envwarden__Reader__HistoryFacts *history)
{
	struct run_facts *run = &in->snapshot.history;

	if (history == NULL)
		return;
	run->sections = history->sections;
	run->command = keep(in, history->command);
	run->action = keep(in, history->action);
	run->tool = keep(in, history->tool);
	run->source = keep(in, history->source);
	run->target = keep(in, history->target);
	keep_person(in, history->owner, &run->owner);
}

/* --- an environment told --- */

void intake_init(struct intake *in, size_t memory_max)
{
	arena_init(&in->arena, memory_max);
	snapshot_init(&in->snapshot);
	in->kept = (struct kept_packages){.n = 0};
	in->refused = 0;
	in->from_reader = false;
}

void intake_deinit(struct intake *in)
{
	snapshot_deinit(&in->snapshot);
	in->snapshot.packages = (struct package_list){0};
	arena_deinit(&in->arena);
}

/* Decisions reckon with it. 0: no time that a disk can tell. */
static int64_t known_time(int64_t ms)
{
	return ms > 0 && ms <= PACKAGE_BUILT_MAX_MS ? ms : 0;
}

int intake_facts(struct intake *in, const Envwarden__Reader__Facts *facts)
{
	struct snapshot *s = &in->snapshot;
	unsigned char *stamp;

	if (s->prefix[0] != '\0' || facts->prefix[0] != '/')
		return ERR_PROTOCOL;
	s->prefix = keep(in, facts->prefix);
	s->device = facts->device;
	s->inode = facts->inode;
	if (facts->volume.len == sizeof s->volume)
		memcpy(s->volume, facts->volume.data, sizeof s->volume);
	s->filesystem = facts->filesystem;
	s->mount = keep(in, facts->mount);
	keep_person(in, facts->owner, &s->owner);
	keep_person(in, facts->record_owner, &s->record_owner);
	keep_person(in, facts->python_owner, &s->python_owner);
	s->python_tool = keep(in, facts->python_tool);
	s->platform = keep(in, facts->platform);
	s->tool = keep(in, facts->tool);
	s->created_ms = known_time(facts->created_ms);
	s->changed_ms = facts->changed_ms;
	hash_from_wire(&facts->config_digest, s->config_digest);
	s->config_names = keep(in, facts->config_names);
	stamp = arena_dup(&in->arena, facts->stamp.data, facts->stamp.len);
	s->stamp = stamp;
	s->stamp_n = stamp != NULL ? facts->stamp.len : 0;
	s->renamed_from = keep(in, facts->renamed_from);
	s->at_start = facts->at_start;
	s->empty_meta = facts->empty_meta;
	uuid_from_wire(&facts->basis, &in->kept.basis);
	keep_history(in, facts->history);
	keep_notes(in, facts);
	return s->prefix[0] == '/' ? 0 : ERR_NOMEM;
}

int intake_packages(struct intake *in, const Envwarden__Reader__FactsPackages *piece)
{
	struct rd marks;

	if (in->snapshot.prefix[0] == '\0' ||
	    (in->from_reader && piece->marks.len != piece->n_packages * MARKS_PAIR))
		return ERR_PROTOCOL;
	rd_init(&marks, piece->marks.data, in->from_reader ? piece->marks.len : 0);
	for (size_t i = 0; i < piece->n_packages; i++) {
		struct package seen;
		struct package kept;
		struct err err = ERR_INIT;
		uint64_t stamp = rd_u64(&marks); /* zero where there are none */
		uint64_t claim = rd_u64(&marks);

		if (in->snapshot.packages.n == SNAPSHOT_PACKAGES_MAX)
			return 0; /* the first ones count; the end says that there were more */
		if (package_from_wire(piece->packages[i], &seen, &err) < 0) {
			log_warn("core", "package refused", LOG_ERR(&err));
			in->refused++;
			continue;
		}
		seen.stamp = stamp;
		seen.claim = claim;
		if (package_copy(&in->arena, &seen, &kept) < 0 ||
		    package_list_add(&in->snapshot.packages, &kept) < 0)
			return ERR_NOMEM;
	}
	return 0;
}

int intake_kept(struct intake *in, const Envwarden__Reader__FactsKept *kept)
{
	size_t n = kept->stamps.len / 8;

	if (in->snapshot.prefix[0] == '\0' || !in->from_reader || in->kept.n > 0 ||
	    uuid_is_zero(&in->kept.basis) || n > SNAPSHOT_PACKAGES_MAX - in->snapshot.packages.n)
		return ERR_PROTOCOL;
	in->kept.stamps = arena_dup(&in->arena, kept->stamps.data, kept->stamps.len);
	if (n > 0 && in->kept.stamps == NULL)
		return ERR_NOMEM;
	in->kept.n = n;
	return 0;
}

int intake_end(struct intake *in, const Envwarden__Reader__FactsEnd *end)
{
	if (in->snapshot.prefix[0] == '\0' ||
	    (end->total != in->snapshot.packages.n + in->refused + in->kept.n &&
	     in->snapshot.packages.n < SNAPSHOT_PACKAGES_MAX))
		return ERR_PROTOCOL;
	return 0;
}
