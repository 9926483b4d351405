/*
 * The page of the API (openapi.yaml) says what the table of routes says, and the running API
 * answers as the page says. The page's regular layout is read line by line; nothing here knows
 * YAML.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium/utils.h>

#include "lib/base/mem.h"
#include "platform/files.h"
#include "proto/signed.h"
#include "server/api/route.h"
#include "server/pki/role_key.h"
#include "tests/server/api/world.h"

#define WORD 64
#define LIST 32
#define OPERATIONS 96
#define SCHEMAS 128

struct property {
	char name[WORD];
	char schema[WORD]; /* "" = a plain value */
	bool list;
};
struct schema {
	char name[WORD];
	char required[LIST][WORD];
	size_t n_required;
	struct property properties[LIST];
	size_t n_properties;
};
struct operation {
	char path[2 * WORD];
	char method[WORD];
	char role[WORD];
	char query[LIST][WORD];
	size_t n_query;
	unsigned status;
	char schema[WORD]; /* of the answer */
};
struct page {
	struct operation operations[OPERATIONS];
	size_t n_operations;
	struct schema schemas[SCHEMAS];
	size_t n_schemas;
};
static struct page page;

/* --- reading --- */

static size_t indent_of(const char *line)
{
	return strspn(line, " ");
}

/* Copies up to one of the ends. */
static void word(char *out, size_t cap, const char *from, const char *ends)
{
	size_t n = strcspn(from, ends);

	assert_true(n < cap);
	memcpy(out, from, n);
	out[n] = '\0';
}

static void schema_named(const char *line, char out[WORD])
{
	static const char ref[] = "#/components/schemas/";
	const char *at = strstr(line, ref);

	out[0] = '\0';
	if (at)
		word(out, WORD, at + strlen(ref), "\"");
}

static void read_operation_line(struct operation *o, const char *text, size_t indent)
{
	if (indent == 6 && strncmp(text, "x-role: ", 8) == 0) {
		word(o->role, WORD, text + 8, "\n");
	} else if (indent == 8 && strncmp(text, "- {name: ", 9) == 0 && strstr(text, "in: query")) {
		assert_true(o->n_query < LIST);
		word(o->query[o->n_query++], WORD, text + 9, ",");
	} else if (indent == 8 && text[0] == '"') {
		o->status =
			(unsigned)((text[1] - '0') * 100 + (text[2] - '0') * 10 + text[3] - '0');
	} else if (indent == 10 && strstr(text, "{application/json:")) {
		schema_named(text, o->schema);
	}
}

static void read_schema_line(struct schema *s, const char *text, size_t indent)
{
	if (indent == 6 && strncmp(text, "required: [", 11) == 0) {
		for (text += 11; *text && *text != '\n'; text += strspn(text, ", ]")) {
			assert_true(s->n_required < LIST);
			word(s->required[s->n_required++], WORD, text, ",]");
			text += strcspn(text, ",]");
		}
	} else if (indent == 8) {
		struct property *p = &s->properties[s->n_properties++];

		assert_true(s->n_properties <= LIST);
		word(p->name, WORD, text, ":");
		schema_named(text, p->schema);
		p->list = strstr(text, "type: array") != NULL;
	}
}

static void read_line(const char *line, char section[WORD], char path[2 * WORD])
{
	size_t indent = indent_of(line);
	const char *text = line + indent;

	if (indent == 0)
		word(section, WORD, text, ":");
	if (strcmp(section, "paths") == 0 && indent == 2) {
		word(path, sizeof(page.operations[0].path), text, ":");
	} else if (strcmp(section, "paths") == 0 && indent == 4) {
		struct operation *o = &page.operations[page.n_operations++];

		assert_true(page.n_operations <= OPERATIONS);
		memcpy(o->path, path, sizeof(o->path));
		word(o->method, WORD, text, ":");
	} else if (strcmp(section, "paths") == 0 && page.n_operations > 0) {
		read_operation_line(&page.operations[page.n_operations - 1], text, indent);
	} else if (strcmp(section, "components") == 0 && indent == 2) {
		word(path, sizeof(page.operations[0].path), text, ":");
	} else if (strcmp(section, "components") == 0 && strcmp(path, "schemas") == 0) {
		if (indent == 4) {
			assert_true(page.n_schemas < SCHEMAS);
			word(page.schemas[page.n_schemas++].name, WORD, text, ":");
		} else {
			read_schema_line(&page.schemas[page.n_schemas - 1], text, indent);
		}
	}
}

