-- The schema of the seed's Scan service, as its analysis writes it. Three things differ: a partitioned
-- table's primary key has to hold the partition key; UNIQUE makes the index on token already; and a
-- product has the columns that the answer shows.

CREATE TABLE products (
    id          uuid PRIMARY KEY,
    batch_id    uuid NOT NULL,
    token       varchar(255) UNIQUE NOT NULL,
    sku         varchar(255) NOT NULL,
    name        varchar(255) NOT NULL,
    serial      varchar(255) NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE scan_events (
    id                uuid NOT NULL,
    product_id        uuid NOT NULL REFERENCES products (id),
    ip_hash           varchar(64) NOT NULL,
    fingerprint_hash  varchar(64) NOT NULL,
    risk_score        integer NOT NULL,
    country           varchar(2),
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX idx_product_created ON scan_events (product_id, created_at);
CREATE INDEX idx_created ON scan_events (created_at);

-- A month is a partition: the last one, this one and the next two.
DO $$
DECLARE
    month timestamp;
BEGIN
    FOR step IN -1..2 LOOP
        month := date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => step);
        EXECUTE format(
            'CREATE TABLE scan_events_%s PARTITION OF scan_events FOR VALUES FROM (%L) TO (%L)',
            to_char(month, 'YYYY_MM'),
            month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
    END LOOP;
END $$;

CREATE TABLE fraud_reports (
    id              uuid PRIMARY KEY,
    product_id      uuid NOT NULL REFERENCES products (id),
    description     text,
    reporter_email  varchar(255),
    created_at      timestamptz NOT NULL
);
CREATE INDEX idx_product ON fraud_reports (product_id);

CREATE MATERIALIZED VIEW scan_stats_daily AS
SELECT date(created_at) AS date,
       count(*) AS total_scans,
       avg(risk_score) AS avg_risk,
       count(DISTINCT product_id) AS unique_products
FROM scan_events
GROUP BY date(created_at);
CREATE UNIQUE INDEX idx_stats_date ON scan_stats_daily (date);
