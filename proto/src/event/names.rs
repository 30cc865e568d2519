//! The names and the data of events as the SDK's documents have them (requirements 41).

use super::{
    AgentEvent, Event, LookupEvent, NatDetectionEvent, OptionsEvent, PublicationEvent,
    ResolverEvent, Sender, SessionEvent, StreamEvent, fields::fields,
};
use serde_json::Value;

impl Event {
    /// The exact name of the documents (`SIPSessionDidStart`).
    ///
    /// Events that the documents do not have are named alike: `SIPOptionsGotAnswer`,
    /// `SIPOptionsDidFail`, `SIPSessionGotRedirect`, `SIPSessionGotInfo`, `AudioStreamGotDiagnosis`,
    /// `AudioStreamRecordingAudioDidFail`,
    /// `SIPApplicationDidLag`, `SIPEngineTLSDidStart`, `SIPEngineTLSDidFail`, `SIPSubscriptionDidFork`,
    /// `SIPSubscriptionRefreshDidFail`, `SIPIncomingSubscription…`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Agent(event) => match event {
                AgentEvent::WillStart => "SIPEngineWillStart",
                AgentEvent::DidStart { .. } => "SIPEngineDidStart",
                AgentEvent::NetworkConditionsDidChange { .. } => "NetworkConditionsDidChange",
                AgentEvent::DidFail { .. } => "SIPEngineDidFail",
                AgentEvent::DidAddAccount { .. } => "SIPAccountManagerDidAddAccount",
                AgentEvent::DidRemoveAccount { .. } => "SIPAccountManagerDidRemoveAccount",
                AgentEvent::DidChangeDefaultAccount { .. } => {
                    "SIPAccountManagerDidChangeDefaultAccount"
                }
                AgentEvent::WillEnd => "SIPEngineWillEnd",
                AgentEvent::DidEnd => "SIPEngineDidEnd",
                AgentEvent::FailedToStartTls { .. } => "SIPApplicationFailedToStartTLS",
                AgentEvent::TlsDidStart { .. } => "SIPEngineTLSDidStart",
                AgentEvent::TlsDidFail { .. } => "SIPEngineTLSDidFail",
                AgentEvent::Log { .. } => "SIPEngineLog",
            },
            Self::Session(_, event) => event.name(),
            Self::Stream(_, event) => event.name(),
            Self::Options(_, OptionsEvent::GotAnswer { .. }) => "SIPOptionsGotAnswer",
            Self::Options(_, OptionsEvent::DidFail { .. }) => "SIPOptionsDidFail",
            Self::Lookup(_, LookupEvent::Trace { .. }) => "DNSLookupTrace",
            Self::Lookup(_, LookupEvent::DidSucceed { .. }) => "DNSLookupDidSucceed",
            Self::Lookup(_, LookupEvent::DidFail { .. }) => "DNSLookupDidFail",
            Self::NatDetection(_, event) => match **event {
                NatDetectionEvent::DetectedNatType { .. } => "SIPEngineDetectedNATType",
            },
            Self::Resolver(ResolverEvent::DidInitialize { .. }) => "DNSResolverDidInitialize",
            Self::Resolver(ResolverEvent::NameserversDidChange { .. }) => "DNSNameserversDidChange",
            Self::Account(_, event) => event.name(),
            Self::Publication(_, PublicationEvent::ChangedState { .. }) => {
                "SIPPublicationChangedState"
            }
            Self::Message(_, event) => event.name(),
            Self::Subscription(_, event) => event.name(),
            Self::IncomingSubscription(_, event) => event.name(),
            Self::Lagged { .. } => "SIPApplicationDidLag",
        }
    }

    /// Whose event it is (GEN-02).
    pub const fn sender(&self) -> Sender {
        match self {
            Self::Agent(_) | Self::Lagged { .. } => Sender::Agent,
            Self::Session(id, _) => Sender::Session(*id),
            Self::Stream(id, _) => Sender::Stream(*id),
            Self::Options(id, _) => Sender::Options(*id),
            Self::Lookup(id, _) => Sender::Lookup(*id),
            Self::NatDetection(id, _) => Sender::NatDetection(*id),
            Self::Resolver(_) => Sender::Resolver,
            Self::Account(id, _) => Sender::Account(*id),
            Self::Publication(id, _) => Sender::Publication(*id),
            Self::Message(id, _) => Sender::Message(*id),
            Self::Subscription(id, _) => Sender::Subscription(*id),
            Self::IncomingSubscription(id, _) => Sender::IncomingSubscription(*id),
        }
    }

    /// The data as a JSON object with the fields of the documents in snake case.
    pub fn data(&self) -> Value {
        match self {
            Self::Agent(event) => fields(event),
            Self::Session(_, event) => event.data(),
            Self::Stream(_, StreamEvent::Custom(event)) => event.data(),
            // The error as a person reads it: its variants are for programs, which have the event.
            Self::Stream(_, StreamEvent::DidFail { error }) => {
                serde_json::json!({ "reason": error.to_string() })
            }
            Self::Stream(_, event) => fields(event),
            Self::Options(_, event) => fields(event),
            Self::Lookup(_, event) => fields(event),
            Self::NatDetection(_, event) => fields(&**event),
            Self::Resolver(event) => fields(event),
            Self::Account(_, event) => fields(event),
            Self::Publication(_, event) => fields(event),
            Self::Message(_, event) => event.data(),
            Self::Subscription(_, event) => event.data(),
            Self::IncomingSubscription(_, event) => event.data(),
            Self::Lagged { missed } => serde_json::json!({ "missed": missed }),
        }
    }
}

