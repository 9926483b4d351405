#include "platform/sysinfo.h"

#include <stdio.h>
#include <stdlib.h>

#include <windows.h>

#include "platform/windows_text.h"

#define VERSION_KEY L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion"
#define FIRST_BUILD_OF_11 22000 /* the registry still calls it Windows 10 */

static const char *platform_word(void)
{
	SYSTEM_INFO info;
	GetNativeSystemInfo(&info);
	switch (info.wProcessorArchitecture) {
	case PROCESSOR_ARCHITECTURE_AMD64:
		return "win-64";
	case PROCESSOR_ARCHITECTURE_ARM64:
		return "win-arm64";
	case PROCESSOR_ARCHITECTURE_INTEL:
		return "win-32";
	default:
		return "unknown";
	}
}

int sysinfo_get(struct sysinfo *out, struct err *err)
{
	wchar_t name[SYSINFO_TEXT_MAX];
	char build[64];
	char product[128];
	DWORD n = (DWORD)ARRAY_SIZE(name);
	(void)err;
	if (!GetComputerNameExW(ComputerNameDnsHostname, name, &n) ||
	    windows_utf8(name, out->hostname, sizeof(out->hostname), NULL) < 0)
		(void)snprintf(out->hostname, sizeof(out->hostname), "unknown");
	(void)snprintf(out->platform, sizeof(out->platform), "%s", platform_word());
	if (windows_registry(VERSION_KEY, L"CurrentBuildNumber", build, sizeof(build)) < 0)
		(void)snprintf(build, sizeof(build), "unknown");
	if (windows_registry(VERSION_KEY, L"ProductName", product, sizeof(product)) < 0)
		(void)snprintf(product, sizeof(product), "Windows");
	if (strtol(build, NULL, 10) >= FIRST_BUILD_OF_11)
		(void)snprintf(product, sizeof(product), "Windows 11");
	(void)snprintf(out->os, sizeof(out->os), "%s", product);
	(void)snprintf(out->kernel, sizeof(out->kernel), "build %s", build);
	return 0;
}
