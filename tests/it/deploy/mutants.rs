//! Broken files must not pass: each row breaks one shipped file in one place and names the check that has to notice, and
//! what it has to say. The checks pass on the files as they are (their own tests), so what they say is about the break.

mod dashboards;
mod delivery;
mod packages;
mod rules;

use super::bundle::Bundle;

type Check = fn(&Bundle) -> Result<(), String>;

/// What is broken, and who notices.
struct Mutant {
    path: &'static str,
    /// This text …
    from: &'static str,
    /// … becomes this one. Nothing at all: the file is taken away.
    to: Option<&'static str>,
    check: Check,
    says: &'static str,
}

const fn mutant(
    path: &'static str,
    from: &'static str,
    to: &'static str,
    check: Check,
    says: &'static str,
) -> Mutant {
    Mutant {
        path,
        from,
        to: Some(to),
        check,
        says,
    }
}

/// Where a break must be caught, file by file.
fn caught(mutants: &[Mutant]) {
    for mutant in mutants {
        let mut bundle = Bundle::shipped();
        match mutant.to {
            Some(to) => bundle.replace(mutant.path, mutant.from, to),
            None => bundle.remove(mutant.path),
        }
        let what = format!("{}: {:?} for {:?}", mutant.path, mutant.to, mutant.from);
        let said = (mutant.check)(&bundle).expect_err(&what);
        assert!(
            said.contains(mutant.says),
            "{what} is noticed, but as\n{said}"
        );
    }
}
