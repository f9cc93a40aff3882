//! For information: what the pure parts cost: a signature with its check, agreement of one tick, the ledger's judgement
//! of one block, one decision's worth of each for 100 producers.

use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use slotkeeper::chain::{self, Memory};
use slotkeeper::clock::Stopwatch;
use slotkeeper::devnet::chain::node_key;
use slotkeeper::keys::{Nonce, Signer};
use slotkeeper::rpc::Pool;
use slotkeeper::rpc::agree::agree;
use slotkeeper::watch::{Ledger, LedgerRules};

use super::Effort;
use super::report::{Figure, Samples};
use super::world::{Plan, World, runtime, witnesses};

const PRODUCERS: usize = 100;

pub(crate) fn measure(effort: Effort) -> anyhow::Result<Vec<Figure>> {
    let mut figures = signatures(effort.samples(500))?;
    figures.extend(ticks(effort.samples(300))?);
    Ok(figures)
}

fn signatures(count: usize) -> anyhow::Result<Vec<Figure>> {
    let key = node_key("alice", "A").map_err(|e| anyhow!(e))?;
    let (mut signing, mut checking) = (Vec::new(), Vec::new());
    for n in 0..count {
        let mut digest = [0x5a_u8; 32];
        digest[..8].copy_from_slice(&n.to_le_bytes());
        let watch = Stopwatch::start();
        let signature = key.sign(&digest, Nonce::Graphene)?;
        signing.push(watch.elapsed());
        let watch = Stopwatch::start();
        let recovered = signature.recover(&digest).map_err(|e| anyhow!("{e}"))?;
        checking.push(watch.elapsed());
        ensure!(recovered == key.public_key(), "the signature is wrong");
    }
    let (signing, checking) = (Samples::new(signing)?, Samples::new(checking)?);
    Ok(vec![
        Figure::new("sign (canonical), p50", signing.us(50), "us").note(format!(
            "{} digests; every second one takes more than one try",
            signing.len()
        )),
        Figure::new("  p99", signing.us(99), "us"),
        Figure::new("recover and compare, p50", checking.us(50), "us"),
    ])
}

/// Blocks of a devnet that is pushed on by hand, asked for over HTTP like any other.
fn ticks(blocks: usize) -> anyhow::Result<Vec<Figure>> {
    // Its own clock stands practically still meanwhile.
    let world = World::start(Plan::producers(PRODUCERS))?;
    let config = world.config()?;
    let configured = config.chains.first().context("no chain")?;
    let pool = Pool::new(chain::open(configured.spec.clone()), configured)?;
    let mut ledger = Ledger::new(LedgerRules {
        interval: configured.spec.block_interval,
        turn: 1,
        miss_window: 86_400_000,
        watch_all: false,
        watched: config
            .producers
            .iter()
            .map(|p| {
                (
                    p.name.clone(),
                    p.keys.iter().map(|k| k.signing_key).collect(),
                )
            })
            .collect(),
    });
    let asking = runtime("pool", 2)?;
    let (mut agreeing, mut judging) = (Vec::new(), Vec::new());
    asking.block_on(async {
        for n in 0..blocks + 10 {
            let head = world.devnet.with_chain(|c| {
                c.step();
                c.head().head_ms
            });
            let now = i64::try_from(head)?;
            let memory = Memory {
                identity: n == 0,
                producers: witnesses(1..=PRODUCERS),
                blocks: ledger.wanted(now, true),
                authorities: Vec::new(),
                aliases: std::sync::Arc::default(),
            };
            let reports = Arc::clone(&pool).ask(&memory).await;
            let watch = Stopwatch::start();
            let view = agree(&pool.rules(), &reports, &|num| ledger.known(num), now)?;
            let agreed = watch.elapsed();
            pool.note_view(&view);
            let watch = Stopwatch::start();
            let applied = ledger.apply(&view);
            let judged = watch.elapsed();
            if applied.judged == 1 {
                agreeing.push(agreed);
                judging.push(judged);
            }
            // Rows are saved every tick; unsaved ones would pile up.
            let dirty = ledger.dirty_rows();
            ledger.saved(&dirty);
        }
        anyhow::Ok(())
    })?;
    let (agreeing, judging) = (Samples::new(agreeing)?, Samples::new(judging)?);
    Ok(vec![
        Figure::new(
            "agree, three endpoints, 100 producers, p50",
            agreeing.us(50),
            "us",
        )
        .note(format!("{} ticks of one block each", agreeing.len())),
        Figure::new("  p99", agreeing.us(99), "us"),
        Figure::new(
            "ledger, one block, 100 producers, p50",
            judging.us(50),
            "us",
        ),
        Figure::new("  p99", judging.us(99), "us"),
    ])
}
