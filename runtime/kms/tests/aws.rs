//! AWS KMS, against a `moto` server and against a service that answers with chosen errors.
//!
//! The client takes its endpoint and credentials from the environment, as in production, so what
//! is tested runs in a child process that has them: the ignored tests.

#![cfg(feature = "aws")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_sdk_kms::Client;
use falaj_api::KmsKey;
use falaj_kms::{Context, Custody, KeyState, Kms, Problem, open, unwrap_data_key};

const REGION: &str = "me-central-1";
const CHILD: &str = "FALAJ_TEST_KMS_CHILD";

/// Runs one of the `child` tests, for one case, with the service at `endpoint`.
fn run_child(test: &str, case: &str, endpoint: SocketAddr) {
    let home = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--include-ignored", "--nocapture"])
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home.path())
        .env("AWS_ENDPOINT_URL_KMS", format!("http://{endpoint}"))
        // Must be without effect: nothing else may redirect where keys go.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env(CHILD, case)
        .status()
        .unwrap();
    assert!(status.success(), "{test} ({case}) failed in the child");
}

/// A `moto` server; stopped when dropped.
struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The interpreter with the tests' packages: `FALAJ_TEST_PYTHON`, or the tests' own, installed now.
fn python() -> String {
    if let Ok(python) = std::env::var("FALAJ_TEST_PYTHON") {
        return python;
    }
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools");
    let installed = Command::new(tools.join("install")).arg("python").status().unwrap();
    assert!(installed.success(), "tests/tools/install python failed");
    let path = Command::new(tools.join("path")).arg("python").output().unwrap();
    String::from_utf8(path.stdout).unwrap().trim().to_owned()
}

fn start_moto() -> Moto {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let child = Command::new(python())
        .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut moto = Moto { child, address };
    let until = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_err() {
        assert!(moto.child.try_wait().unwrap().is_none(), "moto ended; is moto[server] installed?");
        assert!(Instant::now() < until, "moto did not listen within a minute");
        std::thread::sleep(Duration::from_millis(50));
    }
    moto
}

fn key(arn: &str) -> KmsKey {
    KmsKey { uri: format!("aws-kms://{arn}").parse().unwrap(), region: None }
}

fn context() -> Context {
    Context::new().with("falaj:cluster", "c1").with("falaj:workspace", "w1")
}

async fn admin() -> Client {
    let config = aws_config::defaults(BehaviorVersion::latest()).region(REGION).load().await;
    Client::new(&config)
}

async fn create_key(admin: &Client) -> String {
    let made = admin.create_key().send().await.unwrap();
    made.key_metadata.unwrap().arn.unwrap()
}

async fn problem_of(kms: &dyn Kms, wrapped: &[u8], context: &Context) -> Problem {
    kms.unwrap(wrapped, context).await.unwrap_err().problem()
}

#[test]
fn keys_in_aws_kms_behave_as_the_trait_says() {
    let moto = start_moto();
    run_child("child_keys_in_aws_kms", "moto", moto.address);
}

