#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "platform/safe_open.h"
#include "tests/support/fault.h"
#include "tests/support/tmpdir.h"

#define STRANGER 12345u

struct place {
	struct tmpdir tmp;
	struct safe_dir *dir;
};

static void link_at(const struct tmpdir *tmp, const char *target, const char *name)
{
	char path[TMPDIR_PATH_MAX];
	tmpdir_path(tmp, name, path);
	assert_int_equal(symlink(target, path), 0);
}

static void make_socket(const struct tmpdir *tmp, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char path[TMPDIR_PATH_MAX];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	tmpdir_path(tmp, name, path);
	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(close(fd), 0);
}

/* A prefix as a hostile member would lay it out; "secret" lies outside of it. */
static int setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));
	char path[TMPDIR_PATH_MAX];
	tmpdir_make(&p->tmp);
	tmpdir_write_text(&p->tmp, "secret", "key");
	tmpdir_write_text(&p->tmp, "env/conda-meta/a.json", "{\"name\":\"a\"}");
	tmpdir_write_text(&p->tmp, "env/empty", "");
	link_at(&p->tmp, "../secret", "env/link-out");
	link_at(&p->tmp, "conda-meta/a.json", "env/link-in");
	link_at(&p->tmp, "conda-meta", "env/link-dir");
	link_at(&p->tmp, "/", "env/link-root");
	link_at(&p->tmp, "nowhere", "env/link-dangling");
	link_at(&p->tmp, "link-loop", "env/link-loop");
	link_at(&p->tmp, "/proc/self/root", "env/link-magic");
	tmpdir_path(&p->tmp, "env/fifo", path);
	assert_int_equal(mkfifo(path, 0666), 0);
	make_socket(&p->tmp, "env/socket");
	tmpdir_path(&p->tmp, "env", path);
	assert_int_equal(safe_dir_open(path, &p->dir, NULL), 0);
	*state = p;
	return 0;
}

static int teardown(void **state)
{
	struct place *p = *state;
	safe_dir_close(p->dir);
	tmpdir_remove(&p->tmp);
	free(p);
	return 0;
}

static void links_inside(void **state)
{
	static const struct {
		const char *path;
		int want;
	} cases[] = {
		{"conda-meta", 0},
		{"link-dir", 0},
		{"link-to-link", 0},
		{"link-up-and-down", 0},
		{"empty", ERR_INVALID},
		{"link-out-dir", ERR_INVALID},
		{"link-root", ERR_INVALID},
		{"link-absolute", ERR_INVALID},
		{"link-magic", ERR_INVALID},
		{"link-loop", ERR_INVALID},
		{"link-dangling", ERR_NOTFOUND},
		{"..", ERR_INVALID},
		{"conda-meta/..", ERR_INVALID},
	};
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX];

	link_at(&p->tmp, "link-dir", "env/link-to-link");
	link_at(&p->tmp, "conda-meta/../conda-meta", "env/link-up-and-down");
	link_at(&p->tmp, "..", "env/link-out-dir");
	tmpdir_path(&p->tmp, "env/conda-meta", path);
	link_at(&p->tmp, path, "env/link-absolute");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct safe_dir *dir = NULL;

		if (safe_dir_open_inside(p->dir, cases[i].path, &dir, NULL) != cases[i].want)
			fail_msg("%s", cases[i].path);
		safe_dir_close(dir);
	}
}

