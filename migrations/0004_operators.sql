-- Whoever uses ops beside the holder of the admin key, with a role. A name is one's own for as long
-- as it is in use; `key_hash` is SHA-256 of a 160-bit random key.
CREATE TABLE operators (
    operator_id  uuid PRIMARY KEY,
    name         text NOT NULL,
    role         text NOT NULL CHECK (role IN ('viewer', 'analyst', 'admin')),
    prefix       text NOT NULL,
    key_hash     bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX operators_name ON operators (lower(name)) WHERE revoked_at IS NULL;

-- Who is signed in, in a browser. Without an operator it is the holder of the admin key, and
-- `admin_proof` is HMAC-SHA256 of that key under the session's own token: another admin key, and the
-- session is none. Neither token nor key can be found from a row.
CREATE TABLE operator_sessions (
    session_id   uuid PRIMARY KEY,
    token_hash   bytea NOT NULL UNIQUE,
    operator_id  uuid REFERENCES operators,
    admin_proof  bytea,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    CHECK ((operator_id IS NULL) = (admin_proof IS NOT NULL))
);
CREATE INDEX operator_sessions_operator ON operator_sessions (operator_id);
CREATE INDEX operator_sessions_expired ON operator_sessions (expires_at);

-- Every change made through ops, written by the transaction that makes it. `actor` is the name the
-- operator had, `admin` for the holder of the admin key, `cli` for the command line.
CREATE TABLE audit_log (
    audit_id     uuid PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    actor        text NOT NULL,
    role         text NOT NULL,
    operator_id  uuid,
    action       text NOT NULL,
    target       text NOT NULL,
    detail       jsonb NOT NULL
);
CREATE INDEX audit_log_actor ON audit_log (actor, audit_id DESC);
CREATE INDEX audit_log_action ON audit_log (action, audit_id DESC);
