#include "agent/sync/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/agent/sync/world.h"
#include "tests/support/fault.h"

struct fixture {
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct sync_identity id;
};

static int setup(void **state)
{
	static struct fixture f;

	tmpdir_make(&f.dir);
	tmpdir_path(&f.dir, "identity", f.path);
	pki_identity(&pki_get()->machine, 7443, &f.id);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	sync_identity_deinit(&f->id);
	tmpdir_remove(&f->dir);
	return 0;
}

static void assert_same(const struct sync_identity *a, const struct sync_identity *b)
{
	unsigned char x[SHA256_SIZE], y[SHA256_SIZE];

	assert_int_equal(uuid_cmp(&a->machine, &b->machine), 0);
	assert_int_equal(uuid_cmp(&a->organisation, &b->organisation), 0);
	assert_string_equal(a->name, b->name);
	assert_int_equal(a->n_addresses, b->n_addresses);
	for (size_t i = 0; i < a->n_addresses; i++)
		assert_string_equal(a->addresses[i], b->addresses[i]);
	assert_int_equal(crypto_key_id(a->key, x, NULL), 0);
	assert_int_equal(crypto_key_id(b->key, y, NULL), 0);
	assert_memory_equal(x, y, sizeof(x));
	assert_int_equal(a->chain.len, b->chain.len);
	assert_memory_equal(a->chain.data, b->chain.data, a->chain.len);
	assert_int_equal(a->root.len, b->root.len);
	assert_memory_equal(a->root.data, b->root.data, a->root.len);
}

static void assert_empty(struct sync_identity *id)
{
	assert_null(id->key);
	assert_int_equal(id->chain.len, 0);
	assert_int_equal(id->n_addresses, 0);
	assert_true(uuid_is_zero(&id->machine));
	sync_identity_deinit(id);
}

static void test_save_and_load(void **state)
{
	struct fixture *f = *state;
	struct sync_identity got;
	struct stat st;

	assert_int_equal(sync_identity_load(f->path, &got, NULL), ERR_NOTFOUND);
	assert_empty(&got);
	assert_int_equal(sync_identity_save(&f->id, f->path, NULL), 0);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(sync_identity_load(f->path, &got, NULL), 0);
	assert_same(&f->id, &got);
	/* Loaded, changed, replaced. */
	memcpy(got.name, "Other", 6);
	memcpy(got.addresses[1], "[::1]:1", 8);
	got.n_addresses = 2;
	assert_int_equal(sync_identity_save(&got, f->path, NULL), 0);
	sync_identity_deinit(&f->id);
	assert_int_equal(sync_identity_load(f->path, &f->id, NULL), 0);
	assert_same(&f->id, &got);
	sync_identity_deinit(&got);
}

static void test_others_may_read(void **state)
{
	struct fixture *f = *state;
	struct sync_identity got;
	struct err err = ERR_INIT;

	assert_int_equal(sync_identity_save(&f->id, f->path, NULL), 0);
	assert_int_equal(chmod(f->path, 0640), 0);
	assert_int_equal(sync_identity_load(f->path, &got, &err), ERR_PERM);
	assert_non_null(strstr(err.text, "chmod 600"));
	assert_empty(&got);
}

static void test_damage(void **state)
{
	struct fixture *f = *state;
	struct sync_identity got;
	struct buf bytes;

	buf_init(&bytes, SYNC_IDENTITY_MAX);
	assert_int_equal(sync_identity_encode(&f->id, &bytes, NULL), 0);
	for (size_t n = 0; n < bytes.len; n++) {
		assert_int_equal(sync_identity_decode(bytes.data, n, &got, NULL), ERR_CORRUPT);
		assert_empty(&got);
	}
	for (size_t i = 0; i < bytes.len; i++) {
		bytes.data[i] = (char)(bytes.data[i] ^ 0x20);
		assert_int_equal(sync_identity_decode(bytes.data, bytes.len, &got, NULL),
				 ERR_CORRUPT);
		assert_empty(&got);
		bytes.data[i] = (char)(bytes.data[i] ^ 0x20);
	}
	buf_deinit(&bytes);
}

/* Parts with a good checksum that do not belong together. */
static void test_mismatch(void **state)
{
	struct fixture *f = *state;
	struct crypto_key *own = f->id.key, *other;
	struct sync_identity got;
	struct err err = ERR_INIT;

	assert_int_equal(crypto_key_new(&other, NULL), 0);
	f->id.key = other;
	assert_int_equal(sync_identity_save(&f->id, f->path, NULL), 0);
	assert_int_equal(sync_identity_load(f->path, &got, &err), ERR_CORRUPT);
	assert_non_null(strstr(err.text, "another key; remove the file and enrol"));
	assert_empty(&got);
	f->id.key = own;
	crypto_key_free(other);

	f->id.machine.b[0] ^= 1;
	assert_int_equal(sync_identity_save(&f->id, f->path, NULL), 0);
	assert_int_equal(sync_identity_load(f->path, &got, NULL), ERR_CORRUPT);
	assert_empty(&got);
	f->id.machine.b[0] ^= 1;

	buf_clear(&f->id.chain);
	assert_int_equal(sync_identity_save(&f->id, f->path, NULL), 0);
	assert_int_equal(sync_identity_load(f->path, &got, NULL), ERR_CORRUPT);
	assert_empty(&got);
}

static void test_other_files(void **state)
{
	struct fixture *f = *state;
	struct sync_identity got;
	unsigned char sum[SHA256_SIZE];
	struct buf bytes;

	tmpdir_write_text(&f->dir, "identity", "");
	assert_int_equal(chmod(f->path, 0600), 0);
	assert_int_equal(sync_identity_load(f->path, &got, NULL), ERR_CORRUPT);
	buf_init(&bytes, SYNC_IDENTITY_MAX);
	buf_add(&bytes, "EWID\x02", 5);
	sha256(bytes.data, bytes.len, sum);
	buf_add(&bytes, sum, sizeof(sum));
	assert_int_equal(sync_identity_decode(bytes.data, bytes.len, &got, NULL), ERR_UNSUPPORTED);
	buf_deinit(&bytes);
}

static int save_and_load(void *ctx)
{
	struct fixture *f = ctx;
	struct sync_identity got;
	struct err err = ERR_INIT;
	int rc = sync_identity_save(&f->id, f->path, &err);

	if (rc == 0) {
		rc = sync_identity_load(f->path, &got, &err);
		sync_identity_deinit(&got);
	}
	assert_int_equal(err.code, rc);
	return rc;
}

static void test_no_memory(void **state)
{
	fault_each_alloc(save_and_load, *state, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_save_and_load, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others_may_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mismatch, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_memory, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, pki_free);
}