/* From env to what lies beside it, and not to another file system. */
static void near(void **state)
{
	struct place *p = *state;
	char here[TMPDIR_PATH_MAX];
	char path[TMPDIR_PATH_MAX];
	struct safe_dir *dir = NULL;
	struct file_info info;

	assert_int_equal(safe_dir_real_path(p->dir, here, sizeof(here), NULL), 0);
	tmpdir_write_text(&p->tmp, "env-src/x/a", "");
	tmpdir_path(&p->tmp, "env-src/x", path);
	assert_int_equal(safe_dir_open_near(p->dir, here, path, &dir, NULL), 0);
	assert_int_equal(safe_stat(dir, "a", &info, NULL), 0);
	safe_dir_close(dir);
	assert_int_equal(safe_dir_open_near(p->dir, here, here, &dir, NULL), 0);
	assert_int_equal(safe_stat(dir, "conda-meta", &info, NULL), 0);
	safe_dir_close(dir);
	assert_int_equal(safe_dir_open_near(p->dir, here, p->tmp.path, &dir, NULL), 0);
	assert_int_equal(safe_stat(dir, "secret", &info, NULL), 0);
	safe_dir_close(dir);
	tmpdir_path(&p->tmp, "env/conda-meta", path);
	assert_int_equal(safe_dir_open_near(p->dir, here, path, &dir, NULL), 0);
	safe_dir_close(dir);

	dir = NULL;
	tmpdir_path(&p->tmp, "env/link-dir", path);
	assert_int_equal(safe_dir_open_near(p->dir, here, path, &dir, NULL), ERR_INVALID);
	tmpdir_path(&p->tmp, "missing", path);
	assert_int_equal(safe_dir_open_near(p->dir, here, path, &dir, NULL), ERR_NOTFOUND);
	assert_int_equal(safe_dir_open_near(p->dir, here, "/proc/self", &dir, NULL), ERR_INVALID);
	assert_int_equal(safe_dir_open_near(p->dir, here, "/dev/..", &dir, NULL), ERR_INVALID);
	assert_int_equal(safe_dir_open_near(p->dir, here, "relative", &dir, NULL), ERR_INVALID);
	assert_null(dir);
}

/* The number of the first case that goes wrong, 0 if none does. */
static int check_files(struct place *p)
{
	static const struct {
		const char *path;
		int want;
	} cases[] = {
		{"conda-meta/a.json", 0},
		{"empty", 0},
		{"missing", ERR_NOTFOUND},
		{"conda-meta/missing", ERR_NOTFOUND},
		{"missing/a.json", ERR_NOTFOUND},
		{"conda-meta", ERR_INVALID},
		{"empty/a", ERR_INVALID},
		{"link-out", ERR_INVALID},
		{"link-in", ERR_INVALID},
		{"link-dir/a.json", ERR_INVALID},
		{"link-root/etc/passwd", ERR_INVALID},
		{"link-magic/etc/passwd", ERR_INVALID},
		{"link-dangling", ERR_INVALID},
		{"link-loop", ERR_INVALID},
		{"fifo", ERR_INVALID},
		{"socket", ERR_INVALID},
		{"", ERR_INVALID},
		{".", ERR_INVALID},
		{"..", ERR_INVALID},
		{"../secret", ERR_INVALID},
		{"conda-meta/../../secret", ERR_INVALID},
		{"conda-meta/./a.json", ERR_INVALID},
		{"conda-meta//a.json", ERR_INVALID},
		{"conda-meta/", ERR_INVALID},
		{"/etc/passwd", ERR_INVALID},
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct safe_file file = SAFE_FILE_NONE;
		struct err err = ERR_INIT;
		int rc = safe_file_open(p->dir, cases[i].path, SAFE_OWNER_ANY, &file, NULL, &err);
		bool right = rc == cases[i].want && err.code == rc;
		right = right && (file.handle >= 0) == (rc == 0);
		safe_file_close(&file);
		if (!right) {
			print_error("\"%s\": %d instead of %d: %s\n", cases[i].path, rc,
				    cases[i].want, err.text);
			return (int)i + 1;
		}
	}
	return 0;
}

static void files(void **state)
{
	assert_int_equal(check_files(*state), 0);
}

