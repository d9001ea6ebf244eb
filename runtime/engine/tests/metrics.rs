//! Measures against scikit-learn.

use falaj_engine::metrics::classification::{self, Classification};
use falaj_engine::metrics::fairness::demographic_parity;
use falaj_engine::metrics::regression::Regression;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    classification: Vec<Classified>,
    regression: Regressed,
}

#[derive(Deserialize)]
struct Classified {
    name: String,
    labels: Vec<u8>,
    scores: Vec<f64>,
    auc: f64,
    log_loss: f64,
    accuracy: f64,
    calibration_error: f64,
}

#[derive(Deserialize)]
struct Regressed {
    labels: Vec<f64>,
    predictions: Vec<f64>,
    rmse: f64,
    mae: f64,
    r2: f64,
}

fn close(what: &str, ours: f64, theirs: f64) {
    assert!((ours - theirs).abs() < 1e-12, "{what}: {ours} is not {theirs}");
}

#[test]
fn measures_agree_with_scikit_learn_with_and_without_ties() {
    let cases: Cases = serde_json::from_str(include_str!("data/metrics.json")).unwrap();
    for case in &cases.classification {
        let labels: Vec<bool> = case.labels.iter().map(|l| *l == 1).collect();
        let ours = Classification::measure(&labels, &case.scores).unwrap();
        close(&format!("{} auc", case.name), ours.auc.unwrap(), case.auc);
        close(&format!("{} log_loss", case.name), ours.log_loss, case.log_loss);
        close(&format!("{} accuracy", case.name), ours.accuracy, case.accuracy);
        close(&format!("{} calibration_error", case.name), ours.calibration_error, case.calibration_error);
    }
    let case = cases.regression;
    let ours = Regression::measure(&case.labels, &case.predictions).unwrap();
    close("rmse", ours.rmse, case.rmse);
    close("mae", ours.mae, case.mae);
    close("r2", ours.r2.unwrap(), case.r2);
}

#[test]
fn auc_is_absent_where_only_one_class_occurs() {
    assert_eq!(classification::auc(&[true, true], &[0.2, 0.4]), None);
}

#[test]
fn a_score_outside_0_to_1_is_no_probability() {
    let error = Classification::measure(&[true, false], &[0.5, 1.5]).unwrap_err().to_string();
    assert!(error.contains("1.5"), "{error}");
}

#[test]
fn the_parity_gap_leaves_out_groups_too_small_to_judge() {
    let groups = |value, count| std::iter::repeat_n(Some(value), count);
    let names = groups("a", 100).chain(groups("b", 100)).chain(groups("tiny", 5));
    let chosen = (0..205).map(|i| (i < 50) || (100..130).contains(&i));
    let parity = demographic_parity(names, chosen);
    close("gap", parity.gap, 0.2);
    close("tiny", parity.selection_rates["tiny"], 0.0);
}
