-- Runs on SQLite and, with BLOB read as BYTEA, on PostgreSQL.
-- Times are microseconds since 1970-01-01 UTC. What each column may hold is
-- declared in columns.rs: `clear` or `sealed`.

CREATE TABLE keys (
  uid        TEXT   NOT NULL PRIMARY KEY,
  workspace  TEXT   NOT NULL,
  segment    TEXT   NOT NULL,
  subject    TEXT   NOT NULL,
  kms_uri    TEXT   NOT NULL,
  wrapped    BLOB   NOT NULL,
  created_at BIGINT NOT NULL,
  UNIQUE (workspace, segment, subject)
);

CREATE TABLE records (
  uid            TEXT   NOT NULL PRIMARY KEY,
  kind           TEXT   NOT NULL,
  workspace      TEXT   NOT NULL,
  parent         TEXT   NOT NULL,
  name           TEXT   NOT NULL,
  generation     BIGINT NOT NULL,
  revision       BIGINT NOT NULL,
  state          TEXT   NOT NULL,
  claimed        BIGINT NOT NULL,
  spec           BLOB   NOT NULL,
  status         BLOB   NOT NULL,
  created_at     BIGINT NOT NULL,
  updated_at     BIGINT NOT NULL,
  UNIQUE (kind, parent, name)
);

CREATE TABLE operations (
  id               TEXT   NOT NULL PRIMARY KEY,
  kind             TEXT   NOT NULL,
  workspace        TEXT   NOT NULL,
  target_uid       TEXT   NOT NULL,
  state            TEXT   NOT NULL,
  attempt          BIGINT NOT NULL,
  revision         BIGINT NOT NULL,
  progress_percent DOUBLE PRECISION NOT NULL,
  message          BLOB,
  error            BLOB,
  payload          BLOB   NOT NULL,
  created_at       BIGINT NOT NULL,
  updated_at       BIGINT NOT NULL
);
CREATE INDEX operations_by_target ON operations (target_uid, created_at);
CREATE INDEX operations_by_state ON operations (state, created_at);

CREATE TABLE versions (
  model_uid     TEXT   NOT NULL,
  version       BIGINT NOT NULL,
  workspace     TEXT   NOT NULL,
  spec_mark     TEXT   NOT NULL,
  data_mark     TEXT   NOT NULL,
  body          BLOB   NOT NULL,
  created_at    BIGINT NOT NULL,
  PRIMARY KEY (model_uid, version),
  UNIQUE (model_uid, spec_mark, data_mark)
);

CREATE TABLE aliases (
  model_uid  TEXT   NOT NULL,
  alias      TEXT   NOT NULL,
  version    BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (model_uid, alias),
  FOREIGN KEY (model_uid, version) REFERENCES versions (model_uid, version)
);

CREATE TABLE reports (
  id          TEXT   NOT NULL PRIMARY KEY,
  monitor_uid TEXT   NOT NULL,
  workspace   TEXT   NOT NULL,
  verdict     TEXT   NOT NULL,
  body        BLOB   NOT NULL,
  created_at  BIGINT NOT NULL
);
CREATE INDEX reports_by_monitor ON reports (monitor_uid, created_at);

CREATE TABLE segments (
  endpoint_uid TEXT   NOT NULL,
  name         TEXT   NOT NULL,
  workspace    TEXT   NOT NULL,
  kind         TEXT   NOT NULL,
  row_count    BIGINT NOT NULL,
  first_at     BIGINT NOT NULL,
  last_at      BIGINT NOT NULL,
  created_at   BIGINT NOT NULL,
  PRIMARY KEY (endpoint_uid, name)
);
CREATE INDEX segments_by_time ON segments (endpoint_uid, kind, last_at);

CREATE TABLE audit_heads (
  chain    TEXT   NOT NULL PRIMARY KEY,
  size     BIGINT NOT NULL,
  hash     BLOB   NOT NULL,
  frontier BLOB   NOT NULL
);

CREATE TABLE audit_events (
  chain   TEXT   NOT NULL,
  seq     BIGINT NOT NULL,
  event   TEXT   NOT NULL,
  hash    BLOB   NOT NULL,
  details BLOB,
  PRIMARY KEY (chain, seq)
);

CREATE TABLE audit_checkpoints (
  chain     TEXT   NOT NULL,
  size      BIGINT NOT NULL,
  root      BLOB   NOT NULL,
  at        BIGINT NOT NULL,
  key_id    TEXT   NOT NULL,
  signature BLOB   NOT NULL,
  PRIMARY KEY (chain, size)
);

CREATE TABLE audit_refusals (
  chain     TEXT   NOT NULL,
  actor     TEXT   NOT NULL,
  rule      TEXT   NOT NULL,
  first_at  BIGINT NOT NULL,
  last_at   BIGINT NOT NULL,
  told      BIGINT NOT NULL,
  untold    BIGINT NOT NULL,
  PRIMARY KEY (chain, actor, rule)
);

CREATE TABLE signing_keys (
  key_id     TEXT   NOT NULL PRIMARY KEY,
  cluster    TEXT   NOT NULL,
  public_key BLOB   NOT NULL,
  wrapped    BLOB   NOT NULL,
  kms_uri    TEXT   NOT NULL,
  created_at BIGINT NOT NULL
);
