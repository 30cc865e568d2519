//! A call that another one takes the place of (RFC 3891, 3).

use super::{
    Invitation, State,
    end::Ending,
    event::{EndCause, Originator},
    leg::Stage,
};
use crate::{DialogId, Status};
use std::time::Instant;

impl Invitation {
    /// Whether an INVITE may take the place of this dialog.
    ///
    /// # Errors
    ///
    /// The status that refuses it (XFR-07).
    pub(crate) fn check_replaceable(&self, id: DialogId, early_only: bool) -> Result<(), Status> {
        let unknown = Status::CALL_OR_TRANSACTION_DOES_NOT_EXIST;
        let leg = self.leg(id).ok_or(unknown)?;
        match leg.stage {
            _ if self.ending.is_some() => Err(Status::DECLINE),
            // RFC 3891, 3: the caller of an early dialog could not tell which fork it is.
            Stage::Early if !self.is_outgoing => Err(unknown),
            Stage::Confirmed if early_only => Err(Status::BUSY_HERE),
            Stage::Early | Stage::Confirmed => Ok(()),
            Stage::Lost | Stage::Closing | Stage::Left | Stage::Over => Err(Status::DECLINE),
        }
    }

    /// Ends, because another call has taken its place.
    pub(crate) fn give_way(&mut self, now: Instant) {
        let mut ending = Ending::new(Originator::Local, EndCause::Replaced);
        if matches!(self.state, State::Calling | State::Early) {
            let status = Status::REQUEST_TERMINATED;
            ending.status = Some(status);
            ending.reason = Some(status.phrase().to_owned());
        }
        self.end_by(now, ending);
        self.check_release();
    }
}
