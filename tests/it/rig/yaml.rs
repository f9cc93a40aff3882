//! The configuration file that a rig writes, and what an operator beside it would have.

use std::path::PathBuf;

use slotkeeper::chain::Protocol;

use super::{ALICE, Rig};

impl Rig {
    /// The URL under which slotkeeper asks an endpoint.
    pub(crate) fn rpc_url(&self, name: &str) -> String {
        let url = self.devnet.endpoint_of(name).expect("endpoint").url();
        if self.config.websockets {
            url.replacen("http", "ws", 1)
        } else {
            url
        }
    }

    /// What was asked for, as a person would write it.
    pub(crate) fn yaml(&self) -> String {
        let c = &self.config;
        let endpoints: String = c
            .endpoints
            .iter()
            .map(|name| {
                let url = self.rpc_url(name);
                format!("      - {{url: \"{url}\", provider: \"{name}\"}}\n")
            })
            .collect();
        let keys: String = c
            .nodes
            .iter()
            .map(|name| {
                let url = self.devnet.endpoint_of(name).expect("endpoint").url();
                let how = if c.probed {
                    format!("node: \"{url}\"")
                } else {
                    "assume_ready: true".into()
                };
                format!("      - {{signing_key: \"{}\", {how}}}\n", self.key(name))
            })
            .collect();
        let files: Vec<String> = c.nodes.iter().map(|n| format!("alice-{n}.wif")).collect();
        let quorum = c
            .quorum
            .map_or(String::new(), |q| format!("    quorum: {q}\n"));
        let chain_extra: String = c
            .chain_extra
            .iter()
            .map(|line| format!("    {line}\n"))
            .collect();
        let signing = format!(
            "      - {{method: witness_set_properties, key_files: [{}]}}\n",
            files.join(", ")
        );
        let active = "      - {method: witness_update, key_files: [alice-active.wif]}\n";
        let active_only =
            c.active_only || matches!(c.protocol, Protocol::Golos | Protocol::BitShares);
        let antelope = c.protocol == Protocol::Antelope;
        let authority = match (c.signing_only, active_only) {
            _ if antelope => {
                "      - {method: regproducer, permission: alice@failover, key_files: [alice-failover.wif]}\n"
                    .to_owned()
            }
            (true, _) => signing,
            (false, true) => active.to_owned(),
            (false, false) => signing + active,
        };
        let constants = match &c.identity {
            Some(names) if antelope => format!("    core_symbol: {}\n", names.symbol),
            Some(names) => format!(
                "    address_prefix: {}\n    core_symbol: {}\n",
                names.prefix, names.symbol
            ),
            None if antelope => String::new(),
            None => "    address_prefix: TST\n    core_symbol: TESTS\n".to_owned(),
        };
        format!(
            "web: {{listen: \"127.0.0.1:{}\"}}\n\
             control: {{listen: \"127.0.0.1:{}\", token_file: control.token}}\n\
             state_file: slotkeeper.db\n\
             chains:\n  - name: devnet\n    protocol: {}\n    chain_id: \"{}\"\n{constants}    \
             block_interval: {}ms\n    poll_interval: {}ms\n{quorum}{chain_extra}    endpoints:\n{endpoints}\
             producers:\n  - chain: devnet\n    name: {ALICE}\n    keys:\n{keys}    authority:\n{authority}{}\
             actuator: {{{}}}\n{}\n",
            c.ports.0,
            c.ports.1,
            c.protocol,
            slotkeeper::hex::encode(&self.devnet.chain_id()),
            c.interval_ms,
            c.poll_ms.unwrap_or((c.interval_ms / 3).max(50)),
            c.producer_extra,
            c.actuator,
            c.extra,
        )
    }

    /// The configuration with the ports that the running slotkeeper really has.
    pub(super) fn operator_file(&self) -> PathBuf {
        let Some(app) = &self.app else {
            return self.config_file();
        };
        let port = |listen: u16| format!("listen: \"127.0.0.1:{listen}\"");
        let text = std::fs::read_to_string(self.config_file()).expect("config");
        let (web, control) = self.config.ports;
        let text = text
            .replacen(&port(web), &port(app.web_address().port()), 1)
            .replacen(
                &format!("control: {{{}", port(control)),
                &format!("control: {{{}", port(app.control_address().port())),
                1,
            );
        let file = self.directory.path().join("operator.yml");
        std::fs::write(&file, text).expect("config");
        file
    }
}
