//! The life that every declared object but the cluster has: planned from its
//! parent's place, put into the runtime, waited for, read back, deleted.

use std::marker::PhantomData;
use std::sync::Arc;

use falaj_api::client::ClientError;
use falaj_api::cluster::Cluster as ClusterKind;
use falaj_api::id::Prefix;
use falaj_api::record::{Delete, Get, Put, State};
use falaj_api::workspace::Workspace as WorkspaceKind;
use falaj_api::{Id, Kind, Record};
use tfplugin::{Attr, Context, DefaultTimeouts, Diagnostic, Diagnostics, Failure, Import, Plan, Resource};

use super::declared::{Declared, Finder};
use super::inherited_key;
use super::memory::Memory;
use super::operation::{Unfinished, wait};
use super::reach::{Owner, Unreachable, given_up, known_id, reach};
use crate::attributes::{Object, blank, differs, labels, posture, residency};
use crate::connection::{Connection, Shared};
use crate::{errors, place};

/// A [`Declared`] as a resource of the framework.
pub struct Managed<D>(pub D);

/// The call that reads an object by its id.
pub fn get<K: Kind>(id: &Id) -> Get<K> {
    Get {
        workspace: workspace_of(&id.place),
        name: id.place.name().to_owned(),
        uid: Some(id.uid.clone()),
        kind: PhantomData,
    }
}

/// The workspace an object is in; a workspace itself is in none.
fn workspace_of(place: &Prefix) -> Option<String> {
    place.object.as_ref().and(place.workspace.clone())
}

/// The object's own place, from that of its parent.
fn own_place<K: Kind>(parent: &Prefix, name: &str) -> Prefix {
    if K::NAME == "workspace" { parent.workspace(name) } else { parent.object(K::NAME, name) }
}

fn what<K: Kind>(name: &str) -> String {
    format!("the {} {name:?}", K::NAME.replace('_', " "))
}

impl<D: Declared> Managed<D> {
    /// The place of a model, as far as its parent and name are known.
    fn place(model: &D::Model) -> Result<Option<Prefix>, Diagnostic> {
        let (attribute, noun) = D::PARENT;
        let parent = place::expect(D::parent(model), noun, attribute)?;
        Ok(parent.zip(model.name().known()).map(|(parent, name)| own_place::<D::Kind>(&parent, name)))
    }

    async fn posture(shared: Option<&Arc<Shared>>, model: &mut D::Model, place: Option<&Prefix>) {
        let mut facts = D::facts(model);
        facts.kms_key = match (shared, place) {
            (Some(shared), Some(place)) => inherited_key::effective(shared, place, facts.kms_key).await,
            _ if facts.kms_key.is_null() => Attr::unknown(),
            _ => facts.kms_key,
        };
        let posture = posture::of(place.map(|place| &place.region), &facts);
        *model.posture_mut() = posture.into();
    }

    /// Where it may be: asked of what is new or changes, never of what is only seen.
    fn check_residency(shared: &Shared, place: &Prefix) -> Diagnostics {
        match residency::rule(&shared.residency) {
            Attr::Known(rule) => residency::check_region(&rule, &place.region, D::PARENT.0.into(), D::NAME),
            _ => Diagnostics::new(),
        }
    }

    fn diagnostic(error: &ClientError, name: &str) -> Diagnostic {
        errors::diagnostic(error, &what::<D::Kind>(name), &<D::Model as tfplugin::Model>::attributes())
    }

    /// Puts the declaration; without `uid` it creates.
    async fn put(
        ctx: &Context<Shared>,
        model: &D::Model,
        uid: Option<String>,
    ) -> Result<(Id, Record<D::Kind>), Diagnostics> {
        let place = Self::place(model)?.ok_or_else(|| {
            Diagnostic::error("The place is not known").detail("The parent's id must be known by now.").at(D::PARENT.0)
        })?;
        let connection = Self::reach(ctx, &place).await.map_err(|unreachable| unreachable.problem)?;
        D::prepare(ctx, &connection, &place, model).await?;
        let spec = D::spec(model, model.effective_labels().clone().or_default())?;
        let put = Put::<D::Kind> { workspace: workspace_of(&place), name: place.name().to_owned(), uid, spec };
        let record =
            ctx.shared()?.call(&connection, &put).await.map_err(|error| Self::diagnostic(&error, place.name()))?;
        Memory::keep(&connection, record.state, ctx);
        let id =
            record.id.parse().map_err(|problem: String| Diagnostic::error("The runtime gave no id").detail(problem))?;
        Ok((id, record))
    }

