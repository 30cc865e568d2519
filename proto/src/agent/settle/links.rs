//! From the sockets to the endpoint, to the streams and to the runtime.

use crate::{
    agent::{Child, UserAgent},
    link::LinkOutput,
};

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
}
