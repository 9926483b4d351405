#include "agent/ruling.h"

#include <stdalign.h>
#include <string.h>

#include "lib/base/err.h"
#include "lib/base/mem.h"

/* Copies into one block; first with no block at all, to learn its size. */
struct packer {
	char *block; /* NULL: only counting */
	size_t n;
};

static void *put(struct packer *p, const void *data, size_t n, size_t align)
{
	size_t at = (p->n + align - 1) / align * align;

	p->n = at + n;
	if (p->block == NULL)
		return NULL;
	if (data != NULL)
		memcpy(p->block + at, data, n);
	return p->block + at;
}

static const char *put_text(struct packer *p, const char *text)
{
	return put(p, text, strlen(text) + 1, 1);
}

static const struct package *put_package(struct packer *p, const struct package *from)
{
	struct package *to = put(p, from, sizeof *from, alignof(struct package));
	const char *texts[] = {
		put_text(p, from->manager), put_text(p, from->name),	put_text(p, from->version),
		put_text(p, from->build),   put_text(p, from->channel), put_text(p, from->subdir),
		put_text(p, from->license), put_text(p, from->url),
	};

	if (to == NULL)
		return NULL;
	to->manager = texts[0];
	to->name = texts[1];
	to->version = texts[2];
	to->build = texts[3];
	to->channel = texts[4];
	to->subdir = texts[5];
	to->license = texts[6];
	to->url = texts[7];
	return to;
}

static struct reason *put_reasons(struct packer *p, const struct reason *from, size_t n)
{
	struct reason *to = put(p, from, n * sizeof *from, alignof(struct reason));

	for (size_t i = 0; i < n; i++) {
		struct reason r = from[i];

		r.kind = put_text(p, from[i].kind);
		r.id = put_text(p, from[i].id);
		r.message = put_text(p, from[i].message);
		r.fix = put_text(p, from[i].fix);
		if (from[i].package != NULL)
			r.package = put_package(p, from[i].package);
		if (to != NULL)
			to[i] = r;
	}
	return to;
}

static void put_all(struct packer *p, const struct evaluation *from)
{
	const struct decision *d = &from->decision;
	struct kept_decision *kept = put(p, NULL, sizeof *kept, alignof(struct kept_decision));
	struct reason *reasons = put_reasons(p, d->reasons, d->n_reasons);
	struct reason *monitored = put_reasons(p, from->monitored, from->n_monitored);

	if (kept == NULL)
		return;
	*kept = (struct kept_decision){.action = d->action,
				       .reasons = reasons,
				       .n_reasons = d->n_reasons,
				       .monitored = monitored,
				       .n_monitored = from->n_monitored};
	memcpy(kept->case_code, d->case_code, sizeof kept->case_code);
}

int kept_decision_new(const struct evaluation *from, struct kept_decision **out)
{
	struct packer p = {.block = NULL};

	if (from->decision.n_reasons == 0 && from->n_monitored == 0) {
		*out = NULL;
		return 0;
	}
	put_all(&p, from);
	p.block = mem_alloc(p.n);
	if (p.block == NULL)
		return ERR_NOMEM;
	p.n = 0;
	put_all(&p, from);
	*out = (struct kept_decision *)(void *)p.block;
	return 0;
}

static bool same_reasons(const struct reason *a, const struct reason *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool packages =
			(a[i].package != NULL) == (b[i].package != NULL) &&
			(a[i].package == NULL || package_cmp(a[i].package, b[i].package) == 0);

		if (!packages || a[i].action != b[i].action ||
		    a[i].block_from_ms != b[i].block_from_ms || strcmp(a[i].kind, b[i].kind) != 0 ||
		    strcmp(a[i].id, b[i].id) != 0 || strcmp(a[i].message, b[i].message) != 0 ||
		    strcmp(a[i].fix, b[i].fix) != 0)
			return false;
	}
	return true;
}

bool kept_decision_equal(const struct kept_decision *a, const struct kept_decision *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return a->action == b->action && a->n_reasons == b->n_reasons &&
	       a->n_monitored == b->n_monitored && strcmp(a->case_code, b->case_code) == 0 &&
	       same_reasons(a->reasons, b->reasons, a->n_reasons) &&
	       same_reasons(a->monitored, b->monitored, a->n_monitored);
}

void ruling_deinit(struct ruling *ruling)
{
	mem_free(ruling->kept);
	*ruling = (struct ruling){.kept = NULL};
}

enum action ruling_action(const struct ruling *ruling)
{
	return ruling->kept != NULL ? ruling->kept->action : ACTION_ALLOW;
}

bool ruling_fresh(const struct ruling *ruling, int64_t now_ms)
{
	return ruling->known && !ruling->due && !ruling->deciding &&
	       now_ms < ruling->valid_until_ms;
}
