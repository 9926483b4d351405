#include <stdio.h>
#include <string.h>

#include "agent/cli/command.h"
#include "agent/cli/grace.h"
#include "agent/cli/output.h"
#include "lib/base/compiler.h"
#include "lib/base/crypto.h"
#include "platform/terminal.h"

#define CODE_MAX 256

static const struct arg_option option_table[] = {GRACE_OPTIONS};

static const struct arg_table table = {
	.synopsis = "unlock ENV [CODE] [options]",
	.help = "Uses a code an administrator gave you for this environment; asks for it if it is\n"
		"not given. It works without the network, and for a while only.",
	.max_words = 2,
	.options = option_table,
	.n_options = ARRAY_SIZE(option_table),
};

/* From the terminal, or whatever stdin is. */
static int ask_code(char code[CODE_MAX], struct err *err)
{
	if (terminal_is(TERMINAL_ERR))
		(void)fputs("Code: ", stderr);
	if (fgets(code, CODE_MAX, stdin) == NULL)
		return err_set(err, ERR_USAGE, "no code was given");
	code[strcspn(code, "\r\n")] = '\0';
	return 0;
}

int command_unlock(int argc, char **argv)
{
	Envwarden__Local__Envelope m = ENVWARDEN__LOCAL__ENVELOPE__INIT;
	Envwarden__Local__UnlockRequest request = ENVWARDEN__LOCAL__UNLOCK_REQUEST__INIT;
	struct grace_options options = {.socket = NULL};
	char code[CODE_MAX];
	struct target target;
	struct err err = ERR_INIT;
	struct args args = {0};
	int rc = args_parse(&table, argc, argv, &options, &args, &err);
	bool named = options.words.prefix != NULL || options.words.name != NULL;

	if (rc == 0 && args.help)
		return EXIT_FINE;
	if (!named && args.n_words > 0)
		options.words.env = args.words[0];
	if (rc == 0 && args.n_words > (named ? 1 : 2))
		rc = err_set(&err, ERR_USAGE, "too many words");
	if (rc == 0)
		rc = target_init(&target, &options.words, &err);
	if (rc == 0 && args.n_words == (named ? 1 : 2))
		request.code = (char *)(uintptr_t)args.words[named ? 0 : 1];
	else if (rc == 0)
		rc = ask_code(code, &err);
	if (rc < 0)
		return output_usage(argv[0], &err);
	if (request.code[0] == '\0')
		request.code = code;
	request.target = &target.wire;
	m.kind_case = ENVWARDEN__LOCAL__ENVELOPE__KIND_UNLOCK;
	m.unlock = &request;
	rc = grace_ask(&options, &m, "envwarden.unlock/1", "is unlocked");
	crypto_wipe(code, sizeof code);
	return rc;
}
