#include "agent/cli/message.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "agent/cli/hint.h"
#include "agent/cli/times.h"
#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define TEXT_MAX_BYTES 65536
#define REASONS_SHOWN 3
#define TAIL_COLUMN 39 /* where "Shown once a day" begins beside a short fix */
#define MARGIN "        "
#define RED "\033[1;31m"
#define YELLOW "\033[1;33m"

/* --- pieces --- */

/* As conda writes it: what is at its default place, by its name there. */
static const char *shown_channel(const char *channel)
{
	static const char place[] = "https://conda.anaconda.org/";

	return text_starts(channel, place) && channel[sizeof(place) - 1] != '\0'
		       ? channel + sizeof(place) - 1
		       : channel;
}

void message_package(struct buf *out, const struct package *package)
{
	buf_addf(out, "%s %s", package->name, package->version);
	if (strcmp(package->manager, "pypi") == 0)
		buf_adds(out, " (from pip)");
	else if (*package->channel)
		buf_addf(out, " (%s)", shown_channel(package->channel));
}

/* A copy of an environment follows it until the organisation knows of the copy. */
static void add_status_cause(struct buf *out, const struct reason *reason, bool warns)
{
	const char *which = strcmp(reason->id, "clone") == 0 ? "the environment this is a clone of"
			    : strcmp(reason->id, "same-packages") == 0
				    ? "an environment with the same packages"
				    : "this environment";

	buf_addf(out, "an administrator %s %s", warns ? "set a warning on" : "blocked", which);
}

static const char *no_answer(const struct reason *reason)
{
	return strcmp(reason->id, "refused") == 0 ? "did not decide" : "is not reachable";
}

void message_cause(struct buf *out, const struct reason *reason)
{
	bool warns = reason->action == ACTION_WARN;

	if (strcmp(reason->kind, "status") == 0) {
		add_status_cause(out, reason, warns);
	} else if (strcmp(reason->kind, "stale") == 0) {
		buf_adds(out, "this machine has not heard from your organisation for too long");
	} else if (strcmp(reason->kind, "timeout") == 0) {
		buf_adds(out, "the agent could not decide in time");
	} else if (strcmp(reason->kind, "agent_down") == 0) {
		buf_addf(out,
			 "the agent %s, and your organisation allows no activation without a "
			 "check",
			 no_answer(reason));
	} else if (strcmp(reason->kind, "last_decision") == 0) {
		buf_addf(out, "the agent %s, and this was its last decision", no_answer(reason));
	} else if (strcmp(reason->kind, "rule") == 0) {
		if (reason->package)
			message_package(out, reason->package);
		else
			buf_adds(out, "this environment");
		buf_addf(out, " breaks rule \"%s\"", reason->id);
	} else {
		buf_adds(out, *reason->id ? reason->id : reason->kind);
		if (reason->package) {
			buf_adds(out, " in ");
			message_package(out, reason->package);
		}
	}
}

void message_block_from(struct buf *out, const struct decision *d)
{
	char from[TIMES_TEXT_MAX];
	int64_t first_ms = 0;

	for (size_t i = 0; i < d->n_reasons; i++) {
		int64_t from_ms = d->reasons[i].block_from_ms;

		if (from_ms != 0 && (first_ms == 0 || from_ms < first_ms))
			first_ms = from_ms;
	}
	if (first_ms == 0 || d->action != ACTION_WARN)
		return;
	times_from(first_ms, from);
	buf_addf(out, "BLOCKED from %s", from);
}

/* An agent that decides by what an administrator can lift takes requests. */
static bool can_request(const struct decision_reply *reply)
{
	static const char *const kinds[] = {"rule", "status", "cve"};

	if (strcmp(reply->source, "agent") != 0)
		return false;
	for (size_t i = 0; i < reply->decision.n_reasons; i++)
		for (size_t k = 0; k < ARRAY_SIZE(kinds); k++)
			if (strcmp(reply->decision.reasons[i].kind, kinds[k]) == 0)
				return true;
	return false;
}

