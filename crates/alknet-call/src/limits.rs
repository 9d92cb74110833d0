//! What a peer may use up.

use std::time::Duration;

use alknet_core::at_least;
use serde::Deserialize;

use crate::wire::DEFAULT_MAX_FRAME;

/// The limits of the call protocol, as the `[call]` section of the configuration has them. All are on by default.
///
/// ```
/// use alknet_call::CallLimits;
/// let limits: CallLimits = toml::from_str("call_timeout_seconds = 5")?;
/// assert_eq!((limits.call_timeout_seconds, limits.max_call_seconds), (5, 300));
/// assert!(toml::from_str::<CallLimits>("max_concurrent_calls = 0").is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallLimits {
    /// The longest frame that is taken or sent, in bytes; at least 4096. Default: 16 MiB.
    #[serde(deserialize_with = "at_least::<{ MIN_FRAME as u64 }, _, _>")]
    pub max_frame_bytes: u32,
    /// How long a frame may take to arrive once its first byte has, and how long a write may go without progress.
    /// Default: 30.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub frame_timeout_seconds: u32,
    /// How many calls of one stream run at the same time; beyond that its requests wait. Default: 64.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_concurrent_calls: u32,
    /// How many subscriptions of one connection run at the same time; beyond that they are refused. Default: 1024.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_subscriptions: u32,
    /// How many bytes of events a subscription of ours may be sent before they are taken; at least 4096. Default: 256 KiB.
    #[serde(deserialize_with = "at_least::<{ MIN_FRAME as u64 }, _, _>")]
    pub subscription_window_bytes: u32,
    /// How long a call may take if its caller does not say. Default: 30.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub call_timeout_seconds: u32,
    /// How long a call may take at most, whatever its caller says. Default: 300.
    #[serde(deserialize_with = "at_least::<1, _, _>")]
    pub max_call_seconds: u32,
    /// How many bytes all connections of unknown peers together may hold in frames of more than 64 KiB. A connection of a
    /// known peer has twice the longest frame for itself. Default: 64 MiB.
    pub stranger_budget_bytes: u32,
}

/// Any error message goes into a frame of this length.
const MIN_FRAME: u32 = 4096;

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            max_frame_bytes: DEFAULT_MAX_FRAME as u32,
            frame_timeout_seconds: 30,
            max_concurrent_calls: 64,
            max_subscriptions: 1024,
            subscription_window_bytes: 256 * 1024,
            call_timeout_seconds: 30,
            max_call_seconds: 300,
            stranger_budget_bytes: 64 * 1024 * 1024,
        }
    }
}

impl CallLimits {
    pub(crate) fn max_frame(&self) -> usize {
        self.max_frame_bytes.max(MIN_FRAME) as usize
    }

    pub(crate) fn frame_timeout(&self) -> Duration {
        Duration::from_secs(self.frame_timeout_seconds.into())
    }

    pub(crate) fn concurrent_calls(&self) -> usize {
        self.max_concurrent_calls.max(1) as usize
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.max_subscriptions.max(1) as usize
    }

    pub(crate) fn max_call_time(&self) -> Duration {
        Duration::from_secs(self.max_call_seconds.into())
    }

    /// The time that a call gets whose caller asks for `wanted`.
    pub(crate) fn call_time(&self, wanted: Option<Duration>) -> Duration {
        let default = Duration::from_secs(self.call_timeout_seconds.into());
        wanted.unwrap_or(default).min(self.max_call_time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_gets_what_it_asks_for_up_to_the_limit() {
        let limits = CallLimits { max_call_seconds: 10, call_timeout_seconds: 5, ..CallLimits::default() };
        let seconds = |wanted: Option<u64>| limits.call_time(wanted.map(Duration::from_secs)).as_secs();
        assert_eq!((seconds(None), seconds(Some(2)), seconds(Some(u64::MAX))), (5, 2, 10));
    }

    #[test]
    fn what_makes_no_sense_is_refused_where_it_stands() {
        let error = |text: &str| toml::from_str::<CallLimits>(text).unwrap_err().to_string();
        assert!(error("max_frame_bytes = 100").contains("100 is too little; the least is 4096"));
        assert!(error("frame_timeout_seconds = 0").contains("line 1"));
        assert!(error("max_frame = 1").contains("unknown field"));
        assert_eq!(toml::from_str::<CallLimits>("").unwrap(), CallLimits::default());
    }
}
