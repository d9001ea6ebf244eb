//! What may end this process, and what may not.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// How often it is looked whether the host is still there.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// A Ctrl-C in the terminal reaches the whole process group, this process
/// included; it is for the host to decide what it means.
#[cfg(unix)]
pub fn ignore_interrupts() {
    use tokio::signal::unix::{SignalKind, signal};
    if let Ok(mut interrupts) = signal(SignalKind::interrupt()) {
        tokio::spawn(async move { while interrupts.recv().await.is_some() {} });
    }
}

/// See the other.
#[cfg(not(unix))]
pub fn ignore_interrupts() {
    tokio::spawn(async { while tokio::signal::ctrl_c().await.is_ok() {} });
}

/// Without a host, Ctrl-C is the end.
pub fn stop_on_interrupt(stop: CancellationToken) {
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
}

/// A host that was killed cannot say goodbye. Its death shows in the parent
/// process changing; the kernel's parent-death signal is no way to tell, for
/// it follows the host's thread, and Go ends threads as it likes.
#[cfg(unix)]
pub fn stop_with_parent(stop: CancellationToken) {
    let host = std::os::unix::process::parent_id();
    tokio::spawn(async move {
        while std::os::unix::process::parent_id() == host {
            tokio::time::sleep(PARENT_CHECK).await;
        }
        stop.cancel();
    });
}

/// Windows ends with the host's job.
#[cfg(not(unix))]
pub fn stop_with_parent(_stop: CancellationToken) {}

/// The host shows lines that begin with `panic: ` as errors.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload_as_str().unwrap_or("no message").replace('\n', " ");
        match info.location() {
            Some(place) => eprintln!("panic: {text} at {place}"),
            None => eprintln!("panic: {text}"),
        }
    }));
}
