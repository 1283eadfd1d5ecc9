//! Sub-batches as a driver hands them out.

use crate::platform::store::Disposition;
use crate::state::batch::{Batch, Object};
use sexton_proof::id::RegistrationId;
use sexton_proof::time::Timestamp;

/// Id of one attempt at a sub-batch. Answers under the id of an earlier attempt do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SubBatchId {
    /// Number of the batch. It stays the same if the batch comes again after a crash.
    pub batch: u64,
    /// Fencing epoch. It grows with every opening of the engine.
    pub epoch: u64,
    /// Index of the sub-batch in its batch, from 0.
    pub index: u32,
    /// Number of times that the batch was handed over, this time included. At least 2 after a crash.
    pub attempt: u32,
}

/// Objects to be deleted together. It owns its bytes and may outlive the engine.
#[derive(Clone, Debug)]
pub struct OwnedSubBatch {
    id: SubBatchId,
    class: String,
    disposition: Disposition,
    /// Key, version and digest of all objects, one after the other.
    bytes: Vec<u8>,
    objects: Vec<OwnedObject>,
}

#[derive(Clone, Debug)]
struct OwnedObject {
    id: RegistrationId,
    /// Ends of key, first key, version and digest in the bytes of the sub-batch. The first key is empty if it is the key.
    ends: [usize; 4],
    size: Option<u64>,
    floor: Option<Timestamp>,
    ceiling: Option<Timestamp>,
}

impl OwnedSubBatch {
    /// Copies the objects at these indices of a batch.
    pub(crate) fn new(batch: &Batch, id: SubBatchId, indices: impl Iterator<Item = usize>) -> Self {
        let mut bytes = Vec::new();
        let objects =
            indices.flat_map(|index| batch.objects_in(index..index + 1)).map(|object| OwnedObject {
                id: object.id,
                ends: [object.key, other_first_key(&object), object.version, object.digest].map(|part| {
                    bytes.extend_from_slice(part);
                    bytes.len()
                }),
                size: object.size,
                floor: object.floor,
                ceiling: object.ceiling,
            });
        let objects = objects.collect();
        let (class, disposition) = (batch.class().to_owned(), batch.disposition());
        OwnedSubBatch { id, class, disposition, bytes, objects }
    }

    /// Returns the id that answers refer to.
    pub fn id(&self) -> SubBatchId {
        self.id
    }

    /// Returns the name of the class of all objects.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// Returns the disposition of all objects: deleting or anonymising.
    pub fn disposition(&self) -> Disposition {
        self.disposition
    }

    /// Returns the number of objects, at least 1.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Returns `false`: a sub-batch has at least one object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Iterates over the objects. An answer refers to its object by the index here.
    pub fn objects(&self) -> impl ExactSizeIterator<Item = Object<'_>> {
        let mut from = 0;
        self.objects.iter().map(move |object| {
            let [key, other_first_key, version, digest] = object.ends.map(|end| {
                let begin = std::mem::replace(&mut from, end);
                &self.bytes[begin..end]
            });
            let OwnedObject { id, size, floor, ceiling, .. } = *object;
            let first_key = if other_first_key.is_empty() { key } else { other_first_key };
            Object { id, key, first_key, version, digest, size, floor, ceiling }
        })
    }
}

/// Returns the key that a renamed object was registered under; empty if it was not renamed.
fn other_first_key<'o>(object: &Object<'o>) -> &'o [u8] {
    if object.first_key == object.key { &[] } else { object.first_key }
}
