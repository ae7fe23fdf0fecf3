-- The schema of the seed's Factory service, as its analysis writes it, with what a batch is asked for
-- (sku, name) and a serial for each product. UNIQUE makes the index on token already.

CREATE TABLE factories (
    id          uuid PRIMARY KEY,
    name        varchar(255) NOT NULL,
    email       varchar(255) UNIQUE NOT NULL,
    api_key     varchar(255) UNIQUE NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO factories (id, name, email, api_key)
VALUES ('00000000-0000-7000-8000-000000000001', 'Benchmark', 'factory@example.com', 'none');

CREATE TABLE batches (
    id             uuid PRIMARY KEY,
    factory_id     uuid NOT NULL,
    sku            varchar(255) NOT NULL,
    name           varchar(255) NOT NULL,
    product_count  integer NOT NULL,
    merkle_root    varchar(66),
    blockchain_tx  varchar(255),
    block_number   bigint,
    status         varchar(20) NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    completed_at   timestamptz
);
CREATE INDEX idx_factory_created ON batches (factory_id, created_at);
CREATE INDEX idx_status_pending ON batches (id) WHERE status = 'pending';

CREATE TABLE products (
    id                uuid PRIMARY KEY,
    batch_id          uuid NOT NULL REFERENCES batches (id) ON DELETE CASCADE,
    token             varchar(255) UNIQUE NOT NULL,
    verification_url  varchar(500) NOT NULL,
    serial            varchar(255) NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_batch ON products (batch_id);

CREATE TABLE celery_tasks (
    id          uuid PRIMARY KEY,
    task_id     varchar(255) UNIQUE NOT NULL,
    batch_id    uuid REFERENCES batches (id),
    status      varchar(20) NOT NULL,
    result      jsonb,
    error       text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX idx_task_batch ON celery_tasks (batch_id);
CREATE INDEX idx_status_created ON celery_tasks (status, created_at);
