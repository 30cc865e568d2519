//! The fields of an event, by name.

use serde::Serialize;
use serde_json::{Map, Value};

/// The fields of a variant, without its name.
pub(super) fn fields(event: &impl Serialize) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(variant)) => variant.into_iter().next().map(|(_, fields)| fields),
        _ => None,
    }
    .unwrap_or_else(|| Value::Object(Map::new()))
}
