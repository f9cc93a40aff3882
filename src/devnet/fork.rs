//! Forks on request: a reorg for everybody, and branches that only one endpoint shows. Pure.

use super::branch::{Branch, Production};
use super::chain::Chain;

impl Chain {
    /// Replaces the last `depth` blocks for everybody. Slots of `drop` stay empty this time; with `fill`, slots that
    /// had been missed get their block after all (it only came late). Transactions go back to the pending ones.
    ///
    /// # Errors
    /// When that many blocks cannot be taken back any more.
    pub fn reorg(&mut self, depth: u64, drop: Option<&str>, fill: bool) -> Result<(), String> {
        let mut branch = self.branches.remove(&0).expect("branch 0 is always there");
        let result = self.replay(&mut branch, depth, drop, fill);
        self.branches.insert(0, branch);
        result
    }

    fn replay(
        &mut self,
        branch: &mut Branch,
        depth: u64,
        drop: Option<&str>,
        fill: bool,
    ) -> Result<(), String> {
        let before = branch.head();
        let target = before.head_num.saturating_sub(depth);
        if depth == 0 || target < before.lib || depth >= branch.states.len() as u64 {
            return Err(format!(
                "cannot take back {depth} blocks: head {}, irreversible {}",
                before.head_num, before.lib
            ));
        }
        branch.truncate(depth);
        self.reorgs += 1;
        branch.salt = self.reorgs;
        let from = branch.head().aslot + 1;
        for slot in from..self.next_slot {
            let Some(at) = self.slots.iter().rposition(|r| r.slot == slot) else {
                continue;
            };
            let old = &self.slots[at];
            let produced = old.node.is_some() || fill;
            let force = produced && drop != Some(old.scheduled.as_str());
            let new = self.run_slot(branch, slot, Some(force));
            if let Some(entry) = self.slots.get_mut(at) {
                *entry = new;
            }
        }
        Ok(())
    }

    /// A branch that leaves the main one `back` blocks behind its head and is continued by a minority. Returns its id.
    pub fn fork_minority(&mut self, back: u64) -> u32 {
        self.fork(back, Production::Minority)
    }

    /// A branch that stands still at the present head. Returns its id.
    pub fn fork_frozen(&mut self) -> u32 {
        self.fork(0, Production::Nobody)
    }

    fn fork(&mut self, back: u64, production: Production) -> u32 {
        let mut branch = self.main().clone();
        let back = back.min(branch.states.len().saturating_sub(1) as u64);
        branch.truncate(back);
        branch.mempool.clear();
        let id = self.next_branch;
        self.next_branch += 1;
        branch.salt = u64::from(id) << 32;
        branch.production = production;
        if production == Production::Minority {
            let from = branch.head().aslot + 1;
            for slot in from..self.next_slot {
                self.run_slot(&mut branch, slot, None);
            }
        }
        self.branches.insert(id, branch);
        id
    }

    /// Forgets a branch that no endpoint shows any more.
    pub(crate) fn drop_branch(&mut self, id: u32) {
        if id != 0 {
            self.branches.remove(&id);
        }
    }
}
