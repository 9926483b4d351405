#include "lib/conda/version_bounds.h"

#include "lib/conda/version_spec_impl.h"

/* Takes the bound if it is the tighter one; sign: 1 for lower bounds, -1 for upper ones. */
static void tighten(struct version_bound *bound, const struct version *version, bool open, int sign)
{
	int c = bound->version ? sign * version_cmp(version, bound->version) : 1;

	if (c > 0)
		*bound = (struct version_bound){version, open};
	else if (c == 0)
		bound->open = bound->open || open;
}

static void take_relation(const struct version_spec_node *atom, struct version_bounds *b)
{
	const struct version *v = &atom->version;

	switch (atom->relation) {
	case VERSION_EQUAL:
		tighten(&b->low, v, false, 1);
		tighten(&b->high, v, false, -1);
		return;
	case VERSION_LESS:
	case VERSION_LESS_EQUAL:
		tighten(&b->high, v, atom->relation == VERSION_LESS, -1);
		return;
	case VERSION_GREATER:
	case VERSION_GREATER_EQUAL:
		tighten(&b->low, v, atom->relation == VERSION_GREATER, 1);
		return;
	case VERSION_COMPATIBLE:
		tighten(&b->low, v, false, 1);
		break;
	case VERSION_NOT_EQUAL:
	case VERSION_STARTS:
	case VERSION_NOT_STARTS:
		break;
	}
	b->whole = false;
}

static void take(const struct version_spec_node *node, struct version_bounds *b)
{
	if (node->kind == NODE_AND) {
		for (const struct version_spec_node *c = node->child; c; c = c->next)
			take(c, b);
	} else if (node->kind == NODE_RELATION) {
		take_relation(node, b);
	} else if (node->kind != NODE_ANY) {
		b->whole = false;
	}
}

void version_bounds_of(const struct version_spec *spec, struct version_bounds *out)
{
	*out = (struct version_bounds){.whole = true};
	take(spec->root, out);
}

void version_bounds_meet(const struct version_bounds *a, const struct version_bounds *b,
			 struct version_bounds *out)
{
	struct version_bounds both = *a;

	if (b->low.version)
		tighten(&both.low, b->low.version, b->low.open, 1);
	if (b->high.version)
		tighten(&both.high, b->high.version, b->high.open, -1);
	both.whole = a->whole && b->whole;
	*out = both;
}

bool version_bounds_empty(const struct version_bounds *b)
{
	int c;

	if (!b->low.version || !b->high.version)
		return false;
	c = version_cmp(b->low.version, b->high.version);
	return c > 0 || (c == 0 && (b->low.open || b->high.open));
}

/* Whether the inner bound keeps out all that the outer one does; sign as above. */
static bool is_tighter(const struct version_bound *inner, const struct version_bound *outer,
		       int sign)
{
	int c;

	if (!outer->version || !inner->version)
		return !outer->version;
	c = sign * version_cmp(inner->version, outer->version);
	return c > 0 || (c == 0 && (inner->open || !outer->open));
}

bool version_bounds_within(const struct version_bounds *inner, const struct version_bounds *outer)
{
	return outer->whole && is_tighter(&inner->low, &outer->low, 1) &&
	       is_tighter(&inner->high, &outer->high, -1);
}
