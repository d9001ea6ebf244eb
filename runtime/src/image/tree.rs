//! Files of a layer before it is packed.

use std::collections::BTreeMap;

/// What stands at each path. Paths are without the leading `/` and sorted, so equal
/// trees pack to equal bytes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub node: Node,
    pub mode: u32,
    /// User and group.
    pub owner: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    Directory,
    File(Vec<u8>),
    /// A symbolic link and what it says.
    Link(String),
}

impl Tree {
    /// Puts something at a path, with its directories above it.
    pub fn put(&mut self, path: &str, mode: u32, node: Node) {
        self.put_owned(path, mode, 0, node);
    }

    pub fn put_owned(&mut self, path: &str, mode: u32, owner: u32, node: Node) {
        for (at, _) in path.match_indices('/') {
            if let Some(parent) = path.get(..at) {
                let directory = Entry { node: Node::Directory, mode: 0o755, owner: 0 };
                self.entries.entry(parent.to_owned()).or_insert(directory);
            }
        }
        self.entries.insert(path.to_owned(), Entry { node, mode, owner });
    }

    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.put(path, 0o644, Node::File(bytes.into()));
    }

    #[must_use]
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub fn remove(&mut self, path: &str) -> Option<Entry> {
        self.entries.remove(path)
    }

    /// Every entry by its path, parents before what is in them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }
}
