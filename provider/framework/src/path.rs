//! Where in an object a value sits, in the form a diagnostic carries.

use std::borrow::Cow;
use std::fmt;

/// One step from an object or collection into a part of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object.
    Attribute(Cow<'static, str>),
    /// An element of a map.
    Key(String),
    /// An element of a list, counted from zero.
    Index(i64),
}

/// The way from the root of a configuration to one of its values.
///
/// Elements of a set have no address in the protocol, so a path into a set
/// ends at the set itself.
///
/// ```
/// use tfplugin::AttributePath;
/// let path = AttributePath::root("variants").key("champion").attribute("weight");
/// assert_eq!(path.to_string(), r#"variants["champion"].weight"#);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributePath(Vec<Step>);

impl AttributePath {
    /// The path of the whole object.
    pub fn new() -> Self {
        Self::default()
    }

    /// The path of an attribute of the whole object.
    pub fn root(name: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Step::Attribute(name.into())])
    }

    /// This path, one attribute further.
    #[must_use]
    pub fn attribute(&self, name: impl Into<Cow<'static, str>>) -> Self {
        self.step(Step::Attribute(name.into()))
    }

    /// This path, one map element further.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// This path, one list element further.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(i64::try_from(index).unwrap_or(i64::MAX)))
    }

    /// This path, one step further.
    #[must_use]
    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the path of the whole object.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A path on the way down into an object: it borrows, so that looking at what
/// is right costs nothing for where it is.
pub(crate) enum Trail<'t> {
    /// The whole object.
    Root,
    Attribute(&'t Trail<'t>, &'static str),
    Key(&'t Trail<'t>, &'t str),
    Index(&'t Trail<'t>, usize),
}

impl<'t> Trail<'t> {
    pub fn attribute(&'t self, name: &'static str) -> Self {
        Self::Attribute(self, name)
    }

    pub fn key(&'t self, key: &'t str) -> Self {
        Self::Key(self, key)
    }

    pub fn index(&'t self, index: usize) -> Self {
        Self::Index(self, index)
    }

    pub fn to_path(&self) -> AttributePath {
        match self {
            Self::Root => AttributePath::new(),
            Self::Attribute(before, name) => before.to_path().attribute(*name),
            Self::Key(before, key) => before.to_path().key(*key),
            Self::Index(before, index) => before.to_path().index(*index),
        }
    }
}

impl From<&'static str> for AttributePath {
    fn from(name: &'static str) -> Self {
        Self::root(name)
    }
}

impl FromIterator<Step> for AttributePath {
    fn from_iter<I: IntoIterator<Item = Step>>(steps: I) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl fmt::Display for AttributePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
