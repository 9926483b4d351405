#include "agent/reader/condarc.h"

#include <string.h>
#include <yaml.h>

#include "lib/base/text.h"

struct parse {
	const char *data;
	size_t n;
	struct arena *arena;
	struct condarc out;
	yaml_parser_t yaml;
	unsigned keys; /* of ours, so far */
	size_t line;   /* the line last looked up, and where it begins */
	size_t line_at;
};

/* --- comments, which the YAML library drops --- */

/* The length of the line break here, as YAML 1.1 sees them; 0 = none. */
static size_t line_break(const char *p, const char *end)
{
	size_t left = (size_t)(end - p);

	if (left >= 2 && p[0] == '\r' && p[1] == '\n')
		return 2;
	if (left >= 1 && (p[0] == '\n' || p[0] == '\r'))
		return 1;
	if (left >= 2 && memcmp(p, "\xC2\x85", 2) == 0)
		return 2;
	if (left >= 3 && (memcmp(p, "\xE2\x80\xA8", 3) == 0 || memcmp(p, "\xE2\x80\xA9", 3) == 0))
		return 3;
	return 0;
}

static const char *skip_line(const char *p, const char *end)
{
	size_t n = 0;

	while (p < end && (n = line_break(p, end)) == 0)
		p++;
	return p + n;
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

/* Where a mark of the library stands: it counts lines and characters, not bytes. */
static const char *place_of(struct parse *ps, const yaml_mark_t *mark)
{
	const char *end = ps->data + ps->n;
	const char *p;

	if (mark->line < ps->line) {
		ps->line = 0;
		ps->line_at = 0;
	}
	p = ps->data + ps->line_at;
	for (; ps->line < mark->line && p < end; ps->line++)
		p = skip_line(p, end);
	ps->line_at = (size_t)(p - ps->data);
	if (p == ps->data && ps->n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
		p += 3;
	for (size_t i = 0; i < mark->column && p < end; i++)
		for (p++; p < end && ((unsigned char)*p & 0xC0) == 0x80;)
			p++;
	return p;
}

/* Whether the next line that is not blank is a comment. */
static bool comment_follows(const char *p, const char *end)
{
	while (p < end) {
		p = skip_blanks(skip_line(p, end), end);
		if (p < end && line_break(p, end) == 0)
			return *p == '#';
	}
	return false;
}

/* The mark behind something that ends here; `colon`: it is a key. */
static enum condarc_mark mark_behind(struct parse *ps, const yaml_mark_t *where, bool colon)
{
	static const struct {
		const char *word;
		enum condarc_mark mark;
	} words[] = {{"final", CONDARC_FINAL}, {"top", CONDARC_TOP}, {"bottom", CONDARC_BOTTOM}};
	const char *end = ps->data + ps->n;
	const char *p = skip_blanks(place_of(ps, where), end);
	const char *last;

	if (colon && p < end && *p == ':')
		p = skip_blanks(p + 1, end);
	if (p == end || *p != '#')
		return CONDARC_PLAIN;
	last = p;
	while (last < end && line_break(last, end) == 0)
		last++;
	if (comment_follows(last, end))
		return CONDARC_PLAIN;
	while (last > p && (last[-1] == ' ' || last[-1] == '\t'))
		last--;
	while (p < last && (*p == '#' || *p == '!'))
		p++;
	while (last > p && (last[-1] == '#' || last[-1] == '!'))
		last--;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if ((size_t)(last - p) == strlen(words[i].word) &&
		    memcmp(p, words[i].word, (size_t)(last - p)) == 0)
			return words[i].mark;
	return CONDARC_PLAIN;
}

/* --- events --- */

static int next(struct parse *ps, yaml_event_t *event, struct err *err)
{
	if (yaml_parser_parse(&ps->yaml, event) != 0)
		return 0;
	if (ps->yaml.error == YAML_MEMORY_ERROR)
		return err_nomem(err);
	return err_set(err, ERR_INVALID, "line %zu: %s", ps->yaml.problem_mark.line + 1,
		       ps->yaml.problem != NULL ? ps->yaml.problem : "no YAML");
}

/* Reads on to the end of what this event began. Iterative: nesting costs no stack. */
static int skip(struct parse *ps, yaml_event_type_t began, yaml_mark_t *ended, struct err *err)
{
	size_t depth = began == YAML_SEQUENCE_START_EVENT || began == YAML_MAPPING_START_EVENT;
	int rc = 0;

	while (rc == 0 && depth > 0) {
		yaml_event_t event;

		rc = next(ps, &event, err);
		if (rc < 0)
			return rc;
		switch (event.type) {
		case YAML_SEQUENCE_START_EVENT:
		case YAML_MAPPING_START_EVENT:
			if (++depth > CONDARC_DEPTH_MAX)
				rc = err_set(err, ERR_LIMIT, "nested more than %d deep",
					     CONDARC_DEPTH_MAX);
			break;
		case YAML_SEQUENCE_END_EVENT:
		case YAML_MAPPING_END_EVENT:
			depth--;
			*ended = event.end_mark;
			break;
		default:
			break;
		}
		yaml_event_delete(&event);
	}
	return rc;
}

static bool is_null(const yaml_event_t *event)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
		    strcmp((const char *)event->data.scalar.value, words[i]) == 0)
			return true;
	return false;
}

