//! Session timers, both roles (RFC 4028): asked for, agreed, refreshed, expired.

use super::{
    Invitation, Kind, Originator,
    end::Ending,
    event::EndCause,
    interval::{Clock, DEFAULT_MIN_SE, Grant, seconds},
    leg::{self, Leg},
};
use crate::{
    DialogId, HeaderName, Headers, Response, Status,
    header::{MinSe, Refresher, SessionExpires},
    offer_answer::glare_delay,
    refresh::{Due, Refresh},
};
use std::{
    mem,
    time::{Duration, Instant},
};

impl Invitation {
    /// What an INVITE or UPDATE of ours asks for, and the interval in it (RFC 4028, 7.1 and 7.4).
    /// What stands in `further` is the application's word, and goes in the place of ours.
    pub(super) fn ask_interval(
        &self,
        kind: Kind,
        headers: &mut Headers,
        further: &Headers,
    ) -> Option<u32> {
        let config = &self.config.session_timer;
        let leg = match kind {
            Kind::Invite => None,
            Kind::Reinvite(id) | Kind::Update(id) => self.leg(id),
            Kind::Prack(_) | Kind::Info(_) | Kind::Ack(..) | Kind::Bye(_) => return None,
        };
        // A session begins with the 2xx to its INVITE.
        let is_early = leg.is_some_and(|leg| leg.stage == leg::Stage::Early);
        if !config.is_on || is_early {
            return None;
        }
        if let Some(Ok(asked)) = further.typed::<SessionExpires>() {
            return Some(asked.seconds);
        }
        let clock = leg.and_then(|leg| leg.clock.as_deref());
        let least = leg.map_or(0, |leg| leg.min_se);
        let own = seconds(config.min_se);
        let refresher = match clock {
            Some(clock) if clock.is_refresher => Some(Refresher::Uac),
            Some(_) => Some(Refresher::Uas),
            None => config.refresher,
        };
        let interval = clock
            .map(|clock| clock.interval)
            .or_else(|| config.expires.map(seconds))?
            .max(least)
            .max(own);
        if least > 0 || own != DEFAULT_MIN_SE {
            headers.push(HeaderName::MinSe, MinSe(least.max(own)));
        }
        headers.push(
            HeaderName::SessionExpires,
            SessionExpires {
                seconds: interval,
                refresher,
            },
        );
        Some(interval)
    }

    /// A 2xx to an INVITE or UPDATE of ours: what it says, or what we asked for (RFC 4028, 7.2).
    pub(super) fn note_interval(
        &mut self,
        now: Instant,
        kind: Kind,
        id: DialogId,
        response: &Response,
    ) {
        if !self.config.session_timer.is_on {
            return;
        }
        // Those before it are kept for 2xx that come again.
        let number = response.headers.cseq().map(|cseq| cseq.number);
        let is_it = |sent: &&super::Sent| sent.kind == kind && number == Ok(sent.number);
        let sent = self.requests.iter().find(is_it);
        // People may answer an INVITE, and late; a dialog's requests are answered at once.
        let counts_from = sent.and_then(|sent| sent.sent_at.filter(|_| kind != Kind::Invite));
        let counts_from = counts_from.unwrap_or(now);
        let asked = sent.and_then(|sent| sent.interval);
        let said = response.headers.typed::<SessionExpires>();
        let (interval, is_refresher) = match (said.and_then(Result::ok), asked) {
            (Some(said), _) => (said.seconds, said.refresher != Some(Refresher::Uas)),
            // The peer does not know the extension: the timer is ours alone.
            (None, Some(asked)) => (asked, true),
            (None, None) => return self.stop_clock(id),
        };
        self.start_clock(now, counts_from, id, interval, is_refresher);
    }

    /// Our 2xx to an INVITE or UPDATE: writes what was decided, which counts from now on.
    pub(super) fn grant_interval(
        &mut self,
        now: Instant,
        id: DialogId,
        grant: Option<Grant>,
        headers: &mut Headers,
    ) {
        match grant {
            Some(grant) => {
                grant.write(headers);
                let is_refresher = grant.refresher == Refresher::Uas;
                self.start_clock(now, now, id, grant.interval, is_refresher);
            }
            None => self.stop_clock(id),
        }
    }

    /// `counts_from`: the earliest moment that the peer may count the interval from.
    fn start_clock(
        &mut self,
        now: Instant,
        counts_from: Instant,
        id: DialogId,
        interval: u32,
        is_refresher: bool,
    ) {
        let give_up = self.config.transactions.timers.timer_f;
        let rng = &mut self.rng;
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else {
            return;
        };
        // A peer that wants to be refreshed all the time is not obeyed.
        let interval = interval.max(LEAST_INTERVAL);
        let clock = leg.clock.get_or_insert_with(|| {
            Box::new(Clock {
                refresh: Refresh::new(give_up, rng),
                interval,
                is_refresher,
                is_asking: false,
                again: None,
            })
        });
        clock.interval = interval;
        clock.is_refresher = is_refresher;
        clock.is_asking = false;
        clock.again = None;
        let interval = Duration::from_secs(interval.into());
        clock
            .refresh
            .grant_session(now, counts_from, interval, is_refresher);
    }

    fn stop_clock(&mut self, id: DialogId) {
        if let Some(leg) = self.leg_mut(id) {
            leg.clock = None;
        }
    }

