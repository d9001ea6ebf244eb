//! The `posture` attribute: what a policy decides on, known at plan.

use falaj_api::feature_store::Classification;
use falaj_api::posture;
use falaj_api::{Duration, KmsKey, Posture, Region};
use tfplugin::{Attr, AttributePath, Model};

use super::KmsKeyModel;

/// What a policy needs to know of the object. A part is unknown exactly when
/// what it follows from is.
#[derive(Model, Debug, Clone, PartialEq)]
pub struct PostureModel {
    /// Where it is.
    #[attr(computed)]
    pub region: Attr<String>,
    /// Country of that region, ISO 3166-1.
    #[attr(computed)]
    pub jurisdiction: Attr<String>,
    /// The highest classification of the data it declares: `internal`, `personal` or `special`.
    #[attr(computed)]
    pub classification: Attr<String>,
    /// Key that it is sealed under: its own, its workspace's or its cluster's.
    #[attr(computed)]
    pub kms_key_uri: Attr<String>,
    /// Region of that key.
    #[attr(computed)]
    pub key_region: Attr<String>,
    /// Whether it answers callers from outside of the machine or the cluster.
    #[attr(computed)]
    pub public: Attr<bool>,
    /// How long its data is kept, where declared.
    #[attr(computed)]
    pub retention: Attr<String>,
    /// Cost of a month, in `currency`; zero on hardware of one's own.
    #[attr(computed)]
    pub estimated_monthly_cost: Attr<f64>,
    /// Currency of the cost, ISO 4217.
    #[attr(computed)]
    pub currency: Attr<String>,
    /// Whether every part of this that applies is known.
    #[attr(computed)]
    pub complete: Attr<bool>,
}

/// What is declared of an object that its posture follows from.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub kms_key: Attr<KmsKeyModel>,
    pub classification: Attr<Classification>,
    pub retention: Attr<Duration>,
}

/// The posture of an object in `region`, as far as that and what it declares is known.
pub fn of(region: Option<&Region>, declared: &Facts) -> PostureModel {
    let key = key(&declared.kms_key);
    let Some(region) = region else {
        return PostureModel {
            region: Attr::unknown(),
            jurisdiction: Attr::unknown(),
            classification: declared.classification.clone().map(|class| class.as_str().to_owned()),
            kms_key_uri: key.as_ref().map(|key| key.uri.to_string()),
            key_region: optional(key.map(|key| key.effective_region().ok().map(ToString::to_string))),
            public: false.into(),
            retention: declared.retention.clone().map(|duration| duration.to_string()),
            estimated_monthly_cost: Attr::unknown(),
            currency: Attr::unknown(),
            complete: Attr::unknown(),
        };
    };
    let known = Posture::of(&posture::Facts {
        region,
        kms_key: key.known(),
        classification: declared.classification.known().copied(),
        retention: declared.retention.known().copied(),
        own_hardware: region.cloud() == "onprem",
    });
    let (no_key, no_class, no_retention) =
        (key.is_unknown(), declared.classification.is_unknown(), declared.retention.is_unknown());
    PostureModel {
        region: known.region.into(),
        jurisdiction: known.jurisdiction.into(),
        classification: unless(no_class, known.classification),
        kms_key_uri: unless(no_key, known.kms_key_uri),
        key_region: unless(no_key, known.key_region),
        public: known.public.into(),
        retention: unless(no_retention, known.retention),
        estimated_monthly_cost: known.estimated_monthly_cost.into(),
        currency: known.currency.into(),
        complete: unless(no_key || no_class || no_retention, Some(known.complete)),
    }
}

fn key(declared: &Attr<KmsKeyModel>) -> Attr<KmsKey> {
    match declared {
        Attr::Null => Attr::Null,
        Attr::Known(key) if key.uri.is_known() && !key.region.is_unknown() => {
            key.key(&AttributePath::root("kms_key")).ok().into()
        }
        Attr::Known(_) | Attr::Unknown(_) => Attr::unknown(),
    }
}

fn optional<T>(value: Attr<Option<T>>) -> Attr<T> {
    match value {
        Attr::Known(value) => value.into(),
        Attr::Null => Attr::Null,
        Attr::Unknown(refinement) => Attr::Unknown(refinement),
    }
}

fn unless<T>(unknown: bool, value: Option<T>) -> Attr<T> {
    if unknown { Attr::unknown() } else { value.into() }
}

#[cfg(test)]
mod tests {
    use tfplugin::Attr;

    use super::{Facts, KmsKeyModel, of};

    fn key(uri: Attr<String>) -> Facts {
        Facts { kms_key: Attr::Known(KmsKeyModel { uri, region: Attr::Null }), ..Facts::default() }
    }

    #[test]
    fn a_part_is_unknown_exactly_when_what_it_follows_from_is() {
        let region = "onprem:ae-du:dubai-1".parse().unwrap();
        let open = of(Some(&region), &key(Attr::unknown()));
        assert!(open.kms_key_uri.is_unknown() && open.key_region.is_unknown() && open.complete.is_unknown());
        assert_eq!((open.jurisdiction, open.classification), ("AE".into(), Attr::Null));

        let closed = of(Some(&region), &key("aws-kms://arn:aws:kms:me-central-1:111122223333:key/1".into()));
        assert_eq!((closed.key_region, closed.complete), ("aws:me-central-1".into(), true.into()));

        let nowhere = of(None, &key("aws-kms://arn:aws:kms:me-central-1:111122223333:key/1".into()));
        assert!(nowhere.region.is_unknown() && nowhere.complete.is_unknown());
        assert_eq!(nowhere.key_region, "aws:me-central-1".into());
    }

    #[test]
    fn hardware_of_ones_own_costs_nothing_and_a_clouds_is_not_estimated() {
        let own = of(Some(&"onprem:ae-du:dubai-1".parse().unwrap()), &Facts::default());
        assert_eq!(own.estimated_monthly_cost, 0.0.into());
        let rented = of(Some(&"aws:me-central-1".parse().unwrap()), &Facts::default());
        assert!(rented.estimated_monthly_cost.is_null());
    }
}