static int take_item(struct parse *ps, const yaml_event_t *event, struct err *err)
{
	struct condarc *out = &ps->out;
	const char *text = (const char *)event->data.scalar.value;
	size_t n = event->data.scalar.length;

	if (is_null(event) || n == 0 || memchr(text, '\0', n) != NULL)
		return 0;
	if (out->n == CONDARC_DIRS_MAX)
		return err_set(err, ERR_LIMIT, "more than %d folders", CONDARC_DIRS_MAX);
	out->items[out->n].text = arena_strndup(ps->arena, text, n);
	out->items[out->n].mark = mark_behind(ps, &event->end_mark, false);
	return out->items[out->n++].text != NULL ? 0 : err_nomem(err);
}

static int take_items(struct parse *ps, bool flow, struct err *err)
{
	struct condarc *out = &ps->out;
	int rc = 0;

	out->given = true;
	if (out->items == NULL)
		out->items = arena_calloc(ps->arena, CONDARC_DIRS_MAX, sizeof *out->items);
	if (out->items == NULL)
		return err_nomem(err);
	while (rc == 0) {
		yaml_event_t event;
		yaml_mark_t ended;
		bool over;

		rc = next(ps, &event, err);
		if (rc < 0)
			break;
		over = event.type == YAML_SEQUENCE_END_EVENT;
		if (over && flow && mark_behind(ps, &event.end_mark, false) == CONDARC_FINAL)
			out->final = true;
		rc = event.type == YAML_SCALAR_EVENT ? take_item(ps, &event, err)
						     : skip(ps, event.type, &ended, err);
		yaml_event_delete(&event);
		if (over)
			break;
	}
	return rc;
}

/* The keys of the top level. */
static int take_mapping(struct parse *ps, struct err *err)
{
	int rc = 0;
	bool over = false;

	while (rc == 0 && !over) {
		yaml_event_t event;
		yaml_mark_t ended;
		bool ours = false;
		bool final = false;

		rc = next(ps, &event, err);
		if (rc < 0)
			break;
		over = event.type == YAML_MAPPING_END_EVENT;
		if (event.type == YAML_SCALAR_EVENT) {
			const char *key = (const char *)event.data.scalar.value;

			ours = strcmp(key, "envs_dirs") == 0 || strcmp(key, "envs_path") == 0;
			final = ours && mark_behind(ps, &event.end_mark, true) == CONDARC_FINAL;
			if (ours && ++ps->keys > 2)
				rc = err_set(err, ERR_INVALID, "a key is given twice");
		} else if (!over) {
			rc = skip(ps, event.type, &ended, err);
		}
		yaml_event_delete(&event);
		if (rc < 0 || over || (rc = next(ps, &event, err)) < 0)
			break;
		if (ours && event.type == YAML_SEQUENCE_START_EVENT) {
			ps->out.final = ps->out.final || final;
			rc = take_items(ps,
					event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE,
					err);
		} else {
			rc = skip(ps, event.type, &ended, err);
		}
		yaml_event_delete(&event);
	}
	return rc;
}

