/* Hidden paths in the journal: what stands for them goes in, what they are is kept beside it. */
#include <string.h>

#include "agent/store/internal.h"
#include "lib/base/mem.h"

#define NAME_HEAD "hashed/"

struct name {
	char text[sizeof(NAME_HEAD) + HIDE_HEX];
};

static struct bytes name_of(struct name *name, const char hex[HIDE_HEX])
{
	memcpy(name->text, NAME_HEAD, sizeof(NAME_HEAD) - 1);
	memcpy(name->text + sizeof(NAME_HEAD) - 1, hex, HIDE_HEX);
	return (struct bytes){name->text, sizeof(NAME_HEAD) - 1 + HIDE_HEX};
}

/* --- in ----------------------------------------------------------------------------------- */

struct noting {
	struct db_txn *txn;
	struct err *err;
};

static int note(void *ctx, const char hex[HIDE_HEX], const char *hidden, size_t n)
{
	const struct noting *to = ctx;
	struct name name;
	struct bytes key = name_of(&name, hex);
	struct bytes there;
	int rc = db_get(to->txn, DB_KV, key, &there, to->err);

	return rc == ERR_NOTFOUND ? db_put(to->txn, DB_KV, key, (struct bytes){hidden, n}, to->err)
				  : rc;
}

/* Where a clone came from, as its command may name it; "" unknown. */
static int find_source(struct db_txn *txn, const struct change *c, struct arena *arena,
		       const char **prefix, struct err *err)
{
	struct environment env;
	int rc = ERR_NOTFOUND;

	if (!uuid_is_zero(&c->cloned_from))
		rc = environment_read(txn, &c->cloned_from, arena, &env, NULL);
	if (rc == ERR_NOTFOUND)
		return 0;
	if (rc < 0)
		return store_damaged(err, rc, "an environment");
	*prefix = env.prefix;
	return 0;
}

int hiding_change(struct db_txn *txn, const struct store *s, struct arena *arena, struct change *c,
		  struct err *err)
{
	struct noting to = {txn, err};
	struct hide hide = s->hide;
	const char *source = "";
	int rc;

	if (hide.n == 0)
		return 0;
	hide.note = note;
	hide.ctx = &to;
	rc = find_source(txn, c, arena, &source, err);
	if (rc == 0)
		rc = hide_change(&hide, source, arena, c);
	crypto_wipe(hide.key, sizeof(hide.key));
	return rc == ERR_NOMEM ? err_nomem(err) : rc;
}

int hiding_stand_in(const struct store *s, const char *path, struct arena *arena, const char **out,
		    struct err *err)
{
	*out = NULL;
	if (s->hide.n == 0 || !hide_matches(&s->hide, path))
		return 0;
	return hide_text(&s->hide, path, strlen(path), arena, out) < 0 ? err_nomem(err) : 0;
}

/* --- out ---------------------------------------------------------------------------------- */

struct revealing {
	struct db_txn *txn;
	struct arena *arena;
	struct err *err;
	int rc;
};

static const char *look_up(void *ctx, const char hex[HIDE_HEX])
{
	struct revealing *r = ctx;
	struct name name;
	struct bytes value;
	const char *text;
	int rc = db_get(r->txn, DB_KV, name_of(&name, hex), &value, r->err);

	if (rc < 0) {
		if (rc != ERR_NOTFOUND && r->rc == 0)
			r->rc = rc;
		return NULL;
	}
	text = arena_strndup(r->arena, value.data, value.n);
	if (!text)
		r->rc = err_nomem(r->err);
	return text;
}

int hiding_reveal(struct db_txn *txn, struct arena *arena, struct change *c, struct err *err)
{
	struct {
		const char **text;
		size_t max;
	} const all[] = {{&c->prefix, CHANGE_PATH_MAX},
			 {&c->from_prefix, CHANGE_PATH_MAX},
			 {&c->command, CHANGE_COMMAND_MAX}};
	struct revealing r = {txn, arena, err, 0};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (hide_reveal(*all[i].text, all[i].max, look_up, &r, arena, all[i].text) < 0)
			return err_nomem(err);
	}
	return r.rc;
}

/* --- setting ------------------------------------------------------------------------------ */

void hiding_deinit(struct store *s)
{
	for (size_t i = 0; i < s->hide.n; i++)
		mem_free((void *)(uintptr_t)s->hide.patterns[i]);
	mem_free((void *)(uintptr_t)s->hide.patterns);
	crypto_wipe(s->hide.key, sizeof(s->hide.key));
	s->hide = (struct hide){.n = 0};
}

int store_hide_paths(struct store *s, const unsigned char key[HIDE_KEY],
		     const char *const *patterns, size_t n, struct err *err)
{
	char **copies = mem_calloc(n + 1, sizeof(*copies));
	size_t copied = 0;

	while (copies && copied < n && (copies[copied] = mem_strdup(patterns[copied])) != NULL)
		copied++;
	if (!copies || copied < n) {
		while (copied > 0)
			mem_free(copies[--copied]);
		mem_free(copies);
		return err_nomem(err);
	}
	hiding_deinit(s);
	s->hide.patterns = (const char *const *)copies;
	s->hide.n = n;
	memcpy(s->hide.key, key, HIDE_KEY);
	return 0;
}
