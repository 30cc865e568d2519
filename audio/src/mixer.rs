//! Moves sound between ports.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::bridge::{BridgeError, BridgeId, Bridges, Member, PortId};
use crate::port::AudioPort;
use crate::resample::RateError;

/// Is the machine that mixes: all ports and bridges of one sample rate (MIX-01).
///
/// Add ports, open bridges, let ports [`join`](Self::join) them; then call [`tick`](Self::tick)
/// every [`TICK`]. Each tick takes 10 ms of sound from every port and gives to each what all
/// others in its bridges say, never what it says itself (ABR-01). It reads no clock and blocks on
/// nothing; [`Engine`](crate::engine::Engine) is the thread that runs one in real time.
pub struct Mixer {
    rate: u32,
    /// Tells this mixer's ids from those of others.
    id: u32,
    last_number: u32,
    ports: BTreeMap<PortId, Slot>,
    bridges: Bridges,
    /// What everybody in a group says together.
    groups: Vec<Vec<i32>>,
    /// The groups must be found again.
    is_rewired: bool,
    /// What one port is to hear, before and after clipping.
    total: Vec<i32>,
    mixed: Vec<i16>,
    stats: MixerStats,
}

/// Says how loud a port is, and whether it takes part at all (ADV-02, ADV-03, MIX-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortSettings {
    /// Others hear this port.
    pub speaks: bool,
    /// This port hears others.
    pub hears: bool,
    /// How loud others hear it, in percent; more than 100 amplifies.
    pub spoken_volume: u16,
    /// How loud it hears others, in percent; more than 100 amplifies.
    pub heard_volume: u16,
}

impl Default for PortSettings {
    fn default() -> Self {
        Self {
            speaks: true,
            hears: true,
            spoken_volume: 100,
            heard_volume: 100,
        }
    }
}

/// Counts what a mixer has and does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MixerStats {
    /// Ticks made.
    pub ticks: u64,
    /// Ports there are.
    pub ports: usize,
    /// Open bridges.
    pub bridges: usize,
    /// Samples that were too loud and had to be clipped.
    pub clipped: u64,
}

/// Says that a mixer has [`Mixer::MAX_PORTS`] already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mixer has at most {} ports", Mixer::MAX_PORTS)]
pub struct Full;

/// The length of one tick.
pub const TICK: Duration = Duration::from_millis(10);

impl Mixer {
    /// The most ports of one mixer: what a core can decode and encode in real time, and far more
    /// than the 254 of the documents (MIX-03).
    pub const MAX_PORTS: usize = 4_096;

    /// Makes a mixer without ports that runs at a multiple of 100 Hz, from 8 to 48 kHz.
    ///
    /// # Errors
    /// [`RateError`] for any other rate.
    pub fn new(rate: u32) -> Result<Self, RateError> {
        if !(8_000..=48_000).contains(&rate) || !rate.is_multiple_of(100) {
            return Err(RateError(rate));
        }
        Ok(Self {
            rate,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            last_number: 0,
            ports: BTreeMap::new(),
            bridges: Bridges::default(),
            groups: Vec::new(),
            is_rewired: false,
            total: vec![0; rate as usize / 100],
            mixed: vec![0; rate as usize / 100],
            stats: MixerStats::default(),
        })
    }

    /// Returns samples a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Takes a port; it is in no bridge yet.
    ///
    /// # Errors
    /// [`Full`] beyond [`MAX_PORTS`](Self::MAX_PORTS).
    pub fn add(&mut self, port: impl AudioPort) -> Result<PortId, Full> {
        if self.ports.len() >= Self::MAX_PORTS {
            return Err(Full);
        }
        let id = PortId {
            mixer: self.id,
            number: self.number(),
        };
        let slot = Slot {
            port: Box::new(port),
            settings: PortSettings::default(),
            spoken: vec![0; self.mixed.len()],
            groups: Vec::new(),
        };
        self.ports.insert(id, slot);
        Ok(id)
    }

    /// Lets go of a port; it leaves all its bridges (ABR-03).
    pub fn remove(&mut self, port: PortId) -> Option<Box<dyn AudioPort>> {
        let slot = self.ports.remove(&port)?;
        self.bridges.forget(port.into());
        self.is_rewired = true;
        Some(slot.port)
    }

    /// Gives access to a port, if it is there and of that type.
    pub fn port<T: AudioPort>(&mut self, port: PortId) -> Option<&mut T> {
        let port: &mut dyn Any = self.ports.get_mut(&port)?.port.as_mut();
        port.downcast_mut()
    }

    /// Returns a port's settings, if it is there.
    pub fn settings(&self, port: PortId) -> Option<PortSettings> {
        Some(self.ports.get(&port)?.settings)
    }

    /// Changes a port's settings, from the next tick on.
    ///
    /// # Errors
    /// [`BridgeError::UnknownPort`] if there is no such port.
    pub fn set(&mut self, port: PortId, settings: PortSettings) -> Result<(), BridgeError> {
        let slot = self.ports.get_mut(&port);
        slot.ok_or(BridgeError::UnknownPort)?.settings = settings;
        Ok(())
    }

    /// Opens a bridge, in which all members hear each other (ABR-04).
    pub fn open_bridge(&mut self) -> BridgeId {
        let bridge = BridgeId {
            mixer: self.id,
            number: self.number(),
        };
        self.bridges.insert(bridge);
        bridge
    }

