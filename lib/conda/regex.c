#include "lib/conda/regex.h"

#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/ascii.h"

#define NO_LIMIT 0xffff
#define REPEAT_MAX 1000 /* {m,n} */
#define WORK_MAX (8 * REGEX_STATES_MAX)

enum step_kind {
	STEP_SET,
	STEP_SPLIT,
	STEP_BEGIN,
	STEP_END,
	STEP_DONE
};

/* One step of the machine: what it takes, and where it goes on. */
struct regex_step {
	uint8_t kind;
	uint16_t next, other; /* other: of STEP_SPLIT */
	uint64_t set[4];      /* of STEP_SET: which bytes */
};

/*
 * What was read, before it becomes steps. A group's children are alternatives, an alternative's are
 * what follows each other, a repetition has one.
 */
enum node_kind {
	NODE_SET,
	NODE_BEGIN,
	NODE_END,
	NODE_GROUP,
	NODE_ALTERNATIVE,
	NODE_REPEAT
};

struct node {
	enum node_kind kind;
	unsigned least, most; /* of NODE_REPEAT */
	uint64_t set[4];
	struct node *child, *next;
};

struct parser {
	const char *text;
	size_t n, at;
	unsigned depth;
	struct arena *arena;
	struct regex_step *steps;
	size_t n_steps;
	size_t work; /* nodes emitted: what repeats nothing costs time too */
	struct err *err;
};

static int refuse(const struct parser *p, int code, const char *why)
{
	return err_set(p->err, code, "regular expression, column %zu: %s", p->at + 1, why);
}

static void set_add(uint64_t set[4], unsigned c)
{
	set[c / 64] |= (uint64_t)1 << (c % 64);
}

static bool set_has(const uint64_t set[4], unsigned c)
{
	return (set[c / 64] >> (c % 64) & 1) != 0;
}

static void set_invert(uint64_t set[4])
{
	for (size_t i = 0; i < 4; i++)
		set[i] = ~set[i];
}

/* NULL when memory runs out; err is set then. */
static struct node *node_new(struct parser *p, enum node_kind kind)
{
	struct node *node = arena_alloc(p->arena, sizeof *node);

	if (node)
		node->kind = kind;
	else
		(void)err_nomem(p->err);
	return node;
}

/* \d and the like into the set; false if c is none of them. */
static bool add_class(uint64_t set[4], char c)
{
	uint64_t class[4] = {0};
	char kind = ascii_lower(c);

	if (kind != 'd' && kind != 'w' && kind != 's')
		return false;
	for (unsigned b = 0; b < 128; b++) {
		char ch = (char)b;

		if (kind == 'd'
			    ? ascii_is_digit(ch)
			    : (kind == 's' ? ascii_is_space(ch) : ascii_is_alnum(ch) || ch == '_'))
			set_add(class, b);
	}
	if (kind != c)
		set_invert(class);
	for (size_t i = 0; i < 4; i++)
		set[i] |= class[i];
	return true;
}

/* The character that `\c` stands for, or -1 if it is not one. */
static int escaped(char c)
{
	static const char names[] = "nrtfva";
	static const char chars[] = "\n\r\t\f\v\a";
	const char *name = c ? strchr(names, c) : NULL;

	if (name)
		return chars[name - names];
	return ascii_is_alnum(c) ? -1 : (unsigned char)c;
}

/* One character of a set: a class (added, *c = -1) or one that may begin a range. */
static int set_item(struct parser *p, uint64_t set[4], int *c)
{
	char ch = p->text[p->at++];

	*c = (unsigned char)ch;
	if (ch != '\\')
		return 0;
	if (p->at == p->n)
		return refuse(p, ERR_INVALID, "unfinished set");
	ch = p->text[p->at++];
	*c = -1;
	if (add_class(set, ch))
		return 0;
	*c = ch == 'b' ? '\b' : escaped(ch);
	return *c < 0 ? refuse(p, ERR_UNSUPPORTED, "this escape is not supported") : 0;
}

