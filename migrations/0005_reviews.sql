-- Reports that somebody looked at of late are told to Redis again (consumers/maintain).
CREATE INDEX fraud_reports_updated ON fraud_reports (updated_at);
-- Analysts list the batches of every factory together: by their ids, which are in order of time.
CREATE INDEX batches_status ON batches (status, batch_id DESC);
