//! Check of the links of rows.

use super::Report;
use crate::model::schema::{self, Links, Mark};
use crate::platform::error::Result;
use crate::platform::kv::ColumnFamily;
use crate::state::core::Core;
use sexton_proof::id::RegistrationId;
use std::collections::BTreeSet;

/// Earlier registrations that the rows checked so far name.
#[derive(Default)]
pub(super) struct Named {
    continued: BTreeSet<RegistrationId>,
    replaced: BTreeSet<RegistrationId>,
}

/// Checks the links of one row. A registration is continued at most once and replaced at most once. While the row of a
/// continued one is still there, its mark names this row and the cause.
///
/// The caller holds the lock of the row's shard, and the ledger's. Other threads may register and move rows meanwhile. They
/// write a link together with the mark on its source, and no commit removes either.
pub(super) fn check_links(
    core: &Core,
    id: RegistrationId,
    links: Links,
    named: &mut Named,
    report: &mut Report,
) -> Result<()> {
    if let Some((cause, source)) = links.continues {
        report.require(named.continued.insert(source), || {
            format!("registration {id} continues {source}, which another one continues as well")
        });
        let row = core.kv.get(ColumnFamily::Rows(source.page.class), &schema::row_key(source))?;
        if row.is_some() {
            let mark = core.kv.get(ColumnFamily::Marks, &schema::mark_key(source))?;
            let is_named = matches!(
                mark.as_deref().map(Mark::decode),
                Some(Ok(Mark::Moved { cause: of_mark, to })) if (of_mark, to) == (cause, id)
            );
            report.require(is_named, || {
                format!("registration {id} continues {source} ({}), whose mark does not say so", cause.name())
            });
        }
    }
    if let Some(replaced) = links.replaces {
        report.require(named.replaced.insert(replaced), || {
            format!("registration {id} replaces {replaced}, which another one replaces as well")
        });
    }
    Ok(())
}
