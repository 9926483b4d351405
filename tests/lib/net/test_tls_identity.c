#include "lib/net/tls_identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <mbedtls/x509_csr.h>

#include "lib/base/clock.h"
#include "tests/support/fault.h"
#include "tests/support/test_pki.h"

#define MACHINE "7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c11"

struct world {
	struct test_cert root, machine, other;
	int64_t from, to;
};

static int64_t ms_of(const char *text)
{
	int64_t ms = 0;

	assert_int_equal(clock_parse(text, &ms), 0);
	return ms;
}

static int set_up(void **state)
{
	static struct world w;

	w.from = ms_of("2026-02-28T23:59:58Z");
	w.to = ms_of("2028-02-29T12:00:01Z");
	test_root_make("CN=Example root", w.from, w.to, &w.root);
	test_root_make("CN=Example root", w.from, w.to, &w.other); /* same name, other key */
	test_machine_make(&w.root, MACHINE, w.from, w.to, &w.machine);
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	test_cert_free(&w->root);
	test_cert_free(&w->other);
	test_cert_free(&w->machine);
	return 0;
}

static void test_request(void **state)
{
	mbedtls_x509_csr csr;
	struct buf der;
	char name[64];
	struct world *w = *state;

	buf_init(&der, TLS_CSR_MAX);
	assert_int_equal(tls_identity_csr(w->machine.key, &der, NULL), 0);
	mbedtls_x509_csr_init(&csr);
	assert_int_equal(mbedtls_x509_csr_parse_der(&csr, (unsigned char *)der.data, der.len), 0);
	assert_true(mbedtls_x509_dn_gets(name, sizeof(name), &csr.subject) > 0);
	assert_string_equal(name, TLS_CSR_SUBJECT);
	assert_true(mbedtls_pk_can_do(&csr.pk, MBEDTLS_PK_ECDSA));
	mbedtls_x509_csr_free(&csr);
	buf_deinit(&der);
}

static void test_public_key_makes_no_request(void **state)
{
	unsigned char spki[CRYPTO_SPKI_MAX];
	struct world *w = *state;
	struct crypto_key *key;
	struct err err = ERR_INIT;
	struct buf der;
	size_t n;

	assert_int_equal(crypto_key_to_spki(w->machine.key, spki, sizeof(spki), &n, NULL), 0);
	assert_int_equal(crypto_key_from_spki(spki, n, &key, NULL), 0);
	buf_init(&der, TLS_CSR_MAX);
	assert_true(tls_identity_csr(key, &der, &err) < 0);
	assert_true(err.code < 0);
	assert_int_equal(der.len, 0);
	buf_deinit(&der);
	crypto_key_free(key);
}

static void test_parse(void **state)
{
	unsigned char key_id[SHA256_SIZE], root_id[SHA256_SIZE];
	struct world *w = *state;
	struct tls_identity id;
	struct uuid machine;

	assert_int_equal(tls_identity_parse(w->machine.chain, w->machine.chain_n, &id, NULL), 0);
	assert_int_equal(id.not_before_ms, w->from);
	assert_int_equal(id.not_after_ms, w->to);
	assert_true(id.has_machine);
	assert_int_equal(uuid_parse(MACHINE, &machine), 0);
	assert_int_equal(uuid_cmp(&id.machine, &machine), 0);
	assert_int_equal(crypto_key_id(w->machine.key, key_id, NULL), 0);
	assert_int_equal(crypto_key_id(w->root.key, root_id, NULL), 0);
	assert_memory_equal(id.spki_hash, key_id, SHA256_SIZE);
	assert_memory_equal(id.root_spki_hash, root_id, SHA256_SIZE);
	assert_int_equal(id.certs, 2);
	assert_int_equal(id.root_offset, w->machine.leaf_n);
	sha256(id.spki, id.spki_n, key_id);
	assert_memory_equal(id.spki_hash, key_id, SHA256_SIZE);

	assert_int_equal(tls_identity_parse(w->root.chain, w->root.chain_n, &id, NULL), 0);
	assert_false(id.has_machine);
	assert_int_equal(id.certs, 1);
	assert_int_equal(id.root_offset, 0);
}

static void test_refuses(void **state)
{
	struct world *w = *state;
	unsigned char chain[TLS_CHAIN_MAX + 1];
	const struct test_cert *m = &w->machine;
	struct tls_identity id = {.certs = 77};
	struct err err = ERR_INIT;

	assert_int_equal(tls_identity_parse("", 0, &id, &err), ERR_INVALID);
	assert_int_equal(tls_identity_parse("hello", 5, &id, &err), ERR_INVALID);
	assert_int_equal(tls_identity_parse(m->chain, m->chain_n - 1, &id, &err), ERR_INVALID);
	memset(chain, 0, sizeof(chain));
	assert_int_equal(tls_identity_parse(chain, sizeof(chain), &id, &err), ERR_LIMIT);

	/* a root of the same name that signed nothing of this */
	memcpy(chain, m->chain, m->leaf_n);
	memcpy(chain + m->leaf_n, w->other.chain, w->other.chain_n);
	assert_int_equal(tls_identity_parse(chain, m->leaf_n + w->other.chain_n, &id, &err),
			 ERR_VERIFY);
	/* the wrong way round */
	memcpy(chain, w->root.chain, w->root.chain_n);
	memcpy(chain + w->root.chain_n, m->chain, m->leaf_n);
	assert_int_equal(tls_identity_parse(chain, m->chain_n, &id, &err), ERR_VERIFY);
	/* a changed byte inside the leaf's signature */
	memcpy(chain, m->chain, m->chain_n);
	chain[m->leaf_n - 3] ^= 1;
	assert_int_equal(tls_identity_parse(chain, m->chain_n, &id, &err), ERR_VERIFY);
	/* five certificates */
	for (size_t i = 0; i < 5; i++)
		memcpy(chain + i * w->root.chain_n, w->root.chain, w->root.chain_n);
	assert_int_equal(tls_identity_parse(chain, 5 * w->root.chain_n, &id, &err), ERR_LIMIT);
	assert_int_equal(id.certs, 77); /* untouched */
}

static void test_machine_names(void **state)
{
	static const struct {
		const char *uri;
		bool good;
	} cases[] = {
		{"urn:envwarden:machine:" MACHINE, true},
		{"urn:envwarden:machine:" MACHINE "0", false},
		{"urn:envwarden:machine:7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c1", false},
		{"urn:envwarden:machine:7d2f0a52-6c1b-4b0e-9a57-0f3f0f5b7c1z", false},
		{"urn:envwarden:maschine" MACHINE, false},
		{"https://example.org/", false},
	};
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct test_cert cert;
		struct tls_identity id;

		test_cert_make(&(struct test_cert_spec){.subject = "CN=m",
							.uri = cases[i].uri,
							.not_before_ms = w->from,
							.not_after_ms = w->to},
			       &w->root, &cert);
		assert_int_equal(tls_identity_parse(cert.chain, cert.chain_n, &id, NULL), 0);
		if (id.has_machine != cases[i].good)
			fail_msg("%s", cases[i].uri);
		test_cert_free(&cert);
	}
}

static int request_body(void *ctx)
{
	struct world *w = ctx;
	struct buf der;
	int rc;

	buf_init(&der, TLS_CSR_MAX);
	rc = tls_identity_csr(w->machine.key, &der, NULL);
	buf_deinit(&der);
	return rc;
}

static void test_no_memory(void **state)
{
	fault_each_alloc(request_body, *state, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_public_key_makes_no_request),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_machine_names),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
