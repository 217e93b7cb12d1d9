-- Exchanges, their daily totals, and the tables and view that users query themselves (contract, section 6).
-- Times are nanoseconds since 1970-01-01 UTC; money is whole nano-dollars; NULL is "not known", never 0.

CREATE TABLE node (
    id TEXT NOT NULL PRIMARY KEY,
    created_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE exchange (
    id TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns INTEGER,
    project TEXT NOT NULL,
    session_id TEXT,
    provider TEXT NOT NULL,
    model TEXT,
    modality TEXT CHECK (modality IN ('stt', 'llm', 'tts', 's2s')),
    status TEXT NOT NULL CHECK (status IN (
        'open', 'ok', 'cancelled', 'refused', 'upstream_error', 'partial', 'interrupted', 'idle', 'degraded')),
    http_status INTEGER,
    first_ms REAL,
    first_ms_basis TEXT,
    total_ms REAL,
    input_tokens INTEGER,
    cached_input_tokens INTEGER,
    output_tokens INTEGER,
    reasoning_tokens INTEGER,
    input_audio_tokens INTEGER,
    output_audio_tokens INTEGER,
    audio_s REAL,
    audio_out_s REAL,
    characters INTEGER,
    estimated INTEGER NOT NULL DEFAULT 0,
    cost_nanousd INTEGER,
    cost_source TEXT NOT NULL DEFAULT 'none',
    error TEXT,
    late INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE INDEX exchange_by_project ON exchange (project, id);
CREATE INDEX exchange_by_session ON exchange (session_id, project, id) WHERE session_id IS NOT NULL;
CREATE INDEX exchange_open ON exchange (node_id) WHERE status = 'open';

-- Kept in the transaction of each row that closes; '' stands for an unknown modality or model.
CREATE TABLE daily_total (
    project TEXT NOT NULL,
    day TEXT NOT NULL,
    modality TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    request_count INTEGER NOT NULL DEFAULT 0,
    cost_nanousd INTEGER NOT NULL DEFAULT 0,
    unpriced_count INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (project, day, modality, provider, model)
) STRICT, WITHOUT ROWID;

CREATE INDEX daily_total_by_day ON daily_total (day);

CREATE VIEW project_daily_costs AS
SELECT project,
       day,
       nullif(modality, '') AS modality,
       provider,
       nullif(model, '') AS model,
       request_count,
       cost_nanousd / 1e9 AS total_cost
FROM daily_total;

CREATE TABLE managed_projects (
    project_id TEXT NOT NULL PRIMARY KEY,
    settings TEXT NOT NULL, -- JSON, validated as the YAML is
    created_ns INTEGER NOT NULL,
    updated_ns INTEGER NOT NULL
) STRICT;

CREATE TABLE latency_observations (
    project_id TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL DEFAULT '', -- '' is the pooled row of all the provider's models
    modality TEXT NOT NULL CHECK (modality IN ('stt', 'llm', 'tts')),
    p50_ms REAL,
    p95_ms REAL,
    sample_count INTEGER NOT NULL,
    window_start TEXT NOT NULL,
    window_end TEXT NOT NULL,
    refreshed_at TEXT NOT NULL,
    PRIMARY KEY (project_id, modality, provider, model)
) STRICT;
