//! A small provider over a directory of JSON files: what the end-to-end tests
//! run under a real terraform, and an example of every part of the framework.
//!
//! ```hcl
//! provider "note" { directory = "/tmp/notes" }
//! resource "note_note" "hello" {
//!   title = "hello"
//!   text  = "Hello, world"
//! }
//! ```

#[path = "note/shelf.rs"]
mod shelf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};
use std::{fs, io};

use std::io::Write as _;

use serde_json::{Value as Json, json};
use tfplugin::{
    Action, Attr, Context, DataSource, Diagnostic, Diagnostics, EphemeralResource, Failure, Field, Found, Function,
    FunctionError, IdentitySchema, Import, Interrupted, ListResource, Model, MoveSource, Opened, Plan, Progress,
    Provider, Query, Refinement, Registry, Resource, Set, Span, Timeouts, Value, schema::Schema, validate,
};

fn main() -> ExitCode {
    tfplugin::serve(NoteProvider)
}

/// Notes in a directory.
#[derive(Model, Debug, Clone)]
pub struct Config {
    /// Where the notes are.
    #[attr(required)]
    directory: Attr<String>,
}

/// The directory; unknown while planning, if it is made in the same run.
pub struct Notes {
    directory: Option<PathBuf>,
}

impl Notes {
    fn file(&self, title: &str) -> Result<PathBuf, Diagnostic> {
        let directory = self.directory.as_deref().ok_or_else(|| Diagnostic::error("The directory is not known yet"))?;
        Ok(directory.join(title).with_extension("json"))
    }
}

/// The provider.
pub struct NoteProvider;

impl Provider for NoteProvider {
    type Config = Config;
    type Shared = Notes;
    const NAME: &'static str = "note";

    fn register(&self, registry: &mut Registry<Notes>) {
        registry.resource(Note).resource(Memo).resource(shelf::Shelf).data_source(Count).ephemeral_resource(Key);
        registry.list_resource(NoteList).action(Copy);
        registry.function(Shout).function(Letter).function(Describe).function(Label).function(Tidy);
    }

    fn meta_schema(&self) -> Option<Schema> {
        Some(shelf::Meta::schema())
    }

    async fn configure(&self, _ctx: &Context<Notes>, config: Config) -> Result<Notes, Diagnostics> {
        Ok(Notes { directory: config.directory.into_known().map(PathBuf::from) })
    }
}

/// A note in a file of its own.
#[derive(Model, Debug, Clone, Default)]
struct NoteModel {
    /// `note/<title>/<number>`; the part before the number is known from the plan on.
    #[attr(computed, not_null)]
    id: Attr<String>,
    /// The name of the file. Another title is another note.
    #[attr(required, replace, validate = [validate::name(63)])]
    title: Attr<String>,
    /// What it says. `wait` takes a while, `panic` and `half` fail in their ways.
    #[attr(default = "nothing yet")]
    text: Attr<String>,
    /// How much it weighs.
    #[attr(optional)]
    weight: Attr<f64>,
    /// How often the text was changed.
    #[attr(computed, depends_on = ["text"])]
    revision: Attr<i64>,
    /// How long it stays.
    #[attr(optional)]
    keep: Attr<Span>,
    /// Words to find it by.
    #[attr(optional)]
    labels: Attr<BTreeMap<String, String>>,
    /// Who may read it, by name.
    #[attr(optional)]
    readers: Attr<BTreeMap<String, Reader>>,
    /// What happened to it.
    #[attr(optional)]
    stamps: Attr<Set<Stamp>>,
    /// A secret that is never stored; the note keeps how long it is.
    #[attr(optional, write_only)]
    secret_wo: Attr<String>,
    /// Raise it to write the secret again.
    #[attr(optional)]
    secret_wo_version: Attr<i64>,
    /// Secrets by name.
    #[attr(optional)]
    locks: Attr<BTreeMap<String, Lock>>,
    /// How long each operation may take.
    #[attr(optional)]
    timeouts: Attr<Timeouts>,
}