#[tokio::test]
#[ignore = "child of keys_in_aws_kms_behave_as_the_trait_says"]
async fn child_keys_in_aws_kms() {
    std::env::var(CHILD).expect("run the parent test");
    let admin = admin().await;
    let (arn, other) = (create_key(&admin).await, create_key(&admin).await);
    let kms = open(&key(&arn)).await.unwrap();

    let made = kms.generate_data_key(&context()).await.unwrap();
    let back = unwrap_data_key(kms.as_ref(), &made.wrapped, &context()).await.unwrap();
    assert_eq!(back, made.plaintext);
    assert!(!made.wrapped.windows(32).any(|w| w == made.plaintext.as_slice()));
    let elsewhere = context().with("falaj:workspace", "w2");
    assert_eq!(problem_of(kms.as_ref(), &made.wrapped, &elsewhere).await, Problem::NotAuthentic);
    assert_eq!(problem_of(kms.as_ref(), &made.wrapped, &Context::new()).await, Problem::NotAuthentic);
    let mut altered = made.wrapped.clone();
    if let Some(last) = altered.last_mut() {
        *last ^= 1;
    }
    assert_eq!(problem_of(kms.as_ref(), &altered, &context()).await, Problem::NotAuthentic);

    let wrapped = kms.wrap(b"a signing key", &context()).await.unwrap();
    assert_eq!(kms.unwrap(&wrapped, &context()).await.unwrap().as_slice(), b"a signing key");
    let rewrapped = kms.rewrap(&wrapped, &context()).await.unwrap();
    assert_ne!(rewrapped, wrapped);
    assert_eq!(kms.unwrap(&rewrapped, &context()).await.unwrap().as_slice(), b"a signing key");

    // What another key wrapped is refused, although this caller could decrypt it. (moto says
    // AccessDenied where AWS says IncorrectKey.)
    let second = open(&key(&other)).await.unwrap();
    let problem = problem_of(second.as_ref(), &wrapped, &context()).await;
    assert!(matches!(problem, Problem::NotAuthentic | Problem::AccessDenied), "{problem:?}");
    let moved = second.rewrap(&wrapped, &context()).await.unwrap();
    assert_eq!(second.unwrap(&moved, &context()).await.unwrap().as_slice(), b"a signing key");

    // An alias is pinned to the key it leads to.
    admin.create_alias().alias_name("alias/falaj").target_key_id(&arn).send().await.unwrap();
    let alias = arn.split(":key/").next().unwrap().to_owned() + ":alias/falaj";
    let by_alias = open(&key(&alias)).await.unwrap();
    let described = by_alias.describe().await.unwrap();
    assert_eq!((described.key_id.as_str(), described.custody), (arn.as_str(), Custody::Service));
    assert_eq!(described.region.as_deref(), Some("aws:me-central-1"));
    assert_eq!(described.uri, format!("aws-kms://{alias}"));
    admin.update_alias().alias_name("alias/falaj").target_key_id(&other).send().await.unwrap();
    let wrapped = by_alias.wrap(b"x", &context()).await.unwrap();
    assert!(kms.unwrap(&wrapped, &context()).await.is_ok(), "still the key it was opened with");
    let missing = open(&key(&alias.replace("falaj", "none"))).await.unwrap_err();
    assert_eq!(missing.problem(), Problem::NotFound);

    // moto takes no ARN here.
    let id = arn.rsplit('/').next().unwrap();
    // Where a multi-region key is besides, residency has to know.
    assert_eq!(kms.describe().await.unwrap().replica_regions, Vec::<String>::new());
    let wide = admin.create_key().multi_region(true).send().await.unwrap().key_metadata.unwrap();
    admin.replicate_key().key_id(&wide.key_id).replica_region("eu-west-1").send().await.unwrap();
    let wide = open(&key(wide.arn.as_deref().unwrap())).await.unwrap();
    assert_eq!(wide.describe().await.unwrap().replica_regions, ["aws:eu-west-1"]);

    assert_eq!(kms.describe().await.unwrap().state, KeyState::Enabled);
    admin.disable_key().key_id(id).send().await.unwrap();
    assert_eq!(kms.describe().await.unwrap().state, KeyState::Disabled);
    admin.schedule_key_deletion().key_id(id).pending_window_in_days(7).send().await.unwrap();
    assert_eq!(kms.describe().await.unwrap().state, KeyState::PendingDeletion);

    // The same id in another region is another key, and the region follows from the ARN alone.
    let abroad = arn.replace(REGION, "eu-west-1");
    assert_eq!(open(&key(&abroad)).await.unwrap().describe().await.unwrap_err().problem(), Problem::NotFound);
    let contradiction = KmsKey { region: Some("aws:eu-west-1".parse().unwrap()), ..key(&arn) };
    assert_eq!(open(&contradiction).await.unwrap_err().problem(), Problem::BadUri);
}

/// A service that answers every request with one error.
fn serve_error(code: &'static str, message: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), code, message);
        }
    });
    address
}

fn answer(stream: TcpStream, code: &str, message: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
    }
    reader.take(length).read_to_end(&mut Vec::new())?;
    let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
    let status = if code == "KMSInternalException" { 500 } else { 400 };
    write!(
        &stream,
        "HTTP/1.1 {status} Error\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// What the service answers, what that must become, and what the user must be told.
const REFUSALS: &[(&str, &str, Problem, bool, &str)] = &[
    ("DisabledException", "is disabled.", Problem::Disabled, false, "disabled; enable it"),
    ("KMSInvalidStateException", "x is pending deletion.", Problem::PendingDeletion, false, "cancel the deletion"),
    ("AccessDeniedException", "not authorized", Problem::AccessDenied, false, "not authorized"),
    ("IncorrectKeyException", "", Problem::NotAuthentic, false, "wrapped by another key"),
    ("ThrottlingException", "Rate exceeded", Problem::Throttled, true, "fewer requests"),
    ("KMSInternalException", "", Problem::Unavailable, true, "KMSInternalException"),
    // Nothing listens.
    (DOWN, "", Problem::Unavailable, true, "could not be reached"),
];
const DOWN: &str = "down";

#[test]
fn what_the_service_refuses_is_told_apart_and_only_what_passes_is_retryable() {
    for (code, message, ..) in REFUSALS {
        let endpoint = match *code {
            DOWN => TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap(),
            code => serve_error(code, message),
        };
        run_child("child_is_refused", code, endpoint);
    }
}

#[tokio::test]
#[ignore = "child of what_the_service_refuses_is_told_apart_and_only_what_passes_is_retryable"]
async fn child_is_refused() {
    let case = std::env::var(CHILD).expect("run the parent test");
    let (_, _, problem, retryable, told) = REFUSALS.iter().find(|(code, ..)| *code == case).unwrap();
    let arn = "arn:aws:kms:me-central-1:111122223333:key/11111111-2222-3333-4444-555555555555";
    let kms = open(&key(arn)).await.unwrap();
    let error = kms.unwrap(&[1, 2, 3], &context()).await.unwrap_err();
    assert_eq!((error.problem(), error.retryable()), (*problem, *retryable), "{error}");
    let text = error.to_string();
    assert!(text.contains(told) && text.contains(arn), "{text}");
}
