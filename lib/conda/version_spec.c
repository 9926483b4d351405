#include "lib/conda/version_spec.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/ascii.h"
#include "lib/conda/version_spec_impl.h"

static bool is_join(char c)
{
	return c == '(' || c == ')' || c == '|' || c == ',';
}

static bool has(const char *text, size_t n, char c)
{
	return n > 0 && memchr(text, c, n) != NULL;
}

/*
 * From text to a tree: conda's shunting yard, oddities included. What is left behind the first
 * expression is never looked at.
 */
struct yard {
	struct arena *arena;
	struct err *err;
	struct version_spec_node **output;
	size_t n_output;
	const char
		*dollar; /* the spec's last '$', or NULL: no regular expression begins behind it */
	struct operator
	{
		char c; /* '(' ',' '|' */
		size_t column;
	}
	*stack;
	size_t n_stack;
};

static int atom_new(struct yard *y, const char *spec, const char *text, size_t n,
		    struct version_spec_node **out)
{
	struct version_spec_node *node = arena_alloc(y->arena, sizeof *node);
	const char *start = text;

	if (!node)
		return err_nomem(y->err);
	ascii_strip(&start, &n);
	node->kind = NODE_TEXT;
	node->text = start;
	node->n = n;
	node->column = (size_t)(start - spec) + 1;
	*out = node;
	return 0;
}

static void append(struct version_spec_node *list, struct version_spec_node *node)
{
	bool fuse = node->kind == list->kind;
	struct version_spec_node *first = fuse ? node->child : node;

	if (list->last)
		list->last->next = first;
	else
		list->child = first;
	list->last = fuse ? node->last : node;
	if (!fuse && list->depth < node->depth + 1)
		list->depth = node->depth + 1;
	if (fuse && list->depth < node->depth)
		list->depth = node->depth;
}

static int join(struct yard *y, const struct operator* by)
{
	enum node_kind kind = by->c == ',' ? NODE_AND : NODE_OR;
	struct version_spec_node *node, *left, *right;

	if (y->n_output < 2)
		return err_set(y->err, ERR_INVALID,
			       "column %zu: nothing to join on one side of an operator",
			       by->column);
	right = y->output[--y->n_output];
	left = y->output[--y->n_output];
	if (left->kind == kind) {
		node = left;
	} else {
		node = arena_alloc(y->arena, sizeof *node);
		if (!node)
			return err_nomem(y->err);
		node->kind = kind;
		append(node, left);
	}
	append(node, right);
	if (node->depth > VERSION_SPEC_DEPTH_MAX)
		return err_set(y->err, ERR_LIMIT, "nested too deeply");
	y->output[y->n_output++] = node;
	return 0;
}

/* Joins what binds tighter: up to one of the operators in `stop`. */
static int join_until(struct yard *y, const char *stop)
{
	int rc = 0;

	while (rc == 0 && y->n_stack > 0 && !strchr(stop, y->stack[y->n_stack - 1].c))
		rc = join(y, &y->stack[--y->n_stack]);
	return rc;
}

/* column 0: the end, which closes what stands around the whole */
static int take_join(struct yard *y, char c, size_t column)
{
	int rc = c == '(' ? 0 : join_until(y, c == ',' ? "|(" : "(");

	if (rc < 0)
		return rc;
	if (c != ')') {
		y->stack[y->n_stack++] = (struct operator){c, column};
		return 0;
	}
	if (y->n_stack == 0 && column > 0)
		return err_set(y->err, ERR_INVALID, "column %zu: ')' without '('", column);
	if (y->n_stack == 0)
		return err_set(y->err, ERR_INVALID, "')' without '('");
	y->n_stack--;
	return 0;
}

/* Bytes of a regular expression (blanks, '^' to '$') at the beginning; 0 if there is none. */
static size_t regex_token(const struct yard *y, const char *text, size_t n)
{
	size_t i = 0;
	const char *end;

	if (!y->dollar || text > y->dollar)
		return 0;
	while (i < n && ascii_is_space(text[i]))
		i++;
	if (i == n || text[i] != '^')
		return 0;
	end = memchr(text + i, '$', n - i);
	return end ? (size_t)(end - text) + 1 : 0;
}

