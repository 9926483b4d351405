#include "agent/cli/command.h"
#include "agent/cli/grace.h"
#include "agent/cli/output.h"
#include "lib/base/compiler.h"

static const struct arg_option option_table[] = {GRACE_OPTIONS};

static const struct arg_table table = {
	.synopsis = "defer [ENV] [options]",
	.help = "Takes the grace your organisation's policy allows, once for each environment and\n"
		"case: what rules block is a warning until it is over. The organisation is told.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

int command_defer(int argc, char **argv)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__DeferRequest request = ENVWARDEN__LOCAL__DEFER_REQUEST__INIT;
	struct grace_options options = {.socket = NULL};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	request.target = &target.wire;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_DEFER;
	m.defer = &request;
	return grace_ask(&options, &m, "envwarden.defer/1", "warns instead of being blocked");
}