/// A lock on a note.
#[derive(Model, Debug, Clone)]
struct Lock {
    /// What opens it.
    #[attr(optional, write_only)]
    code_wo: Attr<String>,
}

/// A reader of a note.
#[derive(Model, Debug, Clone)]
struct Reader {
    /// What the reader may do.
    #[attr(default = "read", validate = [validate::one_of(["read", "write"])])]
    access: Attr<String>,
    /// A number of the reader's own.
    #[attr(computed)]
    badge: Attr<i64>,
}

/// A stamp on a note.
#[derive(Model, Debug, Clone)]
struct Stamp {
    /// The day.
    #[attr(required)]
    day: Attr<String>,
    /// The colour.
    #[attr(default = "black")]
    ink: Attr<String>,
}

/// What tells a note from the others.
#[derive(Model, Debug, Clone)]
struct NoteIdentity {
    /// The note's title.
    title: String,
}

struct Note;

impl Note {
    /// Writes the note; `sealed` is how long its secret is.
    fn write(&self, ctx: &Context<Notes>, note: &NoteModel, sealed: Option<u64>) -> Result<(), Diagnostics> {
        let title = note.title.as_deref().unwrap_or_default();
        let json = json!({
            "id": note.id.known(), "title": title, "text": note.text.known(), "revision": note.revision.known(),
            "sealed": sealed,
        });
        let file = ctx.shared()?.file(title)?;
        fs::write(&file, json.to_string()).map_err(|error| failed("write", &file, &error).into())
    }

    /// How long the secret is that the configuration gives now.
    fn given(config: &NoteModel) -> Option<u64> {
        let codes = config.locks.known().into_iter().flat_map(BTreeMap::values).filter_map(|lock| lock.code_wo.known());
        let length: usize = config.secret_wo.known().into_iter().chain(codes).map(String::len).sum();
        u64::try_from(length).ok().filter(|length| *length > 0)
    }

    fn load(&self, ctx: &Context<Notes>, title: &str) -> Result<Option<Json>, Diagnostics> {
        let file = ctx.shared()?.file(title)?;
        match fs::read(&file) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("read", &file, &error).into()),
        }
    }
}

fn failed(action: &str, file: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("Cannot {action} the note")).detail(format!("{}: {error}", file.display()))
}

fn give_badges(note: &mut NoteModel) {
    let readers = note.readers.known_mut().into_iter().flat_map(BTreeMap::values_mut);
    for (reader, badge) in readers.zip(1..) {
        if reader.badge.is_unknown() {
            reader.badge = badge.into();
        }
    }
}

impl Resource for Note {
    type Shared = Notes;
    type Model = NoteModel;
    const NAME: &'static str = "note_note";

    async fn plan(&self, _ctx: &Context<Notes>, plan: &mut Plan<NoteModel>) -> Result<(), Diagnostics> {
        if let (true, Some(title)) = (plan.planned.id.is_unknown(), plan.planned.title.known()) {
            plan.planned.id = Attr::Unknown(Refinement::not_null().with_prefix(format!("note/{title}/")));
        }
        Ok(())
    }

    async fn create(&self, ctx: &Context<Notes>, plan: Plan<NoteModel>) -> Result<NoteModel, Failure<NoteModel>> {
        let sealed = Self::given(&plan.config);
        let mut note = plan.planned;
        let title = note.title.as_deref().unwrap_or_default().to_owned();
        if self.load(ctx, &title)?.is_some() {
            let detail = format!("Import it: terraform import <address> note/{title}");
            return Err(Diagnostic::error("A note of this title exists").detail(detail).at("title").into());
        }
        note.id = format!("note/{title}/{}", std::process::id()).into();
        match note.text.as_deref() {
            Some("panic") => panic!("asked to"),
            Some("half") => {
                self.write(ctx, &note, sealed)?;
                return Err(Failure::partial(note, Diagnostic::error("Only half of it was written").at("text")));
            }
            Some("wait") => {
                self.write(ctx, &note, sealed)?;
                match ctx.run(tokio::time::sleep(Duration::from_secs(60))).await {
                    Ok(()) => {}
                    Err(Interrupted::Stopped) => return Ok(note),
                    Err(Interrupted::TimedOut) => {
                        return Err(Failure::partial(note, Diagnostic::error("It took too long")));
                    }
                }
            }
            Some("nap") => tokio::time::sleep(Duration::from_secs(2)).await,
            _ => {}
        }
        note.revision = 1.into();
        give_badges(&mut note);
        self.write(ctx, &note, sealed)?;
        Ok(note)
    }

