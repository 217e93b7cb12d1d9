-- What is kept for how long, and what operators were told.

-- Rows that are too old are removed by the id of their exchange.
CREATE INDEX counted_job_by_exchange ON counted_job (exchange_id);

-- Which budget alerts were delivered, so that a restart tells nobody twice.
CREATE TABLE alert (
    project TEXT NOT NULL,
    day TEXT NOT NULL,
    percent INTEGER NOT NULL,
    limit_nanousd INTEGER NOT NULL, -- of a budget that was changed in between people are told anew
    delivered_ns INTEGER NOT NULL,
    PRIMARY KEY (project, day, percent, limit_nanousd)
) STRICT, WITHOUT ROWID;