static int parse_set(struct parser *p, uint64_t set[4])
{
	bool inverted = p->at < p->n && p->text[p->at] == '^';
	size_t first = p->at += inverted;
	int rc = 0;

	while (rc == 0) {
		int from, to;

		if (p->at >= p->n)
			return refuse(p, ERR_INVALID, "unfinished set");
		if (p->text[p->at] == ']' && p->at > first)
			break;
		rc = set_item(p, set, &from);
		if (rc < 0)
			break;
		to = from;
		if (p->at + 1 < p->n && p->text[p->at] == '-' && p->text[p->at + 1] != ']') {
			p->at++;
			rc = set_item(p, set, &to);
			if (rc == 0 && (from < 0 || to < from))
				rc = refuse(p, ERR_INVALID, "bad range");
		}
		for (int c = from; rc == 0 && c >= 0 && c <= to; c++)
			set_add(set, (unsigned)c);
	}
	p->at++;
	if (inverted)
		set_invert(set);
	return rc;
}

static int parse_alternatives(struct parser *p, struct node *group);

static int parse_group(struct parser *p, struct node **out)
{
	struct node *group;
	int rc;

	if (p->at < p->n && p->text[p->at] == '?') {
		if (p->at + 1 >= p->n || p->text[p->at + 1] != ':')
			return refuse(p, ERR_UNSUPPORTED, "this group is not supported");
		p->at += 2;
	}
	if (++p->depth > REGEX_DEPTH_MAX)
		return refuse(p, ERR_UNSUPPORTED, "too many groups in groups");
	group = node_new(p, NODE_GROUP);
	rc = group ? parse_alternatives(p, group) : ERR_NOMEM;
	p->depth--;
	if (rc == 0 && p->at >= p->n)
		rc = refuse(p, ERR_INVALID, "missing ')'");
	if (rc < 0)
		return rc;
	p->at++;
	*out = group;
	return 0;
}

static int parse_escape(struct parser *p, uint64_t set[4])
{
	int c;

	if (p->at >= p->n)
		return refuse(p, ERR_INVALID, "nothing behind '\\'");
	c = escaped(p->text[p->at]);
	if (c >= 0x80 || (c < 0 && !add_class(set, p->text[p->at])))
		return refuse(p, ERR_UNSUPPORTED, "this escape is not supported");
	if (c >= 0)
		set_add(set, (unsigned)c);
	p->at++;
	return 0;
}

/* What a quantifier may follow. */
static int parse_atom(struct parser *p, struct node **out)
{
	struct node *node;
	char c = p->text[p->at];
	int rc = 0;

	if (c == '*' || c == '+' || c == '?')
		return refuse(p, ERR_INVALID, "nothing to repeat");
	if ((unsigned char)c >= 0x80)
		return refuse(p, ERR_UNSUPPORTED, "only ASCII is supported");
	p->at++;
	if (c == '(')
		return parse_group(p, out);
	node = node_new(p, c == '^' ? NODE_BEGIN : c == '$' ? NODE_END : NODE_SET);
	if (!node)
		return ERR_NOMEM;
	if (c == '[') {
		rc = parse_set(p, node->set);
	} else if (c == '.') {
		set_add(node->set, '\n');
		set_invert(node->set);
	} else if (c == '\\') {
		rc = parse_escape(p, node->set);
	} else {
		set_add(node->set, (unsigned char)c);
	}
	if (rc == 0)
		*out = node;
	return rc;
}

static bool read_number(struct parser *p, unsigned *number)
{
	size_t from = p->at;

	for (*number = 0; p->at < p->n && ascii_is_digit(p->text[p->at]); p->at++)
		if (*number <= REPEAT_MAX)
			*number = *number * 10 + (unsigned)(p->text[p->at] - '0');
	return p->at > from;
}

/* {m,n} and its kin, '{' first. A '{' that begins no such thing is a literal: false. */
static bool read_braces(struct parser *p, unsigned *least, unsigned *most)
{
	size_t from = p->at++;
	bool some = read_number(p, least);

	*most = *least;
	if (p->at < p->n && p->text[p->at] == ',') {
		p->at++;
		some = true;
		if (!read_number(p, most))
			*most = NO_LIMIT;
	}
	if (some && p->at < p->n && p->text[p->at] == '}') {
		p->at++;
		return true;
	}
	p->at = from;
	return false;
}

