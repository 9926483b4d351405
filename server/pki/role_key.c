#include "server/pki/role_key.h"

#include <stdio.h>
#include <string.h>

#include "platform/files.h"
#include "platform/secret.h"
#include "proto/signed.h"
#include "server/pki/ca_impl.h"

int role_key_check_role(const char *role, struct err *err)
{
	static const char *const roles[] = {ROLE_ROOT, ROLE_POLICY, ROLE_ADVISORIES, ROLE_STATUS,
					    ROLE_TIMESTAMP};

	for (size_t i = 0; i < ARRAY_SIZE(roles); i++) {
		if (strcmp(role, roles[i]) == 0)
			return 0;
	}
	return err_set(err, ERR_INVALID, "there is no role \"%.16s\"", role);
}

static int name_make(const char *role, char out[64], struct err *err)
{
	int rc = role_key_check_role(role, err);

	if (rc == 0)
		(void)snprintf(out, 64, "role-%s.key", role);
	return rc;
}

int role_key_read(const char *dir, const char *role, struct crypto_key **out, struct err *err)
{
	char name[64];
	int rc = name_make(role, name, err);

	return rc < 0 ? rc : ca_key_read(dir, name, out, err);
}

int role_key_write(const char *dir, const char *role, const struct crypto_key *key, struct err *err)
{
	char name[64];
	int rc = name_make(role, name, err);

	return rc < 0 ? rc : ca_key_write(dir, name, key, err);
}

int role_key_remove(const char *dir, const char *role, struct err *err)
{
	char path[CA_PATH_MAX];
	char name[64];
	int rc = name_make(role, name, err);

	if (rc == 0)
		rc = ca_path(dir, name, path, err);
	return rc < 0 ? rc : files_remove(path, err);
}

int role_key_load(const char *path, struct crypto_key **out, struct err *err)
{
	struct buf data;
	int rc;

	buf_init(&data, CRYPTO_KEY_MAX + 1);
	rc = secret_read(path, CRYPTO_KEY_MAX, &data, err);
	if (rc == 0) {
		rc = crypto_key_from_der(data.data, data.len, out, err);
		if (rc < 0 && err)
			(void)err_context(err, "%s", path);
	}
	if (data.data)
		crypto_wipe(data.data, data.len);
	buf_deinit(&data);
	return rc;
}

/* What was written is what was meant. */
static int saved_check(const char *path, const struct crypto_key *key, struct err *err)
{
	unsigned char want[SHA256_SIZE], got[SHA256_SIZE];
	struct crypto_key *again = NULL;
	int rc = role_key_load(path, &again, err);

	if (rc == 0)
		rc = crypto_key_id(key, want, err);
	if (rc == 0)
		rc = crypto_key_id(again, got, err);
	if (rc == 0 && memcmp(want, got, SHA256_SIZE) != 0)
		rc = err_set(err, ERR_CORRUPT, "%s: is another key than was written", path);
	crypto_key_free(again);
	return rc;
}

int role_key_save(const char *path, const struct crypto_key *key, struct err *err)
{
	unsigned char der[CRYPTO_KEY_MAX];
	size_t n;
	int rc;

	if (files_exists(path))
		return err_set(err, ERR_EXISTS, "%s: is there already", path);
	rc = crypto_key_to_der(key, der, sizeof(der), &n, err);
	if (rc == 0)
		rc = secret_write(path, der, n, err);
	crypto_wipe(der, sizeof(der));
	return rc < 0 ? rc : saved_check(path, key, err);
}
