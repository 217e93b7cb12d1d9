-- What operators do while the sidecar runs: brands, sign-ins, share links, and the log of every change.

-- What was set at run time for a project's look; NULL leaves the configuration file's. The logo itself is a file below
-- the database's folder, named by the project.
CREATE TABLE branding (
    project_id TEXT NOT NULL PRIMARY KEY,
    product_name TEXT,
    accent_color TEXT,
    logo_extension TEXT,
    logo_digest TEXT,
    updated_ns INTEGER NOT NULL
) STRICT;

-- A link's own text is not kept: it is signed with the key beside the database, and found again by its id.
CREATE TABLE share (
    id TEXT NOT NULL PRIMARY KEY,
    project TEXT NOT NULL,
    label TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    expires_ns INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_ns INTEGER
) STRICT;

-- Browsers that are signed in: the digest of what their cookie holds, and a keyed digest of the key they came with.
CREATE TABLE sign_in (
    digest TEXT NOT NULL PRIMARY KEY,
    key_print TEXT NOT NULL,
    expires_ns INTEGER NOT NULL
) STRICT;

-- What deleted projects left that is still to be removed: of a project, everything whose id sorts before `until_id`.
CREATE TABLE purge (
    project TEXT NOT NULL PRIMARY KEY,
    until_id TEXT NOT NULL
) STRICT;

-- Who changed what, as JSON before and after; never a key.
CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    node_id TEXT NOT NULL,
    at_ns INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    project TEXT,
    before TEXT,
    after TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_by_project ON audit (project, id);

-- How many of a session's exchanges failed: written when it closes, as its other figures are.
ALTER TABLE session ADD COLUMN failures INTEGER;
UPDATE session SET failures = (
    SELECT count(*) FROM exchange AS e
    WHERE e.id IN (SELECT id FROM exchange WHERE session_id = session.id AND project = session.project UNION ALL
                   SELECT exchange_id FROM membership AS m WHERE m.session_id = session.id AND m.project = session.project)
      AND e.project = session.project
      AND e.status IN ('upstream_error', 'partial', 'refused', 'interrupted', 'degraded')
      AND coalesce((SELECT m.session_id FROM membership AS m WHERE m.exchange_id = e.id ORDER BY m.id DESC LIMIT 1),
                   e.session_id) = session.id)
WHERE ended_ns IS NOT NULL;

CREATE INDEX session_failed ON session (project, uid) WHERE failures > 0;
CREATE INDEX session_overrun ON session (project, uid) WHERE budget_overrun = 1;

-- What pages filter by at a million rows. The common outcome is found without an index; the others are few, so that an
-- index for each thing they are filtered by costs little.
CREATE INDEX exchange_by_outcome ON exchange (status, id) WHERE status <> 'ok' AND status <> 'open';
CREATE INDEX exchange_by_outcome_modality ON exchange (status, modality, id) WHERE status <> 'ok' AND status <> 'open';
CREATE INDEX exchange_by_outcome_project ON exchange (status, project, id, modality)
    WHERE status <> 'ok' AND status <> 'open';
CREATE INDEX exchange_by_modality ON exchange (modality, id);
CREATE INDEX exchange_by_project_modality ON exchange (project, modality, id);
