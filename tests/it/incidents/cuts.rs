//! The rows of the network: a cut between any two parts.

use super::bounds::Part::{
    BeatGivenUp, Evaluation, For, Grace, GroupWait, MaxAge, MaxSilence, MessageGivenUp, NextBeat,
    Own, Ping, Scrape, ScrapePipeline,
};
use super::table::{Break, Ill, Link, ROW, Receiver, Row, chat, off_site, own, pager};
use crate::rig::relay::Manner;

const CUT: Row = Row {
    item: "network cut between any two parts",
    ..ROW
};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "Cut: slotkeeper – all RPC endpoints",
        breaks: &[Break::Cut(Link::Rpc, Manner::Silent)],
        hears: &[
            pager(
                "SlotkeeperAllEndpointsDown",
                &[
                    Own(2, "poll and its time limit"),
                    For("SlotkeeperAllEndpointsDown"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
            own(
                "no quorum on devnet",
                &[
                    Own(2, "poll and its time limit"),
                    Own(60, "patience of slotkeeper"),
                    Own(1, "look"),
                ],
            ),
            off_site(&[Own(2, "poll and its time limit"), Ping, Grace]),
        ],
        ..CUT
    },
    Row {
        name: "Cut: slotkeeper – the producing node's probe",
        breaks: &[Break::Cut(Link::Primary, Manner::Silent)],
        hears: &[chat(
            "SlotkeeperNodeDown",
            &[
                Own(6, "three probes with their time limit"),
                For("SlotkeeperNodeDown"),
                Scrape,
                Evaluation,
                GroupWait,
            ],
        )],
        spared: &[Receiver::Pager],
        note: "It still produces, so nothing moves.",
        ..CUT
    },
    Row {
        name: "Cut: slotkeeper – the only standby's probe",
        breaks: &[Break::Cut(Link::Standby, Manner::Silent)],
        hears: &[
            chat(
                "SlotkeeperNodeDown",
                &[
                    Own(6, "three probes with their time limit"),
                    For("SlotkeeperNodeDown"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
            pager(
                "SlotkeeperNoReadyStandby",
                &[
                    Own(6, "three probes with their time limit"),
                    For("SlotkeeperNoReadyStandby"),
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
        ],
        ..CUT
    },
    Row {
        name: "Cut: Prometheus – slotkeeper",
        breaks: &[Break::Cut(Link::Scrape, Manner::Silent)],
        hears: &[
            pager(
                "SlotkeeperExporterDown",
                &[
                    For("SlotkeeperExporterDown"),
                    Scrape,
                    Scrape,
                    Evaluation,
                    GroupWait,
                ],
            ),
            own(
                "heartbeat prometheus-a is overdue",
                &[
                    Scrape,
                    Scrape,
                    Evaluation,
                    NextBeat,
                    MaxSilence,
                    Own(1, "look"),
                ],
            ),
        ],
        note: "The heartbeat carries data: it stops although Prometheus lives.",
        ..CUT
    },
    Row {
        name: "Cut: Prometheus – Alertmanager (refused)",
        breaks: &[Break::Cut(Link::Alerts, Manner::Refused)],
        hears: &[
            own(
                "heartbeat prometheus-a is overdue",
                &[MaxAge, Own(1, "look")],
            ),
            off_site(&[MaxAge, Own(1, "look"), Ping, Grace]),
        ],
        ..CUT
    },
    Row {
        name: "Cut: Alertmanager – slotkeeper",
        breaks: &[Break::Cut(Link::Webhook, Manner::Silent)],
        hears: &[
            pager(
                "SlotkeeperPipelineWebhookFailing",
                &[NextBeat, BeatGivenUp, ScrapePipeline, Evaluation, GroupWait],
            )
            .lingers(),
            own(
                "heartbeat prometheus-a is overdue",
                &[MaxSilence, Own(1, "look")],
            ),
        ],
        ..CUT
    },
    Row {
        name: "Cut: Alertmanager – people, found when an endpoint dies and Slack should hear of it",
        breaks: &[
            Break::Cut(Link::People, Manner::Silent),
            Break::Rpc(&["full2"], Ill::Dead),
        ],
        hears: &[own(
            "Alertmanager cannot deliver through slack",
            &[
                Own(1, "poll"),
                For("SlotkeeperEndpointDown"),
                Scrape,
                Evaluation,
                GroupWait,
                MessageGivenUp,
                Own(15, "slotkeeper reads Alertmanager's counters"),
                Own(1, "look"),
            ],
        )
        .lingers()],
        spared: &[Receiver::Pager, Receiver::Chat],
        note: "Alertmanager's own alarm about that has to go the same way and is lost.",
        ..CUT
    },
    Row {
        name: "Cut: slotkeeper – people, found when a reload fails and PagerDuty should hear of it",
        breaks: &[
            Break::Cut(Link::OwnPeople, Manner::Silent),
            Break::BadReload,
        ],
        hears: &[pager(
            "SlotkeeperNotificationsFailing",
            &[
                Own(30, "three tries of 10 s"),
                Own(3, "pauses between them"),
                Scrape,
                Evaluation,
                GroupWait,
            ],
        )
        .lingers()],
        spared: &[Receiver::Own],
        ..CUT
    },
    Row {
        name: "Cut: slotkeeper – the off-site checker",
        breaks: &[Break::Cut(Link::OffSite, Manner::Silent)],
        hears: &[off_site(&[Ping, Grace])],
        note: "It cannot tell this from the death of everything, and rings.",
        ..CUT
    },
    Row {
        name: "Cut: slotkeeper – Alertmanager's API, where it asks for silences",
        breaks: &[Break::Cut(Link::Asking, Manner::Silent)],
        hears: &[own(
            "no Alertmanager answers",
            &[Own(60, "patience of slotkeeper"), Own(1, "look")],
        )],
        spared: &[Receiver::Pager],
        ..CUT
    },
];
