//! Registration of many objects of which the engine may refuse some.

use sexton::{ErrorKind, Registration, Result};

/// Largest number of objects in one call.
pub const OBJECTS_MAX: usize = 1_000;

/// Registers all objects with `call`, in one call if possible. A call that is refused because of an object is repeated with
/// each half, down to single objects. Every object then has its own answer or its own refusal.
pub(crate) fn register<T>(
    registrations: &[Registration<'_>],
    call: &dyn Fn(&[Registration<'_>]) -> Result<Vec<T>>,
) -> Result<Vec<std::result::Result<T, String>>> {
    match call(registrations) {
        Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
        Err(e) if is_of_one_object(e.kind()) => match registrations {
            [] => Ok(Vec::new()),
            [_] => Ok(vec![Err(e.to_string())]),
            _ => {
                let (left, right) = registrations.split_at(registrations.len() / 2);
                let mut answers = register(left, call)?;
                answers.extend(register(right, call)?);
                Ok(answers)
            }
        },
        Err(e) => Err(e),
    }
}

/// Returns `true` if a call fails with this kind because of one of its objects, so that the others may be registered.
///
/// `Busy` is none of them: the object keeps moving, and the same call succeeds later.
fn is_of_one_object(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Held | ErrorKind::TooLate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sexton::Error;

    #[test]
    fn register_answers_each_object_or_fails_by_kind() {
        let keys: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n]).collect();
        let all: Vec<Registration<'_>> = keys.iter().map(|key| Registration::new("c", key)).collect();
        for (kind, splits) in [
            (ErrorKind::Invalid, true),
            (ErrorKind::NotFound, true),
            (ErrorKind::Held, true),
            (ErrorKind::TooLate, true),
            (ErrorKind::Busy, false),
            (ErrorKind::Full, false),
            (ErrorKind::Io, false),
            (ErrorKind::Corrupt, false),
            (ErrorKind::Forked, false),
            (ErrorKind::Poisoned, false),
            (ErrorKind::Closed, false),
            (ErrorKind::Internal, false),
        ] {
            let refuse_some =
                |part: &[Registration<'_>]| match part.iter().find(|object| object.key[0] % 7 == 3) {
                    Some(object) => Err(Error::new(kind, format!("no {}", object.key[0]))),
                    None => Ok(part.iter().map(|object| object.key[0]).collect()),
                };
            let answers = match register(&all, &refuse_some) {
                Err(error) => {
                    assert!(!splits && error.kind() == kind, "{kind:?}: {error}");
                    continue;
                }
                Ok(answers) => answers,
            };
            assert!(splits && answers.len() == all.len(), "{kind:?}");
            for (n, answer) in (0_u8..).zip(answers) {
                assert_eq!(answer, if n % 7 == 3 { Err(format!("no {n}")) } else { Ok(n) }, "{kind:?}");
            }
        }
    }
}
