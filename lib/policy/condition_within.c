#include "lib/policy/condition_within.h"

#include <string.h>

#include "lib/conda/match_within.h"

static bool take(size_t *steps)
{
	if (*steps == 0)
		return false;
	--*steps;
	return true;
}

/* Comparing two specs, which takes the longer the longer they are. */
#define STEP_BYTES 16

static bool take_specs(size_t *steps, const struct match_spec *a, const struct match_spec *b)
{
	size_t n = 1 + (strlen(a->source) + strlen(b->source)) / STEP_BYTES;

	if (*steps < n) {
		*steps = 0;
		return false;
	}
	*steps -= n;
	return true;
}

/* --- lists --- */

static bool has_text(const struct texts_list *list, const char *text, size_t *steps)
{
	for (size_t i = 0; i < list->n && take(steps); i++)
		if (strcmp(list->items[i], text) == 0)
			return true;
	return false;
}

static bool texts_within(const struct texts_list *inner, const struct texts_list *outer,
			 size_t *steps)
{
	for (size_t i = 0; i < inner->n; i++)
		if (!has_text(outer, inner->items[i], steps))
			return false;
	return true;
}

static bool specs_within(const struct condition *inner, const struct condition *outer,
			 size_t *steps)
{
	for (size_t i = 0; i < inner->n_specs; i++) {
		size_t k = 0;

		while (k < outer->n_specs &&
		       take_specs(steps, &inner->specs[i], &outer->specs[k]) &&
		       !match_spec_within(&inner->specs[i], &outer->specs[k]))
			k++;
		if (k == outer->n_specs || *steps == 0)
			return false;
	}
	return true;
}

/* --- conditions --- */

/* Of one kind, neither of them made of others. */
static bool leaf_within(const struct condition *inner, const struct condition *outer, size_t *steps)
{
	switch (inner->kind) {
	case CONDITION_PACKAGE:
		return specs_within(inner, outer, steps);
	case CONDITION_UNUSED_FOR:
		return inner->duration_ms >= outer->duration_ms;
	case CONDITION_PACKAGE_AGE_BELOW:
		return inner->duration_ms <= outer->duration_ms;
	case CONDITION_CHANNEL:
	case CONDITION_LICENSE:
	case CONDITION_MANAGER:
	case CONDITION_ENV_NAME:
	case CONDITION_ENV_PATH:
	case CONDITION_TOOL:
		return texts_within(&inner->texts, &outer->texts, steps);
	case CONDITION_CVE:
	case CONDITION_ALL:
	case CONDITION_ANY:
	case CONDITION_NOT:
		break;
	}
	return false;
}

static bool any_child_within(const struct condition *inner, const struct condition *outer,
			     size_t *steps)
{
	for (size_t i = 0; i < inner->n_children; i++)
		if (condition_within(&inner->children[i], outer, steps))
			return true;
	return false;
}

static bool within_any_child(const struct condition *inner, const struct condition *outer,
			     size_t *steps)
{
	for (size_t i = 0; i < outer->n_children; i++)
		if (condition_within(inner, &outer->children[i], steps))
			return true;
	return false;
}

static bool within_all_children(const struct condition *inner, const struct condition *outer,
				size_t *steps)
{
	for (size_t i = 0; i < outer->n_children; i++)
		if (!condition_within(inner, &outer->children[i], steps))
			return false;
	return true;
}

static bool all_children_within(const struct condition *inner, const struct condition *outer,
				size_t *steps)
{
	for (size_t i = 0; i < inner->n_children; i++)
		if (!condition_within(&inner->children[i], outer, steps))
			return false;
	return true;
}

bool condition_within(const struct condition *inner, const struct condition *outer, size_t *steps)
{
	if (!take(steps))
		return false;
	if (inner->kind == CONDITION_NOT && outer->kind == CONDITION_NOT)
		return condition_within(outer->children, inner->children, steps);
	if (outer->kind == CONDITION_ALL)
		return within_all_children(inner, outer, steps);
	if (inner->kind == CONDITION_ANY)
		return all_children_within(inner, outer, steps);
	if (outer->kind == CONDITION_ANY)
		return within_any_child(inner, outer, steps);
	if (inner->kind == CONDITION_ALL)
		return any_child_within(inner, outer, steps);
	return inner->kind == outer->kind && leaf_within(inner, outer, steps);
}

