//! Broken units, packages, images, compose files and Kubernetes objects.

use super::super::{compose, deb, derived, image, kubernetes, unit};
use super::{Mutant, caught, mutant};

#[test]
fn in_the_unit() {
    const CONFIG: &str = "deploy/systemd/slotkeeper.yml";
    caught(&[
        mutant(
            unit::UNIT,
            "NoNewPrivileges=yes\nCapabilityBoundingSet=\n",
            "",
            unit::exposure,
            "exposure",
        ),
        mutant(
            unit::UNIT,
            "PrivateDevices=yes",
            "PrivateDevice=yes",
            unit::verified,
            "PrivateDevice",
        ),
        mutant(
            unit::UNIT,
            "--config.file",
            "--config",
            unit::fits,
            "--config",
        ),
        mutant(unit::UNIT, "Type=notify", "Type=simple", unit::fits, "Type"),
        mutant(
            unit::UNIT,
            "WatchdogSec=60s\n",
            "",
            unit::fits,
            "WatchdogSec",
        ),
        mutant(
            unit::UNIT,
            "LoadCredential=secrets:",
            "LoadCredential=secret:",
            unit::fits,
            "neither",
        ),
        mutant(
            unit::UNIT,
            "StateDirectory=slotkeeper",
            "StateDirectory=keeper",
            unit::fits,
            "neither",
        ),
        mutant(
            unit::UNIT,
            "SystemCallErrorNumber=EPERM\n",
            "",
            unit::fits,
            "SystemCallErrorNumber",
        ),
        mutant(
            CONFIG,
            "secrets_passphrase",
            "passphrase",
            unit::fits,
            "neither",
        ),
        mutant(CONFIG, "token_file", "tokenfile", unit::fits, "tokenfile"),
    ]);
}

#[test]
fn in_the_package() {
    const SCRIPT: &str = "scripts/deb.sh";
    caught(&[
        mutant(
            SCRIPT,
            "usr/bin/slotkeeper\n",
            "usr/sbin/slotkeeper\n",
            deb::package,
            "usr/sbin/slotkeeper has mode",
        ),
        mutant(
            unit::UNIT,
            "/usr/bin/slotkeeper",
            "/usr/local/bin/slotkeeper",
            deb::package,
            "not in the package",
        ),
        mutant(
            SCRIPT,
            "install -d -m 700",
            "install -d -m 755",
            deb::package,
            "secrets has mode",
        ),
        mutant(
            SCRIPT,
            "echo /etc/slotkeeper/slotkeeper.yml",
            "echo /etc/slotkeeper.yml",
            deb::package,
            "conffile",
        ),
        mutant(
            SCRIPT,
            " deploy/grafana ",
            " ",
            deb::package,
            "usr/share/slotkeeper/grafana",
        ),
        mutant(
            SCRIPT,
            "put 755 \"$binary\"",
            "put 777 \"$binary\"",
            deb::package,
            "has mode",
        ),
        mutant(
            SCRIPT,
            "completions zsh",
            "completions tcsh >/dev/null; false",
            deb::package,
            "deb.sh",
        ),
        mutant(
            "deploy/debian/postrm",
            "is left as it is",
            "goes",
            deb::package,
            "purge",
        ),
    ]);
}

