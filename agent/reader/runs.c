#include "agent/reader/runs.h"

#include <string.h>

#include "agent/prefix/wire_path.h"
#include "agent/reader/entries.h"
#include "lib/base/mem.h"
#include "proto/limits.h"

void runs_free(struct runs *runs)
{
	while (runs->n > 0)
		mem_free(runs->items[--runs->n].prefix);
}

/* The slot of what an account runs in a prefix: the one it has, or a new one. NULL: no room. */
static Envwarden__Reader__RunningProgram *
slot_of(struct runs *runs, const char *prefix, const struct discover_program *program, bool repair)
{
	Envwarden__Reader__RunningProgram *to = runs->items;
	size_t of_uid = 0;

	for (; to < runs->items + runs->n; to++) {
		if (to->uid != program->uid)
			continue;
		if ((bool)to->repair == repair && strcmp(to->prefix, prefix) == 0)
			return to;
		of_uid++;
	}
	if (runs->n == RUNS_MAX || of_uid == RUNS_PER_UID)
		return NULL;
	envwarden__reader__running_program__init(to);
	to->prefix = mem_strdup(prefix);
	if (to->prefix == NULL)
		return NULL;
	to->uid = program->uid;
	to->repair = repair;
	runs->n++;
	return to;
}

void runs_add(struct runs *runs, const struct entries *entries,
	      const struct discover_program *program)
{
	struct wire_path path;
	const struct entry *entry = entries_find(entries, program->prefix);
	bool repair = program->repair || (entry != NULL && entry_state(entry) == ENTRY_BUSY);
	Envwarden__Reader__RunningProgram *to;

	if (wire_path(&path, program->prefix, NULL) < 0)
		return;
	to = slot_of(runs, path.text, program, repair);
	if (to != NULL && program->started_ms > to->started_ms)
		to->started_ms = program->started_ms;
}

void runs_send(struct runs *runs, void *ctx,
	       void (*send)(void *ctx, const Envwarden__Reader__Envelope *message))
{
	Envwarden__Reader__Envelope envelope = ENVWARDEN__READER__ENVELOPE__INIT;
	Envwarden__Reader__Running running = ENVWARDEN__READER__RUNNING__INIT;
	Envwarden__Reader__RunningProgram *list[LIMIT_CANDIDATES];

	envelope.kind_case = ENVWARDEN__READER__ENVELOPE__KIND_RUNNING;
	envelope.running = &running;
	running.programs = list;
	for (size_t i = 0; i < runs->n; i += running.n_programs) {
		running.n_programs = 0;
		while (running.n_programs < LIMIT_CANDIDATES && i + running.n_programs < runs->n) {
			list[running.n_programs] = &runs->items[i + running.n_programs];
			running.n_programs++;
		}
		send(ctx, &envelope);
	}
	runs_free(runs);
}
