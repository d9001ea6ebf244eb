//! What goes wrong half-way.

use std::time::Duration;

use tfplugin::{Attr, Context, Diagnostic, Diagnostics, Failure, Interrupted, Model, Plan, Resource, Timeouts};

use super::store::Store;

/// A job that ends as it is told.
#[derive(Model, Debug, Clone)]
pub struct Job {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// `done`, `half` (fails when there is something already), `fail`, `warn`,
    /// `panic`, or `wait` (longer than it may).
    #[attr(required)]
    end: Attr<String>,
    /// Known even when it failed half-way.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// Known when it is done.
    #[attr(computed, depends_on = ["end"])]
    result: Attr<String>,
    /// How long each operation may take.
    #[attr(optional)]
    timeouts: Attr<Timeouts>,
}

/// Ends jobs.
pub struct Jobs;

impl Jobs {
    async fn end(ctx: &Context<Store>, mut job: Job) -> Result<Job, Failure<Job>> {
        let name = job.name.clone().or_default();
        if job.id.is_unknown() {
            job.id = format!("job/{name}").into();
        }
        match job.end.as_deref() {
            Some("fail") => return Err(Diagnostic::error("The job failed").at("end").into()),
            Some("panic") => panic!("the job was told to panic"),
            Some("half") => {
                ctx.shared()?.put(Self::NAME, &name, r#"{"done": false}"#)?;
                return Err(Failure::partial(job, Diagnostic::error("Half of the job is done").at("end")));
            }
            Some("wait") => match ctx.run(tokio::time::sleep(Duration::from_secs(60))).await {
                Ok(()) | Err(Interrupted::Stopped) => return Err(Diagnostic::error("It was not awaited").into()),
                Err(Interrupted::TimedOut) => {
                    let detail = format!("It may take {:?}.", ctx.timeout());
                    return Err(Diagnostic::error("The job took too long").detail(detail).at("timeouts").into());
                }
            },
            Some("warn") => ctx.warn("The job is odd", "It ended all the same."),
            _ => {}
        }
        ctx.shared()?.put(Self::NAME, &name, r#"{"done": true}"#)?;
        if job.result.is_unknown() {
            job.result = job.end.clone().map(|end| format!("ended with {end}"));
        }
        Ok(job)
    }
}

impl Resource for Jobs {
    type Shared = Store;
    type Model = Job;
    const NAME: &'static str = "corner_job";

    async fn create(&self, ctx: &Context<Store>, plan: Plan<Job>) -> Result<Job, Failure<Job>> {
        Self::end(ctx, plan.planned).await
    }

    async fn read(&self, ctx: &Context<Store>, state: Job) -> Result<Option<Job>, Diagnostics> {
        let found = ctx.shared()?.get(Self::NAME, state.name.as_deref().unwrap_or_default())?;
        Ok(found.map(|_| state))
    }

    async fn update(&self, ctx: &Context<Store>, plan: Plan<Job>) -> Result<Job, Failure<Job>> {
        Self::end(ctx, plan.planned).await
    }

    async fn plan(&self, _ctx: &Context<Store>, plan: &mut Plan<Job>) -> Result<(), Diagnostics> {
        match plan.planned.end.as_deref() {
            Some("never") => Err(Diagnostic::error("A job must end").at("end").into()),
            _ => Ok(()),
        }
    }

    async fn delete(&self, ctx: &Context<Store>, state: Job) -> Result<(), Diagnostics> {
        let name = state.name.as_deref().unwrap_or_default();
        if ctx.shared()?.get(Self::NAME, name)?.is_some_and(|found| found.contains("locked")) {
            return Err(Diagnostic::error(format!("The job {name} is locked")).into());
        }
        ctx.shared()?.remove(Self::NAME, name)
    }
}
