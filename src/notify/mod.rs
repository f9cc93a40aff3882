//! Direct escalation: tells people when Alertmanager cannot be relied on, and tells those who watch us from outside that
//! we live. It reads pictures and figures that the other rooms publish, and sends messages.
//!
//! It has no way to a switch: it is given no actuator, only the figures that one publishes, and of the journal only the
//! few values it keeps there ([`Memory`]). An overdue heartbeat escalates; whether anybody acts on it is the guard's.
//!
//! ```text
//! facts ─▶ conditions ─▶ episodes ─▶ board ─┬▶ desk of oncall ─▶ PagerDuty
//!   each second, pure    pure, once each    └▶ desk of ops    ─▶ Slack          each a task of its own
//! ```
//!
//! | file | what |
//! |---|---|
//! | `facts` | what is known at one moment, and where it is gathered |
//! | `conditions` | facts → what is wrong: pure |
//! | `episodes` | what is wrong → when it began to count and when it is over: pure |
//! | `notices` | what is told once: switches, other people's changes |
//! | `desk` | one receiver: what is it sent next, and when? pure |
//! | `message` | what is sent, in words |
//! | `receiver` | one file for each way to reach somebody |
//! | `deliver` | the loop of one receiver |
//! | `engine` | the loop that fills the board |
//! | `keep` | what outlives a restart |
//! | `health`, `ping` | is all well? then checkers elsewhere are pinged |
//! | `systemd` | ready, status, watchdog |
//!
//! Each receiver is told from the board, not from a stream: what could not be delivered stays due as long as it stands,
//! and a receiver that is down holds up no other. It is noted as told when the receiver has taken it; between that and
//! the note a crash of this process makes it told twice, never not at all.

mod conditions;
mod deliver;
mod desk;
mod engine;
mod episodes;
mod facts;
mod health;
mod keep;
mod message;
mod notices;
mod ping;
pub mod receiver;
mod systemd;

pub use deliver::TIMEOUT;
pub use engine::{Loop, Parts, start};
pub use facts::Sources;
pub use keep::{Kept, Memory};
pub use message::{Act, Message};
pub use systemd::Systemd;
