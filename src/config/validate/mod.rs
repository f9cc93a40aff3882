//! Rules between fields: raw shapes → [`Config`], or the first broken rule with the path of its field. Pure.

mod authority;
mod chains;
mod network;
mod notify;
mod producers;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::defaults;
use super::error::ConfigError;
use super::model::{
    ActuatorConfig, AlertmanagerConfig, Config, ControlListener, FaultConfig, GuardConfig,
    GuardMode, HeartbeatConfig, Listener,
};
use super::raw::{RawActuator, RawConfig, RawControl, RawFault, RawGuard, RawHeartbeat, RawWeb};
use super::scalars::{FileName, Flag, Span, Whole};
use super::simulate;
use super::url;

/// What is passed along while validating: where relative paths begin, and what is worth saying.
pub(super) struct Checking<'a> {
    base: &'a Path,
    warnings: Vec<String>,
}

/// Checks everything, fills in every default.
pub(super) fn validate(raw: RawConfig, base: &Path) -> Result<Config, ConfigError> {
    let mut checking = Checking {
        base,
        warnings: Vec::new(),
    };
    let cx = &mut checking;
    let chains = chains::chains(cx, raw.chains)?;
    let producers = producers::producers(cx, raw.producers.unwrap_or_default(), &chains)?;
    let web = web(cx, raw.web.unwrap_or_default())?;
    let keeps = producers.iter().any(|p| !p.keys.is_empty());
    let control = control(cx, raw.control.unwrap_or_default(), &web)?;
    let heartbeats = heartbeats(raw.heartbeats.unwrap_or_default())?;
    if !heartbeats.is_empty() && control.listen.is_empty() {
        return Err(ConfigError::rule(
            "heartbeats",
            "heartbeats arrive at the control listener, but control.listen is empty; give it an address or remove the heartbeats",
        ));
    }
    let guard = guard(raw.guard.unwrap_or_default(), &heartbeats)?;
    let actuator = actuator(cx, raw.actuator.unwrap_or_default(), keeps)?;
    let fault = fault(raw.fault.unwrap_or_default())?;
    let notify = notify::notify(cx, raw.notify.unwrap_or_default())?;
    let pings = notify::pings(cx, raw.pings.unwrap_or_default())?;
    let state_file = cx.path_or(raw.state_file, defaults::STATE_FILE);
    if keeps && guard.mode == GuardMode::Off && control.listen.is_empty() {
        cx.warn(
            "guard.mode is off and there is no control listener: nothing can ever ask for a switch",
        );
    }
    if chains.iter().all(|c| !c.watch_all) && producers.is_empty() {
        cx.warn("no producers and no watch_all: only the chains themselves are watched");
    }
    let config = Config {
        web,
        control,
        state_file,
        chains,
        producers,
        actuator,
        fault,
        guard,
        heartbeats,
        notify,
        pings,
        warnings: checking.warnings,
    };
    if config.actuator.armed {
        simulate::may_arm(&config)
            .map_err(|refusal| ConfigError::rule(refusal.field, refusal.message))?;
    }
    Ok(config)
}

// === impl Checking ===

impl Checking<'_> {
    fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    fn path(&self, file: &FileName) -> PathBuf {
        self.base.join(&file.0)
    }

    fn path_of(&self, file: Option<FileName>) -> Option<PathBuf> {
        file.map(|f| self.path(&f))
    }

    fn path_or(&self, file: Option<FileName>, default: &str) -> PathBuf {
        self.path_of(file)
            .unwrap_or_else(|| self.base.join(default))
    }
}

// === small helpers ===

fn span(value: Option<Span>, default: Duration) -> Duration {
    value.map_or(default, |s| s.0)
}

fn flag(value: Option<Flag>) -> bool {
    value.is_some_and(|f| f.0)
}

fn whole(value: Option<Whole>, default: u32) -> u32 {
    value.map_or(default, |w| w.0)
}

