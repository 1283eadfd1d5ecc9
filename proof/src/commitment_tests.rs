use super::*;
use crate::id::PageId;
use crate::id::vectors::Vectors;
use crate::time::tests::at as ms;
use proptest::prelude::*;

fn id() -> RegistrationId {
    let page = PageId { class: 3, slot: 1_700_000_000_000, shard: 7, part: 1 };
    RegistrationId { page, seq: 4_711 }
}

fn typical() -> Opening {
    Opening {
        r: [9; 32],
        key: b"uploads/2025/03/14/4711.bin".to_vec(),
        version: b"v1".to_vec(),
        start: ms(1_700_000_000_123),
        floor: None,
        ceiling: Some(ms(1_700_010_800_123)),
        digest: vec![0xd1; 32],
        size: Some(600),
    }
}

fn smallest() -> Opening {
    Opening {
        r: [0; 32],
        key: vec![0],
        version: Vec::new(),
        start: ms(0),
        floor: Some(ms(0)),
        ceiling: None,
        digest: Vec::new(),
        size: Some(0),
    }
}

fn largest() -> Opening {
    Opening {
        r: [255; 32],
        key: (0..KEY_MAX_BYTES).map(|i| u8::try_from(i % 251).unwrap()).collect(),
        version: vec![2; VERSION_MAX_BYTES],
        start: Timestamp::MIN,
        floor: Some(Timestamp::MAX),
        ceiling: Some(Timestamp::MIN),
        digest: vec![3; DIGEST_MAX_BYTES],
        size: None,
    }
}

fn any_opening() -> impl Strategy<Value = Opening> {
    let bytes = |min: usize, max: usize| proptest::collection::vec(any::<u8>(), min..=max);
    let parts = (any::<[u8; 32]>(), bytes(1, 90), bytes(0, 64), bytes(0, 64));
    (parts, any::<(i64, i64, i64, u64)>()).prop_map(|((r, key, version, digest), values)| {
        let (start, floor, ceiling) =
            (ms(values.0), wire::decode_floor(values.1), wire::decode_ceiling(values.2));
        Opening { r, key, version, start, floor, ceiling, digest, size: wire::decode_size(values.3) }
    })
}

/// Returns the descriptor of `docs/format.md` §2, by plain concatenation.
fn naive_descriptor(d: &Descriptor<'_>) -> Vec<u8> {
    let mut bytes = naive_fields(d);
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    bytes
}

fn naive_fields(d: &Descriptor<'_>) -> Vec<u8> {
    let length16 = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    let length8 = |bytes: &[u8]| vec![u8::try_from(bytes.len()).unwrap()];
    [
        length16(d.origin.as_bytes()),
        d.origin.as_bytes().to_vec(),
        d.id.page.class.to_be_bytes().to_vec(),
        d.id.page.slot.to_be_bytes().to_vec(),
        d.id.page.shard.to_be_bytes().to_vec(),
        d.id.page.part.to_be_bytes().to_vec(),
        d.id.seq.to_be_bytes().to_vec(),
        length16(d.key),
        d.key.to_vec(),
        length16(d.version),
        d.version.to_vec(),
        d.start.unix_ms().to_be_bytes().to_vec(),
        d.floor.map_or(i64::MIN, Timestamp::unix_ms).to_be_bytes().to_vec(),
        d.ceiling.map_or(i64::MAX, Timestamp::unix_ms).to_be_bytes().to_vec(),
        length8(d.digest),
        d.digest.to_vec(),
        d.size.unwrap_or(u64::MAX).to_be_bytes().to_vec(),
        d.class_leaf.to_vec(),
    ]
    .concat()
}

fn naive_digest(d: &Descriptor<'_>) -> [u8; 32] {
    blake3::derive_key("sexton v1 descriptor", &naive_descriptor(d))
}

fn naive_commit(r: &[u8; 32], digest: &[u8; 32]) -> [u8; 32] {
    blake3::derive_key("sexton v1 commitment", &[*r, *digest].concat())
}

fn naive_blinding(k: &[u8; 32], id: &RegistrationId, digest: &[u8; 32]) -> [u8; 32] {
    let input = [&id.page.to_bytes(), id.seq.to_be_bytes().as_slice(), &[0; 12], digest].concat();
    *blake3::keyed_hash(k, &input).as_bytes()
}

