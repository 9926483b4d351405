#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/compiler.h"
#include "lib/base/err.h"
#include "lib/conda/channel.h"
#include "tests/support/fault.h"

static const struct {
	const char *text;
	const char *masked; /* NULL = as it is */
} masks[] = {
	{"", NULL},
	{"https://conda.anaconda.org/conda-forge/noarch/x-1-0.conda", NULL},
	{"https://ana:pw@host/x", "https://***@host/x"},
	{"https://ana@host/x", "https://***@host/x"},
	{"https://ana:p@w@host/x", "https://***@host/x"},
	{"HTTPS://ana:pw@host:8080/x", "HTTPS://***@host:8080/x"},
	{"https://host:8080/@scope/x", NULL},
	{"https://host:/a@b", NULL},
	{"https://[::1]:80/a@b", NULL},
	{"https://user:p/w@host/x", "https://***@host/x"},
	{"https://user:p?w@host/x", "https://***@host/x"},
	{"https://user:p#w@host/x", "https://***@host/x"},
	{"https://user:pw", "https://***@"},
	{"git+https://tok@host/r.git@main#egg=r", "git+https://***@host/r.git@main#egg=r"},
	{"https://host/t/tk-123/chan/linux-64", "https://host/t/***/chan/linux-64"},
	{"https://host/t/tk-123", "https://host/t/***"},
	{"https://host/t/", NULL},
	{"https://host/t", NULL},
	{"https://host/tt/tk-123/x", NULL},
	{"https://u:p@host/get/t/tk/t/tk2/x", "https://***@host/get/t/***/t/***/x"},
	{"https://host/x?sig=a&b=c#frag", "https://host/x?***#frag"},
	{"https://host/x#token=a=b&egg=c&sig=", "https://host/x#***&egg=c&***"},
	{"https://host/x.conda#00112233445566778899aabbccddeeff", NULL},
	{"https://host/x#&", NULL},
	{"https://host/x?", NULL},
	{"file:///srv/channel/x", NULL},
	{"file:///C:/chan/x", NULL},
	{"file://C:/chan/a@b", NULL},
	{"/t/tk-1/chan", "/t/***/chan"},
	{"t/tk-1/chan", "t/***/chan"},
	{"/home/t/env/x", NULL},
	{"/home/t/abcdefghij0123456789/x", "/home/t/***/x"},
	{"user:pw@host", NULL}, /* no URL; could be anything */
	{"://a:b@c", NULL},
	{"x://", NULL},
	{"conda install -c https://a:b@h/c -c  https://h/t/tk/c p=1",
	 "conda install -c https://***@h/c -c  https://h/t/***/c p=1"},
	{"--channel=https://a:b@h/c,https://h2/x,https://c:d@h3/y",
	 "--channel=https://***@h/c,https://h2/x,https://***@h3/y"},
	{"'https://a:b@h/c'\thttps://c:d@h\nhttps://e:f@h\r",
	 "'https://***@h/c'\thttps://***@h\nhttps://***@h\r"},
};

static void test_mask(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		struct buf out;

		buf_init(&out, 1024);
		channel_mask_url(&out, masks[i].text, strlen(masks[i].text));
		assert_int_equal(buf_rc(&out), 0);
		assert_string_equal(buf_cstr(&out),
				    masks[i].masked != NULL ? masks[i].masked : masks[i].text);
		buf_deinit(&out);
	}
}

/* What is masked has nothing left to mask. */
static void test_mask_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		struct buf once, twice;

		buf_init(&once, 1024);
		buf_init(&twice, 1024);
		channel_mask_url(&once, masks[i].text, strlen(masks[i].text));
		channel_mask_url(&twice, once.data, once.len);
		assert_string_equal(buf_cstr(&once), buf_cstr(&twice));
		buf_deinit(&once);
		buf_deinit(&twice);
	}
}

static void test_mask_bounds(void **state)
{
	static const char text[] = "a\0https://u:p@h\0x";
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	channel_mask_url(&out, text, sizeof text - 1);
	assert_int_equal(out.len, sizeof "a\0https://***@h\0x" - 1);
	assert_memory_equal(out.data, "a\0https://***@h\0x", out.len);
	buf_deinit(&out);

	buf_init(&out, 8);
	channel_mask_url(&out, "https://host/", 13);
	assert_int_equal(buf_rc(&out), ERR_LIMIT);
	buf_deinit(&out);
}

