//! Receipts of anonymised objects, and of objects whose deletion was only requested.

use super::*;

impl World {
    /// Creates a world like [`World::new`] in which two objects of three are anonymised. Their 34 results fill three
    /// chunks.
    pub(super) fn anonymised() -> Self {
        let mut world = Self::new();
        world.class.disposition = Disposition::Anonymise;
        for (at, tombstone) in world.tombstones.iter_mut().enumerate() {
            tombstone.method = if at % 3 == 2 { Method::Deleted } else { Method::Anonymised };
        }
        world.seal();
        world.write_results();
        world
    }

    /// Returns the results of all anonymised objects.
    fn write_results(&mut self) {
        let all = self.tombstones.iter().zip(&self.openings);
        let anonymised = all.filter(|(tombstone, _)| tombstone.method == Method::Anonymised);
        let result = |(tombstone, opening): (&Tombstone, &Opening)| ResultRecord {
            page: tombstone.page,
            seq: tombstone.seq,
            commitment: crate::commitment::result(&opening.r, &digest(tombstone)),
        };
        self.results = anonymised.map(result).collect();
    }

    pub(super) fn results_file(&self) -> Vec<u8> {
        let n = u32::try_from(self.results.len()).unwrap();
        let mut file = Header { kind: FileKind::Results, batch: self.batch.batch, n }.to_bytes().to_vec();
        file.extend(self.results.iter().flat_map(ResultRecord::to_bytes));
        if let Some((at, value)) = self.result_patch {
            file[at] = value;
        }
        file
    }

    /// Returns the result that goes into the receipt of tombstone `record`.
    pub(super) fn result(&self, file: &[u8], record: u32) -> Option<ResultProof> {
        let record = self.result_of.unwrap_or(Some(record))?;
        let tombstone = self.tombstones[usize::try_from(record).unwrap()];
        let place = (tombstone.page, tombstone.seq);
        let at = self.results.iter().position(|result| (result.page, result.seq) == place)?;
        let proof = ChunkTree::new(file).unwrap().prove(file, u32::try_from(at).unwrap()).unwrap();
        Some(ResultProof { proof, digest: digest(&tombstone) })
    }
}

/// Returns a digest of 0 to 64 bytes.
fn digest(tombstone: &Tombstone) -> Vec<u8> {
    let byte = u8::try_from(tombstone.seq).unwrap();
    vec![byte; usize::from(byte) * 64 / 29]
}

/// Returns the receipt of tombstone `record` of a world, with its result changed.
fn with_result(world: &World, record: u32, change: impl FnOnce(&mut ResultProof)) -> String {
    let file = TlogProof::parse(world.receipt(record).as_bytes()).unwrap();
    let mut receipt = Receipt::decode_extra(file.extra.as_ref().unwrap()).unwrap();
    change(receipt.result.as_mut().unwrap());
    TlogProof { extra: Some(receipt.encode_extra()), ..file }.to_text()
}

/// Receipts of anonymised objects that fail a single check each, with the variant of the error.
pub(super) fn failing() -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    let mut put = |name, record, change: &dyn Fn(&mut World)| {
        let mut world = World::anonymised();
        change(&mut world);
        all.push((name, world.receipt(record)));
    };
    put("NoResult", 0, &|world| world.result_of = Some(None));
    put("SurplusResult", 2, &|world| world.result_of = Some(Some(0)));
    put("Disposition", 0, &|world| {
        world.class.disposition = Disposition::Delete;
        world.seal();
    });
    put("NoResults", 0, &|world| world.results_listed = false);
    put("ResultHeader", 0, &|world| world.result_patch = Some((8, FileKind::Tombstones.code())));
    put("ResultHeader", 0, &|world| world.result_patch = Some((23, 98)));
    put("ResultRecord", 0, &|world| world.result_patch = Some((9, 1)));
    put("ResultRecord", 0, &|world| world.result_patch = Some((64 + 40, 1)));
    put("ResultPlace", 0, &|world| world.result_of = Some(Some(1)));
    put("ResultPlace", 0, &|world| world.result_patch = Some((64 + 7, 9)));
    put("ResultCommitment", 0, &|world| {
        // Another r, with which the commitment of the tombstone holds.
        world.openings[0].r = [77; 32];
        world.seal();
    });
    let world = World::anonymised();
    all.push(("ResultCommitment", with_result(&world, 1, |result| result.digest.push(0))));
    all.push(("ResultChunk", with_result(&world, 1, |result| result.proof.chunk[63] ^= 1)));
    all.push(("ResultChunk", with_result(&world, 1, |result| result.proof.siblings.clear())));
    all
}

