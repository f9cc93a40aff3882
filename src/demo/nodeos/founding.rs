//! From an empty chain to one with protocol features, the system contract, funded accounts and voted producers. Sends by
//! the package's own `cleos` and `keosd`, so that nothing of this chain's start depends on what is to be tested.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Network, OTHERS, PERMISSION, PRODUCER, keys};
use crate::chain::antelope::permission::NEEDED;
use crate::clock::Stopwatch;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Must be on before any other feature can be asked for.
const PREACTIVATE: &str = "0ec7e080177b2c02b278d5088611686b49d739925a92d9bfcacd7fc6b74053bd";

/// Digests of the protocol features that the system contract uses.
const FEATURES: [&str; 8] = [
    "299dcb6af692324b899b39f16d5a530a33062804e41f09dc97e9f156b4476707", // WTMSIG_BLOCK_SIGNATURES
    "ef43112c6543b88db2283a2e077278c315ae2c84719a8b25f25cc88565fbea99", // REPLACE_DEFERRED
    "4a90c00d55454dc5b059055ca213579c6ea856967712a56017487886a4d4cc0f", // NO_DUPLICATE_DEFERRED_ID
    "4fca8bd82bbd181e714e283f83e1b45d95ca5af40fb89ad3977b653c448f78c2", // RAM_RESTRICTIONS
    "8ba52fe7a3956c5cd3a656a3174b931d3bb2abb45578befc59f283ecd816a405", // ONLY_BILL_FIRST_AUTHORIZER
    "ad9e3d8f650687709fd68f4b90b41f7d825a365b02c23a636cef88ac2ac00c43", // RESTRICT_ACTION_TO_SELF
    "c3a6138c5061cf291310887c0b5c71fcaffeab90d5deb50d3b9e687cead45071", // ACTION_RETURN_VALUE
    "e0fb64b1085cc5538970158d05a009c24e276fb94e1a0bf6a528b48fbc4ff526", // FIX_LINKAUTH_RESTRICTION
];

/// Accounts that the system contract pays to and calls.
const SYSTEM: [&str; 10] = [
    "eosio.bpay",
    "eosio.msig",
    "eosio.names",
    "eosio.ram",
    "eosio.ramfee",
    "eosio.saving",
    "eosio.stake",
    "eosio.token",
    "eosio.vpay",
    "eosio.rex",
];

/// `cleos` against the hub, with the wallet at a port.
struct Cleos<'a> {
    network: &'a Network,
    wallet: String,
}

/// Founds the chain of `network`, with the failover permission if that is wanted; `wallet_port` is free.
pub(super) async fn found(
    network: &Network,
    wallet_port: u16,
    permission: bool,
) -> anyhow::Result<()> {
    let mut wallet = network.spawn_wallet(wallet_port)?;
    let cleos = Cleos {
        network,
        wallet: format!("http://127.0.0.1:{wallet_port}"),
    };
    let founded = cleos.found(permission).await;
    // Nothing needs the wallet any longer; if it is gone already, so much the better.
    let _ = wallet.kill().await;
    founded
}

// === impl Cleos ===

