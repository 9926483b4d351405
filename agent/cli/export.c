#include <string.h>

#include "agent/cli/answer.h"
#include "agent/cli/args.h"
#include "agent/cli/command.h"
#include "agent/cli/document.h"
#include "agent/cli/moment.h"
#include "agent/cli/output.h"
#include "agent/cli/recipe.h"
#include "agent/cli/target.h"
#include "platform/clock.h"

struct options {
	struct target_words words;
	const char *format;
	const char *at;
	const char *socket;
	bool json;
};

static const struct arg_option option_table[] = {
	{"--format", "FORMAT", "explicit (conda create --file) or yaml (conda env create)",
	 offsetof(struct options, format)},
	{"--at", "T", MOMENT_HELP, offsetof(struct options, at)},
	{"--prefix", "PATH", "of the environment at this path",
	 offsetof(struct options, words.prefix)},
	{"--name", "NAME", "of the environment of this name", offsetof(struct options, words.name)},
	ARG_JSON(struct options),
	ARG_SOCKET(struct options),
};

static const struct arg_table table = {
	.synopsis = "export [ENV] --format explicit|yaml [--at T] [options]",
	.help = "Prints a file from which an environment can be made again as it is, or as it was\n"
		"at a moment. A deleted environment answers by its last path.",
	.max_words = 1,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

static int print_document(const struct answer *a, struct buf *out, struct err *err)
{
	struct json_writer w;

	output_document(&w, out, "envwarden.export/1");
	json_key(&w, "environment");
	json_begin_object(&w);
	document_uuid(&w, "id", &a->environment.id);
	json_kv_str(&w, "prefix", a->environment.prefix);
	json_kv_str(&w, "name", a->environment.name);
	json_kv_str_opt(&w, "platform", a->environment.platform);
	json_end_object(&w);
	json_key(&w, "packages");
	json_begin_array(&w);
	for (size_t i = 0; i < a->packages.n; i++)
		document_package(&w, &a->packages.items[i]);
	json_end_array(&w);
	return output_end_document(&w, err);
}

static int print(const struct answer *a, const struct options *options, struct buf *out,
		 struct err *err)
{
	struct recipe recipe = {.name = a->environment.name,
				.platform = a->environment.platform,
				.packages = &a->packages};

	if (options->json)
		return print_document(a, out, err);
	if (strcmp(options->format, "yaml") == 0)
		recipe_yaml(&recipe, out);
	else
		recipe_explicit(&recipe, out);
	return output_write(out, err);
}

static int export_it(struct client *client, const struct options *options,
		     Envwarden__Local__PackagesRequest *request, struct err *err)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	struct answer answer = {.has_environment = false};
	struct arena arena;
	struct buf out;
	int rc;

	arena_init(&arena, CLIENT_MEMORY);
	buf_init(&out, OUTPUT_MAX);
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_PACKAGES_AT;
	m.packages_at = request;
	rc = answer_collect(client, options->socket, &m, &arena, &answer, err);
	if (rc == 0)
		rc = print(&answer, options, &out, err);
	answer_deinit(&answer);
	buf_deinit(&out);
	arena_deinit(&arena);
	return rc;
}

static int check_format(const struct options *options, struct err *err)
{
	if (options->json && !options->format)
		return 0;
	if (!options->format)
		return err_set(err, ERR_USAGE, "say --format explicit or --format yaml");
	if (strcmp(options->format, "explicit") != 0 && strcmp(options->format, "yaml") != 0)
		return err_set(err, ERR_USAGE, "--format takes explicit or yaml");
	if (options->json)
		return err_set(err, ERR_USAGE, "say --format or --json, not both");
	return 0;
}

int command_export(int argc, char **argv)
{
	const struct clock *clock = clock_system();
	Envwarden__Local__PackagesRequest request = ENVWARDEN__LOCAL__PACKAGES_REQUEST__INIT;
	Envwarden__Local__Moment at;
	struct options options = {0};
	struct client client = {0};
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);

	if (rc == 0 && args.help)
		return EXIT_FINE;
	options.words.env = args.n_words > 0 ? args.words[0] : NULL;
	if (rc == 0)
		rc = check_format(&options, &err);
	if (rc == 0)
		rc = moment_parse(options.at, clock->wall_ms(clock), &at, &err);
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	request.target = &target.wire;
	request.can_prove = true;
	request.at = &at;
	return export_it(&client, &options, &request, &err) < 0 ? client_failed(&client, &err)
								: EXIT_FINE;
}
