use jiff::Timestamp;

use crate::crypto::sha256;
use crate::db::{Tx, column, now};
use crate::error::{Result, StoreError};
use crate::sealed::record::{Place, seal_json};

use super::checkpoint;
use super::event::{Event, Outcome, link};
use super::merkle::Frontier;

/// Refusals of one caller by one rule that are told one by one, in each window.
const TOLD_EACH: i64 = 5;
/// After this a refusal is told again, with the number of those that were not.
const WINDOW_MICROS: i64 = 60 * 60 * 1_000_000;
/// Callers and rules counted apart in one chain; beyond that they are counted together.
const COUNTED_APART: i64 = 1024;
const OTHERS: &str = "(others)";

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Appended {
    /// It is in the chain.
    Event { seq: i64, hash: [u8; 32] },
    /// It was counted with others of the same caller and rule; so many now wait to be told.
    Counted { untold: i64 },
}

/// Appends an event to its chain, in the transaction of what it is evidence of.
///
/// Refusals after the first few of one caller and rule are counted instead, so that denials cannot
/// fill the disk; the count is told with the next window, or by [`flush_refusals`].
pub async fn append(tx: &mut Tx, event: &Event) -> Result<Appended> {
    if let Outcome::Refused { rule } = &event.outcome
        && let Some(counted) = count(tx, event, rule).await?
    {
        return Ok(counted);
    }
    let (seq, hash) = link_event(tx, event).await?;
    Ok(Appended::Event { seq, hash })
}

/// Tells every count of refusals that waits in a chain. How many events that made.
pub async fn flush_refusals(tx: &mut Tx, chain: &str) -> Result<usize> {
    let rows = sqlx::query(
        "SELECT actor, rule, first_at, last_at, untold FROM audit_refusals
         WHERE chain = $1 AND untold > 0 ORDER BY actor, rule",
    )
    .bind(chain)
    .fetch_all(tx.conn())
    .await
    .map_err(StoreError::db("read the counted refusals"))?;
    for row in &rows {
        let (actor, rule): (String, String) = (column(row, "actor")?, column(row, "rule")?);
        let (untold, last): (i64, i64) = (column(row, "untold")?, column(row, "last_at")?);
        let first = column(row, "first_at")?;
        tell(tx, chain, &actor, &rule, untold, (first, last)).await?;
    }
    sqlx::query("DELETE FROM audit_refusals WHERE chain = $1")
        .bind(chain)
        .execute(tx.conn())
        .await
        .map_err(StoreError::db("clear the counted refusals"))?;
    Ok(rows.len())
}

/// Counts a refusal; `None` when it is to be told on its own.
async fn count(tx: &mut Tx, event: &Event, rule: &str) -> Result<Option<Appended>> {
    let at = now();
    let chain = event.chain.as_str();
    let known = refusals(tx, chain, &event.actor, rule).await?;
    let crowded = match known {
        Some(_) => false,
        None => {
            let counted: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM audit_refusals WHERE chain = $1")
                .bind(chain)
                .fetch_one(tx.conn())
                .await
                .map_err(StoreError::db("count refusals"))?;
            counted >= COUNTED_APART
        }
    };
    let actor = if crowded { OTHERS } else { event.actor.as_str() };
    let known = match crowded {
        true => refusals(tx, chain, OTHERS, rule).await?,
        false => known,
    };
    let window = known.filter(|k| at - k.first_at < WINDOW_MICROS);
    if let Some(ended) = known.filter(|k| window.is_none() && k.untold > 0) {
        let span = (ended.first_at, ended.last_at);
        tell(tx, chain, actor, rule, ended.untold, span).await?;
    }
    let (first_at, told, untold) = window.map_or((at, 0, 0), |w| (w.first_at, w.told, w.untold));
    let tell_it = told < TOLD_EACH;
    let told = told + i64::from(tell_it);
    let untold = untold + i64::from(!tell_it);
    sqlx::query(
        "INSERT INTO audit_refusals (chain, actor, rule, first_at, last_at, told, untold)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (chain, actor, rule) DO UPDATE
         SET first_at = excluded.first_at, last_at = excluded.last_at,
             told = excluded.told, untold = excluded.untold",
    )
    .bind(chain)
    .bind(actor)
    .bind(rule)
    .bind(first_at)
    .bind(at)
    .bind(told)
    .bind(untold)
    .execute(tx.conn())
    .await
    .map_err(StoreError::db("count a refusal"))?;
    Ok((!tell_it).then_some(Appended::Counted { untold }))
}

