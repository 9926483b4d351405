/* conda-meta: records, history, the small files beside them, and the signs of a run under way. */
#include <string.h>

#include "agent/prefix/look.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/conda/record.h"

#define CONFIG_MAX 65536 /* bytes of state, pinned or frozen that count */
#define CONFIG_MARK 4	 /* bytes of a file's hash that tell it from what it was */
#define FINGERPRINT ".pixi-environment-fingerprint"
#define FINGERPRINT_MAX 64

static const char *const config_files[] = {"frozen", "pinned", "state"};

static bool is_record(const char *name)
{
	return text_ends(name, ".json") && !text_starts(name, "._");
}

static bool is_held_copy(const char *name)
{
	return text_ends(name, ".c~");
}

bool meta_wants(const char *name)
{
	static const char *const others[] = {"history",	  "created_at", "conda-meta.lock",
					     FINGERPRINT, "pixi",	"frozen",
					     "pinned",	  "state"};

	if (is_record(name) || is_held_copy(name))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(name, others[i]) == 0)
			return true;
	return false;
}

static bool pixi_installing(struct look *look)
{
	struct buf text;
	bool installing;

	buf_init(&text, FINGERPRINT_MAX + 1);
	installing = safe_read_whole(look->meta, FINGERPRINT, SAFE_OWNER_ANY, FINGERPRINT_MAX,
				     &text, NULL, NULL) == 0 &&
		     text_starts(buf_cstr(&text), "pixi:installing");
	buf_deinit(&text);
	return installing;
}

/*
 * What comes from PyPI is installed between the fingerprint and pixi's own file, which a pixi
 * before that file, or one that was killed, never writes.
 */
static void sign_pixi(struct look *look, const struct listing_entry *fingerprint)
{
	struct settle_signs *signs = &look->out->signs;
	const struct file_info *info = &fingerprint->info;
	const struct listing_entry *last = listing_find(&look->entries, "pixi");

	if (pixi_installing(look)) {
		signs->installing_age_ms = look_age_ms(look, info->mtime_ns, info->ctime_ns);
		return;
	}
	if (last != NULL && last->info.mtime_ns >= info->mtime_ns)
		return;
	signs->unclosed_age_ms = look_age_ms(look, info->mtime_ns, info->ctime_ns);
	for (size_t i = 0; i < look->dists.n; i++) {
		const struct file_info *dist = &look->dists.entries[i].info;

		look_younger(&signs->unclosed_age_ms,
			     look_age_ms(look, dist->ctime_ns, dist->ctime_ns));
	}
}

int meta_signs(struct look *look)
{
	struct settle_signs *signs = &look->out->signs;
	const struct listing_entry *history = listing_find(&look->entries, "history");
	const struct listing_entry *fingerprint = listing_find(&look->entries, FINGERPRINT);
	const struct listing_entry *lock = listing_find(&look->entries, "conda-meta.lock");
	struct file_info scratch;
	int64_t newest_ns = INT64_MIN;

	for (size_t i = 0; i < look->entries.n; i++) {
		const struct listing_entry *e = &look->entries.entries[i];

		if (is_record(e->name) && e->info.mtime_ns > newest_ns) {
			newest_ns = e->info.mtime_ns;
			look->out->record_owner = e->info.uid;
		}

		/*
		 * Held: by a rename, which keeps the modification time. Unlisted: written after
		 * history was, which a record that was held and put back is not.
		 */
		if (is_held_copy(e->name))
			look_younger(&signs->held_copy_age_ms,
				     look_age_ms(look, e->info.ctime_ns, e->info.ctime_ns));
		else if (is_record(e->name) &&
			 (history == NULL || e->info.mtime_ns > history->info.mtime_ns))
			look_younger(&signs->unlisted_record_age_ms,
				     look_age_ms(look, e->info.mtime_ns, e->info.ctime_ns));
	}
	if (history != NULL && history->info.size == 0 && newest_ns == INT64_MIN)
		signs->empty_history_age_ms =
			look_age_ms(look, history->info.mtime_ns, history->info.ctime_ns);
	if (fingerprint != NULL)
		sign_pixi(look, fingerprint);
	if (lock != NULL)
		signs->lock_age_ms = look_age_ms(look, lock->info.mtime_ns, lock->info.ctime_ns);
	/* conda's scratch for rewriting prefixes: there from before the first link to the end. */
	if (safe_stat(look->prefix, ".condatmp", &scratch, NULL) == 0 && scratch.is_dir)
		look_younger(&signs->held_copy_age_ms,
			     look_age_ms(look, scratch.ctime_ns, scratch.ctime_ns));
	return 0;
}

