//! The fields of an event, by name.

use serde::Serialize;
use serde_json::{Map, Value};
use sip::Description;

/// The fields of a variant, without its name.
pub(super) fn fields(event: &impl Serialize) -> Value {
    match serde_json::to_value(event) {
        Ok(Value::Object(variant)) => variant.into_iter().next().map(|(_, fields)| fields),
        _ => None,
    }
    .unwrap_or_else(|| Value::Object(Map::new()))
}

/// Puts a content as the documents have it in the place of `content`: they cut the media type in two;
/// the first of the fields has it whole (BUG-05).
pub(super) fn with_content(data: &mut Map<String, Value>, content: Option<&Description>) {
    data.remove("content");
    let content_type = content.map_or("", |content| content.content_type.as_str());
    let bare = content_type.split(';').next().unwrap_or_default();
    let subtype = bare.split_once('/').map_or("", |(_, subtype)| subtype);
    let body = content.map_or(&[][..], |content| &content.body);
    let body = String::from_utf8_lossy(body);
    data.insert("content_type".to_owned(), content_type.into());
    data.insert("content_subtype".to_owned(), subtype.trim().into());
    data.insert("body".to_owned(), body.into());
}
