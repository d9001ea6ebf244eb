//! What is served now: immutable, swapped as a whole, read without a lock.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use falaj_api::model::Signature;
use falaj_engine::infer::Session;

use super::capture::Target;
use super::metrics::Requests;
use super::protocol::Format;
use crate::oip::InputSpec;

/// One generation of everything.
#[derive(Default)]
pub struct Routing {
    /// Absent: plain text, and callers are not told apart.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// PEM of the authority that callers have to come from; with `tls`.
    pub authority: Option<Arc<str>>,
    pub endpoints: HashMap<String, Arc<Endpoint>>,
}

pub struct Endpoint {
    pub name: String,
    /// Those that answer.
    pub variants: Vec<Arc<Variant>>,
    pub shadows: Vec<Arc<Variant>>,
    pub invokers: BTreeSet<String>,
    pub capture: Option<Arc<Target>>,
    /// Requests that reached no variant.
    pub refused: Arc<Requests>,
}

pub struct Variant {
    pub name: String,
    pub model: String,
    pub version: u32,
    /// The version as the protocol writes it.
    pub version_text: String,
    pub weight: u32,
    pub shadow: bool,
    pub format: Format,
    pub signature: Signature,
    pub inputs: Vec<InputSpec>,
    pub session: Arc<dyn Session>,
    pub requests: Arc<Requests>,
}

impl Endpoint {
    /// The variant that answers a request, by the hash of its id, in proportion
    /// to the weights: the same id goes to the same variant as long as the
    /// variants and weights are the same. With a version, only among the
    /// variants that serve it; `None` if there are none.
    pub fn choose(&self, id: &str, version: Option<u32>) -> Option<&Arc<Variant>> {
        let serves = |v: &&Arc<Variant>| version.is_none_or(|version| v.version == version);
        let total: u64 = self.variants.iter().filter(serves).map(|v| u64::from(v.weight)).sum();
        if total == 0 {
            // Asked for by its number, a variant without weight answers.
            return self.variants.iter().find(serves).filter(|_| version.is_some());
        }
        let mut point = hash(id, "variant") % total;
        self.variants.iter().filter(serves).find(|variant| {
            let weight = u64::from(variant.weight);
            let chosen = point < weight;
            point = point.saturating_sub(weight);
            chosen
        })
    }

    /// The variant whose signature is the endpoint's: the one with most weight.
    pub fn main(&self, version: Option<u32>) -> Option<&Arc<Variant>> {
        let serves = |v: &&Arc<Variant>| version.is_none_or(|version| v.version == version);
        self.variants.iter().filter(serves).max_by_key(|v| v.weight)
    }
}

/// A hash of a request's id, spread evenly over all 64 bits and the same on
/// every machine and in every release: FNV-1a, then the finalizer of SplitMix64.
/// `purpose` makes draws for different purposes independent.
pub fn hash(id: &str, purpose: &str) -> u64 {
    let bytes = purpose.bytes().chain([0]).chain(id.bytes());
    let mut h = bytes.fold(0xcbf2_9ce4_8422_2325, |h: u64, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    h = (h ^ (h >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    h = (h ^ (h >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    h ^ (h >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_even_and_independent_of_each_other() {
        let ids: Vec<String> = (0..20_000).map(|i| format!("request-{i}")).collect();
        let low = |purpose| ids.iter().filter(|id| hash(id, purpose) % 100 < 5).count();
        assert!((900..1100).contains(&low("variant")), "{}", low("variant"));
        let both =
            ids.iter().filter(|id| hash(id, "variant").is_multiple_of(2) && hash(id, "capture").is_multiple_of(2));
        let both = both.count();
        assert!((4_800..5_200).contains(&both), "{both}");
    }

    #[test]
    fn the_hash_of_an_id_never_changes() {
        // Computed apart, from the definitions of the two functions.
        assert_eq!(hash("", ""), 2_737_183_428_366_584_608);
        assert_eq!(hash("request-1", "variant"), 6_952_521_446_150_392_133);
    }
}
