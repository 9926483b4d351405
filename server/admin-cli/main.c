#include <signal.h>
#include <stdio.h>

#include <curl/curl.h>

#include "server/admin-cli/admin.h"

int main(int argc, char **argv)
{
	int result;

	/* Whoever reads our output may go away: then writing fails, and that is an ordinary error.
	 */
	(void)signal(SIGPIPE, SIG_IGN);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		(void)fputs("envwarden-admin: libcurl does not start\n", stderr);
		return ADMIN_FAILED;
	}
	result = (int)admin_run(argc, (const char *const *)argv, stdout, stderr);
	curl_global_cleanup();
	return result;
}
