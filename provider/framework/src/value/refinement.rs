//! What is already known of an unknown value.

use super::{Number, Type};

/// Bytes of a prefix beyond which it is cut: the hosts refuse a refinement of
/// more than 1024 in all.
const MAX_PREFIX: usize = 256;

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

    /// And it is a string that begins with `prefix`. Of a long one no more than
    /// 256 bytes are promised.
    #[must_use]
    pub fn with_prefix(self, prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        prefix.truncate(prefix.floor_char_boundary(MAX_PREFIX));
        self.edit(|bounds| bounds.prefix = Some(prefix))
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

    /// Why nothing of the sort can be known of a value of the type.
    pub(crate) fn misfit(&self, kind: &Type) -> Option<&'static str> {
        let bounds = self.bounds()?;
        let (text, number) = (bounds.prefix.is_some(), bounds.min.is_some() || bounds.max.is_some());
        let length = bounds.min_length.is_some() || bounds.max_length.is_some();
        match kind {
            Type::Dynamic => Some("nothing can be known of a value whose type is not"),
            Type::String => (number || length).then_some("of a string only a prefix can be known"),
            Type::Number => (text || length).then_some("of a number only bounds can be known"),
            Type::List(_) | Type::Set(_) | Type::Map(_) => {
                (text || number).then_some("of a collection only the number of elements can be known")
            }
            Type::Bool | Type::Object(_) | Type::Tuple(_) => {
                (text || number || length).then_some("of this type of value only that it is not null can be known")
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prefix_is_cut_between_two_characters() {
        let prefix = Refinement::none().with_prefix("x".repeat(255) + "ä");
        assert_eq!(prefix.prefix().map(str::len), Some(255));
    }

    #[test]
    fn what_can_be_known_depends_on_the_type() {
        let list = Type::List(Box::new(Type::Bool));
        let cases = [
            (Refinement::not_null().with_prefix("a"), Type::String),
            (Refinement::none().with_min(1, true).with_max(2, false), Type::Number),
            (Refinement::not_null().with_length(Some(1), None), list),
        ];
        for (position, (refinement, _)) in cases.iter().enumerate() {
            for (other, (_, kind)) in cases.iter().enumerate() {
                assert_eq!(refinement.misfit(kind).is_none(), position == other, "{refinement:?} {kind:?}");
            }
            assert!(refinement.misfit(&Type::Bool).is_some());
        }
        assert_eq!(Refinement::not_null().misfit(&Type::Object(Vec::new())), None);
        assert!(Refinement::not_null().misfit(&Type::Dynamic).is_some());
    }
}
