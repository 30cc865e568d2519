//! Who hears whom: bridges, their members, and the groups that follow from them.

use std::collections::{BTreeMap, BTreeSet};

/// Names a port of one mixer; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId {
    pub(crate) mixer: u32,
    pub(crate) number: u32,
}

/// Names a bridge of one mixer; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BridgeId {
    pub(crate) mixer: u32,
    pub(crate) number: u32,
}

/// Is what can be in a bridge: a port, or another bridge with all that is in it (ABR-02).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// A port.
    Port(PortId),
    /// A bridge.
    Bridge(BridgeId),
}

impl From<PortId> for Member {
    fn from(port: PortId) -> Self {
        Self::Port(port)
    }
}

impl From<BridgeId> for Member {
    fn from(bridge: BridgeId) -> Self {
        Self::Bridge(bridge)
    }
}

/// Says why a bridge could not be changed; then nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// The mixer has no such bridge: it is closed, or another mixer's (ABR-07).
    #[error("this mixer has no such bridge")]
    UnknownBridge,
    /// The mixer has no such port: it is gone, or another mixer's (ABR-07).
    #[error("this mixer has no such port")]
    UnknownPort,
    /// Only a member can leave (ABR-06).
    #[error("not a member of that bridge")]
    NotMember,
    /// There would be two ways from one port to another, or one to itself: it would be heard
    /// twice, or hear its own echo (BUG-17).
    #[error("the bridges would form a cycle")]
    Cycle,
}

/// Knows all bridges of a mixer.
///
/// Bridges within bridges form trees, and a port is in each tree at most once. So all ports of a
/// tree hear each other exactly once, and a tree can be mixed as one group.
#[derive(Debug, Default)]
pub(crate) struct Bridges {
    members: BTreeMap<BridgeId, BTreeSet<Member>>,
}

impl Bridges {
    pub(crate) fn insert(&mut self, bridge: BridgeId) {
        self.members.insert(bridge, BTreeSet::new());
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }

    /// Unlinks all members, and the bridge itself from those that it is in.
    pub(crate) fn close(&mut self, bridge: BridgeId) -> Result<(), BridgeError> {
        let known = self.members.remove(&bridge);
        known.ok_or(BridgeError::UnknownBridge)?;
        self.forget(Member::Bridge(bridge));
        Ok(())
    }

    /// Takes a member out of all bridges.
    pub(crate) fn forget(&mut self, member: Member) {
        for members in self.members.values_mut() {
            members.remove(&member);
        }
    }

    /// Adds a member, which the mixer knows; a second time has no effect (ABR-05).
    pub(crate) fn join(&mut self, bridge: BridgeId, member: Member) -> Result<(), BridgeError> {
        if self.of(bridge)?.contains(&member) {
            return Ok(());
        }
        let tree = self.tree(bridge);
        let ports = self.ports(&tree);
        let is_double = match member {
            Member::Port(port) => ports.contains(&port),
            Member::Bridge(inner) => {
                self.of(inner)?;
                let other = self.tree(inner);
                tree.contains(&inner) || !ports.is_disjoint(&self.ports(&other))
            }
        };
        if is_double {
            return Err(BridgeError::Cycle);
        }
        self.members.entry(bridge).or_default().insert(member);
        Ok(())
    }

    /// Takes a member out of one bridge.
    pub(crate) fn leave(&mut self, bridge: BridgeId, member: Member) -> Result<(), BridgeError> {
        let members = self.members.get_mut(&bridge);
        let members = members.ok_or(BridgeError::UnknownBridge)?;
        if members.remove(&member) {
            Ok(())
        } else {
            Err(BridgeError::NotMember)
        }
    }

    pub(crate) fn of(&self, bridge: BridgeId) -> Result<&BTreeSet<Member>, BridgeError> {
        self.members.get(&bridge).ok_or(BridgeError::UnknownBridge)
    }

    /// Lists the groups of ports that hear each other.
    pub(crate) fn groups(&self) -> Vec<Vec<PortId>> {
        let mut seen = BTreeSet::new();
        let mut groups = Vec::new();
        for &bridge in self.members.keys() {
            if seen.contains(&bridge) {
                continue;
            }
            let tree = self.tree(bridge);
            let ports: Vec<PortId> = self.ports(&tree).into_iter().collect();
            seen.extend(tree);
            // Alone there is nobody to hear, but a recorder still gets its silence.
            if !ports.is_empty() {
                groups.push(ports);
            }
        }
        groups
    }

    /// Collects all bridges that are connected with this one, inwards and outwards.
    fn tree(&self, bridge: BridgeId) -> BTreeSet<BridgeId> {
        let mut tree = BTreeSet::from([bridge]);
        let mut open = vec![bridge];
        while let Some(bridge) = open.pop() {
            for (&other, members) in &self.members {
                let is_inner = self
                    .members
                    .get(&bridge)
                    .is_some_and(|members| members.contains(&Member::Bridge(other)));
                let is_outer = members.contains(&Member::Bridge(bridge));
                if (is_inner || is_outer) && tree.insert(other) {
                    open.push(other);
                }
            }
        }
        tree
    }

    fn ports(&self, tree: &BTreeSet<BridgeId>) -> BTreeSet<PortId> {
        let bridges = tree.iter().filter_map(|bridge| self.members.get(bridge));
        let ports = bridges.flatten().filter_map(|&member| match member {
            Member::Port(port) => Some(port),
            Member::Bridge(_) => None,
        });
        ports.collect()
    }
}
