-- VokeTag's schema: the one source. It can be applied again at any time; later changes stand as
-- numbered files in migrations/. Hashes are bytea (half the bytes of hex text, and COPY of them is
-- twice as fast); ids are UUIDv7, so that new rows land at the end of every index.

-- ---------------------------------------------------------------- factories and their keys

CREATE TABLE IF NOT EXISTS factories (
    factory_id  uuid PRIMARY KEY,
    name        text NOT NULL,
    email       text NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS api_keys (
    key_id      uuid PRIMARY KEY,
    factory_id  uuid NOT NULL REFERENCES factories ON DELETE CASCADE,
    prefix      text NOT NULL,               -- the first characters, to tell keys apart on a screen
    key_hash    bytea NOT NULL UNIQUE,       -- SHA-256 of a 160-bit random key
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    revoked_at  timestamptz
);
CREATE INDEX IF NOT EXISTS api_keys_factory ON api_keys (factory_id);

-- ---------------------------------------------------------------- anchors on the chain

-- One row is one root that one transaction commits: the super-root over the batch roots of a
-- window. UNIQUE (root) and UNIQUE (chain, sender, nonce) are what makes two writers harmless.
CREATE TABLE IF NOT EXISTS anchors (
    anchor_id     uuid PRIMARY KEY,
    chain_id      bigint NOT NULL,
    contract      bytea NOT NULL,
    sender        bytea NOT NULL,
    nonce         bigint NOT NULL,
    root          bytea NOT NULL UNIQUE,
    batch_count   integer NOT NULL,
    status        text NOT NULL DEFAULT 'queued'
                  CHECK (status IN ('queued', 'submitted', 'included', 'final', 'orphaned')),
    tx_hash       bytea,                     -- the transaction that took effect
    block_number  bigint,
    block_hash    bytea,
    anchored_at   timestamptz,               -- the block's own time
    gas_used      bigint,
    created_at    timestamptz NOT NULL DEFAULT now(),
    final_at      timestamptz,
    UNIQUE (chain_id, sender, nonce)
);
CREATE INDEX IF NOT EXISTS anchors_open ON anchors (nonce) WHERE status <> 'final';
CREATE INDEX IF NOT EXISTS anchors_block ON anchors (block_number);

-- Every transaction ever signed for an anchor: the bytes are kept so that a restart sends the same
-- ones, and every hash of a nonce is watched.
CREATE TABLE IF NOT EXISTS anchor_transactions (
    tx_hash       bytea PRIMARY KEY,
    anchor_id     uuid NOT NULL REFERENCES anchors,
    raw           bytea NOT NULL,
    max_fee_per_gas           numeric(78) NOT NULL,
    max_priority_fee_per_gas  numeric(78) NOT NULL,
    signed_at     timestamptz NOT NULL DEFAULT now(),
    broadcast_at  timestamptz,
    error         text
);
CREATE INDEX IF NOT EXISTS anchor_transactions_anchor ON anchor_transactions (anchor_id);

-- How far the canonical chain was seen; where this block is no longer canonical, a reorg happened.
CREATE TABLE IF NOT EXISTS chain_heads (
    chain_id      bigint PRIMARY KEY,
    block_number  bigint NOT NULL,
    block_hash    bytea NOT NULL
);

-- ---------------------------------------------------------------- batches and products

CREATE TABLE IF NOT EXISTS batches (
    batch_id        uuid PRIMARY KEY,
    factory_id      uuid NOT NULL REFERENCES factories,
    sku             text NOT NULL,
    name            text NOT NULL,
    product_count   integer NOT NULL CHECK (product_count BETWEEN 1 AND 1000000),
    serials_given   boolean NOT NULL,        -- by the ERP (batch_serials), or derived from the ids
    manufactured_at timestamptz,
    destination_countries text[] NOT NULL DEFAULT '{}',
    attributes      jsonb,
    token_key_id    smallint NOT NULL,       -- the key its tokens are signed with, for re-export
    status          text NOT NULL DEFAULT 'pending'
                    CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    error           text,
    merkle_root     bytea,
    idempotency_key text,
    request_hash    bytea,
    created_at      timestamptz NOT NULL,
    stored_at       timestamptz,
    completed_at    timestamptz,
    announced_at    timestamptz,
    recalled_at     timestamptz,
    recall_reason   text,
    UNIQUE (factory_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS batches_factory ON batches (factory_id, created_at DESC, batch_id DESC);
CREATE INDEX IF NOT EXISTS batches_pending ON batches (created_at) WHERE status = 'pending';
CREATE INDEX IF NOT EXISTS batches_unannounced ON batches (completed_at)
    WHERE status = 'completed' AND announced_at IS NULL;
CREATE INDEX IF NOT EXISTS batches_recalled ON batches (recalled_at) WHERE recalled_at IS NOT NULL;

-- Batch roots on their way to the chain. `path` leads from the batch root to the anchored root.
CREATE TABLE IF NOT EXISTS anchor_roots (
    batch_id    uuid PRIMARY KEY REFERENCES batches,
    root        bytea NOT NULL UNIQUE,
    anchor_id   uuid REFERENCES anchors,
    path        bytea,
    queued_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS anchor_roots_waiting ON anchor_roots (queued_at) WHERE anchor_id IS NULL;
CREATE INDEX IF NOT EXISTS anchor_roots_anchor ON anchor_roots (anchor_id);

-- Serials that an ERP gave: unique for a factory and SKU, as GS1's SGTIN asks.
CREATE TABLE IF NOT EXISTS batch_serials (
    factory_id  uuid NOT NULL,
    sku         text NOT NULL,
    serial      text NOT NULL,
    batch_id    uuid NOT NULL,
    position    integer NOT NULL,            -- index of the product in its batch, from 0
    PRIMARY KEY (factory_id, sku, serial)
);
CREATE INDEX IF NOT EXISTS batch_serials_batch ON batch_serials (batch_id, position);

-- Partitioned by month through the time inside the product id. No token column: the token is
-- derived from the id. No foreign key: register writes a batch and its products in one transaction.
CREATE TABLE IF NOT EXISTS products (
    product_id  uuid NOT NULL,
    batch_id    uuid NOT NULL,
    serial      text NOT NULL,
    PRIMARY KEY (product_id)
) PARTITION BY RANGE (product_id);
CREATE INDEX IF NOT EXISTS products_batch ON products USING brin (batch_id);

-- A batch's Merkle tree, as voketag.merkle lays it out, in chunks of 1,024 nodes.
CREATE TABLE IF NOT EXISTS batch_trees (
    batch_id    uuid NOT NULL,
    chunk       integer NOT NULL,
    nodes       bytea NOT NULL,
    PRIMARY KEY (batch_id, chunk)
);
ALTER TABLE batch_trees ALTER COLUMN nodes SET STORAGE EXTERNAL;  -- hashes do not compress

-- ---------------------------------------------------------------- scans

-- One row for every accepted scan. `scanned_at` is the time inside `scan_id`, so a replay always
-- meets its own row. `answered` is what the person was told, where that differs from the record.
CREATE TABLE IF NOT EXISTS scan_events (
    scan_id          uuid NOT NULL,
    product_id       uuid,                   -- null: well signed, but no batch holds it
    batch_id         uuid,
    factory_id       uuid,
    scanned_at       timestamptz NOT NULL,
    received_at      timestamptz NOT NULL,
    verdict          text NOT NULL,
    risk_score       smallint,
    risk_reasons     jsonb,
    country          text,
    ip_hash          bytea NOT NULL,
    fingerprint_hash bytea NOT NULL,
    history          jsonb,
    answered         jsonb,
    PRIMARY KEY (scanned_at, scan_id)
) PARTITION BY RANGE (scanned_at);
CREATE INDEX IF NOT EXISTS scan_events_product ON scan_events (product_id, scanned_at);
CREATE TABLE IF NOT EXISTS scan_events_default PARTITION OF scan_events DEFAULT;

-- Kept fresh by the same transaction that stores the rows. The factory of scans whose product is
-- unknown is the nil UUID.
CREATE TABLE IF NOT EXISTS scan_stats_daily (
    day              date NOT NULL,
    factory_id       uuid NOT NULL,
    scans            bigint NOT NULL DEFAULT 0,
    unique_products  bigint NOT NULL DEFAULT 0,
    risk_score_sum   bigint NOT NULL DEFAULT 0,
    authentic        bigint NOT NULL DEFAULT 0,
    suspicious       bigint NOT NULL DEFAULT 0,
    high_risk        bigint NOT NULL DEFAULT 0,
    recalled         bigint NOT NULL DEFAULT 0,
    not_recognised   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, factory_id)
);

CREATE TABLE IF NOT EXISTS fraud_reports (
    report_id      uuid PRIMARY KEY,
    product_id     uuid,
    scan_id        uuid,
    reason         text NOT NULL,
    description    text,
    reporter_email text,
    reporter_hash  bytea NOT NULL,
    status         text NOT NULL DEFAULT 'new'
                   CHECK (status IN ('new', 'in_review', 'confirmed', 'dismissed')),
    note           text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS fraud_reports_product ON fraud_reports (product_id);
CREATE INDEX IF NOT EXISTS fraud_reports_status ON fraud_reports (status, report_id DESC);

-- ---------------------------------------------------------------- what ops did to dead letters

CREATE TABLE IF NOT EXISTS dead_letter_audit (
    audit_id    uuid PRIMARY KEY,
    stream      text NOT NULL,
    entry_id    text NOT NULL,
    action      text NOT NULL CHECK (action IN ('redrive', 'drop')),
    reason      text,
    event       bytea NOT NULL,
    at          timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- partitions

-- The smallest UUIDv7 of a moment: the bound of a partition by id.
CREATE OR REPLACE FUNCTION uuid7_floor(moment timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
            || '00000000000000000000')::uuid
$$;

-- Makes the partition for the scans of one UTC month; gives 1 where it is new. Scans of that month
-- that had to be stored in the DEFAULT partition would forbid it: they are moved, while writers wait.
CREATE OR REPLACE FUNCTION ensure_scan_month(low timestamptz, high timestamptz) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    partition text := 'scan_events_' || to_char(low AT TIME ZONE 'UTC', 'YYYY_MM');
BEGIN
    IF to_regclass(partition) IS NOT NULL THEN
        RETURN 0;
    END IF;
    IF NOT EXISTS (SELECT FROM scan_events_default WHERE scanned_at >= low AND scanned_at < high)
    THEN
        EXECUTE format('CREATE TABLE %I PARTITION OF scan_events FOR VALUES FROM (%L) TO (%L)',
                       partition, low, high);
        RETURN 1;
    END IF;
    LOCK TABLE scan_events IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE scan_events INCLUDING ALL)', partition);
    EXECUTE format('WITH moved AS (DELETE FROM scan_events_default WHERE scanned_at >= %L '
                   'AND scanned_at < %L RETURNING *) INSERT INTO %I SELECT * FROM moved',
                   low, high, partition);
    EXECUTE format('ALTER TABLE scan_events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   partition, low, high);
    RETURN 1;
END
$$;

-- Makes the monthly partitions from the month of `since` to `months` after it; gives how many are
-- new. The months are those of UTC whatever the session's time zone.
CREATE OR REPLACE FUNCTION ensure_partitions(since timestamptz, months integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    low timestamptz;
    high timestamptz;
    partition text;
    made integer := 0;
BEGIN
    FOR step IN 0..months LOOP
        low := (date_trunc('month', since AT TIME ZONE 'UTC') + make_interval(months => step))
               AT TIME ZONE 'UTC';
        high := (date_trunc('month', since AT TIME ZONE 'UTC') + make_interval(months => step + 1))
                AT TIME ZONE 'UTC';
        made := made + ensure_scan_month(low, high);
        partition := 'products_' || to_char(low AT TIME ZONE 'UTC', 'YYYY_MM');
        IF to_regclass(partition) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF products FOR VALUES FROM (%L) TO (%L)',
                           partition, uuid7_floor(low), uuid7_floor(high));
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END
$$;

-- Makes the months that scans in the DEFAULT partition belong to; gives how many are new.
CREATE OR REPLACE FUNCTION empty_default_partition() RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    low timestamp;
    made integer := 0;
BEGIN
    FOR low IN SELECT DISTINCT date_trunc('month', scanned_at AT TIME ZONE 'UTC')
               FROM scan_events_default
    LOOP
        made := made + ensure_scan_month(low AT TIME ZONE 'UTC',
                                         (low + interval '1 month') AT TIME ZONE 'UTC');
    END LOOP;
    RETURN made;
END
$$;

-- Offline phones may report scans of up to 7 days ago; three months stand ahead.
SELECT ensure_partitions(now() - interval '7 days', 4);
