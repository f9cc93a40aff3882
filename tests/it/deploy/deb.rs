//! The Debian package, built by scripts/deb.sh, and taken apart: what is where, with which rights, and whether the parts know
//! each other. Checks that break files use a stand-in for the program; one test uses the program.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bundle::{Bundle, root, tool};
use super::places::hold;
use super::unit;

/// Answers `completions` like the program.
const STAND_IN: &str = "#!/bin/sh\necho \"completions for $2\"\n";

/// Builds and unpacks; returns the package and the tree of its files (with DEBIAN).
fn build(sources: &Path, binary: &Path, out: &Path) -> Result<(PathBuf, PathBuf), String> {
    let output = Command::new("bash")
        .arg(sources.join("scripts/deb.sh"))
        .args(["--fast", "--binary"])
        .arg(binary)
        .arg("--out")
        .arg(out)
        .env("SOURCE_DATE_EPOCH", "1750000000")
        .output()
        .map_err(|e| format!("bash: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "deb.sh: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let package = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let tree = out.join("tree");
    let (package_arg, tree_arg) = (package.to_string_lossy(), tree.to_string_lossy());
    tool(out, "dpkg-deb", &["--raw-extract", &package_arg, &tree_arg])?;
    Ok((package, tree))
}

fn mode(path: &Path) -> Result<u32, String> {
    let metadata = std::fs::metadata(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(metadata.permissions().mode() & 0o7777)
}

fn files(dir: &Path, tree: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, tree, found);
        } else {
            let name = path.strip_prefix(tree).unwrap();
            found.insert(name.to_string_lossy().into_owned());
        }
    }
}

/// Everything that can be seen in the package.
fn inspect(bundle: &Bundle, tree: &Path) -> Result<(), String> {
    let read =
        |path: &str| std::fs::read_to_string(tree.join(path)).map_err(|e| format!("{path}: {e}"));
    let mut found = BTreeSet::new();
    files(tree, tree, &mut found);
    for path in &found {
        let wanted = match path.as_str() {
            "usr/bin/slotkeeper" | "DEBIAN/postinst" | "DEBIAN/prerm" | "DEBIAN/postrm" => 0o755,
            _ => 0o644,
        };
        let is = mode(&tree.join(path))?;
        hold(
            is == wanted,
            format!("{path} has mode {is:o}, not {wanted:o}"),
        )?;
    }
    let secrets = mode(&tree.join("etc/slotkeeper/secrets"))?;
    hold(secrets == 0o700, format!("secrets has mode {secrets:o}"))?;
    // The unit starts what is in the package, with a configuration that is in the package.
    let text = read("usr/lib/systemd/system/slotkeeper.service")?;
    let mut installed = bundle.clone();
    installed.remove(unit::UNIT);
    installed.add(unit::UNIT, &text);
    let command = unit::settings(&installed)?;
    let command = command.get("ExecStart").ok_or("no ExecStart")?.concat();
    for word in command.split(' ').filter_map(|w| w.strip_prefix('/')) {
        hold(
            found.contains(word),
            format!("the unit names /{word}, which is not in the package"),
        )?;
    }
    let conffiles = read("DEBIAN/conffiles")?;
    let conffiles: BTreeSet<&str> = conffiles
        .lines()
        .filter_map(|l| l.strip_prefix('/'))
        .collect();
    let in_etc: BTreeSet<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|p| p.starts_with("etc/"))
        .collect();
    hold(
        conffiles == in_etc,
        format!("conffiles {conffiles:?}, in /etc {in_etc:?}"),
    )?;
    let sums = read("DEBIAN/md5sums")?;
    let sums: BTreeSet<&str> = sums
        .lines()
        .filter_map(|l| Some(l.split_once("  ")?.1))
        .collect();
    let all: BTreeSet<&str> = found
        .iter()
        .map(String::as_str)
        .filter(|p| !p.starts_with("DEBIAN/"))
        .collect();
    hold(sums == all, "md5sums does not name every file")?;
    // All that is shipped for monitoring comes along as it is.
    for path in bundle.paths() {
        let shipped = [
            "deploy/prometheus/",
            "deploy/alertmanager/",
            "deploy/grafana/",
        ];
        if shipped.iter().any(|s| path.starts_with(s)) {
            let there = path.replacen("deploy/", "usr/share/slotkeeper/", 1);
            hold(
                read(&there)? == bundle.text(path)?,
                format!("{there} differs"),
            )?;
        }
    }
    for path in [
        "usr/share/doc/slotkeeper/copyright",
        "usr/share/doc/slotkeeper/changelog.Debian.gz",
    ] {
        hold(found.contains(path), format!("no {path}"))?;
    }
    for (shell, path) in [
        ("bash", "usr/share/bash-completion/completions/slotkeeper"),
        ("zsh", "usr/share/zsh/vendor-completions/_slotkeeper"),
        (
            "fish",
            "usr/share/fish/vendor_completions.d/slotkeeper.fish",
        ),
    ] {
        hold(
            !read(path)?.trim().is_empty(),
            format!("no completions for {shell}"),
        )?;
    }
    let control = read("DEBIAN/control")?;
    for field in [
        "Depends: libc6 (>= ",
        "Version: ",
        "Architecture: ",
        "Installed-Size: ",
    ] {
        let filled = control
            .lines()
            .any(|l| l.len() > field.len() && l.starts_with(field));
        hold(filled, format!("control: no {field}"))?;
    }
    // Into another root they touch nothing of this machine, and a purge says what stays.
    let root = tree.to_string_lossy();
    let mut said = String::new();
    for (script, args) in [
        ("postinst", &["configure"][..]),
        ("postinst", &["configure", "0.0.1"]),
        ("prerm", &["remove"]),
        ("postrm", &["remove"]),
        ("postrm", &["purge"]),
    ] {
        let path = tree.join("DEBIAN").join(script);
        let command = format!(
            "DPKG_ROOT='{root}' PATH=/nonexistent exec /bin/sh '{}' {}",
            path.display(),
            args.join(" ")
        );
        said = tool(tree, "/bin/sh", &["-c", &command])?;
        hold(
            !said.contains("systemctl"),
            format!("{script} {args:?}: {said}"),
        )?;
    }
    hold(
        said.contains("/etc/slotkeeper/secrets is left"),
        format!("purge says {said:?}"),
    )
}

