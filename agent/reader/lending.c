#include "agent/reader/lending.h"

#include "agent/reader/entries.h"
#include "lib/base/compiler.h"
#include "lib/base/log.h"

static void on_wake(uv_check_t *wake)
{
	lending_wake(container_of(wake, struct lending, wake));
}

static void on_rest(uv_prepare_t *rest)
{
	struct lending *lending = container_of(rest, struct lending, rest);

	if (*lending->entries != NULL)
		lease_rest(&lending->lender, entries_epoch(*lending->entries));
}

void lending_start(struct lending *lending, uv_loop_t *loop, int word, struct entries **entries)
{
	struct err err = ERR_INIT;

	lending->entries = entries;
	CHECK(uv_check_init(loop, &lending->wake) == 0);
	CHECK(uv_prepare_init(loop, &lending->rest) == 0);
	if (word < 0)
		return;
	if (lease_lender_open(&lending->lender, word, &err) < 0) {
		log_warn("reader", "every check will have to ask", LOG_ERR(&err));
		return;
	}
	CHECK(uv_check_start(&lending->wake, on_wake) == 0);
	CHECK(uv_prepare_start(&lending->rest, on_rest) == 0);
	uv_unref((uv_handle_t *)&lending->wake);
	uv_unref((uv_handle_t *)&lending->rest);
}

void lending_wake(struct lending *lending)
{
	lease_wake(&lending->lender);
}

void lending_stop(struct lending *lending)
{
	if (uv_is_closing((uv_handle_t *)&lending->wake))
		return;
	lease_lender_close(&lending->lender);
	uv_close((uv_handle_t *)&lending->wake, NULL);
	uv_close((uv_handle_t *)&lending->rest, NULL);
}