static bool read_quantifier(struct parser *p, unsigned *least, unsigned *most)
{
	char c = p->at < p->n ? p->text[p->at] : '\0';

	if (c == '{')
		return read_braces(p, least, most);
	if (c != '*' && c != '+' && c != '?')
		return false;
	p->at++;
	*least = c == '+';
	*most = c == '?' ? 1 : NO_LIMIT;
	return true;
}

/* An atom and its quantifier. */
static int parse_item(struct parser *p, struct node **out)
{
	struct node *atom = NULL, *node;
	unsigned least, most;
	int rc = parse_atom(p, &atom);

	if (rc < 0 || !atom)
		return rc;
	*out = atom;
	if (!read_quantifier(p, &least, &most))
		return 0;
	if (atom->kind == NODE_BEGIN || atom->kind == NODE_END)
		return refuse(p, ERR_UNSUPPORTED, "an anchor that repeats is not supported");
	if (least > REPEAT_MAX || (most > REPEAT_MAX && most != NO_LIMIT))
		return refuse(p, ERR_UNSUPPORTED, "too many repetitions");
	if (most < least)
		return refuse(p, ERR_INVALID, "bad repetition");
	if (p->at < p->n && p->text[p->at] == '+')
		return refuse(p, ERR_UNSUPPORTED, "possessive quantifiers are not supported");
	if (p->at < p->n && p->text[p->at] == '?')
		p->at++; /* idle or greedy: the same texts match */
	node = node_new(p, NODE_REPEAT);
	if (!node)
		return ERR_NOMEM;
	node->least = least;
	node->most = most;
	node->child = atom;
	*out = node;
	if (read_quantifier(p, &least, &most))
		return refuse(p, ERR_INVALID, "more than one quantifier");
	return 0;
}

/* Up to ')' or the end. */
static int parse_alternatives(struct parser *p, struct node *group)
{
	struct node *alternative = node_new(p, NODE_ALTERNATIVE);
	struct node **item;
	int rc = 0;

	if (!alternative)
		return ERR_NOMEM;
	group->child = alternative;
	item = &alternative->child;
	while (rc == 0 && p->at < p->n && p->text[p->at] != ')') {
		if (p->text[p->at] != '|') {
			rc = parse_item(p, item);
			if (rc == 0)
				item = &(*item)->next;
			continue;
		}
		p->at++;
		alternative = alternative->next = node_new(p, NODE_ALTERNATIVE);
		if (!alternative)
			return ERR_NOMEM;
		item = &alternative->child;
	}
	return rc;
}

/* Appends a step that goes on with the one behind it; *at is its number. */
static int emit(struct parser *p, enum step_kind kind, size_t *at)
{
	struct regex_step *step = &p->steps[p->n_steps];

	if (p->n_steps == REGEX_STATES_MAX)
		return err_set(p->err, ERR_UNSUPPORTED, "regular expression: too big");
	*at = p->n_steps++;
	step->kind = (uint8_t)kind;
	step->next = step->other = (uint16_t)p->n_steps;
	return 0;
}

static int emit_node(struct parser *p, const struct node *node);

static int emit_sequence(struct parser *p, const struct node *node)
{
	int rc = 0;

	for (; node && rc == 0; node = node->next)
		rc = emit_node(p, node);
	return rc;
}

/* Each alternative but the last: a split before it, a jump to the end of all behind it. */
static int emit_group(struct parser *p, const struct node *alternative)
{
	size_t split = 0, jump = 0, last_jump = NO_LIMIT;
	int rc = 0;

	for (; rc == 0 && alternative->next; alternative = alternative->next) {
		rc = emit(p, STEP_SPLIT, &split);
		if (rc == 0)
			rc = emit_sequence(p, alternative->child);
		if (rc == 0)
			rc = emit(p, STEP_SPLIT, &jump);
		if (rc < 0)
			return rc;
		p->steps[split].other = (uint16_t)p->n_steps;
		p->steps[jump].other = (uint16_t)last_jump;
		last_jump = jump;
	}
	rc = emit_sequence(p, alternative->child);
	while (rc == 0 && last_jump != NO_LIMIT) {
		jump = last_jump;
		last_jump = p->steps[jump].other;
		p->steps[jump].next = p->steps[jump].other = (uint16_t)p->n_steps;
	}
	return rc;
}

