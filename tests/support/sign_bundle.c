/*
 * Signs what nobody should: a bundle of any contents, under any role, with any keys.
 *
 *   sign_bundle ROLE CONTENT MACHINE VERSION CREATED_MS EXPIRES_MS KEY_FILE... >FILE
 *
 * CONTENT: status, policy or timestamp (a status allows everything, a timestamp names nothing);
 * MACHINE: 32 hex digits; keys are DER.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/text.h"
#include "proto/convert.h"
#include "proto/signed.h"

static struct crypto_key *key_read(const char *path)
{
	unsigned char der[CRYPTO_KEY_MAX];
	struct crypto_key *key = NULL;
	FILE *file = fopen(path, "rb");
	size_t n = file ? fread(der, 1, sizeof(der), file) : 0;

	if (file)
		(void)fclose(file);
	if (crypto_key_from_der(der, n, &key, NULL) < 0) {
		fprintf(stderr, "sign_bundle: %s: no key\n", path);
		exit(1);
	}
	return key;
}

int main(int argc, char **argv)
{
	Envwarden__Bundle__Body body = ENVWARDEN__BUNDLE__BODY__INIT;
	Envwarden__Bundle__Status status = ENVWARDEN__BUNDLE__STATUS__INIT;
	Envwarden__Bundle__Policy policy = ENVWARDEN__BUNDLE__POLICY__INIT;
	Envwarden__Bundle__Timestamp timestamp = ENVWARDEN__BUNDLE__TIMESTAMP__INIT;
	const struct crypto_key *keys[LIMIT_ROLE_KEYS];
	struct crypto_key *owned[LIMIT_ROLE_KEYS];
	struct err err = ERR_INIT;
	struct uuid machine;
	struct buf out;
	size_t n = 0;
	int rc;

	if (argc < 7 || argc > 7 + LIMIT_ROLE_KEYS ||
	    text_from_hex(argv[3], 2 * UUID_SIZE, machine.b, UUID_SIZE) < 0)
		return 2;
	body.role = argv[1];
	body.version = strtoull(argv[4], NULL, 10);
	body.created_ms = strtoll(argv[5], NULL, 10);
	body.expires_ms = strtoll(argv[6], NULL, 10);
	status.machine = wire_uuid(&machine);
	status.logging = true;
	status.when_agent_down = wire_text("allow");
	policy.when_agent_down = wire_text("allow");
	if (strcmp(argv[2], "status") == 0) {
		body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_STATUS;
		body.status = &status;
	} else if (strcmp(argv[2], "timestamp") == 0) {
		timestamp.machine = wire_uuid(&machine);
		body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_TIMESTAMP;
		body.timestamp = &timestamp;
	} else {
		body.content_case = ENVWARDEN__BUNDLE__BODY__CONTENT_POLICY;
		body.policy = &policy;
	}
	for (int i = 7; i < argc; i++, n++)
		keys[n] = owned[n] = key_read(argv[i]);
	buf_init(&out, LIMIT_BUNDLE);
	rc = signed_make(&body, keys, n, &out, &err);
	if (rc < 0)
		fprintf(stderr, "sign_bundle: %s\n", err.text);
	else if (fwrite(out.data, 1, out.len, stdout) != out.len)
		rc = 1;
	for (size_t i = 0; i < n; i++)
		crypto_key_free(owned[i]);
	buf_deinit(&out);
	return rc < 0 ? 1 : rc;
}
