//! Why the world could not do what the agent wants.

use serde::{Deserialize, Serialize};

/// Why the store failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No permission.
    #[error("permission denied")]
    Denied,
    /// No space left.
    #[error("no space left")]
    Full,
    /// What is stored cannot be read.
    #[error("stored data is damaged")]
    Damaged,
    /// Something else.
    #[error("storage failed")]
    Other,
}