static int take_document(struct parse *ps, struct err *err)
{
	bool over = false;
	bool seen = false;
	int rc = 0;

	while (rc == 0 && !over) {
		yaml_event_t event;
		yaml_mark_t ended;

		rc = next(ps, &event, err);
		if (rc < 0)
			break;
		over = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && seen)
			rc = err_set(err, ERR_INVALID, "more than one document");
		else if (event.type == YAML_MAPPING_START_EVENT)
			rc = take_mapping(ps, err);
		else
			rc = skip(ps, event.type, &ended, err);
		seen = seen || event.type == YAML_DOCUMENT_START_EVENT;
		yaml_event_delete(&event);
	}
	return rc;
}

int condarc_parse(const void *data, size_t n, struct arena *arena, struct condarc *out,
		  struct err *err)
{
	struct parse ps = {.data = data, .n = n, .arena = arena};
	int rc;

	if (n > CONDARC_FILE_MAX)
		return err_set(err, ERR_LIMIT, "bigger than %d bytes", CONDARC_FILE_MAX);
	if (!text_is_utf8(data, n))
		return err_set(err, ERR_INVALID, "not UTF-8");
	if (yaml_parser_initialize(&ps.yaml) == 0)
		return err_nomem(err);
	yaml_parser_set_input_string(&ps.yaml, data, n);
	rc = take_document(&ps, err);
	yaml_parser_delete(&ps.yaml);
	if (rc == 0)
		*out = ps.out;
	return rc;
}

/* --- merging --- */

struct merged {
	const char **dirs;
	size_t n;
};

static void add_unique(struct merged *m, const char *text)
{
	for (size_t i = 0; i < m->n; i++)
		if (strcmp(m->dirs[i], text) == 0)
			return;
	if (m->n < CONDARC_DIRS_MAX)
		m->dirs[m->n++] = text;
}

static void add_marked(struct merged *m, const struct condarc *file, enum condarc_mark mark)
{
	for (size_t i = 0; i < file->n; i++)
		if (file->items[i].mark == mark)
			add_unique(m, file->items[i].text);
}

static void add_all(struct merged *m, const struct condarc *file)
{
	for (size_t i = 0; i < file->n; i++)
		add_unique(m, file->items[i].text);
}

static void merge_by_conda(const struct condarc *const *files, size_t n, struct merged *top,
			   struct merged *tail, struct merged *out)
{
	for (size_t i = 0; i < n; i++)
		if (files[i]->given && files[i]->final)
			n = i + 1;
	for (size_t i = 0; i < n; i++)
		add_marked(top, files[i], CONDARC_TOP);
	for (size_t i = n; i-- > 0;)
		add_all(top, files[i]);
	/* Backwards: the last first, so that of equal ones the lowest place holds. */
	for (size_t i = 0; i < n; i++)
		for (size_t k = files[i]->n; k-- > 0;)
			if (files[i]->items[k].mark == CONDARC_BOTTOM)
				add_unique(tail, files[i]->items[k].text);
	for (size_t i = top->n; i-- > 0;)
		add_unique(tail, top->dirs[i]);
	for (size_t i = tail->n; i-- > 0;)
		out->dirs[out->n++] = tail->dirs[i];
}

int condarc_merge(const struct condarc *const *files, size_t n, enum condarc_rules rules,
		  struct arena *arena, const char *const **dirs, size_t *n_dirs)
{
	struct merged m[3] = {{0}};

	for (size_t i = 0; i < ARRAY_SIZE(m); i++) {
		m[i].dirs = arena_calloc(arena, CONDARC_DIRS_MAX, sizeof *m[i].dirs);
		if (m[i].dirs == NULL)
			return ERR_NOMEM;
	}
	if (rules == CONDARC_BY_CONDA) {
		merge_by_conda(files, n, &m[0], &m[1], &m[2]);
	} else {
		for (size_t i = n; i-- > 0;)
			add_all(&m[2], files[i]);
	}
	*dirs = m[2].dirs;
	*n_dirs = m[2].n;
	return 0;
}