    async fn read(&self, ctx: &Context<Notes>, mut state: NoteModel) -> Result<Option<NoteModel>, Diagnostics> {
        let title = state.title.as_deref().unwrap_or_default().to_owned();
        let Some(found) = self.load(ctx, &title)? else {
            return Ok(None);
        };
        let text = |name: &str| found.get(name).and_then(Json::as_str).map(str::to_owned);
        state.id = text("id").into();
        state.text = text("text").into();
        state.revision = found.get("revision").and_then(Json::as_i64).into();
        Ok(Some(state))
    }

    async fn update(&self, ctx: &Context<Notes>, plan: Plan<NoteModel>) -> Result<NoteModel, Failure<NoteModel>> {
        let title = plan.planned.title.as_deref().unwrap_or_default();
        let before = self.load(ctx, title)?.and_then(|found| found.get("sealed").and_then(Json::as_u64));
        let raised = plan.prior.as_ref().is_some_and(|prior| prior.secret_wo_version != plan.planned.secret_wo_version);
        let sealed = if raised { Self::given(&plan.config) } else { before };
        let mut note = plan.planned;
        if note.text.as_deref() == Some("refuse") {
            return Err(Diagnostic::error("It may not say so").at("text").into());
        }
        if note.revision.is_unknown() {
            let before = plan.prior.and_then(|prior| prior.revision.into_known()).unwrap_or(0);
            note.revision = (before + 1).into();
        }
        give_badges(&mut note);
        self.write(ctx, &note, sealed)?;
        Ok(note)
    }

    async fn delete(&self, ctx: &Context<Notes>, state: NoteModel) -> Result<(), Diagnostics> {
        let file = ctx.shared()?.file(state.title.as_deref().unwrap_or_default())?;
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("delete", &file, &error).into()),
            _ => Ok(()),
        }
    }

    async fn import(&self, _ctx: &Context<Notes>, import: Import) -> Result<NoteModel, Diagnostics> {
        let by_id = import.id().and_then(|id| id.strip_prefix("note/")).map(str::to_owned);
        let title = by_id.or_else(|| import.identity::<NoteIdentity>().map(|identity| identity.title));
        let title = title.ok_or_else(|| Diagnostic::error("Not a note's id").detail("`note/<title>` was expected."))?;
        Ok(NoteModel { title: title.into(), ..NoteModel::default() })
    }

    fn identity_schema(&self) -> Option<IdentitySchema> {
        Some(IdentitySchema::of::<NoteIdentity>().version(1))
    }

    /// Version 0 called the title a name.
    async fn upgrade_identity(&self, _version: i64, mut identity: Json) -> Result<Json, Diagnostics> {
        Ok(json!({ "title": identity["name"].take() }))
    }

    /// A memo is a note under another name.
    async fn move_from(&self, _ctx: &Context<Notes>, source: MoveSource) -> Result<NoteModel, Diagnostics> {
        match (source.type_name.as_str(), source.state["name"].as_str()) {
            ("note_memo", Some(name)) => Ok(NoteModel { title: name.into(), ..NoteModel::default() }),
            (other, _) => Err(Diagnostic::error(format!("A {other} is no note")).into()),
        }
    }

    fn identity(&self, state: &NoteModel) -> Option<Value> {
        let title = state.title.as_deref()?.to_owned();
        Some(Field::to_value(&NoteIdentity { title }))
    }
}

