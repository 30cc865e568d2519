//! Every type of header, of bytes that were never a header.

use sip::header::{
    Auth, CSeq, ContactValue, Event, Expires, Item, MediaType, MinExpires, MinSe, NameAddr, Parse,
    Privacy, RAck, RSeq, Reason, Replaces, RetryAfter, SessionExpires, SubscriptionState,
    TargetDialog, Timestamp, Value, Via, Warning,
};
use sip::{Headers, usage::sipfrag::Sipfrag};

/// Reads each line as each header and, where the type can be written, writes it and reads it again: what
/// was written once is written the same again.
///
/// # Panics
/// It is not, or a reader panics.
pub fn sip_headers(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n').take(64) {
        let value = line.trim_ascii();
        if value.contains(&b'\r') || value.contains(&0) {
            continue;
        }
        same::<CSeq>(value);
        same::<Expires>(value);
        same::<MinExpires>(value);
        same::<MinSe>(value);
        same::<RAck>(value);
        same::<RSeq>(value);
        same::<SessionExpires>(value);
        same_of(value, |value| {
            NameAddr::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            MediaType::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| Item::parse(value).ok().map(|of| print(&of)));
        same_of(value, |value| {
            Privacy::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            let reason = Reason::parse(value).ok();
            reason.filter(Reason::is_valid).map(|reason| print(&reason))
        });
        same_of(value, |value| {
            Replaces::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            TargetDialog::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            RetryAfter::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            Timestamp::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| {
            Warning::parse(value).ok().map(|of| print(&of))
        });
        same_of(value, |value| Via::parse(value).ok().map(|of| print(&of)));
        // What is only read must not panic, all its parts looked at.
        let _ = format!(
            "{:?} {:?} {:?} {:?}",
            Event::parse(value),
            SubscriptionState::parse(value),
            Auth::parse(value),
            ContactValue::parse(value),
        );
    }
    if let Some(fragment) = Sipfrag::parse(data) {
        let body = fragment.to_body();
        assert_eq!(Sipfrag::parse(&body), Some(fragment));
    }
}

fn same<T: for<'a> Parse<'a> + Value>(value: &[u8]) {
    same_of(value, |value| T::parse(value).ok().map(|of| print(&of)));
}

fn same_of(value: &[u8], reprint: impl Fn(&[u8]) -> Option<Vec<u8>>) {
    if let Some(once) = reprint(value) {
        let again = reprint(&once);
        assert_eq!(
            again.as_deref(),
            Some(&once[..]),
            "{} became {}",
            value.escape_ascii(),
            once.escape_ascii()
        );
    }
}

/// The value as it stands in a message.
fn print(value: &impl Value) -> Vec<u8> {
    let mut headers = Headers::new();
    headers.push("X", value);
    headers.get("X").unwrap_or_default().to_vec()
}
