use super::*;
use crate::config::Via;

const T: Millis = 1_763_710_000_000;
const MINUTE: Millis = 60_000;

fn config(messages: u32) -> NotifyConfig {
    NotifyConfig {
        name: "ops".into(),
        via: Via::Slack {
            url_file: "x".into(),
        },
        min_severity: Severity::Warning,
        reminder: Duration::from_secs(3600),
        rate_limit: RateLimit {
            messages,
            per: Duration::from_secs(600),
        },
    }
}

fn episode(name: &str, severity: Severity) -> Episode {
    Episode {
        id: format!("{name}@{T}"),
        severity,
        summary: format!("{name} is wrong"),
        detail: "why".into(),
        since: T,
    }
}

fn notice(name: &str) -> Notice {
    Notice {
        id: format!("sent/{name}"),
        about: format!("switch/{name}"),
        severity: Severity::Warning,
        summary: format!("{name} happened"),
        detail: String::new(),
        at: T,
    }
}

fn board(open: &[&str]) -> Board {
    Board {
        open: open
            .iter()
            .map(|n| episode(n, Severity::Critical))
            .collect(),
        notices: VecDeque::new(),
    }
}

/// A receiver and the world it is told of.
struct Play {
    desk: Desk,
    now: Millis,
}

impl Play {
    fn new(messages: u32) -> Self {
        Self {
            desk: Desk::new(&config(messages), Record::new(T)),
            now: T,
        }
    }

    /// Everything that is sent at once, each with this outcome, as `act summary`.
    fn told(&mut self, board: &Board, outcome: &Outcome) -> Vec<String> {
        let mut out = Vec::new();
        loop {
            self.desk.see(board, self.now);
            match self.desk.next(board, self.now) {
                Next::Wait(_) => return out,
                Next::Send(message) => {
                    let left = message.left_out.as_deref().unwrap_or_default();
                    out.push(
                        format!("{} {} {left}", message.act.as_str(), message.summary)
                            .trim()
                            .to_owned(),
                    );
                    self.desk.done(&message, outcome, self.now);
                }
            }
            assert!(out.len() < 100, "{out:?}");
        }
    }

    fn delivered(&mut self, open: &[&str]) -> Vec<String> {
        self.told(&board(open), &Outcome::Delivered)
    }

    fn at(&mut self, since_start: Millis) -> &mut Self {
        self.now = T + since_start;
        self
    }

    /// What a restart leaves of it.
    fn restarted(self, messages: u32) -> Self {
        let kept = serde_json::to_string(&self.desk.kept).unwrap();
        Self {
            desk: Desk::new(&config(messages), serde_json::from_str(&kept).unwrap()),
            now: self.now,
        }
    }
}

fn nothing() -> Vec<String> {
    Vec::new()
}

#[test]
fn each_episode_rings_once_reminds_and_is_told_to_be_over() {
    let mut play = Play::new(20);
    assert_eq!(play.delivered(&[]), nothing());
    assert_eq!(play.delivered(&["a"]), ["trigger a is wrong"]);
    assert_eq!(play.at(59 * MINUTE).delivered(&["a"]), nothing());
    assert_eq!(
        play.at(60 * MINUTE).delivered(&["a"]),
        ["remind a is wrong"]
    );
    assert_eq!(play.at(119 * MINUTE).delivered(&["a"]), nothing());
    assert_eq!(
        play.at(120 * MINUTE).delivered(&["a"]),
        ["remind a is wrong"]
    );
    assert_eq!(play.at(121 * MINUTE).delivered(&[]), ["resolve a is wrong"]);
    assert_eq!(play.at(500 * MINUTE).delivered(&[]), nothing());
}

#[test]
fn a_restart_repeats_nothing_and_forgets_nothing() {
    let mut play = Play::new(20);
    assert_eq!(play.delivered(&["a", "b"]).len(), 2);
    let mut play = play.restarted(20);
    assert_eq!(play.at(MINUTE).delivered(&["a", "b"]), nothing());
    assert_eq!(
        play.at(2 * MINUTE).delivered(&["b"]),
        ["resolve a is wrong"]
    );
    // Over while nobody looked.
    let mut play = play.restarted(20);
    assert_eq!(play.at(3 * MINUTE).delivered(&[]), ["resolve b is wrong"]);
    let mut play = play.restarted(20);
    assert_eq!(play.at(4 * MINUTE).delivered(&[]), nothing());
}

