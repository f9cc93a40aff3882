//! The shipped files as texts that can be changed: checks take a bundle, so that a test can break one file and see that
//! a check notices. Reads the repository; writes only into directories of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_yaml::Value;

/// Everything that the checks of this room look at, by path in the repository.
#[derive(Debug, Clone)]
pub(crate) struct Bundle(BTreeMap<String, String>);

/// One rule of a rule file.
#[derive(Debug, Clone, serde::Deserialize)]
pub(crate) struct Rule {
    pub(crate) alert: Option<String>,
    pub(crate) record: Option<String>,
    pub(crate) expr: String,
    #[serde(rename = "for")]
    pub(crate) patience: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct RuleFile {
    groups: Vec<RuleGroup>,
}

#[derive(serde::Deserialize)]
struct RuleGroup {
    rules: Vec<Rule>,
}

/// Where the rules are.
pub(crate) const RULES: &str = "deploy/prometheus/rules/";
/// Where their tests are.
pub(crate) const RULE_TESTS: &str = "deploy/prometheus/tests/";
/// Where the dashboards are.
pub(crate) const DASHBOARDS: &str = "deploy/grafana/dashboards/";
/// Where the pages for people are.
pub(crate) const RUNBOOKS: &str = "docs/runbooks/";

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The value at a path of keys; numbers index lists.
pub(crate) fn at<'a>(value: &'a Value, path: &[&str]) -> Result<&'a Value, String> {
    path.iter().try_fold(value, |value, key| {
        let found = match key.parse::<usize>() {
            Ok(index) => value.get(index),
            Err(_) => value.get(*key),
        };
        found.ok_or_else(|| format!("no {key} of {path:?}"))
    })
}

/// Prometheus's way of writing time, in seconds. Only what the files use.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(format!("{text} is no time")),
    };
    let number: u64 = number.parse().map_err(|_| format!("{text} is no time"))?;
    Ok(number * factor)
}

/// Runs a tool in a directory; everything it said, as an error when it failed.
pub(crate) fn tool(dir: &Path, program: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .output()
        .map_err(|e| format!("cannot run {program} ({e}); `make setup` installs it"))?;
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{program} {args:?}:\n{text}"))
}

// === impl Bundle ===

impl Bundle {
    /// As in the repository.
    pub(crate) fn shipped() -> Self {
        let mut files = BTreeMap::new();
        for folder in ["deploy", "docs", "examples", "scripts"] {
            collect(&root(), folder, &mut files);
        }
        for file in [
            ".dockerignore",
            ".gitignore",
            "CHANGELOG.md",
            "Cargo.toml",
            "Dockerfile",
            "LICENSE-MIT",
            "README.md",
            "SECURITY.md",
        ] {
            collect_one(file, &mut files);
        }
        assert!(files.len() > 60, "only {} files", files.len());
        Self(files)
    }

    /// The text of a file.
    pub(crate) fn text(&self, path: &str) -> Result<&str, String> {
        let text = self
            .0
            .get(path)
            .ok_or_else(|| format!("{path} is missing"))?;
        Ok(text)
    }

    /// A file as YAML.
    pub(crate) fn yaml(&self, path: &str) -> Result<Value, String> {
        serde_yaml::from_str(self.text(path)?).map_err(|e| format!("{path}: {e}"))
    }

    /// Names and texts of the files directly in a folder.
    pub(crate) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .iter()
            .filter_map(move |(path, text)| Some((path.strip_prefix(folder)?, text.as_str())))
            .filter(|(name, _)| !name.contains('/'))
    }

    /// The rules of every file, in order, with the file's name.
    pub(crate) fn rules(&self) -> Result<Vec<(String, Rule)>, String> {
        let mut all = Vec::new();
        for (name, text) in self.under(RULES) {
            let file: RuleFile = serde_yaml::from_str(text).map_err(|e| format!("{name}: {e}"))?;
            let rules = file.groups.into_iter().flat_map(|g| g.rules);
            all.extend(rules.map(|rule| (name.to_owned(), rule)));
        }
        Ok(all)
    }

    /// The rules that are alerts, by name.
    pub(crate) fn alerts(&self) -> Result<Vec<(String, Rule)>, String> {
        let rules = self.rules()?.into_iter();
        Ok(rules
            .filter_map(|(_, rule)| Some((rule.alert.clone()?, rule)))
            .collect())
    }

    /// Paths of all files.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Breaks a file. What is replaced must be there, else the test that breaks it proves nothing.
    pub(crate) fn replace(&mut self, path: &str, from: &str, to: &str) {
        let text = self.0.get_mut(path).unwrap_or_else(|| panic!("{path}"));
        assert!(text.contains(from), "{path} does not contain {from}");
        *text = text.replace(from, to);
    }

    /// Takes a file away.
    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.0.remove(path).is_some(), "{path}");
    }

    /// Puts a file there.
    pub(crate) fn add(&mut self, path: &str, text: &str) {
        self.0.insert(path.to_owned(), text.to_owned());
    }

    /// Writes all of it into a directory, for the tools.
    pub(crate) fn on_disk(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in &self.0 {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }
}

fn collect_one(path: &str, files: &mut BTreeMap<String, String>) {
    if let Ok(text) = std::fs::read_to_string(root().join(path)) {
        files.insert(path.to_owned(), text);
    }
}

fn collect(root: &Path, folder: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(root, &path, files);
        } else {
            collect_one(&path, files);
        }
    }
}