static void add_hint(struct buf *out, const char *command, const struct decision_reply *reply,
		     const struct message_style *style)
{
	buf_adds(out, command);
	buf_addc(out, ' ');
	if (style->env)
		buf_adds(out, style->env);
	else
		hint_word(out, reply->name);
}

/* Of this machine, which is to be mended then, not the environment. */
static bool tells_trouble(const struct reason *reason)
{
	return strcmp(reason->kind, "stale") == 0 ||
	       (strcmp(reason->kind, "agent_down") == 0 && *reason->id == '\0');
}

static bool is_trouble(const struct decision *d)
{
	bool trouble = false;

	for (size_t i = 0; i < d->n_reasons; i++) {
		if (*d->reasons[i].fix)
			return false;
		trouble = trouble || tells_trouble(&d->reasons[i]);
	}
	return trouble;
}

/* What is shown as the fix ends all that blocks: a reason without one, such as an administrator's
 * block, goes on. */
static bool fix_lifts(const struct decision *d)
{
	bool trouble = is_trouble(d);

	for (size_t i = 0; i < d->n_reasons; i++) {
		const struct reason *reason = &d->reasons[i];

		if (reason->action == ACTION_BLOCK &&
		    !(trouble ? tells_trouble(reason) : *reason->fix != '\0'))
			return false;
	}
	return true;
}

/* The command that a reason names; where they name several, the one that runs them all. False: none
 * does. */
static bool add_fix(struct buf *out, const struct decision_reply *reply,
		    const struct message_style *style)
{
	const struct decision *d = &reply->decision;
	const char *first = "";

	for (size_t i = 0; i < d->n_reasons; i++) {
		const char *fix = d->reasons[i].fix;

		if (*first && *fix && strcmp(first, fix) != 0) {
			add_hint(out, "envwarden fix", reply, style);
			return true;
		}
		first = *first ? first : fix;
	}
	if (*first)
		hint_command(out, first, style->home);
	else if (is_trouble(d))
		buf_adds(out, "envwarden doctor");
	return *first || is_trouble(d);
}

static bool unchecked(const struct decision_reply *reply)
{
	return strcmp(reply->source, "agent") != 0 && reply->decision.action == ACTION_ALLOW;
}

bool message_is_silent(const struct decision_reply *reply)
{
	return reply->decision.action == ACTION_ALLOW && !unchecked(reply) && !*reply->notice;
}

/* "security@example.org, case EW-91C0" */
static void add_contact(struct buf *out, const struct decision_reply *reply)
{
	buf_adds(out, *reply->contact ? reply->contact : "your administrators");
	if (*reply->decision.case_code)
		buf_addf(out, ", case %s", reply->decision.case_code);
}

/* --- several lines --- */

struct page {
	struct buf *out;
	const struct message_style *style;
	const struct decision_reply *reply;
};

static void paragraph(const struct page *p, const char *first, const char *text)
{
	struct wrap w;

	wrap_begin(&w, p->out, p->style->width, first, MARGIN);
	wrap_text(&w, text, NULL);
	wrap_end(&w);
}

/* "envwarden: <before> "name" <middle> <WORD> <after>" */
struct headline {
	const char *before;
	const char *middle;
	const char *word;
	const char *colour; /* of the word */
	const char *after;
	const char *last; /* a sentence, without its full stop */
};

static void headline(const struct page *p, const struct headline *h)
{
	struct wrap w;
	struct buf name;

	buf_init(&name, TEXT_MAX_BYTES);
	buf_addf(&name, "\"%s\"", p->reply->name);
	wrap_begin(&w, p->out, p->style->width, "envwarden: ", MARGIN);
	wrap_text(&w, h->before, NULL);
	wrap_text(&w, buf_cstr(&name), NULL);
	wrap_text(&w, h->middle, NULL);
	wrap_text(&w, h->word, p->style->colour ? h->colour : NULL);
	wrap_text(&w, h->after, NULL);
	if (h->last && *h->last) {
		buf_clear(&name);
		buf_addf(&name, "%s.", h->last);
		wrap_text(&w, buf_cstr(&name), NULL);
	}
	wrap_end(&w);
	buf_deinit(&name);
}

