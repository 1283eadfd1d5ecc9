//! Registration of many objects of which the engine may refuse some.

use crate::output::Failure;
use sexton::{ErrorKind, Registration};

/// Largest number of objects in one call.
pub(super) const OBJECTS_MAX: usize = 1_000;

/// Registers all objects with `call`, in one call if possible. A call that is refused as invalid is repeated with each
/// half, down to single objects. Every object then has its own answer or its own refusal.
pub(super) fn register<T>(
    registrations: &[Registration<'_>],
    call: &dyn Fn(&[Registration<'_>]) -> sexton::Result<Vec<T>>,
) -> Result<Vec<Result<T, String>>, Failure> {
    match call(registrations) {
        Ok(answers) => Ok(answers.into_iter().map(Ok).collect()),
        Err(e) if e.kind() == ErrorKind::Invalid => match registrations {
            [] => Ok(Vec::new()),
            [_] => Ok(vec![Err(e.to_string())]),
            _ => {
                let (left, right) = registrations.split_at(registrations.len() / 2);
                let mut answers = register(left, call)?;
                answers.extend(register(right, call)?);
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

    /// Also: an error other than a refusal ends the whole registration.
    #[test]
    fn register_some_invalid_answers_each_object() {
        let keys: Vec<Vec<u8>> = (0..20_u8).map(|n| vec![n]).collect();
        let all: Vec<Registration<'_>> = keys.iter().map(|key| Registration::new("c", key)).collect();
        let refuse_some = |part: &[Registration<'_>]| match part.iter().find(|object| object.key[0] % 7 == 3)
        {
            Some(object) => Err(Error::new(ErrorKind::Invalid, format!("no {}", object.key[0]))),
            None => Ok(part.iter().map(|object| object.key[0]).collect()),
        };
        for (n, answer) in (0_u8..).zip(register(&all, &refuse_some).unwrap()) {
            assert_eq!(answer, if n % 7 == 3 { Err(format!("no {n}")) } else { Ok(n) });
        }
        let fail =
            |_: &[Registration<'_>]| -> sexton::Result<Vec<u8>> { Err(Error::new(ErrorKind::Full, "full")) };
        assert!(register(&all, &fail).is_err());
    }
}