    /// Waits for the runtime and completes the state.
    async fn settle(
        ctx: &Context<Shared>,
        mut model: D::Model,
        id: Id,
        record: Record<D::Kind>,
        creating: bool,
    ) -> Result<D::Model, Failure<D::Model>> {
        *model.id_mut() = record.id.clone().into();
        Self::posture(ctx.try_shared(), &mut model, Some(&id.place)).await;
        let name = id.place.name().to_owned();
        let what = what::<D::Kind>(&name);
        match wait(ctx, &id, record).await {
            Ok(record) => {
                Memory::finish(ctx);
                D::observe(&mut model, &record.status);
                Ok(model)
            }
            Err(stopped @ Unfinished::Stopped) => {
                ctx.diagnose(stopped.diagnostic(&what, ctx.timeout()));
                Ok(model)
            }
            Err(unfinished) => {
                let diagnostic = unfinished.diagnostic(&what, ctx.timeout());
                // After a failed change the prior state stands, so that the difference stays.
                Err(if creating { Failure::partial(model, diagnostic) } else { diagnostic.into() })
            }
        }
    }

    /// A connection to the cluster that the object was made in, and no other.
    async fn reach(ctx: &Context<Shared>, place: &Prefix) -> Result<Arc<Connection>, Unreachable> {
        let Memory { cluster_uid, machine_id, .. } = Memory::recall(ctx);
        reach(ctx, &place.cluster, Owner { cluster_uid, machine_id }, &what::<D::Kind>(place.name())).await
    }
}

impl<D: Declared> Resource for Managed<D> {
    type Shared = Shared;
    type Model = D::Model;
    const NAME: &'static str = D::NAME;

    fn default_timeouts(&self) -> DefaultTimeouts {
        D::timeouts()
    }

    async fn validate(&self, _ctx: &Context<Shared>, config: &D::Model) -> Result<(), Diagnostics> {
        D::validate(config).into_result().map(|_| ())
    }

    async fn plan(&self, ctx: &Context<Shared>, plan: &mut Plan<D::Model>) -> Result<(), Diagnostics> {
        let mut problems = Diagnostics::new();
        let place = Self::place(&plan.planned).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if plan.is_create() {
            *plan.planned.id_mut() = place::planned_id(place.as_ref());
        } else if Memory::recall(ctx).unfinished {
            D::expect(&mut plan.planned);
        }
        let provided = ctx.try_shared().map_or_else(Attr::unknown, |shared| shared.labels.clone());
        *plan.planned.effective_labels_mut() = labels::merge(&provided, plan.planned.labels());
        problems.append(D::plan(ctx, place.as_ref(), plan).await);
        Self::posture(ctx.try_shared(), &mut plan.planned, place.as_ref()).await;
        if let (Some(shared), Some(place)) = (ctx.try_shared(), &place)
            && differs(plan.prior.as_ref(), &plan.planned)
        {
            problems.append(Self::check_residency(shared, place));
        }
        problems.into_result().map(|warnings| ctx.diagnose(warnings))
    }

    async fn create(&self, ctx: &Context<Shared>, plan: Plan<D::Model>) -> Result<D::Model, Failure<D::Model>> {
        let (id, record) = Self::put(ctx, &plan.planned, None).await?;
        Self::settle(ctx, plan.planned, id, record, true).await
    }

