//! The image: a small reader of Dockerfiles, and what must hold of ours. No Docker runs here: instructions are read, and held
//! against the program and the files they name.

use super::bundle::{Bundle, root};
use super::places::{accepted, hold, placed};

/// Instruction and its argument.
type Step = (String, String);

/// The image's user, which compose and Kubernetes run it as.
pub(crate) const USER: &str = "10061:10061";

/// Instructions in order, stage by stage.
fn stages(text: &str) -> Result<Vec<Vec<Step>>, String> {
    let joined = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect::<Vec<_>>()
        .join("\n")
        .replace("\\\n", " ");
    let mut stages: Vec<Vec<Step>> = Vec::new();
    for line in joined.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (word, rest) = line
            .split_once(' ')
            .ok_or_else(|| format!("Dockerfile: {line:?} says nothing"))?;
        match word {
            "FROM" => stages.push(Vec::new()),
            "RUN" | "COPY" | "WORKDIR" | "USER" | "VOLUME" | "EXPOSE" | "HEALTHCHECK"
            | "ENTRYPOINT" | "CMD" => {}
            other => return Err(format!("Dockerfile: {other} is not among what we use")),
        }
        stages
            .last_mut()
            .ok_or("Dockerfile: begins without FROM")?
            .push((word.to_owned(), rest.trim().to_owned()));
    }
    Ok(stages)
}

fn one<'a>(stage: &'a [Step], word: &str) -> Result<&'a str, String> {
    let mut found = stage.iter().filter(|(w, _)| w == word);
    match (found.next(), found.next()) {
        (Some((_, rest)), None) => Ok(rest),
        _ => Err(format!("Dockerfile: the last stage needs one {word}")),
    }
}

fn list(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|e| format!("Dockerfile: {text} is no list: {e}"))
}

/// The image is built from what is pinned, is small, has no root, and starts what there is.
pub(crate) fn dockerfile(bundle: &Bundle) -> Result<(), String> {
    let stages = stages(bundle.text("Dockerfile")?)?;
    let [build, last] = stages.as_slice() else {
        return Err(format!("Dockerfile: {} stages", stages.len()));
    };
    let rust = bundle
        .text("Cargo.toml")?
        .lines()
        .find_map(|l| l.strip_prefix("rust-version = "))
        .map(|v| v.trim_matches('"').to_owned())
        .ok_or("Cargo.toml: no rust-version")?;
    // The C library of both stages must be the same: Debian 12's.
    let base = one(build, "FROM")?;
    hold(
        base.starts_with(&format!("rust:{rust}.")) && base.ends_with("-bookworm AS build"),
        format!("Dockerfile: FROM {base}: Rust {rust} of Debian 12 is wanted"),
    )?;
    let small = one(last, "FROM")?;
    hold(
        small.starts_with("gcr.io/distroless/cc-debian12:"),
        format!("Dockerfile: FROM {small}"),
    )?;
    let user = one(last, "USER")?;
    hold(user == USER, format!("Dockerfile: USER {user}, not {USER}"))?;
    let program = one(last, "ENTRYPOINT").and_then(list)?;
    let copies = last.iter().filter(|(w, _)| w == "COPY");
    for (_, copy) in copies.clone() {
        hold(
            copy.starts_with("--from=build "),
            format!("Dockerfile: COPY {copy}: only from the build"),
        )?;
    }
    hold(
        copies
            .clone()
            .any(|(_, copy)| copy.ends_with(&format!(" {}", program.concat()))),
        format!("Dockerfile: nothing is copied to {program:?}"),
    )?;
    let state = list(one(last, "VOLUME")?)?.concat();
    hold(
        copies.clone().any(|(_, c)| {
            c.contains(&format!("--chown={USER} ")) && c.ends_with(&format!(" {state}"))
        }),
        format!("Dockerfile: {state} does not belong to {USER}"),
    )?;
    let config = placed(bundle, "deploy/compose/slotkeeper.yml")?;
    hold(
        config.state.starts_with(&format!("{state}/")),
        format!("Dockerfile: the state file is not in {state}"),
    )?;
    let ports = format!("{} {}", config.web.1, config.control.1);
    let exposed = one(last, "EXPOSE")?;
    hold(
        exposed == ports,
        format!("Dockerfile: EXPOSE {exposed}, not {ports}"),
    )?;
    accepted(list(one(last, "CMD")?)?.iter().map(String::as_str))?;
    let (_, check) = one(last, "HEALTHCHECK")?
        .split_once("CMD ")
        .ok_or("Dockerfile: HEALTHCHECK has no CMD")?;
    let check = list(check)?;
    hold(
        check.first() == program.first(),
        format!("Dockerfile: {check:?}"),
    )?;
    accepted(check.iter().skip(1).map(String::as_str))
}

/// Only what the build reads goes to the builder, and all of that.
pub(crate) fn context(bundle: &Bundle) -> Result<(), String> {
    let text = bundle.text(".dockerignore")?;
    let mut lines = text
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    hold(
        lines.next() == Some("*"),
        ".dockerignore: all is left out first",
    )?;
    let mut kept = Vec::new();
    for line in lines {
        let path = line
            .strip_prefix('!')
            .ok_or_else(|| format!(".dockerignore: {line}"))?;
        hold(
            root().join(path).exists(),
            format!(".dockerignore: no {path}"),
        )?;
        kept.push(path);
    }
    for path in ["Cargo.toml", "Cargo.lock", "src", "benches"] {
        hold(
            kept.contains(&path),
            format!(".dockerignore: {path} is needed"),
        )?;
    }
    // What the sources take in from elsewhere.
    for path in included() {
        hold(
            kept.iter().any(|k| path.starts_with(&format!("{k}/"))),
            format!(".dockerignore: src includes {path}"),
        )?;
    }
    for path in kept {
        let secret = path == "deploy" || path.contains("secret") || path.contains("compose");
        hold(!secret, format!(".dockerignore: {path} may hold secrets"))?;
    }
    Ok(())
}

/// Files outside `src` that `include_str!` names, as far as the name is a literal.
fn included() -> Vec<String> {
    fn walk(dir: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let names = text.split('"').filter(|s| s.starts_with("../../"));
                let outside = names.filter_map(|s| Some(s.rsplit_once("../")?.1.to_owned()));
                found.extend(outside.filter(|s| s.starts_with("deploy/")));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("src"), &mut found);
    assert!(found.len() > 4, "{found:?}");
    found
}

#[test]
fn the_image_is_small_pinned_and_not_root() {
    dockerfile(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_builder_gets_what_it_needs_and_no_more() {
    context(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
