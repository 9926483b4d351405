#include "platform/sysinfo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/files.h"

static void set_platform(const char *machine, char *out, size_t cap)
{
	static const struct {
		const char *machine;
		const char *word;
	} words[] = {
		{"x86_64", "64"}, {"i686", "32"}, {"i586", "32"}, {"i486", "32"}, {"i386", "32"},
	};
	const char *word = machine; /* conda takes the others as the kernel calls them */
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].machine, machine) == 0)
			word = words[i].word;
	(void)snprintf(out, cap, "linux-%.20s", word);
}

/* The value of PRETTY_NAME=..., in the shell's quotes or bare, for one line. */
static bool pretty_name(const char *line, char *out, size_t cap)
{
	static const char key[] = "PRETTY_NAME=";
	if (!text_starts(line, key))
		return false;
	line += sizeof(key) - 1;
	char quote = *line == '"' || *line == '\'' ? *line++ : '\0';
	size_t n = 0;
	for (; *line && *line != quote && *line != '\n' && n + 1 < cap; line++) {
		if (*line == '\\' && quote != '\'' && line[1])
			line++;
		out[n++] = *line;
	}
	out[n] = '\0';
	return n > 0 && text_is_utf8(out, n);
}

static bool read_os_release(const char *path, char *out, size_t cap)
{
	struct buf text;
	bool found = false;
	buf_init(&text, 20000);
	if (files_read_whole(path, 16384, &text, NULL) == 0) {
		const char *line = buf_cstr(&text);
		while (line && !found) {
			found = pretty_name(line, out, cap);
			line = strchr(line, '\n');
			line = line ? line + 1 : NULL;
		}
	}
	buf_deinit(&text);
	return found;
}

int sysinfo_get(struct sysinfo *out, struct err *err)
{
	struct utsname name;
	if (uname(&name) < 0)
		return err_errno(err, errno, "uname");
	(void)snprintf(out->hostname, sizeof(out->hostname), "%s", name.nodename);
	(void)snprintf(out->kernel, sizeof(out->kernel), "%s", name.release);
	set_platform(name.machine, out->platform, sizeof(out->platform));
	if (!read_os_release("/etc/os-release", out->os, sizeof(out->os)) &&
	    !read_os_release("/usr/lib/os-release", out->os, sizeof(out->os)))
		(void)snprintf(out->os, sizeof(out->os), "unknown");
	return 0;
}