/// Returns the opening of `docs/format.md` §6, which lacks r and the key.
fn naive_rest(opening: &Opening) -> Vec<u8> {
    opening.encode()[32 + 2 + opening.key.len()..].to_vec()
}

/// Vectors of the format, computed by the naive reference.
fn naive_vectors() -> Vectors {
    let longest_origin = "o".repeat(ORIGIN_MAX_BYTES);
    let cases = [
        ("typical", "sexton.example/log", typical()),
        ("smallest", "s", smallest()),
        ("largest", longest_origin.as_str(), largest()),
    ];
    let mut vectors = Vectors::default();
    for (name, origin, opening) in cases {
        let (id, k, class_leaf) = (id(), [7; 32], [5; 32]);
        let descriptor = opening.descriptor(origin, id, class_leaf);
        assert_eq!(descriptor.check(), Ok(()));
        let digest = naive_digest(&descriptor);
        let r = naive_blinding(&k, &id, &digest);
        vectors.put(format!("{name}.origin"), origin);
        vectors.put(format!("{name}.registration_id"), id.to_bytes());
        vectors.put(format!("{name}.opening"), opening.encode());
        vectors.put(format!("{name}.opening_rest"), naive_rest(&opening));
        vectors.put(format!("{name}.class_leaf"), class_leaf);
        vectors.put(format!("{name}.descriptor"), naive_descriptor(&descriptor));
        vectors.put(format!("{name}.digest"), digest);
        vectors.put(format!("{name}.k"), k);
        vectors.put(format!("{name}.blinding"), r);
        vectors.put(format!("{name}.commitment"), naive_commit(&r, &digest));
        vectors.put(format!("{name}.sealing_key"), blake3::derive_key("sexton v1 opening", &k));
        let mut sealed = sealing::Texts::default();
        sealed.push(id, &opening.key, |out| out.extend_from_slice(&naive_rest(&opening)));
        sealed.xor(&sealing::sealing_key(&k));
        vectors.put(format!("{name}.sealed"), sealed.bytes());
    }
    for (name, digest) in results() {
        vectors.put(format!("result.{name}.digest"), &digest);
        vectors.put(format!("result.{name}.commitment"), naive_result(&[9; 32], &digest));
    }
    for text in EVENT_TEXTS {
        let input = [[9; 32].as_slice(), text].concat();
        vectors.put(format!("event.{}.text", text.len()), text);
        vectors
            .put(format!("event.{}.commitment", text.len()), blake3::derive_key("sexton v1 event", &input));
    }
    for (name, bytes) in bad_openings() {
        vectors.put(format!("reject.{name}"), bytes);
    }
    vectors
}

#[test]
fn commitments_equal_the_vectors_and_a_naive_reference() {
    let stored = naive_vectors()
        .check_against("commitment.txt", "Commitments and openings, docs/format.md sections 2, 5, 6.");

    for name in ["typical", "smallest", "largest"] {
        let get = |field: &str| stored.get(&format!("{name}.{field}")).to_vec();
        let array = |field: &str| <[u8; 32]>::try_from(get(field)).unwrap();
        let id = RegistrationId::from_bytes(get("registration_id").as_slice().try_into().unwrap());
        let opening = Opening::decode(&get("opening")).unwrap();
        let origin = String::from_utf8(get("origin")).unwrap();
        let mut out = vec![1, 2, 3];
        let descriptor = opening.descriptor(&origin, id, array("class_leaf"));
        descriptor.encode_into(&mut out);
        assert_eq!(out[..3], [1, 2, 3], "the descriptor is appended");
        assert_eq!(out[3..], get("descriptor"));
        assert_eq!(descriptor.digest(), array("digest"));
        let r = blinding(&array("k"), &id, &array("digest"));
        assert_eq!(r, array("blinding"));
        assert_eq!(commit(&r, &array("digest")), array("commitment"));
        assert_eq!(sealing::sealing_key(&array("k")), array("sealing_key"));
        assert_eq!(Opening::decode_rest(&get("opening_rest"), opening.r, &opening.key), Ok(opening.clone()));
    }
    for (name, _) in results() {
        let digest = stored.get(&format!("result.{name}.digest"));
        assert_eq!(result(&[9; 32], digest), stored.get(&format!("result.{name}.commitment")));
    }
    for length in EVENT_TEXTS.map(<[u8]>::len) {
        let text = stored.get(&format!("event.{length}.text"));
        assert_eq!(event(&[9; 32], text), stored.get(&format!("event.{length}.commitment")));
    }
    for (name, bytes) in stored.all("reject.") {
        assert!(Opening::decode(bytes).is_err(), "{name}");
    }
}

