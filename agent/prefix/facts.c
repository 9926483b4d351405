#include "agent/prefix/facts.h"

#include <stdio.h>
#include <string.h>

#include "agent/prefix/wire_path.h"
#include "proto/codec.h"
#include "proto/convert.h"
#include "proto/limits.h"

/* By number: names are the core's to find. Points *slot at `person` if there is one. */
static void tell_person(int64_t uid, Envwarden__Person *person, Envwarden__Person **slot)
{
	if (uid < 0)
		return;
	person->uid = uid;
	*slot = person;
}

int facts_source_path(const struct examined *found, char *out, size_t cap)
{
	const struct history_facts *h = found->history != NULL ? found->origin : NULL;
	const char *slash = strrchr(found->prefix, '/');
	int n;

	if (h == NULL || h->source[0] == '\0' || slash == NULL)
		return ERR_NOTFOUND;
	if (h->source[0] == '/')
		n = snprintf(out, cap, "%s", h->source);
	else if (strchr(h->source, '/') != NULL || strcmp(h->source, "..") == 0)
		return ERR_NOTFOUND; /* relative to a directory nobody knows */
	else
		n = snprintf(out, cap, "%.*s/%s", (int)(slash - found->prefix), found->prefix,
			     h->source);
	return n < 0 || (size_t)n >= cap ? ERR_LIMIT : 0;
}

static int pack_header(const struct examined *found, const char *renamed_from, bool at_start,
		       struct buf *frames, struct err *err)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Facts facts = ENVWARDEN__READER__FACTS__INIT;
	Envwarden__Reader__HistoryFacts history = ENVWARDEN__READER__HISTORY_FACTS__INIT;
	Envwarden__Person owner = ENVWARDEN__PERSON__INIT;
	Envwarden__Person history_owner = ENVWARDEN__PERSON__INIT;
	Envwarden__Person python_owner = ENVWARDEN__PERSON__INIT;
	Envwarden__Person record_owner = ENVWARDEN__PERSON__INIT;
	char source[SAFE_PATH_MAX];
	struct wire_path prefix;
	struct wire_path from;
	struct wire_path source_text;
	struct wire_path mount;
	int rc = wire_path(&prefix, found->prefix, err);

	if (rc == 0)
		rc = wire_path(&from, renamed_from, err);
	if (rc < 0)
		return rc;
	tell_person(found->info.uid, &owner, &facts.owner);
	tell_person(found->history_owner, &history_owner, &history.owner);
	tell_person(found->python_owner, &python_owner, &facts.python_owner);
	tell_person(found->record_owner, &record_owner, &facts.record_owner);
	facts.prefix = prefix.text;
	facts.device = found->info.dev;
	facts.inode = found->info.ino;
	facts.filesystem = (uint32_t)found->fs;
	facts.volume = wire_bytes(found->volume, sizeof found->volume);
	(void)wire_path(&mount, found->mount != NULL ? found->mount : "", NULL);
	facts.mount = mount.text;
	facts.platform = wire_text(found->platform);
	facts.python_tool = wire_text(found->python_tool);
	facts.tool = wire_text(found->tool);
	if (found->history != NULL) {
		history.command = wire_text(found->history->command);
		history.action = wire_text(found->history->action);
		history.tool = wire_text(found->history->tool);
		history.sections = found->history_sections;
		if (found->origin->is_clone &&
		    facts_source_path(found, source, sizeof source) == 0 &&
		    wire_path(&source_text, source, NULL) == 0)
			history.source = source_text.text;
		history.target = wire_text(found->history->target);
		facts.history = &history;
	}
	facts.created_ms = found->created_ms;
	facts.changed_ms = found->changed_ms;
	facts.config_digest = wire_bytes(found->config_digest, sizeof found->config_digest);
	facts.config_names = wire_text(found->config_names);
	facts.unreadable = (char **)found->notes;
	facts.n_unreadable = found->n_notes;
	facts.renamed_from = from.text;
	facts.stamp = wire_bytes(found->stamp, sizeof found->stamp);
	facts.at_start = at_start;
	facts.empty_meta = found->empty_meta;
	facts.basis = wire_uuid(&found->basis);
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_FACTS;
	envelope.facts = &facts;
	return codec_pack_reader(&envelope, frames, err);
}

/* The marks of n packages, in their order. */
static int pack_marks(const struct package *items, size_t n, struct arena *arena,
		      ProtobufCBinaryData *out)
{
	unsigned char *marks = arena_calloc(arena, n, MARKS_PAIR);

	if (marks == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		marks_put(marks + i * MARKS_PAIR, items[i].stamp, items[i].claim);
	*out = wire_bytes(marks, n * MARKS_PAIR);
	return 0;
}

/* Packages in pieces of about LIMIT_READER_CHUNK. */
static int pack_packages(const struct examined *found, struct arena *arena, struct buf *frames,
			 struct err *err)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__FactsPackages piece = ENVWARDEN__READER__FACTS_PACKAGES__INIT;
	Envwarden__Package **all;
	size_t size = 0;
	size_t first = 0;
	int rc = packages_to_wire(found->packages.items, found->packages.n, arena, &all);

	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_PACKAGES;
	envelope.packages = &piece;
	for (size_t i = 0; rc == 0 && i < found->packages.n; i++) {
		size += codec_size(&all[i]->base) + CODEC_ITEM_EXTRA + MARKS_PAIR;
		if (size < LIMIT_READER_CHUNK && i + 1 < found->packages.n)
			continue;
		piece.packages = all + first;
		piece.n_packages = i + 1 - first;
		rc = pack_marks(found->packages.items + first, piece.n_packages, arena,
				&piece.marks);
		if (rc == 0)
			rc = codec_pack_reader(&envelope, frames, err);
		first = i + 1;
		size = 0;
	}
	return rc;
}

static int pack_kept(const struct examined *found, struct buf *frames, struct err *err)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__FactsKept kept = ENVWARDEN__READER__FACTS_KEPT__INIT;
	struct buf stamps;
	int rc;

	_Static_assert(EXAMINE_PACKAGES_MAX <= LIMIT_PACKAGES, "what a look finds can be told");
	if (found->n_kept == 0)
		return 0;
	buf_init(&stamps, LIMIT_STAMPS);
	for (size_t i = 0; i < found->n_kept; i++)
		buf_add_u64(&stamps, found->kept[i]);
	kept.stamps = wire_bytes(stamps.data, stamps.len);
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_KEPT;
	envelope.kept = &kept;
	rc = buf_rc(&stamps) == 0 ? codec_pack_reader(&envelope, frames, err) : err_nomem(err);
	buf_deinit(&stamps);
	return rc;
}

int facts_pack(const struct examined *found, const char *renamed_from, bool at_start,
	       struct arena *arena, struct buf *frames, struct err *err)
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__FactsEnd end = ENVWARDEN__READER__FACTS_END__INIT;
	int rc = pack_header(found, renamed_from, at_start, frames, err);

	if (rc == 0)
		rc = pack_packages(found, arena, frames, err);
	if (rc == 0)
		rc = pack_kept(found, frames, err);
	if (rc < 0)
		return rc;
	end.total = found->packages.n + found->n_kept;
	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_FACTS_END;
	envelope.facts_end = &end;
	return codec_pack_reader(&envelope, frames, err);
}
