use crate::crypto::sha256;

type Hash = [u8; 32];

/// A Merkle tree (RFC 9162, section 2.1) that only grows, as the roots of its full subtrees from
/// the largest to the smallest: one for each bit that is set in its size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

impl Frontier {
    /// Leaves so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds a leaf.
    pub fn push(&mut self, leaf: &[u8]) {
        let mut hash = sha256(&[&[0], leaf]);
        // Each trailing one bit of the size is a full subtree as large as the one just made.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.roots.pop() {
                hash = node(&left, &hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root; of an empty tree, the hash of nothing.
    pub fn root(&self) -> Hash {
        let mut roots = self.roots.iter().rev();
        match roots.next() {
            None => sha256(&[]),
            Some(smallest) => roots.fold(*smallest, |right, left| node(left, &right)),
        }
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        self.roots.concat()
    }

    pub(super) fn from_parts(size: u64, bytes: &[u8]) -> Option<Self> {
        let (roots, rest) = bytes.as_chunks::<32>();
        let sound = rest.is_empty() && roots.len() == size.count_ones() as usize;
        sound.then(|| Self { size, roots: roots.to_vec() })
    }
}

fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition in RFC 9162, section 2.1.1, word for word.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => sha256(&[]),
            [leaf] => sha256(&[&[0], leaf]),
            _ => {
                let k = leaves.len().next_power_of_two() / 2;
                node(&by_definition(&leaves[..k]), &by_definition(&leaves[k..]))
            }
        }
    }

    #[test]
    fn every_size_to_a_hundred_has_the_root_the_rfc_defines() {
        let leaves: Vec<Vec<u8>> = (0..100u8).map(|i| vec![i; usize::from(i % 5)]).collect();
        let mut frontier = Frontier::default();
        for size in 0..=leaves.len() {
            assert_eq!(frontier.root(), by_definition(&leaves[..size]), "size {size}");
            let back = Frontier::from_parts(size as u64, &frontier.to_bytes()).unwrap();
            assert_eq!(back, frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.push(leaf);
            }
        }
    }

    #[test]
    fn the_well_known_test_tree_of_certificate_transparency_has_its_root() {
        let leaves: [&[u8]; 8] = [
            b"",
            b"\x00",
            b"\x10",
            b"\x20\x21",
            b"\x30\x31",
            b"\x40\x41\x42\x43",
            b"\x50\x51\x52\x53\x54\x55\x56\x57",
            b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
        ];
        let mut frontier = Frontier::default();
        leaves.iter().for_each(|leaf| frontier.push(leaf));
        assert_eq!(hex::encode(frontier.root()), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }
}
