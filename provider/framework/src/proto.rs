//! The wire formats, generated; see `tests/generated_code.rs`.

/// `tfplugin6`: the provider protocol.
#[allow(clippy::all, missing_docs)] // Generated.
pub mod tfplugin6 {
    include!("proto/tfplugin6.rs");
}

/// `plugin`: what go-plugin serves beside it.
#[allow(clippy::all, missing_docs)] // Generated.
pub mod plugin {
    include!("proto/plugin.rs");
}

/// `grpc.health.v1`.
#[allow(clippy::all, missing_docs)] // Generated.
pub mod health {
    include!("proto/grpc.health.v1.rs");
}