static void read_page(void)
{
	char section[WORD] = "";
	char path[2 * WORD] = "";
	struct buf text;
	struct buf line;
	size_t i;

	buf_init(&text, 1U << 20);
	buf_init(&line, 4096);
	assert_int_equal(files_read_whole(EW_FIXTURES "/../../server/api/openapi.yaml", 1U << 19,
					  &text, NULL),
			 0);
	for (i = 0; i < text.len; i++) {
		if (text.data[i] != '\n') {
			buf_addc(&line, text.data[i]);
			continue;
		}
		if (line.len > 0 && line.data[0] != '#')
			read_line(buf_cstr(&line), section, path);
		buf_clear(&line);
	}
	buf_deinit(&text);
	buf_deinit(&line);
	assert_true(page.n_operations > 0 && page.n_schemas > 0);
}

/* --- the table --- */

static const char *role_of(enum route_access access)
{
	static const char *const names[] = {"viewer", "operator", "admin", "none"};

	return names[access];
}

static bool same_method(const char *route, const char *page_method)
{
	size_t i;

	for (i = 0; route[i]; i++)
		if ((route[i] | 0x20) != page_method[i])
			return false;
	return page_method[i] == '\0';
}

static struct operation *operation_of(const struct route *route)
{
	size_t i;

	for (i = 0; i < page.n_operations; i++)
		if (strcmp(page.operations[i].path, route->path) == 0 &&
		    same_method(route->method, page.operations[i].method))
			return &page.operations[i];
	fail_msg("%s %s is not in openapi.yaml", route->method, route->path);
	return NULL;
}

static void test_table(void **state)
{
	size_t i;
	size_t q;

	(void)state;
	for (i = 0; i < routes_n; i++) {
		const struct operation *o = operation_of(&routes[i]);
		size_t n = 0;

		assert_string_equal(o->role, role_of(routes[i].access));
		assert_int_equal(o->status, routes[i].status);
		while (routes[i].query && routes[i].query[n])
			n++;
		assert_int_equal(n, o->n_query);
		for (q = 0; q < n; q++)
			if (!route_knows_query(&routes[i], o->query[q]))
				fail_msg("%s: no parameter %s", o->path, o->query[q]);
	}
	/* Every route was found, so as many operations means that there are no others. */
	assert_int_equal(routes_n, page.n_operations);
}

/* --- the answers --- */

static const struct schema *schema_called(const char *name)
{
	size_t i;

	for (i = 0; i < page.n_schemas; i++)
		if (strcmp(page.schemas[i].name, name) == 0)
			return &page.schemas[i];
	fail_msg("openapi.yaml has no schema %s", name);
	return NULL;
}

static void check(const json_t *value, const char *schema_name);

static void check_member(const struct schema *s, const char *name, const json_t *value)
{
	size_t i;
	size_t k;

	for (i = 0; i < s->n_properties; i++) {
		const struct property *p = &s->properties[i];

		if (strcmp(p->name, name) != 0)
			continue;
		assert_int_equal(json_is_array(value), p->list);
		if (p->schema[0] && p->list)
			for (k = 0; k < json_array_size(value); k++)
				check(json_array_get(value, k), p->schema);
		else if (p->schema[0])
			check(value, p->schema);
		return;
	}
	fail_msg("the schema %s has no \"%s\"", s->name, name);
}

static void check(const json_t *value, const char *schema_name)
{
	const struct schema *s = schema_called(schema_name);
	const char *name;
	json_t *member;
	size_t i;

	assert_true(json_is_object(value));
	for (i = 0; i < s->n_required; i++)
		if (!json_object_get(value, s->required[i]))
			fail_msg("an answer's %s lacks \"%s\"", s->name, s->required[i]);
	json_object_foreach((json_t *)value, name, member)
	{
		check_member(s, name, member);
	}
}

