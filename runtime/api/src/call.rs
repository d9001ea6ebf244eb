//! One type per control-plane request.
//!
//! A [`Call`] is a struct whose fields are the whole request. Those named in
//! [`Call::PATH`] travel in the path, the others as a JSON body (or, for `GET`
//! and `DELETE`, as the query). The client and the router are generic over it,
//! so that the two ends cannot drift apart.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Put,
    Post,
    Delete,
}

impl Method {
    /// Whether the fields outside of the path are a JSON body rather than the
    /// query.
    #[must_use]
    pub fn has_body(self) -> bool {
        matches!(self, Self::Put | Self::Post)
    }
}

/// A control-plane request.
pub trait Call: Serialize + DeserializeOwned + Send + Sync + 'static {
    const METHOD: Method;
    /// With `{field}` for each field that travels in the path.
    const PATH: &'static str;
    type Response: Serialize + DeserializeOwned + Send + 'static;
}

/// A call laid out as HTTP.
#[derive(Debug, PartialEq)]
pub struct Parts {
    pub path: String,
    pub rest: Map<String, Value>,
}

/// Lays a call out as a path and the rest of its fields.
///
/// # Errors
/// A field of the path is missing or not a plain value.
pub fn split<C: Call>(call: &C) -> Result<Parts, String> {
    let Ok(Value::Object(mut rest)) = serde_json::to_value(call) else {
        return Err(format!("{} is not an object", C::PATH));
    };
    let mut path = String::new();
    for segment in C::PATH.split('/').skip(1) {
        path.push('/');
        match segment.strip_prefix('{').and_then(|s| s.strip_suffix('}')) {
            None => path.push_str(segment),
            Some(field) => match rest.remove(field) {
                Some(Value::String(text)) => path.push_str(&percent_encode(&text)),
                Some(Value::Number(number)) => path.push_str(&number.to_string()),
                _ => return Err(format!("{field} is missing from a call to {}", C::PATH)),
            },
        }
    }
    Ok(Parts { path, rest })
}

/// Encodes everything but RFC 3986's unreserved characters.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}

/// An answer without content.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Done {}

/// Declares a [`Call`]: the request's struct and its path, together.
macro_rules! call {
    ($(#[$meta:meta])* $method:ident $path:literal $name:ident { $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)? } -> $response:ty) => {
        $(#[$meta])*
        #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type),* }

        impl $crate::Call for $name {
            const METHOD: $crate::Method = $crate::Method::$method;
            const PATH: &'static str = $path;
            type Response = $response;
        }
    };
}
pub(crate) use call;

#[cfg(test)]
mod tests {
    use super::{Done, split};

    call! { Put "/v1/a/{name}/b/{version}" Example { name: String, version: u32, note: String } -> Done }

    #[test]
    fn fields_named_in_the_path_travel_there_encoded_and_the_rest_does_not_repeat_them() {
        let parts = split(&Example { name: "../x y".into(), version: 3, note: "n".into() }).unwrap();
        assert_eq!(parts.path, "/v1/a/..%2Fx%20y/b/3");
        assert_eq!(serde_json::to_value(parts.rest).unwrap(), serde_json::json!({ "note": "n" }));
    }
}
