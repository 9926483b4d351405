#include "agent/reader/condarc_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "tests/support/tmpdir.h"

static const struct condarc_reach everywhere = {.mounts = NULL};

/* Every file of the search path names one folder after itself. */
static const char *const places[] = {
	"base/.condarc",
	"base/condarc",
	"base/condarc.d/10.yml",
	"base/condarc.d/9.yaml",
	"base/.mambarc",
	"xdg/conda/condarc",
	"home/.config/conda/.condarc",
	"home/.conda/.condarc",
	"home/.conda/condarc.d/x.yml",
	"home/.condarc",
	"home/.config/mamba/mambarc.d/m.yml",
	"home/.mamba/mambarc",
	"home/.mambarc",
	"active/condarc",
	"named.yml",
};

static void write_all(const struct tmpdir *dir)
{
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		char text[TMPDIR_PATH_MAX];

		(void)snprintf(text, sizeof text, "envs_dirs: [/%s]\n", places[i]);
		tmpdir_write_text(dir, places[i], text);
	}
	tmpdir_write_text(dir, "home/.conda/condarc.d/no.txt", "envs_dirs: [/no]\n");
	tmpdir_write_text(dir, "home/.conda/condarc.d/broken.yml", "envs_dirs: [/no\n");
	tmpdir_write_text(dir, "home/.conda/condarc.d/other.yml", "channels: [a]\n");
}

static void expect(struct condarc_found *found, const char *const *names)
{
	size_t n = 0;

	for (; names[n] != NULL; n++) {
		if (n >= found->n || strcmp(found->files[n]->items[0].text + 1, names[n]) != 0)
			fail_msg("%zu is %s, not %s", n,
				 n < found->n ? found->files[n]->items[0].text : "none", names[n]);
	}
	assert_int_equal(found->n, n);
	condarc_found_release(found);
}

static void the_order_is_condas(void **state)
{
	static const char *const conda[] = {"base/.condarc",
					    "base/condarc",
					    "base/condarc.d/10.yml",
					    "base/condarc.d/9.yaml",
					    "xdg/conda/condarc",
					    "home/.config/conda/.condarc",
					    "home/.conda/.condarc",
					    "home/.conda/condarc.d/x.yml",
					    "home/.condarc",
					    "active/condarc",
					    "named.yml",
					    NULL};
	static const char *const mamba[] = {"base/.condarc",
					    "base/condarc",
					    "base/condarc.d/10.yml",
					    "base/condarc.d/9.yaml",
					    "base/.mambarc",
					    "home/.config/conda/.condarc",
					    "home/.conda/.condarc",
					    "home/.conda/condarc.d/x.yml",
					    "home/.condarc",
					    "xdg/conda/condarc",
					    "active/condarc",
					    "named.yml",
					    "home/.config/mamba/mambarc.d/m.yml",
					    "home/.mamba/mambarc",
					    "home/.mambarc",
					    NULL};
	static const char *const of_home[] = {"home/.config/conda/.condarc",
					      "home/.conda/.condarc",
					      "home/.conda/condarc.d/x.yml",
					      "home/.condarc",
					      "home/.config/mamba/mambarc.d/m.yml",
					      "home/.mamba/mambarc",
					      "home/.mambarc",
					      NULL};
	struct tmpdir dir;
	char paths[5][TMPDIR_PATH_MAX];
	static const char *const names[] = {"home", "xdg", "base", "active", "named.yml"};
	struct condarc_cache *cache = condarc_cache_new();
	struct condarc_found found;
	struct condarc_who who = {.uid = (uint32_t)getuid(), .mambarc = ""};

	(void)state;
	tmpdir_make(&dir);
	write_all(&dir);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		tmpdir_path(&dir, names[i], paths[i]);
	who.home = paths[0];
	who.xdg_config_home = paths[1];
	who.base = paths[2];
	who.conda_prefix = paths[3];
	who.condarc = paths[4];
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	expect(&found, conda);
	who.mamba = true;
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	expect(&found, mamba);
	assert_int_equal(condarc_path_of_home(cache, &everywhere, paths[0], who.uid, &found), 0);
	expect(&found, of_home);
	/* A change is seen, the same file twice counts once, a stranger's not at all. */
	tmpdir_write_text(&dir, "home/.condarc", "envs_dirs: [/new, /er]\n");
	who = (struct condarc_who){.uid = (uint32_t)getuid(),
				   .home = paths[0],
				   .xdg_config_home = "",
				   .base = "",
				   .conda_prefix = paths[0],
				   .condarc = "",
				   .mambarc = ""};
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	expect(&found, (const char *const[]){"home/.config/conda/.condarc", "home/.conda/.condarc",
					     "home/.conda/condarc.d/x.yml", "new", NULL});
	who.uid = 12345;
	who.conda_prefix = "";
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	assert_int_equal(found.n, getuid() == 0 ? 4 : 0);
	condarc_found_release(&found);
	condarc_cache_free(cache);
	tmpdir_remove(&dir);
}