static const char *body_of(const struct route *r)
{
	static const struct {
		const char *path;
		const char *body;
	} bodies[] = {
		{"/organisation", "{\"logging\":true}"},
		{"/environments/status", "{\"environments\":[\"0b0b0b0b-0b0b-0b0b-0b0b-"
					 "0b0b0b0b0b0b\"],\"status\":\"warn\"}"},
		{"/environments/{id}/status", "{\"status\":\"block\",\"message\":\"No.\"}"},
		{"/machines/{id}/export", "{\"hours\":48}"},
		{"/join-codes", "{\"labels\":[\"lab\"]}"},
		{"/policy", "{\"source\":\"policy: 1\\nrules: []\\n\",\"note\":\"none\"}"},
		{"/policy/draft", "{\"source\":\"policy: 1\\nrules: []\\n\"}"},
		{"/policy/plan", "{\"source\":\"policy: 1\\nrules:\\n  - {id: py, when: {package: "
				 "python}, action: block}\\n\"}"},
		{"/exceptions", "{\"environment\":\"0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b\","
				"\"reason\":\"why\",\"expires\":\"2099-01-01T00:00:00Z\"}"},
		{"/requests/{id}/answer",
		 "{\"approve\":true,\"expires\":\"2099-01-01T00:00:00Z\"}"},
		{"/environments/{id}/unlock", "{\"reason\":\"phone\"}"},
		{"/tokens", "{\"user\":\"ada\",\"password\":\"" WORLD_PASSWORD "\"}"},
	};
	size_t i;

	for (i = 0; r->body && i < sizeof(bodies) / sizeof(bodies[0]); i++)
		if (strcmp(bodies[i].path, r->path) == 0)
			return bodies[i].body;
	assert_false(r->body); /* a new route: say here what to send */
	return NULL;
}

/* A draft of the server's, signed with its key as it would be elsewhere. The caller frees it. */
static char *signed_policy(const struct world *w, const char *token)
{
	struct reply draft = world_call(w, "POST", "/policy/draft", token,
					"{\"source\":\"policy: 1\\nrules: []\\n\"}", NULL);
	const char *text = json_string_value(json_object_get(draft.json, "data"));
	char path[TMPDIR_PATH_MAX], *body;
	unsigned char bytes[4096];
	struct crypto_key *key;
	struct buf out;
	size_t n, cap;

	assert_non_null(text);
	assert_int_equal(sodium_base642bin(bytes, sizeof(bytes), text, strlen(text), NULL, &n, NULL,
					   sodium_base64_VARIANT_ORIGINAL),
			 0);
	tmpdir_path(&w->dir, "roles", path);
	assert_int_equal(role_key_read(path, ROLE_POLICY, &key, NULL), 0);
	buf_init(&out, LIMIT_BUNDLE);
	assert_int_equal(signed_add(bytes, n, key, &out, NULL), 0);
	cap = 16 + sodium_base64_encoded_len(out.len, sodium_base64_VARIANT_ORIGINAL);
	body = mem_alloc(cap);
	memcpy(body, "{\"data\":\"", 9);
	(void)sodium_bin2base64(body + 9, cap - 9, (unsigned char *)out.data, out.len,
				sodium_base64_VARIANT_ORIGINAL);
	memcpy(body + strlen(body), "\"}", 3);
	buf_deinit(&out);
	crypto_key_free(key);
	reply_deinit(&draft);
	return body;
}

static void call_route(const struct world *w, const struct route *r, const char *token)
{
	const struct operation *o = operation_of(r);
	const char *hole = strstr(r->path, "{id}");
	char path[128], *made;
	char id[37];
	struct reply reply;

	world_env_id(11, id);
	(void)snprintf(path, sizeof(path), "%.*s%s%s",
		       (int)(hole ? (size_t)(hole - r->path) : strlen(r->path)), r->path,
		       hole ? id : "", hole ? hole + 4 : "");
	made = strcmp(r->path, "/policy/signed") == 0 ? signed_policy(w, token) : NULL;
	reply = world_call(w, r->method, path, token, made ? made : body_of(r), NULL);
	mem_free(made);
	if (reply.status != o->status)
		fail_msg("%s %s: %ld: %s", r->method, path, reply.status, buf_cstr(&reply.body));
	if (o->schema[0])
		check(reply.json, o->schema);
	else
		assert_null(reply.json);
	reply_deinit(&reply);
	/* Refused, it answers with a problem. */
	reply = world_call(w, r->method, path, NULL, r->body ? "{}" : NULL, NULL);
	assert_int_equal(reply.status, r->access == ROUTE_OPEN ? 400 : 401);
	check(reply.json, "Problem");
	reply_deinit(&reply);
}

/* Writes first, so that what is read has statuses and an audit log. */
static void test_answers(void **state)
{
	const struct world *w = *state;
	char *token = world_login(w, "ada");
	char *ended = world_login(w, "ada");
	size_t i;
	int writes;

	for (writes = 1; writes >= 0; writes--)
		for (i = 0; i < routes_n; i++)
			if ((routes[i].write != NULL) == (writes == 1))
				call_route(w, &routes[i],
					   strcmp(routes[i].method, "DELETE") == 0 ? ended : token);
	mem_free(token);
	mem_free(ended);
}

static int setup(void **state)
{
	read_page();
	return world_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, setup, world_teardown);
}
