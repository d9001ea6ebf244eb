//! Element types of the protocol.

/// Type of a tensor's elements on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    /// Text; on the binary wire a little-endian `u32` length, then the bytes.
    Bytes,
}

/// Every datatype with its name and the bytes of one element.
const ALL: [(Datatype, &str, usize); 14] = [
    (Datatype::Bool, "BOOL", 1),
    (Datatype::Uint8, "UINT8", 1),
    (Datatype::Uint16, "UINT16", 2),
    (Datatype::Uint32, "UINT32", 4),
    (Datatype::Uint64, "UINT64", 8),
    (Datatype::Int8, "INT8", 1),
    (Datatype::Int16, "INT16", 2),
    (Datatype::Int32, "INT32", 4),
    (Datatype::Int64, "INT64", 8),
    (Datatype::Fp16, "FP16", 2),
    (Datatype::Bf16, "BF16", 2),
    (Datatype::Fp32, "FP32", 4),
    (Datatype::Fp64, "FP64", 8),
    (Datatype::Bytes, "BYTES", 0),
];

impl Datatype {
    /// The datatype of this name, such as `FP64`.
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, n, _)| *n == name).map(|(datatype, _, _)| *datatype)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// Bytes of one element on the binary wire; `None` if they vary.
    pub fn size(self) -> Option<usize> {
        Some(self.entry().2).filter(|size| *size > 0)
    }

    /// All names, for messages.
    pub fn names() -> String {
        ALL.map(|(_, name, _)| name).join(", ")
    }

    fn entry(self) -> (Self, &'static str, usize) {
        ALL.into_iter().find(|(datatype, _, _)| *datatype == self).unwrap_or((self, "BYTES", 0))
    }
}
