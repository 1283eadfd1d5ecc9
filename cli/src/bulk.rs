//! Registering many objects of which some may be refused.

use crate::output::Failure;
use sexton::{ErrorKind, Registration};

/// Most objects of one call.
pub(crate) const AT_ONCE: usize = 1_000;

/// Has `call` take all of `items` at once; where it refuses one of them, the halves, and so on: every object gets its own
/// answer or its own refusal.
pub(crate) fn each<T>(
    items: &[Registration<'_>],
    call: &dyn Fn(&[Registration<'_>]) -> sexton::Result<Vec<T>>,
) -> Result<Vec<Result<T, String>>, Failure> {
    match call(items) {
        Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
        Err(e) if e.kind() == ErrorKind::Invalid => match items {
            [] => Ok(Vec::new()),
            [_] => Ok(vec![Err(e.to_string())]),
            _ => {
                let (left, right) = items.split_at(items.len() / 2);
                let mut answers = each(left, call)?;
                answers.extend(each(right, call)?);
                Ok(answers)
            }
        },
        Err(e) => Err(e.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton::Error;

    #[test]
    fn every_object_gets_its_own_answer() {
        let keys: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n]).collect();
        let items: Vec<Registration<'_>> = keys.iter().map(|key| Registration::new("c", key)).collect();
        let refuse_some = |items: &[Registration<'_>]| match items.iter().find(|item| item.key[0] % 7 == 3) {
            Some(item) => Err(Error::new(ErrorKind::Invalid, format!("no {}", item.key[0]))),
            None => Ok(items.iter().map(|item| item.key[0]).collect()),
        };
        for (n, answer) in (0_u8..).zip(each(&items, &refuse_some).unwrap()) {
            assert_eq!(answer, if n % 7 == 3 { Err(format!("no {n}")) } else { Ok(n) });
        }
        let fail =
            |_: &[Registration<'_>]| -> sexton::Result<Vec<u8>> { Err(Error::new(ErrorKind::Full, "full")) };
        assert!(each(&items, &fail).is_err());
    }
}
