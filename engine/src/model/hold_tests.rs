use super::*;
use proptest::prelude::*;

const EPOCH: Timestamp = Timestamp::from_unix_ms(0);

fn hold(number: u8, selector: Selector) -> Hold {
    let terms = NewHold {
        name: HoldName::new(number.to_string()).unwrap(),
        selector,
        kind: HoldKind::Temporary,
        attribution: Attribution::new("a", "r"),
        review: EPOCH,
    };
    Hold { id: HoldId::from_bytes([number; 16]), placed: EPOCH, terms, lifted: None }
}

#[test]
fn stored_json_keeps_its_field_names() {
    let mut hold = hold(7, Selector::Everything);
    hold.lifted = Some(Lifted {
        at: Timestamp::from_unix_ms(5),
        attribution: Attribution::new("b", "s"),
        grace: Duration::from_millis(6),
        done: false,
    });
    let stored = format!(
        "{{\"id\":\"{}\",\"placed_ms\":0,\"name\":\"7\",\"selector\":\"everything\",\"kind\":\"temporary\",\
         \"reason\":\"r\",\"author\":\"a\",\"review_ms\":0,\"lifted\":{{\"at_ms\":5,\"reason\":\"s\",\
         \"author\":\"b\",\"grace_ms\":6,\"done\":false}}}}",
        "07".repeat(16)
    );
    assert_eq!(serde_json::to_string(&hold).unwrap(), stored);
    assert_eq!(serde_json::from_str::<Hold>(&stored).unwrap(), hold);
}

#[test]
fn id_as_text_is_32_hexadecimal_digits() {
    let id = HoldId::from_bytes([0xab; 16]);
    assert_eq!(id.to_string(), "ab".repeat(16));
    assert_eq!(id.to_string().parse::<HoldId>().unwrap(), id);
    for text in ["", "ab", &"ab".repeat(17), &"zz".repeat(16)] {
        assert_eq!(text.parse::<HoldId>().unwrap_err().kind(), ErrorKind::Invalid, "{text}");
    }
}

fn selectors() -> impl Strategy<Value = Selector> {
    let short = || proptest::collection::vec(0_u8..3, 1..4);
    prop_oneof![
        proptest::collection::vec(short(), 1..3).prop_map(Selector::keys),
        proptest::collection::vec(short(), 1..3).prop_map(|keys| {
            let others = (0..=KEYS_COPIED_MAX).map(|number| number.to_be_bytes().to_vec());
            Selector::keys(keys.into_iter().chain(others))
        }),
        short().prop_map(Selector::Prefix),
        short().prop_map(Selector::Subject),
        prop_oneof![Just("a"), Just("b")].prop_map(|name| Selector::Class(name.into())),
    ]
}

proptest! {
    #[test]
    fn set_covers_exactly_what_a_standing_hold_covers(
        holds in proptest::collection::vec((selectors(), any::<bool>()), 0..6),
        key in proptest::collection::vec(0_u8..3, 1..5),
        first in proptest::collection::vec(0_u8..3, 1..5),
        subject in proptest::collection::vec(0_u8..3, 0..4),
    ) {
        let mut set = HoldSet::default();
        for (number, (selector, lifted)) in (0_u8..).zip(&holds) {
            let mut hold = hold(number, selector.clone());
            set.insert(hold.clone());
            if *lifted {
                let attribution = Attribution::new("a", "r");
                hold.lifted = Some(Lifted { at: EPOCH, attribution, grace: Duration::ZERO, done: true });
                set.insert(hold);
            }
        }
        for class in ["a", "c"] {
            let names = Names { current: &key, first: &first };
            let naive = holds.iter().any(|(s, lifted)| !lifted && s.covers(class, names, &subject));
            let object = HoldFacts {
                class,
                names,
                subject: &subject,
                start: EPOCH,
                slot: 0,
                parked: false,
            };
            let found = set.covering(object);
            prop_assert_eq!(found.is_some(), naive);
            prop_assert!(found.is_none_or(|h| h.terms.selector.covers(class, names, &subject)));
        }
    }
}
