#include <string.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/base/crypto.h"
#include "platform/files.h"
#include "platform/terminal.h"
#include "server/admin-cli/client.h"
#include "server/admin-cli/commands.h"

#define PASSWORD_BYTES 1025

/* The first line of a file, or of stdin for "-". */
static int read_password(const char *path, char out[PASSWORD_BYTES], struct err *err)
{
	struct buf text;
	int rc = 0;

	if (strcmp(path, "-") == 0) {
		if (!fgets(out, PASSWORD_BYTES, stdin))
			return err_set(err, ERR_TRUNCATED, "no password on stdin");
	} else {
		buf_init(&text, 2 * PASSWORD_BYTES);
		rc = files_read_whole(path, PASSWORD_BYTES - 1, &text, err);
		if (rc == 0)
			memcpy(out, buf_cstr(&text), text.len + 1);
		if (text.data)
			crypto_wipe(text.data, text.cap);
		buf_deinit(&text);
		if (rc < 0)
			return err_context(err, "--password-file");
	}
	out[strcspn(out, "\r\n")] = '\0';
	return 0;
}

static int ask_password(const struct admin *a, char out[PASSWORD_BYTES], struct err *err)
{
	const char *path = a->options.values[OPT_PASSWORD_FILE];
	int rc;

	if (path)
		return read_password(path, out, err);
	rc = terminal_read_line("Password: ", true, out, PASSWORD_BYTES, err);
	return rc == ERR_NOTFOUND
		       ? err_set(err, rc, "no terminal to ask on; give --password-file F or -")
		       : rc;
}

static enum admin_exit keep_token(struct admin *a, const json_t *answer)
{
	const char *token = json_string_value(json_object_get(answer, "token"));
	struct err err = ERR_INIT;

	if (!token || strlen(token) >= sizeof(a->config.token))
		return admin_fail(a, ADMIN_FAILED, "%s does not answer as an envwarden server",
				  a->config.server);
	(void)snprintf(a->config.token, sizeof(a->config.token), "%s", token);
	if (config_save(&a->config, &err) < 0)
		return admin_fail(a, ADMIN_FAILED, "%s", err.text);
	return ADMIN_OK;
}

enum admin_exit cmd_login(struct admin *a, const char *const *words, size_t n)
{
	const char *user = a->options.values[OPT_USER];
	char password[PASSWORD_BYTES];
	struct err err = ERR_INIT;
	enum admin_exit result;
	json_t *answer = NULL;
	json_t *body;

	(void)words;
	(void)n;
	if (!user)
		return admin_fail(a, ADMIN_USAGE, "login --user NAME");
	if (ask_password(a, password, &err) < 0)
		return admin_fail(a, ADMIN_FAILED, "%s", err.text);
	crypto_wipe(a->config.token, sizeof(a->config.token));
	body = json_pack("{s:s, s:s}", "user", user, "password", password);
	crypto_wipe(password, sizeof(password));
	if (!body)
		return admin_fail(a, ADMIN_FAILED, "user or password is not UTF-8");
	result = client_call(a, "POST", "/tokens", body, &answer);
	json_decref(body);
	if (result == ADMIN_OK)
		result = keep_token(a, answer);
	if (result == ADMIN_OK)
		admin_say(a, "Logged in to %s as %s (%s).", a->config.server, user,
			  json_string_value(json_object_get(answer, "role")));
	json_decref(answer);
	return result;
}

enum admin_exit cmd_logout(struct admin *a, const char *const *words, size_t n)
{
	struct err err = ERR_INIT;
	enum admin_exit result;

	(void)words;
	(void)n;
	if (!a->config.token[0]) {
		admin_say(a, "Not logged in.");
		return ADMIN_OK;
	}
	result = client_call(a, "DELETE", "/tokens/current", NULL, NULL);
	/* A token the server does not know any more has ended as well. */
	if (result != ADMIN_OK && result != ADMIN_FORBIDDEN)
		return result;
	crypto_wipe(a->config.token, sizeof(a->config.token));
	if (!a->options.values[OPT_TOKEN_FILE] && config_save(&a->config, &err) < 0)
		return admin_fail(a, ADMIN_FAILED, "%s", err.text);
	return result;
}
