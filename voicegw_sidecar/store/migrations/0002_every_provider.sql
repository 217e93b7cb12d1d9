-- What the further providers bill by and are named by.

ALTER TABLE exchange ADD COLUMN cached_input_audio_tokens INTEGER;
ALTER TABLE exchange ADD COLUMN cache_write_tokens INTEGER;
ALTER TABLE exchange ADD COLUMN price_model TEXT; -- the catalogue's name of the model, where it is not the wire's

-- Work that a provider does after its request was answered (a transcription that is asked for until it is there):
-- which of the provider's ids has been counted, and by which exchange.
CREATE TABLE counted_job (
    provider TEXT NOT NULL,
    job_id TEXT NOT NULL,
    exchange_id TEXT NOT NULL,
    PRIMARY KEY (provider, job_id)
) STRICT, WITHOUT ROWID;