    /// Closes a bridge; its members stay, unlinked (ABR-07).
    ///
    /// # Errors
    /// [`BridgeError::UnknownBridge`] if there is no such bridge.
    pub fn close_bridge(&mut self, bridge: BridgeId) -> Result<(), BridgeError> {
        self.bridges.close(bridge)?;
        self.is_rewired = true;
        Ok(())
    }

    /// Adds a port, or a bridge, to a bridge; a second time has no effect (ABR-05).
    ///
    /// # Errors
    /// [`BridgeError`] if one of them is not of this mixer, or if a cycle would form.
    pub fn join(&mut self, bridge: BridgeId, member: impl Into<Member>) -> Result<(), BridgeError> {
        let member = member.into();
        if let Member::Port(port) = member
            && !self.ports.contains_key(&port)
        {
            return Err(BridgeError::UnknownPort);
        }
        self.bridges.join(bridge, member)?;
        self.is_rewired = true;
        Ok(())
    }

    /// Takes a port, or a bridge, out of a bridge (ABR-06).
    ///
    /// # Errors
    /// [`BridgeError`] if there is no such bridge or no such member in it.
    pub fn leave(
        &mut self,
        bridge: BridgeId,
        member: impl Into<Member>,
    ) -> Result<(), BridgeError> {
        self.bridges.leave(bridge, member.into())?;
        self.is_rewired = true;
        Ok(())
    }

    /// Lists the members of a bridge.
    ///
    /// # Errors
    /// [`BridgeError::UnknownBridge`] if there is no such bridge.
    pub fn members(&self, bridge: BridgeId) -> Result<Vec<Member>, BridgeError> {
        Ok(self.bridges.of(bridge)?.iter().copied().collect())
    }

    /// Moves 10 ms of sound.
    pub fn tick(&mut self, now: Instant) {
        self.stats.ticks += 1;
        let mut finished = Vec::new();
        for (&id, slot) in &mut self.ports {
            slot.port.begin(now);
            if slot.port.is_finished() {
                finished.push(id);
            }
        }
        for id in finished {
            self.remove(id);
        }
        if self.is_rewired {
            self.rewire();
        }
        for sum in &mut self.groups {
            sum.fill(0);
        }
        for slot in self.ports.values_mut() {
            slot.speak(&mut self.groups);
        }
        for slot in self.ports.values_mut() {
            if slot.settings.hears && !slot.groups.is_empty() {
                let (total, mixed) = (&mut self.total, &mut self.mixed);
                self.stats.clipped += slot.hear(&self.groups, total, mixed);
            }
        }
    }

    /// Counts what there is and what was done.
    pub fn stats(&self) -> MixerStats {
        MixerStats {
            ports: self.ports.len(),
            bridges: self.bridges.len(),
            ..self.stats
        }
    }

    fn rewire(&mut self) {
        self.is_rewired = false;
        for slot in self.ports.values_mut() {
            slot.groups.clear();
        }
        let groups = self.bridges.groups();
        self.groups
            .resize_with(groups.len(), || vec![0; self.mixed.len()]);
        for (group, ports) in groups.into_iter().enumerate() {
            for port in ports {
                if let Some(slot) = self.ports.get_mut(&port) {
                    slot.groups.push(group);
                }
            }
        }
    }

    fn number(&mut self) -> u32 {
        self.last_number = self
            .last_number
            .checked_add(1)
            .expect("fewer than 2^32 ids");
        self.last_number
    }
}

impl std::fmt::Debug for Mixer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mixer")
            .field("rate", &self.rate)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

struct Slot {
    port: Box<dyn AudioPort>,
    settings: PortSettings,
    /// What the port said in this tick.
    spoken: Vec<i16>,
    /// The groups that it is in.
    groups: Vec<usize>,
}

impl Slot {
    /// Takes what the port says and adds it to its groups.
    fn speak(&mut self, sums: &mut [Vec<i32>]) {
        // A port's time goes by whether anybody hears it or not.
        self.port.pull(&mut self.spoken);
        if !self.settings.speaks {
            self.spoken.fill(0);
            return;
        }
        let volume = i32::from(self.settings.spoken_volume);
        if volume != 100 {
            for sample in &mut self.spoken {
                *sample = saturated(i32::from(*sample) * volume / 100);
            }
        }
        for &group in &self.groups {
            for (sum, &sample) in sums[group].iter_mut().zip(&self.spoken) {
                *sum += i32::from(sample);
            }
        }
    }

    /// Gives the port what all others in its groups say; counts clipped samples.
    fn hear(&mut self, sums: &[Vec<i32>], total: &mut [i32], mixed: &mut [i16]) -> u64 {
        let own = self.groups.len() as i32;
        for (total, &sample) in total.iter_mut().zip(&self.spoken) {
            *total = -i32::from(sample) * own;
        }
        for &group in &self.groups {
            for (total, &sum) in total.iter_mut().zip(&sums[group]) {
                *total += sum;
            }
        }
        let volume = i64::from(self.settings.heard_volume);
        if volume != 100 {
            for total in total.iter_mut() {
                let scaled = i64::from(*total) * volume / 100;
                *total = scaled.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            }
        }
        let mut clipped = 0u16;
        for (sample, &total) in mixed.iter_mut().zip(&*total) {
            *sample = saturated(total);
            clipped += u16::from(i32::from(*sample) != total);
        }
        self.port.push(mixed);
        clipped.into()
    }
}

fn saturated(sample: i32) -> i16 {
    sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

static NEXT_ID: AtomicU32 = AtomicU32::new(1);

#[cfg(test)]
mod tests;