static int take_token(struct yard *y, const char *spec, const char *text, size_t left,
		      size_t *taken)
{
	size_t n = regex_token(y, text, left);
	size_t blanks = 0;
	int rc;

	while (blanks < left && ascii_is_space(text[blanks]))
		blanks++;
	if (n == 0 && blanks == left) {
		*taken = left;
		return 0;
	}
	if (n == 0 && is_join(text[blanks])) {
		*taken = blanks + 1;
		return take_join(y, text[blanks], (size_t)(text - spec) + blanks + 1);
	}
	if (n == 0)
		while (n < left && !is_join(text[n]))
			n++;
	rc = atom_new(y, spec, text, n, &y->output[y->n_output]);
	if (rc == 0)
		y->n_output++;
	*taken = n;
	return rc;
}

static int tree_build(const char *spec, size_t n, struct arena *arena,
		      struct version_spec_node **out, struct err *err)
{
	struct yard y = {.arena = arena, .err = err};
	size_t taken = 0;
	int rc = 0;

	y.output = arena_calloc(arena, n + 1, sizeof *y.output);
	y.stack = arena_calloc(arena, n + 2, sizeof *y.stack);
	if (!y.output || !y.stack)
		return err_nomem(err);
	for (size_t i = 0; i < n; i++)
		if (spec[i] == '$')
			y.dollar = spec + i;
	y.stack[y.n_stack++] = (struct operator){'(', 0};
	for (size_t i = 0; i < n && rc == 0; i += taken)
		rc = take_token(&y, spec, spec + i, n - i, &taken);
	if (rc == 0)
		rc = take_join(&y, ')', 0);
	if (rc < 0)
		return rc;
	if (y.n_stack > 0)
		return err_set(err, ERR_INVALID, "column %zu: '(' without ')'",
			       y.stack[y.n_stack].column); /* taken for what closes the whole */
	if (y.n_output == 0)
		return err_set(err, ERR_INVALID, "no version in the spec");
	*out = y.output[0];
	return 0;
}

int version_relation_parse(const char *text, size_t n, enum version_relation *relation,
			   size_t *operator_n)
{
	static const struct {
		const char *text;
		enum version_relation relation;
	} operators[] = {
		{"==", VERSION_EQUAL},	    {"!=", VERSION_NOT_EQUAL},
		{"<=", VERSION_LESS_EQUAL}, {">=", VERSION_GREATER_EQUAL},
		{"~=", VERSION_COMPATIBLE}, {"=", VERSION_STARTS},
		{"<", VERSION_LESS},	    {">", VERSION_GREATER},
	};

	for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t length = strlen(operators[i].text);

		if (n <= length || memcmp(text, operators[i].text, length) != 0)
			continue;
		if (strchr("=<>!~", text[length]))
			return ERR_INVALID;
		for (size_t at = length; at < n; at++)
			if (ascii_is_space(text[at]))
				return ERR_INVALID;
		*relation = operators[i].relation;
		*operator_n = length;
		return 0;
	}
	return ERR_INVALID;
}

bool version_relation_holds(enum version_relation relation, const struct version *v,
			    const struct version *than)
{
	switch (relation) {
	case VERSION_EQUAL:
		return version_cmp(v, than) == 0;
	case VERSION_NOT_EQUAL:
		return version_cmp(v, than) != 0;
	case VERSION_LESS:
		return version_cmp(v, than) < 0;
	case VERSION_LESS_EQUAL:
		return version_cmp(v, than) <= 0;
	case VERSION_GREATER:
		return version_cmp(v, than) > 0;
	case VERSION_STARTS:
		return version_starts_with(v, than);
	case VERSION_NOT_STARTS:
		return !version_starts_with(v, than);
	case VERSION_GREATER_EQUAL:
	case VERSION_COMPATIBLE:
		break;
	}
	return version_cmp(v, than) >= 0;
}

static int keep_version(struct arena *arena, const char *text, size_t n, struct version *out,
			struct err *err)
{
	struct version_room room;
	int rc = version_parse(text, n, &room, out, err);

	if (rc == 0 && version_keep(arena, out) < 0)
		rc = err_nomem(err);
	return rc;
}

/* "~=1.2.3": what it must start with is 1.2; "~=1" has nothing, which shows when it is asked. */
static int set_series(struct version_spec_node *atom, struct arena *arena, const char *text,
		      size_t n, struct err *err)
{
	char normal[VERSION_TEXT_MAX];
	size_t length;

	ascii_strip(&text, &n);
	length = version_normalise(text, n, normal);
	while (length > 0 && normal[length - 1] != '.')
		length--;
	if (length == 0)
		return 0;
	atom->has_series = true;
	return keep_version(arena, normal, length - 1, &atom->series, err);
}

