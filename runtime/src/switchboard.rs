//! Lines from pods: who dialled, and who waits for them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
};

use crate::{
    dial::Hello,
    identity::Principal,
    pipe::{Receiver, Sender},
};

pub type Read = Box<dyn AsyncRead + Send + Unpin>;
pub type Write = Box<dyn AsyncWrite + Send + Unpin>;

/// How long a pod gets to say hello.
const HELLO: Duration = Duration::from_secs(10);

/// A pod that has said hello.
pub struct Arrival {
    pub hello: Hello,
    /// Where it dialled from.
    pub peer: IpAddr,
    pub receiver: Receiver<Read>,
    pub sender: Sender<Write>,
}

/// A serving pod of an endpoint.
pub struct Replica {
    pub workspace: String,
    pub endpoint: String,
    pub arrival: Arrival,
}

#[derive(Default)]
pub struct Switchboard {
    /// Until the reconciler takes them.
    replicas: Mutex<Vec<Replica>>,
    /// Who waits for the pod of an attempt of an operation.
    trainers: Mutex<HashMap<(String, i64), oneshot::Sender<Arrival>>>,
}

impl Switchboard {
    /// Takes a call. True: the reconciler of serving has something to do.
    pub async fn take<S>(&self, caller: Principal, peer: IpAddr, stream: S) -> bool
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        let mut receiver = Receiver::new(Box::new(read) as Read);
        let hello = match tokio::time::timeout(HELLO, receiver.recv::<Hello>()).await {
            Ok(Ok(Some((hello, _)))) => hello,
            _ => {
                tracing::warn!(%caller, "a pod dialled and said nothing that is understood");
                return false;
            }
        };
        let arrival = Arrival { hello, peer, receiver, sender: Sender::new(Box::new(write) as Write) };
        tracing::info!(%caller, pod = arrival.hello.pod, "a pod has dialled");
        match caller {
            Principal::Replica { workspace, endpoint } => {
                lock(&self.replicas).push(Replica { workspace, endpoint, arrival });
                true
            }
            Principal::Trainer { operation, attempt } => {
                let waiting = lock(&self.trainers).remove(&(operation, attempt));
                // Nobody waits for an attempt that was given up: its pod ends.
                if let Some(waiting) = waiting {
                    let _ = waiting.send(arrival);
                }
                false
            }
            Principal::Platform | Principal::Invoker { .. } => false,
        }
    }

    /// The pods that have dialled since this was asked before.
    pub fn replicas(&self) -> Vec<Replica> {
        std::mem::take(&mut *lock(&self.replicas))
    }

    /// Waits for the pod of an attempt.
    pub fn expect(&self, operation: &str, attempt: i64) -> oneshot::Receiver<Arrival> {
        let (sender, receiver) = oneshot::channel();
        lock(&self.trainers).insert((operation.to_owned(), attempt), sender);
        receiver
    }

    /// Waits no more.
    pub fn forget(&self, operation: &str, attempt: i64) {
        lock(&self.trainers).remove(&(operation.to_owned(), attempt));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
