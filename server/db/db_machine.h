/* Machines: one enrolled install each. */
#ifndef ENVWARDEN_SERVER_DB_DB_MACHINE_H
#define ENVWARDEN_SERVER_DB_DB_MACHINE_H

#include "lib/base/crypto.h"
#include "lib/base/uuid.h"
#include "server/db/db.h"

#define DB_CONTINUITY_SIZE 16
#define DB_SERIAL_SIZE 16

/* Values are stored: append only. */
enum db_machine_state {
	DB_MACHINE_ACTIVE,
	DB_MACHINE_RETIRED, /* gone for good by an admin's word or an ephemeral one's end */
	DB_MACHINE_REVOKED, /* refused at once */
};

struct db_machine {
	int64_t row; /* the store's own number, set here; also the place in lists */
	struct uuid id;
	const char *hostname;
	const char *platform;
	const char *os;
	const char *agent_version;
	unsigned char machine_id_hash[SHA256_SIZE]; /* zero = not said */
	struct db_labels labels;
	struct db_labels wishes; /* labels its agent's configuration asks for */
	enum db_machine_state state;
	bool ephemeral;
	bool restored;	      /* this store was, since it was last here: any token is good */
	bool clone_suspected; /* an old continuity token came: must enrol again */
	int64_t join_code;    /* 0 = none */
	int64_t created_ms;
	int64_t last_seen_ms;
	unsigned char key_hash[SHA256_SIZE]; /* SHA-256 of the SPKI of its last certificate */
	unsigned char serial[DB_SERIAL_SIZE];
	int64_t not_after_ms;
	unsigned char continuity[DB_CONTINUITY_SIZE];	       /* zero = none given yet */
	unsigned char continuity_previous[DB_CONTINUITY_SIZE]; /* zero = none */
	uint64_t status_version;    /* of the status bundle it ought to have; starts at 1 */
	uint64_t timestamp_version; /* of the last one made for it; starts at 0 */
	int64_t environments;	    /* live ones; lists and db_machine_get only */
};

/* What an agent says of itself in Enrol and Hello. Longer text than DB_TEXT_MAX is ERR_LIMIT. */
struct db_machine_info {
	const char *hostname;
	const char *platform;
	const char *os;
	const char *agent_version;
	const unsigned char *machine_id_hash; /* SHA256_SIZE bytes, NULL = not said */
	struct db_labels wishes;	      /* what is no label is left out */
};

/* The certificate a machine holds now. */
struct db_machine_cert {
	unsigned char key_hash[SHA256_SIZE];
	unsigned char serial[DB_SERIAL_SIZE];
	int64_t not_after_ms;
};

struct db_machine_new {
	struct uuid id;
	struct db_machine_info info;
	struct db_machine_cert cert;
	struct db_labels labels;
	int64_t join_code;
	bool ephemeral;
};

int db_machine_insert(struct db_conn *conn, const struct db_machine_new *machine, int64_t now_ms,
		      struct err *err); /* ERR_EXISTS */
int db_machine_get(struct db_conn *conn, const struct uuid *id, struct arena *arena,
		   struct db_machine *out, struct err *err); /* ERR_NOTFOUND */

struct db_machine_filter {
	const char *text;     /* substring of the host name; NULL or "" = any */
	const char *platform; /* NULL or "" = any */
	const char *label;    /* NULL or "" = any */
	bool has_state;
	enum db_machine_state state;
};
/* Newest first; continue with {.set = true, .id = last row's `row`}. */
int db_machine_list(struct db_conn *conn, const struct db_machine_filter *filter,
		    const struct db_cursor *after, size_t limit, struct arena *arena,
		    struct db_machine **out, size_t *n, struct err *err);
int db_machine_count(struct db_conn *conn, const struct db_machine_filter *filter, int64_t *out,
		     struct err *err);

/* All updates: ERR_NOTFOUND. */

int db_machine_seen(struct db_conn *conn, const struct uuid *id,
		    const struct db_machine_info *info, /* NULL = only the time */
		    int64_t now_ms, struct err *err);
int db_machine_set_cert(struct db_conn *conn, const struct uuid *id,
			const struct db_machine_cert *cert, struct err *err);
/* `token` becomes the current one, the current one the previous. */
int db_machine_set_continuity(struct db_conn *conn, const struct uuid *id,
			      const unsigned char token[DB_CONTINUITY_SIZE], struct err *err);
/* It has said Hello since the store was restored. */
int db_machine_taken_back(struct db_conn *conn, const struct uuid *id, struct err *err);
int db_machine_suspect_clone(struct db_conn *conn, const struct uuid *id, struct err *err);
/* Also tells the outbox (DB_OUTBOX_MACHINE), so that an open session is closed. */
int db_machine_set_state(struct db_conn *conn, const struct uuid *id, enum db_machine_state state,
			 int64_t now_ms, struct err *err);
/* Its status bundle changes with them: version + 1 and DB_OUTBOX_STATUS. ERR_INVALID, ERR_LIMIT. */
int db_machine_set_labels(struct db_conn *conn, const struct uuid *id,
			  const struct db_labels *labels, int64_t now_ms, struct err *err);

/* The version for a timestamp about to be made: one more than ever before and than `held`. */
int db_machine_next_timestamp(struct db_conn *conn, const struct uuid *id, uint64_t held,
			      uint64_t *version, struct err *err);
/* A machine holds status version `held`, which is not ours; ours becomes held + 1 if it is lower.
 */
int db_machine_raise_status(struct db_conn *conn, const struct uuid *id, uint64_t held,
			    struct err *err);

const char *db_machine_state_name(enum db_machine_state state); /* "active" "retired" "revoked" */

#endif
