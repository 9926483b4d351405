/* Every command of envwarden-admin, and the table that names them (admin.c). */
#ifndef ENVWARDEN_SERVER_ADMIN_CLI_COMMANDS_H
#define ENVWARDEN_SERVER_ADMIN_CLI_COMMANDS_H

#include "server/admin-cli/admin.h"

struct command {
	const char *name; /* one or two words */
	const char *usage;
	const char *help;
	size_t words_min; /* after the name */
	size_t words_max;
	const enum option *options; /* beside the global ones; OPT_N at the end */
	/* words: those after the name. */
	enum admin_exit (*run)(struct admin *a, const char *const *words, size_t n);
	bool local; /* asks no server */
};

enum admin_exit cmd_login(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_logout(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_logging(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_env_list(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_env_show(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_env_set_status(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_env_history(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_env_ran(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_machine_list(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_machine_export(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_join_code_create(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_audit(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_check(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_plan(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_apply(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_show(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_export_body(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_import_signed(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_log(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_rollback(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_policy_report(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_exception_grant(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_exception_list(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_exception_revoke(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_request_list(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_request_approve(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_request_deny(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_unlock(struct admin *a, const char *const *words, size_t n);
enum admin_exit cmd_unlock_revoke(struct admin *a, const char *const *words, size_t n);

#endif
