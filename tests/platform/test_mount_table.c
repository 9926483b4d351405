#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/mount_table.h"

static const char machine[] =
	"22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
	"23 22 0:22 / /proc rw - proc proc rw\n"
	"30 22 0:40 / /home rw shared:7 master:2 - autofs /etc/auto.home rw,fd=6,indirect\n"
	"31 30 0:41 / /home/ana rw shared:8 - nfs4 files:/export/ana rw,addr=10.0.0.1\n"
	"32 22 0:42 / /nfs rw - nfs files.example.org:/export rw\n"
	"33 32 0:43 / /nfs/deep/er rw - cifs //win/share rw\n"
	"34 22 8:17 / /media/my\\040disk\\134x rw - ext4 /dev/sdb1 rw\n"
	"35 22 0:45 / /mnt/\303\244\\012b rw - fuse.sshfs me@host: rw\n"
	/* bind mounts: of a folder, and of a file system that is another's */
	"36 22 254:1 /srv/envs /data rw - ext4 /dev/vda1 rw\n"
	"37 22 0:42 /sub /bind rw - nfs files.example.org:/export rw\n"
	/* a mount on a mount, and one that hides another with what is in it */
	"40 22 0:50 / /over rw - tmpfs first rw\n"
	"41 40 0:51 / /over rw - tmpfs second rw\n"
	"42 40 0:52 / /over/in rw - tmpfs hidden rw\n"
	"43 41 0:53 / /over/in/deep rw - tmpfs seen rw\n"
	"44 22 253:3 / /secure rw - xfs /dev/mapper/home rw\n"
	"45 22 0:54 / /empty rw - tmpfs  rw\n";

static struct mount_table *read_table(const char *text)
{
	struct mount_table *table = NULL;
	struct err err = ERR_INIT;

	if (mount_table_read(text, strlen(text), &table, &err) < 0)
		fail_msg("%s", err.text);
	return table;
}

static void longest_prefix(void **state)
{
	static const struct {
		const char *path;
		int64_t id;
		enum fs_class fs;
	} rows[] = {
		{"/", 22, FS_LOCAL},
		{"/usr/lib", 22, FS_LOCAL},
		{"/home", 30, FS_UNKNOWN},
		{"/home/bob/envs", 30, FS_UNKNOWN},
		{"/home/ana", 31, FS_NETWORK},
		{"/home/ana/", 31, FS_NETWORK},
		{"/home/ana/envs/x", 31, FS_NETWORK},
		{"/home/anab", 30, FS_UNKNOWN},
		{"/nfs/deep", 32, FS_NETWORK},
		{"/nfs/deep/er", 33, FS_NETWORK},
		{"/nfs/deep/erer", 32, FS_NETWORK},
		{"/media/my disk\\x/e", 34, FS_LOCAL},
		{"/media/my disk", 22, FS_LOCAL},
		{"/mnt/\303\244\nb/e", 35, FS_FUSE},
		{"/data/e", 36, FS_LOCAL},
		{"/bind/e", 37, FS_NETWORK},
		{"/over/e", 41, FS_LOCAL},
		{"/over/in/e", 41, FS_LOCAL},
		{"/over/in/deep/e", 43, FS_LOCAL},
		{"relative", 0, FS_UNKNOWN},
		{"", 0, FS_UNKNOWN},
	};
	struct mount_table *table = read_table(machine);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct mount *m = mount_table_find(table, rows[i].path);
		int64_t id = m != NULL ? m->id : 0;

		if (id != rows[i].id || (m != NULL && m->fs != rows[i].fs))
			fail_msg("%s: mount %d, not %d", rows[i].path, (int)id, (int)rows[i].id);
	}
	mount_table_unref(table);
}

static void fields(void **state)
{
	struct mount_table *table = read_table(machine);
	const struct mount *m = mount_table_by_id(table, 31);

	(void)state;
	assert_non_null(m);
	assert_string_equal(m->source, "files:/export/ana");
	assert_string_equal(m->type, "nfs4");
	assert_string_equal(m->root, "/");
	assert_true(m->by_automount && !m->on_access);
	m = mount_table_by_id(table, 30);
	assert_true(m->on_access && mount_is_remote(m));
	m = mount_table_by_id(table, 34);
	assert_string_equal(m->point, "/media/my disk\\x");
	assert_true(m->device == (8u << 8 | 17u));
	assert_string_equal(mount_table_by_id(table, 45)->source, "");
	assert_null(mount_table_by_id(table, 99));
	assert_true(mount_table_has_remote(table));
	mount_table_unref(table);
}

