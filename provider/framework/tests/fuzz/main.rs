//! Whatever comes over the wire, however broken: no panic, no end of the process,
//! no more memory than a small multiple of its length.
//!
//! `make fuzz` goes on for as long as it is told; what fails is kept in
//! `failures/`, and read again by every run.

#![cfg(unix)]

mod decoders;
mod harness;
mod hostile;
mod memory;
mod provider;
#[path = "../random/mod.rs"]
mod random;
mod requests;
mod values;

#[test]
fn messagepack_is_read_or_refused() {
    decoders::MSGPACK.run(50_000);
}

#[test]
fn json_is_read_or_refused() {
    decoders::JSON.run(50_000);
}

#[test]
fn types_are_read_or_refused() {
    decoders::TYPE.run(50_000);
}

#[test]
fn numbers_and_durations_are_read_or_refused() {
    decoders::TEXT.run(50_000);
}

#[test]
fn requests_are_answered_or_refused() {
    requests::REQUESTS.run(20_000);
}
