//! Numbers beyond what a double or a word holds.

use tfplugin::{Attr, Diagnostics, Model, Number, Value};

use super::kept::{Change, Object};

/// Numbers of every width.
#[derive(Model, Debug, Clone)]
pub struct Numbers {
    /// Its name.
    #[attr(required, replace)]
    name: Attr<String>,
    /// Any digits.
    #[attr(optional)]
    exact: Attr<Number>,
    /// Any digits, several times.
    #[attr(optional)]
    series: Attr<Vec<Number>>,
    /// What the provider holds as a double.
    #[attr(optional)]
    double: Attr<f64>,
    /// What the server holds as a float of 32 bits.
    #[attr(optional, same = same_single)]
    single: Attr<f64>,
    /// 64 bits with a sign.
    #[attr(optional)]
    whole: Attr<i64>,
    /// 64 bits without a sign.
    #[attr(optional)]
    unsigned: Attr<u64>,
    /// 32 bits with a sign.
    #[attr(optional)]
    small: Attr<i32>,
    /// `exact` as the provider got it.
    #[attr(computed, depends_on = ["exact"])]
    copy: Attr<Number>,
}

fn single(number: f64) -> f64 {
    // The rounding is what a server with 32 bits does.
    #[allow(clippy::cast_possible_truncation)]
    let rounded = number as f32;
    rounded.into()
}

fn same_single(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => single(a.as_f64()) == single(b.as_f64()),
        _ => false,
    }
}

impl Object for Numbers {
    const TYPE: &'static str = "corner_numbers";

    fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }

    fn complete(&mut self, _change: &Change<'_, Self>) -> Result<(), Diagnostics> {
        if self.copy.is_unknown() {
            self.copy = self.exact.clone();
        }
        Ok(())
    }

    fn normalised(self) -> Self {
        Self { single: self.single.map(single), ..self }
    }
}
