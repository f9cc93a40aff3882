//! The compose file: read strictly, locked down, and at one with the configurations, ports, names and flags it speaks of. No
//! Docker runs here.

use std::collections::BTreeSet;

use serde_yaml::Value;

use super::bundle::{Bundle, at, root, tool};
use super::image;
use super::places::{accepted, hold, placed};
use super::stack::{Networks, stack};

const CONFIG: &str = "deploy/compose/slotkeeper.yml";

/// Nothing runs with more rights than it needs, from no image that moves, on no address but this machine's.
pub(crate) fn locked(bundle: &Bundle) -> Result<(), String> {
    let stack = stack(bundle)?;
    for (name, service) in &stack.services {
        hold(service.read_only, format!("{name}: read_only"))?;
        hold(service.cap_drop == ["ALL"], format!("{name}: cap_drop"))?;
        hold(
            service.security_opt == ["no-new-privileges:true"],
            format!("{name}: no-new-privileges"),
        )?;
        hold(
            service.restart == "unless-stopped",
            format!("{name}: restart"),
        )?;
        let tag = service.image.rsplit_once(':').map(|(_, tag)| tag);
        hold(
            tag.is_some_and(|t| t != "latest"),
            format!("{name}: {} is not pinned", service.image),
        )?;
        for port in &service.ports {
            hold(
                port.starts_with("127.0.0.1:"),
                format!("{name}: port {port} is open to everybody"),
            )?;
        }
        let clear = service.environment.iter().find(|(key, _)| {
            let word = ["PASSWORD", "TOKEN", "SECRET", "KEY"]
                .iter()
                .any(|w| key.contains(w));
            word && !key.ends_with("__FILE")
        });
        hold(
            clear.is_none(),
            format!("{name}: {clear:?} is a secret in clear"),
        )?;
    }
    let own = stack.services.get("slotkeeper").ok_or("no slotkeeper")?;
    hold(
        own.user.as_deref() == Some(image::USER),
        "slotkeeper: user differs from the image's",
    )?;
    hold(
        own.mem_limit.is_some() && own.mem_limit == own.memswap_limit,
        "slotkeeper: keys could be swapped out",
    )?;
    hold(
        own.build.as_deref().is_some_and(|b| {
            root()
                .join("deploy/compose")
                .join(b)
                .join("Dockerfile")
                .exists()
        }),
        "slotkeeper: no Dockerfile where build says",
    )
}

/// What is mounted exists, files cannot be written, every secret is declared and stays out of the repository, and what
/// programs read is there.
pub(crate) fn mounts(bundle: &Bundle) -> Result<(), String> {
    let stack = stack(bundle)?;
    let (mut used, mut kept) = (BTreeSet::new(), BTreeSet::new());
    for (name, service) in &stack.services {
        for (source, place, read_only) in service.volumes()? {
            match source.strip_prefix('.') {
                Some(_) => {
                    let path = match source.strip_prefix("../") {
                        Some(rest) => format!("deploy/{rest}"),
                        None => source.replacen("./", "deploy/compose/", 1),
                    };
                    let there = bundle
                        .paths()
                        .any(|p| p == path || p.starts_with(&format!("{path}/")));
                    hold(there, format!("{name}: {source} does not exist"))?;
                    hold(read_only, format!("{name}: {source} can be written"))?;
                }
                None => {
                    hold(
                        stack.volumes.contains_key(source),
                        format!("{name}: no volume {source}"),
                    )?;
                    hold(kept.insert(source), format!("{source} is mounted twice"))?;
                    hold(place.starts_with('/'), format!("{name}: {place}"))?;
                }
            }
        }
        used.extend(service.secrets().into_values().map(str::to_owned));
    }
    let declared: BTreeSet<String> = stack.secrets.keys().cloned().collect();
    hold(
        used == declared,
        format!("secrets used {used:?}, declared {declared:?}"),
    )?;
    hold(
        kept.len() == stack.volumes.len(),
        "a volume is used by nobody",
    )?;
    for (name, secret) in &stack.secrets {
        hold(
            secret.file == format!("./secrets/{name}"),
            format!("{name}: {}", secret.file),
        )?;
    }
    let ignored = bundle
        .text(".gitignore")?
        .lines()
        .any(|l| l == "deploy/compose/secrets/");
    hold(
        ignored,
        ".gitignore: deploy/compose/secrets/ could be committed",
    )?;
    // slotkeeper's configuration and Alertmanager's name files that are there.
    let own = &stack.services["slotkeeper"];
    for path in placed(bundle, CONFIG)?.paths {
        let in_volume = own
            .volumes()?
            .iter()
            .any(|(_, place, _)| path.starts_with(&format!("{place}/")));
        hold(
            own.secrets().contains_key(&path) || in_volume,
            format!("slotkeeper.yml: {path} is not mounted"),
        )?;
    }
    let alertmanager = stack
        .services
        .get("alertmanager")
        .ok_or("no alertmanager")?;
    let mut files = BTreeSet::new();
    named(&bundle.yaml("deploy/compose/alertmanager.yml")?, &mut files);
    hold(
        files.len() == 3,
        format!("alertmanager.yml reads {files:?}"),
    )?;
    for file in files {
        let path = format!("/etc/alertmanager/{file}");
        hold(
            alertmanager.secrets().contains_key(&path),
            format!("alertmanager.yml: {path} is not mounted"),
        )?;
    }
    let grafana = stack.services.get("grafana").ok_or("no grafana")?;
    let boards = bundle.yaml("deploy/grafana/provisioning/dashboards/slotkeeper.yml")?;
    let boards = at(&boards, &["providers", "0", "options", "path"])?
        .as_str()
        .unwrap_or_default();
    hold(
        grafana
            .volumes()?
            .contains(&("../grafana/dashboards", boards, true)),
        format!("grafana: the dashboards are not in {boards}"),
    )?;
    let password = grafana.environment.get("GF_SECURITY_ADMIN_PASSWORD__FILE");
    hold(
        password.is_some_and(|p| grafana.secrets().contains_key(p)),
        "grafana: its password is not mounted",
    )
}

