#include "platform/machine_id.h"

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "lib/base/text.h"
#include "platform/files.h"

#define RAW_SIZE 16

/* ERR_NOTFOUND also for what is no id: "uninitialized" in an image that has never been started. */
static int read_raw(const char *path, unsigned char raw[RAW_SIZE])
{
	struct buf text;
	buf_init(&text, 128);
	int rc = files_read_whole(path, 64, &text, NULL);
	if (rc == 0 && text.len < (size_t)RAW_SIZE * 2)
		rc = ERR_NOTFOUND;
	if (rc == 0)
		rc = text_from_hex(text.data, (size_t)RAW_SIZE * 2, raw, RAW_SIZE);
	buf_deinit(&text);
	return rc < 0 ? ERR_NOTFOUND : 0;
}

int machine_id_get(unsigned char out[MACHINE_ID_SIZE], struct err *err)
{
	static const char purpose[] = "envwarden machine id 1";
	unsigned char raw[RAW_SIZE];
	struct sha256 hash;
	int rc = read_raw("/etc/machine-id", raw);
	if (rc < 0)
		rc = read_raw("/var/lib/dbus/machine-id", raw);
	if (rc < 0)
		return err_set(err, rc, "this system has no /etc/machine-id");
	sha256_init(&hash);
	sha256_update(&hash, purpose, sizeof(purpose));
	sha256_update(&hash, raw, sizeof(raw));
	sha256_final(&hash, out);
	crypto_wipe(raw, sizeof(raw));
	return 0;
}