#[test]
fn in_the_image() {
    const FILE: &str = "Dockerfile";
    caught(&[
        mutant(FILE, "USER 10061:10061\n", "", image::dockerfile, "USER"),
        mutant(
            FILE,
            "USER 10061:10061",
            "USER root",
            image::dockerfile,
            "USER",
        ),
        mutant(
            FILE,
            "rust:1.90.0-slim-bookworm",
            "rust:latest",
            image::dockerfile,
            "FROM rust:latest",
        ),
        mutant(
            FILE,
            "rust:1.90.0-slim-bookworm",
            "rust:1.90.0-slim-trixie",
            image::dockerfile,
            "Debian 12",
        ),
        mutant(
            FILE,
            "EXPOSE 10061",
            "EXPOSE 9101",
            image::dockerfile,
            "EXPOSE",
        ),
        mutant(
            FILE,
            "--web.address",
            "--address",
            image::dockerfile,
            "--address",
        ),
        mutant(FILE, "\"run\", ", "", image::dockerfile, "slotkeeper"),
        mutant(
            FILE,
            "release/slotkeeper /usr/bin/slotkeeper",
            "release/slotkeeper /bin/slotkeeper",
            image::dockerfile,
            "nothing is copied",
        ),
        mutant(
            FILE,
            "--chown=10061:10061 ",
            "",
            image::dockerfile,
            "belong",
        ),
        mutant(
            FILE,
            "USER 10061",
            "ENV TOKEN x\nUSER 10061",
            image::dockerfile,
            "ENV",
        ),
        mutant(
            ".dockerignore",
            "!deploy/prometheus\n",
            "",
            image::context,
            "src includes deploy/prometheus",
        ),
        mutant(
            ".dockerignore",
            "!deploy/prometheus",
            "!deploy",
            image::context,
            "may hold secrets",
        ),
        mutant(
            ".dockerignore",
            "!benches",
            "!bench",
            image::context,
            "no bench",
        ),
    ]);
}

#[test]
fn in_the_compose_file() {
    const FILE: &str = "deploy/compose/compose.yml";
    const CONFIG: &str = "deploy/compose/slotkeeper.yml";
    caught(&[
        mutant(
            FILE,
            "  read_only: true\n",
            "",
            compose::locked,
            "read_only",
        ),
        mutant(
            FILE,
            "cap_drop: [ALL]",
            "cap_drop: [NET_RAW]",
            compose::locked,
            "cap_drop",
        ),
        mutant(
            FILE,
            "user: \"10061:10061\"",
            "user: \"0:0\"",
            compose::locked,
            "user",
        ),
        mutant(
            FILE,
            "\"127.0.0.1:9090:9090\"",
            "\"9090:9090\"",
            compose::locked,
            "open to everybody",
        ),
        mutant(
            FILE,
            "prom/prometheus:v3.5.0",
            "prom/prometheus:latest",
            compose::locked,
            "not pinned",
        ),
        mutant(FILE, "restart:", "restarts:", compose::locked, "restarts"),
        mutant(
            FILE,
            "GF_SECURITY_ADMIN_PASSWORD__FILE",
            "GF_SECURITY_ADMIN_PASSWORD",
            compose::locked,
            "in clear",
        ),
        mutant(
            FILE,
            "../prometheus/rules:",
            "../prometheus/rule:",
            compose::mounts,
            "does not exist",
        ),
        mutant(
            FILE,
            "slotkeeper.yml:ro",
            "slotkeeper.yml",
            compose::mounts,
            "can be written",
        ),
        mutant(
            FILE,
            "secrets: [control.token, passphrase",
            "secrets: [passphrase",
            compose::mounts,
            "secrets used",
        ),
        mutant(
            FILE,
            "target: /etc/alertmanager/slack.url",
            "target: /etc/slack.url",
            compose::mounts,
            "slack.url is not mounted",
        ),
        mutant(
            FILE,
            "/var/lib/grafana/dashboards/slotkeeper:ro",
            "/dashboards:ro",
            compose::mounts,
            "dashboards are not",
        ),
        mutant(
            ".gitignore",
            "deploy/compose/secrets/\n",
            "",
            compose::mounts,
            ".gitignore",
        ),
        mutant(
            CONFIG,
            "/run/secrets/passphrase",
            "/run/secrets/phrase",
            compose::mounts,
            "phrase is not mounted",
        ),
        mutant(
            CONFIG,
            "\":10061\"",
            "\":10063\"",
            compose::addresses,
            "listens on",
        ),
        mutant(
            CONFIG,
            "172.30.62.2:10062",
            "172.30.62.3:10062",
            compose::addresses,
            "control.listen",
        ),
        mutant(
            CONFIG,
            "alertmanager:9093",
            "alertmanagers:9093",
            compose::addresses,
            "nobody is called",
        ),
        mutant(
            FILE,
            "aliases: [slotkeeper-control]",
            "aliases: [control]",
            compose::addresses,
            "nobody is called",
        ),
        mutant(
            FILE,
            "networks: [stack]\n    ports: [\"127.0.0.1:9090",
            "networks: [stack, control]\n    ports: [\"127.0.0.1:9090",
            compose::addresses,
            "in the network of the control",
        ),
        mutant(
            FILE,
            "127.0.0.1:3000:3000",
            "127.0.0.1:3000:3001",
            compose::addresses,
            "grafana: port",
        ),
        mutant(
            "deploy/compose/prometheus.yml",
            "slotkeeper:10061",
            "slotkeeper:10062",
            compose::addresses,
            "listens on",
        ),
        mutant(
            FILE,
            "run, --config.file",
            "run, --config",
            compose::commands,
            "--config",
        ),
        mutant(
            FILE,
            "--storage.tsdb.retention.time",
            "--storage.retention",
            compose::commands,
            "is no flag",
        ),
        mutant(
            FILE,
            "--rules.alert.resend-delay=5s",
            "--rules.alert.resend-delay=1m",
            compose::commands,
            "overdue",
        ),
        mutant(
            FILE,
            "--storage.path=/alertmanager",
            "--storage.path=/data",
            compose::commands,
            "on no volume",
        ),
        mutant(
            "deploy/compose/alertmanager.yml",
            "receiver: oncall",
            "receiver: nobody",
            compose::commands,
            "nobody",
        ),
    ]);
}