/* --- never --- */

/* Conditions that ask for one of several words of which there is one only. */
static bool is_of_one_word(const struct condition *c)
{
	return c->kind == CONDITION_MANAGER || c->kind == CONDITION_TOOL;
}

static bool have_common(const struct texts_list *a, const struct texts_list *b, size_t *steps)
{
	for (size_t i = 0; i < a->n; i++)
		if (has_text(b, a->items[i], steps))
			return true;
	return false;
}

/* All are asked of the same package. */
static bool are_apart(const struct condition *a, const struct condition *b, size_t *steps)
{
	for (size_t i = 0; i < a->n_specs; i++)
		for (size_t k = 0; k < b->n_specs; k++)
			if (!take_specs(steps, &a->specs[i], &b->specs[k]) ||
			    !match_spec_apart(&a->specs[i], &b->specs[k]))
				return false;
	return a->n_specs > 0 && b->n_specs > 0;
}

static bool exclude_each_other(const struct condition *a, const struct condition *b, size_t *steps);

/* `of` is made of others: all of which must hold, or any. */
static bool excludes_children(const struct condition *a, const struct condition *of, size_t *steps)
{
	bool any = of->kind == CONDITION_ANY;
	size_t i = 0;

	while (i < of->n_children && exclude_each_other(a, &of->children[i], steps) == any)
		i++;
	return (i == of->n_children) == any && *steps > 0;
}

static bool is_of_several(const struct condition *c)
{
	return c->kind == CONDITION_ANY || c->kind == CONDITION_ALL;
}

/* No deeper than the conditions are. */
static bool exclude_each_other(const struct condition *a, const struct condition *b, size_t *steps)
{
	if (!take(steps))
		return false;
	if (b->kind == CONDITION_NOT)
		return condition_within(a, b->children, steps);
	if (a->kind == CONDITION_NOT)
		return condition_within(b, a->children, steps);
	if (is_of_several(b))
		return excludes_children(a, b, steps);
	if (is_of_several(a))
		return excludes_children(b, a, steps);
	if (a->kind != b->kind)
		return false;
	if (a->kind == CONDITION_PACKAGE)
		return are_apart(a, b, steps);
	return is_of_one_word(a) && !have_common(&a->texts, &b->texts, steps) && *steps > 0;
}

static bool all_never(const struct condition *all, size_t *steps)
{
	for (size_t i = 0; i < all->n_children; i++) {
		if (condition_never(&all->children[i], steps))
			return true;
		for (size_t k = 0; k < i; k++)
			if (exclude_each_other(&all->children[i], &all->children[k], steps))
				return true;
	}
	return false;
}

bool condition_never(const struct condition *c, size_t *steps)
{
	size_t n = 0;

	switch (c->kind) {
	case CONDITION_ALL:
		return all_never(c, steps);
	case CONDITION_ANY:
		while (n < c->n_children && condition_never(&c->children[n], steps))
			n++;
		return n == c->n_children;
	case CONDITION_PACKAGE:
		while (n < c->n_specs && match_spec_never(&c->specs[n]))
			n++;
		return n == c->n_specs;
	default:
		return false;
	}
}

/* --- scopes --- */

bool scope_within(const struct scope *inner, const struct scope *outer, size_t *steps)
{
	const struct texts_list *in[] = {&inner->labels, &inner->platform, &inner->user};
	const struct texts_list *out[] = {&outer->labels, &outer->platform, &outer->user};

	for (size_t i = 0; i < ARRAY_SIZE(in); i++)
		if (out[i]->n > 0 && (in[i]->n == 0 || !texts_within(in[i], out[i], steps)))
			return false;
	return !outer->except ||
	       (inner->except && scope_within(outer->except, inner->except, steps));
}
