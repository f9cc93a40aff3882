//! The command line: arguments to one command, its errors to an exit code. One file per subcommand.
//!
//! Exit codes: 0 done, 1 failed or refused, 2 usage or config. Data goes to stdout, everything else to stderr.

mod broadcast;
mod check_config;
mod client;
mod completions;
mod demo;
mod demo_nodeos;
mod devnet;
mod follow;
mod keys;
mod notify;
mod online;
mod operate;
mod passphrase;
mod permission;
mod recipe;
mod run;
mod standalone;
mod status;
mod stop;
mod table;
mod tx;
mod tx_antelope;

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keeps a block producer producing: notices missed blocks, moves production to a healthy standby.
#[derive(Debug, Parser)]
#[command(
    name = "slotkeeper",
    version,
    arg_required_else_help = true,
    after_help = "First steps:\n  \
                  slotkeeper demo                                     # see a failover, without any config\n  \
                  slotkeeper check-config --config.file my.yml        # what would happen if any one part died\n  \
                  slotkeeper run --config.file my.yml                 # watches; a fresh one is disarmed\n  \
                  slotkeeper producer rehearse CHAIN/NAME --config.file my.yml   # everything but the broadcast\n  \
                  slotkeeper arm --config.file my.yml                 # from now on it switches\n\n\
                  'slotkeeper COMMAND --help' shows examples.\n\
                  Exit codes: 0 done, 1 failed or refused, 2 usage or config."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Demo(demo::DemoArgs),
    CheckConfig(check_config::CheckConfigArgs),
    Status(status::StatusArgs),
    Arm(operate::ArmArgs),
    Disarm(operate::DisarmArgs),
    Producer(operate::ProducerArgs),
    Notify(notify::NotifyArgs),
    Keys(keys::KeysArgs),
    Tx(tx::TxArgs),
    Devnet(devnet::DevnetArgs),
    Completions(completions::CompletionsArgs),
}

/// Why a command did not succeed; decides the exit code.
#[derive(Debug)]
pub(crate) enum CliError {
    /// The arguments or the config make no sense: exit code 2.
    Usage(anyhow::Error),
    /// It was tried and failed, or was refused: exit code 1.
    Failed(anyhow::Error),
}

type CliResult = Result<(), CliError>;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    forbid_core_dumps();
    run(std::env::args_os())
}

/// Runs one command.
fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with code 0. Nothing is left to do if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::CheckConfig(args) => check_config::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Arm(args) => operate::arm(&args),
        Command::Disarm(args) => operate::disarm(&args),
        Command::Producer(args) => operate::producer(&args),
        Command::Notify(args) => notify::run(&args),
        Command::Keys(args) => keys::run(args),
        Command::Tx(args) => tx::run(args),
        Command::Devnet(args) => devnet::run(args),
        Command::Completions(args) => completions::run(&args),
    };
    let (code, error) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(CliError::Failed(error)) => (1, error),
        Err(CliError::Usage(error)) => (2, error),
    };
    let _ = writeln!(std::io::stderr(), "slotkeeper: {error:#}");
    ExitCode::from(code)
}

/// Keeps secrets out of core dumps, and other processes of the same user out of our memory. Where the system refuses,
/// the command still does its work.
fn forbid_core_dumps() {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// Writes a result to stdout. A closed pipe is a failure, not a panic.
pub(crate) fn print(text: &str) -> CliResult {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|e| CliError::Failed(anyhow::Error::new(e).context("cannot write to stdout")))
}

impl<E: Into<anyhow::Error>> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn arguments_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
