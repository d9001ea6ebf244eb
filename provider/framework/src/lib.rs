//! Write Terraform and OpenTofu providers in Rust.
//!
//! A resource is a struct with its attributes and four async functions. This
//! is a whole provider with one:
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::sync::Mutex;
//! use tfplugin::{
//!     Attr, Context, Diagnostic, Diagnostics, Empty, Failure, Import, Model, Plan, Provider, Registry, Resource,
//!     Timeouts, validate,
//! };
//!
//! /// A note on the board.
//! #[derive(Model, Debug, Clone)]
//! struct NoteModel {
//!     /// The place of the note, known after apply.
//!     #[attr(computed, not_null)]
//!     id: Attr<String>,
//!     /// The note's title. Another title is another note.
//!     #[attr(required, replace, validate = [validate::name(63)])]
//!     title: Attr<String>,
//!     /// What it says.
//!     #[attr(default = "", sensitive)]
//!     text: Attr<String>,
//!     /// How often the text was changed.
//!     #[attr(computed, depends_on = ["text"])]
//!     revision: Attr<i64>,
//!     /// Words to find it by.
//!     #[attr(optional)]
//!     labels: Attr<BTreeMap<String, String>>,
//!     /// How long each operation may take.
//!     #[attr(optional)]
//!     timeouts: Attr<Timeouts>,
//! }
//!
//! /// What the provider's configuration makes: here, the board itself.
//! #[derive(Default)]
//! struct Board(Mutex<BTreeMap<String, NoteModel>>);
//!
//! struct Note;
//!
//! impl Resource for Note {
//!     type Shared = Board;
//!     type Model = NoteModel;
//!     const NAME: &'static str = "board_note";
//!
//!     async fn create(&self, ctx: &Context<Board>, plan: Plan<NoteModel>) -> Result<NoteModel, Failure<NoteModel>> {
//!         let mut note = plan.planned;
//!         let title = note.title.as_deref().unwrap_or_default().to_owned();
//!         note.id = format!("note/{title}").into();
//!         note.revision = 1.into();
//!         let board = ctx.shared()?;
//!         if board.0.lock().unwrap().insert(title, note.clone()).is_some() {
//!             return Err(Diagnostic::error("A note of this title is there already").at("title").into());
//!         }
//!         Ok(note)
//!     }
//!
//!     async fn read(&self, ctx: &Context<Board>, state: NoteModel) -> Result<Option<NoteModel>, Diagnostics> {
//!         let title = state.title.as_deref().unwrap_or_default();
//!         let board = ctx.shared()?.0.lock().unwrap();
//!         Ok(board.get(title).cloned().map(|note| NoteModel { timeouts: state.timeouts, ..note }))
//!     }
//!
//!     async fn update(&self, ctx: &Context<Board>, plan: Plan<NoteModel>) -> Result<NoteModel, Failure<NoteModel>> {
//!         let mut note = plan.planned;
//!         if note.revision.is_unknown() {
//!             note.revision = plan.prior.and_then(|prior| prior.revision.into_known()).map(|count| count + 1).into();
//!         }
//!         let title = note.title.as_deref().unwrap_or_default().to_owned();
//!         ctx.shared()?.0.lock().unwrap().insert(title, note.clone());
//!         Ok(note)
//!     }
//!
//!     async fn delete(&self, ctx: &Context<Board>, state: NoteModel) -> Result<(), Diagnostics> {
//!         ctx.shared()?.0.lock().unwrap().remove(state.title.as_deref().unwrap_or_default());
//!         Ok(())
//!     }
//!
//!     async fn import(&self, ctx: &Context<Board>, import: Import) -> Result<NoteModel, Diagnostics> {
//!         let title = import.id().and_then(|id| id.strip_prefix("note/"));
//!         let found = title.and_then(|title| ctx.try_shared()?.0.lock().unwrap().get(title).cloned());
//!         found.ok_or_else(|| Diagnostic::error("No such note").detail("The id of a note is `note/<title>`.").into())
//!     }
//! }
//!
//! struct BoardProvider;
//!
//! impl Provider for BoardProvider {
//!     type Config = Empty;
//!     type Shared = Board;
//!     const NAME: &'static str = "board";
//!
//!     fn register(&self, registry: &mut Registry<Board>) {
//!         registry.resource(Note);
//!     }
//!
//!     async fn configure(&self, _ctx: &Context<Board>, _config: Empty) -> Result<Board, Diagnostics> {
//!         Ok(Board::default())
//!     }
//! }
//! # assert_eq!(Note::NAME, "board_note");
//! ```
//!
//! Its `main` is `fn main() -> std::process::ExitCode { tfplugin::serve(BoardProvider) }`.

// The derive names this crate from outside; its own tests are inside.
extern crate self as tfplugin;

mod action;
mod attr;
mod context;
mod data_source;
mod deferral;
mod diagnostics;
mod duration;
mod ephemeral;
pub(crate) mod erased;
mod field;
mod function;
mod list_resource;
#[doc(hidden)]
pub mod model;
mod path;
pub mod plan;
#[doc(hidden)]
pub mod proto;
mod provider;
mod resource;
pub mod schema;
mod server;
pub mod testing;
pub mod validate;
mod value;

pub use action::{Action, Progress};
pub use attr::Attr;
pub use context::{Context, Interrupted};
pub use data_source::DataSource;
pub use deferral::Deferral;
pub use diagnostics::{Diagnostic, Diagnostics, Severity};
pub use duration::{DefaultTimeouts, Span, Timeouts};
pub use ephemeral::{EphemeralResource, Opened};
pub use field::{Field, FieldError, Set};
pub use function::{Function, FunctionError};
pub use list_resource::{Found, ListResource, Query};
pub use model::{Empty, Model};
pub use path::{AttributePath, Step};
pub use provider::{Provider, Registry};
pub use resource::{Failure, IdentitySchema, Import, MoveSource, Plan, Resource};
pub use server::serve;
pub use tfplugin_derive::Model;
pub use tokio_util::sync::CancellationToken;
pub use value::{DecodeError, Number, Refinement, Type, TypeError, Value};
