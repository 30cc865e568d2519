//! Writing messages.

use super::{Request, Response};
use crate::header::Value;
use bytes::Bytes;

impl Request {
    /// Prints the request in one allocation, with the Content-Length of its body.
    pub fn to_bytes(&self) -> Bytes {
        let line = self.method.as_str().len() + self.uri.as_str().len() + "  SIP/2.0\r\n\r\n".len();
        let mut out =
            Vec::with_capacity(line + self.headers.printed_len(self.body.len()) + self.body.len());
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        self.headers.write_to(&mut out, self.body.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out.into()
    }
}

impl Response {
    /// Prints the response in one allocation, with the Content-Length of its body.
    pub fn to_bytes(&self) -> Bytes {
        let line = self.reason.len() + "SIP/2.0 xxx \r\n\r\n".len();
        let mut out =
            Vec::with_capacity(line + self.headers.printed_len(self.body.len()) + self.body.len());
        out.extend_from_slice(b"SIP/2.0 ");
        u32::from(self.status.code()).write_to(&mut out);
        out.push(b' ');
        let phrase = out.len();
        out.extend_from_slice(self.reason.as_bytes());
        for byte in &mut out[phrase..] {
            if matches!(*byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        out.extend_from_slice(b"\r\n");
        self.headers.write_to(&mut out, self.body.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out.into()
    }
}