/* Words, and a command at their end that stays whole. */
static void paragraph_with(const struct page *p, const char *first, const char *text,
			   const char *command, const char *behind)
{
	struct wrap w;

	wrap_begin(&w, p->out, p->style->width, first, MARGIN);
	wrap_text(&w, text, NULL);
	wrap_whole(&w, command);
	wrap_text(&w, behind, NULL);
	wrap_end(&w);
}

static void add_why(const struct page *p)
{
	const struct decision *d = &p->reply->decision;
	struct buf text;

	buf_init(&text, TEXT_MAX_BYTES);
	for (size_t i = 0; i < d->n_reasons && i < REASONS_SHOWN; i++) {
		const struct reason *reason = &d->reasons[i];

		buf_clear(&text);
		message_cause(&text, reason);
		buf_addc(&text, *reason->message ? ':' : '.');
		paragraph(p, i == 0 ? "  Why   " : MARGIN, buf_cstr(&text));
		if (*reason->message)
			wrap_lines(p->out, p->style->width, MARGIN "| ", reason->message);
	}
	if (d->n_reasons > REASONS_SHOWN) {
		char more[32];

		(void)snprintf(more, sizeof(more), "And %zu more:", d->n_reasons - REASONS_SHOWN);
		buf_clear(&text);
		add_hint(&text, "envwarden show", p->reply, p->style);
		paragraph_with(p, MARGIN, more, buf_cstr(&text), "");
	}
	buf_deinit(&text);
}

/* "security@example.org, case EW-91C0, or: envwarden request legacy-etl" */
static void add_ask(const struct page *p)
{
	struct buf text, command;

	buf_init(&text, TEXT_MAX_BYTES);
	buf_init(&command, TEXT_MAX_BYTES);
	add_contact(&text, p->reply);
	if (can_request(p->reply)) {
		buf_adds(&text, ", or:");
		add_hint(&command, "envwarden request", p->reply, p->style);
		paragraph_with(p, "  Ask   ", buf_cstr(&text), buf_cstr(&command), "");
	} else {
		paragraph(p, "  Ask   ", buf_cstr(&text));
	}
	buf_deinit(&command);
	buf_deinit(&text);
}

static const char *blocked_and(const struct message_style *style)
{
	return style->active  ? "and is active all the same"
	       : style->asked ? "and can't be activated"
			      : "and was not activated";
}

static bool is_last_decision(const struct decision *d)
{
	return d->n_reasons > 0 && strcmp(d->reasons[0].kind, "last_decision") == 0;
}

static const char *after_fix(const struct decision *d)
{
	if (is_last_decision(d)) /* nobody is there to lift it, nor to say what else blocks it */
		return "Works while blocked; the agent decides anew when it runs again.";
	if (is_trouble(d))
		return fix_lifts(d) ? "Says why, and what to do; the block then lifts by itself."
				    : "Says why, and what to do; alone it does not lift the block.";
	return fix_lifts(d) ? "Works while blocked; the block then lifts by itself."
			    : "Works while blocked; alone it does not lift the block.";
}

static void block_page(const struct page *p)
{
	struct buf fix;

	buf_init(&fix, TEXT_MAX_BYTES);
	headline(p, &(struct headline){"", "is", "BLOCKED", RED, "", blocked_and(p->style)});
	add_why(p);
	if (add_fix(&fix, p->reply, p->style)) {
		wrap_command(p->out, "  Fix   ", buf_cstr(&fix));
		paragraph(p, MARGIN, after_fix(&p->reply->decision));
	}
	add_ask(p);
	buf_deinit(&fix);
}

