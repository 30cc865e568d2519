//! Requests whose sender the peer shall not learn (RFC 3323, RFC 3325).

use super::{UserAgent, accounts::Profile};
use sip::{HeaderName, Headers, Uri, header::Address};
use std::net::IpAddr;

impl UserAgent {
    /// Who a request says it comes from, and what it says about that in further headers.
    pub(super) fn sender(
        &self,
        profile: &Profile<'_>,
        local: IpAddr,
        is_anonymous: bool,
    ) -> (Address, Headers) {
        let mut headers = Headers::new();
        if !is_anonymous {
            return (profile.identity(local), headers);
        }
        headers.push(HeaderName::Privacy, PRIVACY);
        // RFC 3325, 6: to nobody but a trusted proxy that gets it from us.
        if let Some(identity) = profile.address_of_record()
            && self.is_trusted_way(profile)
        {
            headers.push(HeaderName::PPreferredIdentity, identity);
        }
        (anonymous(), headers)
    }

    /// True if the first proxy of an account is trusted with identities, as far as that can be said without
    /// asking a name server: all addresses of its name have to be.
    fn is_trusted_way(&self, profile: &Profile<'_>) -> bool {
        let route = profile.route();
        let first = route.first().and_then(|proxy| proxy.uri.host());
        let addresses = first.map_or_else(Vec::new, |host| self.resolver.addresses(&host));
        !addresses.is_empty()
            && addresses
                .iter()
                .all(|address| self.config.trusts_host(*address))
    }
}

/// RFC 3323, 4.1.1.1 and 4.1.1.3: a host that is no name of anybody (RFC 2606).
fn anonymous() -> Address {
    let uri: Uri = ANONYMOUS.parse().expect("a constant is a URI");
    let mut address = Address::new(uri);
    address.display = Some("Anonymous".to_owned());
    address
}

const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";
/// RFC 3325, 9.3.
const PRIVACY: &str = "id";