/// Texts of events. Their blinding value is 32 bytes of 9.
const EVENT_TEXTS: [&[u8]; 2] = [b"", b"case 4711, placed by the legal department"];

/// Digests of results. Their blinding value is 32 bytes of 9.
fn results() -> [(&'static str, Vec<u8>); 3] {
    [("empty", Vec::new()), ("sha256", vec![0xd2; 32]), ("longest", vec![3; DIGEST_MAX_BYTES])]
}

fn naive_result(r: &[u8; 32], digest: &[u8]) -> [u8; 32] {
    let input = [r.as_slice(), &[u8::try_from(digest.len()).unwrap()], digest].concat();
    blake3::derive_key("sexton v1 result", &input)
}

#[test]
fn commitments_to_results_and_events_bind_r_and_content() {
    let of = |r: u8, digest: &[u8]| result(&[r; 32], digest);
    assert_ne!(of(1, &[0; 32]), of(2, &[0; 32]));
    assert_ne!(of(1, &[0; 32]), of(1, &[0; 33]));
    assert_ne!(of(1, &[]), of(1, &[0]));
    assert_ne!(of(1, &[]), commit(&[1; 32], &[0; 32]), "another context");
    assert_ne!(event(&[1; 32], b"a"), event(&[2; 32], b"a"));
    assert_ne!(event(&[1; 32], &[0]), of(1, &[]));
}

fn bad_openings() -> Vec<(&'static str, Vec<u8>)> {
    let good = typical();
    let without = |key: Vec<u8>| Opening { key, ..good.clone() }.encode();
    let bytes = good.encode();
    vec![
        ("empty", Vec::new()),
        ("cut", bytes[..bytes.len() - 1].to_vec()),
        ("surplus", [bytes.as_slice(), &[0]].concat()),
        ("no_key", without(Vec::new())),
        ("long_key", without(vec![1; KEY_MAX_BYTES + 1])),
        ("long_version", Opening { version: vec![1; VERSION_MAX_BYTES + 1], ..good.clone() }.encode()),
        ("long_digest", Opening { digest: vec![1; DIGEST_MAX_BYTES + 1], ..good.clone() }.encode()),
    ]
}

#[test]
fn opening_outside_its_limits_encodes_to_refused_bytes() {
    for length in [65, 255, 256, 300, 65_535, 65_536, 70_000] {
        for part in 0..3 {
            let mut opening = typical();
            let field = match part {
                0 => &mut opening.key,
                1 => &mut opening.version,
                _ => &mut opening.digest,
            };
            *field = vec![0; length];
            let most = [KEY_MAX_BYTES, VERSION_MAX_BYTES, DIGEST_MAX_BYTES][part];
            assert_eq!(
                Opening::decode(&opening.encode()).is_ok(),
                length <= most,
                "part {part} of {length} bytes"
            );
        }
    }
}

#[test]
fn descriptor_outside_its_limits_is_refused_by_field() {
    let opening = largest();
    let long = "o".repeat(ORIGIN_MAX_BYTES + 1);
    let descriptor = opening.descriptor(&long, id(), [0; 32]);
    assert_eq!(descriptor.check().unwrap_err().to_string(), "origin has 256 bytes, allowed are 1 to 255");
    assert_eq!(Descriptor { origin: "", ..descriptor }.check().unwrap_err().length, 0);
    let ok = Descriptor { origin: "o", ..descriptor };
    assert_eq!(Descriptor { key: &[], ..ok }.check().unwrap_err().field, "key");
    assert_eq!(
        Descriptor { version: &[0; VERSION_MAX_BYTES + 1], ..ok }.check().unwrap_err().field,
        "version"
    );
    assert_eq!(Descriptor { digest: &[0; 65], ..ok }.check().unwrap_err().field, "digest");
}

#[test]
fn encoding_into_a_reserved_vector_does_not_allocate() {
    let opening = largest();
    let mut out = Vec::with_capacity(3600);
    let room = out.as_ptr();
    opening.descriptor(&"o".repeat(255), id(), [0; 32]).encode_into(&mut out);
    assert_eq!(out.as_ptr(), room);
    assert_eq!(
        out.len(),
        (2_usize + 255 + 20 + 2 + 2048 + 2 + 1024 + 24 + 1 + 64 + 8 + 32).next_multiple_of(64)
    );
}

#[test]
fn every_descriptor_field_changes_the_commitment() {
    let opening = typical();
    let base = opening.descriptor("log", id(), [0; 32]);
    let page = id().page;
    let other = |page, seq| Descriptor { id: RegistrationId { page, seq }, ..base };
    let changed = [
        Descriptor { origin: "loh", ..base },
        other(PageId { class: 4, ..page }, 4_711),
        other(PageId { slot: 0, ..page }, 4_711),
        other(PageId { shard: 8, ..page }, 4_711),
        other(PageId { part: 2, ..page }, 4_711),
        other(page, 4_712),
        Descriptor { key: b"k", ..base },
        Descriptor { version: b"", ..base },
        Descriptor { start: ms(0), ..base },
        Descriptor { floor: Some(ms(0)), ..base },
        Descriptor { ceiling: Some(ms(0)), ..base },
        Descriptor { digest: b"", ..base },
        Descriptor { size: Some(601), ..base },
        Descriptor { class_leaf: [1; 32], ..base },
    ];
    let of = |descriptor: &Descriptor<'_>| {
        let digest = descriptor.digest();
        (commit(&[1; 32], &digest), blinding(&[1; 32], &descriptor.id, &digest))
    };
    let mut seen = std::collections::HashSet::from([of(&base).0, of(&base).1]);
    for descriptor in &changed {
        let (commitment, r) = of(descriptor);
        assert!(seen.insert(commitment) && seen.insert(r), "{descriptor:?}");
    }
}