static int64_t read_json_chunk(void *ctx, void *into, size_t cap)
{
	size_t n = 0;
	int rc = safe_file_read(ctx, into, cap, &n, NULL);

	return rc < 0 ? rc : (int64_t)n;
}

static void settle_python(struct site_claim *python, const struct record *record)
{
	*python = (struct site_claim){.path = record->site_packages_path,
				      .version = record->package.version,
				      .build = record->package.build,
				      .subdir = record->package.subdir};
}

/*
 * The stamp of a record that claims several distributions would have to come with them all, and
 * python's own says where they are: such records are always read.
 */
static int take_record(struct look *look, struct record *record, uint64_t stamp)
{
	const struct record_anchors *anchors = &record->anchors;
	uint64_t claim = 0;
	int rc = 0;

	for (size_t i = 0; i < anchors->n && rc == 0; i++) {
		claim = marks_claim(anchors->paths[i]);
		rc = look_add_claim(look, claim);
	}
	if (anchors->n <= 1 && !anchors->more) {
		record->package.stamp = stamp;
		record->package.claim = stamp != 0 ? claim : 0;
	}
	if (rc == 0)
		rc = look_add_package(look, &record->package);
	return rc == 0 ? gone_remember(look, record) : rc;
}

static int read_record(struct look *look, const struct listing_entry *e, uint64_t stamp,
		       struct site_claim *python, struct err *why)
{
	struct safe_file file = SAFE_FILE_NONE;
	struct file_info info;
	struct record record = {0};
	int rc = look_open(look, look->meta, e->name, &file, &info, why);

	/* Before all of it is read in vain: a sparse file is made in no time. */
	if (rc == 0 && info.size > record_limits.max_bytes)
		rc = err_set(why, ERR_LIMIT, "larger than %zu MiB", record_limits.max_bytes >> 20);
	if (rc == 0) {
		look->bytes += info.size;
		json_reader_reset(look->request->json, read_json_chunk, &file);
		rc = record_read(look->request->json, e->name, look->arena, &record, why);
	}
	safe_file_close(&file);
	if (rc < 0)
		return rc;
	if (site_is_python(e->name))
		settle_python(python, &record);
	rc = take_record(look, &record, stamp);
	return rc < 0 ? err_nomem(why) : 0;
}

int meta_records(struct look *look, struct err *err)
{
	struct site_claim python = {0};

	for (size_t i = 0; i < look->entries.n; i++) {
		const struct listing_entry *e = &look->entries.entries[i];
		struct err why = ERR_INIT;
		uint64_t stamp = 0;
		int rc;

		if (!is_record(e->name))
			continue;
		if (look_is_enough(look, "conda-meta"))
			break;
		if (!site_is_python(e->name)) {
			stamp = marks_stamp(e->name, &e->info, NULL, look->request->now_ms);
			if (look_keep(look, stamp))
				continue;
		}
		rc = read_record(look, e, stamp, &python, &why);
		if (rc == ERR_NOMEM)
			return err_nomem(err);
		if (rc < 0 && rc != ERR_NOTFOUND) /* vanished meanwhile: its event follows */
			look_note_file(look, "conda-meta", e, &why);
	}
	return python.version != NULL ? site_settle(look, &python, err) : 0;
}

