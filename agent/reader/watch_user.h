/* What a watch of the reader belongs to: the first member of whatever is handed to the watcher. */
#ifndef ENVWARDEN_AGENT_READER_WATCH_USER_H
#define ENVWARDEN_AGENT_READER_WATCH_USER_H

enum watch_user_kind {
	WATCH_USER_ENTRY,
	WATCH_USER_PLACE
};

struct watch_user {
	enum watch_user_kind kind;
	int watch;   /* WATCH_NONE when there is none */
	void *owner; /* the entry or the place */
};

#endif
