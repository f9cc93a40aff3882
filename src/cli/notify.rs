//! `slotkeeper notify test`: would people be reached? Sends through the same receivers as the daemon, and says what happened.

use clap::{Args, Subcommand};

use super::check_config::{ConfigArgs, load};
use super::client::block_on;
use super::{CliError, CliResult, print};
use crate::clock::now_ms;
use crate::config::{Listener, NotifyConfig, Via};
use crate::notify::receiver::{self, Outcome};
use crate::notify::{Act, Message, TIMEOUT};

/// Try the receivers of direct escalation.
#[derive(Debug, Args)]
pub(super) struct NotifyArgs {
    #[command(subcommand)]
    command: NotifyCommand,
}

#[derive(Debug, Subcommand)]
enum NotifyCommand {
    Test(TestArgs),
}

/// Send a test message through each receiver and say what happened.
#[derive(Debug, Args)]
#[command(
    long_about = "Send a test message through each receiver of `notify`, or through one of them, and say what happened.\n\n\
        Each is tried once. The daemon need not run, and is not asked. PagerDuty is told of the end of the test at once.",
    after_help = "Examples:\n  slotkeeper notify test --config.file slotkeeper.yml\n  slotkeeper notify test oncall\n\n\
                  Exit codes: 0 every receiver has taken it, 1 one has not, 2 usage or config."
)]
struct TestArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this receiver.
    name: Option<String>,
}

pub(super) fn run(args: &NotifyArgs) -> CliResult {
    let NotifyCommand::Test(args) = &args.command;
    let config = load(&args.config)?;
    let chosen: Vec<&NotifyConfig> = config
        .notify
        .iter()
        .filter(|one| args.name.as_ref().is_none_or(|name| *name == one.name))
        .collect();
    if chosen.is_empty() {
        let all: Vec<&str> = config.notify.iter().map(|one| one.name.as_str()).collect();
        return Err(CliError::Usage(match &args.name {
            Some(name) => anyhow::anyhow!(
                "no receiver is called {name} (there are: {})",
                all.join(", ")
            ),
            None => anyhow::anyhow!(
                "the configuration has no notify: section, so nobody is told anything directly"
            ),
        }));
    }
    let mut failed = 0_usize;
    for one in chosen {
        let said = match block_on(test(one, &config.web))? {
            Outcome::Delivered => "delivered".to_owned(),
            Outcome::Retry { why, .. } | Outcome::Refused(why) => {
                failed = failed.saturating_add(1);
                format!("FAILED: {why}")
            }
        };
        print(&format!("{} ({}): {said}", one.name, one.via.as_str()))?;
    }
    if failed == 0 {
        return Ok(());
    }
    Err(CliError::Failed(anyhow::anyhow!(
        "{failed} of the receivers did not take the message"
    )))
}

async fn test(config: &NotifyConfig, web: &Listener) -> Outcome {
    let receiver = match receiver::open(config, web) {
        Ok(receiver) => receiver,
        Err(problem) => return Outcome::Refused(problem),
    };
    let send = async |message: &Message| {
        let sent = tokio::time::timeout(TIMEOUT, receiver.send(message)).await;
        sent.unwrap_or_else(|_| Outcome::Retry {
            why: format!("no answer within {} s", TIMEOUT.as_secs()),
            after: None,
        })
    };
    let mut message = Message::test(now_ms());
    let outcome = send(&message).await;
    if outcome != Outcome::Delivered || !matches!(config.via, Via::Pagerduty { .. }) {
        return outcome;
    }
    // Or the test would stay open as an incident.
    message.act = Act::Resolve;
    send(&message).await
}
