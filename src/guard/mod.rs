//! The local trigger: the same fault, the same request, without Prometheus or Alertmanager. [`judge`] is pure; `run`
//! is the loop around it. The guard only *asks*: interlocks, silences and the chain's fence decide as for a webhook.

mod judge;
mod run;

pub use judge::{Facts, Silence, Why, judge};
pub use run::{Ears, Guard, LastRequest};
