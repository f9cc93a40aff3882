//! The rows of processes, configuration, endpoints, disk and clock. The ways between parts are in `cuts`.

use super::bounds::Part;
use super::bounds::Part::{
    BeatGivenUp, Evaluation, For, Grace, GroupWait, MaxAge, MaxSilence, NextBeat, Own, Ping,
    RestartPause, Scrape, ScrapePipeline,
};
use super::table::{Break, Ill, Process, ROW, Receiver, Row, chat, off_site, own, pager};

/// `poll_interval` here, a third of the block interval as by default.
const POLL: Part = Own(1, "poll");
/// slotkeeper's own loop that looks whether something is wrong.
const LOOK: Part = Own(1, "look");
/// How long slotkeeper lets it stand before it tells people itself.
const STANDS: Part = Own(60, "patience of slotkeeper");

const ALL_RPC: &[&str] = &["full1", "full2", "full3"];

/// All endpoints at once: what `all RPC dead` and 2018-07-28 have in common.
const BLIND: &[super::table::Hears] = &[
    pager(
        "SlotkeeperAllEndpointsDown",
        &[
            POLL,
            For("SlotkeeperAllEndpointsDown"),
            Scrape,
            Evaluation,
            GroupWait,
        ],
    ),
    own("no quorum on devnet", &[POLL, STANDS, LOOK]),
    off_site(&[POLL, Ping, Grace]),
];

const DOWN: &[Part] = &[For("SlotkeeperExporterDown"), Scrape, Evaluation, GroupWait];

/// The path is dead behind Alertmanager: it goes on sending what Prometheus said last, so the age tells.
const OLD_BEAT: &[super::table::Hears] = &[
    own("heartbeat prometheus-a is overdue", &[MaxAge, LOOK]),
    off_site(&[MaxAge, LOOK, Ping, Grace]),
];

/// Nothing arrives any more.
const NO_BEAT: &[super::table::Hears] = &[
    own("heartbeat prometheus-a is overdue", &[MaxSilence, LOOK]),
    off_site(&[MaxSilence, LOOK, Ping, Grace]),
];

