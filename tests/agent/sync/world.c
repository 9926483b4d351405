#include "tests/agent/sync/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "agent/sync/client.h"

static struct pki pki;
static bool pki_made;

const struct pki *pki_get(void)
{
	char name[CLIENT_SERVER_NAME_MAX];

	if (pki_made)
		return &pki;
	memset(pki.organisation.b, 0x5a, UUID_SIZE);
	client_server_name(&pki.organisation, name);
	test_root_make("CN=Example root", NOW_MS - DAY_MS, NOW_MS + 3650 * DAY_MS, &pki.root);
	test_root_make("CN=Other root", NOW_MS - DAY_MS, NOW_MS + 3650 * DAY_MS, &pki.other_root);
	test_server_make(&pki.root, name, NOW_MS - DAY_MS, NOW_MS + 365 * DAY_MS, &pki.server);
	test_server_make(&pki.other_root, name, NOW_MS - DAY_MS, NOW_MS + 365 * DAY_MS,
			 &pki.impostor);
	test_machine_make(&pki.root, MACHINE_TEXT, NOW_MS - DAY_MS, NOW_MS + 29 * DAY_MS,
			  &pki.machine);
	pki_made = true;
	return &pki;
}

int pki_free(void **state)
{
	(void)state;
	if (!pki_made)
		return 0;
	test_cert_free(&pki.root);
	test_cert_free(&pki.other_root);
	test_cert_free(&pki.server);
	test_cert_free(&pki.impostor);
	test_cert_free(&pki.machine);
	pki_made = false;
	return 0;
}

void pki_machine_cert(int64_t from_days, int64_t to_days, struct test_cert *out)
{
	test_cert_issue(&(struct test_cert_spec){.subject = "CN=envwarden machine",
						 .uri = "urn:envwarden:machine:" MACHINE_TEXT,
						 .usage = TEST_USAGE_CLIENT,
						 .not_before_ms = NOW_MS + from_days * DAY_MS,
						 .not_after_ms = NOW_MS + to_days * DAY_MS},
			pki_get()->machine.key, &pki_get()->root, out);
}

void pki_identity(const struct test_cert *machine, uint16_t port, struct sync_identity *out)
{
	unsigned char key[CRYPTO_KEY_MAX];
	size_t n;

	sync_identity_init(out);
	assert_int_equal(uuid_parse(MACHINE_TEXT, &out->machine), 0);
	out->organisation = pki_get()->organisation;
	(void)snprintf(out->name, sizeof(out->name), "Example");
	(void)snprintf(out->addresses[0], sizeof(out->addresses[0]), "127.0.0.1:%u", port);
	out->n_addresses = 1;
	assert_int_equal(crypto_key_to_der(pki_get()->machine.key, key, sizeof(key), &n, NULL), 0);
	assert_int_equal(crypto_key_from_der(key, n, &out->key, NULL), 0);
	buf_add(&out->chain, machine->chain, machine->chain_n);
	buf_add(&out->root, "root", 4);
	assert_int_equal(buf_rc(&out->chain), 0);
}

void trace_add(struct world *w, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (w->trace_n > 0)
		w->trace[w->trace_n++] = ' ';
	va_start(ap, fmt);
	n = vsnprintf(w->trace + w->trace_n, sizeof(w->trace) - w->trace_n, fmt, ap);
	va_end(ap);
	assert_in_range(n, 0, sizeof(w->trace) - w->trace_n - 2);
	w->trace_n += (size_t)n;
}

void trace_clear(struct world *w)
{
	w->trace_n = 0;
	w->trace[0] = '\0';
}

static void on_watchdog(uv_timer_t *timer)
{
	struct world *w = timer->data;

	w->timed_out = true;
}

static void watch(struct world *w, uint64_t ms)
{
	w->timed_out = false;
	uv_update_time(&w->loop);
	uv_timer_start(&w->watchdog, on_watchdog, ms, 0);
}

void world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	assert_int_equal(uv_loop_init(&w->loop), 0);
	uv_timer_init(&w->loop, &w->watchdog);
	w->watchdog.data = w;
	tmpdir_make(&w->dir);
	tmpdir_path(&w->dir, "ticket", w->ticket_path);
	assert_int_equal(server_open(w, &pki_get()->server, NOW_MS), 0);
	pki_identity(&pki_get()->machine, w->server.port, &w->identity);
	owner_init(w);
	w->config = (struct sync_config){.loop = &w->loop,
					 .identity = &w->identity,
					 .ticket_path = w->ticket_path,
					 .proxy = "",
					 .ops = &owner_ops,
					 .ctx = w};
}

void world_start(struct world *w)
{
	struct err err = ERR_INIT;

	if (sync_start(&w->config, &w->sync, &err) < 0)
		fail_msg("sync_start: %s", err.text);
}

void world_until(struct world *w, const char *text)
{
	watch(w, 20000);
	while (!strstr(w->trace, text) && !w->timed_out)
		uv_run(&w->loop, UV_RUN_ONCE);
	if (!strstr(w->trace, text))
		fail_msg("waited for \"%s\"; there was: %s (%s)", text, w->trace, w->owner.why);
}

void world_expect(struct world *w, const char *trace)
{
	assert_string_equal(w->trace, trace);
	trace_clear(w);
}

void world_run(struct world *w, uint64_t ms)
{
	watch(w, ms);
	while (!w->timed_out)
		uv_run(&w->loop, UV_RUN_ONCE);
}

static void on_stopped(void *owner)
{
	struct world *w = owner;

	w->sync = NULL;
	trace_add(w, "stopped");
}

void world_stop_begin(struct world *w)
{
	sync_stop(w->sync, on_stopped, w);
}

void world_stop_sync(struct world *w)
{
	world_stop_begin(w);
	sync_stop(w->sync, on_stopped, w); /* once more is fine */
	world_until(w, "stopped");
	assert_null(w->sync);
}

void world_end(struct world *w)
{
	if (w->sync)
		world_stop_sync(w);
	server_close(w);
	owner_deinit(w);
	uv_close((uv_handle_t *)&w->watchdog, NULL);
	uv_run(&w->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	tls_context_free(w->server.tls);
	arena_deinit(&w->server.arena);
	sync_identity_deinit(&w->identity);
	tmpdir_remove(&w->dir);
}
