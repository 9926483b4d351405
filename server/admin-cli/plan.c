#include "server/admin-cli/plan.h"

#include "lib/base/buf.h"
#include "lib/base/compiler.h"
#include "server/admin-cli/output.h"

#define CHANGES_SHOWN 50
#define LINE_BYTES 1024
#define NUMBER "%" JSON_INTEGER_FORMAT

static json_int_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_totals(struct admin *a, const json_t *plan)
{
	static const char *const totals[] = {"blocked", "warned", "allowed"};
	json_int_t n = number(plan, "environments");
	json_int_t changes = number(plan, "changes"), users = number(plan, "users");

	if (changes == 0) {
		admin_print(a, "It changes nothing for the " NUMBER " environment%s there %s.", n,
			    n == 1 ? "" : "s", n == 1 ? "is" : "are");
		return;
	}
	admin_print(a, "It changes " NUMBER " of " NUMBER " environment%s, of " NUMBER " user%s:",
		    changes, n, n == 1 ? "" : "s", users, users == 1 ? "" : "s");
	for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
		const json_t *tally = json_object_get(plan, totals[i]);

		admin_print(a, "  %-8s " NUMBER " -> " NUMBER, totals[i], number(tally, "before"),
			    number(tally, "after"));
	}
}

/* Those are warned about now, and blocked when the grace ends. */
static void print_deferred(struct admin *a, const json_t *plan)
{
	const json_t *tally = json_object_get(plan, "deferred");
	json_int_t before = number(tally, "before"), after = number(tally, "after");

	if (before > 0 || after > 0)
		admin_print(a,
			    "  put off by a grace: " NUMBER " -> " NUMBER
			    " of the warned; blocked when it ends",
			    before, after);
}

/* Nothing for a rule that holds for as many as before. */
static void print_rule(struct admin *a, const json_t *rule)
{
	static const struct {
		const char *key;
		const char *shown;
	} parts[] = {
		{"blocked", "blocked"}, {"warned", "warned"}, {"monitored", "in monitor mode"}};
	char room[OUTPUT_ROOM];
	struct buf line;
	size_t told = 0;

	buf_init(&line, LINE_BYTES);
	buf_addf(&line, "  rule %s: ", output_text(rule, "rule", room));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		const json_t *tally = json_object_get(rule, parts[i].key);
		json_int_t before = number(tally, "before"), after = number(tally, "after");

		if (before != after)
			buf_addf(&line, "%s%s " NUMBER " -> " NUMBER, told++ > 0 ? ", " : "",
				 parts[i].shown, before, after);
	}
	if (told > 0)
		admin_print(a, "%s", buf_cstr(&line));
	buf_deinit(&line);
}

void plan_print(struct admin *a, const json_t *plan)
{
	char r1[OUTPUT_ROOM], r2[OUTPUT_ROOM], r3[OUTPUT_ROOM], r4[OUTPUT_ROOM], r5[OUTPUT_ROOM];
	const json_t *item;
	size_t i;

	print_totals(a, plan);
	print_deferred(a, plan);
	json_array_foreach(json_object_get(plan, "rules"), i, item) print_rule(a, item);
	json_array_foreach(json_object_get(plan, "changed"), i, item)
	{
		if (i == CHANGES_SHOWN)
			break;
		admin_print(a, "    %s -> %s  %s:%s (%s)", output_text(item, "from", r1),
			    output_text(item, "to", r2), output_text(item, "hostname", r3),
			    output_text(item, "prefix", r4), output_text(item, "user", r5));
	}
	if (number(plan, "changes") > CHANGES_SHOWN)
		admin_print(a, "    and " NUMBER " more (--json lists up to 1000)",
			    number(plan, "changes") - CHANGES_SHOWN);
}
