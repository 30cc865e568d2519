//! Why a request of ours was not done.

use super::{Exchange, Progress, invitation::EndCause};
use crate::{Headers, Response, Status, auth::Refusal, header::RetryAfter};
use serde::Serialize;
use std::time::Duration;

/// Why something that we asked of a server was not done.
#[derive(Clone, PartialEq, Debug, Serialize, thiserror::Error)]
#[non_exhaustive]
pub enum Failed {
    /// The server refused with a final response from 300 to 699.
    #[error("{code} {reason}")]
    Refused {
        /// The status.
        code: Status,
        /// Its phrase.
        reason: String,
        /// All its headers, copied: what it accepts (Accept, Accept-Encoding, Accept-Language: 413 to
        /// 416 and 406), where else to ask (Contact: 3xx), Warning, Min-Expires, Retry-After …
        headers: Headers,
        /// Why its challenge was not answered, if it was one.
        refusal: Option<Refusal>,
    },
    /// Nobody answered: timeout, transport or name resolution.
    #[error("{0}")]
    Unanswered(EndCause),
    /// The registrar said yes, and holds no binding of ours.
    #[error("not bound")]
    NotBound,
    /// It was withdrawn, or waited when the endpoint shut down.
    #[error("withdrawn")]
    Withdrawn,
}

impl Failed {
    /// Reads a final outcome; `None` for 2xx, and for what is no outcome.
    pub(crate) fn of(progress: &Progress<'_>, exchange: &Exchange) -> Option<Self> {
        match progress {
            Progress::Response(response) if response.status.is_failure() => {
                Some(Self::refused(response, exchange))
            }
            Progress::Failed(failure) => Some(Self::Unanswered((*failure).into())),
            Progress::Response(_) | Progress::Sent { .. } | Progress::Late(_) | Progress::Over => {
                None
            }
        }
    }

    fn refused(response: &Response, exchange: &Exchange) -> Self {
        let challenged = matches!(
            response.status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        );
        Self::Refused {
            code: response.status,
            reason: response.reason.to_string(),
            headers: response.headers.detached(),
            refusal: exchange.refusal().filter(|_| challenged),
        }
    }

    /// The status; without a response the one that stands for its lack (RFC 3261, 8.1.3.1).
    pub const fn code(&self) -> Status {
        match self {
            Self::Refused { code, .. } => *code,
            Self::Unanswered(EndCause::Transport(_) | EndCause::Lookup(_)) => {
                Status::SERVICE_UNAVAILABLE
            }
            Self::Unanswered(_) => Status::REQUEST_TIMEOUT,
            Self::NotBound => Status::SERVER_INTERNAL_ERROR,
            Self::Withdrawn => Status::REQUEST_TERMINATED,
        }
    }

    /// The phrase, or what is the matter in words.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { reason, .. } => reason.clone(),
            Self::Unanswered(_) | Self::NotBound | Self::Withdrawn => self.to_string(),
        }
    }

    /// When the server wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Refused { headers, .. } = self else {
            return None;
        };
        let value = headers.typed::<RetryAfter<'_>>()?.ok()?;
        Some(Duration::from_secs(value.seconds.into()))
    }

    /// True if the server was asked for proof of identity, and got none that it believes.
    pub const fn is_unauthorized(&self) -> bool {
        matches!(
            self,
            Self::Refused {
                code: Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED,
                ..
            }
        )
    }

    /// True if the server has not spoken about what we asked: it is overloaded, broken or out of
    /// reach, and may well hold what it held.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unanswered(_) => true,
            Self::Refused { code, .. } => {
                *code == Status::REQUEST_TIMEOUT || (500..600).contains(&code.code())
            }
            Self::NotBound | Self::Withdrawn => false,
        }
    }
}
