#include <stdint.h>

#include "lib/base/compiler.h"
#include "lib/net/tls.h"
#include "tests/support/test_pki.h"

#define DAY_MS (24 * 60 * 60 * INT64_C(1000))
#define NOW_MS (20000 * DAY_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int64_t get_now(void *ctx)
{
	(void)ctx;
	return NOW_MS;
}

/* Made once for all inputs; the key is new in each run, the bytes to parse do not depend on it. */
static struct tls_context *context_once(void)
{
	static const struct tls_ticket_key key = {"name", "key", NOW_MS};
	static struct tls_context *context;
	struct test_cert root, server;

	if (context)
		return context;
	test_root_make("CN=root", NOW_MS - DAY_MS, NOW_MS + DAY_MS, &root);
	test_server_make(&root, "server", NOW_MS - DAY_MS, NOW_MS + DAY_MS, &server);
	CHECK(tls_context_new_server(&(struct tls_server_config){.chain = server.chain,
								 .chain_n = server.chain_n,
								 .key = server.key,
								 .client_root = root.chain,
								 .client_root_n = root.chain_n,
								 .now_ms = get_now},
				     &context, NULL) == 0);
	tls_context_set_ticket_keys(context, &key, 1);
	test_cert_free(&root);
	test_cert_free(&server);
	return context;
}

/* What an unknown peer may send: the first byte cuts the rest into pieces. It never gets in. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step;
	struct tls *tls;
	int rc = 0;

	if (size < 2)
		return 0;
	step = (size_t)data[0] * 8 + 1;
	data++, size--;
	CHECK(tls_new(context_once(), &tls, NULL) == 0);
	while (size > 0 && rc == 0) {
		size_t part = size < step ? size : step;
		struct err err = ERR_INIT;

		rc = tls_feed(tls, data, part, &err);
		CHECK(rc == err.code);
		CHECK(rc == 0 || rc == ERR_LIMIT || tls_state(tls) >= TLS_CLOSED);
		data += part;
		size -= part;
	}
	CHECK(tls_state(tls) != TLS_OPEN);
	tls_free(tls);
	return 0;
}