    /// Refreshes sessions and ends those that nobody has refreshed in time.
    pub(super) fn check_clocks(&mut self, now: Instant) {
        let mut due = Vec::new();
        for leg in &mut self.legs {
            let Some(clock) = leg.clock.as_mut() else {
                continue;
            };
            let again = clock.again.take_if(|at| *at <= now).is_some();
            match clock.refresh.handle_timeout(now) {
                Some(what) => due.push((leg.id, what)),
                None if again => due.push((leg.id, Due::Refresh)),
                None => {}
            }
        }
        for (id, what) in due {
            match what {
                Due::Refresh => self.refresh_session(now, id),
                Due::Expired => self.session_expired(now, id),
            }
        }
    }

    fn refresh_session(&mut self, now: Instant, id: DialogId) {
        if self.ending.is_some() || !self.leg(id).is_some_and(Leg::is_alive) {
            return self.stop_clock(id);
        }
        // Without an offer, or with the one that stands (RFC 4028, 7.4).
        match self.update(now, id, None, &Headers::new()) {
            Ok(()) => {
                if let Some(clock) = self.leg_mut(id).and_then(|leg| leg.clock.as_mut()) {
                    clock.is_asking = true;
                }
            }
            Err(_) => self.try_refresh_again(now, id),
        }
    }

    /// A refresh met another request: it goes again as after a 491 (RFC 3261, 14.1).
    fn try_refresh_again(&mut self, now: Instant, id: DialogId) {
        let delay = glare_delay(&mut self.rng, self.is_outgoing);
        // A random moment of zero would be a loop.
        let again = now.checked_add(delay.max(LEAST_PAUSE));
        if let Some(clock) = self.leg_mut(id).and_then(|leg| leg.clock.as_mut()) {
            clock.again = again;
        }
    }

    /// A re-INVITE or UPDATE of ours failed without ending the call. If it was to refresh the session,
    /// that is not over before its time: what passes is tried again (RFC 4028, 10). An offer of the
    /// application is the application's to repeat, and the refresh stays due when it was.
    pub(super) fn refresh_failed(
        &mut self,
        now: Instant,
        id: DialogId,
        status: Status,
        retry_after: Option<Duration>,
    ) {
        let is_refresh = self
            .leg_mut(id)
            .and_then(|leg| leg.clock.as_mut())
            .is_some_and(|clock| mem::take(&mut clock.is_asking));
        if !is_refresh {
            return;
        }
        match (status, retry_after) {
            (Status::REQUEST_PENDING, _) => self.try_refresh_again(now, id),
            (_, Some(wait)) => {
                if let Some(clock) = self.leg_mut(id).and_then(|leg| leg.clock.as_mut()) {
                    clock.again = now.checked_add(wait.max(LEAST_PAUSE));
                }
            }
            (_, None) => {
                if let Some(clock) = self.leg_mut(id).and_then(|leg| leg.clock.as_mut()) {
                    // The second failure lets the session expire.
                    clock.refresh.fail(now, None);
                }
            }
        }
    }

    fn session_expired(&mut self, now: Instant, id: DialogId) {
        self.stop_clock(id);
        if self.confirmed != Some(id) {
            return;
        }
        let mut ending = Ending::new(Originator::Local, EndCause::SessionExpired);
        ending.reason_header = Some(EXPIRED.to_owned());
        self.end_by(now, ending);
    }

    /// Makes a request that met 422 ready to go again, with the interval that the peer wants (RFC 4028,
    /// 7.3). `asked`: the interval of the request. `None` if the response asks for nothing new.
    pub(super) fn lengthen(
        &mut self,
        kind: Kind,
        asked: Option<u32>,
        response: &Response,
        headers: &mut Headers,
    ) -> Option<u32> {
        let wanted = response.headers.typed::<MinSe>()?.ok()?.0;
        if asked.is_some_and(|asked| wanted <= asked) {
            return None;
        }
        if let Kind::Reinvite(id) | Kind::Update(id) = kind
            && let Some(leg) = self.leg_mut(id)
        {
            leg.min_se = leg.min_se.max(wanted);
        }
        let refresher = headers
            .typed::<SessionExpires>()
            .and_then(Result::ok)
            .and_then(|old| old.refresher);
        headers.insert(HeaderName::MinSe, MinSe(wanted));
        headers.insert(
            HeaderName::SessionExpires,
            SessionExpires {
                seconds: wanted,
                refresher,
            },
        );
        Some(wanted)
    }
}

impl Leg {
    /// When the session of this dialog wants something.
    pub(super) fn clock_timeout(&self) -> Option<Instant> {
        let clock = self.clock.as_ref()?;
        let refresh = clock.refresh.poll_timeout().map(|deadline| deadline.at);
        [refresh, clock.again].into_iter().flatten().min()
    }

    /// Remembers the shortest interval that the path of a request wants (RFC 4028, 7.4).
    pub(super) fn note_min_se(&mut self, headers: &Headers) {
        if let Some(Ok(MinSe(seconds))) = headers.typed::<MinSe>() {
            self.min_se = self.min_se.max(seconds);
        }
    }
}

/// Seconds; below it a refresh would follow the other.
const LEAST_INTERVAL: u32 = 4;
/// Between two tries of a refresh.
const LEAST_PAUSE: Duration = Duration::from_millis(500);
const EXPIRED: &str = "SIP;cause=408;text=\"Session Expired\"";
