//! Whole comparisons by the default rules, and their report.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use falaj_api::feature_store::DataType;
use falaj_api::monitor::{Drift, DriftMethod, DriftReport, DriftRule, Performance, Verdict};
use falaj_engine::drift::compare::{Outcome, check_method, compare};
use falaj_engine::random::Stream;
use falaj_engine::report;
use falaj_engine::train::SCORE;

/// Rows of a number, a category and a score; `shift` moves all three.
fn population(seed: i64, rows: usize, shift: f64) -> RecordBatch {
    let mut random = Stream::new(seed, 1_000);
    let mut number = Vec::new();
    let mut colour = Vec::new();
    let mut score = Vec::new();
    for _ in 0..rows {
        // A sum of uniforms is close to a normal distribution of deviation 1.
        let normal: f64 = (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        number.push(normal + shift);
        let red = random.unit() < 0.5 + shift / 4.0;
        colour.push(if red { "red" } else { ["green", "blue"][random.below(2) as usize] });
        score.push((random.unit() + shift).clamp(0.0, 1.0));
    }
    RecordBatch::try_from_iter([
        ("number", Arc::new(Float64Array::from(number)) as ArrayRef),
        ("colour", Arc::new(StringArray::from(colour))),
        (SCORE, Arc::new(Float64Array::from(score))),
    ])
    .unwrap()
}

fn features() -> Vec<(String, DataType)> {
    vec![("number".to_owned(), DataType::Float64), ("colour".to_owned(), DataType::String)]
}

fn outcome(baseline: &RecordBatch, current: &RecordBatch) -> Outcome {
    compare(baseline, current, &features(), &Drift::default()).unwrap()
}

#[test]
fn the_same_population_is_not_drift_however_few_or_many_rows() {
    let baseline = population(1, 20_000, 0.0);
    let mut alarms = 0;
    let mut runs = 0;
    for rows in [30, 60, 150, 400, 999, 1_000, 5_000, 50_000] {
        for seed in 2..22 {
            let outcome = outcome(&baseline, &population(seed, rows, 0.0));
            assert_ne!(outcome.verdict, Verdict::InsufficientData);
            alarms += usize::from(outcome.verdict == Verdict::Drift);
            runs += 1;
        }
    }
    // Three features at one chance in a hundred each, for small samples only.
    assert!(alarms * 40 < runs, "{alarms} false alarms in {runs} runs");
}

#[test]
fn a_harmless_shift_is_not_drift_at_100_000_rows_although_it_is_certain() {
    let (baseline, current) = (population(1, 100_000, 0.0), population(2, 100_000, 0.05));
    let rules = Drift {
        default: DriftRule { method: DriftMethod::Auto, threshold: 0.1 },
        features: [("number".to_owned(), DriftRule { method: DriftMethod::KolmogorovSmirnov, threshold: 0.1 })].into(),
    };
    let outcome = compare(&baseline, &current, &features(), &rules).unwrap();
    let number = outcome.features.iter().find(|f| f.feature == "number").unwrap();
    assert!(number.p_value.unwrap() < 1e-12, "{:?}", number.p_value);
    assert_eq!(outcome.verdict, Verdict::NoMaterialDrift);
}

#[test]
fn a_large_shift_is_drift_at_every_size_and_the_worst_comes_first() {
    let baseline = population(1, 20_000, 0.0);
    for rows in [100, 999, 1_000, 20_000] {
        let outcome = outcome(&baseline, &population(2, rows, 0.8));
        assert_eq!(outcome.verdict, Verdict::Drift, "{rows} rows");
        assert_eq!(outcome.features[0].feature, "number");
        assert!(outcome.features[0].drifted && outcome.prediction.unwrap().drifted);
    }
}

#[test]
fn auto_chooses_by_type_and_size_and_says_what_it_chose() {
    let baseline = population(1, 20_000, 0.0);
    let methods = |rows| {
        let mut features = outcome(&baseline, &population(2, rows, 0.8)).features;
        features.sort_by(|a, b| a.feature.cmp(&b.feature));
        features.iter().map(|f| f.method).collect::<Vec<_>>()
    };
    assert_eq!(methods(500), [DriftMethod::ChiSquared, DriftMethod::KolmogorovSmirnov]);
    assert_eq!(methods(5_000), [DriftMethod::Psi, DriftMethod::Psi]);
}

#[test]
fn too_few_rows_give_no_verdict() {
    let baseline = population(1, 1_000, 0.0);
    assert_eq!(outcome(&baseline, &population(2, 29, 3.0)).verdict, Verdict::InsufficientData);
    let none = outcome(&baseline, &population(2, 0, 0.0));
    assert_eq!((none.verdict, none.features.len()), (Verdict::InsufficientData, 0));
}

#[test]
fn values_that_go_missing_are_drift_even_if_all_of_them_do() {
    let baseline = population(1, 5_000, 0.0);
    for every in [1, 20] {
        let fresh = population(2, 5_000, 0.0);
        let numbers = fresh.column(0).as_primitive::<Float64Type>().iter().enumerate();
        let gaps: Float64Array = numbers.map(|(row, number)| number.filter(|_| row % every != 0)).collect();
        let current = RecordBatch::try_from_iter_with_nullable([
            ("number", Arc::new(gaps) as ArrayRef, true),
            ("colour", fresh.column(1).clone(), true),
            (SCORE, fresh.column(2).clone(), true),
        ])
        .unwrap();
        let outcome = outcome(&baseline, &current);
        assert_eq!(outcome.verdict, Verdict::Drift, "every {every}th is missing");
        assert_eq!(outcome.features[0].feature, "number");
        assert!(report::summary(&outcome, None).contains("missing"), "{}", report::summary(&outcome, None));
    }
}

#[test]
fn a_feature_that_never_varied_is_compared_all_the_same() {
    let constant = |value: f64| {
        RecordBatch::try_from_iter([("number", Arc::new(Float64Array::from(vec![value; 2_000])) as ArrayRef)]).unwrap()
    };
    let rules =
        Drift { default: DriftRule { method: DriftMethod::Wasserstein, threshold: 0.1 }, features: Default::default() };
    let features = [("number".to_owned(), DataType::Int64)];
    let verdict = |value| compare(&constant(3.0), &constant(value), &features, &rules).unwrap().verdict;
    assert_eq!(verdict(3.0), Verdict::NoMaterialDrift);
    assert_eq!(verdict(4.0), Verdict::Drift);
}

#[test]
fn a_method_that_is_not_defined_for_a_type_is_refused_with_those_that_are() {
    let error = check_method("colour", DriftMethod::Wasserstein, DataType::String).unwrap_err().to_string();
    assert!(error.contains("\"colour\"") && error.contains("auto, psi, chi_squared, jensen_shannon"), "{error}");
    check_method("prediction", DriftMethod::KolmogorovSmirnov, DataType::Float64).unwrap();
}

fn drift_report(outcome: Outcome, name: &str) -> DriftReport {
    let performance = Performance {
        metric: "auc".to_owned(),
        baseline: 0.85,
        current: 0.7,
        labelled_rows: 1_234,
        min: Some(0.78),
        breached: true,
    };
    DriftReport {
        id: name.to_owned(),
        monitor: name.to_owned(),
        endpoint: name.to_owned(),
        model: name.to_owned(),
        model_version: 3,
        at: jiff::Timestamp::UNIX_EPOCH,
        from: jiff::Timestamp::UNIX_EPOCH,
        until: jiff::Timestamp::UNIX_EPOCH,
        verdict: outcome.verdict,
        summary: report::summary(&outcome, Some(&performance)),
        rows_baseline: outcome.rows_baseline,
        rows_current: outcome.rows_current,
        features: outcome.features,
        prediction: outcome.prediction,
        performance: Some(performance),
    }
}

#[test]
fn the_report_says_it_all_and_needs_nothing_but_itself() {
    let outcome = outcome(&population(1, 20_000, 0.0), &population(2, 12_345, 0.8));
    let page = report::html(&drift_report(outcome, "employed"));
    for words in [
        "<h1>Drift</h1>",
        "2 of 2 features changed materially: number (PSI",
        "12,345",
        "20,000 rows known at training",
        "employed, version 3",
        "AUC at training",
        "0.850",
        "1,234 predictions whose outcome is known; below the floor of 0.78",
        "1970-01-01 00:00 UTC",
        "changed strongly",
        "prefers-color-scheme: dark",
    ] {
        assert!(page.contains(words), "{words:?} is not in the report");
    }
    for outside in ["http:", "https:", "<script", "src=", "url(", "@import", "<link"] {
        assert!(!page.contains(outside), "{outside:?} is in the report");
    }
}

#[test]
fn names_from_outside_stay_text_wherever_they_stand() {
    let evil = "</title><script>alert('1')</script>\"&";
    let mut outcome = outcome(&population(1, 2_000, 0.0), &population(2, 2_000, 0.8));
    for feature in outcome.features.iter_mut().chain(&mut outcome.prediction) {
        feature.feature = evil.to_owned();
        feature.distribution.bins.iter_mut().for_each(|bin| *bin = evil.to_owned());
    }
    let mut report = drift_report(outcome, evil);
    report.performance.as_mut().unwrap().metric = evil.to_owned();
    let page = report::html(&report);
    assert!(!page.contains("<script") && !page.contains("alert('1')"), "markup came through");
    assert_eq!(page.matches("</title>").count(), page.matches("<title>").count());
    assert!(page.contains("&lt;script&gt;alert(&#39;1&#39;)"));
}
