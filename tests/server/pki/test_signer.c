#include "server/pki/signer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <uv.h>

#include "proto/signed.h"
#include "tests/support/tmpdir.h"

#define T0 INT64_C(1764000000000)

struct fixture {
	struct tmpdir dir;
	char path[TMPDIR_PATH_MAX];
	struct signer *signer;
	struct buf root;
	struct buf out;
	struct arena arena;
	struct err err;
};

static const struct signer_org org = {.id = {{7}},
				      .name = "Example",
				      .logging = true,
				      .contact = "security@example.org",
				      .when_agent_down = "last_decision"};
static const struct uuid machine = {{1, 2, 3}};

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	tmpdir_make(&f.dir);
	tmpdir_path(&f.dir, "keys", f.path);
	buf_init(&f.root, LIMIT_BUNDLE);
	buf_init(&f.out, LIMIT_BUNDLE);
	arena_init(&f.arena, LIMIT_BUNDLE_MEMORY);
	assert_int_equal(signer_create(f.path, &org, T0, &f.signer, &f.root, &f.err), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	signer_free(f->signer);
	buf_deinit(&f->root);
	buf_deinit(&f->out);
	arena_deinit(&f->arena);
	tmpdir_remove(&f->dir);
	return 0;
}

static int check(struct fixture *f, const char *role, uint64_t min, int64_t now,
		 Envwarden__Bundle__Body **body)
{
	struct root_info root;
	struct signed_check check = {.min_version = min, .now_ms = now};

	assert_int_equal(root_first(f->root.data, f->root.len, &root, &f->err), 0);
	check.keys = root_role(&root, role);
	assert_non_null(check.keys);
	return signed_verify(f->out.data, f->out.len, &check, &f->arena, body, &f->err);
}

static void test_root(void **state)
{
	static const char *const roles[] = {"root", "policy", "advisories", "status", "timestamp"};
	struct fixture *f = *state;
	struct root_info root;

	assert_int_equal(root_first(f->root.data, f->root.len, &root, &f->err), 0);
	assert_int_equal(root.version, 1);
	assert_int_equal(uuid_cmp(&root.organisation, &org.id), 0);
	assert_string_equal(root.name, "Example");
	assert_int_equal(root.n_roles, 5);
	for (size_t i = 0; i < 5; i++) {
		assert_non_null(root_role(&root, roles[i]));
		assert_int_equal(root_role(&root, roles[i])->threshold, 1);
	}
	assert_int_equal(root_current(&root, T0 + SIGNER_ROOT_MS - 1, NULL), 0);
	assert_int_equal(root_current(&root, T0 + SIGNER_ROOT_MS + 1, NULL), ERR_EXPIRED);
}

static void test_status(void **state)
{
	struct fixture *f = *state;
	static const char *const labels[] = {"finance", "laptop"};
	const struct status_entry entries[] = {
		{.environment = {{9}}, .action = ACTION_BLOCK, .message = "no", .until_ms = T0 + 1},
		{.environment = {{10}}, .action = ACTION_WARN, .message = "", .until_fixed = true},
	};
	struct signer_status status = {.machine = machine,
				       .version = 5,
				       .statuses = entries,
				       .n_statuses = 2,
				       .labels = labels,
				       .n_labels = 2};
	Envwarden__Bundle__Body *body;

	assert_int_equal(signer_sign_status(f->signer, &org, &status, T0, &f->out, &f->err), 0);
	assert_int_equal(check(f, ROLE_STATUS, 5, T0, &body), 0);
	assert_int_equal(body->version, 5);
	assert_memory_equal(body->status->machine.data, machine.b, UUID_SIZE);
	assert_true(body->status->logging);
	assert_string_equal(body->status->contact, org.contact);
	assert_string_equal(body->status->when_agent_down, "last_decision");
	assert_int_equal(body->status->n_statuses, 2);
	assert_int_equal(body->status->statuses[0]->action, ENVWARDEN__ACTION__ACTION_BLOCK);
	assert_int_equal(body->status->statuses[0]->until_ms, T0 + 1);
	assert_true(body->status->statuses[1]->until_fixed);
	assert_string_equal(body->status->labels[1], "laptop");
	assert_int_equal(check(f, ROLE_STATUS, 6, T0, &body), ERR_STALE);
	assert_true(check(f, ROLE_TIMESTAMP, 0, T0, &body) < 0); /* another role's keys */
	f->out.data[f->out.len / 2] ^= 1;
	assert_true(check(f, ROLE_STATUS, 5, T0, &body) < 0);
}

