/* One machine: its signed state as a file. */
#include <string.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/since.h"
#include "lib/base/uuid.h"
#include "server/admin-cli/bytes.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"
#include "server/admin-cli/config.h"
#include "server/admin-cli/output.h"

#define HOUR_MS INT64_C(3600000)

struct search {
	const char *text;
	char id[OUTPUT_ROOM + UUID_TEXT_MAX];
	size_t found;
};

static enum admin_exit compare(void *ctx, json_t *machine)
{
	struct search *s = ctx;
	char room[OUTPUT_ROOM];

	if (strcmp(output_text(machine, "hostname", room), s->text) != 0)
		return ADMIN_OK;
	s->found++;
	(void)snprintf(s->id, sizeof(s->id), "%s", output_text(machine, "id", room));
	return ADMIN_OK;
}

/* A machine as people name it: its id, or its host name if one active machine alone has it. */
static enum admin_exit machine_resolve(struct admin *a, struct search *s)
{
	enum admin_exit result;
	struct buf path;
	struct uuid id;

	if (uuid_parse(s->text, &id) == 0) {
		uuid_format(&id, s->id);
		return ADMIN_OK;
	}
	buf_init(&path, CLIENT_PATH_MAX);
	buf_adds(&path, "/machines?state=active");
	client_query(&path, "q", s->text);
	result = buf_rc(&path) < 0 ? admin_fail(a, ADMIN_USAGE, "too long a name")
				   : client_pages(a, &path, "machines", UINT64_MAX, compare, s);
	buf_deinit(&path);
	if (result == ADMIN_OK && s->found != 1)
		result = admin_fail(a, ADMIN_FAILED,
				    s->found == 0
					    ? "no active machine is called \"%s\""
					    : "several machines are called \"%s\": give the id of "
					      "one (machine list)",
				    s->text);
	return result;
}

/* How long the file may be imported, in hours. */
static enum admin_exit set_hours(struct admin *a, json_t *body)
{
	const char *text = a->options.values[OPT_VALID];
	int64_t now_ms = admin_now_ms(), ms;
	struct err err = ERR_INIT;

	if (!text)
		return ADMIN_OK;
	if (until_parse(text, now_ms, &ms, &err) < 0)
		return admin_fail(a, ADMIN_USAGE, "--valid: %s", err.text);
	return json_object_set_new(body, "hours",
				   json_integer((ms - now_ms + HOUR_MS - 1) / HOUR_MS)) == 0
		       ? ADMIN_OK
		       : admin_fail(a, ADMIN_FAILED, "out of memory");
}

static void print_exported(struct admin *a, const json_t *set, const char *to)
{
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM], r3[OUTPUT_ROOM];

	admin_say(a, "%s: policy %s and status %s. To be imported there until %s:", to,
		  output_text(set, "policy_version", r1), output_text(set, "status_version", r2),
		  output_text(set, "expires", r3));
	admin_say(a, "  sudo envwarden import %s", to);
}

enum admin_exit cmd_machine_export(struct admin *a, const char *const *words, size_t n)
{
	const char *to = a->options.values[OPT_OUT];
	struct search search = {.text = words[0]};
	json_t *body = json_object(), *set = NULL;
	enum admin_exit result;
	struct buf path;

	(void)n;
	buf_init(&path, 256);
	result = !to ? admin_fail(a, ADMIN_USAGE, "where to? -o FILE, or -o - for stdout")
		     : set_hours(a, body);
	if (result == ADMIN_OK)
		result = bytes_may_save(a, to);
	if (result == ADMIN_OK)
		result = machine_resolve(a, &search);
	if (result == ADMIN_OK) {
		buf_addf(&path, "/machines/%s/export", search.id);
		result = client_call(a, "POST", buf_cstr(&path), body, &set);
	}
	if (result == ADMIN_OK)
		result = bytes_save(a, set, "data", to);
	if (result == ADMIN_OK)
		print_exported(a, set, to);
	buf_deinit(&path);
	json_decref(body);
	json_decref(set);
	return result;
}
