#include "tests/server/db/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "proto/canonical.h"

int store_setup(void **state)
{
	struct store *s = mem_calloc(1, sizeof(*s));

	assert_non_null(s);
	tmpdir_make(&s->dir);
	tmpdir_path(&s->dir, "store.db", s->path);
	arena_init(&s->arena, 64U << 20);
	assert_int_equal(db_open(s->path, &s->db, &s->err), 0);
	assert_int_equal(db_conn_open(s->db, true, &s->conn, &s->err), 0);
	assert_int_equal(db_begin(s->conn, &s->err), 0);
	*state = s;
	return 0;
}

int store_teardown(void **state)
{
	struct store *s = *state;

	db_conn_close(s->conn);
	db_close(s->db);
	arena_deinit(&s->arena);
	tmpdir_remove(&s->dir);
	mem_free(s);
	return 0;
}

void store_commit(struct store *s)
{
	assert_int_equal(db_commit(s->conn, &s->err), 0);
	assert_int_equal(db_begin(s->conn, &s->err), 0);
}

struct uuid id_of(unsigned char n)
{
	struct uuid id;

	memset(id.b, n, sizeof(id.b));
	return id;
}

struct uuid store_machine(struct store *s, unsigned char n)
{
	char host[32];
	struct db_machine_new m = {
		.id = id_of(n),
		.info = {.hostname = host,
			 .platform = n % 2 ? "linux-64" : "win-64",
			 .os = "Debian 12",
			 .agent_version = "0.1.0"},
		.cert = {.not_after_ms = T0 + 1000},
	};

	(void)snprintf(host, sizeof(host), "host-%u", n);
	assert_int_equal(db_machine_insert(s->conn, &m, T0, &s->err), 0);
	return m.id;
}

struct package package_of(const char *name, const char *version)
{
	return (struct package){.manager = "conda",
				.name = name,
				.version = version,
				.build = "h0_1",
				.build_number = 1,
				.channel = "https://conda.anaconda.org/conda-forge",
				.subdir = "linux-64",
				.license = "MIT",
				.url = "",
				.size = 1234};
}

struct change change_of(enum change_kind kind, unsigned char env, const char *prefix)
{
	struct change c;

	change_init(&c);
	c.kind = kind;
	c.time_ms = T0;
	c.environment = id_of(env);
	c.prefix = prefix;
	c.owner.name = "ana";
	c.owner.uid = 1000;
	c.actor.name = "ana";
	c.actor.how = "owner of history";
	c.platform = "linux-64";
	c.tool = "conda";
	return c;
}

int journal_write(struct store *s, struct journal_writer *w, struct change *c)
{
	unsigned char hashes[1][SHA256_SIZE];
	struct db_append batch = {.machine = w->machine,
				  .epoch = w->epoch,
				  .changes = c,
				  .hashes = (const unsigned char(*)[SHA256_SIZE])hashes,
				  .n = 1};
	uint64_t acked = 0;
	int rc;

	c->epoch = w->epoch;
	c->seq = w->head + 1;
	package_list_sort(&c->added);
	package_list_sort(&c->removed);
	memcpy(batch.previous_hash, w->hash, SHA256_SIZE);
	change_chain(w->hash, c, hashes[0]);
	s->err = ERR_INIT;
	rc = db_journal_append(s->conn, &batch, T0 + 5, &acked, &s->err);
	change_deinit(c);
	if (rc == 0) {
		assert_int_equal(acked, w->head + 1);
		w->head++;
		memcpy(w->hash, hashes[0], SHA256_SIZE);
	}
	return rc;
}

void env_make(struct store *s, struct journal_writer *w, unsigned char env, const char *prefix,
	      const char *const *packages)
{
	struct change c = change_of(CHANGE_CREATED, env, prefix);

	for (; packages && *packages; packages++) {
		char *name = arena_strdup(&s->arena, *packages);
		char *version = strchr(name, '=');
		struct package p;

		*version++ = '\0';
		p = package_of(name, version);
		assert_int_equal(package_list_add(&c.added, &p), 0);
	}
	assert_int_equal(journal_write(s, w, &c), 0);
}
