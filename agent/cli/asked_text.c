#include "agent/cli/asked_text.h"

#include <string.h>

#include "agent/cli/times.h"
#include "agent/cli/wrap.h"
#include "lib/base/compiler.h"
#include "lib/base/text.h"

#define TEXT_MAX_BYTES 65536
#define MARGIN "          "

const char *asked_text_state(Envwarden__Local__AskedException__State state)
{
	static const char *const names[] = {"queued", "open", "approved", "denied", "ended"};

	return (size_t)state < ARRAY_SIZE(names) ? names[state] : "unknown";
}

static void paragraph(struct buf *out, size_t width, const char *first, const char *text)
{
	struct wrap w;

	wrap_begin(&w, out, width, first, MARGIN);
	wrap_text(&w, text, NULL);
	wrap_end(&w);
}

/* --- asking ------------------------------------------------------------------------------- */

static const char *where_it_is(const Envwarden__Local__AskedReply *reply,
			       const Envwarden__Local__AskedException *m)
{
	if (m->state != ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__QUEUED)
		return "Your organisation has it.";
	return reply->connected ? "It goes to your organisation now."
				: "It waits on this machine until your organisation's server "
				  "can be reached.";
}

void asked_text_made(struct buf *out, const Envwarden__Local__AskedReply *reply, const char *typed,
		     size_t width)
{
	const Envwarden__Local__AskedException *m;
	struct buf text;
	struct wrap w;

	if (reply->n_requests == 0)
		return;
	m = reply->requests[0];
	buf_init(&text, TEXT_MAX_BYTES);
	if (reply->existed) {
		char when[TIMES_TEXT_MAX];

		times_local(m->made_ms, when);
		buf_addf(&text, "an exception for \"%s\" was asked for already, on %s, case %s.",
			 reply->name, when, m->case_code);
	} else {
		buf_addf(&text, "asked for an exception for \"%s\", case %s.", reply->name,
			 m->case_code);
	}
	wrap_begin(&w, out, width, "envwarden: ", "  ");
	wrap_text(&w, buf_cstr(&text), NULL);
	wrap_end(&w);
	buf_clear(&text);
	buf_adds(&text, "envwarden request");
	if (*typed) {
		buf_addc(&text, ' ');
		text_shell_quote(&text, typed);
	}
	wrap_begin(&w, out, width, "  ", "  ");
	wrap_text(&w, where_it_is(reply, m), NULL);
	wrap_text(&w, "What becomes of it:", NULL);
	wrap_whole(&w, buf_cstr(&text));
	wrap_end(&w);
	buf_deinit(&text);
}

/* --- what became of it -------------------------------------------------------------------- */

static void add_state(struct buf *text, const Envwarden__Local__AskedException *m, bool connected)
{
	char until[TIMES_TEXT_MAX];

	times_local(m->until_ms, until);
	switch (m->state) {
	case ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__QUEUED:
		buf_adds(text, connected ? "on its way to your organisation"
					 : "waits on this machine until your organisation's server "
					   "can be reached");
		break;
	case ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__OPEN:
		buf_adds(text, "waits for your organisation's answer");
		break;
	case ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__APPROVED:
		buf_addf(text, "approved until %s, as exception %s", until, m->exception);
		break;
	case ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__ENDED:
		buf_addf(text, "was approved; exception %s ended on %s", m->exception, until);
		break;
	case ENVWARDEN__LOCAL__ASKED_EXCEPTION__STATE__DENIED:
		buf_adds(text, "denied");
		break;
	default:
		buf_adds(text, asked_text_state(m->state));
		break;
	}
	buf_addc(text, *m->message ? ':' : '.');
}

static void add_request(struct buf *out, const Envwarden__Local__AskedException *m, bool connected,
			size_t width)
{
	char made[TIMES_TEXT_MAX];
	struct buf text;

	buf_init(&text, TEXT_MAX_BYTES);
	times_local(m->made_ms, made);
	buf_addf(&text, "%s by %s, case %s:", made, m->user, m->case_code);
	paragraph(out, width, "  Asked   ", buf_cstr(&text));
	wrap_lines(out, width, MARGIN "| ", m->reason);
	buf_clear(&text);
	add_state(&text, m, connected);
	paragraph(out, width, "  State   ", buf_cstr(&text));
	if (*m->message)
		wrap_lines(out, width, MARGIN "| ", m->message);
	buf_deinit(&text);
}

void asked_text_states(struct buf *out, const Envwarden__Local__AskedReply *reply, size_t width)
{
	struct buf text;
	struct wrap w;

	buf_init(&text, TEXT_MAX_BYTES);
	buf_addf(&text,
		 reply->n_requests > 0 ? "Requests for an exception for \"%s\":"
				       : "No exception for \"%s\" was asked for.",
		 reply->name);
	wrap_begin(&w, out, width, "", "  ");
	wrap_text(&w, buf_cstr(&text), NULL);
	wrap_end(&w);
	for (size_t i = 0; i < reply->n_requests; i++)
		add_request(out, reply->requests[i], reply->connected, width);
	buf_deinit(&text);
}
