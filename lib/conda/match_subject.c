#include "lib/conda/match_spec.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/compiler.h"
#include "lib/conda/ascii.h"

static const char *lower_copy(struct arena *arena, const char *text)
{
	char *copy = arena_strdup(arena, text);

	for (char *c = copy; c && *c; c++)
		*c = ascii_lower(*c);
	return copy;
}

static const char *known(const char *text)
{
	return text ? text : "None";
}

/* The file a package came in, as conda names it when nobody said. */
static const char *file_of(const struct match_package *package, const char *from_url,
			   struct arena *arena)
{
	const char *parts[] = {known(package->name), "-", known(package->version), "-",
			       known(package->build)};
	size_t length = 0, n = 0;
	char *text;

	if (package->fn || from_url)
		return package->fn ? package->fn : from_url;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		length += strlen(parts[i]);
	text = arena_alloc(arena, length + 1);
	for (size_t i = 0; text && i < ARRAY_SIZE(parts); i++) {
		memcpy(text + n, parts[i], strlen(parts[i]));
		n += strlen(parts[i]);
	}
	return text;
}

static int subject_version(struct version_subject *s, const char *text, struct arena *arena)
{
	struct version_room room;

	version_subject_init(s, text, strlen(text), &room);
	return s->valid ? version_keep(arena, &s->version) : 0;
}

int match_subject_init(struct match_subject *out, const struct match_package *package,
		       struct arena *arena, struct err *err)
{
	struct match_subject s = {0};
	struct channel_name url = {0};
	char number[32];
	int rc;

	snprintf(number, sizeof number, "%" PRId64, package->build_number);
	if (package->url && !package->fn)
		(void)channel_name_parse(package->url, strlen(package->url), arena, &url, NULL);
	s.fields[MATCH_NAME] = known(package->name);
	s.fields[MATCH_SUBDIR] = known(package->subdir);
	s.fields[MATCH_BUILD] = known(package->build);
	s.fields[MATCH_BUILD_NUMBER] = arena_strdup(arena, number);
	s.fields[MATCH_URL] = known(package->url);
	s.fields[MATCH_MD5] = known(package->md5);
	s.fields[MATCH_SHA256] = known(package->sha256);
	s.fields[MATCH_LICENSE] = lower_copy(arena, known(package->license));
	s.fields[MATCH_LICENSE_FAMILY] = lower_copy(arena, known(package->license_family));
	s.fields[MATCH_FN] = file_of(package, url.file, arena);
	if (!s.fields[MATCH_BUILD_NUMBER] || !s.fields[MATCH_LICENSE] ||
	    !s.fields[MATCH_LICENSE_FAMILY] || !s.fields[MATCH_FN] ||
	    subject_version(&s.version, known(package->version), arena) < 0 ||
	    subject_version(&s.build_number, s.fields[MATCH_BUILD_NUMBER], arena) < 0)
		return err_nomem(err);
	rc = channel_name_parse(package->channel, package->channel ? strlen(package->channel) : 0,
				arena, &s.channel, err);
	if (rc == 0)
		*out = s;
	return rc;
}
