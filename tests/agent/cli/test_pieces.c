#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "agent/cli/pieces.h"
#include "tests/support/fault.h"

#define COMMAND "/usr/bin/envwarden"

static const struct piece *find(const struct pieces *pieces, const char *name)
{
	for (size_t i = 0; i < pieces->n; i++) {
		if (strcmp(pieces->items[i].name, name) == 0)
			return &pieces->items[i];
	}
	fail_msg("no piece %s", name);
	return NULL;
}

static void test_command(void **state)
{
	static const struct {
		const char *command;
		const char *written; /* NULL = refused */
	} cases[] = {
		{COMMAND, "COMMAND = \"/usr/bin/envwarden\"\n"},
		{"/a b/\"c\\", "COMMAND = \"/a b/\\\"c\\\\\"\n"},
		{"/\xc3\xa4", "COMMAND = \"/\xc3\xa4\"\n"},
		{"/a\nb", NULL},
		{"/a\x7f", NULL},
		{"/\xff", NULL},
	};
	struct pieces pieces;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int rc = pieces_init(&pieces, cases[i].command, NULL);

		assert_int_equal(rc, cases[i].written ? 0 : ERR_UNSUPPORTED);
		if (rc == 0) {
			assert_non_null(strstr(find(&pieces, "_envwarden_gate.py")->text,
					       cases[i].written));
			assert_non_null(strstr(find(&pieces, "envwarden_conda.py")->text,
					       cases[i].written));
		}
		pieces_deinit(&pieces);
	}
}

static size_t place_of(const struct pieces *pieces, const char *name)
{
	return (size_t)(find(pieces, name) - pieces->items);
}

static void test_order(void **state)
{
	struct pieces pieces;

	(void)state;
	assert_int_equal(pieces_init(&pieces, COMMAND, NULL), 0);
	assert_int_equal(pieces.n, PIECES_MAX);
	for (size_t i = 0; i < pieces.n; i++)
		assert_null(strstr(pieces.items[i].text, "@ENVWARDEN@"));
	/* What loads the others comes when they are there, */
	assert_true(place_of(&pieces, "_envwarden_gate.py") < place_of(&pieces, "envwarden.pth"));
	assert_true(place_of(&pieces, "envwarden.pth") < place_of(&pieces, "envwarden.start"));
	assert_true(place_of(&pieces, "envwarden_conda.py") <
		    place_of(&pieces, "entry_points.txt"));
	assert_true(place_of(&pieces, "METADATA") < place_of(&pieces, "entry_points.txt"));
	/* and what shows as a distribution when the gate is whole. */
	assert_true(place_of(&pieces, "envwarden.start") < place_of(&pieces, "METADATA"));
	pieces_deinit(&pieces);
}

static void test_compare(void **state)
{
	static const struct {
		const char *name;
		int minor;
		const char *found; /* "=": as it should be */
		enum piece_state state;
	} cases[] = {
		{"envwarden.pth", 11, "=", PIECE_PLACED},
		{"envwarden.pth", 11, NULL, PIECE_MISSING},
		{"envwarden.pth", 11, "import x  # placed by envwarden\n", PIECE_OUTDATED},
		{"envwarden.pth", 11, "import envwarden\n", PIECE_FOREIGN},
		{"envwarden.pth", 11, "", PIECE_FOREIGN},
		{"envwarden.start", 17, NULL, PIECE_PLACED},
		{"envwarden.start", 17, "=", PIECE_OUTDATED},
		{"envwarden.start", 17, "a:b", PIECE_FOREIGN},
		{"envwarden.start", 18, NULL, PIECE_MISSING},
		{"envwarden.start", 18, "=", PIECE_PLACED},
		{"INSTALLER", 11, "=", PIECE_PLACED},
		{"INSTALLER", 11, "envwarden", PIECE_OUTDATED},
		{"INSTALLER", 11, "pip\n", PIECE_FOREIGN},
	};
	struct pieces pieces;

	(void)state;
	assert_int_equal(pieces_init(&pieces, COMMAND, NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct piece *piece = find(&pieces, cases[i].name);
		const char *found = cases[i].found;

		if (found && strcmp(found, "=") == 0)
			found = piece->text;
		assert_int_equal(
			piece_compare(piece, cases[i].minor, found, found ? strlen(found) : 0),
			cases[i].state);
	}
	pieces_deinit(&pieces);
}

static int try_init(void *ctx)
{
	struct pieces pieces;
	int rc = pieces_init(&pieces, COMMAND, NULL);

	(void)ctx;
	if (rc == 0)
		pieces_deinit(&pieces);
	return rc;
}

static void test_no_memory(void **state)
{
	(void)state;
	fault_each_alloc(try_init, NULL, PIECES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
