#include "server/pki/ca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

#include "lib/net/tls_identity.h"
#include "tests/support/tmpdir.h"

#define T0 INT64_C(1764000000000)
#define DAY INT64_C(86400000)

struct fixture {
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct ca *ca;
	struct err err;
};

static const struct uuid org = {{0xab, 7}};
static const struct uuid machine = {{1, 2, 3}};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	tmpdir_make(&f.dir);
	tmpdir_path(&f.dir, "pki", f.path);
	assert_int_equal(ca_create(f.path, &org, T0, &f.ca, &f.err), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ca_free(f->ca);
	tmpdir_remove(&f->dir);
	return 0;
}

static struct tls_identity parse(struct fixture *f, const struct ca_cert *leaf)
{
	unsigned char chain[2 * CA_CERT_MAX];
	struct tls_identity id;

	memcpy(chain, leaf->der, leaf->n);
	memcpy(chain + leaf->n, ca_root(f->ca)->der, ca_root(f->ca)->n);
	assert_int_equal(tls_identity_parse(chain, leaf->n + ca_root(f->ca)->n, &id, &f->err), 0);
	assert_int_equal(id.certs, 2);
	return id;
}

static void request(struct buf *out, struct crypto_key **key)
{
	buf_init(out, TLS_CSR_MAX);
	assert_int_equal(crypto_key_new(key, NULL), 0);
	assert_int_equal(tls_identity_csr(*key, out, NULL), 0);
}

/* The exit code of a shell command, its output thrown away. */
EW_PRINTF(1, 2) static int run(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	return system(command);
}

static void test_root(void **state)
{
	struct fixture *f = *state;
	struct ca *again;
	struct tls_identity id;
	unsigned char hash[SHA256_SIZE];

	assert_int_equal(ca_create(f->path, &org, T0, &again, &f->err), ERR_EXISTS);
	assert_int_equal(ca_load(f->path, &again, &f->err), 0);
	assert_int_equal(ca_root(again)->n, ca_root(f->ca)->n);
	assert_int_equal(tls_identity_parse(ca_root(again)->der, ca_root(again)->n, &id, NULL), 0);
	ca_root_spki_hash(again, hash);
	assert_memory_equal(hash, id.spki_hash, sizeof(hash));
	assert_int_equal(id.not_after_ms, T0 + CA_ROOT_DAYS * DAY);
	ca_free(again);
}

static void test_machine(void **state)
{
	struct fixture *f = *state;
	struct crypto_key *key;
	struct buf csr;
	struct ca_issued one, two;
	struct tls_identity id;

	request(&csr, &key);
	assert_int_equal(
		ca_issue_machine(f->ca, csr.data, csr.len, &machine, false, T0, &one, &f->err), 0);
	assert_int_equal(
		ca_issue_machine(f->ca, csr.data, csr.len, &machine, true, T0, &two, &f->err), 0);
	id = parse(f, &one.cert);
	assert_true(id.has_machine);
	assert_int_equal(uuid_cmp(&id.machine, &machine), 0);
	assert_int_equal(id.not_after_ms, T0 + 30 * DAY);
	assert_int_equal(one.not_after_ms, id.not_after_ms);
	assert_memory_equal(one.key_hash, id.spki_hash, SHA256_SIZE);
	assert_int_equal(two.not_after_ms, T0 + CA_EPHEMERAL_DAYS * DAY);
	assert_memory_not_equal(one.serial, two.serial, CA_SERIAL_SIZE);
	crypto_key_free(key);
	buf_deinit(&csr);
}

