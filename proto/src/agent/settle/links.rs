//! From the sockets to the endpoint, to the streams and to the runtime.

use crate::{
    agent::{Child, UserAgent},
    event::{AgentEvent, Event},
    link::{LinkOutput, Verified},
    tls::Certificate,
};
use base::LinkError;

impl UserAgent {
    pub(super) fn route_links(&mut self, output: LinkOutput) {
        match output {
            LinkOutput::Edge(output) => self.emit(output),
            LinkOutput::Flow(input) => {
                self.endpoint.handle_input(self.now, input);
                self.touch(Child::Endpoint);
            }
            LinkOutput::Stream(stream, input) => self.stream_input(stream, input),
            LinkOutput::Query(input) => {
                self.resolver.handle_input(self.now, input);
                self.touch(Child::Resolver);
            }
            LinkOutput::Discovery(id, input) => {
                self.detections.handle_input(self.now, id, input);
                self.touch(Child::NatDetections);
            }
            LinkOutput::Secure(link, side) => self.filters.secure(link, &side),
            LinkOutput::Upgrade(link, host) => {
                let path = &self.config.web_socket_path;
                self.filters.upgrade(link, &host, path, &mut self.out);
            }
            LinkOutput::Verified(verified) => self.route_verified(*verified),
            LinkOutput::NewFlow {
                link,
                transport,
                local,
                peer,
            } => {
                self.add_flow(link, transport, local, peer);
                self.touch(Child::Endpoint);
            }
            LinkOutput::Listening {
                link,
                transport,
                local,
            } => {
                self.now_listening(link, transport, local);
                self.touch(Child::Endpoint);
            }
            LinkOutput::NotListening {
                link,
                transport,
                local,
                error,
            } => {
                self.not_listening(link, transport, local, error);
                self.touch(Child::Endpoint);
            }
        }
    }

    fn route_verified(&mut self, verified: Verified) {
        let Verified {
            transport,
            peer,
            wanted,
            result,
            presented,
            detail,
        } = verified;
        let wanted = wanted.to_string();
        self.notify(Event::Agent(match result {
            Ok(security) => AgentEvent::TlsDidStart {
                transport,
                peer,
                wanted,
                security,
            },
            Err(error) => AgentEvent::TlsDidFail {
                reason: explain(error, &wanted, &presented, &detail),
                transport,
                peer,
                wanted,
                error,
                presented,
            },
        }));
    }
}

/// In one line what was wanted and what was presented.
fn explain(error: LinkError, wanted: &str, presented: &[Certificate], detail: &str) -> String {
    let detail = match detail {
        "" => String::new(),
        detail => format!(" ({detail})"),
    };
    let presented = match presented.first() {
        Some(certificate) => format!("presented {certificate}"),
        None => "no certificate was presented".to_owned(),
    };
    format!("{error}{detail}; wanted {wanted}; {presented}")
}