fn named(value: &Value, files: &mut BTreeSet<String>) {
    match value {
        Value::Sequence(list) => list.iter().for_each(|v| named(v, files)),
        Value::Mapping(map) => {
            for (key, value) in map {
                match value {
                    Value::String(file) if key.as_str().is_some_and(|k| k.ends_with("_file")) => {
                        files.insert(file.clone());
                    }
                    other => named(other, files),
                }
            }
        }
        _ => {}
    }
}

/// Every address in every configuration leads to the service that is meant, over a network that both are in; and the control
/// listener is reached by Alertmanager alone.
pub(crate) fn addresses(bundle: &Bundle) -> Result<(), String> {
    let stack = stack(bundle)?;
    let config = placed(bundle, CONFIG)?;
    let control: BTreeSet<&str> = stack
        .services
        .iter()
        .filter(|(_, s)| s.networks().contains("control"))
        .map(|(name, _)| name.as_str())
        .collect();
    hold(
        control == ["alertmanager", "slotkeeper"].into() && stack.networks["control"].internal,
        format!("in the network of the control listener: {control:?}, all of them inside"),
    )?;
    let Networks::Joined(joined) = &stack.services["slotkeeper"].networks else {
        return Err("slotkeeper: networks without addresses".into());
    };
    let door = joined.get("control").ok_or("slotkeeper: not in control")?;
    let address = door.ipv4_address.clone().unwrap_or_default();
    hold(
        address == config.control.0,
        format!(
            "control.listen is {:?}, the address there {address}",
            config.control
        ),
    )?;
    let subnet = stack.networks["control"]
        .ipam
        .as_ref()
        .ok_or("control: no ipam")?;
    let subnet = at(subnet, &["config", "0", "subnet"])?
        .as_str()
        .unwrap_or_default();
    let net = subnet.strip_suffix("0/24").unwrap_or("none");
    hold(
        address.starts_with(net),
        format!("{address} is not in {subnet}"),
    )?;

    let ports = |service: &str| match service {
        "slotkeeper" => vec![config.web.1],
        "prometheus" => vec![9090],
        "alertmanager" => vec![9093],
        "grafana" => vec![3000],
        _ => vec![],
    };
    for (name, service) in &stack.services {
        for port in &service.ports {
            let inside = port
                .rsplit(':')
                .next()
                .and_then(|p| p.parse().ok())
                .unwrap_or(0);
            hold(
                ports(name).contains(&inside),
                format!("{name}: port {port}: it listens on {:?}", ports(name)),
            )?;
        }
    }
    let leads = |from: &str, to: &str| {
        let to = to
            .strip_prefix("http://")
            .unwrap_or(to)
            .trim_end_matches('/');
        let (host, port) = to.split_once(':').ok_or_else(|| format!("{to}: no port"))?;
        let port: u16 = port.parse().map_err(|_| format!("{to}: no port"))?;
        let target = if host == "127.0.0.1" { from } else { host };
        let (network, listening) = match stack.services.get(target) {
            Some(service) => (service.networks(), ports(target)),
            None if door.aliases.iter().any(|a| a == host) => {
                (["control"].into(), vec![config.control.1])
            }
            None => return Err(format!("{from}: nobody is called {host}")),
        };
        hold(
            listening.contains(&port),
            format!("{from}: {to}: {host} listens on {listening:?}"),
        )?;
        let meet = stack.services[from]
            .networks()
            .intersection(&network)
            .next()
            .is_some();
        hold(meet, format!("{from} does not meet {host}"))
    };
    let prometheus = bundle.yaml("deploy/compose/prometheus.yml")?;
    let mut jobs = 0;
    for job in at(&prometheus, &["scrape_configs"])?
        .as_sequence()
        .into_iter()
        .flatten()
    {
        let target = at(job, &["static_configs", "0", "targets", "0"])?
            .as_str()
            .unwrap_or_default();
        leads("prometheus", target)?;
        jobs += 1;
    }
    hold(jobs == 3, format!("{jobs} jobs"))?;
    let told = at(
        &prometheus,
        &[
            "alerting",
            "alertmanagers",
            "0",
            "static_configs",
            "0",
            "targets",
            "0",
        ],
    )?;
    leads("prometheus", told.as_str().unwrap_or_default())?;
    let routes = bundle.yaml("deploy/compose/alertmanager.yml")?;
    let mut webhooks = 0;
    for receiver in at(&routes, &["receivers"])?
        .as_sequence()
        .into_iter()
        .flatten()
    {
        if let Ok(url) = at(receiver, &["webhook_configs", "0", "url"]) {
            let url = url.as_str().unwrap_or_default();
            let base = url
                .strip_suffix("/api/v1/alertmanager")
                .ok_or_else(|| format!("webhook {url}"))?;
            hold(
                base.contains(&format!(":{}", config.control.1)),
                format!("webhook {url}"),
            )?;
            leads("alertmanager", base)?;
            webhooks += 1;
        }
    }
    hold(webhooks == 2, format!("{webhooks} webhooks"))?;
    leads("slotkeeper", &config.alertmanager)?;
    let source = bundle.yaml("deploy/compose/grafana-datasource.yml")?;
    let source = at(&source, &["datasources", "0", "url"])?
        .as_str()
        .unwrap_or_default();
    leads("grafana", source)?;
    for (name, service) in &stack.services {
        if let Some(url) = service
            .healthcheck
            .test
            .iter()
            .find_map(|w| w.strip_prefix("http://"))
        {
            leads(name, url.split('/').next().unwrap_or_default())?;
        }
    }
    Ok(())
}