static void test_bad_requests(void **state)
{
	struct fixture *f = *state;
	static unsigned char big[CA_CSR_MAX + 1];
	struct crypto_key *key;
	struct buf csr;
	struct ca_issued out;
	size_t refused = 0;

	request(&csr, &key);
	assert_int_equal(ca_issue_machine(f->ca, "", 0, &machine, false, T0, &out, NULL),
			 ERR_INVALID);
	assert_int_equal(ca_issue_machine(f->ca, "garbage", 7, &machine, false, T0, &out, NULL),
			 ERR_INVALID);
	assert_int_equal(ca_issue_machine(f->ca, big, sizeof(big), &machine, false, T0, &out, NULL),
			 ERR_INVALID);
	for (size_t n = 0; n < csr.len; n++) /* cut anywhere */
		assert_int_equal(
			ca_issue_machine(f->ca, csr.data, n, &machine, false, T0, &out, NULL),
			ERR_INVALID);
	for (size_t i = 0; i < csr.len; i++) { /* any byte changed */
		int rc;

		csr.data[i] ^= 0x10;
		rc = ca_issue_machine(f->ca, csr.data, csr.len, &machine, false, T0, &out, NULL);
		assert_true(rc == ERR_INVALID || rc == ERR_VERIFY);
		refused += rc == ERR_VERIFY;
		csr.data[i] ^= 0x10;
	}
	assert_true(refused > 0);
	assert_int_equal(
		ca_issue_machine(f->ca, csr.data, csr.len, &machine, false, T0, &out, NULL), 0);
	crypto_key_free(key);
	buf_deinit(&csr);
}

static void test_server(void **state)
{
	struct fixture *f = *state;
	struct ca_identity first, again, later;
	struct crypto_key *key = NULL;
	struct tls_identity id;
	char name[CA_SERVER_NAME_MAX];
	unsigned char hash[SHA256_SIZE];

	ca_server_name(&org, name);
	assert_string_equal(name, "server.ab070000000000000000000000000000.envwarden.internal");
	assert_int_equal(ca_server_identity(f->ca, &org, T0, &first, &f->err), 0);
	id = parse(f, &first.cert);
	assert_int_equal(id.not_after_ms, T0 + CA_SERVER_DAYS * DAY);
	assert_int_equal(crypto_key_from_der(first.key, first.key_n, &key, NULL), 0);
	assert_int_equal(crypto_key_id(key, hash, NULL), 0);
	assert_memory_equal(hash, id.spki_hash, sizeof(hash));
	crypto_key_free(key);
	assert_int_equal(ca_server_identity(f->ca, &org, T0 + 300 * DAY, &again, &f->err), 0);
	assert_int_equal(again.cert.n, first.cert.n);
	assert_memory_equal(again.cert.der, first.cert.der, first.cert.n);
	assert_int_equal(ca_server_identity(f->ca, &org, T0 + 336 * DAY, &later, &f->err), 0);
	assert_int_equal(parse(f, &later.cert).not_after_ms, T0 + (336 + CA_SERVER_DAYS) * DAY);
	/* Damage heals by itself. */
	tmpdir_write_text(&f->dir, "pki/server.crt", "damaged");
	assert_int_equal(ca_server_identity(f->ca, &org, T0, &again, &f->err), 0);
	(void)parse(f, &again.cert);
	ca_identity_wipe(&first);
}

static void test_key_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct ca_identity id;
	struct crypto_key *key;
	struct buf csr;
	struct ca_issued out;
	char path[TMPDIR_PATH_MAX];
	struct ca *ca;
	uv_fs_t req;

	assert_int_equal(ca_server_identity(f->ca, &org, T0, &id, &f->err), 0);
	tmpdir_path(&f->dir, "pki/ca.key", path);
	assert_int_equal(uv_fs_unlink(NULL, &req, path, NULL), 0);
	uv_fs_req_cleanup(&req);
	assert_int_equal(ca_load(f->path, &ca, &f->err), 0);
	request(&csr, &key);
	assert_int_equal(ca_issue_machine(ca, csr.data, csr.len, &machine, false, T0, &out, NULL),
			 ERR_PERM);
	assert_int_equal(ca_server_identity(ca, &org, T0 + 350 * DAY, &id, NULL),
			 0); /* due, good */
	assert_int_equal(ca_server_identity(ca, &org, T0 + 366 * DAY, &id, NULL), ERR_PERM);
	crypto_key_free(key);
	buf_deinit(&csr);
	ca_free(ca);
}

static void test_damaged(void **state)
{
	struct fixture *f = *state;
	struct ca *ca;
	char path[TMPDIR_PATH_MAX];

	tmpdir_path(&f->dir, "none", path);
	assert_int_equal(ca_load(path, &ca, &f->err), ERR_NOTFOUND);
	tmpdir_write_text(&f->dir, "pki/ca.crt", "damaged");
	assert_int_equal(ca_load(f->path, &ca, &f->err), ERR_CORRUPT);
}

