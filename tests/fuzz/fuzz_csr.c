#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/compiler.h"
#include "server/pki/ca.h"

#define T0 INT64_C(1764000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One authority for all inputs, in a folder it leaves behind only as long as it takes to start. */
static struct ca *authority(void)
{
	static struct ca *ca;
	char dir[] = "/tmp/fuzz-csr-XXXXXX", path[64];

	if (ca)
		return ca;
	CHECK(mkdtemp(dir) != NULL);
	CHECK(ca_create(dir, &(struct uuid){{1}}, T0, &ca, NULL) == 0);
	(void)snprintf(path, sizeof(path), "%s/ca.key", dir);
	CHECK(remove(path) == 0);
	(void)snprintf(path, sizeof(path), "%s/ca.crt", dir);
	CHECK(remove(path) == 0 && remove(dir) == 0);
	return ca;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct uuid machine = {{2}};
	struct err err = ERR_INIT;
	struct ca_issued out;
	int rc = ca_issue_machine(authority(), data, size, &machine, false, T0, &out, &err);

	if (rc < 0)
		CHECK(err.code == rc && err.text[0] != '\0');
	else /* nothing of the request but its key: the size varies with the signature alone */
		CHECK(out.cert.n > 400 && out.cert.n < 700);
	return 0;
}
