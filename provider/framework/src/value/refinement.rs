//! What is already known of an unknown value.

use super::Number;

/// What is known of a value that will only be known after apply.
///
/// A provider that plans a refined unknown promises that the applied value
/// keeps to it.
///
/// ```
/// use tfplugin::Refinement;
/// let id = Refinement::not_null().with_prefix("onprem:ae-du:dubai-1/retail/");
/// assert_eq!(id.prefix(), Some("onprem:ae-du:dubai-1/retail/"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Refinement(Option<Box<Bounds>>);

/// The single facts; absent where nothing is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bounds {
    /// `Some(false)`: certainly not null.
    pub null: Option<bool>,
    pub prefix: Option<String>,
    /// The bound and whether it is itself allowed.
    pub min: Option<(Number, bool)>,
    pub max: Option<(Number, bool)>,
    pub min_length: Option<u64>,
    pub max_length: Option<u64>,
}

impl Refinement {
    /// Nothing is known.
    pub fn none() -> Self {
        Self::default()
    }

    /// It will not be null.
    pub fn not_null() -> Self {
        Self::default().edit(|bounds| bounds.null = Some(false))
    }

    /// And it is a string that begins with `prefix`.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        self.edit(|bounds| bounds.prefix = Some(prefix.into()))
    }

    /// And it is a number from `min` on (`min` itself if `inclusive`).
    #[must_use]
    pub fn with_min(self, min: impl Into<Number>, inclusive: bool) -> Self {
        self.edit(|bounds| bounds.min = Some((min.into(), inclusive)))
    }

    /// And it is a number up to `max` (`max` itself if `inclusive`).
    #[must_use]
    pub fn with_max(self, max: impl Into<Number>, inclusive: bool) -> Self {
        self.edit(|bounds| bounds.max = Some((max.into(), inclusive)))
    }

    /// And it is a collection of `min` to `max` elements.
    #[must_use]
    pub fn with_length(self, min: Option<u64>, max: Option<u64>) -> Self {
        self.edit(|bounds| (bounds.min_length, bounds.max_length) = (min, max))
    }

    /// Whether it is certainly not null.
    pub fn is_not_null(&self) -> bool {
        self.bounds().is_some_and(|bounds| bounds.null == Some(false))
    }

    /// What the string begins with, as far as known.
    pub fn prefix(&self) -> Option<&str> {
        self.bounds()?.prefix.as_deref()
    }

    /// The lower bound of a number, and whether it is allowed itself.
    pub fn min(&self) -> Option<&(Number, bool)> {
        self.bounds()?.min.as_ref()
    }

    /// The upper bound of a number, and whether it is allowed itself.
    pub fn max(&self) -> Option<&(Number, bool)> {
        self.bounds()?.max.as_ref()
    }

    /// The least number of elements.
    pub fn min_length(&self) -> Option<u64> {
        self.bounds()?.min_length
    }

    /// The greatest number of elements.
    pub fn max_length(&self) -> Option<u64> {
        self.bounds()?.max_length
    }

    pub(crate) fn bounds(&self) -> Option<&Bounds> {
        self.0.as_deref()
    }

    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut Bounds)) -> Self {
        edit(self.0.get_or_insert_default());
        if self.0.as_deref() == Some(&Bounds::default()) {
            self.0 = None;
        }
        self
    }
}
