//! Taking over what code changed in a typed model, and nothing else.

use crate::Value;

/// `full` with the differences between `before` and `after` applied.
///
/// A typed model may hold less than the value it was read from (a list with
/// one unknown element reads as unknown). Where the model did not change, the
/// full value stays as it was.
pub fn changes(full: Value, before: &Value, after: Value) -> Value {
    if *before == after {
        return full;
    }
    match (full, before, after) {
        (Value::Map(mut full), Value::Map(before), Value::Map(after)) => Value::Map(
            after
                .into_iter()
                .map(|(key, after)| match (full.remove(&key), before.get(&key)) {
                    (Some(full), Some(before)) => {
                        let merged = changes(full, before, after);
                        (key, merged)
                    }
                    _ => (key, after),
                })
                .collect(),
        ),
        (Value::List(full), Value::List(before), Value::List(after))
            if full.len() == after.len() && before.len() == after.len() =>
        {
            let both = full.into_iter().zip(before.iter().zip(after));
            Value::List(both.map(|(full, (before, after))| changes(full, before, after)).collect())
        }
        (_, _, after) => after,
    }
}
