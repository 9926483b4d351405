#include "server/config.h"

#include <inttypes.h>
#include <string.h>

#include <uv.h>

#include "lib/base/log.h"
#include "lib/base/text.h"

enum kind {
	KIND_ADDRESS,
	KIND_ADDRESSES,
	KIND_LEVEL,
	KIND_NUMBER
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	int64_t min; /* numbers; of addresses the default port */
	int64_t max;
	const char *help;
};

#define AT(member) offsetof(struct server_config, member)

static const struct key keys[] = {
	{"agent_address", KIND_ADDRESS, AT(agent_address), CONFIG_AGENT_PORT, 0,
	 "IP address and port where agents are awaited"},
	{"admin_address", KIND_ADDRESS, AT(admin_address), CONFIG_ADMIN_PORT, 0,
	 "IP address and port of the admin API"},
	{"public_address", KIND_ADDRESSES, AT(public_address), CONFIG_AGENT_PORT, 0,
	 "what agents dial, host:port, told to them by join codes; one a line, at most 4"},
	{"log_level", KIND_LEVEL, AT(log_level), 0, 0, "error, warn, info or debug"},
	{"readers", KIND_NUMBER, AT(readers), 1, 16, "threads that answer queries"},
};

void config_init(struct server_config *config)
{
	*config = (struct server_config){
		.agent_address = {.host = "0.0.0.0", .port = CONFIG_AGENT_PORT},
		.admin_address = {.host = "127.0.0.1", .port = CONFIG_ADMIN_PORT},
		.log_level = "info",
		.readers = 2};
}

static const struct key *find_key(const char *name, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strlen(keys[i].name) == n && memcmp(keys[i].name, name, n) == 0)
			return &keys[i];
	}
	return NULL;
}

static int unknown_key(const char *name, size_t n, struct err *err)
{
	struct buf shown;

	buf_init(&shown, 256);
	text_escape(&shown, name, n < 40 ? n : 40);
	(void)err_set(err, ERR_INVALID, "unknown key \"%s\"", buf_cstr(&shown));
	buf_deinit(&shown);
	return ERR_INVALID;
}

/* Where to listen: names are for those who dial. */
static bool is_ip(const struct address *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	return uv_ip4_addr(address->host, address->port, &v4) == 0 ||
	       uv_ip6_addr(address->host, address->port, &v6) == 0;
}

static int set_address(const struct key *key, const char *value, struct server_config *config,
		       struct address *address, struct err *err)
{
	int rc;

	if (key->kind == KIND_ADDRESSES) {
		if (config->n_public == JOIN_CODE_ADDRESSES_MAX)
			return err_set(err, ERR_LIMIT, "%s: more than %d", key->name,
				       JOIN_CODE_ADDRESSES_MAX);
		address = &config->public_address[config->n_public];
	}
	rc = address_parse(value, (uint16_t)key->min, address, err);
	if (rc == 0 && key->kind == KIND_ADDRESS && !is_ip(address))
		rc = err_set(err, ERR_INVALID, "needs an IP address and port, not \"%s\"", value);
	if (rc < 0 && err)
		(void)err_context(err, "%s", key->name);
	if (rc == 0 && key->kind == KIND_ADDRESSES)
		config->n_public++;
	return rc;
}

/* `value` is kept. */
static int set_value(const struct key *key, const char *value, struct server_config *config,
		     struct err *err)
{
	char *field = (char *)config + key->offset;
	enum log_level level;
	long long number;

	switch (key->kind) {
	case KIND_ADDRESS:
	case KIND_ADDRESSES:
		return set_address(key, value, config, (struct address *)(void *)field, err);
	case KIND_LEVEL:
		if (log_level_parse(value, &level) < 0)
			return err_set(err, ERR_INVALID, "%s: %s", key->name, key->help);
		*(const char **)(void *)field = value;
		return 0;
	case KIND_NUMBER:
		break;
	}
	if (text_to_i64(value, strlen(value), &number) < 0 || number < key->min ||
	    number > key->max)
		return err_set(err, ERR_INVALID, "%s: needs a number from %" PRId64 " to %" PRId64,
			       key->name, key->min, key->max);
	*(int64_t *)(void *)field = number;
	return 0;
}

int config_set(struct server_config *config, const char *name, const char *value, struct err *err)
{
	const struct key *key = find_key(name, strlen(name));

	return key ? set_value(key, value, config, err) : unknown_key(name, strlen(name), err);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **text, size_t *n)
{
	while (*n > 0 && is_blank(**text))
		(*text)++, (*n)--;
	while (*n > 0 && is_blank((*text)[*n - 1]))
		(*n)--;
}

static int parse_line(const char *line, size_t n, struct arena *arena, struct server_config *config,
		      struct err *err)
{
	const char *equals, *value;
	const struct key *key;
	size_t name_n;

	trim(&line, &n);
	if (n == 0 || *line == '#')
		return 0;
	equals = memchr(line, '=', n);
	if (!equals)
		return err_set(err, ERR_INVALID, "needs \"key = value\"");
	name_n = (size_t)(equals - line);
	value = equals + 1;
	n -= name_n + 1;
	trim(&line, &name_n);
	trim(&value, &n);
	key = find_key(line, name_n);
	if (!key)
		return unknown_key(line, name_n, err);
	if (n > CONFIG_VALUE_MAX)
		return err_set(err, ERR_LIMIT, "%s: the value is too long", key->name);
	if (memchr(value, '\0', n) || !text_is_utf8(value, n))
		return err_set(err, ERR_INVALID, "%s: the value is not UTF-8 text", key->name);
	value = arena_strndup(arena, value, n);
	return value ? set_value(key, value, config, err) : err_nomem(err);
}

int config_parse(const char *text, size_t n, struct arena *arena, struct server_config *config,
		 struct err *err)
{
	if (n > CONFIG_FILE_MAX)
		return err_set(err, ERR_LIMIT, "larger than %d bytes", CONFIG_FILE_MAX);
	for (size_t number = 1; n > 0; number++) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) : n;
		int rc = parse_line(text, len, arena, config, err);

		if (rc < 0) {
			if (err)
				(void)err_context(err, "line %zu", number);
			return rc;
		}
		len += end != NULL;
		text += len;
		n -= len;
	}
	return 0;
}

static void print_addresses(const struct key *key, const struct address *items, size_t n,
			    struct buf *out)
{
	char text[ADDRESS_TEXT_MAX];

	if (n == 0)
		buf_addf(out, "# %s =\n", key->name);
	for (size_t i = 0; i < n; i++) {
		address_format(&items[i], text);
		buf_addf(out, "%s = %s\n", key->name, text);
	}
}

void config_print(const struct server_config *config, struct buf *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct key *key = &keys[i];
		const void *field = (const char *)config + key->offset;

		buf_addf(out, "%s# %s\n", i > 0 ? "\n" : "", key->help);
		if (key->kind == KIND_ADDRESS || key->kind == KIND_ADDRESSES)
			print_addresses(key, field,
					key->kind == KIND_ADDRESS ? 1 : config->n_public, out);
		else if (key->kind == KIND_NUMBER)
			buf_addf(out, "%s = %" PRId64 "\n", key->name, *(const int64_t *)field);
		else
			buf_addf(out, "%s = %s\n", key->name, *(const char *const *)field);
	}
}
