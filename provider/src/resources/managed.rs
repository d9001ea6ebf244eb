//! The life that every declared object but the cluster has: planned from its
//! parent's place, put into the runtime, waited for, read back, deleted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use falaj_api::client::ClientError;
use falaj_api::cluster::Cluster as ClusterKind;
use falaj_api::id::Prefix;
use falaj_api::record::{Delete, Get, Put, State};
use falaj_api::workspace::Workspace as WorkspaceKind;
use falaj_api::{Id, Kind, Record};
use serde::{Deserialize, Serialize};
use tfplugin::{Attr, Context, DefaultTimeouts, Diagnostic, Diagnostics, Failure, Import, Interrupted, Plan, Resource};

use super::operation::{Unfinished, wait};
use crate::attributes::labels::{self, Labels};
use crate::attributes::posture::{self, Declared as Facts};
use crate::attributes::{Object, blank, differs, residency};
use crate::connection::{Connection, Shared};
use crate::{errors, place};

/// What tells one kind of declared object from another.
pub trait Declared: Send + Sync + 'static {
    type Kind: Kind;
    type Model: Object;
    /// `falaj_model`.
    const NAME: &'static str;
    /// The attribute that names the parent, and the parent's noun.
    const PARENT: (&'static str, &'static str);

    fn timeouts() -> DefaultTimeouts {
        DefaultTimeouts::all(Duration::from_secs(600))
    }

    fn parent(model: &Self::Model) -> &Attr<String>;

    fn parent_mut(model: &mut Self::Model) -> &mut Attr<String>;

    /// What the posture follows from, besides the place.
    fn facts(_model: &Self::Model) -> Facts {
        Facts::default()
    }

    /// Checks a configuration of which parts may be unknown, by itself.
    fn validate(_config: &Self::Model) -> Diagnostics {
        Diagnostics::new()
    }

    /// Completes a plan, and checks it against `place`, its own place as far as known.
    fn plan(
        _ctx: &Context<Shared>,
        _place: Option<&Prefix>,
        _plan: &mut Plan<Self::Model>,
    ) -> impl Future<Output = Diagnostics> + Send {
        async { Diagnostics::new() }
    }

    /// Does what must be done before the declaration is put.
    fn prepare(
        _connection: &Connection,
        _place: &Prefix,
        _model: &Self::Model,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send {
        async { Ok(()) }
    }

    /// The declaration, every part known, under these labels.
    fn spec(model: &Self::Model, labels: Labels) -> Result<<Self::Kind as Kind>::Spec, Diagnostics>;

    /// The labels of a declaration.
    fn labels(spec: &<Self::Kind as Kind>::Spec) -> &Labels;

    /// Takes over what the runtime has on record, where that is not what the
    /// model declares.
    fn declare(
        model: &mut Self::Model,
        spec: &<Self::Kind as Kind>::Spec,
        finder: &Finder<'_>,
    ) -> impl Future<Output = Result<(), Diagnostics>> + Send;

    /// Takes over what the runtime made of the declaration.
    fn observe(_model: &mut Self::Model, _status: &<Self::Kind as Kind>::Status) {}

    /// Makes unknown what [`Declared::observe`] takes over. None of it may be
    /// planned as not null: an interruption leaves it null.
    fn expect(_model: &mut Self::Model) {}
}

/// A [`Declared`] as a resource of the framework.
pub struct Managed<D>(pub D);

/// What is remembered beside the state of each object.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// Whose it is, so that another cluster of the same name is never taken for it.
    cluster_uid: String,
    /// Where that cluster lives.
    machine_id: String,
    /// Whether the runtime was still at work on it when it was last seen.
    unfinished: bool,
}

/// Finds the ids of what a declaration names.
pub struct Finder<'c> {
    connection: &'c Connection,
    place: &'c Prefix,
}