/// A note as it was called before.
#[derive(Model, Debug, Clone)]
#[model(deprecated = "Use note_note: a moved block takes a memo over.")]
struct MemoModel {
    /// The name of the file.
    #[attr(required, replace, validate = [validate::name(63)])]
    name: Attr<String>,
    /// What it says.
    #[attr(optional, deprecated = "Say nothing.")]
    text: Attr<String>,
}

struct Memo;

impl Memo {
    fn write(ctx: &Context<Notes>, memo: &MemoModel) -> Result<(), Diagnostics> {
        let name = memo.name.as_deref().unwrap_or_default();
        let file = ctx.shared()?.file(name)?;
        let json = json!({ "id": format!("note/{name}/0"), "title": name, "text": memo.text.known(), "revision": 1 });
        fs::write(&file, json.to_string()).map_err(|error| failed("write", &file, &error).into())
    }
}

impl Resource for Memo {
    type Shared = Notes;
    type Model = MemoModel;
    const NAME: &'static str = "note_memo";

    async fn create(&self, ctx: &Context<Notes>, plan: Plan<MemoModel>) -> Result<MemoModel, Failure<MemoModel>> {
        Self::write(ctx, &plan.planned)?;
        Ok(plan.planned)
    }

    async fn read(&self, _ctx: &Context<Notes>, state: MemoModel) -> Result<Option<MemoModel>, Diagnostics> {
        Ok(Some(state))
    }

    async fn update(&self, ctx: &Context<Notes>, plan: Plan<MemoModel>) -> Result<MemoModel, Failure<MemoModel>> {
        Self::write(ctx, &plan.planned)?;
        Ok(plan.planned)
    }

    async fn delete(&self, ctx: &Context<Notes>, state: MemoModel) -> Result<(), Diagnostics> {
        let file = ctx.shared()?.file(state.name.as_deref().unwrap_or_default())?;
        fs::remove_file(&file).map_err(|error| failed("delete", &file, &error).into())
    }
}

/// How many notes there are.
#[derive(Model, Debug, Clone)]
struct CountModel {
    /// The number of notes.
    #[attr(computed)]
    total: Attr<i64>,
}

struct Count;

impl DataSource for Count {
    type Shared = Notes;
    type Model = CountModel;
    const NAME: &'static str = "note_count";

    async fn read(&self, ctx: &Context<Notes>, _config: CountModel) -> Result<CountModel, Diagnostics> {
        let Some(directory) = ctx.shared()?.directory.as_deref() else {
            return Ok(CountModel { total: Attr::Null });
        };
        let entries = fs::read_dir(directory).map_err(|error| failed("count", directory, &error))?;
        Ok(CountModel { total: i64::try_from(entries.count()).ok().into() })
    }
}

/// A key to a drawer, for as long as a run takes.
#[derive(Model, Debug, Clone)]
struct KeyModel {
    /// The drawer; `jammed` does not open.
    #[attr(required, validate = [validate::name(20)])]
    drawer: Attr<String>,
    /// How it is turned.
    #[attr(default = "right")]
    turn: Attr<String>,
    /// What opens the drawer.
    #[attr(computed, sensitive)]
    secret: Attr<String>,
}

/// Keeps a log of what happens to each drawer in the directory.
struct Key;

impl Key {
    fn log(ctx: &Context<Notes>, drawer: &str, line: &str) -> Result<(), Diagnostics> {
        let file = ctx.shared()?.file(drawer)?.with_extension("log");
        let log = fs::OpenOptions::new().create(true).append(true).open(&file);
        let written = log.and_then(|mut log| writeln!(log, "{line}"));
        written.map_err(|error| failed("log", &file, &error).into())
    }

    fn drawer(ctx: &Context<Notes>) -> String {
        String::from_utf8_lossy(&ctx.private()).into_owned()
    }
}

impl EphemeralResource for Key {
    type Shared = Notes;
    type Model = KeyModel;
    const NAME: &'static str = "note_key";

    async fn validate(&self, _ctx: &Context<Notes>, config: &KeyModel) -> Result<(), Diagnostics> {
        match config.turn.as_deref() {
            Some("left") => Err(Diagnostic::error("A drawer does not open to the left").at("turn").into()),
            _ => Ok(()),
        }
    }