/// Every command line is one that its program takes, with files that are mounted; the monitoring tools take the files.
pub(crate) fn commands(bundle: &Bundle) -> Result<(), String> {
    let stack = stack(bundle)?;
    let own = &stack.services["slotkeeper"];
    accepted(own.command.iter().map(String::as_str))?;
    let check: Vec<&str> = own.healthcheck.test.iter().map(String::as_str).collect();
    match check.as_slice() {
        ["CMD", "/usr/bin/slotkeeper", args @ ..] => {
            accepted(args.iter().copied())?;
            let web = format!("127.0.0.1:{}", placed(bundle, CONFIG)?.web.1);
            hold(
                args.contains(&web.as_str()),
                format!("healthcheck asks {args:?}"),
            )?;
        }
        other => return Err(format!("healthcheck {other:?}")),
    }
    let programs = [
        ("slotkeeper", &["none"][..]),
        ("prometheus", &["prometheus"]),
        ("alertmanager", &["prometheus-alertmanager", "alertmanager"]),
    ];
    for (name, programs) in programs {
        let service = &stack.services[name];
        if name != "slotkeeper" {
            let help = programs
                .iter()
                .find_map(|program| tool(&root(), program, &["--help"]).ok())
                .ok_or_else(|| format!("{name} is not installed; `make setup`"))?;
            for word in &service.command {
                let (flag, _) = word.split_once('=').unwrap_or((word, ""));
                let known =
                    help.contains(&format!("{flag}=")) || help.contains(&format!("{flag} "));
                hold(known, format!("{name}: {flag} is no flag"))?;
            }
        }
        let config = format!("/etc/{name}/{name}.yml");
        let given = service
            .command
            .iter()
            .any(|w| *w == config || *w == format!("--config.file={config}"));
        let mounted = service
            .volumes()?
            .iter()
            .any(|(source, place, _)| *place == config && *source == format!("./{name}.yml"));
        hold(
            given && mounted,
            format!("{name}: {config} is not what it reads"),
        )?;
        // What it writes is on a volume.
        let storage = service.command.iter().find_map(|w| {
            w.strip_prefix("--storage.tsdb.path=")
                .or(w.strip_prefix("--storage.path="))
        });
        let kept = storage.is_none_or(|path| {
            service
                .volumes()
                .is_ok_and(|v| v.iter().any(|(_, place, ro)| *place == path && !ro))
        });
        hold(kept, format!("{name}: {storage:?} is on no volume"))?;
    }
    hold(
        stack.services["prometheus"]
            .command
            .contains(&"--rules.alert.resend-delay=5s".to_owned()),
        "prometheus: without --rules.alert.resend-delay=5s heartbeats are overdue",
    )?;
    let dir = bundle.on_disk();
    let compose = dir.path().join("deploy/compose");
    for (target, link) in [
        ("../prometheus/rules", "rules"),
        ("../alertmanager/templates", "templates"),
    ] {
        std::os::unix::fs::symlink(target, compose.join(link)).map_err(|e| e.to_string())?;
    }
    let said = tool(&compose, "promtool", &["check", "config", "prometheus.yml"])?;
    hold(said.contains("7 rule files found"), said)?;
    let said = tool(&compose, "amtool", &["check-config", "alertmanager.yml"])?;
    hold(said.contains(" - 1 templates"), said)
}

#[test]
fn every_service_is_locked_down() {
    locked(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn everything_that_is_mounted_or_read_is_there() {
    mounts(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_address_leads_to_whom_it_means() {
    addresses(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn every_command_line_is_taken() {
    commands(&Bundle::shipped()).unwrap_or_else(|e| panic!("{e}"));
}
