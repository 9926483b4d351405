#include "agent/asked.h"

#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/limits.h"

#define ASKED_VERSION 1
#define LIST_FIRST 16

/* --- one ---------------------------------------------------------------------------------- */

static int copy(char **out, const char *text)
{
	*out = mem_strdup(text != NULL ? text : "");
	return *out != NULL ? 0 : ERR_NOMEM;
}

int asked_new(const struct asked *from, struct asked **out)
{
	struct asked *a = mem_calloc(1, sizeof *a);

	if (a == NULL)
		return ERR_NOMEM;
	*a = *from;
	a->user = a->reason = a->message = a->exception = NULL;
	if (copy(&a->user, from->user) < 0 || copy(&a->reason, from->reason) < 0 ||
	    copy(&a->message, from->message) < 0 || copy(&a->exception, from->exception) < 0) {
		asked_free(a);
		return ERR_NOMEM;
	}
	*out = a;
	return 0;
}

void asked_free(struct asked *asked)
{
	if (asked == NULL)
		return;
	mem_free(asked->user);
	mem_free(asked->reason);
	mem_free(asked->message);
	mem_free(asked->exception);
	mem_free(asked);
}

static bool replace(char **old, const char *text)
{
	char *now = strcmp(*old, text) != 0 ? mem_strdup(text) : NULL;

	if (now == NULL)
		return false;
	mem_free(*old);
	*old = now;
	return true;
}

bool asked_hear(struct asked *asked, const struct said_request *said)
{
	bool changed;

	asked->heard = said != NULL;
	if (said == NULL || said->state < ASKED_OPEN || said->state > ASKED_DENIED)
		return false;
	changed = replace(&asked->message, said->message);
	changed = replace(&asked->exception, said->exception) || changed;
	changed = changed || asked->state != (enum asked_state)said->state ||
		  asked->until_ms != said->until_ms;
	asked->state = (enum asked_state)said->state;
	asked->until_ms = said->until_ms;
	asked->unkept = asked->unkept || changed;
	return changed;
}

bool asked_holds(const struct asked *asked, int64_t now_ms)
{
	return asked->until_ms == 0 || now_ms < asked->until_ms;
}

/* --- its bytes ---------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *text)
{
	buf_add_lp(out, text, strlen(text));
}

void asked_encode(const struct asked *asked, struct buf *out)
{
	buf_add_u8(out, ASKED_VERSION);
	buf_add(out, asked->id.b, UUID_SIZE);
	buf_add(out, asked->environment.b, UUID_SIZE);
	buf_add_u32(out, asked->uid);
	buf_add_u64(out, (uint64_t)asked->made_ms);
	buf_add_u8(out, (uint8_t)asked->state);
	buf_add_u64(out, (uint64_t)asked->until_ms);
	put_text(out, asked->case_code);
	put_text(out, asked->user);
	put_text(out, asked->reason);
	put_text(out, asked->message);
	put_text(out, asked->exception);
}

static void take_uuid(struct rd *rd, struct uuid *out)
{
	const void *bytes = rd_bytes(rd, UUID_SIZE);

	if (bytes != NULL)
		memcpy(out->b, bytes, UUID_SIZE);
}

/* "" when the reader has failed. */
static const char *take_text(struct rd *rd, size_t max, char *room)
{
	size_t n = 0;
	const char *text = rd_lp(rd, max, &n);

	if (text != NULL && (!text_is_utf8(text, n) || memchr(text, '\0', n) != NULL))
		rd->rc = ERR_INVALID;
	if (rd->rc < 0 || text == NULL)
		n = 0;
	else
		memcpy(room, text, n);
	room[n] = '\0';
	return room;
}

int asked_decode(const void *data, size_t n, struct asked **out)
{
	char texts[4][LIMIT_TEXT + 1];
	struct asked a = {.heard = false};
	struct rd rd;

	rd_init(&rd, data, n);
	if (rd_u8(&rd) != ASKED_VERSION)
		return ERR_INVALID;
	take_uuid(&rd, &a.id);
	take_uuid(&rd, &a.environment);
	a.uid = rd_u32(&rd);
	a.made_ms = (int64_t)rd_u64(&rd);
	a.state = (enum asked_state)rd_u8(&rd);
	a.until_ms = (int64_t)rd_u64(&rd);
	(void)take_text(&rd, CASE_CODE_MAX - 1, a.case_code);
	a.user = (char *)(uintptr_t)take_text(&rd, LIMIT_TEXT, texts[0]);
	a.reason = (char *)(uintptr_t)take_text(&rd, LIMIT_TEXT, texts[1]);
	a.message = (char *)(uintptr_t)take_text(&rd, LIMIT_TEXT, texts[2]);
	a.exception = (char *)(uintptr_t)take_text(&rd, LIMIT_TEXT, texts[3]);
	if (rd.rc < 0 || rd.left > 0 || a.state < ASKED_OPEN || a.state > ASKED_DENIED)
		return ERR_INVALID;
	return asked_new(&a, out);
}

/* --- all of them -------------------------------------------------------------------------- */

void asked_list_deinit(struct asked_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		asked_free(list->items[i]);
	mem_free(list->items);
	*list = (struct asked_list){0};
}

int asked_list_reserve(struct asked_list *list)
{
	size_t cap = list->cap > 0 ? 2 * list->cap : LIST_FIRST;
	struct asked **items;

	if (list->n < list->cap)
		return 0;
	items = mem_realloc(list->items, cap * sizeof(*items));
	if (items == NULL)
		return ERR_NOMEM;
	list->items = items;
	list->cap = cap;
	return 0;
}

int asked_list_add(struct asked_list *list, struct asked *asked)
{
	size_t at = list->n;

	if (asked_list_reserve(list) < 0)
		return ERR_NOMEM;
	while (at > 0 && list->items[at - 1]->made_ms > asked->made_ms)
		at--;
	memmove(&list->items[at + 1], &list->items[at], (list->n - at) * sizeof(*list->items));
	list->items[at] = asked;
	list->n++;
	return 0;
}

void asked_list_remove(struct asked_list *list, size_t at)
{
	asked_free(list->items[at]);
	list->n--;
	memmove(&list->items[at], &list->items[at + 1], (list->n - at) * sizeof(*list->items));
}

struct asked *asked_list_open(const struct asked_list *list, const struct uuid *environment,
			      const char *case_code, uint32_t uid)
{
	for (size_t i = 0; i < list->n; i++) {
		struct asked *a = list->items[i];

		if (a->state == ASKED_OPEN && a->uid == uid &&
		    uuid_cmp(&a->environment, environment) == 0 &&
		    strcmp(a->case_code, case_code) == 0)
			return a;
	}
	return NULL;
}

int asked_list_room(const struct asked_list *list, uint32_t uid, size_t *at)
{
	size_t theirs = list->n, any = list->n, n = 0;

	for (size_t i = list->n; i-- > 0;) {
		const struct asked *a = list->items[i];
		bool answered = a->state != ASKED_OPEN;

		n += a->uid == uid;
		if (answered)
			any = i;
		if (answered && a->uid == uid)
			theirs = i;
	}
	if (n < ASKED_OF_USER_MAX && list->n < ASKED_MAX) {
		*at = list->n;
		return 0;
	}
	if (n >= ASKED_OF_USER_MAX)
		any = theirs;
	if (any == list->n)
		return ERR_LIMIT;
	*at = any;
	return 0;
}
