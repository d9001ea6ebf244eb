//! Verifying the audit chains, in a running cluster or in its files.

use std::{path::Path, sync::Arc};

use anyhow::{Result, bail};
use falaj_api::{
    Problem,
    audit::{BadEvent, ChainCheck, VerifyAudit},
};
use falaj_store::audit::{self, ChainReport};

use crate::{control::Control, data_dir::DataDir, http::Routes, identity::Principal, stored::store_problem};

#[must_use]
pub fn routes(routes: Routes) -> Routes {
    routes.call::<VerifyAudit, _, _>(verify)
}

async fn verify(control: Arc<Control>, _: Principal, _: VerifyAudit) -> Result<Vec<ChainCheck>, Problem> {
    let database = control.store.dir().join(DATABASE);
    let reports = audit::verify_database(&database).await.map_err(store_problem)?;
    Ok(reports.into_iter().map(check).collect())
}

/// The file of the store that holds the chains.
const DATABASE: &str = "db.sqlite";

/// `falaj audit verify`: needs no running server, and no key.
///
/// # Errors
/// The database cannot be read, or a chain does not verify.
pub async fn verify_files(data_dir: &Path) -> Result<()> {
    let data = DataDir::open(data_dir)?;
    let reports = audit::verify_database(&data.root().join("store").join(DATABASE)).await?;
    let mut bad = 0;
    for report in reports {
        let report = check(report);
        match &report.first_bad {
            None => println!("{}: {} events verify, head {}", report.chain, report.events, report.head),
            Some(first) => {
                bad += 1;
                println!("{}: event {} does not verify: {}", report.chain, first.seq, first.reason);
            }
        }
    }
    if bad > 0 {
        bail!("{bad} chains were altered");
    }
    Ok(())
}

fn check(report: ChainReport) -> ChainCheck {
    ChainCheck {
        chain: report.chain,
        events: report.events,
        head: hex::encode(report.head),
        first_bad: report
            .first_bad
            .map(|bad| BadEvent { seq: u64::try_from(bad.seq).unwrap_or(0), reason: bad.reason }),
    }
}
