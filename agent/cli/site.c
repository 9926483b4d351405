#include "agent/cli/site.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "platform/safe_write.h"

#define ENTRIES_MAX 1000000 /* that are looked at for what is ours */

void site_close(struct site *site)
{
	safe_dir_close(site->folder);
	safe_dir_close(site->dir);
	site->folder = NULL;
	site->dir = NULL;
}

static const struct safe_dir *where(const struct site *site, const struct piece *piece)
{
	return piece->in_folder ? site->folder : site->dir;
}

/* *there: whether anything has its name. err: why a file that is there could not be read. */
static enum piece_state look_at(const struct site *site, const struct piece *piece, bool *there,
				struct err *err)
{
	const struct safe_dir *dir = where(site, piece);
	enum piece_state state = PIECE_FOREIGN;
	struct buf found;
	int rc = ERR_NOTFOUND;

	buf_init(&found, PIECE_SIZE_MAX + 1);
	if (dir)
		rc = safe_read_whole(dir, piece->name, SAFE_OWNER_ANY, PIECE_SIZE_MAX, &found, NULL,
				     err);
	if (rc == 0)
		state = piece_compare(piece, site->minor, buf_cstr(&found), found.len);
	else if (rc == ERR_NOTFOUND)
		state = piece_compare(piece, site->minor, NULL, 0);
	*there = rc != ERR_NOTFOUND;
	buf_deinit(&found);
	return state;
}

enum piece_state site_look(const struct site *site, char *why)
{
	static const char *const texts[] = {
		[PIECE_MISSING] = "is missing",
		[PIECE_OUTDATED] = "is of another version",
		[PIECE_FOREIGN] = "is somebody else's",
	};
	enum piece_state worst = PIECE_PLACED;

	why[0] = '\0';
	for (size_t i = 0; i < site->pieces->n; i++) {
		const struct piece *piece = &site->pieces->items[i];
		struct err err = ERR_INIT;
		bool there = false;
		enum piece_state state = look_at(site, piece, &there, &err);

		if (state <= worst)
			continue;
		worst = state;
		if (there && err.text[0] != '\0')
			(void)snprintf(why, ERR_TEXT_MAX, "python3.%d: %.400s", site->minor,
				       err.text);
		else
			(void)snprintf(why, ERR_TEXT_MAX, "python3.%d: %s %s", site->minor,
				       piece->name, texts[state]);
	}
	return worst;
}

/* --- what else is ours --- */

struct sweep {
	const struct site *site;
	const struct safe_dir *dir;
	bool in_folder;
};

/* "<name>.<digits>.<digits>" of a piece: written, and not given its name (safe_write_file). */
static bool is_left_over(const struct sweep *sweep, const char *name)
{
	const struct pieces *pieces = sweep->site->pieces;

	for (size_t i = 0; i < pieces->n; i++) {
		const struct piece *piece = &pieces->items[i];
		const char *rest = name + strlen(piece->name);
		size_t n;

		if (piece->in_folder != sweep->in_folder || !text_starts(name, piece->name) ||
		    *rest != '.')
			continue;
		n = strspn(rest + 1, "0123456789");
		rest += 1 + n;
		if (n > 0 && *rest == '.' && rest[1] != '\0' &&
		    rest[1 + strspn(rest + 1, "0123456789")] == '\0')
			return true;
	}
	return false;
}

static int drop_left_over(void *ctx, const char *name)
{
	const struct sweep *sweep = ctx;

	return is_left_over(sweep, name) ? safe_write_remove(sweep->dir, name, NULL) : 0;
}

static int drop_compiled(void *ctx, const char *name)
{
	const struct safe_dir *cache = ctx;

	if (text_starts(name, "_envwarden_gate.") || text_starts(name, "envwarden_conda."))
		return safe_write_remove(cache, name, NULL);
	return 0;
}

/* What Python has made of our modules. */
static void forget_compiled(const struct site *site)
{
	struct safe_dir *cache = NULL;

	if (safe_dir_open_at(site->dir, "__pycache__", &cache, NULL) == 0)
		(void)safe_dir_list(cache, ENTRIES_MAX, drop_compiled, cache, NULL);
	safe_dir_close(cache);
}

static void sweep_up(const struct site *site)
{
	struct sweep beside = {site, site->dir, false};
	struct sweep in_folder = {site, site->folder, true};

	(void)safe_dir_list(site->dir, ENTRIES_MAX, drop_left_over, &beside, NULL);
	if (site->folder)
		(void)safe_dir_list(site->folder, ENTRIES_MAX, drop_left_over, &in_folder, NULL);
}

static int drop_folder(struct site *site, struct err *err)
{
	bool there = site->folder != NULL;

	safe_dir_close(site->folder);
	site->folder = NULL;
	return there ? safe_write_remove_dir(site->dir, PIECES_FOLDER, err) : 0;
}

/* --- placing, removing --- */

static int need_folder(struct site *site, struct err *err)
{
	int rc = site->folder ? 0 : safe_write_dir(site->dir, PIECES_FOLDER, 0755, err);

	if (rc == 0 && !site->folder)
		rc = safe_dir_open_at(site->dir, PIECES_FOLDER, &site->folder, err);
	return rc;
}

static int place_one(struct site *site, const struct piece *piece, bool there, struct err *err)
{
	int rc = 0;

	if (!piece_wanted(piece, site->minor))
		return there ? safe_write_remove(where(site, piece), piece->name, err) : 0;
	if (piece->in_folder)
		rc = need_folder(site, err);
	return rc < 0 ? rc
		      : safe_write_file(where(site, piece), piece->name, piece->text, piece->n,
					0644, err);
}

int site_place(struct site *site, struct err *err)
{
	bool changed = false;
	int rc = 0;

	for (size_t i = 0; i < site->pieces->n && rc == 0; i++) {
		const struct piece *piece = &site->pieces->items[i];
		bool there = false;

		if (look_at(site, piece, &there, NULL) == PIECE_PLACED)
			continue;
		changed = true;
		rc = place_one(site, piece, there, err);
	}
	if (changed)
		forget_compiled(site);
	if (rc < 0)
		(void)drop_folder(site, NULL); /* if nothing is in it */
	return rc;
}

/* In the other order, so that at no time something is loaded that is not there. */
int site_take_away(struct site *site, struct err *err)
{
	int rc = 0;

	for (size_t i = site->pieces->n; i-- > 0 && rc == 0;) {
		const struct piece *piece = &site->pieces->items[i];
		bool there = false;

		if (look_at(site, piece, &there, NULL) != PIECE_FOREIGN && there)
			rc = safe_write_remove(where(site, piece), piece->name, err);
	}
	forget_compiled(site);
	sweep_up(site);
	return rc < 0 ? rc : drop_folder(site, err);
}