static void test_policy(void **state)
{
	struct fixture *f = *state;
	struct rule rule = {.id = "old",
			    .when = {.kind = CONDITION_TOOL},
			    .action = ACTION_BLOCK,
			    .message = "No.",
			    .fix = ""};
	const char *const tools[] = {"pixi"};
	struct policy policy;
	Envwarden__Bundle__Body *body;

	policy_init(&policy);
	rule.when.texts = (struct texts_list){tools, 1};
	policy.rules = &rule;
	policy.n_rules = 1;
	assert_int_equal(signer_sign_policy(f->signer, &policy, 7, T0, &f->out, &f->err), 0);
	assert_int_equal(check(f, ROLE_POLICY, 7, T0, &body), 0);
	assert_int_equal(body->policy->n_rules, 1);
	assert_string_equal(body->policy->rules[0]->id, "old");
	assert_int_equal(body->expires_ms, T0 + SIGNER_POLICY_MS);
}

static void test_timestamp(void **state)
{
	struct fixture *f = *state;
	struct signer_held held[] = {{.role = ROLE_ROOT, .version = 1},
				     {.role = ROLE_STATUS, .version = 5}};
	unsigned char hash[SHA256_SIZE];
	Envwarden__Bundle__Body *body;

	sha256("bytes", 5, held[1].hash);
	assert_int_equal(signer_sign_timestamp(f->signer,
					       &(struct signer_timestamp){.machine = machine,
									  .version = 17,
									  .held = held,
									  .n_held = 2,
									  .now_ms = T0,
									  .valid_ms = 5000},
					       &f->out, &f->err),
			 0);
	assert_int_equal(check(f, ROLE_TIMESTAMP, 17, T0 + 5000, &body), ERR_EXPIRED);
	assert_int_equal(check(f, ROLE_TIMESTAMP, 17, T0, &body), 0);
	assert_int_equal(body->timestamp->n_roles, 2);
	sha256("bytes", 5, hash);
	assert_memory_equal(body->timestamp->roles[1]->hash.data, hash, sizeof(hash));
	assert_int_equal(body->timestamp->roles[1]->version, 5);
	assert_int_equal(body->expires_ms, T0 + 5000);
}

static void test_load(void **state)
{
	struct fixture *f = *state;
	char path[TMPDIR_PATH_MAX];
	struct signer *again = NULL;
	Envwarden__Bundle__Body *body;
	uv_fs_t req;

	assert_int_equal(signer_create(f->path, &org, T0, &again, &f->out, &f->err), ERR_EXISTS);
	assert_int_equal(signer_load(f->path, &again, &f->err), 0);
	buf_clear(&f->out);
	assert_int_equal(signer_sign_timestamp(again,
					       &(struct signer_timestamp){.machine = machine,
									  .version = 1,
									  .now_ms = T0,
									  .valid_ms = 1},
					       &f->out, &f->err),
			 0);
	assert_int_equal(check(f, ROLE_TIMESTAMP, 1, T0, &body), 0);
	signer_free(again);
	tmpdir_path(&f->dir, "keys/role-status.key", path);
	assert_int_equal(uv_fs_stat(NULL, &req, path, NULL), 0);
	assert_int_equal(req.statbuf.st_mode & 0777, 0600);
	uv_fs_req_cleanup(&req);
	/* A key may be taken away: that role alone is mute. */
	assert_int_equal(uv_fs_unlink(NULL, &req, path, NULL), 0);
	uv_fs_req_cleanup(&req);
	assert_int_equal(signer_load(f->path, &again, &f->err), 0);
	assert_int_equal(
		signer_sign_status(again, &org,
				   &(struct signer_status){.machine = machine, .version = 1}, T0,
				   &f->out, &f->err),
		ERR_PERM);
	signer_free(again);
	tmpdir_path(&f->dir, "nothing", path);
	assert_int_equal(signer_load(path, &again, &f->err), ERR_NOTFOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_root, setup, teardown),
		cmocka_unit_test_setup_teardown(test_status, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timestamp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_load, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
