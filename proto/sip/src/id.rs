//! Ids of what the endpoint owns.

use serde::{Deserialize, Serialize};

base::ids! {
    /// A way for messages: a local UDP socket, or a connection.
    FlowId;
    /// A question to the owner of the endpoint: where is this URI?
    LookupId;
    /// A call, from INVITE to the end of its last transaction.
    InvitationId;
    /// A dialog (RFC 3261, 12): one of several while a forked INVITE is unanswered.
    DialogId;
    /// A request outside of dialogs with a result of its own (OPTIONS).
    RequestId;
    /// A registration.
    RegistrationId;
    /// A publication.
    PublicationId;
    /// A MESSAGE request, ours or a peer's.
    MessageId;
    /// An account, named by its owner: what one of its usages learns of realms the others know.
    AccountId;
    /// A subscription of ours (RFC 6665), until its last event.
    SubscriptionId;
    /// A subscription of a peer to what we know (RFC 6665), until its last event.
    NotifierId;
    /// A REFER of ours (RFC 3515), until its last event.
    ReferralId;
    /// A REFER of a peer (RFC 3515), until its last event.
    IncomingReferralId;
    /// A certificate and its key that this end can show, named by its owner.
    IdentityId;
    /// A transaction (RFC 3261, 17).
    TransactionId;
    /// A usage outside of calls; the ids that applications see are this place under another name.
    UsageId;
}

/// Whose a request, a dialog or a server transaction is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Party {
    /// A call.
    Invitation(InvitationId),
    /// Anything else.
    Usage(UsageId),
}

/// Why a URI has no targets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// The name does not exist, or has no address that we can use.
    #[error("no such name")]
    NotFound,
    /// No name server answered in time.
    #[error("name resolution timed out")]
    TimedOut,
    /// The name servers refused to answer.
    #[error("name resolution refused")]
    Refused,
    /// No name server is known.
    #[error("no name server")]
    NoServer,
    /// The URI asks for a transport that is switched off.
    #[error("transport not available")]
    NoTransport,
}
