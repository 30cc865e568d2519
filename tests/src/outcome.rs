//! How runs ended: a histogram with floors.

use std::{collections::BTreeMap, fmt};

/// How the runs of a scenario ended, for each condition under which they were made.
///
/// ```
/// let mut outcomes = simulator::Outcomes::new("call");
/// outcomes.floor("no loss", "connected", 1.0);
/// outcomes.count("no loss", "connected");
/// assert_eq!(outcomes.failures(), Vec::<String>::new());
/// outcomes.count("no loss", "408");
/// assert_eq!(outcomes.failures().len(), 1);
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Outcomes {
    scenario: String,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
    floors: BTreeMap<String, (String, f64)>,
}

impl Outcomes {
    /// Makes an empty histogram.
    pub fn new(scenario: &str) -> Self {
        Self {
            scenario: scenario.to_owned(),
            counts: BTreeMap::new(),
            floors: BTreeMap::new(),
        }
    }

    /// Demands that under `condition` at least `share` of the runs end in `outcome`. Below 1 a single
    /// run may always end otherwise: of a few, chance may take one.
    pub fn floor(&mut self, condition: &str, outcome: &str, share: f64) {
        let floor = (outcome.to_owned(), share);
        self.floors.insert(condition.to_owned(), floor);
    }

    /// Counts a run.
    pub fn count(&mut self, condition: &str, outcome: &str) {
        let condition = self.counts.entry(condition.to_owned()).or_default();
        *condition.entry(outcome.to_owned()).or_default() += 1;
    }

    /// Says which floors are not reached.
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        for (condition, (outcome, floor)) in &self.floors {
            let Some(counts) = self.counts.get(condition) else {
                continue;
            };
            let all: u64 = counts.values().sum();
            let these = counts.get(outcome).copied().unwrap_or_default();
            let allowed = (all as f64 * (1.0 - floor)).ceil() as u64;
            if all - these > allowed {
                let share = these as f64 / all as f64;
                let scenario = &self.scenario;
                failures.push(format!(
                    "{scenario}, {condition}: {outcome} {share:.4}, floor {floor}"
                ));
            }
        }
        failures
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (condition, counts) in &self.counts {
            let all: u64 = counts.values().sum();
            write!(f, "{:<12} {condition:<28} {all:>7} runs:", self.scenario)?;
            for (outcome, count) in counts {
                let percent = 100.0 * *count as f64 / all as f64;
                write!(f, "  {outcome} {percent:.2} %")?;
            }
            match self.floors.get(condition) {
                Some((outcome, floor)) => {
                    writeln!(f, "  (floor: {outcome} {} %)", floor * 100.0)?;
                }
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}
