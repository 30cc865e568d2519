//! From the resolver to who asked, to the sockets and to the application.

use crate::{
    agent::{Child, UserAgent, resolve::Output},
    stream::StreamInput,
};

impl UserAgent {
    pub(super) fn route_resolver(&mut self, output: Output) {
        match output {
            Output::Endpoint(lookup, targets) => {
                let input = sip::Input::Resolved { lookup, targets };
                self.endpoint.handle_input(self.now, input);
                self.touch(Child::Endpoint);
            }
            Output::Stream(stream, lookup, result) => {
                self.stream_input(stream, StreamInput::Resolved { lookup, result });
            }
            Output::NatDetection(id, result) => {
                self.detections.resolved(id, result);
                self.touch(Child::NatDetections);
            }
            Output::Event(event) => self.notify(event),
            Output::Socket(output) => {
                match output {
                    dns::Output::Open {
                        exchange,
                        server,
                        stream,
                    } => self.links.open_query(self.now, exchange, server, stream),
                    dns::Output::Send { exchange, payload } => {
                        self.links.send_query(exchange, payload);
                    }
                    dns::Output::Close { exchange } => self.links.close_query(exchange),
                    output => {
                        tracing::debug!(?output, "an output of the resolver that goes nowhere")
                    }
                }
                self.touch(Child::Links);
            }
        }
    }
}