/// Builds it from the bundle with a stand-in, and inspects it.
pub(crate) fn package(bundle: &Bundle) -> Result<(), String> {
    let sources = bundle.on_disk();
    let binary = sources.path().join("stand-in");
    std::fs::write(&binary, STAND_IN).unwrap();
    std::fs::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).unwrap();
    let out = tempfile::tempdir().unwrap();
    let (_, tree) = build(sources.path(), &binary, out.path())?;
    inspect(bundle, &tree)
}

#[test]
fn the_same_sources_make_the_same_package_and_its_parts_fit() {
    let bundle = Bundle::shipped();
    package(&bundle).unwrap_or_else(|e| panic!("{e}"));
    let binary = tempfile::tempdir().unwrap();
    let program = binary.path().join("stand-in");
    std::fs::write(&program, STAND_IN).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let made = [(); 2].map(|()| {
        // Other directories, other times of the files.
        let sources = bundle.on_disk();
        let out = tempfile::tempdir().unwrap();
        let (package, _) = build(sources.path(), &program, out.path()).unwrap();
        std::fs::read(package).unwrap()
    });
    assert!(made[0] == made[1], "two builds differ");
}

#[test]
fn the_packaged_program_takes_the_packaged_configuration() {
    let out = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_slotkeeper"));
    let (_, tree) = build(&root(), program, out.path()).unwrap();
    inspect(&Bundle::shipped(), &tree).unwrap_or_else(|e| panic!("{e}"));
    let installed = tree.join("usr/bin/slotkeeper");
    let said = tool(
        &tree,
        &installed.to_string_lossy(),
        &[
            "check-config",
            "--config.file",
            "etc/slotkeeper/slotkeeper.yml",
        ],
    )
    .unwrap_or_else(|e| panic!("{e}"));
    assert!(
        said.starts_with("OK etc/slotkeeper/slotkeeper.yml"),
        "{said}"
    );
}
