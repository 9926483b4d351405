#include "platform/machine_id.h"

#include <string.h>

#include "lib/base/crypto.h"
#include "platform/windows_text.h"

int machine_id_get(unsigned char out[MACHINE_ID_SIZE], struct err *err)
{
	static const char purpose[] = "envwarden machine id 1";
	char raw[128];
	struct sha256 hash;
	if (windows_registry(L"SOFTWARE\\Microsoft\\Cryptography", L"MachineGuid", raw,
			     sizeof(raw)) < 0 ||
	    raw[0] == '\0')
		return err_set(err, ERR_NOTFOUND, "this system has no MachineGuid");
	sha256_init(&hash);
	sha256_update(&hash, purpose, sizeof(purpose));
	sha256_update(&hash, raw, strlen(raw));
	sha256_final(&hash, out);
	crypto_wipe(raw, sizeof(raw));
	return 0;
}
