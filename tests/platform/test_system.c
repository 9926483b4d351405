#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/text.h"
#include "platform/clock.h"
#include "platform/machine_id.h"
#include "platform/paths.h"
#include "platform/peer_cred.h"
#include "platform/sysinfo.h"
#include "platform/users.h"

static void clocks(void **state)
{
	const struct clock *clock = clock_system();
	(void)state;
	int64_t wall = clock->wall_ms(clock);
	int64_t mono = clock->mono_ms(clock);
	assert_true(wall > INT64_C(1600000000000) && wall < INT64_C(32503680000000));
	(void)usleep(3000);
	assert_in_range(clock->mono_ms(clock) - mono, 2, 60000);
}

static void joins(void **state)
{
	static const struct {
		const char *dir, *name, *want;
	} cases[] = {
		{"/a", "b", "/a/b"},
		{"/", "b", "/b"},
		{"/a/", "b", "/a/b"},
		{"a", "b/c", "a/b/c"},
	};
	char out[PATHS_MAX], big[PATHS_MAX];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(paths_join(out, cases[i].dir, cases[i].name, NULL), 0);
		assert_string_equal(out, cases[i].want);
	}
	memset(big, 'a', sizeof(big));
	big[PATHS_MAX - 3] = '\0';
	assert_int_equal(paths_join(out, big, "b", NULL), 0);
	assert_int_equal(strlen(out), PATHS_MAX - 1);
	assert_int_equal(paths_join(out, big, "bc", NULL), ERR_LIMIT);
	assert_int_equal(strlen(out), PATHS_MAX - 1); /* untouched */
}

