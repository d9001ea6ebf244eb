//! What callers cannot take from others. In process, for limits that a test
//! can wait for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use falaj::pipe;
use falaj::serve::protocol::{Format, FromServe, ToServe};
use falaj::serve::{Args, Ends, Limits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Serving, request, variant};

/// Serves in plain text within this process.
async fn start(limits: Limits) -> (SocketAddr, pipe::Sender<UnixStream>, JoinHandle<()>) {
    // For the snapshot only; its process ends with it.
    let mut template = Serving::start().await;
    template.add_endpoint();
    let (champion, bytes) = variant(1, 100, false, 0.0);
    let artifact = ToServe::Artifact { digest: champion.artifact.clone(), format: Format::Native };
    template.endpoint().variants.insert("champion".to_owned(), champion);
    template.endpoint().capture = None;
    template.snapshot.tls = None;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let clone = ours.try_clone().unwrap();
    for stream in [&ours, &theirs, &clone] {
        stream.set_nonblocking(true).unwrap();
    }
    let [ours, clone, theirs] = [ours, clone, theirs].map(|stream| UnixStream::from_std(stream).unwrap());
    let serving = tokio::spawn(async move {
        let ends = Ends::Child { channel: theirs, listener };
        serve(&Args::default(), limits, ends, CancellationToken::new()).await.unwrap();
    });
    let mut sender = pipe::Sender::new(ours);
    sender.send(&artifact, &bytes).await.unwrap();
    sender.send(&ToServe::Snapshot(template.snapshot.clone()), &[]).await.unwrap();
    let (ready, _) = pipe::Receiver::new(clone).recv::<FromServe>().await.unwrap().unwrap();
    assert_eq!(ready, FromServe::Ready { generation: 0 });
    (address, sender, serving)
}

fn head(length: usize) -> String {
    format!("POST /v2/models/employed/infer HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n")
}

async fn exchange(address: SocketAddr) -> String {
    let body = request("1", 30, "private").to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let message = head(body.len()).replace("host: x", "host: x\r\nconnection: close") + &body;
    stream.write_all(message.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn too_many_requests_at_once_are_asked_to_come_back() {
    let (address, _sender, _serving) = start(Limits { in_flight: 1, ..Limits::default() }).await;
    assert!(exchange(address).await.starts_with("HTTP/1.1 200"));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all((head(100) + "{").as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = exchange(address).await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    drop(slow);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let answer = exchange(address).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "a caller that goes away gives its place back: {answer}");
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let limits = Limits { head: Duration::from_millis(300), body: Duration::from_millis(300), ..Limits::default() };
    let limits = Limits { discard: Duration::from_millis(300), ..limits };
    let (address, _sender, _serving) = start(limits).await;
    for (part, status) in [("", ""), ("POST /v2/mo", ""), (&*(head(100) + "{"), "HTTP/1.1 408")] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(part.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await;
        assert!(read.is_ok(), "{part:?} was not cut off");
        assert!(answer.starts_with(status), "{part:?}: {answer}");
        assert!(began.elapsed() < Duration::from_secs(3), "{part:?}: {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn connections_are_limited_and_come_free_again() {
    let (address, _sender, _serving) = start(Limits { connections: 2, ..Limits::default() }).await;
    let held = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
    tokio::time::sleep(Duration::from_millis(100)).await;
    let mut third = TcpStream::connect(address).await.unwrap();
    // Reset or closed: not answered.
    let _ = third.write_all(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = third.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
    drop(held);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(exchange(address).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_process_ends() {
    let (address, mut sender, serving) = start(Limits::default()).await;
    let body = request("1", 30, "private").to_string();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all((head(body.len()) + &body[..10]).as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    sender.send(&ToServe::Drain, &[]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!serving.is_finished());
    assert!(TcpStream::connect(address).await.is_err(), "no new connections");
    slow.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(Duration::from_secs(5), serving).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_cannot_be_smuggled_in_another() {
    let (address, _sender, _serving) = start(Limits::default()).await;
    for head in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "content-length: 5\r\ncontent-length: 6",
        "content-length: +5",
        "transfer-encoding: chunked, identity",
    ] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let smuggled = "0\r\n\r\nGET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
        let message = format!("POST /v2/models/employed/infer HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{smuggled}");
        stream.write_all(message.as_bytes()).await.unwrap();
        let mut answer = vec![0; 65_536];
        let read = tokio::time::timeout(Duration::from_secs(2), stream.read(&mut answer)).await;
        let answer = String::from_utf8_lossy(&answer[..read.map_or(0, |read| read.unwrap_or(0))]).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{head}: {answer}");
        assert!(!answer.contains("falaj_requests_total"), "{head}: {answer}");
    }
}
