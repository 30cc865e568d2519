//! As much of STUN as it takes to say what a captured datagram is (RFC 8489, 5 and 14).

/// The type of a message, if it is one.
pub(super) fn kind(payload: &[u8]) -> Option<u16> {
    let is_stun = payload.get(4..8) == Some(&COOKIE);
    let kind = payload.first_chunk().filter(|_| is_stun)?;
    Some(u16::from_be_bytes(*kind))
}

/// The value of the first attribute of this type in a message.
pub(super) fn attribute(payload: &[u8], wanted: u16) -> Option<&[u8]> {
    kind(payload)?;
    let mut rest = payload.get(20..)?;
    while let [a, b, c, d, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        if u16::from_be_bytes([*a, *b]) == wanted {
            return after.get(..length);
        }
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// The code of an error response.
pub(super) fn error(payload: &[u8]) -> Option<u16> {
    // RFC 8489, 5: both bits of the class.
    let is_error = kind(payload)? & 0x0110 == 0x0110;
    let value = attribute(payload, ERROR_CODE).filter(|_| is_error)?;
    Some(u16::from(*value.get(2)?) * 100 + u16::from(*value.get(3)?))
}

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const ERROR_CODE: u16 = 0x0009;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_behind_padding() {
        let head = [0x01, 0x18, 0, 20, 0x21, 0x12, 0xa4, 0x42];
        let body = [0, 6, 0, 1, b'a', 0, 0, 0, 0, 9, 0, 4, 0, 0, 4, 38];
        let message = [&head[..], &[7; 12], &body].concat();
        assert_eq!(kind(&message), Some(0x0118));
        assert_eq!(attribute(&message, 6), Some(&b"a"[..]));
        assert_eq!(error(&message), Some(438));
        assert_eq!(attribute(&message, 8), None);
        assert_eq!(error(&message[..30]), None);
        assert_eq!(kind(&[0x80; 40]), None);
    }
}