/* Makes this process believe that its kernel is older than openat2. */
static int hide_openat2(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = ARRAY_SIZE(code), .filter = code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

static void files_on_an_old_kernel(void **state)
{
	struct place *p = *state;
	int status = 0;
	pid_t child = fork();
	if (child == 0) {
		struct open_how how = {0};
		if (hide_openat2() < 0 ||
		    syscall(SYS_openat2, AT_FDCWD, "/", &how, sizeof(how)) >= 0 || errno != ENOSYS)
			_exit(200);
		_exit(check_files(p));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 200) {
		print_message("skipped: no system call filters here\n");
		skip();
	}
	assert_int_equal(status, 0);
}

static void long_names(void **state)
{
	struct place *p = *state;
	struct safe_file file = SAFE_FILE_NONE;
	char name[SAFE_PATH_MAX + 2];
	memset(name, 'a', sizeof(name));
	name[300] = '\0';
	assert_int_equal(safe_file_open(p->dir, name, SAFE_OWNER_ANY, &file, NULL, NULL),
			 ERR_INVALID);
	name[300] = 'a';
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(safe_file_open(p->dir, name, SAFE_OWNER_ANY, &file, NULL, NULL),
			 ERR_INVALID);
}

static void devices(void **state)
{
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX];
	struct safe_file file = SAFE_FILE_NONE;
	tmpdir_path(&p->tmp, "env/device", path);
	if (mknod(path, S_IFCHR | 0666, makedev(1, 3)) < 0) {
		print_message("skipped: can't make a device here (%s)\n", strerror(errno));
		skip();
	}
	int rc = safe_file_open(p->dir, "device", SAFE_OWNER_ANY, &file, NULL, NULL);
	assert_true(rc == ERR_INVALID || rc == ERR_PERM); /* PERM: mounted without devices */
}

static void owners(void **state)
{
	struct place *p = *state;
	char path[TMPDIR_PATH_MAX];
	struct buf out;
	uint32_t me = (uint32_t)geteuid();
	buf_init(&out, 100);
	assert_int_equal(safe_read_whole(p->dir, "empty", me, 10, &out, NULL, NULL), 0);
	if (me != 0) {
		assert_int_equal(safe_read_whole(p->dir, "empty", me + 1, 10, &out, NULL, NULL),
				 ERR_PERM);
		print_message("skipped the rest: only root can give files away\n");
		buf_deinit(&out);
		return;
	}
	/* root's files are fine for everybody, a stranger's are not, not even for root */
	assert_int_equal(safe_read_whole(p->dir, "empty", STRANGER, 10, &out, NULL, NULL), 0);
	tmpdir_path(&p->tmp, "env/empty", path);
	assert_int_equal(chown(path, STRANGER, STRANGER), 0);
	assert_int_equal(safe_read_whole(p->dir, "empty", STRANGER, 10, &out, NULL, NULL), 0);
	assert_int_equal(safe_read_whole(p->dir, "empty", STRANGER + 1, 10, &out, NULL, NULL),
			 ERR_PERM);
	assert_int_equal(safe_read_whole(p->dir, "empty", 0, 10, &out, NULL, NULL), ERR_PERM);
	assert_int_equal(safe_read_whole(p->dir, "empty", SAFE_OWNER_ANY, 10, &out, NULL, NULL), 0);
	buf_deinit(&out);
}

static void reads(void **state)
{
	struct place *p = *state;
	static const char text[] = "{\"name\":\"a\"}";
	const size_t n = sizeof(text) - 1;
	struct file_info info;
	struct buf out;
	buf_init(&out, 100);
	buf_adds(&out, "before ");
	assert_int_equal(
		safe_read_whole(p->dir, "conda-meta/a.json", SAFE_OWNER_ANY, n, &out, &info, NULL),
		0);
	assert_string_equal(buf_cstr(&out), "before {\"name\":\"a\"}");
	assert_int_equal(info.size, n);
	assert_true(info.is_regular && !info.is_dir && !info.is_link);
	assert_int_equal(info.uid, geteuid());
	assert_true(info.mtime_ns > 0 && info.ctime_ns > 0);
	assert_int_equal(safe_read_whole(p->dir, "conda-meta/a.json", SAFE_OWNER_ANY, n - 1, &out,
					 NULL, NULL),
			 ERR_LIMIT);
	buf_deinit(&out);

	struct safe_file file;
	char part[5];
	size_t got;
	size_t total = 0;
	assert_int_equal(
		safe_file_open(p->dir, "conda-meta/a.json", SAFE_OWNER_ANY, &file, NULL, NULL), 0);
	do {
		assert_int_equal(safe_file_read(&file, part, sizeof(part), &got, NULL), 0);
		assert_memory_equal(part, text + total, got);
		total += got;
	} while (got > 0);
	assert_int_equal(total, n);
	safe_file_close(&file);
	assert_int_equal(file.handle, -1);
}