/// A duration as people write it.
pub(super) fn shown(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(86_400_000) => format!("{}d", ms / 86_400_000),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

fn at_least(
    field: String,
    value: Duration,
    least: Duration,
    why: &str,
) -> Result<Duration, ConfigError> {
    if value < least {
        return Err(ConfigError::rule(
            field,
            format!(
                "{} is too short, at least {}: {why}",
                shown(value),
                shown(least)
            ),
        ));
    }
    Ok(value)
}

/// A name that stands in labels, in `CHAIN/NAME` on the command line and in URLs.
fn label(field: String, text: &str) -> Result<String, ConfigError> {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(fits) {
        return Err(ConfigError::rule(
            field,
            "must be 1 to 64 letters, digits, `-`, `_` or `.`: it is used in labels, URLs and as CHAIN/NAME",
        ));
    }
    Ok(text.to_owned())
}

/// The second of two equal names is the error.
fn unique(
    seen: &mut BTreeSet<String>,
    field: String,
    name: &str,
    what: &str,
) -> Result<(), ConfigError> {
    if seen.insert(name.to_owned()) {
        return Ok(());
    }
    Err(ConfigError::rule(
        field,
        format!("{what} `{name}` stands here twice; names must differ"),
    ))
}

// === sections ===

fn web(cx: &Checking<'_>, raw: RawWeb) -> Result<Listener, ConfigError> {
    let listen = raw
        .listen
        .map_or_else(|| defaults::WEB_LISTEN.to_owned(), |t| t.0);
    url::listen_address(&listen).map_err(|e| ConfigError::rule("web.listen", e))?;
    let external_url = match raw.external_url {
        None => None,
        Some(text) => {
            let field = "web.external_url";
            let checked = url::check(&text.0).map_err(|e| ConfigError::rule(field, e))?;
            if checked.credentials {
                return Err(ConfigError::rule(
                    field,
                    "carries a user name or password, and it is sent to everybody who is told anything: leave them out",
                ));
            }
            Some(checked.label)
        }
    };
    Ok(Listener {
        listen,
        external_url,
        config_file: cx.path_of(raw.config_file),
    })
}

fn control(
    cx: &mut Checking<'_>,
    raw: RawControl,
    web: &Listener,
) -> Result<ControlListener, ConfigError> {
    let listen = raw
        .listen
        .map_or_else(|| defaults::CONTROL_LISTEN.to_owned(), |t| t.0);
    let control = ControlListener {
        listen,
        token_file: cx.path_of(raw.token_file),
        config_file: cx.path_of(raw.config_file),
    };
    if control.listen.is_empty() {
        return Ok(control);
    }
    let (host, port) =
        url::listen_address(&control.listen).map_err(|e| ConfigError::rule("control.listen", e))?;
    if port != 0 && control.listen == web.listen {
        return Err(ConfigError::rule(
            "control.listen",
            format!(
                "is the same address as web.listen ({}): two listeners, so that many may read and few may write; give another port",
                web.listen
            ),
        ));
    }
    if control.token_file.is_none() && control.config_file.is_none() {
        if !url::is_loopback_host(&host) {
            return Err(ConfigError::rule(
                "control.listen",
                "reaches beyond this machine without authentication: set control.token_file (a bearer token) or control.config_file (basic auth, client certificates), or listen on 127.0.0.1",
            ));
        }
        cx.warn("control has neither token_file nor config_file: any user of this machine can command the actuator");
    }
    Ok(control)
}

fn heartbeats(raw: Vec<RawHeartbeat>) -> Result<Vec<HeartbeatConfig>, ConfigError> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for (i, one) in raw.into_iter().enumerate() {
        let field = |name: &str| format!("heartbeats[{i}].{name}");
        let source = label(field("source"), &one.source.0)?;
        unique(&mut seen, field("source"), &source, "the source")?;
        let second = Duration::from_secs(1);
        let max_silence = at_least(
            field("max_silence"),
            span(one.max_silence, defaults::HEARTBEAT_SILENCE),
            second,
            "heartbeats come every few seconds",
        )?;
        let age_default = defaults::HEARTBEAT_AGE.max(max_silence);
        let max_age = span(one.max_age, age_default);
        if max_age < max_silence {
            return Err(ConfigError::rule(
                field("max_age"),
                format!(
                    "{} is shorter than max_silence ({}): the newest heartbeat would be too old before it is missed; make it at least as long",
                    shown(max_age),
                    shown(max_silence)
                ),
            ));
        }
        out.push(HeartbeatConfig {
            source,
            max_silence,
            max_age,
        });
    }
    Ok(out)
}