static void parents(void **state)
{
	static const struct {
		const char *path, *want;
	} cases[] = {
		{"/a/b", "/a"}, {"/a", "/"}, {"/", "/"},      {"/a/b/", "/a"},
		{"a/b", "a"},	{"a", NULL}, {"/a//b", "/a"}, {"", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char out[PATHS_MAX] = "untouched";
		int rc = paths_parent(out, cases[i].path, NULL);
		assert_int_equal(rc, cases[i].want ? 0 : ERR_INVALID);
		assert_string_equal(out, cases[i].want ? cases[i].want : "untouched");
	}
}

static void machine_places(void **state)
{
	struct paths_agent paths;
	char out[PATHS_MAX];
	(void)state;
	assert_int_equal(paths_agent(PATHS_MACHINE, &paths, NULL), 0);
	assert_string_equal(paths.config, "/etc/envwarden/agent.conf");
	assert_string_equal(paths.state, "/var/lib/envwarden");
	assert_string_equal(paths.socket, "/run/envwarden/agent.sock");
	assert_int_equal(paths_fallback(paths.state, out, NULL), 0);
	assert_string_equal(out, "/var/lib/envwarden/public/fallback");
	assert_int_equal(paths_fallback_of_socket("/x/s.sock", out, NULL), 0);
	assert_string_equal(out, "/x/s.sock.fallback");
	assert_true(paths_is_absolute("/x") && !paths_is_absolute("x") && !paths_is_absolute(""));
}

static void set(const char *name, const char *value)
{
	assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

static void user_places(void **state)
{
	static const struct {
		const char *config_home, *state_home, *runtime_dir;
		const char *config, *state, *socket;
	} cases[] = {
		{NULL, NULL, NULL, "/h/.config/envwarden/agent.conf", "/h/.local/state/envwarden",
		 "/h/.local/state/envwarden/agent.sock"},
		{"/c", "/s", "/r", "/c/envwarden/agent.conf", "/s/envwarden",
		 "/r/envwarden/agent.sock"},
		{"c", "", "./r", "/h/.config/envwarden/agent.conf", "/h/.local/state/envwarden",
		 "/h/.local/state/envwarden/agent.sock"},
	};
	(void)state;
	set("HOME", "/h");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct paths_agent paths;
		set("XDG_CONFIG_HOME", cases[i].config_home);
		set("XDG_STATE_HOME", cases[i].state_home);
		set("XDG_RUNTIME_DIR", cases[i].runtime_dir);
		assert_int_equal(paths_agent(PATHS_USER, &paths, NULL), 0);
		assert_string_equal(paths.config, cases[i].config);
		assert_string_equal(paths.state, cases[i].state);
		assert_string_equal(paths.socket, cases[i].socket);
	}
}

static void homes(void **state)
{
	char out[PATHS_MAX];
	struct user me;
	(void)state;
	set("HOME", "/some/home");
	assert_int_equal(paths_home(out, NULL), 0);
	assert_string_equal(out, "/some/home");
	int known = users_by_uid(users_current(), &me, NULL); /* containers run nameless accounts */
	for (int i = 0; i < 2; i++) {
		set("HOME", i == 0 ? "relative" : NULL);
		assert_int_equal(paths_home(out, NULL), known);
		assert_string_equal(out, known == 0 ? me.home : "/some/home");
	}
	set("TMPDIR", "relative");
	assert_int_equal(paths_temp(out, NULL), 0);
	assert_string_equal(out, "/tmp");
	set("TMPDIR", "/var/tmp");
	assert_int_equal(paths_temp(out, NULL), 0);
	assert_string_equal(out, "/var/tmp");
}

static int look_for_root(void *ctx, const struct user *user)
{
	int *n = ctx;
	(*n)++;
	return user->uid == 0 ? 42 : 0;
}

static int count(void *ctx, const struct user *user)
{
	int *n = ctx;
	assert_true(user->name[0] != '\0');
	(*n)++;
	return 0;
}

static void users(void **state)
{
	struct user root = {0}, by_name = {0};
	int n = 0, again = 0;
	(void)state;
	assert_int_equal(users_by_uid(0, &root, NULL), 0);
	assert_string_equal(root.name, "root");
	assert_true(root.home[0] == '/');
	assert_int_equal(users_by_name("root", &by_name, NULL), 0);
	assert_int_equal(by_name.uid, 0);
	assert_string_equal(by_name.home, root.home);
	assert_int_equal(users_by_uid(4000000000u, &root, NULL), ERR_NOTFOUND);
	assert_int_equal(users_by_name("no such account", &root, NULL), ERR_NOTFOUND);
	assert_int_equal(users_each(look_for_root, &n, NULL), 42);
	n = 0;
	assert_int_equal(users_each(count, &n, NULL), 0);
	assert_int_equal(users_each(count, &again, NULL), 0);
	assert_true(n > 1);
	assert_int_equal(n, again);
	assert_int_equal(users_current(), geteuid());
	assert_int_equal(users_is_root(), geteuid() == 0);
}

static void system_facts(void **state)
{
	struct sysinfo info;
	char host[SYSINFO_TEXT_MAX] = {0};
	(void)state;
	assert_int_equal(sysinfo_get(&info, NULL), 0);
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	assert_string_equal(info.hostname, host);
	assert_true(text_starts(info.platform, "linux-"));
#if defined(__x86_64__)
	assert_string_equal(info.platform, "linux-64");
#endif
	assert_true(info.os[0] != '\0' && !strchr(info.os, '"') && !strchr(info.os, '\n'));
	assert_true(info.kernel[0] != '\0');
}

static void machine_id(void **state)
{
	unsigned char a[MACHINE_ID_SIZE] = {0}, b[MACHINE_ID_SIZE] = {1};
	unsigned char raw[16];
	char text[64] = {0};
	(void)state;
	int rc = machine_id_get(a, NULL);
	if (rc == ERR_NOTFOUND) {
		print_message("skipped: no machine id here\n");
		skip();
	}
	assert_int_equal(rc, 0);
	assert_int_equal(machine_id_get(b, NULL), 0);
	assert_memory_equal(a, b, sizeof(a));
	FILE *file = fopen("/etc/machine-id", "rb");
	if (file && fread(text, 1, 32, file) == 32 && text_from_hex(text, 32, raw, 16) == 0)
		assert_memory_not_equal(a, raw, sizeof(raw)); /* never the raw one */
	if (file)
		assert_int_equal(fclose(file), 0);
}

static void no_peer(void **state)
{
	struct peer_cred cred = {.uid = 77};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)state;
	assert_int_equal(peer_cred_get(fd, &cred, NULL), ERR_NOTFOUND);
	assert_int_equal(close(fd), 0);
	assert_true(peer_cred_get(fd, &cred, NULL) < 0);
	assert_int_equal(cred.uid, 77);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clocks),      cmocka_unit_test(joins),
		cmocka_unit_test(parents),     cmocka_unit_test(machine_places),
		cmocka_unit_test(user_places), cmocka_unit_test(homes),
		cmocka_unit_test(users),       cmocka_unit_test(system_facts),
		cmocka_unit_test(machine_id),  cmocka_unit_test(no_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
