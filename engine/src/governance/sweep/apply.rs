//! Application of requests to one row. The caller holds the lock of the row's shard until the staged set is written.

use crate::model::class::floor_to_second;
use crate::model::request_rules::{self, Sweep};
use crate::model::schema;
use crate::model::target::Target;
use crate::platform::error::Result;
use crate::platform::kv::{ColumnFamily, WriteSet};
use crate::registration::placement::{self, Placement};
use crate::state::core::Core;
use crate::state::shard::Shard;
use sexton_proof::id::RegistrationId;
use sexton_proof::time::Timestamp;

impl Sweep {
    /// Applies every request to a live row in turn, and stages the move that they result in together. Lists the row under
    /// the requests that list their objects.
    pub(super) fn apply_requests(
        &mut self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        id: RegistrationId,
        mut target: Target<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let old = target.row;
        let mut listed_by = Vec::new();
        for active in &mut self.active {
            // A row that an erasure moved may lie in a page that the sweep has yet to scan.
            let is_listed = self.objects.get(&active.request.number).is_some_and(|known| known.contains(&id));
            if is_listed || !active.concerns(&target.class, &target.row) {
                continue;
            }
            let next = active.apply(&target, &core.governance.holds.read(), now);
            if active.lists(&target, next.is_some()) {
                listed_by.push(active.request.number);
            }
            active.request.objects += u64::from(next.is_some() && active.counts(&target.row));
            target = next.unwrap_or(target);
        }
        let mut now_at = id;
        if let Some(cause) = target.cause {
            let slot = target.slot.max(floor_to_second(now));
            core.secrets.keyring.get_or_create(target.class.id, slot)?;
            let (_, fingerprint) = core.schedule.locate(old.key);
            let among = shard.page_mut(id.page).is_some_and(|page| page.short_notice > 0);
            let short_notice = placement::is_short_notice(&target.class, id.page.slot, among, slot, now);
            let to = Placement { class: &target.class, slot, short_notice, fingerprint: &fingerprint };
            let row = target.moved_row(cause);
            (now_at, _) = placement::relocate(core, shard, set, (id, &old), to, &row, cause)?;
            self.skip_own_row(now_at);
        }
        for (number, known) in &mut self.objects {
            if known.contains(&id) {
                known.insert(now_at);
            } else if listed_by.contains(number) && known.insert(now_at) {
                set.put(
                    ColumnFamily::RequestObjects,
                    &schema::request_object_key(*number, now_at),
                    old.names().first,
                );
            }
        }
        Ok(())
    }

    /// Makes the sweep skip a row that it put itself: each request was applied to it already.
    fn skip_own_row(&mut self, id: RegistrationId) {
        let seen = self.seen.entry(id.page).or_insert(0);
        if *seen == id.seq {
            *seen += 1;
        } else {
            self.own.entry(id.page).or_default().insert(id.seq);
        }
    }

    /// Stages the earlier end of a registration that a newer one replaced, if a request concerns it.
    pub(super) fn expedite_replaced(
        &self,
        core: &Core,
        shard: &mut Shard,
        set: &mut WriteSet,
        id: RegistrationId,
        target: &Target<'_>,
        now: Timestamp,
    ) -> Result<()> {
        let holds = core.governance.holds.read();
        let end = request_rules::end_replaced(&self.active, target, &holds, now);
        drop(holds);
        let Some((end, cause)) = end.and_then(|end| end.cause.map(|cause| (end, cause))) else {
            return Ok(());
        };
        let slot = end.slot.max(floor_to_second(now));
        core.secrets.keyring.get_or_create(end.class.id, slot)?;
        let (_, fingerprint) = core.schedule.locate(end.row.key);
        let to = Placement { class: &end.class, slot, short_notice: false, fingerprint: &fingerprint };
        let row = end.moved_row(cause);
        placement::relocate_replaced(core, shard, set, (id, &target.row), to, &row, cause)
    }
}