impl SessionEvent {
    const fn name(&self) -> &'static str {
        match self {
            Self::NewIncoming { .. } => "SIPSessionNewIncoming",
            Self::NewOutgoing { .. } => "SIPSessionNewOutgoing",
            Self::GotRingIndication => "SIPSessionGotRingIndication",
            Self::GotProvisionalResponse { .. } => "SIPSessionGotProvisionalResponse",
            Self::GotRedirect { .. } => "SIPSessionGotRedirect",
            Self::GotInfo(_) => "SIPSessionGotInfo",
            Self::WillStart => "SIPSessionWillStart",
            Self::DidStart { .. } => "SIPSessionDidStart",
            Self::DidFail { .. } => "SIPSessionDidFail",
            Self::WillEnd { .. } => "SIPSessionWillEnd",
            Self::DidEnd { .. } => "SIPSessionDidEnd",
            Self::DidChangeHoldState { .. } => "SIPSessionDidChangeHoldState",
            Self::DidRenegotiateStreams { .. } => "SIPSessionDidRenegotiateStreams",
            Self::GotRejectProposal { .. } => "SIPSessionGotRejectProposal",
            Self::HadProposalFailure { .. } => "SIPSessionHadProposalFailure",
            Self::GotSdpUpdate { .. } => "SIPInvitationGotSDPUpdate",
            Self::DidProcessTransaction { .. } => "SIPSessionDidProcessTransaction",
            Self::TransferNewIncoming { .. } => "SIPSessionTransferNewIncoming",
            Self::TransferNewOutgoing { .. } => "SIPSessionTransferNewOutgoing",
            Self::TransferDidStart => "SIPSessionTransferDidStart",
            Self::TransferGotProgress { .. } => "SIPSessionTransferGotProgress",
            Self::TransferDidEnd => "SIPSessionTransferDidEnd",
            Self::TransferDidFail { .. } => "SIPSessionTransferDidFail",
            Self::ChangedState { .. } => "SIPSessionChangedState",
        }
    }

    fn data(&self) -> Value {
        let mut data = fields(self);
        match (self, &mut data) {
            // The documents name one action with its streams; an offer may do both at once.
            (Self::DidRenegotiateStreams { added, removed, .. }, Value::Object(data)) => {
                let (action, streams) = match added.is_empty() {
                    true => ("remove", removed),
                    false => ("add", added),
                };
                data.insert("action".to_owned(), action.into());
                data.insert("streams".to_owned(), serde_json::json!(streams));
            }
            (
                Self::DidProcessTransaction {
                    ack_received: None, ..
                },
                Value::Object(data),
            ) => {
                data.remove("ack_received");
            }
            _ => {}
        }
        data
    }
}

