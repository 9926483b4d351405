#include "platform/secret.h"

#include <windows.h>

#include <dpapi.h>

#include "lib/base/crypto.h"
#include "platform/files.h"
#include "platform/windows_text.h"

#define SEAL_EXTRA 4096 /* what the service adds is far below */

int secret_write(const char *path, const void *data, size_t n, struct err *err)
{
	/* Not written through; the prototype just lacks the const. */
	DATA_BLOB plain = {.cbData = (DWORD)n, .pbData = (BYTE *)(uintptr_t)data};
	DATA_BLOB sealed = {0};
	if (n > UINT32_MAX - SEAL_EXTRA)
		return err_set(err, ERR_LIMIT, "%s: secret too large", path);
	if (!CryptProtectData(&plain, L"envwarden", NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN,
			      &sealed))
		return windows_error(err, GetLastError(), "seal %s", path);
	int rc = files_atomic_write(path, sealed.pbData, sealed.cbData, 0600, err);
	(void)LocalFree(sealed.pbData);
	return rc;
}

static int unseal(const char *path, const struct buf *file, size_t max, struct buf *out,
		  struct err *err)
{
	DATA_BLOB sealed = {.cbData = (DWORD)file->len, .pbData = (BYTE *)file->data};
	DATA_BLOB plain = {0};
	int rc = 0;
	if (!CryptUnprotectData(&sealed, NULL, NULL, NULL, NULL, CRYPTPROTECT_UI_FORBIDDEN, &plain))
		return err_set(err, ERR_PERM, "%s: sealed by another account or machine", path);
	if (plain.cbData > max)
		rc = err_set(err, ERR_LIMIT, "%s: larger than %zu bytes", path, max);
	else
		buf_add(out, plain.pbData, plain.cbData);
	if (rc == 0 && buf_rc(out) < 0)
		rc = err_set(err, buf_rc(out), "%s: %s", path, err_text(buf_rc(out)));
	crypto_wipe(plain.pbData, plain.cbData);
	(void)LocalFree(plain.pbData);
	return rc;
}

int secret_read(const char *path, size_t max, struct buf *out, struct err *err)
{
	struct buf file;
	if (max > UINT32_MAX - SEAL_EXTRA)
		max = UINT32_MAX - SEAL_EXTRA;
	buf_init(&file, max + SEAL_EXTRA + 1);
	int rc = files_read_whole(path, max + SEAL_EXTRA, &file, err);
	if (rc == 0)
		rc = unseal(path, &file, max, out, err);
	buf_deinit(&file);
	return rc;
}
