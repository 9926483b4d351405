/* envwardend: the agent. One program, four roles; see supervisor.h. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "agent/config.h"
#include "agent/engine.h"
#include "agent/lease.h"
#include "agent/options.h"
#include "agent/reader/reader.h"
#include "agent/store/store.h"
#include "agent/supervisor.h"
#include "lib/base/log.h"
#include "platform/clock.h"
#include "platform/files.h"
#include "platform/process.h"

static int fail(const struct err *err, int code)
{
	(void)fprintf(stderr, "envwardend: %s\n", err->text);
	return code;
}

static int print_config(const struct options *options)
{
	struct config config;
	struct arena arena;
	struct buf text;
	struct buf out;
	struct err err = ERR_INIT;
	int rc;

	config_init(&config);
	arena_init(&arena, 4 * CONFIG_FILE_MAX);
	buf_init(&text, CONFIG_FILE_MAX + 1);
	buf_init(&out, 4 * CONFIG_FILE_MAX);
	rc = files_read_whole(options->paths.config, CONFIG_FILE_MAX, &text, &err);
	if (rc == 0 && config_parse(text.data, text.len, &arena, &config, &err) < 0)
		rc = err_context(&err, "%s", options->paths.config);
	if (rc == ERR_NOTFOUND && !options->config_given)
		rc = 0;
	if (rc == 0) {
		config_print(&config, &out);
		(void)fputs(buf_cstr(&out), stdout);
	} else {
		(void)fail(&err, 1);
	}
	buf_deinit(&out);
	buf_deinit(&text);
	arena_deinit(&arena);
	return rc == 0 ? 0 : 1;
}

/* Only damage counts: whatever else goes wrong, opening the store says it better. */
static int probe_store(const struct options *options)
{
	char dir[PATHS_MAX];
	int rc = paths_join(dir, options->paths.state, "store", NULL);

	if (rc == 0)
		rc = store_probe(dir, NULL);
	return rc == ERR_CORRUPT ? ENGINE_EXIT_DAMAGED : 0;
}

int main(int argc, char **argv)
{
	static struct options options;
	struct lease_ends lease = {.word = -1, .queue = -1};
	struct err err = ERR_INIT;

	log_set_clock(clock_system());
	log_setup("envwardend", LOG_INFO);
	(void)signal(SIGPIPE, SIG_IGN);
	if (options_parse(argc, argv, &options, &err) < 0) {
		(void)fail(&err, 2);
		(void)fputs(options_usage, stderr);
		return 2;
	}
	if (options.help)
		return fputs(options_usage, stdout) < 0;
	if (options.version)
		return puts("envwardend " ENVWARDEN_VERSION) < 0;
	if (options.print_config)
		return print_config(&options);
	switch (options.role) {
	case ROLE_CORE:
		return engine_main(&options, PROCESS_FD_FIRST);
	case ROLE_READER:
		if (options.lease) /* as the supervisor hands them over */
			lease = (struct lease_ends){PROCESS_FD_FIRST + 1, PROCESS_FD_FIRST + 2};
		return reader_main(PROCESS_FD_FIRST, &lease, options.parent);
	case ROLE_PROBE:
		return probe_store(&options);
	case ROLE_SUPERVISOR:
		break;
	}
	return supervisor_main(argc, argv);
}
