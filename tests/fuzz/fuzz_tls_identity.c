#include <stdint.h>

#include "lib/base/compiler.h"
#include "lib/net/tls_identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tls_identity id;
	struct err err = ERR_INIT;

	if (tls_identity_parse(data, size, &id, &err) < 0) {
		CHECK(err.code < 0 && err.text[0] != '\0');
		return 0;
	}
	CHECK(id.certs > 0 && id.certs <= TLS_CHAIN_CERTS_MAX);
	CHECK(id.root_offset < size && id.spki_n > 0 && id.spki_n <= CRYPTO_SPKI_MAX);
	return 0;
}
