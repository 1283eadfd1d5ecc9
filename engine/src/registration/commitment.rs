//! Commitments of registrations, with their descriptors and openings.

use crate::model::class::Class;
use crate::model::schema::Row;
use crate::platform::error::Result;
use crate::state::core::Core;
use sexton_proof::commitment::{self, Descriptor, Opening};
use sexton_proof::id::RegistrationId;
use sexton_proof::leaf::Openings;

/// Returns the descriptor that the commitment of a registration binds.
pub(crate) fn descriptor_of<'a>(
    core: &'a Core,
    class: &Class,
    id: RegistrationId,
    row: &Row<'a>,
) -> Descriptor<'a> {
    Descriptor {
        origin: &core.identity.origin,
        id,
        key: row.names().first,
        version: row.version,
        start: row.start,
        floor: row.floor,
        ceiling: row.ceiling,
        digest: row.digest,
        size: row.size,
        class_leaf: class.leaf_hash,
    }
}

/// Computes the commitment of a registration.
pub(crate) fn commitment_of(core: &Core, id: RegistrationId, row: &Row<'_>) -> Result<[u8; 32]> {
    let class = core.classes.get(id.page.class)?;
    let k = core.secrets.keyring.get_or_create(class.id, id.page.slot)?;
    let digest = descriptor_of(core, &class, id, row).digest();
    Ok(commitment::commit(&commitment::blinding(&k, &id, &digest), &digest))
}

/// Returns the ticket of a registration; `None` if its class hands none out.
pub(crate) fn ticket_of(
    core: &Core,
    class: &Class,
    id: RegistrationId,
    row: &Row<'_>,
) -> Result<Option<Vec<u8>>> {
    match class.definition.openings {
        Openings::Operator => Ok(None),
        Openings::Ticket => opening_of(core, class, id, row).map(|opening| Some(opening.encode())),
    }
}

/// Returns the opening of a registration's commitment.
pub(crate) fn opening_of(core: &Core, class: &Class, id: RegistrationId, row: &Row<'_>) -> Result<Opening> {
    let k = core.secrets.keyring.get_or_create(class.id, id.page.slot)?;
    let digest = descriptor_of(core, class, id, row).digest();
    Ok(row.opening(commitment::blinding(&k, &id, &digest)))
}