static void groups(void **state)
{
	struct mount_table *table = read_table(machine);

	(void)state;
	assert_true(mount_table_by_id(table, 22)->group == 0);
	assert_true(mount_table_by_id(table, 30)->group != 0);
	/* one server */
	assert_true(mount_table_by_id(table, 32)->group == mount_table_by_id(table, 37)->group);
	assert_true(mount_table_by_id(table, 32)->group != mount_table_by_id(table, 31)->group);
	assert_true(mount_table_by_id(table, 32)->group != mount_table_by_id(table, 33)->group);
	assert_true(mount_table_by_id(table, 35)->group != 0);
	mount_table_unref(table);
}

static const unsigned char *volume(const struct mount_table *table, int64_t id)
{
	return mount_table_by_id(table, id)->volume;
}

/* The same thing mounted again is the same volume, under whatever version of its protocol. */
static void volumes(void **state)
{
	struct mount_table *one = read_table(machine);
	struct mount_table *two =
		read_table("5 1 254:1 / / rw - ext4 /dev/vdb1 rw\n"
			   "9 5 0:99 / /elsewhere rw - nfs files:/export/ana rw\n"
			   "10 5 8:1 / /media/my\\040disk\\134x rw - ext4 /dev/sda1 rw\n"
			   "11 5 0:99 / /secure rw - xfs /dev/mapper/other rw\n");
	static const unsigned char none[MOUNT_VOLUME_SIZE];
	/* docs/formats.md, reckoned by another program */
	static const unsigned char golden[] = {0x10, 0x26, 0xae, 0x75, 0x92, 0x77, 0x06, 0x8d,
					       0xde, 0xbc, 0x7f, 0xd7, 0x6c, 0x35, 0x39, 0x48};

	(void)state;
	assert_memory_equal(volume(one, 22), none, sizeof none);
	assert_memory_equal(volume(one, 31), golden, sizeof none);
	assert_memory_equal(volume(one, 31), volume(two, 9), sizeof none);
	assert_memory_equal(volume(one, 34), volume(two, 10), sizeof none);
	assert_memory_not_equal(volume(one, 44), volume(two, 11), sizeof none);
	assert_memory_not_equal(volume(one, 32), volume(one, 37), sizeof none);
	assert_memory_not_equal(volume(one, 40), none, sizeof none);
	mount_table_unref(one);
	mount_table_unref(two);
}

static void refused(void **state)
{
	static const char *const lines[] = {
		"22",
		"22 1 254:1 / / rw - ext4",
		"22 1 254:1 / / rw shared:1 ext4 /dev/vda1 rw",
		"22 1 254 / / rw - ext4 /dev/vda1 rw",
		"22 1 254:1 / relative rw - ext4 /dev/vda1 rw",
		"x 1 254:1 / / rw - ext4 /dev/vda1 rw",
		"22 1 254:99999999999 / / rw - ext4 /dev/vda1 rw",
		"99999999999999999999 1 254:1 / / rw - ext4 /dev/vda1 rw",
	};
	struct mount_table *table = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct err err = ERR_INIT;

		assert_int_equal(mount_table_read(lines[i], strlen(lines[i]), &table, &err),
				 ERR_INVALID);
		assert_null(table);
		assert_non_null(strstr(err.text, "line 1"));
	}
}

/* What no kernel says: no root, a circle. Nothing hangs, nothing is found by chance. */
static void lies(void **state)
{
	struct mount_table *table = read_table("");

	(void)state;
	assert_null(mount_table_find(table, "/"));
	mount_table_unref(table);
	table = read_table("5 6 0:1 / /a rw - tmpfs a rw\n6 5 0:2 / /a rw - tmpfs b rw\n");
	assert_null(mount_table_find(table, "/a"));
	mount_table_unref(table);
	table = read_table("1 1 0:1 / / rw - rootfs r rw\n"
			   "5 1 0:1 / /a rw - tmpfs a rw\n5 5 0:2 / /a rw - tmpfs b rw\n"
			   "6 5 0:2 / /a rw - nfs a:/b rw\n5 6 0:2 / /a rw - tmpfs c rw\n");
	assert_non_null(mount_table_find(table, "/a/b"));
	mount_table_unref(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(longest_prefix), cmocka_unit_test(fields),
		cmocka_unit_test(volumes),	  cmocka_unit_test(refused),
		cmocka_unit_test(lies),		  cmocka_unit_test(groups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