    async fn read(&self, ctx: &Context<Shared>, state: D::Model) -> Result<Option<D::Model>, Diagnostics> {
        let id = known_id(state.id())?;
        let what = what::<D::Kind>(id.place.name());
        let connection = match ctx.run(Self::reach(ctx, &id.place)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(Unreachable { abandoned, awaits_repair, problem })) if abandoned || awaits_repair => {
                ctx.warn(format!("{} is taken as it was", errors::capital(&what)), problem.detail);
                return Ok(Some(state));
            }
            Ok(Err(unreachable)) => return Err(unreachable.problem.into()),
            Err(reason) => return Err(given_up(reason, &what).into()),
        };
        let answer = ctx
            .run(ctx.shared()?.call(&connection, &get::<D::Kind>(&id)))
            .await
            .map_err(|reason| given_up(reason, &what))?;
        let record = match answer {
            Ok(record) => record,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(Self::diagnostic(&error, id.place.name()).into()),
        };
        Memory::keep(&connection, record.state, ctx);
        let mut model = state;
        let found = D::labels(&record.spec).clone();
        let declared = D::spec(&model, found.clone()).ok();
        // After a failed change what was declared before stands, so that the next plan tries again.
        let stands = declared.as_ref() == Some(&record.spec) || (declared.is_some() && record.state == State::Failed);
        if !stands {
            let finder = Finder { connection: &connection, place: &id.place };
            *model.name_mut() = id.place.name().into();
            if D::parent(&model).is_null() {
                let parent = match D::PARENT.1 {
                    "cluster" => Some(finder.id::<ClusterKind>(&id.place.cluster).await?),
                    "workspace" => match &id.place.workspace {
                        Some(workspace) => Some(finder.id::<WorkspaceKind>(workspace).await?),
                        None => None,
                    },
                    _ => None,
                };
                *D::parent_mut(&mut model) = parent.into();
            }
            D::declare(&mut model, &record.spec, &finder).await?;
        }
        let provided = &ctx.shared()?.labels;
        *model.labels_mut() = Attr::Known(labels::own(provided, model.labels(), &found));
        *model.effective_labels_mut() = Attr::Known(found);
        if record.state == State::Ready {
            D::observe(&mut model, &record.status);
        }
        Self::posture(ctx.try_shared(), &mut model, Some(&id.place)).await;
        Ok(Some(model))
    }

    async fn update(&self, ctx: &Context<Shared>, plan: Plan<D::Model>) -> Result<D::Model, Failure<D::Model>> {
        let prior = plan.prior.as_ref().unwrap_or(&plan.planned);
        let id = known_id(prior.id())?;
        let (id, record) = Self::put(ctx, &plan.planned, Some(id.uid)).await?;
        Self::settle(ctx, plan.planned, id, record, false).await
    }

    async fn delete(&self, ctx: &Context<Shared>, state: D::Model) -> Result<(), Diagnostics> {
        let id = known_id(state.id())?;
        let what = what::<D::Kind>(id.place.name());
        let connection = match Self::reach(ctx, &id.place).await {
            Ok(connection) => connection,
            Err(Unreachable { abandoned: true, problem, .. }) => {
                ctx.warn(format!("{} is forgotten, not destroyed", errors::capital(&what)), problem.detail);
                return Ok(());
            }
            Err(unreachable) => return Err(unreachable.problem.into()),
        };
        let delete = Delete::<D::Kind> {
            workspace: workspace_of(&id.place),
            name: id.place.name().to_owned(),
            uid: id.uid.clone(),
            kind: PhantomData,
        };
        match ctx.run(ctx.shared()?.call(&connection, &delete)).await.map_err(|reason| given_up(reason, &what))? {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(Self::diagnostic(&error, id.place.name()).into()),
        }
    }

    async fn import(&self, _ctx: &Context<Shared>, import: Import) -> Result<D::Model, Diagnostics> {
        let mut model: D::Model = blank()?;
        *model.id_mut() = imported_id(&import, <D::Kind as Kind>::NAME)?.to_string().into();
        Ok(model)
    }
}

/// The id that an import names, which must be that of a `noun`.
pub fn imported_id(import: &Import, noun: &str) -> Result<Id, Diagnostic> {
    let text = import.id().unwrap_or_default();
    let wrong =
        |problem: String| Diagnostic::error(format!("Not the id of a falaj_{noun}")).detail(format!("{problem}."));
    let id: Id = text.parse().map_err(wrong)?;
    match place::noun(&id.place) {
        found if found == noun => Ok(id),
        found => Err(wrong(format!("{text:?} is the id of a falaj_{found}"))),
    }
}