#[derive(Debug, Clone, Copy)]
struct Refusals {
    first_at: i64,
    last_at: i64,
    told: i64,
    untold: i64,
}

async fn refusals(tx: &mut Tx, chain: &str, actor: &str, rule: &str) -> Result<Option<Refusals>> {
    let row = sqlx::query(
        "SELECT first_at, last_at, told, untold FROM audit_refusals
         WHERE chain = $1 AND actor = $2 AND rule = $3",
    )
    .bind(chain)
    .bind(actor)
    .bind(rule)
    .fetch_optional(tx.conn())
    .await
    .map_err(StoreError::db("count refusals"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Refusals {
        first_at: column(&row, "first_at")?,
        last_at: column(&row, "last_at")?,
        told: column(&row, "told")?,
        untold: column(&row, "untold")?,
    }))
}

async fn tell(tx: &mut Tx, chain: &str, actor: &str, rule: &str, untold: i64, (first, last): (i64, i64)) -> Result<()> {
    let time = |micros| Timestamp::from_microsecond(micros).map_err(|e| StoreError::damaged("a refusal's time", e));
    let reason = format!("{untold} more requests were refused from {} to {}", time(first)?, time(last)?);
    let event = Event::refused(chain, actor, "audit.refusals", "", rule, reason);
    link_event(tx, &event).await.map(drop)
}

async fn link_event(tx: &mut Tx, event: &Event) -> Result<(i64, [u8; 32])> {
    let db = StoreError::db("append to the audit chain");
    let chain = event.chain.as_str();
    sqlx::query(
        "INSERT INTO audit_heads (chain, size, hash, frontier) VALUES ($1, 0, $2, $3)
         ON CONFLICT (chain) DO NOTHING",
    )
    .bind(chain)
    .bind([0u8; 32].as_slice())
    .bind([].as_slice())
    .execute(tx.conn())
    .await
    .map_err(&db)?;
    // The update locks the head until the transaction ends, on every database.
    let head = sqlx::query("UPDATE audit_heads SET size = size + 1 WHERE chain = $1 RETURNING size, hash, frontier")
        .bind(chain)
        .fetch_one(tx.conn())
        .await
        .map_err(&db)?;
    let damaged = || StoreError::damaged(format!("the head of the audit chain {chain}"), "lengths");
    let seq: i64 = column(&head, "size")?;
    let previous: Vec<u8> = column(&head, "hash")?;
    let previous: [u8; 32] = previous.try_into().map_err(|_| damaged())?;
    let frontier: Vec<u8> = column(&head, "frontier")?;
    let before = u64::try_from(seq - 1).map_err(|_| damaged())?;
    let mut frontier = Frontier::from_parts(before, &frontier).ok_or_else(damaged)?;

    let details = match &event.details {
        Some(details) => {
            let keys = tx.workspace_keys_or_create(chain).await?;
            let row = format!("{chain}/{seq}");
            Some(seal_json(&keys, details_place(&row), details)?)
        }
        None => None,
    };
    let details_hash = details.as_ref().map(|sealed| sha256(&[sealed]));
    let text = event.canonical(seq, now(), details_hash.as_ref());
    let hash = link(&previous, &text);
    frontier.push(&hash);
    sqlx::query("INSERT INTO audit_events (chain, seq, event, hash, details) VALUES ($1, $2, $3, $4, $5)")
        .bind(chain)
        .bind(seq)
        .bind(&text)
        .bind(hash.as_slice())
        .bind(details)
        .execute(tx.conn())
        .await
        .map_err(&db)?;
    sqlx::query("UPDATE audit_heads SET hash = $2, frontier = $3 WHERE chain = $1")
        .bind(chain)
        .bind(hash.as_slice())
        .bind(frontier.to_bytes())
        .execute(tx.conn())
        .await
        .map_err(&db)?;
    if seq % tx.shared().checkpoint_every == 0 {
        checkpoint::write(tx, chain, &frontier).await?;
    }
    Ok((seq, hash))
}

pub(super) fn details_place(row: &str) -> Place<'_> {
    Place { table: "audit_events", row, column: "details", version: 1 }
}