/* Files below /proc say they have no bytes, and have some. */
static void reads_more_than_announced(void **state)
{
	struct safe_dir *proc;
	struct file_info info;
	struct buf out;
	(void)state;
	buf_init(&out, 1 << 20);
	assert_int_equal(safe_dir_open("/proc/sys/kernel", &proc, NULL), 0);
	assert_int_equal(safe_read_whole(proc, "ostype", SAFE_OWNER_ANY, 100, &out, &info, NULL),
			 0);
	assert_int_equal(info.size, 0);
	assert_string_equal(buf_cstr(&out), "Linux\n");
	assert_int_equal(safe_read_whole(proc, "ostype", SAFE_OWNER_ANY, 3, &out, NULL, NULL),
			 ERR_LIMIT);
	safe_dir_close(proc);
	buf_deinit(&out);
}

static void stats(void **state)
{
	static const struct {
		const char *path;
		int want;
		bool dir, regular, link;
	} cases[] = {
		{"conda-meta", 0, true, false, false},
		{"conda-meta/a.json", 0, false, true, false},
		{"link-out", 0, false, false, true},
		{"link-dir", 0, false, false, true},
		{"fifo", 0, false, false, false},
		{"link-dir/a.json", ERR_INVALID, false, false, false},
		{"link-root/etc", ERR_INVALID, false, false, false},
		{"../secret", ERR_INVALID, false, false, false},
		{"..", ERR_INVALID, false, false, false},
		{"missing", ERR_NOTFOUND, false, false, false},
		{"conda-meta/missing", ERR_NOTFOUND, false, false, false},
	};
	struct place *p = *state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct file_info info = {0};
		int rc = safe_stat(p->dir, cases[i].path, &info, NULL);
		if (rc != cases[i].want || info.is_dir != cases[i].dir ||
		    info.is_regular != cases[i].regular || info.is_link != cases[i].link)
			fail_msg("%s: rc %d, dir %d, regular %d, link %d", cases[i].path, rc,
				 info.is_dir, info.is_regular, info.is_link);
	}
}