    async fn open(&self, ctx: &Context<Notes>, config: KeyModel) -> Result<Opened<KeyModel>, Diagnostics> {
        let drawer = config.drawer.as_deref().unwrap_or_default().to_owned();
        if drawer == "jammed" {
            return Err(Diagnostic::error("The drawer is jammed").at("drawer").into());
        }
        Self::log(ctx, &drawer, "open")?;
        ctx.set_private(drawer.as_bytes());
        let secret = format!("key-of-{drawer}").into();
        Ok(Opened::new(KeyModel { secret, ..config }).renew_at(SystemTime::now() + Duration::from_secs(1)))
    }

    async fn renew(&self, ctx: &Context<Notes>) -> Result<Option<SystemTime>, Diagnostics> {
        Self::log(ctx, &Self::drawer(ctx), "renew")?;
        Ok(None)
    }

    async fn close(&self, ctx: &Context<Notes>) -> Result<(), Diagnostics> {
        Self::log(ctx, &Self::drawer(ctx), "close")
    }
}

/// Which notes to find.
#[derive(Model, Debug, Clone)]
struct NoteQuery {
    /// What their titles begin with.
    #[attr(default = "", validate = [validate::length(0, 63)])]
    prefix: Attr<String>,
}

struct NoteList;

impl ListResource for NoteList {
    type Shared = Notes;
    type Resource = Note;
    type Config = NoteQuery;

    async fn list(
        &self,
        ctx: &Context<Notes>,
        query: Query<NoteQuery>,
        found: &Found<NoteModel>,
    ) -> Result<(), Diagnostics> {
        let prefix = query.config.prefix.or_default();
        if prefix == "broken" {
            return Err(Diagnostic::error("The drawer is broken").at("prefix").into());
        }
        let directory = ctx.shared()?.directory.clone().unwrap_or_default();
        let entries = fs::read_dir(&directory).map_err(|error| failed("list", &directory, &error))?;
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let mut titles: Vec<String> = paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .filter_map(|path| path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned))
            .filter(|title| title.starts_with(&prefix))
            .collect();
        titles.sort();
        for title in titles {
            let mut note = NoteModel { title: title.as_str().into(), ..NoteModel::default() };
            if query.include_resource {
                note = Note.read(ctx, note.clone()).await?.unwrap_or(note);
            }
            if !found.push(format!("Note {title}"), &note).await {
                break;
            }
        }
        Ok(())
    }
}

/// What to copy.
#[derive(Model, Debug, Clone)]
struct CopyModel {
    /// The note's title.
    #[attr(required, validate = [validate::name(63)])]
    title: Attr<String>,
    /// How many copies to make; each takes a tenth of a second.
    #[attr(default = 1, validate = [validate::range(1, 1000)])]
    copies: Attr<i64>,
}

struct Copy;

impl Action for Copy {
    type Shared = Notes;
    type Model = CopyModel;
    const NAME: &'static str = "note_copy";

    async fn plan(&self, _ctx: &Context<Notes>, config: &CopyModel) -> Result<(), Diagnostics> {
        match config.copies.known() {
            Some(13) => Err(Diagnostic::error("Thirteen copies bring bad luck").at("copies").into()),
            _ => Ok(()),
        }
    }

    async fn invoke(&self, ctx: &Context<Notes>, config: CopyModel, progress: &Progress) -> Result<(), Diagnostics> {
        let title = config.title.or_default();
        let from = ctx.shared()?.file(&title)?;
        for copy in 1..=config.copies.or_default() {
            let to = ctx.shared()?.file(&title)?.with_extension(format!("copy-{copy}"));
            fs::copy(&from, &to).map_err(|error| failed("copy", &from, &error))?;
            progress.say(format!("made copy {copy}")).await;
            if ctx.run(tokio::time::sleep(Duration::from_millis(100))).await.is_err() {
                return Err(Diagnostic::error("Interrupted").detail(format!("{copy} copies were made.")).into());
            }
        }
        Ok(())
    }
}