fn guard(raw: RawGuard, heartbeats: &[HeartbeatConfig]) -> Result<GuardConfig, ConfigError> {
    let mode = match raw.mode.map(|m| m.0) {
        None if heartbeats.is_empty() => GuardMode::Always,
        None => GuardMode::Fallback,
        Some(GuardMode::Fallback) if heartbeats.is_empty() => {
            return Err(ConfigError::rule(
                "guard.mode",
                "fallback acts when the heartbeats stop, but no heartbeats are configured: add a heartbeats entry per Prometheus, or use always (no Prometheus) or off",
            ));
        }
        Some(mode) => mode,
    };
    let patience = at_least(
        "guard.patience".to_owned(),
        span(raw.patience, defaults::GUARD_PATIENCE),
        Duration::from_secs(1),
        "the alert needs time to arrive",
    )?;
    let labels = match raw.labels {
        None => defaults::GUARD_LABELS
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
        Some(labels) => {
            for taken in ["chain", "producer", "signing_key", "action"] {
                if labels.contains_key(taken) {
                    return Err(ConfigError::rule(
                        format!("guard.labels.{taken}"),
                        "is filled in for each fault; list only the other labels of your alert (alertname, severity …)",
                    ));
                }
            }
            labels.into_iter().map(|(k, v)| (k, v.0)).collect()
        }
    };
    Ok(GuardConfig {
        mode,
        patience,
        labels,
    })
}

fn actuator(
    cx: &mut Checking<'_>,
    raw: RawActuator,
    keeps: bool,
) -> Result<ActuatorConfig, ConfigError> {
    let max_alert_age = at_least(
        "actuator.max_alert_age".to_owned(),
        span(raw.max_alert_age, defaults::MAX_ALERT_AGE),
        Duration::from_secs(1),
        "an alert needs time to travel",
    )?;
    if max_alert_age > Duration::from_secs(600) {
        cx.warn(format!(
            "actuator.max_alert_age is {}: alerts that old say little about now",
            shown(max_alert_age)
        ));
    }
    if raw.alertmanagers.is_none() && keeps {
        cx.warn("no actuator.alertmanagers: silences are not asked about, so a silence does not stop a switch (alertmanagers: [] says that this is meant)");
    }
    let mut alertmanagers = Vec::new();
    for (i, one) in raw
        .alertmanagers
        .unwrap_or_default()
        .into_iter()
        .enumerate()
    {
        let field = format!("actuator.alertmanagers[{i}].url");
        let checked = url::check(&one.url.0).map_err(|e| ConfigError::rule(field.clone(), e))?;
        if checked.credentials {
            return Err(ConfigError::rule(
                field,
                "carries a user name or password; secrets are read from files: use token_file",
            ));
        }
        if !checked.https && !checked.loopback {
            if one.token_file.is_some() {
                return Err(ConfigError::rule(
                    field,
                    format!(
                        "{} would carry the token unencrypted over the network: use https",
                        checked.label
                    ),
                ));
            }
            cx.warn(format!(
                "{} is asked about silences unencrypted: who controls the network can prevent a switch",
                checked.label
            ));
        }
        alertmanagers.push(AlertmanagerConfig {
            url: checked.label,
            token_file: cx.path_of(one.token_file),
            ca_file: cx.path_of(one.ca_file),
        });
    }
    Ok(ActuatorConfig {
        armed: flag(raw.armed),
        max_alert_age,
        alertmanagers,
    })
}

fn fault(raw: RawFault) -> Result<FaultConfig, ConfigError> {
    let consecutive_misses = whole(raw.consecutive_misses, defaults::CONSECUTIVE_MISSES);
    if consecutive_misses == 0 {
        return Err(ConfigError::rule(
            "fault.consecutive_misses",
            "0 would make every producer faulty at once: at least 1",
        ));
    }
    let healthy_default = defaults::CONSECUTIVE_MISSES_HEALTHY.max(consecutive_misses);
    let healthy = whole(raw.consecutive_misses_node_healthy, healthy_default);
    if healthy < consecutive_misses {
        return Err(ConfigError::rule(
            "fault.consecutive_misses_node_healthy",
            format!(
                "{healthy} is less than consecutive_misses ({consecutive_misses}): a healthy node cannot be trusted less than an unknown one"
            ),
        ));
    }
    Ok(FaultConfig {
        consecutive_misses,
        consecutive_misses_node_healthy: healthy,
        allowed_misses: whole(raw.allowed_misses, defaults::ALLOWED_MISSES),
        miss_window: at_least(
            "fault.miss_window".to_owned(),
            span(raw.miss_window, defaults::MISS_WINDOW),
            Duration::from_secs(60),
            "a round takes about a minute",
        )?,
    })
}
