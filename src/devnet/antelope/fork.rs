//! Forks on request: a reorg for everybody, blocks lost at a hand-over, and branches that only one endpoint shows. Pure.

use super::branch::{Branch, Production};
use super::chain::Chain;

impl Chain {
    /// Replaces the last `depth` blocks for everybody. Slots of `drop` stay empty this time; with `fill`, slots that
    /// had been missed get their block after all (it only came late). Transactions go back to the pending ones.
    ///
    /// # Errors
    /// When that many blocks cannot be taken back any more.
    pub fn reorg(&mut self, depth: u64, drop: Option<&str>, fill: bool) -> Result<(), String> {
        let head = self.head();
        let target = head.head_num.saturating_sub(depth);
        if depth == 0 || target < head.lib || depth >= self.main().depth() {
            return Err(format!(
                "cannot take back {depth} blocks: head {}, irreversible {}",
                head.head_num, head.lib
            ));
        }
        self.rewrite(depth, |old_filled, scheduled| {
            (old_filled || fill) && drop != Some(scheduled)
        });
        Ok(())
    }

    /// Orphans the last `depth` blocks without a replacement.
    pub(super) fn lose(&mut self, depth: u64) {
        let head = self.head();
        let target = head.head_num.saturating_sub(depth);
        if depth > 0 && target >= head.lib && depth < self.main().depth() {
            self.rewrite(depth, |_, _| false);
        }
    }

    fn rewrite(&mut self, depth: u64, filled: impl Fn(bool, &str) -> bool) {
        let mut branch = self.branches.remove(&0).expect("branch 0 is always there");
        branch.truncate(depth);
        self.reorgs += 1;
        branch.salt = self.reorgs;
        let base = branch.head();
        self.forget_schedules(base.head_num);
        for slot in base.slot + 1..self.next_slot {
            let Some(at) = self.slots.iter().rposition(|r| r.slot == slot) else {
                continue;
            };
            let old = &self.slots[at];
            let force = filled(old.block.is_some(), &old.scheduled);
            let new = self.run_slot(&mut branch, slot, Some(force));
            if let Some(entry) = self.slots.get_mut(at) {
                *entry = new;
            }
            self.note_schedules(&branch.head());
        }
        self.branches.insert(0, branch);
    }

    /// How many reorgs there were, blocks lost at hand-overs included.
    pub fn reorgs(&self) -> u64 {
        self.reorgs
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
        let mut branch: Branch = self.main().clone();
        branch.truncate(back.min(branch.depth().saturating_sub(1)));
        branch.mempool.clear();
        let id = self.next_branch;
        self.next_branch += 1;
        branch.salt = u64::from(id) << 32;
        branch.production = production;
        if production == Production::Minority {
            for slot in branch.head().slot + 1..self.next_slot {
                self.run_slot(&mut branch, slot, None);
            }
        }
        self.branches.insert(id, branch);
        id
    }

    /// Forgets a branch that no endpoint shows any more.
    pub(in crate::devnet) fn drop_branch(&mut self, id: u32) {
        if id != 0 {
            self.branches.remove(&id);
        }
    }
}
