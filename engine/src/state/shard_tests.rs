use super::*;

const CLASS: ClassId = 1;
const SLOT_MS: u64 = 60_000;

fn page(slot: u64, shard: u16, part: u16) -> PageId {
    PageId { class: CLASS, slot, shard, part }
}

/// Returns a shard with these pages in its wheel.
fn shard(number: u16, pages: &[PageId]) -> Shard {
    let wheel = Wheel::new(SLOT_MS, 0);
    let class = ClassPages { wheel, settled_to: 0, reclaimed_to: 0, totals: RegisteredTotals::default() };
    let mut shard =
        Shard { number, memtable: Memtable::default(), classes: BTreeMap::from([(CLASS, class)]) };
    for id in pages {
        let page = Page::new(id.part, 1, PageState::Reserved, Arrivals::Single, Timestamp::MAX);
        shard.restore(*id, page).unwrap();
    }
    shard
}

/// A page lives between two others exactly if its rows lie between theirs in key order.
#[test]
fn lives_between_follows_the_order_of_rows() {
    let (a, b) = (page(SLOT_MS, 1, 1), page(3 * SLOT_MS, 1, 1));
    let beyond_the_ring = page(SLOT_MS * 5_000, 0, 0);
    let between = [
        page(SLOT_MS, 1, 2),
        page(SLOT_MS, 2, 0),
        page(2 * SLOT_MS, 0, 0),
        page(2 * SLOT_MS, 2, 7),
        page(2 * SLOT_MS + 1_000, 0, 0),
        page(SLOT_MS + 1_000, 0, 0),
        page(3 * SLOT_MS, 0, 9),
        page(3 * SLOT_MS, 1, 0),
    ];
    let outside = [
        a,
        b,
        page(0, 1, 1),
        page(SLOT_MS - 1_000, 1, 1),
        page(SLOT_MS, 0, 9),
        page(SLOT_MS, 1, 0),
        page(3 * SLOT_MS, 1, 2),
        page(3 * SLOT_MS, 2, 0),
        page(3 * SLOT_MS + 1_000, 0, 0),
        beyond_the_ring,
    ];
    for id in between {
        assert!(shard(id.shard, &[id]).lives_between(a, b), "{id:?}");
        assert!(shard(id.shard, &[a, b, beyond_the_ring, id]).lives_between(a, b), "{id:?} among others");
    }
    for id in outside {
        assert!(!shard(id.shard, &[id]).lives_between(a, b), "{id:?}");
    }
    let far = page(SLOT_MS * 9_000, 0, 0);
    assert!(shard(0, &[beyond_the_ring]).lives_between(a, far));
    assert!(!shard(0, &[]).lives_between(a, far));
}
