//! What a row of the matrix is made of. Pure data.

use super::bounds::Part;
use crate::rig::relay::Manner;

/// One thing that breaks, and who must hear of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// What is broken, as the page says it. Also the row's name.
    pub(crate) name: &'static str,
    /// Which of [`ITEMS`] it stands for.
    pub(crate) item: &'static str,
    /// One after the other; time counts from the last.
    pub(crate) breaks: &'static [Break],
    /// All of them must hear.
    pub(crate) hears: &'static [Hears],
    /// None of them may.
    pub(crate) spared: &'static [Receiver],
    /// What a reader should know beside it.
    pub(crate) note: &'static str,
    /// Production moves to the standby; in every other row it must stay.
    pub(crate) moves: bool,
    /// It is mended afterwards, and the all-clear arrives (soak only).
    pub(crate) mends: bool,
    /// The endpoints send a `Date`, as behind a proxy.
    pub(crate) dates: bool,
    /// Runs in `make test`, too.
    pub(crate) in_test: bool,
}

/// Everything that may be broken, as it was asked for.
pub(crate) const ITEMS: [&str; 16] = [
    "exporter killed",
    "restart loop at start",
    "config broken on reload",
    "one RPC dead",
    "all RPC dead",
    "RPC moved from http to https",
    "Prometheus killed",
    "Prometheus frozen",
    "Alertmanager killed",
    "webhook token wrong",
    "actuator killed",
    "actuator disarmed and forgotten",
    "disk full",
    "clock off",
    "network cut between any two parts",
    "beyond",
];

/// A row to begin with.
pub(crate) const ROW: Row = Row {
    name: "",
    item: "beyond",
    breaks: &[],
    hears: &[],
    spared: &[],
    note: "",
    moves: false,
    mends: true,
    dates: false,
    in_test: false,
};

/// Who hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Receiver {
    /// Prometheus → Alertmanager → PagerDuty.
    Pager,
    /// Prometheus → Alertmanager → Slack.
    Chat,
    /// slotkeeper → PagerDuty, past both.
    Own,
    /// The checker elsewhere, which rings when it is no longer pinged.
    OffSite,
}

/// One receiver, what it is told, and how soon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hears {
    pub(crate) who: Receiver,
    /// Name of the alert; the words, when slotkeeper tells it itself.
    pub(crate) what: &'static str,
    pub(crate) within: &'static [Part],
    /// It looks back over minutes: its end is not waited for.
    pub(crate) lingers: bool,
}

/// A thing that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// SIGKILL.
    Kill(Process),
    /// SIGSTOP: it is there and does nothing.
    Freeze(Process),
    /// Nothing comes through.
    Cut(Link, Manner),
    /// These endpoints do so.
    Rpc(&'static [&'static str], Ill),
    /// slotkeeper is killed and cannot start with what its configuration has become; systemd tries again and again.
    CannotStart,
    /// slotkeeper starts well and dies two seconds later; systemd tries again and again.
    DiesSoon,
    /// slotkeeper is killed and started again, once.
    Restart,
    /// The configuration is spoiled and slotkeeper told to reload.
    BadReload,
    /// Alertmanager's copy of the token is another.
    WrongToken,
    /// `slotkeeper disarm`.
    Disarm,
    /// No byte is left on the disk of the state file and the log.
    FillDisk,
    /// slotkeeper's host is so many seconds ahead of the world.
    Clock(i64),
    /// The producing node dies.
    CrashPrimary,
}

/// A process of the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Process {
    /// Exporter and actuator are one process.
    Slotkeeper,
    /// The same, while a second slotkeeper, which only watches, goes on exporting.
    Actuator,
    Prometheus,
    Alertmanager,
}

/// A way between two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Link {
    /// slotkeeper → RPC endpoints.
    Rpc,
    /// slotkeeper → the producing node's probe.
    Primary,
    /// slotkeeper → the standby's probe.
    Standby,
    /// Prometheus → slotkeeper.
    Scrape,
    /// Prometheus → Alertmanager.
    Alerts,
    /// Alertmanager → slotkeeper.
    Webhook,
    /// slotkeeper → Alertmanager.
    Asking,
    /// Alertmanager → PagerDuty and Slack.
    People,
    /// slotkeeper → PagerDuty.
    OwnPeople,
    /// slotkeeper → the checker elsewhere.
    OffSite,
}

pub(crate) const LINKS: [Link; 10] = [
    Link::Rpc,
    Link::Primary,
    Link::Standby,
    Link::Scrape,
    Link::Alerts,
    Link::Webhook,
    Link::Asking,
    Link::People,
    Link::OwnPeople,
    Link::OffSite,
];

/// What endpoints do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ill {
    Dead,
    /// 301 to https, where nobody speaks TLS.
    MovedToHttps,
}

// === impl Hears ===

pub(crate) const fn pager(alert: &'static str, within: &'static [Part]) -> Hears {
    Hears {
        who: Receiver::Pager,
        what: alert,
        within,
        lingers: false,
    }
}

pub(crate) const fn chat(alert: &'static str, within: &'static [Part]) -> Hears {
    Hears {
        who: Receiver::Chat,
        what: alert,
        within,
        lingers: false,
    }
}

pub(crate) const fn own(words: &'static str, within: &'static [Part]) -> Hears {
    Hears {
        who: Receiver::Own,
        what: words,
        within,
        lingers: false,
    }
}

pub(crate) const fn off_site(within: &'static [Part]) -> Hears {
    Hears {
        who: Receiver::OffSite,
        what: "no ping",
        within,
        lingers: false,
    }
}

impl Hears {
    pub(crate) const fn lingers(mut self) -> Self {
        self.lingers = true;
        self
    }
}

impl Receiver {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Pager => "PagerDuty, by Alertmanager",
            Self::Chat => "Slack, by Alertmanager",
            Self::Own => "PagerDuty, by slotkeeper",
            Self::OffSite => "the off-site checker",
        }
    }
}
