//! `slotkeeper completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliResult, print};

/// Where to put the script: `slotkeeper completions bash > /etc/bash_completion.d/slotkeeper`
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell to write for.
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> CliResult {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "slotkeeper", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
