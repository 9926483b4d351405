#include "agent/grace_list.h"

#include <string.h>

#include "lib/base/mem.h"

#define VERSION 2
#define VERSION_WITHOUT_WHO 1

void grace_list_deinit(struct grace_list *list)
{
	mem_free(list->items);
	*list = (struct grace_list){.n = 0};
}

static int make_room(struct grace_list *list)
{
	size_t cap = list->cap == 0 ? 4 : list->cap * 2;
	struct grace *items;

	if (list->n < list->cap)
		return 0;
	items = mem_realloc(list->items, cap * sizeof *items);
	if (items == NULL)
		return ERR_NOMEM;
	list->items = items;
	list->cap = cap;
	return 0;
}

int grace_list_copy(const struct grace_list *from, struct grace_list *out)
{
	struct grace_list copy = {.n = from->n, .cap = from->n};

	if (from->n > 0) {
		copy.items = mem_calloc(from->n, sizeof *copy.items);
		if (copy.items == NULL)
			return ERR_NOMEM;
		memcpy(copy.items, from->items, from->n * sizeof *copy.items);
	}
	*out = copy;
	return 0;
}

int grace_list_add(struct grace_list *list, const struct grace *grace)
{
	uint32_t number = list->n > 0 ? list->items[list->n - 1].number + 1 : 1;
	int rc = list->n < GRACES_MAX ? make_room(list) : 0;

	if (rc < 0)
		return rc;
	if (list->n == GRACES_MAX)
		memmove(list->items, list->items + 1, --list->n * sizeof *list->items);
	list->items[list->n] = *grace;
	list->items[list->n++].number = number;
	return 0;
}

const struct grace *grace_list_find(const struct grace_list *list, const struct uuid *environment,
				    const char *case_code)
{
	for (size_t i = list->n; i-- > 0;)
		if (uuid_cmp(&list->items[i].environment, environment) == 0 &&
		    strcmp(list->items[i].case_code, case_code) == 0)
			return &list->items[i];
	return NULL;
}

size_t grace_list_codes(const struct grace_list *list, uint32_t after, const struct grace **out,
			size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n && n < max; i++)
		if (list->items[i].number > after && list->items[i].case_code[0] == '\0')
			out[n++] = &list->items[i];
	return n;
}

uint32_t grace_list_told(const struct grace_list *list, uint32_t told)
{
	uint32_t last = list->n > 0 ? list->items[list->n - 1].number : 0;

	return told <= last ? told : 0;
}

/* --- kept --------------------------------------------------------------------------------- */

static void put(struct buf *out, const struct grace *grace)
{
	buf_add(out, grace->environment.b, UUID_SIZE);
	buf_add_u64(out, (uint64_t)grace->until_ms);
	buf_add(out, grace->case_code, sizeof grace->case_code);
	buf_add_u32(out, grace->serial);
	buf_add_u8(out, grace->lifts_status);
	buf_add_u32(out, grace->uid);
	buf_add_u64(out, (uint64_t)grace->given_ms);
	buf_add_u32(out, grace->number);
}

static int take(struct rd *rd, unsigned version, struct grace *out)
{
	const void *id = rd_bytes(rd, UUID_SIZE);
	const void *code;

	*out = (struct grace){.until_ms = (int64_t)rd_u64(rd), .uid = GRACE_NOBODY};
	code = rd_bytes(rd, sizeof out->case_code);
	out->serial = rd_u32(rd);
	out->lifts_status = rd_u8(rd) != 0;
	if (version == VERSION) {
		out->uid = rd_u32(rd);
		out->given_ms = (int64_t)rd_u64(rd);
		out->number = rd_u32(rd);
	}
	if (rd->rc < 0)
		return rd->rc;
	memcpy(out->environment.b, id, UUID_SIZE);
	memcpy(out->case_code, code, sizeof out->case_code);
	out->case_code[sizeof out->case_code - 1] = '\0';
	return 0;
}

void grace_list_encode(const struct grace_list *list, struct buf *out)
{
	buf_add_u8(out, VERSION);
	for (size_t i = 0; i < list->n; i++)
		put(out, &list->items[i]);
}

int grace_list_decode(struct grace_list *list, const void *data, size_t n)
{
	struct grace one;
	unsigned version;
	struct rd rd;

	list->n = 0;
	rd_init(&rd, data, n);
	version = rd_u8(&rd);
	if (rd.rc < 0 || (version != VERSION && version != VERSION_WITHOUT_WHO))
		return ERR_CORRUPT;
	while (rd.left > 0 && list->n < GRACES_MAX && take(&rd, version, &one) == 0) {
		uint32_t number = one.number;

		if (grace_list_add(list, &one) < 0)
			return ERR_NOMEM;
		if (number > list->items[list->n - 1].number)
			list->items[list->n - 1].number = number;
	}
	return 0;
}