impl StreamEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::DidInitialize => "MediaStreamDidInitialize",
            Self::DidStart => "MediaStreamDidStart",
            Self::DidFail { .. } => "MediaStreamDidFail",
            Self::WillEnd => "MediaStreamWillEnd",
            Self::DidEnd => "MediaStreamDidEnd",
            Self::DidChangeHoldState { .. } => "AudioStreamDidChangeHoldState",
            Self::DidChangeRtpParameters => "AudioStreamDidChangeRTPParameters",
            Self::DidEnableEncryption { .. } => "RTPStreamDidEnableEncryption",
            Self::DidNotEnableEncryption { .. } => "RTPStreamDidNotEnableEncryption",
            Self::IceNegotiationStateDidChange { .. } => "AudioStreamICENegotiationStateDidChange",
            Self::IceNegotiationDidSucceed { .. } => "AudioStreamICENegotiationDidSucceed",
            Self::IceNegotiationDidFail { .. } => "AudioStreamICENegotiationDidFail",
            Self::WillStartRecordingAudio { .. } => "AudioStreamWillStartRecordingAudio",
            Self::DidStartRecordingAudio { .. } => "AudioStreamDidStartRecordingAudio",
            Self::WillStopRecordingAudio { .. } => "AudioStreamWillStopRecordingAudio",
            Self::DidStopRecordingAudio { .. } => "AudioStreamDidStopRecordingAudio",
            Self::RecordingAudioDidFail { .. } => "AudioStreamRecordingAudioDidFail",
            Self::GotDtmf { .. } => "AudioStreamGotDTMF",
            Self::DidTimeout => "AudioStreamDidTimeout",
            Self::GotNoAudio => "SIPSessionGotNoAudio",
            Self::GotDiagnosis(_) => "AudioStreamGotDiagnosis",
            Self::Custom(event) => event.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::*;
    use base::{Key, Transport};
    use bytes::Bytes;
    use std::{collections::BTreeMap, fs};

    fn all() -> Vec<Event> {
        let session = SessionId::from_parts(0, 1);
        let stream = StreamId::from_parts(0, 2);
        let streams = vec![stream];
        let originator = Originator::Local;
        let account = sip::AccountId::from_parts(0, 0);
        let (code, reason) = (486, "Busy Here".to_owned());
        let carol: sip::Uri = "sip:carol@192.0.2.3".parse().unwrap();
        let agent = [
            AgentEvent::WillStart,
            AgentEvent::DidStart {
                listening: vec![Listening {
                    transport: Transport::Udp,
                    address: ([127, 0, 0, 1], 5060).into(),
                }],
            },
            AgentEvent::DidFail {
                error: LinkError::AddressInUse,
            },
            AgentEvent::FailedToStartTls {
                error: LinkError::Denied,
            },
            AgentEvent::DidAddAccount { account },
            AgentEvent::DidRemoveAccount { account },
            AgentEvent::DidChangeDefaultAccount {
                old_account: None,
                account: Some(account),
            },
            AgentEvent::WillEnd,
            AgentEvent::DidEnd,
            AgentEvent::Log {
                sender: "endpoint",
                level: 4,
                message: "malformed".to_owned(),
            },
        ];
        let sessions = [
            SessionEvent::NewIncoming {
                streams: streams.clone(),
                particulars: Box::default(),
            },
            SessionEvent::NewOutgoing {
                streams: streams.clone(),
            },
            SessionEvent::GotRingIndication,
            SessionEvent::GotProvisionalResponse {
                code,
                reason: reason.clone(),
            },
            SessionEvent::WillStart,
            SessionEvent::DidStart {
                streams: streams.clone(),
            },
            SessionEvent::DidFail {
                originator,
                code,
                reason: reason.clone(),
                failure_reason: "user request".to_owned(),
                hints: None,
            },
            SessionEvent::WillEnd { originator },
            SessionEvent::DidEnd {
                originator,
                end_reason: "hung up".to_owned(),
            },
            SessionEvent::DidChangeHoldState {
                originator,
                on_hold: true,
                partial: false,
            },
            SessionEvent::DidRenegotiateStreams {
                originator,
                added: vec![],
                removed: streams.clone(),
            },
            SessionEvent::GotRejectProposal {
                originator,
                code,
                reason: reason.clone(),
                streams: streams.clone(),
            },
            SessionEvent::HadProposalFailure {
                originator,
                failure_reason: "timeout".to_owned(),
                streams,
            },
            SessionEvent::DidProcessTransaction {
                originator,
                method: "INVITE".to_owned(),
                code,
                reason: reason.clone(),
                ack_received: Some(true),
            },
            SessionEvent::GotSdpUpdate {
                succeeded: true,
                error: None,
                local_sdp: Some(Bytes::from_static(b"v=0\r\n").into()),
                remote_sdp: Some(Bytes::from_static(b"v=0\r\n").into()),
            },
            SessionEvent::TransferNewIncoming {
                transfer_destination: carol.clone(),
                transfer_source: carol.clone(),
                referred_by: None,
                replaced_dialog_id: None,
            },
            SessionEvent::TransferNewOutgoing {
                transfer_destination: carol.clone(),
                transfer_source: carol,
            },
            SessionEvent::TransferDidStart,
            SessionEvent::TransferGotProgress {
                code,
                reason: reason.clone(),
            },
            SessionEvent::TransferDidEnd,
            SessionEvent::TransferDidFail { code, reason },
            SessionEvent::ChangedState {
                prev_state: "outgoing",
                state: "connected",
            },
        ];
        let media = [
            StreamEvent::DidInitialize,
            StreamEvent::DidStart,
            StreamEvent::DidFail {
                error: StreamError::TimedOut,
            },
            StreamEvent::WillEnd,
            StreamEvent::DidEnd,
            StreamEvent::DidChangeHoldState {
                originator,
                on_hold: true,
            },
            StreamEvent::DidChangeRtpParameters,
            StreamEvent::DidEnableEncryption {
                method: KeyMethod::Sdes,
                cipher: rtp::srtp::Profile::AesCm128HmacSha1_80,
                keys_in_clear: true,
            },
            StreamEvent::DidNotEnableEncryption { reason: "no key" },
            StreamEvent::IceNegotiationStateDidChange {
                prev_state: "new".to_owned(),
                state: "running".to_owned(),
            },
            StreamEvent::IceNegotiationDidSucceed {
                duration: 0.25,
                chosen: Vec::new(),
                checked: Vec::new(),
            },
            StreamEvent::IceNegotiationDidFail {
                reason: "none",
                checked: Vec::new(),
            },
            StreamEvent::WillStartRecordingAudio {
                filename: "a.wav".to_owned(),
            },
            StreamEvent::DidStartRecordingAudio {
                filename: "a.wav".to_owned(),
            },
            StreamEvent::WillStopRecordingAudio {
                filename: "a.wav".to_owned(),
            },
            StreamEvent::DidStopRecordingAudio {
                filename: "a.wav".to_owned(),
            },
            StreamEvent::GotDtmf { digit: '#' },
            StreamEvent::DidTimeout,
            StreamEvent::GotNoAudio,
        ];
        let nameservers = vec![([192, 0, 2, 53], 53).into()];
        let resolver = [
            ResolverEvent::DidInitialize {
                nameservers: nameservers.clone(),
            },
            ResolverEvent::NameserversDidChange {
                nameservers: nameservers.clone(),
            },
        ];
        let lookups = [
            LookupEvent::Trace {
                query_type: dns::Kind::Srv,
                query_name: dns::Name::new("_sip._udp.example.com").unwrap(),
                answer: Vec::new(),
                error: Some(dns::QueryError::NoName),
                context: "lookup_sip_proxy",
                service: None,
                uri: "sip:example.com".to_owned(),
                nameservers,
            },
            LookupEvent::DidSucceed {
                result: dns::Found::Uris(Vec::new()),
            },
            LookupEvent::DidFail {
                error: dns::LookupError::NotFound,
            },
        ];
        let lookup = dns::LookupId::from_parts(0, 3);
        let names = lookups.into_iter().map(|e| Event::Lookup(lookup, e));
        let names = names.chain(resolver.into_iter().map(Event::Resolver));
        let registration = sip::RegistrationId::from_parts(0, 3);
        let registrar = Some(([192, 0, 2, 1], 5060).into());
        let accounts = [
            AccountEvent::WillRegister,
            AccountEvent::RegistrationWillRefresh,
            AccountEvent::RegistrationDidSucceed {
                contact_header: "sip:a@192.0.2.2".to_owned(),
                contact_header_list: vec![],
                expires: 300,
                registrar,
                public_gruu: None,
                temporary_gruu: None,
                associated_uris: vec![],
            },
            AccountEvent::RegistrationDidFail {
                error: "timeout".to_owned(),
                code: 408,
                is_authentication: false,
                retry_after: Some(1.5),
            },
            AccountEvent::RegistrationDidEnd { registration },
            AccountEvent::RegistrationDidNotEnd {
                code: 408,
                reason: "timeout".to_owned(),
                registration,
            },
            AccountEvent::RegistrationGotAnswer {
                code: 200,
                reason: "OK".to_owned(),
                registration,
                registrar,
            },
        ];
        let uri: sip::Uri = "sip:a@192.0.2.2".parse().unwrap();
        let messages = [
            MessageEvent::GotMessage(Box::new(GotMessage {
                account: Some(account),
                from_uri: uri.clone(),
                from_display_name: None,
                to_uri: uri.clone(),
                content: None,
                particulars: Box::default(),
            })),
            MessageEvent::GotResponse {
                to_uri: uri,
                code: 200,
                reason: "OK".to_owned(),
                hints: None,
            },
        ];
        let published = PublicationEvent::ChangedState {
            state: sip::usage::publication::State::Published,
            code: Some(200),
            reason: Some("OK".to_owned()),
            hints: None,
        };
        let subscribed = [
            SubscriptionEvent::ChangedState {
                prev_state: sip::usage::subscription::State::Sent,
                state: sip::usage::subscription::State::Other,
                text: Some("on-leave".to_owned()),
                code: Some(200),
                reason: Some("OK".to_owned()),
            },
            SubscriptionEvent::GotNotify { content: None },
        ];
        let agent = agent.into_iter().map(Event::Agent);
        let message = sip::MessageId::from_parts(0, 4);
        let publication = sip::PublicationId::from_parts(0, 5);
        let accounts = accounts.into_iter().map(|e| Event::Account(account, e));
        let messages = messages.into_iter().map(|e| Event::Message(message, e));
        let published = [Event::Publication(publication, published)];
        let detected = NatDetectionEvent::DetectedNatType {
            succeeded: true,
            user_data: Value::Null,
            nat_type: Some("Full Cone"),
            error: None,
            behaviour: None,
        };
        let detection = NatDetectionId::from_parts(0, 7);
        let detected = [Event::NatDetection(detection, Box::new(detected))];
        let subscription = SubscriptionId::from_parts(0, 6);
        let subscribed = subscribed.map(|e| Event::Subscription(subscription, e));
        let sessions = sessions.into_iter().map(|e| Event::Session(session, e));
        let media = media.into_iter().map(|e| Event::Stream(stream, e));
        let asked = messages.chain(published).chain(subscribed);
        let others = accounts.chain(asked).chain(names).chain(detected);
        agent.chain(sessions).chain(media).chain(others).collect()
    }

    /// The rows of requirements 41: names with the fields of their data.
    fn documented() -> Option<BTreeMap<String, Vec<String>>> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/requirements.md");
        #[expect(clippy::disallowed_methods, reason = "a test reads its material")]
        let text = fs::read_to_string(path).ok()?;
        let (_, index) = text.split_once("## 41.")?;
        let rows = index.lines().filter_map(|line| {
            let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
            let (names, data) = (cells.next()?, cells.next()?);
            let name = names.split_whitespace().next()?.to_owned();
            // What stands in brackets explains a field.
            let fields = data
                .split(',')
                .filter_map(|field| field.split_whitespace().next())
                .filter(|field| field.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
                .map(str::to_owned);
            Some((name, fields.collect()))
        });
        // SES-73: what the living source has beside them.
        let living = [
            (
                "SIPSessionTransferNewIncoming",
                &["transfer_destination"][..],
            ),
            ("SIPSessionTransferDidEnd", &[]),
            ("SIPSessionTransferGotProgress", &["code", "reason"]),
            ("RTPStreamDidEnableEncryption", &[]),
            ("RTPStreamDidNotEnableEncryption", &["reason"]),
            // RTP-14: their rows lead to those of the transport.
            (
                "AudioStreamICENegotiationStateDidChange",
                &["prev_state", "state"],
            ),
            (
                "AudioStreamICENegotiationDidSucceed",
                &["duration", "chosen", "checked"],
            ),
            ("AudioStreamICENegotiationDidFail", &["reason"]),
        ];
        let living = living.into_iter().map(|(name, fields)| {
            let fields = fields.iter().map(|field| (*field).to_owned()).collect();
            (name.to_owned(), fields)
        });
        Some(rows.chain(living).collect())
    }

    #[test]
    fn names_and_fields_are_those_of_the_documents() {
        let Some(documented) = documented() else {
            println!("skipped: the requirements are not there");
            return;
        };
        assert!(documented.len() > 100);
        for event in all() {
            let fields = documented
                .get(event.name())
                .unwrap_or_else(|| panic!("{} is not documented", event.name()));
            let data = event.data();
            for field in fields {
                assert!(
                    data.get(field).is_some(),
                    "{} lacks {field}: {data}",
                    event.name()
                );
            }
        }
    }

    #[test]
    fn data_is_an_object_in_snake_case() {
        let text: Vec<String> = all()
            .iter()
            .map(|event| format!("{} {} {}", event.sender(), event.name(), event.data()))
            .collect();
        assert_eq!(text[0], "agent SIPEngineWillStart {}");
        assert_eq!(
            text[1],
            r#"agent SIPEngineDidStart {"listening":[{"address":"127.0.0.1:5060","transport":"udp"}]}"#
        );
        let renegotiated = text.iter().find(|t| t.contains("Renegotiate")).unwrap();
        assert_eq!(
            renegotiated,
            r#"session:1 SIPSessionDidRenegotiateStreams {"action":"remove","added":[],"originator":"local","removed":["2"],"streams":["2"]}"#
        );
        // The notifier's very word (SUB-06).
        let told = text.iter().find(|t| t.contains("SIPSubscriptionChanged"));
        assert_eq!(
            told.unwrap(),
            r#"subscription:6 SIPSubscriptionChangedState {"code":200,"prev_state":"sent","reason":"OK","state":"on-leave"}"#
        );
        let failed = text.iter().find(|t| t.contains("StreamDidFail")).unwrap();
        assert_eq!(
            failed,
            r#"stream:2 MediaStreamDidFail {"reason":"media stream timed-out while starting"}"#
        );
    }
}