#[test]
fn in_kubernetes() {
    const DEPLOYMENT: &str = "deploy/kubernetes/deployment.yml";
    const SERVICE: &str = "deploy/kubernetes/service.yml";
    const POLICY: &str = "deploy/kubernetes/networkpolicy.yml";
    const MONITOR: &str = "deploy/kubernetes/servicemonitor.yml";
    const CONFIG: &str = "deploy/kubernetes/slotkeeper.yml";
    let gone = Mutant {
        path: MONITOR,
        from: "",
        to: None,
        check: kubernetes::complete,
        says: "servicemonitor.yml",
    };
    caught(&[
        gone,
        mutant(
            DEPLOYMENT,
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            kubernetes::locked,
            "runs as",
        ),
        mutant(
            DEPLOYMENT,
            "runAsUser: 10061",
            "runAsUser: 1000",
            kubernetes::locked,
            "runs as",
        ),
        mutant(
            DEPLOYMENT,
            "replicas: 1",
            "replicas: 2",
            kubernetes::locked,
            "replicas",
        ),
        mutant(
            DEPLOYMENT,
            "type: Recreate",
            "type: RollingUpdate",
            kubernetes::locked,
            "strategy",
        ),
        mutant(
            DEPLOYMENT,
            "readOnlyRootFilesystem",
            "readOnlyRootFileSystem",
            kubernetes::locked,
            "readOnlyRootFileSystem",
        ),
        mutant(
            DEPLOYMENT,
            "drop: [ALL]",
            "drop: []",
            kubernetes::locked,
            "securityContext",
        ),
        mutant(
            DEPLOYMENT,
            "    limits:\n",
            "    limits:\n              cpu: 100m\n",
            kubernetes::locked,
            "throttled",
        ),
        mutant(
            DEPLOYMENT,
            "apps/v1",
            "extensions/v1beta1",
            kubernetes::locked,
            "no kind we know",
        ),
        mutant(
            DEPLOYMENT,
            "defaultMode: 288",
            "defaultMode: 420",
            kubernetes::files,
            "defaultMode",
        ),
        mutant(
            DEPLOYMENT,
            "CREDENTIALS_DIRECTORY",
            "CREDENTIALS_DIR",
            kubernetes::files,
            "CREDENTIALS_DIRECTORY",
        ),
        mutant(
            DEPLOYMENT,
            "mountPath: /run/secrets/slotkeeper",
            "mountPath: /run/secrets/keeper",
            kubernetes::files,
            "is not mounted",
        ),
        mutant(
            DEPLOYMENT,
            "claimName: slotkeeper-state",
            "claimName: slotkeeper",
            kubernetes::files,
            "PersistentVolumeClaim",
        ),
        mutant(
            "deploy/kubernetes/secret.example.yml",
            "  control.token: PUT",
            "  token: PUT",
            kubernetes::files,
            "the Secret has",
        ),
        mutant(
            "deploy/kubernetes/secret.example.yml",
            "passphrase: PUT-YOURS-HERE",
            "passphrase: tiger",
            kubernetes::files,
            "looks like a secret",
        ),
        mutant(
            DEPLOYMENT,
            "containerPort: 10062",
            "containerPort: 10063",
            kubernetes::wired,
            "ports",
        ),
        mutant(
            CONFIG,
            "\":10061\"",
            "\":9101\"",
            kubernetes::wired,
            "ports",
        ),
        mutant(
            DEPLOYMENT,
            "path: /-/ready",
            "path: /ready",
            kubernetes::wired,
            "a probe asks",
        ),
        mutant(
            SERVICE,
            "targetPort: control",
            "targetPort: web",
            kubernetes::wired,
            "slotkeeper-control: port",
        ),
        mutant(
            SERVICE,
            "  publishNotReadyAddresses: true\n",
            "  publishNotReadyAddresses: false\n",
            kubernetes::wired,
            "could not be reached",
        ),
        mutant(
            SERVICE,
            "  name: slotkeeper\n",
            "  name: slotkeeper-web\n",
            kubernetes::wired,
            "no Service slotkeeper",
        ),
        mutant(
            MONITOR,
            "component: web",
            "component: control",
            kubernetes::wired,
            "another Service",
        ),
        mutant(
            MONITOR,
            "interval: 1s",
            "interval: 30s",
            kubernetes::wired,
            "pace",
        ),
        mutant(
            POLICY,
            "name: alertmanager",
            "name: prometheus",
            kubernetes::fenced,
            "lets in",
        ),
        mutant(
            POLICY,
            "port: 10062",
            "port: 10061",
            kubernetes::fenced,
            "lets in",
        ),
        mutant(
            POLICY,
            "          port: 443\n",
            "          port: 8080\n",
            kubernetes::fenced,
            "lets out",
        ),
        mutant(
            CONFIG,
            ".svc:9093",
            ".svc:9094",
            kubernetes::fenced,
            "lets out",
        ),
        mutant(
            "deploy/kubernetes/kustomization.yaml",
            "  - volume.yml\n",
            "",
            kubernetes::complete,
            "kustomization lists",
        ),
        mutant(
            "deploy/kubernetes/namespace.yml",
            "restricted",
            "privileged",
            kubernetes::complete,
            "not restricted",
        ),
        mutant(
            "deploy/README.md",
            "slotkeeper-control.slotkeeper.svc",
            "slotkeeper.slotkeeper.svc",
            kubernetes::complete,
            "no http",
        ),
    ]);
}

#[test]
fn in_what_follows_from_others() {
    caught(&[
        mutant(
            "deploy/prometheus/rules/chain.yml",
            "slotkeeper-chain",
            "slotkeeper-chains",
            derived::current,
            "stale",
        ),
        mutant(
            "deploy/kubernetes/prometheusrule.yml",
            "> 30",
            "> 31",
            derived::current,
            "stale",
        ),
        mutant(
            "deploy/compose/alertmanager.yml",
            "send_resolved: false",
            "send_resolved: true",
            derived::current,
            "stale",
        ),
        mutant(
            "deploy/prometheus/prometheus.yml",
            "127.0.0.1:10061",
            "127.0.0.1:10063",
            derived::current,
            "no 127.0.0.1:10061",
        ),
        mutant(
            "deploy/kubernetes/prometheusrule.yml",
            "- alert: SlotkeeperChainHalted",
            "- alert: SlotkeeperChainStopped",
            derived::every_rule,
            "differ",
        ),
    ]);
}