impl Finder<'_> {
    /// The id of the object of this name, in the same workspace where its kind is in one.
    pub async fn id<K: Kind>(&self, name: &str) -> Result<String, Diagnostics> {
        let workspace = if K::PATH.contains("{workspace}") { self.place.workspace.clone() } else { None };
        let get = Get::<K> { workspace, name: name.to_owned(), uid: None, kind: std::marker::PhantomData };
        let found = self.connection.call(&get).await;
        let what = format!("the {} {name:?}", K::NAME.replace('_', " "));
        found.map(|record| record.id).map_err(|error| errors::diagnostic(&error, &what, &[]).into())
    }
}

/// The call that reads an object by its id.
pub fn get<K: Kind>(id: &Id) -> Get<K> {
    Get {
        workspace: workspace_of(&id.place),
        name: id.place.name().to_owned(),
        uid: Some(id.uid.clone()),
        kind: std::marker::PhantomData,
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

    fn posture(model: &mut D::Model, place: Option<&Prefix>) {
        let posture = posture::of(place.map(|place| &place.region), &D::facts(model));
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
        let connection = ctx.shared()?.connect(&place.cluster).await?;
        D::prepare(&connection, &place, model).await?;
        let spec = D::spec(model, model.effective_labels().clone().or_default())?;
        let put = Put::<D::Kind> { workspace: workspace_of(&place), name: place.name().to_owned(), uid, spec };
        let record = connection.call(&put).await.map_err(|error| Self::diagnostic(&error, place.name()))?;
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
        Self::posture(&mut model, Some(&id.place));
        let name = id.place.name().to_owned();
        let what = what::<D::Kind>(&name);
        match wait(ctx, &id, record).await {
            Ok(record) => {
                Memory::finish(ctx);
                D::observe(&mut model, &record.status);
                Ok(model)
            }
            Err(Unfinished::Stopped) => {
                ctx.warn(
                    format!("Interrupted while the runtime was at work on {what}"),
                    "The runtime goes on by itself; the next apply takes up what it made, in place.",
                );
                Ok(model)
            }
            Err(unfinished) => {
                let diagnostic = match unfinished {
                    Unfinished::TimedOut(doing) => {
                        Diagnostic::error(format!("Out of time for {what}")).detail(format!(
                            "{} s passed (at last: {doing}). The runtime goes on; give it longer with `timeouts`.",
                            ctx.timeout().as_secs()
                        ))
                    }
                    Unfinished::Failed(reason) => {
                        Diagnostic::error(format!("The runtime could not make {what} as declared"))
                            .detail(format!("{}.", errors::capital(&reason)))
                    }
                    Unfinished::Lost(diagnostic) => diagnostic,
                    Unfinished::Stopped => Diagnostic::error("Interrupted"),
                };
                // After a failed change the prior state stands, so that the difference stays.
                Err(if creating { Failure::partial(model, diagnostic) } else { diagnostic.into() })
            }
        }
    }

    /// A connection to the cluster that the object was made in, and no other.
    async fn reach(ctx: &Context<Shared>, id: &Id) -> Result<Arc<Connection>, Unreachable> {
        let owner = Memory::recall(ctx);
        let connected = match ctx.shared() {
            Ok(shared) => shared.connect(&id.place.cluster).await,
            Err(error) => Err(error),
        };
        let problem = match connected {
            Ok(connection) if owner.cluster_uid.is_empty() || owner.cluster_uid == connection.runtime.cluster_uid => {
                return Ok(connection);
            }
            Ok(connection) => Diagnostic::error(format!("Another cluster of the name {:?}", id.place.cluster)).detail(format!(
                "{} belongs to the cluster with the uid {}; here is the one with the uid {}. It is not taken for gone. Say how the right one is reached in the provider's `connections`, or run where it lives.",
                what::<D::Kind>(id.place.name()),
                owner.cluster_uid,
                connection.runtime.cluster_uid
            )),
            Err(error) => error,
        };
        Err(Unreachable {
            abandoned: abandoned(&owner.cluster_uid),
            problem: with_way_out(problem, &owner.cluster_uid),
        })
    }
}

/// Why the cluster of an object is not there, and whether the user gave it up.
pub struct Unreachable {
    pub abandoned: bool,
    pub problem: Diagnostic,
}

/// Whether `FALAJ_ABANDON` names this cluster.
pub fn abandoned(cluster_uid: &str) -> bool {
    !cluster_uid.is_empty() && std::env::var("FALAJ_ABANDON").is_ok_and(|uid| uid == cluster_uid)
}

/// Adds the last way out to a problem of reaching a cluster.
pub fn with_way_out(problem: Diagnostic, cluster_uid: &str) -> Diagnostic {
    if cluster_uid.is_empty() {
        return problem;
    }
    let detail = format!(
        "{} If the cluster is lost for good, FALAJ_ABANDON={cluster_uid} in the environment lets a destroy forget it.",
        problem.detail
    );
    problem.detail(detail)
}

impl Memory {
    fn recall(ctx: &Context<Shared>) -> Self {
        serde_json::from_slice(&ctx.private()).unwrap_or_default()
    }

    fn keep(connection: &Connection, state: State, ctx: &Context<Shared>) {
        let memory = Self {
            cluster_uid: connection.runtime.cluster_uid.clone(),
            machine_id: connection.runtime.machine_id.clone(),
            unfinished: matches!(state, State::Creating | State::Updating),
        };
        memory.store(ctx);
    }

    fn finish(ctx: &Context<Shared>) {
        Self { unfinished: false, ..Self::recall(ctx) }.store(ctx);
    }

    fn store(&self, ctx: &Context<Shared>) {
        if let Ok(bytes) = serde_json::to_vec(self) {
            ctx.set_private(bytes);
        }
    }
}

/// Reads back the id that the state of an object has.
pub fn known_id(id: &Attr<String>) -> Result<Id, Diagnostic> {
    let text = id.as_deref().unwrap_or_default();
    text.parse().map_err(|problem: String| Diagnostic::error("The state has no valid id").detail(problem).at("id"))
}

/// The error of a call that was given up.
pub fn given_up(reason: Interrupted, what: &str) -> Diagnostic {
    match reason {
        Interrupted::Stopped => Diagnostic::error(format!("Stopped while asking about {what}")),
        Interrupted::TimedOut => Diagnostic::error(format!("No answer in time about {what}"))
            .detail("`timeouts` says how long each operation may take."),
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
        Self::posture(&mut plan.planned, place.as_ref());
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
        let connection = match ctx.run(Self::reach(ctx, &id)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(Unreachable { abandoned: true, problem })) => {
                ctx.warn(format!("{} is taken as it was", errors::capital(&what)), problem.detail);
                return Ok(Some(state));
            }
            Ok(Err(unreachable)) => return Err(unreachable.problem.into()),
            Err(reason) => return Err(given_up(reason, &what).into()),
        };
        let answer = ctx.run(connection.call(&get::<D::Kind>(&id))).await.map_err(|reason| given_up(reason, &what))?;
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
        Self::posture(&mut model, Some(&id.place));
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
        let connection = match Self::reach(ctx, &id).await {
            Ok(connection) => connection,
            Err(Unreachable { abandoned: true, problem }) => {
                ctx.warn(format!("{} is forgotten, not destroyed", errors::capital(&what)), problem.detail);
                return Ok(());
            }
            Err(unreachable) => return Err(unreachable.problem.into()),
        };
        let delete = Delete::<D::Kind> {
            workspace: workspace_of(&id.place),
            name: id.place.name().to_owned(),
            uid: id.uid.clone(),
            kind: std::marker::PhantomData,
        };
        match ctx.run(connection.call(&delete)).await.map_err(|reason| given_up(reason, &what))? {
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

/// Ids by name, of those that the state already has: what a declaration names
/// is looked up only where the state does not know it.
pub fn known_ids<'m>(ids: impl Iterator<Item = &'m Attr<String>>) -> BTreeMap<String, String> {
    let named = ids.filter_map(|id| {
        let text = id.known()?;
        let id: Id = text.parse().ok()?;
        Some((id.place.name().to_owned(), text.clone()))
    });
    named.collect()
}
