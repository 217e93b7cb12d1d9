-- Sessions, their turns, and what an exchange's place in them is told from.

-- The moments that turns are made of (docs/measuring.md): for an LLM and for uploads the complete request, for speech
-- its first text; the first useful output; an LLM's first content; the person's speech.
ALTER TABLE exchange ADD COLUMN asked_ns INTEGER;
ALTER TABLE exchange ADD COLUMN first_ns INTEGER;
ALTER TABLE exchange ADD COLUMN content_ns INTEGER;
ALTER TABLE exchange ADD COLUMN speech_began_ns INTEGER;
ALTER TABLE exchange ADD COLUMN speech_ended_ns INTEGER;

-- `uid` is unique everywhere and sorts by time; `id` is the agent's own name for the session, unique in its project.
-- The columns from `ended_ns` on are written once, when it closes.
CREATE TABLE session (
    uid TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    project TEXT NOT NULL,
    id TEXT NOT NULL,
    origin TEXT NOT NULL CHECK (origin IN ('api', 'named', 'inferred')),
    started_ns INTEGER NOT NULL,
    budget_ms INTEGER NOT NULL,
    predicted_ms REAL,
    budget_overrun INTEGER,
    route TEXT NOT NULL, -- JSON: what was picked, and what was really used
    ended_ns INTEGER,
    budget_ms_used REAL,
    cost_nanousd INTEGER,
    unpriced INTEGER,
    exchanges INTEGER,
    turns INTEGER,
    interruptions INTEGER,
    user_talk_s REAL,
    agent_talk_s REAL,
    UNIQUE (project, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX session_by_project ON session (project, uid);
CREATE INDEX session_by_id ON session (id);
CREATE INDEX session_open ON session (node_id) WHERE ended_ns IS NULL;

CREATE TABLE turn (
    session_uid TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    stt_ms INTEGER,
    llm_ms INTEGER,
    tts_ms INTEGER,
    agent_ms INTEGER,
    total_ms INTEGER,
    interrupted INTEGER NOT NULL,
    llm_calls INTEGER NOT NULL,
    abandoned INTEGER NOT NULL,
    has_filler INTEGER NOT NULL,
    speech_ended_ns INTEGER,
    final_ns INTEGER,
    asked_ns INTEGER,
    token_ns INTEGER,
    text_ns INTEGER,
    audio_ns INTEGER,
    PRIMARY KEY (session_uid, "index")
) STRICT, WITHOUT ROWID;

-- Which session an exchange was found to belong to after its row was written; the newest row of an exchange counts.
CREATE TABLE membership (
    id TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    exchange_id TEXT NOT NULL,
    project TEXT NOT NULL,
    session_id TEXT NOT NULL,
    basis TEXT NOT NULL,
    at_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX membership_by_exchange ON membership (exchange_id, id);
CREATE INDEX membership_by_session ON membership (session_id, project, exchange_id);