static void directories(void **state)
{
	struct place *p = *state;
	struct safe_dir *meta = NULL;
	struct safe_dir *again = NULL;
	struct file_info a, b;
	enum fs_class class;
	char path[TMPDIR_PATH_MAX], want[TMPDIR_PATH_MAX];

	assert_int_equal(safe_dir_open_at(p->dir, "conda-meta", &meta, NULL), 0);
	tmpdir_path(&p->tmp, "env/conda-meta", want);
	assert_int_equal(safe_dir_real_path(meta, path, sizeof(path), NULL), 0);
	assert_string_equal(path, want);
	assert_int_equal(safe_dir_real_path(meta, path, strlen(want), NULL), ERR_LIMIT);
	assert_int_equal(safe_dir_fs_class(meta, &class, NULL), 0);
	assert_int_equal(class, FS_LOCAL);

	/* by its path links are followed, and the same directory is found */
	tmpdir_path(&p->tmp, "env/link-dir", path);
	assert_int_equal(safe_dir_open(path, &again, NULL), 0);
	assert_int_equal(safe_dir_info(meta, &a, NULL), 0);
	assert_int_equal(safe_dir_info(again, &b, NULL), 0);
	assert_true(a.is_dir && a.dev == b.dev && a.ino == b.ino);
	assert_int_equal(safe_dir_real_path(again, path, sizeof(path), NULL), 0);
	assert_string_equal(path, want);
	safe_dir_close(again);

	assert_int_equal(safe_dir_open_at(p->dir, "link-dir", &again, NULL), ERR_INVALID);
	assert_int_equal(safe_dir_open_at(p->dir, "fifo", &again, NULL), ERR_INVALID);
	assert_int_equal(safe_dir_open_at(p->dir, "..", &again, NULL), ERR_INVALID);
	tmpdir_path(&p->tmp, "secret", path);
	assert_int_equal(safe_dir_open(path, &again, NULL), ERR_INVALID);
	tmpdir_path(&p->tmp, "missing", path);
	assert_int_equal(safe_dir_open(path, &again, NULL), ERR_NOTFOUND);

	/* what was renamed keeps its handle; what was deleted has no path */
	tmpdir_path(&p->tmp, "env/conda-meta/a.json", path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(want), 0);
	assert_int_equal(safe_dir_real_path(meta, path, sizeof(path), NULL), ERR_NOTFOUND);
	safe_dir_close(meta);
	safe_dir_close(NULL);
}

struct count {
	int calls;
	int stop_at;
	bool saw_dots;
};

static int count_entry(void *ctx, const char *name)
{
	struct count *count = ctx;
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		count->saw_dots = true;
	return ++count->calls == count->stop_at ? 77 : 0;
}

static void lists(void **state)
{
	struct place *p = *state;
	struct count all = {0}, stopped = {.stop_at = 2}, limited = {0};
	assert_int_equal(safe_dir_list(p->dir, 100, count_entry, &all, NULL), 0);
	assert_int_equal(all.calls, 11);
	assert_false(all.saw_dots);
	assert_int_equal(safe_dir_list(p->dir, 11, count_entry, &all, NULL), 0);
	assert_int_equal(safe_dir_list(p->dir, 100, count_entry, &stopped, NULL), 77);
	assert_int_equal(stopped.calls, 2);
	assert_int_equal(safe_dir_list(p->dir, 10, count_entry, &limited, NULL), ERR_LIMIT);
	assert_int_equal(limited.calls, 10);
}

static int open_and_read(void *ctx)
{
	struct place *p = ctx;
	struct safe_dir *meta = NULL;
	struct buf out;
	buf_init(&out, 1000);
	int rc = safe_dir_open_at(p->dir, "conda-meta", &meta, NULL);
	if (rc == 0)
		rc = safe_read_whole(meta, "a.json", SAFE_OWNER_ANY, 100, &out, NULL, NULL);
	safe_dir_close(meta);
	buf_deinit(&out);
	return rc;
}

static int open_fds(void)
{
	int n = 0;
	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

static void out_of_memory(void **state)
{
	int before = open_fds();
	fault_each_alloc(open_and_read, *state, 2);
	assert_int_equal(open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(files, setup, teardown),
		cmocka_unit_test_setup_teardown(files_on_an_old_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(long_names, setup, teardown),
		cmocka_unit_test_setup_teardown(devices, setup, teardown),
		cmocka_unit_test_setup_teardown(owners, setup, teardown),
		cmocka_unit_test_setup_teardown(reads, setup, teardown),
		cmocka_unit_test(reads_more_than_announced),
		cmocka_unit_test_setup_teardown(stats, setup, teardown),
		cmocka_unit_test_setup_teardown(directories, setup, teardown),
		cmocka_unit_test_setup_teardown(links_inside, setup, teardown),
		cmocka_unit_test_setup_teardown(near, setup, teardown),
		cmocka_unit_test_setup_teardown(lists, setup, teardown),
		cmocka_unit_test_setup_teardown(out_of_memory, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
