//! The systemd unit: hardened, taken by systemd's own tools, and at one with its configuration and the command line. Needs
//! systemd-analyze (`make setup`); no systemd has to run.

use std::collections::BTreeMap;

use super::bundle::{Bundle, tool};
use super::places::{accepted, hold, placed};

pub(crate) const UNIT: &str = "deploy/systemd/slotkeeper.service";
const CONFIG: &str = "deploy/systemd/slotkeeper.yml";
/// Most that `systemd-analyze security` may say; 10 is a service without any protection.
const EXPOSURE: f64 = 1.5;

/// Settings by name, in order.
pub(crate) fn settings(bundle: &Bundle) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut settings = BTreeMap::<String, Vec<String>>::new();
    for line in bundle.text(UNIT)?.lines() {
        if let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let values = settings.entry(name.to_owned()).or_default();
            values.push(value.to_owned());
        }
    }
    Ok(settings)
}

fn one<'a>(settings: &'a BTreeMap<String, Vec<String>>, name: &str) -> Result<&'a str, String> {
    match settings.get(name).map(Vec::as_slice) {
        Some([value]) => Ok(value),
        other => Err(format!("{name} is {other:?}")),
    }
}

/// What systemd thinks of its protection.
pub(crate) fn exposure(bundle: &Bundle) -> Result<(), String> {
    let dir = bundle.on_disk();
    let said = tool(
        dir.path(),
        "systemd-analyze",
        &["security", "--offline=true", "--no-pager", UNIT],
    )?;
    let level = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for slotkeeper.service: "))
        .and_then(|(_, rest)| rest.split(' ').next())
        .and_then(|level| level.parse::<f64>().ok())
        .ok_or_else(|| format!("no level in\n{said}"))?;
    hold(
        level <= EXPOSURE,
        format!("exposure {level}, at most {EXPOSURE}:\n{said}"),
    )
}

/// systemd knows every key and value.
pub(crate) fn verified(bundle: &Bundle) -> Result<(), String> {
    let mut bundle = bundle.clone();
    // The program is not installed here.
    bundle.replace(
        UNIT,
        "/usr/bin/slotkeeper",
        env!("CARGO_BIN_EXE_slotkeeper"),
    );
    let dir = bundle.on_disk();
    let said = match tool(dir.path(), "systemd-analyze", &["verify", "--man=no", UNIT]) {
        Ok(said) | Err(said) => said,
    };
    // Of this unit: what a machine says about its other units is not ours.
    let about: Vec<&str> = said.lines().filter(|l| l.contains("slotkeeper")).collect();
    let about: Vec<&&str> = about
        .iter()
        .filter(|l| !l.starts_with("systemd-analyze ["))
        .collect();
    hold(about.is_empty(), format!("{about:?}"))
}

/// The command, the watchdog, the credentials and the state directory are those the program and its configuration expect.
pub(crate) fn fits(bundle: &Bundle) -> Result<(), String> {
    let settings = settings(bundle)?;
    let config = placed(bundle, CONFIG)?;
    let mut command = one(&settings, "ExecStart")?.split(' ');
    hold(
        command.next() == Some("/usr/bin/slotkeeper"),
        "ExecStart is not where the package puts the program",
    )?;
    let args: Vec<&str> = command.collect();
    accepted(args.iter().copied())?;
    hold(
        args.contains(&"/etc/slotkeeper/slotkeeper.yml"),
        format!("ExecStart: {args:?}"),
    )?;
    for (name, value) in [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "always"),
        ("DynamicUser", "yes"),
        ("StateDirectoryMode", "0700"),
        ("LimitCORE", "0"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallErrorNumber", "EPERM"),
    ] {
        let is = one(&settings, name)?;
        hold(is == value, format!("{name} is {is}, not {value}"))?;
    }
    let watchdog = super::bundle::seconds(one(&settings, "WatchdogSec")?)?;
    hold(
        (10..=120).contains(&watchdog),
        format!("WatchdogSec is {watchdog} s"),
    )?;
    let state = format!("/var/lib/{}/", one(&settings, "StateDirectory")?);
    let (id, from) = one(&settings, "LoadCredential")?
        .split_once(':')
        .ok_or("LoadCredential names no path")?;
    hold(
        from == "/etc/slotkeeper/secrets",
        format!("LoadCredential reads {from}"),
    )?;
    let credential = format!("/run/credentials/slotkeeper.service/{id}_");
    let mut secrets = 0;
    for path in &config.paths {
        match path.strip_prefix(&credential) {
            Some(name) => {
                hold(!name.contains('/'), format!("{path} is no credential"))?;
                secrets += 1;
            }
            None => hold(
                path.starts_with(&state),
                format!("{CONFIG}: {path} is neither in {state} nor a credential"),
            )?,
        }
    }
    hold(secrets == 4, format!("{CONFIG}: {secrets} secrets"))?;
    hold(
        config.state.starts_with(&state),
        "the state file is elsewhere",
    )
}

#[test]
fn systemd_finds_the_unit_hardened() {
    exposure(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn systemd_knows_every_setting_of_the_unit() {
    verified(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_unit_fits_its_configuration_and_the_command_line() {
    fits(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
