use super::{
    machine::tests::{ms, start},
    *,
};
use crate::Message;
use base::Key as _;

mod clients;
mod matching;
mod servers;

/// One side's transactions in virtual time, and what they said.
struct Side {
    transactions: Transactions,
    said: Vec<String>,
    sent: Vec<Bytes>,
}

fn path(transport: Transport) -> Path {
    Path {
        flow: FlowId::from_parts(0, 1),
        to: "192.0.2.4:5060".parse().unwrap(),
        transport,
    }
}

fn request(text: &str) -> Request {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Request(request)) => request,
        other => panic!("{other:?}"),
    }
}

fn response(text: &str) -> Response {
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Response(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// The INVITE of RFC 3261, 17.1.1.3, with what it leaves out.
const INVITE: &str = "INVITE sip:bob@biloxi.com SIP/2.0\n\
    Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff\n\
    To: Bob <sip:bob@biloxi.com>\n\
    From: Alice <sip:alice@atlanta.com>;tag=88sja8x\n\
    Max-Forwards: 70\n\
    Call-ID: 987asjd97y7atg\n\
    CSeq: 986759 INVITE\n\
    Route: <sip:p1.atlanta.com;lr>, <sip:p2.biloxi.com;lr>\n\
    Authorization: Digest username=\"alice\"\n\
    Content-Length: 0\n\n";

fn answer(code: u16, to_tag: &str) -> String {
    format!(
        "SIP/2.0 {code} Whatever\n\
        Via: SIP/2.0/UDP pc33.atlanta.com;branch=z9hG4bKkjshdyff;received=192.0.2.1\n\
        To: Bob <sip:bob@biloxi.com>{to_tag}\n\
        From: Alice <sip:alice@atlanta.com>;tag=88sja8x\n\
        Call-ID: 987asjd97y7atg\n\
        CSeq: 986759 INVITE\n\
        Content-Length: 0\n\n"
    )
}

fn options(text: &str) -> String {
    text.replace("INVITE", "OPTIONS")
}

impl Side {
    fn new() -> Self {
        Self::with(Config::default())
    }

    fn with(config: Config) -> Self {
        let transactions = Transactions::new(config, &mut Rng::from_seed([9; 32]));
        Self {
            transactions,
            said: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.transactions.poll_output() {
            self.said.push(match output {
                Output::Send { message, .. } => {
                    let line = message.split(|&b| b == b'\r').next().unwrap();
                    let line = String::from_utf8(line.to_vec()).unwrap();
                    self.sent.push(message);
                    let short = line
                        .trim_start_matches("SIP/2.0 ")
                        .split(' ')
                        .next()
                        .unwrap()
                        .to_owned();
                    format!("send {short}")
                }
                Output::Response { response, .. } => format!("response {}", response.status),
                Output::TimedOut(_) => "timed out".to_owned(),
                Output::AckMissing(_) => "ack missing".to_owned(),
                Output::Failed { error, .. } => format!("failed {error:?}"),
                Output::Terminated(_) => "terminated".to_owned(),
            });
        }
    }

    /// Runs all timers up to `until` milliseconds, and returns what was said since the last time.
    fn run(&mut self, until: u64) -> Vec<String> {
        self.drain();
        let mut said = std::mem::take(&mut self.said);
        while let Some(deadline) = self
            .transactions
            .poll_timeout()
            .filter(|d| d.at <= start() + ms(until))
        {
            self.transactions.handle_timeout(deadline.at);
            self.drain();
            let at = deadline.at.duration_since(start()).as_millis();
            said.extend(self.said.drain(..).map(|what| format!("{at} {what}")));
        }
        said
    }

    fn call(&mut self, at: u64, text: &str, transport: Transport) -> TransactionId {
        let request = request(text);
        let via = request.headers.via().unwrap();
        let outgoing = Outgoing {
            path: path(transport),
            method: &request.method,
            branch: via.branch().unwrap(),
            message: request.to_bytes(),
        };
        self.transactions
            .request(start() + ms(at), outgoing)
            .unwrap()
    }

    fn receive(&mut self, at: u64, text: &str) -> Option<TransactionId> {
        self.transactions
            .handle_response(start() + ms(at), response(text))
    }

    fn serve(&mut self, at: u64, text: &str, transport: Transport) -> TransactionId {
        let request = request(text);
        match self.transactions.handle_request(start() + ms(at), &request) {
            Incoming::New(new) => self
                .transactions
                .serve(start() + ms(at), new, path(transport), request)
                .unwrap(),
            other @ (Incoming::Absorbed(_) | Incoming::Ack(_)) => panic!("{other:?}"),
        }
    }

    fn respond(&mut self, at: u64, id: TransactionId, code: u16) -> Result<(), RespondError> {
        let answer = response(&answer(code, ";tag=b"));
        self.transactions.respond(start() + ms(at), id, &answer)
    }

    /// Nothing may be left behind.
    fn assert_empty(&self) {
        let t = &self.transactions;
        assert_eq!((t.clients(), t.servers(), t.poll_timeout()), (0, 0, None));
        assert!(t.table.is_empty() && t.index.is_empty() && t.merges.is_empty());
        assert!(t.by_path.is_empty() && t.deadlines.is_empty());
    }
}

#[test]
fn every_row_of_every_table_is_counted() {
    let mut side = Side::new();
    side.call(0, INVITE, Transport::Udp);
    side.run(40_000);
    let coverage = side.transactions.coverage();
    let count = |pair: &str| coverage.iter().find(|(name, _)| name == pair).unwrap().1;
    assert_eq!(count("client INVITE: Calling TimerA"), 6);
    assert_eq!(count("client INVITE: Calling TimerB"), 1);
    assert_eq!(count("server: Completed TimerJ"), 0);
    let rows = client_invite::TABLE.len()
        + client::TABLE.len()
        + server_invite::TABLE.len()
        + server::TABLE.len();
    assert_eq!(coverage.len(), rows);
}

#[test]
fn timers_fire_in_order_and_not_too_many_at_once() {
    let mut config = Config::default();
    config.limits.timers_per_step = 2;
    let mut side = Side::with(config);
    for n in 0..3 {
        side.call(
            n,
            &options(INVITE).replace("kjshdyff", &format!("a{n}")),
            Transport::Udp,
        );
    }
    side.drain();
    side.said.clear();
    // A late wake-up: every timer E is due, and each sends once.
    for expected in [2, 1, 0] {
        side.transactions.handle_timeout(start() + ms(1_000));
        side.drain();
        assert_eq!(side.said.drain(..).count(), expected);
    }
    assert!(side.transactions.poll_timeout().unwrap().at > start() + ms(1_000));
}

#[test]
fn limits_refuse_and_queue_nothing() {
    let mut config = Config::default();
    config.limits.clients = 1;
    config.limits.servers = 1;
    let mut side = Side::with(config);
    side.call(0, INVITE, Transport::Tcp);
    let outgoing = Outgoing {
        path: path(Transport::Udp),
        method: &Method::Options,
        branch: "z9hG4bKother",
        message: Bytes::from_static(b"x"),
    };
    assert_eq!(
        side.transactions.request(start(), outgoing),
        Err(RequestError::TooMany)
    );
    side.serve(0, &INVITE.replace("kjshdyff", "1"), Transport::Udp);
    let second = request(&INVITE.replace("kjshdyff", "2"));
    let Incoming::New(new) = side.transactions.handle_request(start(), &second) else {
        panic!("it is new");
    };
    assert!(
        side.transactions
            .serve(start(), new, path(Transport::Udp), second)
            .is_err()
    );
    assert_eq!(
        (side.transactions.clients(), side.transactions.servers()),
        (1, 1)
    );
}
