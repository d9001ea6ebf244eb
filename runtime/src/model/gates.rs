//! Gates: what a version must reach before it is promoted by itself.

use std::collections::BTreeMap;

use falaj_api::{
    Problem,
    model::{Algorithm, GateResult, Gates, Parity, Training},
};

const CLASSIFICATION: [&str; 4] = ["auc", "log_loss", "accuracy", "calibration_error"];
const REGRESSION: [&str; 3] = ["rmse", "mae", "r2"];

/// Checks that every gate names something that the training measures.
///
/// # Errors
/// A gate that could never be decided.
pub fn check(gates: &Gates, training: &Training) -> Result<(), Problem> {
    let measured: Vec<&str> = match training.algorithm {
        Algorithm::Linear(_) => REGRESSION.to_vec(),
        Algorithm::Logistic(_) => CLASSIFICATION.to_vec(),
        Algorithm::Mlp(_) => CLASSIFICATION.iter().chain(&REGRESSION).copied().collect(),
    };
    for (metric, bound) in &gates.metrics {
        let pointer = format!("/spec/gates/{metric}");
        if !measured.contains(&metric.as_str()) {
            let detail = format!("{} measures {}, not {metric:?}", training.algorithm.name(), measured.join(", "));
            return Err(Problem::invalid(&pointer, detail));
        }
        if bound.min.is_none() && bound.max.is_none() {
            return Err(Problem::invalid(&pointer, "a gate needs min or max"));
        }
    }
    for name in gates.demographic_parity.keys() {
        if !training.protected.contains(name) {
            return Err(Problem::invalid(
                &format!("/spec/gates/demographic_parity/{name}"),
                format!("{name:?} is not measured for fairness: add it to training.protected"),
            ));
        }
    }
    Ok(())
}

/// Decides every gate on the held-out figures.
#[must_use]
pub fn decide(gates: &Gates, metrics: &BTreeMap<String, f64>, fairness: &BTreeMap<String, Parity>) -> Vec<GateResult> {
    let metrics = gates.metrics.iter().map(|(metric, bound)| {
        let value = metrics.get(metric).copied();
        let (passed, reason) = match value {
            None => (false, format!("{metric} was not measured")),
            Some(value) => match (bound.min, bound.max) {
                (Some(min), _) if value < min => (false, format!("{metric} is {value:.4}, under {min}")),
                (_, Some(max)) if value > max => (false, format!("{metric} is {value:.4}, over {max}")),
                _ => (true, format!("{metric} is {value:.4}")),
            },
        };
        GateResult { gate: metric.clone(), value, passed, reason }
    });
    let parity = gates.demographic_parity.iter().map(|(feature, gate)| {
        let value = fairness.get(feature).map(|parity| parity.gap);
        let (passed, reason) = match value {
            None => (false, format!("the groups of {feature} were not measured")),
            Some(gap) if gap > gate.max_gap => {
                (false, format!("selection rates by {feature} differ by {gap:.4}, over {}", gate.max_gap))
            }
            Some(gap) => (true, format!("selection rates by {feature} differ by {gap:.4}")),
        };
        GateResult { gate: format!("demographic_parity.{feature}"), value, passed, reason }
    });
    metrics.chain(parity).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use falaj_api::model::{Bound, Gates, Parity, ParityGate};

    use super::decide;

    #[test]
    fn every_gate_is_decided_and_what_was_not_measured_does_not_pass() {
        let gates = Gates {
            metrics: [
                ("auc".to_owned(), Bound { min: Some(0.8), max: None }),
                ("log_loss".to_owned(), Bound { min: None, max: Some(0.5) }),
                ("rmse".to_owned(), Bound { min: None, max: Some(1.0) }),
            ]
            .into(),
            demographic_parity: [("sex".to_owned(), ParityGate { max_gap: 0.1 })].into(),
        };
        let metrics: BTreeMap<String, f64> = [("auc".to_owned(), 0.85), ("log_loss".to_owned(), 0.6)].into();
        let fairness = [("sex".to_owned(), Parity { gap: 0.05, selection_rates: BTreeMap::new() })].into();
        let passed: BTreeMap<String, bool> =
            decide(&gates, &metrics, &fairness).into_iter().map(|gate| (gate.gate, gate.passed)).collect();
        let expected = [("auc", true), ("log_loss", false), ("rmse", false), ("demographic_parity.sex", true)];
        assert_eq!(passed, expected.map(|(gate, passed)| (gate.to_owned(), passed)).into());
    }
}