/// What to shout.
#[derive(Model, Debug, Clone)]
struct ShoutParams {
    /// The words.
    #[attr(validate = [validate::not_empty()])]
    words: String,
    /// How often; once if null.
    times: Option<u32>,
}

struct Shout;

impl Function for Shout {
    type Params = ShoutParams;
    type Output = String;
    const NAME: &'static str = "shout";
    const SUMMARY: &'static str = "Says it louder";

    fn call(&self, params: ShoutParams) -> Result<String, FunctionError> {
        match params.times {
            Some(times) if times > 10 => Err(FunctionError::argument(1, "more than ten times is noise")),
            times => Ok(params.words.to_uppercase().repeat(times.unwrap_or(1) as usize)),
        }
    }
}

/// What to write.
#[derive(Model, Debug, Clone)]
struct LetterParams {
    /// To whom; to everybody if null.
    to: Option<String>,
    /// Its lines. Null makes an empty one.
    #[attr(optional, variadic, validate = [validate::length(0, 20)])]
    lines: Vec<Option<String>>,
}

struct Letter;

impl Function for Letter {
    type Params = LetterParams;
    type Output = Vec<String>;
    const NAME: &'static str = "letter";
    const SUMMARY: &'static str = "A greeting and any number of lines";

    fn call(&self, params: LetterParams) -> Result<Vec<String>, FunctionError> {
        if let Some(position) = params.lines.iter().position(|line| line.as_deref() == Some("bye")) {
            return Err(FunctionError::argument(position + 1, "a letter does not end so soon"));
        }
        let greeting = format!("Dear {},", params.to.as_deref().unwrap_or("all"));
        Ok(std::iter::once(greeting).chain(params.lines.into_iter().map(Option::unwrap_or_default)).collect())
    }
}

/// What to describe.
#[derive(Model, Debug, Clone)]
struct DescribeParams {
    /// A value of any type, known or not.
    #[attr(optional, allow_unknown)]
    thing: Attr<Value>,
}

struct Describe;

impl Function for Describe {
    type Params = DescribeParams;
    type Output = String;
    const NAME: &'static str = "describe";
    const SUMMARY: &'static str = "What kind of value it is";

    fn call(&self, params: DescribeParams) -> Result<String, FunctionError> {
        Ok(match params.thing {
            Attr::Known(Value::Dynamic(typed)) => typed.0.name().to_owned(),
            Attr::Known(_) => "a value".to_owned(),
            Attr::Null => "nothing".to_owned(),
            Attr::Unknown(_) => "not known yet".to_owned(),
        })
    }
}

/// What to label.
#[derive(Model, Debug, Clone)]
struct LabelParams {
    /// A value of any type.
    thing: Value,
}

struct Label;

impl Function for Label {
    type Params = LabelParams;
    type Output = Value;
    const NAME: &'static str = "label";
    const SUMMARY: &'static str = "An object around a value";
    const DEPRECATED: Option<&'static str> = Some("Write the object yourself.");

    fn call(&self, params: LabelParams) -> Result<Value, FunctionError> {
        Ok([("label", Value::from("thing")), ("thing", params.thing)].into_iter().collect())
    }
}

/// A card in a box.
#[derive(Model, Debug, Clone)]
struct Card {
    /// What it is about.
    title: String,
    /// Words to find it by.
    tags: Option<Vec<String>>,
}

/// What to tidy.
#[derive(Model, Debug, Clone)]
struct TidyParams {
    /// The card on top.
    first: Card,
    /// The cards below it.
    others: Vec<Card>,
}

struct Tidy;

impl Function for Tidy {
    type Params = TidyParams;
    type Output = BTreeMap<String, Card>;
    const NAME: &'static str = "tidy";
    const SUMMARY: &'static str = "Cards by title";

    fn call(&self, params: TidyParams) -> Result<BTreeMap<String, Card>, FunctionError> {
        let cards = std::iter::once(params.first).chain(params.others);
        Ok(cards.map(|card| (card.title.clone(), card)).collect())
    }
}