#[test]
fn what_was_not_delivered_is_tried_again_and_waits_longer_each_time() {
    let down = Outcome::Retry {
        why: "down".into(),
        after: None,
    };
    let mut play = Play::new(20);
    assert_eq!(play.told(&board(&["a"]), &down), ["trigger a is wrong"]);
    let mut pauses = Vec::new();
    for _ in 0..9 {
        let Next::Wait(Some(until)) = play.desk.next(&board(&["a"]), play.now) else {
            panic!("no pause");
        };
        pauses.push((until - play.now) / 1000);
        play.now = until;
        assert_eq!(play.told(&board(&["a"]), &down), ["trigger a is wrong"]);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    // A restart does not take it for told.
    let mut play = play.restarted(20);
    assert_eq!(play.delivered(&["a"]), ["trigger a is wrong"]);
    // One that asks for a pause gets it, within reason.
    for (asked, given) in [(0, 1), (30, 30), (86_400, 600)] {
        let mut play = Play::new(20);
        let busy = Outcome::Retry {
            why: "busy".into(),
            after: Some(Duration::from_secs(asked)),
        };
        play.told(&board(&["a"]), &busy);
        assert_eq!(
            play.desk.next(&board(&["a"]), T),
            Next::Wait(Some(T + given * 1000))
        );
    }
}

#[test]
fn a_refusal_is_tried_again_later_and_holds_up_nothing_else() {
    let refused = Outcome::Refused("wrong key".into());
    let mut play = Play::new(20);
    assert_eq!(play.told(&board(&["a"]), &refused), ["trigger a is wrong"]);
    assert_eq!(
        play.at(2_000).delivered(&["a", "b"]),
        ["trigger b is wrong"]
    );
    assert_eq!(play.at(4 * MINUTE).delivered(&["a", "b"]), nothing());
    assert_eq!(
        play.at(6 * MINUTE).delivered(&["a", "b"]),
        ["trigger a is wrong"]
    );
}

#[test]
fn beyond_the_limit_nothing_is_lost_that_still_stands_and_the_rest_is_summed_up() {
    let mut play = Play::new(2);
    assert_eq!(
        play.delivered(&["a", "b", "c", "d"]),
        ["trigger a is wrong", "trigger b is wrong"]
    );
    // Ends are not held back; d comes and goes untold.
    assert_eq!(
        play.at(MINUTE).delivered(&["b", "c", "d"]),
        ["resolve a is wrong"]
    );
    assert_eq!(play.at(2 * MINUTE).delivered(&["b", "c"]), nothing());
    let mut play = play.restarted(2);
    assert_eq!(
        play.at(10 * MINUTE).delivered(&["b", "c"]),
        ["trigger c is wrong Left out before this message: 1 (d is wrong (over again))."]
    );
    assert_eq!(play.at(11 * MINUTE).delivered(&["b", "c"]), nothing());
}

#[test]
fn what_was_left_out_is_told_even_when_nothing_else_happens() {
    let mut play = Play::new(1);
    assert_eq!(play.delivered(&["a", "b"]), ["trigger a is wrong"]);
    assert_eq!(play.at(MINUTE).delivered(&[]), ["resolve a is wrong"]);
    assert_eq!(play.at(9 * MINUTE).delivered(&[]), nothing());
    let wake = play.desk.next(&board(&[]), play.now);
    assert_eq!(wake, Next::Wait(Some(T + 10 * MINUTE)));
    assert_eq!(
        play.at(10 * MINUTE).delivered(&[]),
        [
            "summary messages were left out: 1 Left out before this message: 1 (b is wrong (over again))."
        ]
    );
    assert_eq!(play.at(60 * MINUTE).delivered(&[]), nothing());
}

#[test]
fn notices_come_once_each_in_order_and_survive_a_restart() {
    let mut seen = board(&[]);
    seen.notices.extend([notice("one"), notice("two")]);
    let down = Outcome::Retry {
        why: "down".into(),
        after: None,
    };
    let mut play = Play::new(20);
    assert_eq!(play.told(&seen, &down), ["notice one happened"]);
    let mut play = play.restarted(20);
    // After the restart the board is read from history: it may show all, or nothing of it.
    assert_eq!(
        play.delivered(&[]),
        ["notice one happened", "notice two happened"]
    );
    assert_eq!(play.told(&seen, &Outcome::Delivered), nothing());
    let mut play = play.restarted(20);
    assert_eq!(play.told(&seen, &Outcome::Delivered), nothing());
}

#[test]
fn a_new_receiver_is_not_told_of_old_times_and_a_long_queue_drops_the_oldest() {
    let mut old = notice("old");
    old.at = T - 1;
    let mut seen = board(&[]);
    seen.notices.push_back(old);
    assert_eq!(Play::new(20).told(&seen, &Outcome::Delivered), nothing());
    let mut seen = board(&[]);
    seen.notices
        .extend((0..QUEUE + 3).map(|n| notice(&format!("n{n}"))));
    let mut play = Play::new(100);
    let told = play.told(&seen, &Outcome::Delivered);
    assert_eq!(told.len(), QUEUE);
    assert_eq!(
        told[0],
        "notice n3 happened Left out before this message: 3 (n0 happened; n1 happened; n2 happened)."
    );
    assert_eq!(told[1], "notice n4 happened");
}

#[test]
fn what_is_less_bad_than_asked_for_is_not_sent() {
    let mut seen = board(&["a"]);
    seen.open.push(episode("trifle", Severity::Info));
    seen.notices.push_back(Notice {
        severity: Severity::Info,
        ..notice("trifle")
    });
    let mut play = Play::new(20);
    assert_eq!(
        play.told(&seen, &Outcome::Delivered),
        ["trigger a is wrong"]
    );
    assert_eq!(
        play.at(MINUTE).delivered(&[]),
        ["resolve a is wrong"],
        "and nothing of it was left out"
    );
}

#[test]
fn the_worst_comes_first() {
    let mut seen = board(&[]);
    seen.open.push(episode("small", Severity::Warning));
    seen.open.push(episode("large", Severity::Critical));
    seen.notices.push_back(notice("switch"));
    assert_eq!(
        Play::new(20).told(&seen, &Outcome::Delivered),
        [
            "trigger large is wrong",
            "trigger small is wrong",
            "notice switch happened"
        ]
    );
}

#[test]
fn a_clock_set_back_holds_nothing_up_for_longer_than_its_own_pauses() {
    let mut play = Play::new(1);
    assert_eq!(play.delivered(&["a"]), ["trigger a is wrong"]);
    play.at(-24 * 60 * MINUTE);
    assert_eq!(play.delivered(&["a", "b"]), nothing());
    play.at(-24 * 60 * MINUTE + 10 * MINUTE);
    assert_eq!(play.delivered(&["a", "b"]), ["trigger b is wrong"]);
    play.at(-23 * 60 * MINUTE + 10 * MINUTE);
    assert_eq!(play.delivered(&["a", "b"]).len(), 1, "a reminder");
}