/* "Shown once a day. Case EW-77B3.", beside the fix where there is room. */
static void add_fix_and_tail(const struct page *p, const char *fix)
{
	size_t column = strlen(MARGIN) + wrap_columns(fix, strlen(fix));
	struct buf tail;

	buf_init(&tail, TEXT_MAX_BYTES);
	if (!p->style->asked)
		buf_adds(&tail, "Shown once a day.");
	if (*p->reply->decision.case_code)
		buf_addf(&tail, "%sCase %s.", tail.len > 0 ? " " : "",
			 p->reply->decision.case_code);
	wrap_command(p->out, "  Fix   ", fix);
	if (buf_rc(p->out) == 0 && column + 3 <= TAIL_COLUMN &&
	    TAIL_COLUMN + tail.len <= p->style->width) {
		p->out->len--; /* goes on on this line */
		while (column++ < TAIL_COLUMN)
			buf_addc(p->out, ' ');
		text_escape(p->out, tail.data, tail.len);
		buf_addc(p->out, '\n');
	} else {
		paragraph(p, MARGIN, buf_cstr(&tail));
	}
	buf_deinit(&tail);
}

static void warning_page(const struct page *p)
{
	struct buf fix, from;

	buf_init(&fix, TEXT_MAX_BYTES);
	buf_init(&from, TEXT_MAX_BYTES);
	message_block_from(&from, &p->reply->decision);
	headline(p, &(struct headline){
			    "", p->style->asked ? "may be activated, with a" : "is active, with a",
			    "WARNING.", YELLOW, "", buf_cstr(&from)});
	add_why(p);
	if (add_fix(&fix, p->reply, p->style)) {
		add_fix_and_tail(p, buf_cstr(&fix));
	} else {
		add_ask(p);
		if (!p->style->asked)
			paragraph(p, MARGIN, "Shown once a day.");
	}
	buf_deinit(&from);
	buf_deinit(&fix);
}

/* The agent was reached, and says itself what is wrong. */
static void refused_page(const struct page *p)
{
	headline(p, &(struct headline){"",
				       p->style->asked ? "may be activated without a check:"
						       : "was activated without a check:",
				       "", NULL, "", p->reply->notice});
}

static const char *unchecked_how(const struct message_style *style)
{
	return !style->asked	? "was activated without a check"
	       : style->unfound ? "was not found; if it is there, it may be activated without a "
				  "check"
				: "may be activated without a check";
}

static void unchecked_page(const struct page *p)
{
	bool allowed = strcmp(p->reply->source, "fallback") == 0;
	struct buf how;
	struct wrap w;

	buf_init(&how, TEXT_MAX_BYTES);
	buf_addf(&how, "%s.", unchecked_how(p->style));
	headline(p, &(struct headline){"agent not reachable;", buf_cstr(&how), "", NULL, "", NULL});
	wrap_begin(&w, p->out, p->style->width, "  ", "  ");
	wrap_text(&w, allowed ? "Your organisation allows this." : "", NULL);
	wrap_text(&w, "If it goes on:", NULL);
	wrap_whole(&w, "envwarden doctor");
	wrap_end(&w);
	buf_deinit(&how);
}

/* --- one line --- */

