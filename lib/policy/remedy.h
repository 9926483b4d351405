/*
 * What lifts a rule about packages whose author wrote no fix: a command for the tool that owns the
 * environment, in the same form as a filled fix template. Only what surely lifts it: a version
 * beyond the bound that the rule names, or, where every version is meant, the package's removal.
 *
 *   conda, mamba, micromamba   TOOL install TARGET 'openssl>=3'
 *   pixi                       pixi add --manifest-path WORKSPACE 'openssl>=3', for its default
 *                              environment; which features make another one, nothing here knows
 *   packages of pip            PREFIX/bin/python -m pip install, or uv pip install --python PREFIX
 *                              where there is no pip
 *
 * Pure; texts are quoted for a POSIX shell.
 */
#ifndef ENVWARDEN_LIB_POLICY_REMEDY_H
#define ENVWARDEN_LIB_POLICY_REMEDY_H

#include <stddef.h>

#include "lib/base/arena.h"
#include "lib/policy/facts.h"

/* For a package that a condition holds for; "" when nothing is sure. ERR_NOMEM. */
int remedy_of_condition(const struct condition *when, const struct policy_facts *facts,
			const struct package *package, struct arena *arena, const char **out);

#endif