proptest! {
    #[test]
    fn commitments_agree_with_a_naive_reference(
        opening in any_opening(),
        origin in "\\PC{1,60}",
        bytes: [u8; 20],
        k: [u8; 32],
        class_leaf: [u8; 32],
    ) {
        let id = RegistrationId::from_bytes(&bytes);
        let descriptor = opening.descriptor(&origin, id, class_leaf);
        let mut out = Vec::new();
        descriptor.encode_into(&mut out);
        prop_assert_eq!(&out, &naive_descriptor(&descriptor));
        let digest = naive_digest(&descriptor);
        prop_assert_eq!(descriptor.digest(), digest);
        prop_assert_eq!(blinding(&k, &id, &digest), naive_blinding(&k, &id, &digest));
        prop_assert_eq!(commit(&opening.r, &digest), naive_commit(&opening.r, &digest));
    }

    #[test]
    fn commit_each_equals_single_commitments(
        openings in proptest::collection::vec(any_opening(), 0..40),
        page: [u8; 16],
        k: [u8; 32],
    ) {
        let id = |seq| RegistrationId { page: PageId::from_bytes(&page), seq };
        let each = (0_u32..).zip(&openings).map(|(seq, o)| o.descriptor("log", id(seq), [5; 32]));
        let expected: Vec<Blinded> = each
            .clone()
            .map(|descriptor| {
                let digest = naive_digest(&descriptor);
                let r = naive_blinding(&k, &descriptor.id, &digest);
                Blinded { r, commitment: naive_commit(&r, &digest) }
            })
            .collect();
        prop_assert_eq!(commit_each(&k, each), expected);
    }

    #[test]
    fn opening_round_trips(opening in any_opening()) {
        prop_assert_eq!(Opening::decode(&opening.encode()), Ok(opening.clone()));
        let mut rest = Vec::new();
        opening.descriptor("log", id(), [0; 32]).encode_rest_into(&mut rest);
        prop_assert_eq!(&rest, &naive_rest(&opening));
        prop_assert_eq!(Opening::decode_rest(&rest, opening.r, &opening.key), Ok(opening));
    }

    #[test]
    fn accepted_opening_is_written_the_same(
        opening in any_opening(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = opening.encode();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(2 * bytes.len()));
        for bytes in [bytes, noise] {
            if let Ok(read) = Opening::decode(&bytes) {
                prop_assert_eq!(read.encode(), bytes.clone());
            }
            if let Ok(read) = Opening::decode_rest(&bytes, [3; 32], b"key") {
                prop_assert_eq!(naive_rest(&read), bytes);
            }
        }
    }
}
