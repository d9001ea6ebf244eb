//! Drift statistics against SciPy.

use falaj_api::monitor::DriftMethod;
use falaj_engine::drift::{self, Categories, Numbers, Sample, chi_squared, kolmogorov_smirnov};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    numeric: Vec<Numeric>,
    categorical: Vec<Categorical>,
    survival: Vec<Survival>,
}

#[derive(Deserialize)]
struct Numeric {
    name: String,
    baseline: Vec<f64>,
    current: Vec<f64>,
    psi: f64,
    jensen_shannon: f64,
    ks: f64,
    ks_p: f64,
    wasserstein: f64,
}

#[derive(Deserialize)]
struct Categorical {
    name: String,
    baseline: Vec<u64>,
    current: Vec<u64>,
    psi: f64,
    jensen_shannon: f64,
    chi2: f64,
    chi2_p: f64,
    cramers_v: f64,
}

#[derive(Deserialize)]
struct Survival {
    n: u64,
    d: f64,
    p: f64,
    #[serde(default)]
    exact: Option<f64>,
}

fn cases() -> Cases {
    serde_json::from_str(include_str!("data/drift.json")).unwrap()
}

fn close(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-9, "{what}: {ours} is not {theirs}");
}

fn statistic(method: DriftMethod, baseline: &Sample, current: &Sample) -> f64 {
    drift::test(method).unwrap().measure(baseline, current).unwrap().statistic
}

#[test]
fn numeric_tests_agree_with_scipy() {
    for case in cases().numeric {
        let baseline = Sample::Numeric(Numbers::new(case.baseline));
        let current = Sample::Numeric(Numbers::new(case.current));
        let of = |method| statistic(method, &baseline, &current);
        close(&format!("{} psi", case.name), of(DriftMethod::Psi), case.psi);
        close(&format!("{} jensen_shannon", case.name), of(DriftMethod::JensenShannon), case.jensen_shannon);
        close(&format!("{} ks", case.name), of(DriftMethod::KolmogorovSmirnov), case.ks);
        close(&format!("{} wasserstein", case.name), of(DriftMethod::Wasserstein), case.wasserstein);
        let ks = drift::test(DriftMethod::KolmogorovSmirnov).unwrap().measure(&baseline, &current).unwrap();
        close(&format!("{} ks p-value", case.name), ks.p_value.unwrap(), case.ks_p);
    }
}

#[test]
fn categorical_tests_agree_with_scipy() {
    let sample = |counts: &[u64]| {
        let named = counts.iter().enumerate().filter(|(_, count)| **count > 0);
        Sample::Categorical(Categories::from_counts(named.map(|(i, count)| (format!("value {i}"), *count))))
    };
    for case in cases().categorical {
        let (baseline, current) = (sample(&case.baseline), sample(&case.current));
        let of = |method| statistic(method, &baseline, &current);
        close(&format!("{} psi", case.name), of(DriftMethod::Psi), case.psi);
        close(&format!("{} jensen_shannon", case.name), of(DriftMethod::JensenShannon), case.jensen_shannon);
        close(&format!("{} cramers_v", case.name), of(DriftMethod::ChiSquared), case.cramers_v);
        let as_floats = |counts: &[u64]| counts.iter().map(|c| *c as f64).collect::<Vec<f64>>();
        let (chi2, p) = chi_squared::chi_squared(&as_floats(&case.baseline), &as_floats(&case.current));
        close(&format!("{} chi2", case.name), chi2, case.chi2);
        close(&format!("{} chi2 p-value", case.name), p, case.chi2_p);
    }
}

#[test]
fn the_distribution_of_kolmogorovs_d_agrees_with_scipy_from_one_row_to_300_000() {
    let cases = cases().survival;
    assert!(cases.len() > 100);
    for case in cases {
        let ours = kolmogorov_smirnov::survival(case.n, case.d);
        close(&format!("n = {}, d = {}", case.n, case.d), ours, case.p);
        // From 141 rows on an expansion in 1/sqrt(n) stands in for the exact formula.
        let off = (ours - case.exact.unwrap_or(ours)).abs() * (case.n as f64).powi(2);
        assert!(off < 0.1, "n = {}, d = {}: the error does not vanish like 1/n^2", case.n, case.d);
    }
}

#[test]
fn a_column_of_zeros_and_ones_is_not_one_bin() {
    let zeros_and_ones = |ones: usize| {
        let values = (0..1_000).map(|i| if i < ones { 1.0 } else { 0.0 });
        Sample::Numeric(Numbers::new(values.collect()))
    };
    let psi = statistic(DriftMethod::Psi, &zeros_and_ones(50), &zeros_and_ones(300));
    let by_hand = (0.25_f64) * (0.3_f64 / 0.05).ln() + (-0.25) * (0.7_f64 / 0.95).ln();
    close("psi", psi, by_hand);
}

#[test]
fn missing_values_are_counted_apart() {
    let sample = Numbers::new(vec![1.0, f64::NAN, 2.0, f64::NAN]);
    assert_eq!(sample.sorted(), [1.0, 2.0]);
    assert_eq!(Sample::Numeric(sample).missing_share(), 0.5);
    let sample = Categories::new([Some("a"), None, Some(""), Some("a")]);
    assert_eq!(sample.counts().get("a"), Some(&2));
    assert_eq!(Sample::Categorical(sample).missing_share(), 0.5);
}
