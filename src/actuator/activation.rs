//! How long a registered key that is not in force yet has been waiting, and how long that usually takes. Pure.
//!
//! Antelope chains look at their producers once a minute (`eosio.system`, `onblock`: more than 120 slots since the last
//! look). What they then propose takes effect, with finality by votes (Savanna), at the start of a producer's turn once the
//! proposal is final; without, one wait for finality makes it pending and a second one active. Twice the distance between
//! head and last irreversible block bounds both.

use super::attempt::Attempt;
use crate::chain::{Activation, Election, ProducerState};
use crate::clock::Millis;

/// The chain looks at its producers this often.
const LOOK: Millis = 60_000;
/// Turns that may pass until the new schedule begins.
const TURNS: Millis = 2;
/// So many times as long as expected is late; SlotkeeperActivationSlow rings then, too.
const LATE: Millis = 2;
/// Earlier activations that count: networks change.
const RECENT: usize = 5;

/// A registered key on its way to be in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The key, in the chain's text form.
    pub signing_key: String,
    /// Since when it is registered, chain time, Unix milliseconds.
    pub since: Millis,
    /// How far it is: `registered`, `proposed` or `pending`.
    pub stage: &'static str,
    /// Milliseconds that this is expected to take, from its registration on.
    pub expected: Millis,
    /// The same in words.
    pub detail: String,
}

/// What is known of a chain's pace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pace {
    /// How long earlier activations took, oldest first, milliseconds.
    pub(super) measured: Vec<Millis>,
    /// Head time minus the time of the last irreversible block, milliseconds.
    pub(super) to_final: Millis,
    /// One turn, milliseconds.
    pub(super) turn: Millis,
}

/// How long the activations that we saw ourselves took, oldest first.
pub(super) fn measured<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Vec<Millis> {
    let mut seen: Vec<(Millis, Millis)> = attempts
        // One that somebody changed again first never was in force: it has no block of its own for that.
        .filter(|a| a.registered_block.is_some() && a.effective_block.is_some())
        .filter(|a| !a.sealed.change.to.is_null())
        .filter_map(|a| {
            let (from, to) = (a.included_at?, a.effective_at?);
            (to > from).then(|| (to, to.saturating_sub(from)))
        })
        .collect();
    seen.sort_unstable();
    seen.into_iter().map(|(_, took)| took).collect()
}

/// How long an activation takes here, and why that is believed.
pub(super) fn expected(pace: &Pace) -> (Millis, String) {
    let recent = pace.measured.iter().rev().take(RECENT);
    let count = recent.len();
    if let Some(longest) = recent.max() {
        return (
            *longest,
            format!(
                "the longest of the last {count} seen here took {}",
                words(*longest)
            ),
        );
    }
    let estimate = LOOK
        .saturating_add(pace.to_final.max(0).saturating_mul(2))
        .saturating_add(pace.turn.saturating_mul(TURNS));
    (
        estimate,
        format!(
            "none was seen here yet: a minute at most until the chain looks at its producers, then at most twice the {} that blocks take to become final",
            words(pace.to_final.max(0))
        ),
    )
}

/// Whether the registered key waits to be in force. A null key is on no way: whether the schedule follows is up to the chain.
pub(super) fn is_waiting(state: &ProducerState) -> bool {
    !state.registered_key.is_null() && state.registered_key != state.effective_key
}

/// The key that waits, if one does.
pub(super) fn waiting(
    state: &ProducerState,
    since: Millis,
    head_time: Millis,
    pace: &Pace,
    election: Option<&Election>,
    show: &dyn Fn(&crate::keys::PublicKey) -> String,
) -> Option<Waiting> {
    if !is_waiting(state) {
        return None;
    }
    let key = &state.registered_key;
    let stage = match state.coming {
        Some((coming, Activation::Proposed)) if coming == *key => "proposed",
        Some((coming, Activation::Pending)) if coming == *key => "pending",
        _ => "registered",
    };
    let (expected, why) = expected(pace);
    let so_far = head_time.saturating_sub(since).max(0);
    let signs = show(&state.effective_key);
    let mut detail = format!(
        "registered for {} ({stage}), in force about {} after registration ({why}); until then {signs} signs",
        words(so_far),
        words(expected),
    );
    // What is on its way already was elected before.
    if let Some(halted) = election.and_then(Election::halted)
        && stage == "registered"
    {
        detail.push_str("; ");
        detail.push_str(&halted);
    }
    if so_far > expected.saturating_mul(LATE) {
        detail.push_str(&format!(
            "; that is late. The chain decides, and a second switch would not be in force sooner, so none is made. Start the host of {signs} if it can be; who registers a key by hand ends this switch (docs/runbooks/SlotkeeperActivationSlow.md)"
        ));
    }
    Some(Waiting {
        signing_key: show(key),
        since,
        stage,
        expected,
        detail,
    })
}

