//! Two paces, each of one piece: the fast profile as the budget needs it, the relaxed one different in its pace only,
//! slotkeeper's limits fitting either, and what deploy/README.md says of them.

use serde_yaml::Value;
use slotkeeper::config::{self, Config};

use super::bundle::{Bundle, at, root, seconds, tool};

/// Where the two profiles may differ: file, place, fast, relaxed.
const DIFFERENCES: [(&str, &[&str], &str, &str); 8] = [
    (
        "prometheus/prometheus",
        &["global", "evaluation_interval"],
        "1s",
        "15s",
    ),
    (
        "prometheus/prometheus",
        &["scrape_configs", "0", "scrape_interval"],
        "1s",
        "15s",
    ),
    (
        "prometheus/prometheus",
        &["scrape_configs", "0", "scrape_timeout"],
        "1s",
        "5s",
    ),
    (
        "alertmanager/alertmanager",
        &["route", "group_wait"],
        "5s",
        "30s",
    ),
    (
        "alertmanager/alertmanager",
        &["route", "group_interval"],
        "1m",
        "5m",
    ),
    (
        "alertmanager/alertmanager",
        &["route", "routes", "0", "group_interval"],
        "5s",
        "1m",
    ),
    (
        "alertmanager/alertmanager",
        &["route", "routes", "0", "repeat_interval"],
        "4s",
        "50s",
    ),
    // Named twice so that the next check sees that the job is the one meant.
    (
        "prometheus/prometheus",
        &["scrape_configs", "0", "job_name"],
        "slotkeeper",
        "slotkeeper",
    ),
];

fn set(value: &mut Value, path: &[&str], to: &str) -> Result<(), String> {
    at(value, path)?;
    let place = path
        .iter()
        .fold(value, |value, key| match key.parse::<usize>() {
            Ok(index) => &mut value[index],
            Err(_) => &mut value[*key],
        });
    *place = to.into();
    Ok(())
}

/// Each value of the table is as it says, and nothing else differs.
pub(crate) fn paces(bundle: &Bundle) -> Result<(), String> {
    for stem in ["prometheus/prometheus", "alertmanager/alertmanager"] {
        let mut fast = bundle.yaml(&format!("deploy/{stem}.yml"))?;
        let relaxed = bundle.yaml(&format!("deploy/{stem}-relaxed.yml"))?;
        for (_, path, is, becomes) in DIFFERENCES.iter().filter(|(s, ..)| *s == stem) {
            let got = at(&fast, path)?;
            if got != &Value::from(*is) {
                return Err(format!("{stem}: {path:?} is {got:?}, not {is}"));
            }
            set(&mut fast, path, becomes)?;
        }
        if fast != relaxed {
            return Err(format!(
                "{stem}: the profiles differ in more than their pace"
            ));
        }
    }
    let prometheus = bundle.yaml("deploy/prometheus/prometheus.yml")?;
    for (path, wanted) in [
        (&["alerting", "alertmanagers", "0", "timeout"][..], "1s"),
        (
            &["scrape_configs", "0", "static_configs", "0", "targets", "0"],
            "127.0.0.1:10061",
        ),
        (
            &["alerting", "alert_relabel_configs", "0", "regex"],
            "prometheus",
        ),
        (&["rule_files", "0"], "rules/*.yml"),
    ] {
        let got = at(&prometheus, path)?;
        if got != &Value::from(wanted) {
            return Err(format!("prometheus.yml: {path:?} is {got:?}, not {wanted}"));
        }
    }
    Ok(())
}

fn example(bundle: &Bundle, name: &str) -> Result<Config, String> {
    let dir = bundle.on_disk();
    config::load(&dir.path().join("examples").join(name)).map_err(|e| e.to_string())
}

/// slotkeeper's limits bear what the pace of heartbeats and re-presented alerts comes to, and notice three missed ones.
pub(crate) fn limits(bundle: &Bundle) -> Result<(), String> {
    for (alertmanager, evaluation, resend, name) in [
        ("alertmanager", 1, 5, "two-nodes-alertmanager.yml"),
        ("alertmanager-relaxed", 15, 60, "relaxed.yml"),
    ] {
        let routes = bundle.yaml(&format!("deploy/alertmanager/{alertmanager}.yml"))?;
        let time = |path: &[&str]| -> Result<u64, String> {
            seconds(at(&routes, path)?.as_str().unwrap_or_default())
        };
        let period = time(&["route", "routes", "0", "group_interval"])?;
        let repeat = time(&["route", "routes", "0", "repeat_interval"])?;
        if repeat >= period {
            return Err(format!("{alertmanager}: every second heartbeat falls out"));
        }
        let config = example(bundle, name)?;
        let heartbeat = config.heartbeats.first().ok_or("no heartbeats")?;
        let silence = heartbeat.max_silence.as_secs();
        // Three missed ones, and no sooner than a second Alertmanager takes over.
        if silence < 3 * period || silence > 4 * period {
            return Err(format!(
                "{name}: max_silence {silence} s at a heartbeat each {period} s"
            ));
        }
        let oldest = resend + evaluation + period;
        let age = heartbeat.max_age.as_secs();
        if age < oldest + period / 2 || age > 3 * oldest {
            return Err(format!(
                "{name}: max_age {age} s, and healthy ones are up to {oldest} s old"
            ));
        }
        // The alert is shown again each minute (and at the tick after), evaluated up to a resend before.
        let shown = 60 + 5 + resend + evaluation;
        let alert = config.actuator.max_alert_age.as_secs();
        if alert < shown {
            return Err(format!(
                "{name}: max_alert_age {alert} s, and alerts get {shown} s old"
            ));
        }
    }
    Ok(())
}

