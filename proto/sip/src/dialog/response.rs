//! Dialogs out of responses: RFC 3261, 12.1.2, 12.2.1.2 and 13.2.2.4.

use super::{
    Dialog, DialogError, Identifiers, Role, RouteSet, State, address, contact, is_secured,
    record_routes,
};
use crate::{Request, Response};

impl Dialog {
    /// Makes the dialog of a 101 to 299 to a request that was sent (RFC 3261, 12.1.2).
    /// `is_secure_hop`: it was sent over TLS.
    ///
    /// A provisional response makes it early, a 2xx confirmed. Without a usable Contact, which the RFC
    /// demands and some peers forget, the Request-URI is the remote target until a later response brings one.
    ///
    /// # Errors
    ///
    /// See [`DialogError`]; the response is to be ignored.
    pub fn from_response(
        request: &Request,
        response: &Response,
        is_secure_hop: bool,
    ) -> Result<Self, DialogError> {
        let headers = &response.headers;
        let (from, to) = (request.headers.from()?, request.headers.to()?);
        let local_tag = from.tag().unwrap_or_default();
        let remote_tag = headers.to()?.tag();
        let call_id = request.headers.call_id()?;
        Ok(Self {
            identifiers: Identifiers::new(
                call_id,
                local_tag,
                remote_tag,
                &address(&from),
                &address(&to),
            ),
            role: Role::Caller,
            state: if response.status.is_success() {
                State::Confirmed
            } else {
                State::Early
            },
            local_sequence: Some(request.headers.cseq()?.number),
            remote_sequence: None,
            remote_target: contact(headers).unwrap_or_else(|_| request.uri.detached()),
            routes: RouteSet::new(record_routes(headers), true)?,
            is_secure: is_secured(&request.uri, is_secure_hop),
        })
    }

    /// The 2xx of an early dialog arrived: it is confirmed, with the route set and the target of the
    /// 2xx (RFC 3261, 13.2.2.4). From then on the route set stays, and only the target can change.
    ///
    /// # Errors
    ///
    /// See [`DialogError`]; the dialog is confirmed with what it had.
    pub fn confirm(&mut self, response: &Response) -> Result<(), DialogError> {
        if self.state == State::Early {
            self.state = State::Confirmed;
            self.routes = RouteSet::new(record_routes(&response.headers), true)?;
        }
        self.refresh_target(&response.headers);
        Ok(())
    }
}