static void read_file(const char *path, char *out, size_t cap)
{
	FILE *file = fopen(path, "r");
	size_t n;

	assert_non_null(file);
	n = fread(out, 1, cap - 1, file);
	out[n] = '\0';
	(void)fclose(file);
}

static void test_admin(void **state)
{
	struct fixture *f = *state;
	static const char *const hosts[] = {"envwarden.example.org", "127.0.0.1", "::1"};
	static const char *const bad[] = {"a b", "", "x\ny", "exa*mple"};
	char path[TMPDIR_PATH_MAX], first[8192], second[8192];

	tmpdir_path(&f->dir, "pki/admin.crt.pem", path);
	assert_int_equal(ca_admin_identity(f->ca, hosts, 3, T0, &f->err), 0);
	read_file(path, first, sizeof(first));
	assert_int_equal(ca_admin_identity(f->ca, hosts, 3, T0 + DAY, &f->err), 0);
	read_file(path, second, sizeof(second));
	assert_string_equal(first, second); /* kept */
	assert_int_equal(ca_admin_identity(f->ca, hosts, 2, T0 + DAY, &f->err), 0);
	read_file(path, second, sizeof(second));
	assert_string_not_equal(first, second); /* other hosts */
	assert_int_equal(ca_admin_identity(f->ca, hosts, 2, T0 + 340 * DAY, &f->err), 0);
	read_file(path, first, sizeof(first));
	assert_string_not_equal(first, second); /* near its end */
	assert_int_equal(ca_admin_identity(f->ca, hosts, 0, T0, &f->err), ERR_INVALID);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ca_admin_identity(f->ca, &bad[i], 1, T0, &f->err), ERR_INVALID);
}

/* What another implementation makes of our certificates. */
static void test_openssl(void **state)
{
	struct fixture *f = *state;
	static const char *const hosts[] = {"envwarden.example.org", "127.0.0.1"};
	const char *dir = f->path;
	struct ca_identity server;
	struct crypto_key *key;
	struct buf csr;
	struct ca_issued out;
	char at[32];

	if (run("openssl version >/dev/null 2>&1") != 0)
		skip();
	request(&csr, &key);
	assert_int_equal(
		ca_issue_machine(f->ca, csr.data, csr.len, &machine, false, T0, &out, NULL), 0);
	tmpdir_write(&f->dir, "pki/machine.crt", out.cert.der, out.cert.n);
	assert_int_equal(ca_server_identity(f->ca, &org, T0, &server, NULL), 0);
	assert_int_equal(ca_admin_identity(f->ca, hosts, 2, T0, NULL), 0);
	(void)snprintf(at, sizeof(at), "%lld", (long long)(T0 / 1000 + 3600));
	assert_int_equal(run("cd %s && for c in ca machine server; do openssl x509 -inform DER -in"
			     " $c.crt -out $c.pem || exit 1; done",
			     dir),
			 0);
	assert_int_equal(run("cd %s && openssl verify -x509_strict -attime %s -CAfile ca.pem"
			     " -purpose sslclient machine.pem >/dev/null",
			     dir, at),
			 0);
	assert_int_equal(run("cd %s && openssl verify -x509_strict -attime %s -CAfile ca.pem"
			     " -purpose sslserver -verify_hostname"
			     " server.ab070000000000000000000000000000.envwarden.internal"
			     " server.pem >/dev/null",
			     dir, at),
			 0);
	assert_int_equal(run("cd %s && openssl verify -attime %s -CAfile ca.pem -purpose sslserver"
			     " -verify_ip 127.0.0.1 admin.crt.pem >/dev/null",
			     dir, at),
			 0);
	assert_int_not_equal(run("cd %s && openssl verify -attime %s -CAfile ca.pem -purpose"
				 " sslserver machine.pem >/dev/null 2>&1",
				 dir, at),
			     0);
	assert_int_equal(run("cd %s && openssl x509 -in machine.pem -noout -ext subjectAltName |"
			     " grep -q URI:urn:envwarden:machine:01020300-",
			     dir),
			 0);
	assert_int_equal(run("cd %s && openssl ec -in admin.key.pem -noout 2>/dev/null", dir), 0);
	crypto_key_free(key);
	buf_deinit(&csr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_machine, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
		cmocka_unit_test_setup_teardown(test_admin, setup, teardown),
		cmocka_unit_test_setup_teardown(test_openssl, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
