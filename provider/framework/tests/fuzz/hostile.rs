//! Messages of a megabyte made to cost the reader much: what random bytes do not
//! come upon.

use tfplugin::Type;

use crate::decoders::{JSON, MSGPACK, TYPE};
use crate::harness::Target;

const LENGTH: usize = 1 << 20;

/// `unit` over and over.
fn fill(unit: &[u8]) -> Vec<u8> {
    unit.repeat(LENGTH / unit.len())
}

fn typed(kind: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [kind.as_bytes(), b"\n", value.as_ref()].concat()
}

/// `of` within 60 types of one element.
fn deep(outer: &str, of: &str) -> String {
    format!("{}{of}{}", format!("[\"{outer}\",").repeat(60), "]".repeat(60))
}

/// An object type of `count` bools.
fn wide(count: usize) -> String {
    Type::Object((0..count).map(|position| (position.to_string(), Type::Bool)).collect()).to_json().to_string()
}

fn str32(text: &[u8]) -> Vec<u8> {
    [&[0xdb], &u32::try_from(text.len()).expect("a length").to_be_bytes()[..], text].concat()
}

/// A value under `dynamic`.
fn dynamic(kind: &str, value: &[u8]) -> Vec<u8> {
    [&[0x92], &str32(kind.as_bytes())[..], value].concat()
}

fn is_harmless(target: &Target, name: &str, input: &[u8]) {
    if let Err(problem) = target.problem(input) {
        panic!("{}, {name}: {problem}", target.name);
    }
}

#[test]
fn headers_that_claim_four_billion_elements_reserve_nothing() {
    const CLAIM: [u8; 5] = [0xdd, 0xff, 0xff, 0xff, 0xff];
    const MAP: [u8; 7] = [0xdf, 0xff, 0xff, 0xff, 0xff, 0xa1, b'k'];
    is_harmless(&MSGPACK, "one", &typed(r#"["list","bool"]"#, [&CLAIM[..], &fill(&[0xc0])].concat()));
    is_harmless(
        &MSGPACK,
        "many, nested",
        &typed(&deep("list", "\"bool\""), [CLAIM.repeat(60), fill(&[0xc0])].concat()),
    );
    is_harmless(&MSGPACK, "sets", &typed(&deep("set", "\"bool\""), [CLAIM.repeat(60), fill(&[0xc0])].concat()));
    is_harmless(&MSGPACK, "maps", &typed(&deep("map", "\"bool\""), [MAP.repeat(60), fill(&[0xc0])].concat()));
    let kind = deep("list", "\"bool\"");
    let inner = [CLAIM.repeat(60), fill(&[0xc0])].concat();
    is_harmless(&MSGPACK, "of the sender's own type", &typed("\"dynamic\"", dynamic(&kind, &inner)));
}

#[test]
fn collections_of_collections_are_read_in_the_memory_of_what_they_hold() {
    is_harmless(
        &MSGPACK,
        "lists",
        &typed(r#"["list",["list","bool"]]"#, [&[0xdd, 0, 0x0f, 0, 0], &fill(&[0x90])[..]].concat()),
    );
    is_harmless(
        &MSGPACK,
        "maps",
        &typed(r#"["list",["map","bool"]]"#, [&[0xdd, 0, 0x0f, 0, 0], &fill(&[0x81, 0xa0, 0xc0])[..]].concat()),
    );
    let json = format!("[{}[]]", "[[],{}],".repeat(LENGTH / 8));
    is_harmless(&JSON, "lists", &typed(r#"["list",["list","dynamic"]]"#, json));
}

#[test]
fn objects_of_the_senders_own_type_do_not_multiply() {
    let kind = format!("[\"list\",{}]", wide(20_000));
    let many_empty = [&[0xdd, 0, 0x0f, 0, 0], &fill(&[0x80])[..]].concat();
    is_harmless(&MSGPACK, "all attributes absent", &typed("\"dynamic\"", dynamic(&kind, &many_empty)));
    let json = format!("{{\"type\":{kind},\"value\":[{}{{}}]}}", "{},".repeat(LENGTH / 3));
    is_harmless(&JSON, "all attributes absent", &typed("\"dynamic\"", json));
}

#[test]
fn an_object_of_many_attributes_is_read_in_one_go() {
    let count = 60_000;
    let kind = wide(count);
    // In reverse, which is the worst order to look attributes up in.
    let entries: Vec<u8> =
        (0..count).rev().flat_map(|position| [str32(position.to_string().as_bytes()), vec![0xc2]].concat()).collect();
    let header = [&[0xdf], &u32::try_from(count).expect("a length").to_be_bytes()[..]].concat();
    is_harmless(&MSGPACK, "wide", &typed("\"dynamic\"", dynamic(&kind, &[header, entries].concat())));
}

#[test]
fn short_numbers_stay_short() {
    let unit = str32(b"1e4000")[4..].to_vec();
    let unit = [&[0xa0 | 6], &unit[1..]].concat();
    is_harmless(
        &MSGPACK,
        "exponents",
        &typed(r#"["list","number"]"#, [&[0xdd, 0, 0x02, 0, 0], &fill(&unit)[..]].concat()),
    );
    is_harmless(&JSON, "exponents", &typed(r#"["list","number"]"#, format!("[{}0]", "1e-4000,".repeat(LENGTH / 8))));
    is_harmless(&JSON, "digits", &typed("\"number\"", "9".repeat(LENGTH)));
}

#[test]
fn what_nests_deeper_than_anything_real_is_refused() {
    let nested = [&[0x92, 0xa9][..], b"\"dynamic\""].concat();
    is_harmless(&MSGPACK, "dynamic", &typed("\"dynamic\"", fill(&nested)));
    is_harmless(&JSON, "dynamic", &typed("\"dynamic\"", fill(br#"{"type":"dynamic","value":"#)));
    is_harmless(&JSON, "lists", &typed("\"bool\"", fill(b"[")));
    is_harmless(&JSON, "objects", &typed(r#"["map","bool"]"#, fill(br#"{"a":"#)));
    is_harmless(&TYPE, "lists", &fill(br#"["list","#));
    is_harmless(&TYPE, "objects", &fill(br#"["object",{"a":"#));
}

#[test]
fn what_is_refused_is_not_repeated_at_length() {
    let noise = "x".repeat(LENGTH);
    is_harmless(&TYPE, "a name", format!("{noise:?}").as_bytes());
    is_harmless(&TYPE, "within", format!("[\"list\",[\"map\",{noise:?}]]").as_bytes());
    is_harmless(
        &MSGPACK,
        "an attribute",
        &typed("[\"object\",{}]", [&[0x81][..], &str32(noise.as_bytes()), &[0xc0]].concat()),
    );
    is_harmless(&MSGPACK, "a type", &typed("\"dynamic\"", dynamic(&format!("{noise:?}"), &[0xc0])));
}