static void a_named_folder_counts(void **state)
{
	struct tmpdir dir;
	char folder[TMPDIR_PATH_MAX];
	char link[TMPDIR_PATH_MAX];
	struct condarc_cache *cache = condarc_cache_new();
	struct condarc_found found;
	struct condarc_who who = {.uid = (uint32_t)getuid(),
				  .home = "",
				  .xdg_config_home = "",
				  .base = "",
				  .conda_prefix = "",
				  .condarc = folder,
				  .mambarc = ""};

	(void)state;
	tmpdir_make(&dir);
	tmpdir_write_text(&dir, "many/b.yml", "envs_dirs: [/b]\n");
	tmpdir_write_text(&dir, "many/a.yaml", "envs_dirs: [/a]\n");
	tmpdir_write_text(&dir, "many/c.txt", "envs_dirs: [/c]\n");
	tmpdir_path(&dir, "many", folder);
	tmpdir_path(&dir, "many/z.yml", link);
	assert_int_equal(symlink("a.yaml", link), 0);
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	expect(&found, (const char *const[]){"a", "b", "a", NULL}); /* and the link */
	tmpdir_path(&dir, "many/c.txt", folder);
	assert_int_equal(condarc_path_of_user(cache, &everywhere, &who, &found), 0);
	assert_int_equal(found.n, 0);
	condarc_cache_free(cache);
	tmpdir_remove(&dir);
}

/* More files than are remembered, in one round after the other. */
static void the_cache_is_bounded(void **state)
{
	struct tmpdir dir;
	struct condarc_cache *cache = condarc_cache_new();
	struct condarc_found found;

	(void)state;
	tmpdir_make(&dir);
	for (int i = 0; i < CONDARC_CACHE_MAX + 40; i++) {
		char name[64];
		char path[TMPDIR_PATH_MAX];
		char text[64];

		(void)snprintf(name, sizeof name, "%d/.condarc", i);
		(void)snprintf(text, sizeof text, "envs_dirs: [/%d]\n", i);
		tmpdir_write_text(&dir, name, text);
		*strchr(name, '/') = '\0';
		tmpdir_path(&dir, name, path);
		assert_int_equal(condarc_path_of_folder(cache, &everywhere, path, &found), 0);
		assert_int_equal(found.n, 1);
		assert_int_equal(strtol(found.files[0]->items[0].text + 1, NULL, 10), i);
		condarc_found_release(&found);
	}
	condarc_cache_free(cache);
	tmpdir_remove(&dir);
}

#define MEMBER 12345

/* Where ~/.condarc leads, whose that is and who may read it; what comes of it for MEMBER. */
static const struct link_row {
	const char *target;
	uint32_t target_owner;
	uint32_t target_mode;
	uint32_t folder_mode;
	uint32_t link_owner;
	bool read;
} link_rows[] = {
	{"dot/condarc", MEMBER, 0600, 0700, MEMBER, true},
	{"dot/condarc", 0, 0644, 0755, MEMBER, true},
	{"dot/condarc", 0, 0644, 0755, 0, true},
	{"dot/condarc", 0, 0640, 0755, MEMBER, false}, /* not for everybody to read */
	{"dot/condarc", 0, 0644, 0700, MEMBER, false}, /* ... where not everybody may go */
	{"dot/condarc", 54321, 0644, 0755, MEMBER, false},
	{"dot/condarc", MEMBER, 0600, 0700, 54321, false}, /* a stranger's link */
	{"dot", MEMBER, 0600, 0755, MEMBER, false},
	{"dot/none", MEMBER, 0600, 0755, MEMBER, false},
};

static void a_link_opens_what_its_account_may_read(void **state)
{
	struct condarc_cache *cache = condarc_cache_new();
	struct condarc_found found;
	struct tmpdir dir;
	char home[TMPDIR_PATH_MAX], folder[TMPDIR_PATH_MAX], file[TMPDIR_PATH_MAX],
		target[TMPDIR_PATH_MAX], link[TMPDIR_PATH_MAX];

	(void)state;
	if (getuid() != 0)
		skip(); /* only root can give files away */
	tmpdir_make(&dir);
	assert_int_equal(chmod(dir.path, 0755), 0);
	tmpdir_write_text(&dir, "dot/condarc", "envs_dirs: [/linked]\n");
	tmpdir_write_text(&dir, "home/x", "");
	tmpdir_path(&dir, "home", home);
	tmpdir_path(&dir, "dot", folder);
	tmpdir_path(&dir, "dot/condarc", file);
	tmpdir_path(&dir, "home/.condarc", link);
	for (size_t i = 0; i < ARRAY_SIZE(link_rows); i++) {
		const struct link_row *row = &link_rows[i];

		tmpdir_path(&dir, row->target, target);
		(void)unlink(link);
		assert_int_equal(symlink(target, link), 0);
		assert_int_equal(lchown(link, row->link_owner, 0), 0);
		assert_int_equal(chown(file, row->target_owner, 0), 0);
		assert_int_equal(chmod(file, row->target_mode), 0);
		assert_int_equal(chmod(folder, row->folder_mode), 0);
		assert_int_equal(condarc_path_of_home(cache, &everywhere, home, MEMBER, &found), 0);
		if (found.n != row->read)
			fail_msg("row %zu: %zu files", i, found.n);
		condarc_found_release(&found);
	}
	condarc_cache_free(cache);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_order_is_condas),
		cmocka_unit_test(a_named_folder_counts),
		cmocka_unit_test(a_link_opens_what_its_account_may_read),
		cmocka_unit_test(the_cache_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
