#include "lib/policy/condition_text.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/err.h"

#define TEXT_MAX (16u << 20)

static void add_texts(const struct texts_list *texts, struct buf *out)
{
	buf_addc(out, '[');
	for (size_t i = 0; i < texts->n; i++) {
		buf_adds(out, i > 0 ? ", \"" : "\"");
		for (const char *p = texts->items[i]; *p; p++) {
			if (*p == '"' || *p == '\\')
				buf_addc(out, '\\');
			buf_addc(out, *p);
		}
		buf_addc(out, '"');
	}
	buf_addc(out, ']');
}

static void add_cve(const struct cve_condition *cve, struct buf *out)
{
	buf_adds(out, "{ids: ");
	add_texts(&cve->ids, out);
	if (cve->has_severity)
		buf_addf(out, ", severity_at_least: %s", severity_name(cve->severity_at_least));
	if (cve->or_unknown)
		buf_adds(out, ", or_unknown: true");
	if (cve->has_cvss)
		buf_addf(out, ", cvss_at_least: %.1f", cve->cvss_at_least);
	buf_addf(out, ", status: %u, malicious: %d, kev: %d", cve->status, (int)cve->malicious,
		 (int)cve->kev);
	buf_addf(out, ", published_before: %" PRId64 ", first_seen_before: %" PRId64 "}",
		 cve->published_before_ms, cve->first_seen_before_ms);
}

void condition_text(const struct condition *c, struct buf *out)
{
	buf_addf(out, "{%s: ", condition_name(c->kind));
	if (c->kind == CONDITION_CVE && c->cve) {
		add_cve(c->cve, out);
	} else if (c->kind == CONDITION_PACKAGE_AGE_BELOW || c->kind == CONDITION_UNUSED_FOR) {
		buf_addf(out, "%" PRId64, c->duration_ms);
	} else if (c->n_children > 0) {
		buf_addc(out, '[');
		for (size_t i = 0; i < c->n_children; i++) {
			buf_adds(out, i > 0 ? ", " : "");
			condition_text(&c->children[i], out);
		}
		buf_addc(out, ']');
	} else {
		add_texts(&c->texts, out);
	}
	buf_addc(out, '}');
}

static void add_scope(const struct scope *scope, struct buf *out)
{
	buf_adds(out, "{labels: ");
	add_texts(&scope->labels, out);
	buf_adds(out, ", platform: ");
	add_texts(&scope->platform, out);
	buf_adds(out, ", user: ");
	add_texts(&scope->user, out);
	if (scope->except) {
		buf_adds(out, ", not: ");
		add_scope(scope->except, out);
	}
	buf_addc(out, '}');
}

int rule_text(const struct rule *rule, struct arena *arena, const char **out)
{
	struct buf text;
	int rc;

	buf_init(&text, TEXT_MAX);
	condition_text(&rule->when, &text);
	add_scope(&rule->scope, &text);
	rc = buf_rc(&text);
	if (rc == 0) {
		*out = arena_strndup(arena, text.data, text.len);
		rc = *out ? 0 : ERR_NOMEM;
	}
	buf_deinit(&text);
	return rc;
}
