//! `slotkeeper completions SHELL`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliResult, print};

/// Print the completion script for a shell.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  slotkeeper completions bash > /etc/bash_completion.d/slotkeeper\n  \
                  slotkeeper completions zsh > \"${fpath[1]}/_slotkeeper\"\n  \
                  slotkeeper completions fish > ~/.config/fish/completions/slotkeeper.fish\n\n\
                  Exit codes: 0 done, 1 failed, 2 usage."
)]
pub(super) struct CompletionsArgs {
    /// The shell to write for.
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> CliResult {
    let mut script = vec![];
    clap_complete::generate(args.shell, &mut Cli::command(), "slotkeeper", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