/// The clock is off by more than `clock_skew` bears.
const UNABLE: super::table::Hears = pager(
    "SlotkeeperNotAble",
    &[
        BLOCK,
        POLL,
        For("SlotkeeperNotAble"),
        Scrape,
        Evaluation,
        GroupWait,
    ],
);
/// Of five producers that take turns, in an order that changes with each round.
const NEXT_SLOT: Part = Own(27, "until its next slot");
/// It shows with the next block.
const BLOCK: Part = Own(3, "block");

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "The producing node dies",
        breaks: &[Break::CrashPrimary],
        hears: &[
            own(
                "devnet/alice: a switch was sent",
                &[
                    NEXT_SLOT,
                    POLL,
                    Scrape,
                    Evaluation,
                    Own(2, "decide and send"),
                ],
            )
            .lingers(),
            chat(
                "SlotkeeperSwitched",
                &[
                    NEXT_SLOT,
                    POLL,
                    Scrape,
                    Evaluation,
                    Own(2, "decide and send"),
                    BLOCK,
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            )
            .lingers(),
        ],
        note: "What all of this is for: production moves to the standby, before the acting alert has waited for its `group_wait` \
               to people.",
        moves: true,
        mends: false,
        ..ROW
    },
    Row {
        name: "slotkeeper killed (exporter and actuator are one process)",
        item: "exporter killed",
        breaks: &[Break::Kill(Process::Slotkeeper)],
        hears: &[
            pager("SlotkeeperExporterDown", DOWN),
            off_site(&[Ping, Grace]),
        ],
        ..ROW
    },
    Row {
        name: "slotkeeper frozen",
        breaks: &[Break::Freeze(Process::Slotkeeper)],
        hears: &[
            pager("SlotkeeperExporterDown", DOWN),
            off_site(&[Ping, Grace]),
        ],
        note: "systemd's watchdog would restart it after 60 s.",
        ..ROW
    },
    Row {
        name: "slotkeeper cannot start: restart loop at a configuration that is refused",
        item: "restart loop at start",
        breaks: &[Break::CannotStart],
        hears: &[
            pager("SlotkeeperExporterDown", DOWN),
            off_site(&[Ping, Grace]),
        ],
        note: "The other half of 2018-07-28: the failover could not even start.",
        in_test: true,
        ..ROW
    },
    Row {
        name: "slotkeeper starts well and dies two seconds later, again and again",
        item: "restart loop at start",
        breaks: &[Break::DiesSoon],
        hears: &[
            pager(
                "SlotkeeperExporterDown",
                &[
                    Own(30, "down half of a minute"),
                    For("SlotkeeperExporterDown"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
            own(
                "slotkeeper is started again and again",
                &[
                    RestartPause,
                    RestartPause,
                    RestartPause,
                    RestartPause,
                    Own(8, "four lives of two seconds"),
                ],
            )
            .lingers(),
        ],
        note: "Scraped successfully between two deaths; its starts are counted across them.",
        ..ROW
    },
    Row {
        name: "The configuration is broken and slotkeeper told to reload",
        item: "config broken on reload",
        breaks: &[Break::BadReload],
        hears: &[
            chat(
                "SlotkeeperConfigReloadFailed",
                &[Scrape, Evaluation, GroupWait],
            ),
            own("the last reload of the configuration failed", &[LOOK]),
        ],
        spared: &[Receiver::Pager, Receiver::OffSite],
        note: "The old configuration stays in force, so nobody is woken by Alertmanager.",
        ..ROW
    },
    Row {
        name: "One RPC endpoint dead",
        item: "one RPC dead",
        breaks: &[Break::Rpc(&["full2"], Ill::Dead)],
        hears: &[chat(
            "SlotkeeperEndpointDown",
            &[
                POLL,
                For("SlotkeeperEndpointDown"),
                Scrape,
                Evaluation,
                GroupWait,
            ],
        )],
        spared: &[Receiver::Pager, Receiver::Own, Receiver::OffSite],
        note: "Two of three still agree: nothing is lost but reserve.",
        ..ROW
    },
    Row {
        name: "One RPC endpoint moved from http to https",
        item: "RPC moved from http to https",
        breaks: &[Break::Rpc(&["full2"], Ill::MovedToHttps)],
        hears: &[chat(
            "SlotkeeperEndpointDown",
            &[
                POLL,
                For("SlotkeeperEndpointDown"),
                Scrape,
                Evaluation,
                GroupWait,
            ],
        )],
        spared: &[Receiver::Pager, Receiver::Own, Receiver::OffSite],
        ..ROW
    },
    Row {
        name: "All RPC endpoints dead",
        item: "all RPC dead",
        breaks: &[Break::Rpc(ALL_RPC, Ill::Dead)],
        hears: BLIND,
        ..ROW
    },
    Row {
        name: "All RPC endpoints moved from http to https: 2018-07-28",
        item: "RPC moved from http to https",
        breaks: &[Break::Rpc(ALL_RPC, Ill::MovedToHttps)],
        hears: BLIND,
        note: "Each answers 301, and nobody speaks TLS there. Must ring within 60 s.",
        in_test: true,
        ..ROW
    },
    Row {
        name: "All RPC endpoints moved from http to https, and slotkeeper is restarted onto that",
        item: "RPC moved from http to https",
        breaks: &[Break::Rpc(ALL_RPC, Ill::MovedToHttps), Break::Restart],
        hears: &[
            pager(
                "SlotkeeperAllEndpointsDown",
                &[
                    Own(5, "start"),
                    POLL,
                    For("SlotkeeperAllEndpointsDown"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
            own(
                "no quorum on devnet",
                &[Own(5, "start"), POLL, STANDS, LOOK],
            ),
            off_site(&[Ping, Grace]),
        ],
        note: "It starts without a single endpoint, and says so.",
        ..ROW
    },
    Row {
        name: "Prometheus killed",
        item: "Prometheus killed",
        breaks: &[Break::Kill(Process::Prometheus)],
        hears: OLD_BEAT,
        note: "Alertmanager goes on sending what it knew: the age of the heartbeat tells.",
        mends: false,
        ..ROW
    },
    Row {
        name: "Prometheus frozen",
        item: "Prometheus frozen",
        breaks: &[Break::Freeze(Process::Prometheus)],
        hears: OLD_BEAT,
        in_test: true,
        ..ROW
    },
    Row {
        name: "Alertmanager killed",
        item: "Alertmanager killed",
        breaks: &[Break::Kill(Process::Alertmanager)],
        hears: NO_BEAT,
        mends: false,
        in_test: true,
        ..ROW
    },
    Row {
        name: "Alertmanager frozen",
        breaks: &[Break::Freeze(Process::Alertmanager)],
        hears: NO_BEAT,
        ..ROW
    },
    Row {
        name: "Alertmanager has another webhook token than slotkeeper",
        item: "webhook token wrong",
        breaks: &[Break::WrongToken],
        hears: &[
            chat(
                "SlotkeeperWebhookRefused",
                &[NextBeat, Scrape, Evaluation, GroupWait],
            )
            .lingers(),
            pager(
                "SlotkeeperPipelineWebhookFailing",
                &[NextBeat, ScrapePipeline, Evaluation, GroupWait],
            )
            .lingers(),
            own("heartbeat prometheus-a is overdue", &[MaxSilence, LOOK]),
        ],
        ..ROW
    },
    Row {
        name: "The actuator's slotkeeper killed, while another one goes on exporting",
        item: "actuator killed",
        breaks: &[Break::Kill(Process::Actuator)],
        hears: &[
            pager("SlotkeeperExporterDown", DOWN),
            pager(
                "SlotkeeperPipelineWebhookFailing",
                &[NextBeat, BeatGivenUp, ScrapePipeline, Evaluation, GroupWait],
            )
            .lingers(),
            off_site(&[Ping, Grace]),
        ],
        note: "The heartbeat lives on and finds nobody.",
        ..ROW
    },
    Row {
        name: "The actuator disarmed and forgotten",
        item: "actuator disarmed and forgotten",
        breaks: &[Break::Disarm],
        hears: &[own(
            "left disarmed",
            &[Own(900, "patience of slotkeeper"), LOOK],
        )],
        spared: &[Receiver::OffSite],
        note: "After an hour SlotkeeperDisarmed tells the channel, too: deploy/prometheus/tests/hours.yml.",
        ..ROW
    },
    Row {
        name: "The disk of the state file and the log full",
        item: "disk full",
        breaks: &[Break::FillDisk],
        hears: &[
            pager(
                "SlotkeeperJournalFailing",
                &[
                    Own(15, "until the next write"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            )
            .lingers(),
            own(
                "the journal cannot be written",
                &[
                    Own(15, "until the next write"),
                    Own(10, "patience of slotkeeper"),
                    LOOK,
                ],
            ),
            off_site(&[Own(15, "until the next write"), Ping, Grace]),
        ],
        ..ROW
    },
    Row {
        name: "The clock of slotkeeper's host 10 s slow",
        item: "clock off",
        breaks: &[Break::Clock(-10)],
        hears: &[
            UNABLE,
            own("no quorum on devnet", &[BLOCK, POLL, STANDS, LOOK]),
        ],
        note: "Nodes asked directly send no `Date`. A new head lies in the future and is not believed for a moment, with each block.",
        ..ROW
    },
    Row {
        name: "The clock of slotkeeper's host 10 s fast",
        item: "clock off",
        breaks: &[Break::Clock(10)],
        hears: &[
            UNABLE,
            own(
                "devnet/alice is armed and could not be switched",
                &[BLOCK, POLL, STANDS, LOOK],
            ),
        ],
        note: "Seen by the `Date` of endpoints behind a proxy.",
        dates: true,
        ..ROW
    },
    Row {
        name: "The whole machine lost: slotkeeper, Prometheus and Alertmanager",
        breaks: &[
            Break::Kill(Process::Prometheus),
            Break::Kill(Process::Alertmanager),
            Break::Kill(Process::Slotkeeper),
        ],
        hears: &[off_site(&[Ping, Grace])],
        note: "Only somebody elsewhere can say so.",
        mends: false,
        ..ROW
    },
];
