//! What every request shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::capture::Capture;
use super::metrics::{Metrics, Requests};
use super::routing::Routing;
use super::shadow::Shadows;

pub struct State {
    pub routing: ArcSwap<Routing>,
    pub metrics: Arc<Metrics>,
    pub capture: Capture,
    pub shadows: Shadows,
    pub limits: Limits,
    /// Set when the process is to end: callers are told to connect elsewhere.
    pub leaving: AtomicBool,
    /// Set once something is in force and connections are accepted.
    pub listening: AtomicBool,
    /// Requests for endpoints that are not there.
    pub unknown: Arc<Requests>,
    pub in_flight: Counter,
    /// Bytes of bodies that are being received or answered.
    pub body_bytes: Counter,
}

/// What callers may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub body_bytes: usize,
    pub all_bodies_bytes: usize,
    pub in_flight: usize,
    pub connections: usize,
    pub handshake: Duration,
    /// For the head of a request, counted from the end of the one before it: so
    /// it also ends idle connections.
    pub head: Duration,
    /// For the body of a request.
    pub body: Duration,
    /// For reading on after a body that is refused.
    pub discard: Duration,
    /// For requests in flight when the process is to end.
    pub drain: Duration,
    /// How long a pod that is to end answers on, telling its callers to connect
    /// elsewhere, before it closes a connection.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 16 << 20,
            all_bodies_bytes: 512 << 20,
            in_flight: 512,
            connections: 4096,
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body: Duration::from_secs(10),
            discard: Duration::from_secs(3),
            drain: Duration::from_secs(20),
            farewell: Duration::from_secs(5),
        }
    }
}

/// How much of something is taken.
#[derive(Debug, Default)]
pub struct Counter(AtomicUsize);

/// A share that is given back when it is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    counter: &'a Counter,
    amount: usize,
}

impl Counter {
    /// A share of this size, unless more than `limit` would be taken.
    pub fn take(&self, amount: usize, limit: usize) -> Option<Share<'_>> {
        let mut share = Share { counter: self, amount: 0 };
        share.grow(amount, limit).then_some(share)
    }
}

impl Share<'_> {
    /// Takes more; false if more than `limit` would be taken.
    #[must_use]
    pub fn grow(&mut self, amount: usize, limit: usize) -> bool {
        self.amount += amount;
        self.counter.0.fetch_add(amount, Relaxed) + amount <= limit
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.counter.0.fetch_sub(self.amount, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_share_is_given_back() {
        let counter = Counter::default();
        let first = counter.take(6, 10).unwrap();
        assert!(counter.take(5, 10).is_none());
        assert!(counter.take(4, 10).is_some());
        drop(first);
        assert!(counter.take(10, 10).is_some());
    }
}
