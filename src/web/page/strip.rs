//! The strip of a producer's newest slots: one mark each, told apart by height as well as by colour, with the same in words.
//! One path for each kind and dashes for its marks keep a hundred of them small. Pure.

use std::fmt::Write as _;

/// Width of a mark with the gap after it.
const STEP: usize = 7;
/// Runs told one by one in words.
const RUNS: usize = 5;

/// The drawing. `slots`: one letter each, oldest first (`p`, `m`, `?`).
pub(super) fn strip(slots: &str) -> String {
    if slots.is_empty() {
        return "<span class=dim>no slot seen yet</span>".to_owned();
    }
    let mut paths = [
        ('p', "p", 10, String::new()),
        ('m', "m", 16, String::new()),
        ('?', "u", 10, String::new()),
    ];
    let mut at = 0_usize;
    for (letter, n) in runs(slots.chars()) {
        for (kind, _, y, path) in &mut paths {
            if *kind == letter {
                let length = n.saturating_mul(STEP).saturating_sub(2);
                let _ = write!(path, "M{at} {y}h{length}");
            }
        }
        at = at.saturating_add(n.saturating_mul(STEP));
    }
    let mut out = format!(
        "<svg class=strip role=img aria-label=\"{}\" viewBox=\"0 0 {at} 20\" width={at} height=20>",
        in_words(slots)
    );
    for (_, class, _, path) in paths.iter().filter(|p| !p.3.is_empty()) {
        let _ = write!(out, "<path class={class} d=\"{path}\"/>");
    }
    out.push_str("</svg>");
    out
}

/// The same for who cannot see it.
pub(super) fn in_words(slots: &str) -> String {
    let count = |letter| slots.chars().filter(|c| *c == letter).count();
    let mut out = format!(
        "last {} slots: {} produced, {} missed",
        slots.chars().count(),
        count('p'),
        count('m')
    );
    if count('?') > 0 {
        let _ = write!(out, ", {} not known", count('?'));
    }
    out.push_str("; newest first:");
    let all = runs(slots.chars().rev());
    for (n, (letter, length)) in all.iter().take(RUNS).enumerate() {
        let word = match letter {
            'p' => "produced",
            'm' => "missed",
            _ => "not known",
        };
        let _ = write!(out, "{} {length} {word}", if n == 0 { "" } else { "," });
    }
    if all.len() > RUNS {
        out.push_str(", and so on");
    }
    out
}

fn runs(letters: impl Iterator<Item = char>) -> Vec<(char, usize)> {
    let mut out: Vec<(char, usize)> = Vec::new();
    for letter in letters {
        match out.last_mut() {
            Some((same, n)) if *same == letter => *n = n.saturating_add(1),
            _ => out.push((letter, 1)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_runs_of_dashes_and_are_told_in_words() {
        assert_eq!(
            strip("ppm?p"),
            "<svg class=strip role=img aria-label=\"last 5 slots: 3 produced, 1 missed, 1 not known; newest first: 1 produced, 1 not known, 1 missed, 2 produced\" viewBox=\"0 0 35 20\" width=35 height=20><path class=p d=\"M0 10h12M28 10h5\"/><path class=m d=\"M14 16h5\"/><path class=u d=\"M21 10h5\"/></svg>"
        );
        assert!(in_words("pmpmpmpm").ends_with("1 missed, and so on"));
        assert!(strip("").contains("no slot"));
        // What it does not know is drawn nowhere and breaks nothing.
        assert!(!strip("p<script>").contains("<script"));
    }
}
