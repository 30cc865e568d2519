//! What a failure inside a dialog ends: the table of RFC 5057, 5.1.

use crate::{Method, Status};

/// How far a failure reaches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Impact {
    /// The request has failed, and nothing else.
    Transaction,
    /// The call or subscription that the request belongs to is over; others of the dialog are not.
    Usage,
    /// The dialog is over, with all that shares it.
    Dialog,
}

/// Says what the failure of a request inside a dialog ends (RFC 5057, 5.1); 408 stands for a timeout,
/// too.
///
/// 408 ends the usage, as RFC 3261, 12.2.1.2 and RFC 6665, 4.2.2 say for what does not answer, and RFC
/// 5057, 5.2 leaves the others of the dialog alone. What belongs to no usage (OPTIONS, MESSAGE, a REFER
/// whose subscription is not there yet) ends none by being refused; INFO and PRACK belong to the call
/// (5.3), but it can do without them (note 3); and 489 is about SUBSCRIBE and NOTIFY only (note 12).
pub const fn impact(method: &Method, status: Status) -> Impact {
    match status.code() {
        404 | 410 | 416 | 482 | 483 | 484 | 485 | 502 | 604 => Impact::Dialog,
        // Notes 4 and 7, and RFC 3261, 12.2.1.2: the peer is not there any more.
        408 | 480
            if matches!(
                method,
                Method::Invite
                    | Method::Update
                    | Method::Prack
                    | Method::Info
                    | Method::Bye
                    | Method::Subscribe
                    | Method::Notify
            ) =>
        {
            Impact::Usage
        }
        // RFC 5057, 5.1, note 3: only a method that is integral to the usage.
        405 | 501
            if matches!(
                method,
                Method::Invite | Method::Update | Method::Bye | Method::Subscribe | Method::Notify
            ) =>
        {
            Impact::Usage
        }
        489 if matches!(method, Method::Subscribe | Method::Notify) => Impact::Usage,
        // RFC 3261, 12.2.1.2: the peer has lost it, whatever was asked. RFC 3262, 3 has 481 for a PRACK of
        // nothing, too, which ours never is.
        481 if !matches!(method, Method::Cancel) => Impact::Usage,
        _ => Impact::Transaction,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5057, 5.1, table 1, every code by hand; 408 as its section 5.2 and RFC 3261, 12.2.1.2 have it.
    #[test]
    fn the_table_of_rfc_5057() {
        let dialog = [404, 410, 416, 482, 483, 484, 485, 502, 604];
        let usage = [405, 408, 480, 481, 489, 501];
        for code in 300..700 {
            let expected = match code {
                _ if dialog.contains(&code) => Impact::Dialog,
                _ if usage.contains(&code) => Impact::Usage,
                _ => Impact::Transaction,
            };
            let status = Status::new(code).unwrap();
            for method in [Method::Subscribe, Method::Notify] {
                assert_eq!(impact(&method, status), expected, "{method} {code}");
            }
            // Note 12.
            let expected = match code {
                489 => Impact::Transaction,
                _ => expected,
            };
            for method in [Method::Invite, Method::Update, Method::Bye] {
                assert_eq!(impact(&method, status), expected, "{method} {code}");
            }
            // Note 3.
            let of_call = match code {
                405 | 501 => Impact::Transaction,
                _ => expected,
            };
            for method in [Method::Info, Method::Prack] {
                assert_eq!(impact(&method, status), of_call, "{method} {code}");
            }
            // What belongs to no usage.
            let expected = match (code, expected) {
                (481, _) => Impact::Usage,
                (_, Impact::Usage) => Impact::Transaction,
                _ => expected,
            };
            for method in [Method::Options, Method::Refer, Method::Message] {
                assert_eq!(impact(&method, status), expected, "{method} {code}");
            }
        }
        // Note 8: no transaction of that INVITE is no statement about the dialog.
        let gone = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        assert_eq!(impact(&Method::Cancel, gone), Impact::Transaction);
    }
}
