#include "tests/agent/samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"

static const char *copy_text(struct arena *arena, const char *text, size_t n)
{
	const char *copy = arena_strndup(arena, text, n);

	assert_non_null(copy);
	return copy;
}

struct package sample_package(struct arena *arena, const char *manager, const char *name,
			      const char *version)
{
	bool conda = strcmp(manager, "conda") == 0;
	struct package p = {
		.manager = copy_text(arena, manager, strlen(manager)),
		.name = copy_text(arena, name, strlen(name)),
		.version = copy_text(arena, version, strlen(version)),
		.build = conda ? "h1_0" : "",
		.build_number = conda ? 0 : PACKAGE_BUILD_NUMBER_UNKNOWN,
		.channel = conda ? "https://conda.example.org/conda-forge" : "pypi",
		.subdir = conda ? "linux-64" : "",
		.license = "MIT",
		.url = "",
		.size = 1000,
		.has_sha256 = conda,
	};

	if (conda)
		sha256(version, strlen(version), p.sha256);
	return p;
}

static void add_spec(struct snapshot *s, struct arena *arena, const char *spec, size_t n)
{
	const char *manager = "conda";
	const char *at;
	struct package p;

	if (n > 5 && memcmp(spec, "pypi:", 5) == 0) {
		manager = "pypi";
		spec += 5;
		n -= 5;
	}
	at = memchr(spec, '=', n);
	assert_non_null(at);
	p = sample_package(arena, manager, copy_text(arena, spec, (size_t)(at - spec)),
			   copy_text(arena, at + 1, n - (size_t)(at + 1 - spec)));
	assert_int_equal(package_list_add(&s->packages, &p), 0);
}

void sample_snapshot(struct snapshot *s, struct arena *arena, const char *prefix, uint64_t inode,
		     const char *specs)
{
	snapshot_init(s);
	s->prefix = copy_text(arena, prefix, strlen(prefix));
	s->device = 1;
	s->inode = inode;
	s->owner = (struct person){.name = "ana", .uid = 1000, .how = ""};
	s->platform = "linux-64";
	s->tool = "conda";
	s->created_ms = 1000000 + (int64_t)inode;
	while (*specs) {
		size_t n = strcspn(specs, " ");

		if (n > 0)
			add_spec(s, arena, specs, n);
		specs += n;
		specs += *specs == ' ';
	}
	assert_int_equal(snapshot_seal(s), 0);
}

void sample_run(struct snapshot *s, uint64_t sections, const char *action, const char *command)
{
	s->history.sections = sections;
	s->history.action = action;
	s->history.command = command;
	s->history.tool = "conda";
	s->history.owner = (struct person){.name = "root", .uid = 0, .how = ""};
}

const char *sample_text(struct arena *arena, const struct package_list *list)
{
	const char *text;
	struct buf b;

	buf_init(&b, 1 << 20);
	for (size_t i = 0; i < list->n; i++)
		buf_addf(&b, "%s%s=%s", i > 0 ? " " : "", list->items[i].name,
			 list->items[i].version);
	assert_int_equal(buf_rc(&b), 0);
	text = copy_text(arena, buf_cstr(&b), b.len);
	buf_deinit(&b);
	return text;
}
