use std::collections::BTreeMap;
use std::time::Duration;

use tfplugin::{
    Attr, Context, Diagnostic, Diagnostics, Failure, Import, Interrupted, Model, Plan, Resource, Span, Timeouts,
    validate,
};

use crate::client::{self, Client, Settings};

/// A queue, which keeps messages until somebody takes them.
#[derive(Model, Debug, Clone, Default)]
pub struct QueueModel {
    /// The broker's own name for it.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// What it is called. Another name is another queue.
    #[attr(required, replace, validate = [validate::name(63)])]
    name: Attr<String>,
    /// A sentence for people.
    #[attr(default = "")]
    description: Attr<String>,
    /// How many messages it holds at most.
    #[attr(default = 1000, validate = [validate::range(1, 100_000)])]
    max_messages: Attr<i64>,
    /// How long a message stays.
    #[attr(default = "7d")]
    retention: Attr<Span>,
    /// Words to find it by.
    #[attr(optional)]
    labels: Attr<BTreeMap<String, String>>,
    /// What its senders log in with. It is stored nowhere.
    #[attr(optional, write_only)]
    password_wo: Attr<String>,
    /// Raise it to send the password again.
    #[attr(optional)]
    password_wo_version: Attr<i64>,
    /// Where messages are sent to.
    #[attr(computed, depends_on = ["name"])]
    url: Attr<String>,
    /// How often its settings were changed.
    #[attr(computed, depends_on = ["description", "max_messages", "retention", "labels"])]
    revision: Attr<i64>,
    /// How long each operation may take.
    #[attr(optional)]
    timeouts: Attr<Timeouts>,
}

impl QueueModel {
    fn settings(self, password: Attr<String>) -> Settings {
        Settings {
            name: self.name.or_default(),
            description: self.description.or_default(),
            max_messages: self.max_messages.or_default(),
            retention_seconds: self.retention.known().map_or(0, |span| span.duration().as_secs()),
            labels: self.labels.into_known(),
            password: password.into_known(),
        }
    }

    /// As the broker shows it; the rest as it was.
    fn shown(self, queue: client::Queue) -> Self {
        Self {
            id: queue.id.into(),
            name: queue.settings.name.into(),
            description: queue.settings.description.into(),
            max_messages: queue.settings.max_messages.into(),
            retention: Span::from(Duration::from_secs(queue.settings.retention_seconds)).into(),
            labels: queue.settings.labels.into(),
            url: queue.url.into(),
            revision: queue.revision.into(),
            ..self
        }
    }
}

pub struct Queue;

impl Resource for Queue {
    type Shared = Client;
    type Model = QueueModel;
    const NAME: &'static str = "queues_queue";

    async fn create(&self, ctx: &Context<Client>, plan: Plan<QueueModel>) -> Result<QueueModel, Failure<QueueModel>> {
        let settings = plan.planned.clone().settings(plan.config.password_wo);
        let queue = plan.planned.shown(ctx.shared()?.create(&settings).await?);
        // From here on there is a queue: whatever fails, its id is kept.
        match ctx.run(ctx.shared()?.wait(queue.id.as_deref().unwrap_or_default())).await {
            Ok(Ok(())) | Err(Interrupted::Stopped) => Ok(queue),
            Ok(Err(problem)) => Err(Failure::partial(queue, problem)),
            Err(Interrupted::TimedOut) => {
                let late = format!("It did not start in {:?}. `timeouts.create` can be raised.", ctx.timeout());
                Err(Failure::partial(queue, Diagnostic::error("The queue did not start in time").detail(late)))
            }
        }
    }

    async fn read(&self, ctx: &Context<Client>, state: QueueModel) -> Result<Option<QueueModel>, Diagnostics> {
        let found = ctx.shared()?.find(state.id.as_deref().unwrap_or_default()).await?;
        Ok(found.map(|queue| state.shown(queue)))
    }

    async fn update(&self, ctx: &Context<Client>, plan: Plan<QueueModel>) -> Result<QueueModel, Failure<QueueModel>> {
        let planned = plan.planned;
        let raised = plan.prior.is_some_and(|prior| prior.password_wo_version != planned.password_wo_version);
        let password = if raised { plan.config.password_wo } else { Attr::Null };
        let id = planned.id.clone().or_default();
        Ok(planned.clone().shown(ctx.shared()?.update(&id, &planned.settings(password)).await?))
    }

    async fn delete(&self, ctx: &Context<Client>, state: QueueModel) -> Result<(), Diagnostics> {
        Ok(ctx.shared()?.delete(state.id.as_deref().unwrap_or_default()).await?)
    }

    async fn import(&self, _: &Context<Client>, import: Import) -> Result<QueueModel, Diagnostics> {
        Ok(QueueModel { id: import.id().map(str::to_owned).into(), ..QueueModel::default() })
    }
}