#[test]
fn receipt_of_an_anonymised_object_has_its_result() {
    let world = World::anonymised();
    assert_eq!(world.results.len(), 34);
    let mut verdicts = Vec::new();
    for record in 0..50 {
        let verdict = world.verify(record).unwrap();
        let tombstone = world.tombstones[usize::try_from(record).unwrap()];
        let expected = (tombstone.method == Method::Anonymised).then(|| digest(&tombstone));
        assert_eq!(verdict.result_digest, expected);
        assert_eq!(verdict.disposition, Disposition::Anonymise);
        assert_eq!(verdict.compliance(), Compliance::Kept);
        verdicts.push(verdict);
    }
    let policy = policy();
    let mut verifier = Verifier::new(&policy);
    for (record, expected) in (0..).zip(verdicts) {
        assert_eq!(verifier.verify(world.receipt(record).as_bytes(), NOW), Ok(expected));
    }
}

#[test]
fn every_changed_byte_of_the_result_is_refused() {
    let (policy, good) = (policy(), World::anonymised().receipt(21));
    let file = TlogProof::parse(good.as_bytes()).unwrap();
    let extra = file.extra.clone().unwrap();
    let mut verifier = Verifier::new(&policy);
    for at in 0..extra.len() {
        for change in [1, 0x80] {
            assert!(verifier.verify(good.as_bytes(), NOW).is_ok());
            let mut extra = extra.clone();
            extra[at] ^= change;
            let changed = TlogProof { extra: Some(extra), ..file.clone() }.to_text();
            assert!(verifier.verify(changed.as_bytes(), NOW).is_err(), "byte {at}");
        }
    }
}

#[test]
fn bytes_of_a_result_in_a_receipt_are_those_of_the_format() {
    let extra = |world: &World| {
        let file = TlogProof::parse(world.receipt(0).as_bytes()).unwrap();
        Receipt::decode_extra(&file.extra.unwrap()).unwrap()
    };
    let (with, mut without) = (extra(&World::anonymised()), extra(&World::anonymised()));
    without.result = None;
    let ResultProof { proof, digest } = with.result.as_ref().unwrap();
    let mut expected = without.encode_extra();
    let at = expected.len() - with.opening.encode().len() - 1;
    assert_eq!(expected[at], 0);
    let length = u16::try_from(proof.chunk.len()).unwrap();
    let part = [
        [1].as_slice(),
        &proof.record.to_be_bytes(),
        &length.to_be_bytes(),
        &proof.chunk,
        &[u8::try_from(proof.siblings.len()).unwrap()],
        proof.siblings.as_flattened(),
        &[u8::try_from(digest.len()).unwrap()],
        digest,
    ];
    expected.splice(at..=at, part.concat());
    assert_eq!(with.encode_extra(), expected);
}

#[test]
fn release_by_the_host_is_authentic_and_not_a_deletion() {
    let mut world = World::new();
    (world.tombstones[4].reason, world.tombstones[4].method) = (Reason::Host, Method::Released);
    world.mark();
    let verdict = world.verify(4).unwrap();
    assert_eq!(verdict.compliance(), Compliance::NotADeletion(Method::Released));
    world.tombstones[4].reason = Reason::Erasure;
    assert!(matches!(world.verify(4), Err(VerifyError::Record(RecordError::Pair { .. }))));
}

/// A request outside the window breaks the promise, whatever the store did with it.
#[test]
fn request_in_time_shows_no_deletion_and_others_are_broken() {
    let mut verdict = World::new().verify(0).unwrap();
    verdict.method = Method::Requested;
    let (floor, ceiling, by) = (verdict.floor.unwrap(), verdict.ceiling.unwrap(), Duration::from_millis(1));
    let in_time = Compliance::NotADeletion(Method::Requested);
    for (time, due, lifted) in [
        (floor, in_time, in_time),
        (ceiling, in_time, in_time),
        (shifted(floor, -1), Compliance::Early { by }, Compliance::Early { by }),
        (shifted(ceiling, 1), Compliance::Late { by }, Compliance::AfterHold { by }),
    ] {
        verdict.time = time;
        for (reason, expected) in [(Reason::Due, due), (Reason::Lifted, lifted)] {
            verdict.reason = reason;
            assert_eq!(verdict.compliance(), expected);
        }
    }
    (verdict.floor, verdict.ceiling) = (None, None);
    assert_eq!(verdict.compliance(), in_time);
}
