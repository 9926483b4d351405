/* What the Windows files of this folder share: UTF-16 at the border, and error texts. */
#ifndef ENVWARDEN_PLATFORM_WINDOWS_TEXT_H
#define ENVWARDEN_PLATFORM_WINDOWS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

#include "lib/base/err.h"
#include "platform/paths.h"

/* Both end their output; ERR_INVALID for what is not UTF-8 (UTF-16), ERR_LIMIT. cap: units. */
int windows_wide(const char *text, wchar_t *out, size_t cap, struct err *err);
int windows_utf8(const wchar_t *text, char *out, size_t cap, struct err *err);

/* A path with '\\' only and, if absolute, in the \\?\ form, which has no limit of 260. */
int windows_path(const char *path, wchar_t out[PATHS_MAX], struct err *err);

/* Sets the error for a failed system call (GetLastError's code): "<context>: <system's text>". */
int windows_error(struct err *err, unsigned long code, const char *fmt, ...) EW_PRINTF(3, 4);

/* A string value below HKEY_LOCAL_MACHINE, in the 64-bit view. ERR_NOTFOUND. */
int windows_registry(const wchar_t *key, const wchar_t *name, char *out, size_t cap);

/* The number (users.h) of the account a process runs as; process: a HANDLE. */
int windows_uid_of_process(void *process, uint32_t *uid, struct err *err);

/* The number of a SID (a PSID): its last part; 0 for SYSTEM. */
uint32_t windows_uid_of_sid(void *sid);

#endif