impl Cleos<'_> {
    async fn found(&self, permission: bool) -> anyhow::Result<()> {
        self.open_wallet().await?;
        self.contracts().await?;
        self.push(accounts()?).await?;
        self.push(producers()?).await?;
        self.push(vec![made("unlinked")?]).await?;
        if permission {
            self.push(failover()?).await?;
        }
        Ok(())
    }

    async fn open_wallet(&self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let url = format!("{}/v1/wallet/list_wallets", self.wallet);
        while self.network.client().post(&url).send().await.is_err() {
            anyhow::ensure!(watch.elapsed() < LIMIT, "keosd does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let password = self.network.directory().join("wallet/password");
        self.run(&[
            "wallet",
            "create",
            "--file",
            &password.display().to_string(),
        ])
        .await?;
        for role in ["founder", "active"] {
            let wif = keys::secret(role)?.to_wif();
            self.run(&["wallet", "import", "--private-key", &wif])
                .await?;
        }
        Ok(())
    }

    async fn contracts(&self) -> anyhow::Result<()> {
        let url = format!(
            "{}/v1/producer/schedule_protocol_feature_activations",
            self.network.url("H")
        );
        let body = json!({"protocol_features_to_activate": [PREACTIVATE]});
        let client = self.network.client();
        client
            .post(url)
            .json(&body)
            .send()
            .await?
            .error_for_status()?;
        self.network.next_block().await?;
        self.network.next_block().await?;
        self.contract("eosio", "eosio.bios").await?;
        let on = |digest: &&str| action("eosio", "activate", json!({"feature_digest": digest}));
        self.push(FEATURES.iter().map(on).collect()).await?;
        let founder = keys::authority("founder")?;
        let create = |name: &&str| {
            let data =
                json!({"creator": "eosio", "name": name, "owner": founder, "active": founder});
            action("eosio", "newaccount", data)
        };
        self.push(SYSTEM.iter().map(create).collect()).await?;
        self.contract("eosio.token", "eosio.token").await?;
        let mut money = vec![
            json!({"account": "eosio.token", "name": "create", "data": {"issuer": "eosio",
                   "maximum_supply": "10000000000.0000 EOS"}}),
            json!({"account": "eosio.token", "name": "issue", "data": {"to": "eosio",
                   "quantity": "1000000000.0000 EOS", "memo": ""}}),
        ];
        authorize(&mut money, &["eosio.token", "eosio"]);
        self.push(money).await?;
        self.contract("eosio", "eosio.system").await?;
        self.push(vec![action(
            "eosio",
            "init",
            json!({"version": 0, "core": "4,EOS"}),
        )])
        .await
    }

    /// Installs a contract, and waits for the block with it: its action names are read from the head's state.
    async fn contract(&self, account: &str, name: &str) -> anyhow::Result<()> {
        let folder = self.network.package().contract(name).display().to_string();
        let (wasm, abi) = (format!("{name}.wasm"), format!("{name}.abi"));
        let owner = format!("{account}@active");
        self.run(&[
            "set", "contract", account, &folder, &wasm, &abi, "-p", &owner,
        ])
        .await?;
        self.network.next_block().await
    }

    /// Sends one transaction with these actions, and waits for its block.
    async fn push(&self, actions: Vec<Value>) -> anyhow::Result<()> {
        let transaction = json!({"actions": actions}).to_string();
        self.run(&["push", "transaction", &transaction]).await?;
        self.network.next_block().await
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = self.network.package().program("cleos");
        command
            .args(["--no-auto-keosd", "-u", &self.network.url("H")])
            .args(["--wallet-url", &self.wallet])
            .args(arguments);
        let output = tokio::time::timeout(LIMIT, command.output()).await??;
        // Which command, never its arguments: one of them may be a key.
        let words: Vec<&str> = arguments.iter().take(2).copied().collect();
        anyhow::ensure!(
            output.status.success(),
            "cleos {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    }
}

/// One action of the system contract, by `eosio`.
fn action(actor: &str, name: &str, data: Value) -> Value {
    json!({
        "account": "eosio", "name": name, "data": data,
        "authorization": [{"actor": actor, "permission": "active"}],
    })
}

fn authorize(actions: &mut [Value], actors: &[&str]) {
    for (action, actor) in actions.iter_mut().zip(actors) {
        action["authorization"] = json!([{"actor": actor, "permission": "active"}]);
    }
}

/// The four producers and one account with enough stake to elect them. The kept producer has an owner and an active key of
/// its own; the others are the founder's.
fn accounts() -> anyhow::Result<Vec<Value>> {
    let founder = keys::authority("founder")?;
    let mut actions = Vec::new();
    let names = [PRODUCER].into_iter().chain(OTHERS).chain(["whale"]);
    for name in names {
        let (owner, active) = if name == PRODUCER {
            (keys::authority("owner")?, keys::authority("active")?)
        } else {
            (founder.clone(), founder.clone())
        };
        let stake = if name == "whale" {
            "150000000.0000 EOS"
        } else {
            "100.0000 EOS"
        };
        actions.push(action(
            "eosio",
            "newaccount",
            json!({"creator": "eosio", "name": name, "owner": owner, "active": active}),
        ));
        actions.push(action(
            "eosio",
            "buyrambytes",
            json!({"payer": "eosio", "receiver": name, "bytes": 65_536}),
        ));
        actions.push(action(
            "eosio",
            "delegatebw",
            json!({"from": "eosio", "receiver": name, "stake_net_quantity": stake,
                   "stake_cpu_quantity": stake, "transfer": true}),
        ));
    }
    Ok(actions)
}

/// All register and are voted in. The kept producer's url and location are unlike any default: a switch must echo them.
fn producers() -> anyhow::Result<Vec<Value>> {
    let mut actions = Vec::new();
    for name in [PRODUCER].into_iter().chain(OTHERS) {
        let (key, location) = match name {
            PRODUCER => (keys::public("A")?, 276),
            _ => (keys::public("founder")?, 0),
        };
        let data = json!({"producer": name, "producer_key": key, "location": location,
                          "url": format!("https://{name}.example.org")});
        actions.push(action(name, "regproducer", data));
    }
    let mut voted: Vec<&str> = [PRODUCER].into_iter().chain(OTHERS).collect();
    voted.sort_unstable();
    actions.push(action(
        "whale",
        "voteproducer",
        json!({"voter": "whale", "proxy": "", "producers": voted}),
    ));
    Ok(actions)
}

/// A permission of the kept producer that is linked to nothing, which is worth nothing.
fn made(name: &str) -> anyhow::Result<Value> {
    Ok(action(
        PRODUCER,
        "updateauth",
        json!({"account": PRODUCER, "permission": name, "parent": "active",
               "auth": keys::authority(name)?}),
    ))
}

/// The least authority that a failover needs: a permission linked to what a switch calls and to nothing else.
fn failover() -> anyhow::Result<Vec<Value>> {
    let mut actions = vec![made(PERMISSION)?];
    actions.extend(NEEDED.iter().map(|name| {
        action(
            PRODUCER,
            "linkauth",
            json!({"account": PRODUCER, "code": "eosio", "type": name, "requirement": PERMISSION}),
        )
    }));
    Ok(actions)
}
