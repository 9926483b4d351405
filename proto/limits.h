/*
 * Every limit of what crosses a socket or a signature, in one place. Bytes unless said otherwise.
 * Frames and messages are checked against them before memory is taken; fields by the codec, for
 * what comes in and for what goes out alike. The limits of package and change fields stand with
 * their structs (lib/conda).
 */
#ifndef ENVWARDEN_PROTO_LIMITS_H
#define ENVWARDEN_PROTO_LIMITS_H

#include "lib/conda/change.h"
#include "lib/conda/package.h"
#include "lib/policy/policy.h"

/* --- frames: the message after the 4-byte length --- */
#define LIMIT_LOCAL_FRAME 65536
#define LIMIT_SYNC_FRAME 1048576
#define LIMIT_READER_FRAME 1048576

/*
 * What one message may take once it is unpacked: the maximum of the arena it goes into. A field of
 * two bytes on the wire can become hundreds in memory, so the frame's size alone bounds nothing.
 */
#define LIMIT_LOCAL_MEMORY (2 * 1048576)
#define LIMIT_SYNC_MEMORY (24 * 1048576)
#define LIMIT_READER_MEMORY (24 * 1048576)
#define LIMIT_ROOT_MEMORY 1048576
#define LIMIT_BUNDLE_MEMORY (4 * LIMIT_BUNDLE)

/* --- what senders cut their streams into; well inside the frames --- */
#define LIMIT_LOCAL_CHUNK 49152	  /* packed packages in one local frame */
#define LIMIT_REPORT 8388608	  /* bytes of a self-report, all its chunks together */
#define LIMIT_READER_CHUNK 32768  /* packed packages in one reader frame: a little at a time */
#define LIMIT_SYNC_CHUNK 524288	  /* packed packages or changes in one sync frame */
#define LIMIT_BUNDLE_CHUNK 262144 /* BundleChunk.data */

/* --- signed state --- */
#define LIMIT_BUNDLE 67108864	 /* a Signed, and the body in it */
#define LIMIT_SMALL_SIGNED 65536 /* a Signed that travels inside a message: root, timestamp */
#define LIMIT_ROLE 16
#define LIMIT_ROLES 8	      /* items */
#define LIMIT_ROLE_KEYS 8     /* items; also signatures of one Signed */
#define LIMIT_STATUSES 100000 /* items: explicit statuses of one machine */
#define LIMIT_ROOTS 64	      /* items: root versions in an enrolment answer */

/* --- policy: items --- */
#define LIMIT_RULES POLICY_RULES_MAX
#define LIMIT_EXCEPTIONS POLICY_EXCEPTIONS_MAX
#define LIMIT_CONDITIONS POLICY_CONDITIONS_MAX /* of one rule */
#define LIMIT_POLICY_ITEMS POLICY_ITEMS_MAX
#define LIMIT_REQUESTS 10000 /* of one machine's members */
#define LIMIT_ASKED 16	     /* of those, about one environment, told to a member */

/* --- texts --- */
#define LIMIT_TEXT 1024		 /* error and refusal texts, notices, degraded lines */
#define LIMIT_SENT_CONTENT 32768 /* a message that was sent, as JSON */
#define LIMIT_WORD 256		 /* ids, names of organisations, hosts, versions of programs */
#define LIMIT_LABEL 64
#define LIMIT_CONTACT 256
#define LIMIT_ADDRESS 256 /* host:port */
#define LIMIT_PATH CHANGE_PATH_MAX
#define LIMIT_JOIN_CODE 4096

/* --- byte strings --- */
#define LIMIT_CSR 2048
#define LIMIT_CERTIFICATE 4096
#define LIMIT_STAMP 256			  /* the reader's fingerprint of an environment */
#define LIMIT_MARKS (16 * LIMIT_PACKAGES) /* what the packages of one were read from */
#define LIMIT_STAMPS (8 * LIMIT_PACKAGES)

/* --- lists: items --- */
#define LIMIT_PACKAGES 20000   /* in one message, and in one environment or change */
#define LIMIT_CHANGES 4096     /* in one message */
#define LIMIT_OFFER_KEYS 20000 /* package keys in one offer */
#define LIMIT_USES 10000       /* environments whose last use goes with changes */
#define LIMIT_KNOWN 10000      /* environments in a Welcome */
#define LIMIT_RUNS 128	       /* series of runs after a block that go with one report */
#define LIMIT_USED_CODES 128   /* unlock codes used that go with one report */
#define LIMIT_RAN_REASONS 16   /* ... and what blocked one of them */
#define LIMIT_RAN_SHOWN 16     /* ... of one environment, shown to members */
#define LIMIT_NOTES 1000       /* environments whose notes go with one message */
#define LIMIT_LABELS 64
#define LIMIT_ENVS_DIRS 64
#define LIMIT_DEGRADED 64
#define LIMIT_STATUS_MOUNTS 16 /* mounts a status names */
#define LIMIT_DENIED 64	       /* prefixes that may not be read, named to the core */
#define LIMIT_UNREADABLE 64
#define LIMIT_ROOT_FOLDERS 256 /* configured roots, exclusions */
#define LIMIT_HOMES 10000
#define LIMIT_CANDIDATES 128
#define LIMIT_PROBE_CONFIG 3
#define LIMIT_CHAIN 4 /* certificates */

#define LIMIT_NESTING 8 /* messages inside messages; the schemas need 4 */

#endif
