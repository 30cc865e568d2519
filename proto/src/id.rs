//! Ids of what a user agent owns.

base::ids! {
    /// A socket of the operating system.
    LinkId;
    /// A session.
    SessionId;
    /// A media stream of a session.
    StreamId;
    /// A subscription of ours, however often it is made anew.
    SubscriptionId;
    /// A detection of the kind of NAT (ENG-34).
    NatDetectionId;
    /// A file that is sent or received.
    FileId;
    /// A request to the store.
    StoreId;
}