static void one_line_held(struct buf *text, const struct decision_reply *reply,
			  const struct message_style *style)
{
	const struct decision *d = &reply->decision;
	struct buf room, how;

	buf_init(&room, TEXT_MAX_BYTES);
	buf_init(&how, TEXT_MAX_BYTES);
	message_block_from(&room, d);
	if (d->action == ACTION_BLOCK)
		buf_addf(&how, "is BLOCKED %s", blocked_and(style));
	else
		buf_addf(&how, "%s, with a WARNING",
			 style->asked ? "may be activated" : "is active");
	buf_addf(text, "\"%s\" %s%s%s: ", reply->name, buf_cstr(&how), room.len > 0 ? ", " : "",
		 buf_cstr(&room));
	if (d->n_reasons > 0) {
		message_cause(text, &d->reasons[0]);
		if (*d->reasons[0].message)
			buf_addf(text, ": | %s |", d->reasons[0].message);
	}
	if (d->n_reasons > 1) {
		buf_addf(text, "; and %zu more: ", d->n_reasons - 1);
		add_hint(text, "envwarden show", reply, style);
	}
	buf_clear(&room);
	if (add_fix(&room, reply, style))
		buf_addf(text, "; fix: %s", buf_cstr(&room));
	buf_adds(text, "; ask: ");
	add_contact(text, reply);
	if (can_request(reply)) {
		buf_adds(text, ", or: ");
		add_hint(text, "envwarden request", reply, style);
	}
	if ((strcmp(reply->source, "agent") == 0 || reply->refused) && *reply->notice)
		buf_addf(text, "; note: %s", reply->notice);
	buf_deinit(&how);
	buf_deinit(&room);
}

/* The good answer to who asks; what the agent has to say all the same. */
static void add_allowed(struct buf *out, const struct decision_reply *reply,
			const struct message_style *style)
{
	if (!style->asked)
		buf_addf(out, "\"%s\": %s", reply->name, reply->notice);
	else
		buf_addf(out, "\"%s\" may be activated.%s%s", reply->name,
			 *reply->notice ? " " : "", reply->notice);
}

static void one_line(struct buf *out, const struct decision_reply *reply,
		     const struct message_style *style)
{
	struct buf text;

	buf_init(&text, TEXT_MAX_BYTES);
	if (reply->decision.action != ACTION_ALLOW)
		one_line_held(&text, reply, style);
	else if (unchecked(reply) && reply->refused)
		buf_addf(&text, "\"%s\" %s activated without a check: %s.", reply->name,
			 style->asked ? "may be" : "was", reply->notice);
	else if (unchecked(reply))
		buf_addf(&text, "agent not reachable; \"%s\" %s (%s).", reply->name,
			 unchecked_how(style), reply->notice);
	else
		add_allowed(&text, reply, style);
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] == '\n')
			text.data[i] = ' ';
	}
	buf_adds(out, "envwarden: ");
	text_escape(out, text.data, text.len);
	buf_addc(out, '\n');
	buf_deinit(&text);
}

void message_absent(struct buf *out, const char *typed, const struct message_style *style)
{
	struct buf text;
	struct wrap w;

	buf_init(&text, TEXT_MAX_BYTES);
	buf_addf(&text, "no environment \"%s\" is known; see:", typed);
	wrap_begin(&w, out, style->one_line ? SIZE_MAX : style->width, "envwarden: ", MARGIN);
	wrap_text(&w, buf_cstr(&text), NULL);
	wrap_whole(&w, "envwarden list");
	wrap_end(&w);
	buf_deinit(&text);
}

static void notice_page(const struct page *p)
{
	struct buf text;

	buf_init(&text, TEXT_MAX_BYTES);
	add_allowed(&text, p->reply, p->style);
	paragraph(p, "envwarden: ", buf_cstr(&text));
	buf_deinit(&text);
}

void message_decision(struct buf *out, const struct decision_reply *reply,
		      const struct message_style *style)
{
	struct page p = {.out = out, .style = style, .reply = reply};
	bool answered = strcmp(reply->source, "agent") == 0 || reply->refused;

	if (message_is_silent(reply) && !style->asked)
		return;
	if (style->one_line) {
		one_line(out, reply, style);
		return;
	}
	if (reply->decision.action == ACTION_BLOCK)
		block_page(&p);
	else if (reply->decision.action == ACTION_WARN)
		warning_page(&p);
	else if (unchecked(reply) && reply->refused)
		refused_page(&p);
	else if (unchecked(reply))
		unchecked_page(&p);
	else
		notice_page(&p);
	if (answered && *reply->notice && reply->decision.action != ACTION_ALLOW)
		paragraph(&p, "  Note  ", reply->notice);
}