static const struct {
	const char *url;
	const char *channel;
	const char *subdir;
	const char *expected;
} channels[] = {
	{"https://conda.anaconda.org/conda-forge/noarch/x-1-0.conda", "conda-forge", "noarch",
	 "https://conda.anaconda.org/conda-forge"},
	{"https://conda.anaconda.org/conda-forge/win-64/x.tar.bz2",
	 "https://conda.anaconda.org/conda-forge/win-64", "win-64",
	 "https://conda.anaconda.org/conda-forge"},
	{"https://repo.anaconda.com/pkgs/main/linux-64/x.conda", "", "",
	 "https://repo.anaconda.com/pkgs/main"},
	{"HTTPS://Host.Example:8443/Label/dev/linux-64/x.conda", "", "linux-64",
	 "https://host.example:8443/Label/dev"},
	{"https://u:p@host/t/tk-1/chan/linux-64/x.conda#md5", "", "linux-64", "https://host/chan"},
	{"https://u:p@host/chan/linux-64/x.conda?sig=a/b", "", "linux-64", "https://host/chan"},
	{"https://host/t/tk-1/x.conda", "", "", "https://host"},
	{"https://host/chan/odd-plat/x.conda", "", "odd-plat", "https://host/chan"},
	{"https://host/chan/odd-plat/x.conda", "", "", "https://host/chan/odd-plat"},
	{"https://host/x.conda", "", "", "https://host"},
	{"https://host", "", "", "https://host"},
	{"file:///srv/channel/linux-64/x.conda", "", "linux-64", "file:///srv/channel"},
	{"", "https://host/chan/linux-64", "linux-64", "https://host/chan"},
	{"", "https://host/chan/", "linux-64", "https://host/chan"},
	{"", "https://u:p@host/t/tk/chan/noarch/", "", "https://host/chan"},
	{"", "conda-forge", "noarch", "conda-forge"},
	{"", "conda-forge/linux-64", "", "conda-forge"},
	{"", "conda-forge/label/dev", "", "conda-forge/label/dev"},
	{"", "noarch", "noarch", "noarch"},
	{"", "t/tk-1/chan", "", "chan"},
	{"", "pypi", "", "pypi"},
	{"", "", "", ""},
	{"not a url", "conda-forge", "", "conda-forge"},
	{"C:\\x.conda", "", "", ""},
};

static void test_channel(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(channels); i++) {
		struct buf out;

		buf_init(&out, 1024);
		channel_from_record(&out, channels[i].url, channels[i].channel, channels[i].subdir);
		assert_int_equal(buf_rc(&out), 0);
		assert_string_equal(buf_cstr(&out), channels[i].expected);
		buf_deinit(&out);
	}
}

static void test_subdir(void **state)
{
	static const char *const yes[] = {
		"noarch",	 "linux-64",	  "osx-arm64",	       "win-32",
		"linux-aarch64", "linux-ppc64le", "emscripten-wasm32", "zos-z"};
	static const char *const no[] = {"",	 "linux",   "-64",	  "linux-",
					 "main", "noarch2", "linux-64-x", "conda-forge"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		assert_true(channel_is_subdir(yes[i], strlen(yes[i])));
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_false(channel_is_subdir(no[i], strlen(no[i])));
}

static int mask_long(void *ctx)
{
	static const char text[] = "https://u:p@host/t/tk-1/chan/linux-64/x.conda?sig=1";
	struct buf out;
	int rc;

	(void)ctx;
	buf_init(&out, 1024);
	channel_mask_url(&out, text, strlen(text));
	channel_from_record(&out, text, "", "");
	rc = buf_rc(&out);
	buf_deinit(&out);
	return rc;
}

static void test_faults(void **state)
{
	(void)state;
	fault_each_alloc(mask_long, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mask),	    cmocka_unit_test(test_mask_twice),
		cmocka_unit_test(test_mask_bounds), cmocka_unit_test(test_channel),
		cmocka_unit_test(test_subdir),	    cmocka_unit_test(test_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
