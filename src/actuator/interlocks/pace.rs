//! One switch at a time, and not too many: open attempts, switches not yet in force, cooldown, budget. The last two run
//! on chain time, so that a jump of the local clock neither clears nor extends them.

use super::{Said, deny, no_view, pass, unknown};
use crate::actuator::facts::Facts;
use crate::actuator::target::Choice;
use crate::actuator::types::Stage;

pub(super) fn attempt_open(f: &Facts, choice: &Choice) -> Said {
    let Some(open) = &f.attempt else {
        return pass("no switch is under way");
    };
    if open.lapsed && open.swaps {
        return match choice.target {
            Some(target) if target == open.to => pass(
                "the attempt before this one has lapsed; it is signed again with the same keys",
            ),
            _ => deny(
                "an attempt to another key has lapsed, but it is not proven yet that no block has it",
            ),
        };
    }
    let waits = f.registered() == Some(open.to) && open.stage == Stage::Included;
    let stands = match (&f.waiting, waits) {
        (Some(waiting), true) => &waiting.detail,
        (None, true) => "registered, not in force yet",
        _ => open.stage.as_str(),
    };
    deny(format!(
        "a switch to {} is under way ({stands})",
        f.show(&open.to)
    ))
}

pub(super) fn switch_pending(f: &Facts, _: &Choice) -> Said {
    let Ok(view) = &f.view else {
        return no_view();
    };
    if view.settling {
        return unknown("endpoints at different heads name different keys");
    }
    if view.registered == view.effective {
        pass("the registered key is in force")
    } else if view.registered.is_some_and(|k| k.is_null()) {
        // The schedule may never follow (too few producers left to change it): that must not keep anybody from
        // registering a key again.
        pass("no key is registered, so none is on its way; the schedule still has the one before")
    } else {
        let why =
            "the registered key is not in force yet: misses still belong to the one before it";
        match &f.waiting {
            Some(waiting) => deny(format!("{why}; {}", waiting.detail)),
            None => deny(why),
        }
    }
}

pub(super) fn cooldown(f: &Facts, _: &Choice) -> Said {
    let (Ok(view), Some(rules)) = (&f.view, &f.rules) else {
        return no_view();
    };
    let Some(last) = f.last_switch else {
        return pass("no switch yet");
    };
    let left = last
        .saturating_add(rules.cooldown)
        .saturating_sub(view.head_time);
    if left > 0 {
        deny(format!(
            "the key changed {} s ago by chain time; {} s of rest are left",
            view.head_time.saturating_sub(last).max(0) / 1000,
            left.saturating_add(999) / 1000
        ))
    } else {
        pass("rested since the last switch")
    }
}

pub(super) fn budget_exhausted(f: &Facts, _: &Choice) -> Said {
    let Some(rules) = &f.rules else {
        return unknown("no settings for this producer");
    };
    let text = format!(
        "{} of {} switches in {} are spent",
        f.switches_spent, rules.budget, rules.budget_per
    );
    if f.switches_spent >= rules.budget {
        deny(text)
    } else {
        pass(text)
    }
}
