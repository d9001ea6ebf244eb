//! An attribute as the provider's code sees it: known, null or unknown.

use crate::Refinement;

/// The value of an attribute in one of its three states.
///
/// ```
/// use tfplugin::Attr;
/// let name: Attr<String> = "people".to_owned().into();
/// assert_eq!(name.as_deref(), Some("people"));
/// assert!(Attr::<String>::unknown().known().is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Attr<T> {
    /// A value.
    Known(T),
    /// No value.
    #[default]
    Null,
    /// A value that will only be known after apply, and what is known of it.
    Unknown(Refinement),
}

impl<T> Attr<T> {
    /// An unknown value of which nothing is known.
    pub fn unknown() -> Self {
        Self::Unknown(Refinement::none())
    }

    /// The value, if known and not null.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown(_) => None,
        }
    }

    /// The value, if known and not null.
    pub fn known_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown(_) => None,
        }
    }

    /// The value itself, if known and not null.
    pub fn into_known(self) -> Option<T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Null | Self::Unknown(_) => None,
        }
    }

    /// A reference to the inside.
    pub fn as_ref(&self) -> Attr<&T> {
        match self {
            Self::Known(value) => Attr::Known(value),
            Self::Null => Attr::Null,
            Self::Unknown(refinement) => Attr::Unknown(refinement.clone()),
        }
    }

    /// The same with a known value changed.
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Attr<U> {
        match self {
            Self::Known(value) => Attr::Known(map(value)),
            Self::Null => Attr::Null,
            Self::Unknown(refinement) => Attr::Unknown(refinement),
        }
    }

    /// Whether it is known and not null.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known(_))
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether it is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown(_))
    }

    /// What is known of an unknown value.
    pub fn refinement(&self) -> Option<&Refinement> {
        match self {
            Self::Unknown(refinement) => Some(refinement),
            Self::Known(_) | Self::Null => None,
        }
    }
}

impl<T: std::ops::Deref> Attr<T> {
    /// The target of the value, if known and not null.
    pub fn as_deref(&self) -> Option<&T::Target> {
        self.known().map(T::deref)
    }
}

impl Attr<String> {
    /// What the text is known to begin with: all of it if known, the refined
    /// prefix if unknown.
    pub fn known_prefix(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Unknown(refinement) => refinement.prefix(),
            Self::Null => None,
        }
    }
}

impl<T: Default> Attr<T> {
    /// The value, or the type's default where there is none.
    pub fn or_default(self) -> T {
        self.into_known().unwrap_or_default()
    }
}

impl<T> From<T> for Attr<T> {
    fn from(value: T) -> Self {
        Self::Known(value)
    }
}

impl From<&str> for Attr<String> {
    fn from(text: &str) -> Self {
        Self::Known(text.to_owned())
    }
}

impl<T> From<Option<T>> for Attr<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Self::Known)
    }
}