static int compile_relation(struct version_spec_node *atom, struct arena *arena, struct err *err)
{
	const char *text = atom->text;
	size_t n = atom->n, length;
	int rc;

	if (version_relation_parse(text, n, &atom->relation, &length) < 0)
		return err_set(err, ERR_INVALID, "invalid operator");
	text += length;
	n -= length;
	if (n >= 2 && memcmp(text + n - 2, ".*", 2) == 0) {
		if (atom->relation == VERSION_COMPATIBLE)
			return err_set(err, ERR_INVALID, "\"~=\" does not go with \".*\"");
		if (atom->relation == VERSION_NOT_EQUAL)
			atom->relation = VERSION_NOT_STARTS;
		n -= 2;
	}
	atom->kind = NODE_RELATION;
	rc = keep_version(arena, text, n, &atom->version, err);
	if (rc == 0 && atom->relation == VERSION_COMPATIBLE)
		rc = set_series(atom, arena, text, n, err);
	return rc;
}

/*
 * A '*' inside. For conda it is a regular expression with '.' and '+' made literal; what else has a
 * meaning in one keeps it.
 */
static int compile_glob(struct version_spec_node *atom, struct arena *arena, struct err *err)
{
	struct buf rx;
	bool plain = true;
	int rc;

	for (size_t i = 0; i < atom->n; i++)
		plain = plain && !memchr("?[]{}()|\\^$\n", atom->text[i], 12);
	if (plain) {
		atom->kind = NODE_GLOB;
		rc = glob_init(&atom->glob, atom->text, atom->n, arena);
		return rc == 0 ? 0 : err_set(err, rc, "%s", err_text(rc));
	}
	buf_init(&rx, 2 * atom->n + 16);
	buf_adds(&rx, "^(?:");
	for (size_t i = 0; i < atom->n; i++) {
		if (atom->text[i] == '.' || atom->text[i] == '+')
			buf_addc(&rx, '\\');
		else if (atom->text[i] == '*')
			buf_addc(&rx, '.');
		buf_addc(&rx, atom->text[i]);
	}
	buf_adds(&rx, ")$");
	atom->kind = NODE_REGEX;
	rc = buf_rc(&rx);
	if (rc < 0)
		(void)err_set(err, rc, "%s", err_text(rc));
	else
		rc = regex_init(&atom->regex, rx.data, rx.len, arena, err);
	buf_deinit(&rx);
	return rc;
}

/*
 * "1.7*" is "1.7.*": starts with 1.7. Of "1.7**" one star is left, and is part of the version; it
 * has no other text that would parse so.
 */
static int compile_starts(struct version_spec_node *atom, size_t stars, struct arena *arena,
			  struct err *err)
{
	size_t n = atom->n - 1;

	if (stars == 1 && n > 0 && atom->text[n - 1] != '.') {
		char *text = arena_alloc(arena, n + 3);

		if (!text)
			return err_nomem(err);
		memcpy(text, atom->text, n);
		memcpy(text + n, ".*", 2);
		atom->text = text;
		atom->n = n + 2;
	}
	while (n > 0 && atom->text[n - 1] == '.')
		n--;
	atom->kind = NODE_RELATION;
	atom->relation = VERSION_STARTS;
	return keep_version(arena, atom->text, n, &atom->version, err);
}

static int compile_atom(struct version_spec_node *atom, struct arena *arena, struct err *err)
{
	const char *text = atom->text;
	size_t n = atom->n, stars = 0;

	if (n == 0)
		return err_set(err, ERR_INVALID, "empty version");
	while (stars < n && text[n - 1 - stars] == '*')
		stars++;
	if (text[0] == '^' || text[n - 1] == '$') {
		if (text[0] != '^' || text[n - 1] != '$')
			return err_set(err, ERR_INVALID,
				       "a regular expression begins with '^' and ends with '$'");
		atom->kind = NODE_REGEX;
		return regex_init(&atom->regex, text, n, arena, err);
	}
	if (strchr("=<>!~", text[0]) && text[0])
		return compile_relation(atom, arena, err);
	if (n == 1 && stars == 1) {
		atom->kind = NODE_ANY;
		return 0;
	}
	if (has(text, n - stars, '*'))
		return compile_glob(atom, arena, err);
	if (stars > 0)
		return compile_starts(atom, stars, arena, err);
	if (has(text, n, '@'))
		return 0;
	atom->kind = NODE_RELATION;
	atom->relation = VERSION_EQUAL;
	return keep_version(arena, text, n, &atom->version, err);
}

