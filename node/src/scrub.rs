//! `[scrub]` of node.toml: how the ledger is looked through for damage while the node serves.

use std::time::Duration;

use daruma_driver::{ScrubControl, ScrubSettings};
use daruma_rpc_server::ScrubState;
use serde::Deserialize;

use crate::config::{ConfigError, field};

/// Rows in a second: with fewer than 1 a pass never ends; more than 100,000 no disk gives.
const ROWS_PER_SECOND: (u32, u32) = (1, 100_000);

/// The longest time between two passes, 30 days: damage should be found while other replicas are sound.
const PAUSE_SECONDS_MAX: u64 = 30 * 24 * 3600;

/// How the ledger is looked through while the node serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScrubConfig {
    /// Whether it is, from the start on; default true.
    pub enabled: bool,
    /// Rows read in a second, at most: 1 to 100,000, default 1,000, which takes some hundredths of a core. A
    /// block with what follows from it is 5 rows and one for each transaction.
    pub rows_per_second: u32,
    /// Seconds from the end of one pass to the beginning of the next: at most 30 days, default 600.
    pub pause_seconds: u64,
}

impl Default for ScrubConfig {
    fn default() -> Self {
        Self { enabled: true, rows_per_second: 1000, pause_seconds: 600 }
    }
}

impl ScrubConfig {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let (min, max) = ROWS_PER_SECOND;
        if !(min..=max).contains(&self.rows_per_second) {
            let found = self.rows_per_second.to_string();
            return Err(field("scrub.rows_per_second", found, format!("{min} to {max}")));
        }
        if self.pause_seconds > PAUSE_SECONDS_MAX {
            let found = self.pause_seconds.to_string();
            return Err(field("scrub.pause_seconds", found, format!("0 to {PAUSE_SECONDS_MAX}")));
        }
        Ok(())
    }

    pub(crate) const fn settings(&self) -> ScrubSettings {
        ScrubSettings {
            enabled: self.enabled,
            rows_per_second: self.rows_per_second,
            pause: Duration::from_secs(self.pause_seconds),
        }
    }
}

/// How far the scrubber is, for the RPC server; paused or resumed before if that was asked for.
pub(crate) fn state(control: &ScrubControl, pause: Option<bool>) -> ScrubState {
    if let Some(pause) = pause {
        tracing::info!(pause, "the scrubber was told to");
        control.pause(pause);
    }
    let progress = control.progress();
    ScrubState {
        paused: progress.paused,
        pass: progress.pass,
        table: progress.table.to_owned(),
        height: progress.height,
        rows: progress.rows,
        rows_per_second: progress.rows_per_second,
        findings: progress.findings,
        last_pass_ms: (progress.last_pass_ms > 0).then_some(progress.last_pass_ms),
        last_pass_took_ms: progress.last_pass_took_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_their_ranges_are_refused_with_the_range() {
        for (scrub, said) in [
            ("rows_per_second = 0", "scrub.rows_per_second: found 0; allowed: 1 to 100000"),
            (
                "pause_seconds = 2592001",
                "scrub.pause_seconds: found 2592001; allowed: 0 to 2592000",
            ),
        ] {
            let config: ScrubConfig = toml::from_str(scrub).unwrap();
            assert_eq!(config.check().unwrap_err().to_string(), said);
        }
        let config: ScrubConfig = toml::from_str("pause_seconds = 0").unwrap();
        assert_eq!(config, ScrubConfig { pause_seconds: 0, ..ScrubConfig::default() });
        assert!(config.check().is_ok());
    }
}