/// deploy/README.md has these figures in its table.
pub(crate) fn told(bundle: &Bundle) -> Result<(), String> {
    let readme = bundle.text("deploy/README.md")?;
    for row in [
        "| scrape and evaluation | 1 s, 1 s | 15 s, 15 s |",
        "| Prometheus flag | `--rules.alert.resend-delay=5s` | none (1 m) |",
        "| `group_wait`: actuator, people | 0 s, 5 s | 0 s, 30 s |",
        "| heartbeat: `group_interval`, `repeat_interval` | 5 s, 4 s | 1 m, 50 s |",
        "| heartbeat limits: `max_silence`, `max_age` | 20 s, 30 s (the defaults) | 3 m, 3 m |",
        "| `actuator.max_alert_age` | 2 m (the default) | 3 m |",
        "| `guard.patience` | 30 s (the default) | 1 m |",
    ] {
        if !readme.contains(row) {
            return Err(format!("deploy/README.md: no row {row}"));
        }
    }
    Ok(())
}

/// The pair: its flags exist, both name each other, and its `alerting:` fits into the scrape config.
pub(crate) fn pair(bundle: &Bundle) -> Result<(), String> {
    let help = ["prometheus-alertmanager", "alertmanager"]
        .iter()
        .find_map(|program| tool(&root(), program, &["--help"]).ok())
        .ok_or("no Alertmanager is installed")?;
    let mut addresses = Vec::new();
    for host in ["a", "b"] {
        let file = bundle.text(&format!("deploy/alertmanager/ha/alertmanager-{host}"))?;
        let args = file
            .split("ARGS=\"")
            .nth(1)
            .and_then(|a| a.split('"').next());
        let mut own = String::new();
        for arg in args.unwrap_or_default().split(' ') {
            let (flag, value) = arg.split_once('=').unwrap_or((arg, ""));
            if !help.contains(&format!("{flag}=")) && !help.contains(&format!("{flag} ")) {
                return Err(format!("alertmanager-{host}: {flag} is no flag"));
            }
            match flag {
                "--cluster.listen-address" => own = value.to_owned(),
                "--cluster.peer" => addresses.push((own.clone(), value.to_owned())),
                _ => {}
            }
        }
    }
    match &addresses[..] {
        [(a, to_b), (b, to_a)] if a == to_a && b == to_b && a != b => {}
        other => return Err(format!("the pair does not meet: {other:?}")),
    }
    let mut prometheus = bundle.yaml("deploy/prometheus/prometheus.yml")?;
    let alerting = bundle.yaml("deploy/alertmanager/ha/alerting.yml")?;
    prometheus["alerting"] = at(&alerting, &["alerting"])?.clone();
    let targets = at(
        &alerting,
        &[
            "alerting",
            "alertmanagers",
            "0",
            "static_configs",
            "0",
            "targets",
        ],
    )?;
    if targets.as_sequence().map_or(0, Vec::len) != 2 {
        return Err(format!("alerting.yml names {targets:?}"));
    }
    let dir = bundle.on_disk();
    let text = serde_yaml::to_string(&prometheus).map_err(|e| e.to_string())?;
    std::fs::write(dir.path().join("deploy/prometheus/pair.yml"), text)
        .map_err(|e| e.to_string())?;
    tool(
        dir.path(),
        "promtool",
        &["check", "config", "deploy/prometheus/pair.yml"],
    )?;
    Ok(())
}

#[test]
fn the_profiles_differ_in_their_pace_only() {
    paces(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn slotkeepers_limits_fit_the_pace() {
    limits(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_readme_tells_the_figures() {
    told(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_pair_meets_and_prometheus_tells_both() {
    pair(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn the_command_of_the_readme_moves_every_runbook_link() {
    let bundle = Bundle::shipped();
    let readme = bundle.text("deploy/README.md").unwrap();
    let command = readme
        .lines()
        .find(|l| l.trim().starts_with("sed -i"))
        .unwrap();
    let dir = bundle.on_disk();
    tool(&dir.path().join("deploy"), "sh", &["-c", command.trim()]).unwrap();
    let rules = dir.path().join("deploy/prometheus/rules");
    let mut moved = 0;
    for file in std::fs::read_dir(rules).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for line in text
            .lines()
            .filter(|l| l.trim().starts_with("runbook_url:"))
        {
            assert!(
                line.contains("https://wiki.example.org/slotkeeper/Slotkeeper"),
                "{line}"
            );
            moved += 1;
        }
    }
    assert_eq!(moved, bundle.alerts().unwrap().len());
}