fn words(ms: Millis) -> String {
    let seconds = ms.saturating_add(500) / 1_000;
    if seconds < 120 {
        return format!("{seconds} s");
    }
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actuator::fixture::key;

    fn pace(measured: &[Millis], to_final: Millis) -> Pace {
        Pace {
            measured: measured.to_vec(),
            to_final,
            turn: 6_000,
        }
    }

    fn state(registered: u8, effective: u8, coming: Option<(u8, Activation)>) -> ProducerState {
        ProducerState {
            registered_key: key(registered),
            effective_key: key(effective),
            enabled: true,
            url: String::new(),
            props: serde_json::Value::Null,
            reported_missed: None,
            last_block: None,
            version: None,
            feed_time: None,
            unpaid_blocks: None,
            coming: coming.map(|(k, how)| (key(k), how)),
        }
    }

    fn show(key: &crate::keys::PublicKey) -> String {
        key.to_text("EOS").chars().take(6).collect()
    }

    #[test]
    fn nothing_waits_while_the_registered_key_is_in_force_or_null() {
        let none = |s: &ProducerState| waiting(s, 0, 1, &pace(&[], 0), None, &show).is_none();
        assert!(none(&state(1, 1, None)));
        let mut disabled = state(1, 1, None);
        disabled.registered_key = crate::keys::PublicKey::NULL;
        assert!(none(&disabled));
        assert!(!none(&state(2, 1, None)));
    }

    #[test]
    fn the_stage_is_that_of_the_registered_key_and_no_other() {
        for (coming, stage) in [
            (None, "registered"),
            (Some((2, Activation::Proposed)), "proposed"),
            (Some((2, Activation::Pending)), "pending"),
            (Some((3, Activation::Pending)), "registered"),
        ] {
            let found = waiting(&state(2, 1, coming), 0, 1, &pace(&[], 0), None, &show).unwrap();
            assert_eq!(found.stage, stage);
        }
    }

    #[test]
    fn what_was_measured_counts_before_what_is_estimated() {
        // With finality by votes blocks are final in about a second, without in minutes.
        assert_eq!(expected(&pace(&[], 1_000)).0, 74_000);
        assert_eq!(expected(&pace(&[], 165_000)).0, 402_000);
        let long_ago = [900_000, 70_000, 80_000, 60_000, 75_000, 71_000];
        let (took, why) = expected(&pace(&long_ago, 165_000));
        assert_eq!(took, 80_000);
        assert!(why.contains("last 5 seen here took 80 s"), "{why}");
        let found = waiting(
            &state(2, 1, None),
            1_000,
            31_000,
            &pace(&[], 165_000),
            None,
            &show,
        );
        let said = found.unwrap().detail;
        assert!(
            said.starts_with("registered for 30 s (registered), in force about 6 min 42 s after"),
            "{said}"
        );
    }

    #[test]
    fn what_keeps_it_from_coming_and_what_can_be_done_is_said() {
        let two_of_three = Election {
            standing: ["alice".to_owned(), "bob".to_owned()].into(),
            whole: true,
            scheduled: 3,
        };
        let said = |coming, head_time, election| {
            let pace = pace(&[60_000], 0);
            let found = waiting(&state(2, 1, coming), 0, head_time, &pace, election, &show);
            found.unwrap().detail
        };
        let on_its_way = Some((2, Activation::Proposed));
        let halted = |text: &str| text.contains("elects no new schedule");
        assert!(halted(&said(None, 1_000, Some(&two_of_three))));
        assert!(!halted(&said(on_its_way, 1_000, Some(&two_of_three))));
        assert!(!halted(&said(None, 1_000, None)));
        let late = |text: &str| text.contains("that is late") && text.contains("by hand");
        assert!(!late(&said(None, 120_000, None)));
        assert!(late(&said(None, 120_001, None)));
        assert!(late(&said(on_its_way, 120_001, None)));
    }
}
