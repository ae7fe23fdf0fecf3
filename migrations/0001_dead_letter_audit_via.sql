-- Through which door ops came: the command line, as all rows before this, or the HTTP API.
ALTER TABLE dead_letter_audit
    ADD COLUMN via text NOT NULL DEFAULT 'cli' CHECK (via IN ('api', 'cli'));
