#include "server/state_dir.h"

#include <string.h>

#include "lib/base/text.h"
#include "platform/files.h"
#include "platform/sysinfo.h"

#define LISTENING_MAX 1024
#define AGENT_LINE "agent="

int state_open(const char *dir, struct arena *arena, struct server_config *config, struct err *err)
{
	char path[PATHS_MAX];
	struct buf text;
	int rc = paths_join(path, dir, STATE_CONFIG, err);

	buf_init(&text, CONFIG_FILE_MAX + 2);
	config_init(config);
	if (rc == 0)
		rc = files_read_whole(path, CONFIG_FILE_MAX + 1, &text, err);
	if (rc == ERR_NOTFOUND)
		rc = err_set(err, rc,
			     "%s: no server's state is here; make it with \"envwarden-server "
			     "init\"",
			     dir);
	if (rc == 0) {
		rc = config_parse(text.data, text.len, arena, config, err);
		if (rc < 0)
			(void)err_context(err, "%s", path);
	}
	/* It is there, so this only looks whose it is. */
	if (rc == 0)
		rc = files_mkdir_private(dir, err);
	buf_deinit(&text);
	return rc;
}

int state_database(const char *dir, char out[PATHS_MAX], struct err *err)
{
	char path[PATHS_MAX];
	int rc = paths_join(path, dir, STATE_DATABASE, err);

	if (rc == 0 && !files_exists(path))
		rc = err_set(err, ERR_NOTFOUND,
			     "%s: the database is not there; if a restore was cut short, run it "
			     "again, else restore a backup",
			     path);
	if (rc == 0)
		memcpy(out, path, sizeof(path));
	return rc;
}

bool address_is_wildcard(const struct address *address)
{
	return strcmp(address->host, "0.0.0.0") == 0 || strcmp(address->host, "::") == 0;
}

bool state_listening(const char *dir, struct address *out)
{
	char path[PATHS_MAX];
	struct buf text;
	char *line;
	bool found = false;

	buf_init(&text, LISTENING_MAX + 2);
	if (paths_join(path, dir, STATE_LISTENING, NULL) == 0 &&
	    files_read_whole(path, LISTENING_MAX, &text, NULL) == 0 && buf_cstr(&text)[0]) {
		line = text.data;
		line[strcspn(line, "\n")] = '\0';
		found = text_starts(line, AGENT_LINE) &&
			address_parse(line + strlen(AGENT_LINE), 0, out, NULL) == 0;
	}
	buf_deinit(&text);
	return found;
}

size_t state_public_addresses(const struct server_config *config, const struct address *listening,
			      struct address out[JOIN_CODE_ADDRESSES_MAX])
{
	struct sysinfo info;

	if (config->n_public > 0) {
		memcpy(out, config->public_address, sizeof(config->public_address));
		return config->n_public;
	}
	out[0] = listening ? *listening : config->agent_address;
	if (address_is_wildcard(&out[0]) && sysinfo_get(&info, NULL) == 0) {
		memset(out[0].host, 0, sizeof(out[0].host));
		memcpy(out[0].host, info.hostname, strnlen(info.hostname, sizeof(out[0].host) - 1));
	}
	return 1;
}

int state_write_listening(const char *path, const struct address *agent,
			  const struct address *admin, struct err *err)
{
	char agent_text[ADDRESS_TEXT_MAX], admin_text[ADDRESS_TEXT_MAX];
	struct buf text;
	int rc;

	address_format(agent, agent_text);
	address_format(admin, admin_text);
	buf_init(&text, LISTENING_MAX);
	buf_addf(&text, AGENT_LINE "%s\nadmin=%s\n", agent_text, admin_text);
	rc = buf_rc(&text) < 0 ? err_nomem(err)
			       : files_atomic_write(path, text.data, text.len, 0644, err);
	buf_deinit(&text);
	return rc;
}
