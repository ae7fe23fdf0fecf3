-- SHA-256 of who reported what on which UTC day: sent again, because the answer was lost, it is the
-- same report. Reports from before this have none.
ALTER TABLE fraud_reports ADD COLUMN content_hash bytea UNIQUE;