static int compile(struct version_spec_node *node, struct arena *arena, struct err *err)
{
	int rc = 0;

	if (node->kind != NODE_AND && node->kind != NODE_OR) {
		rc = compile_atom(node, arena, err);
		return rc < 0 ? err_context(err, "column %zu", node->column) : 0;
	}
	for (node = node->child; node && rc == 0; node = node->next)
		rc = compile(node, arena, err);
	return rc;
}

/* Whether conda takes a spec apart: an operator or anchor in its first line. */
static bool has_operator(const char *text, size_t n)
{
	for (size_t i = 0; i < n && text[i] != '\n'; i++)
		if (is_join(text[i]) || text[i] == '^' || text[i] == '$')
			return true;
	return false;
}

int version_spec_parse(const char *text, size_t n, struct arena *arena, struct version_spec *out,
		       struct err *err)
{
	struct yard single = {.arena = arena, .err = err};
	struct version_spec_node *root;
	const char *copy;
	struct err unheard;
	int rc;

	err = err ? err : &unheard;
	single.err = err;
	if (n > VERSION_SPEC_MAX)
		return err_set(err, ERR_LIMIT, "longer than %d bytes", VERSION_SPEC_MAX);
	if (has(text, n, '\0'))
		return err_set(err, ERR_INVALID, "NUL in a version spec");
	copy = arena_strndup(arena, text, n);
	if (!copy)
		return err_nomem(err);
	rc = has_operator(copy, n) ? tree_build(copy, n, arena, &root, err)
				   : atom_new(&single, copy, copy, n, &root);
	if (rc == 0)
		rc = compile(root, arena, err);
	if (rc == 0)
		*out = (struct version_spec){
			.root = root,
			.whole = !has_operator(copy, n) && has_operator(root->text, root->n),
		};
	return rc;
}

void version_subject_init(struct version_subject *s, const char *text, size_t n,
			  struct version_room *room)
{
	*s = (struct version_subject){.text = text, .n = n};
	s->valid = version_parse(text, n, room, &s->version, NULL) == 0;
}

static int match_relation(const struct version_spec_node *atom, const struct version_subject *s)
{
	if (!s->valid)
		return ERR_INVALID;
	if (!version_relation_holds(atom->relation, &s->version, &atom->version))
		return 0;
	if (atom->relation != VERSION_COMPATIBLE)
		return 1;
	return atom->has_series ? version_starts_with(&s->version, &atom->series) : ERR_INVALID;
}

static int match_node(const struct version_spec_node *node, const struct version_subject *s)
{
	int rc;

	switch (node->kind) {
	case NODE_RELATION:
		return match_relation(node, s);
	case NODE_GLOB:
		return glob_match(&node->glob, s->text, s->n);
	case NODE_REGEX:
		return regex_match(&node->regex, s->text, s->n);
	case NODE_TEXT:
		return node->n == s->n && memcmp(node->text, s->text, s->n) == 0;
	case NODE_AND:
	case NODE_OR:
		break;
	case NODE_ANY:
		return 1;
	}
	rc = node->kind == NODE_AND;
	for (const struct version_spec_node *c = node->child; c; c = c->next)
		if ((rc = match_node(c, s)) != (node->kind == NODE_AND))
			break;
	return rc;
}

int version_spec_match(const struct version_spec *spec, const struct version_subject *subject)
{
	return match_node(spec->root, subject);
}

static void format_node(const struct version_spec_node *node, struct buf *out, bool in_and)
{
	bool joined = node->kind == NODE_AND || node->kind == NODE_OR;
	bool wrap = node->kind == NODE_OR && in_and;

	if (!joined) {
		buf_add(out, node->text, node->n);
		return;
	}
	if (wrap)
		buf_addc(out, '(');
	for (const struct version_spec_node *c = node->child; c; c = c->next) {
		if (c != node->child)
			buf_addc(out, node->kind == NODE_AND ? ',' : '|');
		format_node(c, out, node->kind == NODE_AND);
	}
	if (wrap)
		buf_addc(out, ')');
}

void version_spec_format(const struct version_spec *spec, struct buf *out)
{
	if (spec->whole)
		buf_addc(out, '\n');
	format_node(spec->root, out, false);
}