static int emit_repeat(struct parser *p, const struct node *node)
{
	size_t split = 0, back = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < node->least; i++)
		rc = emit_node(p, node->child);
	for (unsigned i = node->least; rc == 0 && i < node->most; i++) {
		rc = emit(p, STEP_SPLIT, &split);
		if (rc == 0)
			rc = emit_node(p, node->child);
		if (rc == 0 && node->most == NO_LIMIT) {
			rc = emit(p, STEP_SPLIT, &back);
			if (rc < 0)
				return rc;
			p->steps[back].next = p->steps[back].other = (uint16_t)split;
			i = NO_LIMIT - 1;
		}
		if (rc == 0)
			p->steps[split].other = (uint16_t)p->n_steps;
	}
	return rc;
}

static int emit_node(struct parser *p, const struct node *node)
{
	enum step_kind kind = STEP_SET;
	size_t at = 0;
	int rc;

	if (++p->work > WORK_MAX)
		return err_set(p->err, ERR_UNSUPPORTED, "regular expression: too big");
	if (node->kind == NODE_GROUP)
		return emit_group(p, node->child);
	if (node->kind == NODE_REPEAT)
		return emit_repeat(p, node);
	if (node->kind == NODE_BEGIN)
		kind = STEP_BEGIN;
	else if (node->kind == NODE_END)
		kind = STEP_END;
	rc = emit(p, kind, &at);
	if (rc == 0)
		memcpy(p->steps[at].set, node->set, sizeof node->set);
	return rc;
}

int regex_init(struct regex *r, const char *text, size_t n, struct arena *arena, struct err *err)
{
	struct parser p = {.text = text, .n = n, .arena = arena, .err = err};
	struct regex_step steps[REGEX_STATES_MAX];
	struct node all = {.kind = NODE_GROUP};
	size_t done;
	int rc = parse_alternatives(&p, &all);

	if (rc == 0 && p.at < n)
		rc = refuse(&p, ERR_INVALID, "')' without '('");
	p.steps = steps;
	if (rc == 0)
		rc = emit_node(&p, &all);
	if (rc == 0)
		rc = emit(&p, STEP_DONE, &done);
	if (rc < 0)
		return rc;
	p.steps = arena_dup(arena, steps, p.n_steps * sizeof *steps);
	if (!p.steps)
		return err_nomem(err);
	*r = (struct regex){p.steps, p.n_steps};
	return 0;
}

/* The steps the machine is at: each at most once. */
struct states {
	uint16_t list[REGEX_STATES_MAX];
	size_t n;
	uint64_t seen[REGEX_STATES_MAX / 64];
};

struct input {
	const char *text;
	size_t n;
};

static void enter(struct states *states, size_t step)
{
	uint64_t bit = (uint64_t)1 << (step % 64);

	if (states->seen[step / 64] & bit)
		return;
	states->seen[step / 64] |= bit;
	states->list[states->n++] = (uint16_t)step;
}

/* Goes on wherever nothing need be read for it; true when that reaches the end of the machine. */
static bool settle(const struct regex *r, struct states *states, const struct input *in, size_t at)
{
	bool at_end = at == in->n || (at + 1 == in->n && in->text[at] == '\n');

	for (size_t i = 0; i < states->n; i++) {
		const struct regex_step *step = &r->steps[states->list[i]];

		if (step->kind == STEP_DONE)
			return true;
		if (step->kind == STEP_SPLIT || (step->kind == STEP_BEGIN && at == 0) ||
		    (step->kind == STEP_END && at_end)) {
			enter(states, step->next);
			enter(states, step->other);
		}
	}
	return false;
}

bool regex_match(const struct regex *r, const char *text, size_t n)
{
	struct input in = {text, n};
	struct states now = {.n = 0}, next;

	enter(&now, 0);
	for (size_t at = 0; now.n > 0; at++) {
		if (settle(r, &now, &in, at))
			return true;
		if (at == n)
			return false;
		next.n = 0;
		memset(next.seen, 0, sizeof next.seen);
		for (size_t i = 0; i < now.n; i++) {
			const struct regex_step *step = &r->steps[now.list[i]];

			if (step->kind == STEP_SET && set_has(step->set, (unsigned char)text[at]))
				enter(&next, step->next);
		}
		now = next;
	}
	return false;
}
