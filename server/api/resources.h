/* The steps of every route (route.c), grouped by the file they live in. */
#ifndef ENVWARDEN_SERVER_API_RESOURCES_H
#define ENVWARDEN_SERVER_API_RESOURCES_H

struct db_conn;
struct request;

/* tokens.c */
int login_begin(struct request *r);
int login_read(struct db_conn *conn, struct request *r);
int login_compute(struct request *r);
int login_write(struct db_conn *conn, struct request *r);
int logout_write(struct db_conn *conn, struct request *r);

/* organisation.c */
int organisation_read(struct db_conn *conn, struct request *r);
int organisation_patch_begin(struct request *r);
int organisation_patch_write(struct db_conn *conn, struct request *r);

/* environments.c */
struct db_env;
/* One environment with what was decided of it, into the answer. */
int environment_write(struct db_conn *conn, struct request *r, const struct db_env *env);
int environments_begin(struct request *r);
int environments_read(struct db_conn *conn, struct request *r);
int environment_begin(struct request *r);
int environment_read(struct db_conn *conn, struct request *r);
int environment_packages_read(struct db_conn *conn, struct request *r);

/* statuses.c */
int status_begin(struct request *r);
int status_write(struct db_conn *conn, struct request *r);
int statuses_begin(struct request *r);
int statuses_write(struct db_conn *conn, struct request *r);

/* history.c */
int history_begin(struct request *r);
int history_read(struct db_conn *conn, struct request *r);
int environment_history_read(struct db_conn *conn, struct request *r);

/* machines.c */
int machines_begin(struct request *r);
int machines_read(struct db_conn *conn, struct request *r);

/* sets.c */
int export_begin(struct request *r);
int export_write(struct db_conn *conn, struct request *r);

/* join_codes.c */
int join_code_begin(struct request *r);
int join_code_write(struct db_conn *conn, struct request *r);

/* policies.c */
int policy_get_read(struct db_conn *conn, struct request *r);
int policies_read(struct db_conn *conn, struct request *r);
int policy_plan_begin(struct request *r);
int policy_plan_read(struct db_conn *conn, struct request *r);
int policy_apply_begin(struct request *r);
int policy_apply_read(struct db_conn *conn, struct request *r);
int policy_apply_write(struct db_conn *conn, struct request *r);

/* policy_offline.c */
int policy_draft_write(struct db_conn *conn, struct request *r);
int policy_signed_begin(struct request *r);
int policy_signed_write(struct db_conn *conn, struct request *r);

/* exceptions.c */
int exceptions_read(struct db_conn *conn, struct request *r);
int exception_begin(struct request *r);
/* A rule that is named is one of the policy in force. */
int exception_read(struct db_conn *conn, struct request *r);
int exception_write(struct db_conn *conn, struct request *r);
int exception_revoke_write(struct db_conn *conn, struct request *r);
int requests_read(struct db_conn *conn, struct request *r);
int request_answer_begin(struct request *r);
int request_answer_read(struct db_conn *conn, struct request *r);
int request_answer_write(struct db_conn *conn, struct request *r);

/* unlocks.c */
int unlock_begin(struct request *r);
int unlock_write(struct db_conn *conn, struct request *r);
int unlock_revoke_write(struct db_conn *conn, struct request *r);

/* evidence.c */
int evidence_read(struct db_conn *conn, struct request *r);
int evidence_environments_read(struct db_conn *conn, struct request *r);

/* ran.c */
int ran_list_read(struct db_conn *conn, struct request *r);

/* audit.c */
int audit_begin(struct request *r);
int audit_read(struct db_conn *conn, struct request *r);

#endif
