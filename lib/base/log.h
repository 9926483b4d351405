/*
 * Logs are events with fields: one line each, "time level group: event key=value ...", values
 * quoted and escaped so that data can never forge a line or move a cursor.
 *   error = a person must act; warn = we coped; info = state changed; debug = why.
 * The sink is the one mutable global of the project; any thread may log.
 *
 *   log_info("sync", "connected", LOG_STR("server", address), LOG_INT("port", port));
 */
#ifndef ENVWARDEN_LIB_BASE_LOG_H
#define ENVWARDEN_LIB_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR,
	LOG_WARN,
	LOG_INFO,
	LOG_DEBUG
};

struct log_field {
	const char *key;
	const char *str; /* NULL = the number */
	int64_t num;
};
/* A function, since compilers object to asking whether an array is NULL. */
static inline const char *log_text_(const char *text)
{
	return text ? text : "";
}
#define LOG_STR(k, v) ((struct log_field){.key = (k), .str = log_text_(v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .num = (int64_t)(v)})
#define LOG_ERR(e) LOG_STR("error", (e)->text)
#define LOG_NONE ((struct log_field){.key = NULL})

void log_event(enum log_level level, const char *group, const char *event,
	       const struct log_field *fields, size_t n);

#define LOG_FIELDS_(...)                                                                           \
	(const struct log_field[]){__VA_ARGS__},                                                   \
		sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field)
#define log_error(group, event, ...) log_event(LOG_ERROR, group, event, LOG_FIELDS_(__VA_ARGS__))
#define log_warn(group, event, ...) log_event(LOG_WARN, group, event, LOG_FIELDS_(__VA_ARGS__))
#define log_info(group, event, ...) log_event(LOG_INFO, group, event, LOG_FIELDS_(__VA_ARGS__))
#define log_debug(group, event, ...) log_event(LOG_DEBUG, group, event, LOG_FIELDS_(__VA_ARGS__))

/*
 * Default: LOG_INFO to stderr. The program name (may be NULL) stands in front of the group. This
 * and the setters below are for main, before threads start.
 */
void log_setup(const char *program, enum log_level level);

/*
 * Where the stamps come from: borrowed, kept; its functions are called from any thread. Without one
 * (NULL) stamps have whole seconds.
 */
struct clock;
void log_set_clock(const struct clock *clock);

int log_level_parse(const char *text, enum log_level *level); /* error|warn|info|debug */

/* Where the finished lines go; NULL restores stderr. The line has no newline. */
typedef void (*log_sink_cb)(void *ctx, enum log_level level, const char *line);
void log_set_sink(log_sink_cb sink, void *ctx);

#endif