void meta_feed_history(struct safe_file *file, struct history *history)
{
	char chunk[16384];
	size_t n = 0;
	size_t total = 0;

	history_init(history);
	while (total < EXAMINE_HISTORY_MAX &&
	       safe_file_read(file, chunk, sizeof chunk, &n, NULL) == 0 && n > 0) {
		history_feed(history, chunk, n);
		total += n;
	}
	history_finish(history);
}

/* The leading ones of three digits; the others stay as they are. */
static void take_digits(char three[3], const char *text)
{
	size_t n = strspn(text, "0123456789");

	memcpy(three, text, n < 3 ? n : 3);
}

/* conda ≥ 25.11 leaves the time of creation as decimal seconds with a fraction. */
static int64_t read_created(struct look *look)
{
	struct buf text;
	unsigned long long seconds = 0;
	unsigned long long ms = 0;
	const char *digits;
	char fraction[4] = "000";
	size_t n;
	bool ok;

	buf_init(&text, 65);
	ok = safe_read_whole(look->meta, "created_at", SAFE_OWNER_ANY, 64, &text, NULL, NULL) == 0;
	digits = buf_cstr(&text);
	n = strcspn(digits, ".\n");
	ok = ok && text_to_u64(digits, n, &seconds) == 0 && seconds < 253402300800ULL;
	if (digits[n] == '.')
		take_digits(fraction, digits + n + 1);
	ok = ok && text_to_u64(fraction, 3, &ms) == 0;
	buf_deinit(&text);
	return ok ? (int64_t)(seconds * 1000 + ms) : 0;
}

int meta_history(struct look *look, struct err *err)
{
	struct examined *out = look->out;
	struct safe_file file = SAFE_FILE_NONE;
	struct file_info info;
	struct history *history;
	struct err why = ERR_INIT;
	const struct listing_entry *entry = listing_find(&look->entries, "history");
	int rc = entry != NULL ? look_open(look, look->meta, "history", &file, &info, &why)
			       : ERR_NOTFOUND;

	out->created_ms = read_created(look);
	if (rc < 0) {
		if (rc != ERR_NOTFOUND)
			look_note_file(look, "conda-meta", entry, &why);
		return 0;
	}
	history = mem_calloc(1, sizeof *history);
	out->history = arena_alloc(look->arena, sizeof *out->history);
	out->origin = arena_alloc(look->arena, sizeof *out->origin);
	if (history == NULL || out->history == NULL || out->origin == NULL) {
		rc = err_nomem(err);
		out->history = NULL;
	} else {
		meta_feed_history(&file, history);
		out->history_sections = history->sections;
		*out->history = history->last;
		*out->origin = history->first;
		out->history_owner = info.uid;
		out->history_ns = info.mtime_ns;
	}
	mem_free(history);
	safe_file_close(&file);
	return rc;
}

int meta_config(struct look *look, struct err *err)
{
	struct sha256 hash;
	struct buf names;
	struct buf text;

	sha256_init(&hash);
	buf_init(&names, 64);
	buf_init(&text, CONFIG_MAX + 1);
	for (size_t i = 0; i < ARRAY_SIZE(config_files); i++) {
		unsigned char one[SHA256_SIZE];

		if (listing_find(&look->entries, config_files[i]) == NULL)
			continue;
		buf_clear(&text);
		/* One that can't be read counts as empty: that it is there is what we know. */
		if (safe_read_whole(look->meta, config_files[i], SAFE_OWNER_ANY, CONFIG_MAX, &text,
				    NULL, NULL) < 0)
			buf_clear(&text);
		sha256(text.data, text.len, one);
		sha256_update(&hash, config_files[i], strlen(config_files[i]) + 1);
		sha256_update(&hash, one, sizeof one);
		buf_addf(&names, "%s%s:", names.len > 0 ? "," : "", config_files[i]);
		buf_add_hex(&names, one, CONFIG_MARK);
	}
	sha256_final(&hash, look->out->config_digest);
	look->out->config_names = arena_strdup(look->arena, buf_cstr(&names));
	buf_deinit(&names);
	buf_deinit(&text);
	return look->out->config_names != NULL ? 0 : err_nomem(err);
}
