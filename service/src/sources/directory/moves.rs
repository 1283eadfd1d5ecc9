//! Names that files and folders had before they were moved within their root. Pure.

use std::collections::{BTreeMap, HashMap};

/// Moves since the last look at them.
#[derive(Debug, Default)]
pub(super) struct Moves {
    /// Path that was left, by the number that both events of a move have.
    left: HashMap<u32, Vec<u8>>,
    /// Path that a file had at first, by its present one.
    files: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Moves {
    /// Notes that a file or folder left a path.
    pub(super) fn leave(&mut self, path: Vec<u8>, number: u32) {
        self.left.insert(number, path);
    }

    /// Notes that a file came to a path.
    pub(super) fn arrive(&mut self, path: &[u8], number: u32) {
        if let Some(left) = self.left.remove(&number) {
            // A file that moved twice comes from its first path.
            let from = self.files.remove(&left).unwrap_or(left);
            self.files.remove(path);
            if from != path {
                self.files.insert(path.to_vec(), from);
            }
        }
    }

    /// Notes that a folder came to a path, and returns the one that it left.
    pub(super) fn arrive_folder(&mut self, path: &[u8], number: u32) -> Option<Vec<u8>> {
        let left = self.left.remove(&number)?;
        let below = |key: &[u8]| {
            key.strip_prefix(&*left).filter(|rest| rest.first() == Some(&b'/')).map(<[u8]>::to_vec)
        };
        let moved: Vec<Vec<u8>> = self.files.keys().filter(|key| below(key).is_some()).cloned().collect();
        for before in moved {
            if let (Some(rest), Some(from)) = (below(&before), self.files.remove(&before)) {
                self.files.insert([path, &rest].concat(), from);
            }
        }
        Some(left)
    }

    /// Takes the moves of files: pairs of present and former path. What left and did not arrive has left the root.
    pub(super) fn take(&mut self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.left.clear();
        std::mem::take(&mut self.files).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(moves: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut all = Moves::default();
        for (number, (from, to)) in (1..).zip(moves) {
            all.leave(from.as_bytes().to_vec(), number);
            all.arrive(to.as_bytes(), number);
        }
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
        all.take().into_iter().map(|(to, from)| (text(to), text(from))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(to, from)| ((*to).to_owned(), (*from).to_owned())).collect()
    }

    #[test]
    fn moves_of_one_file_are_one_move() {
        assert_eq!(moved(&[("a", "b"), ("b", "c")]), pairs(&[("c", "a")]));
        assert_eq!(moved(&[("a", "t"), ("b", "a"), ("t", "b")]), pairs(&[("a", "b"), ("b", "a")]));
        assert_eq!(moved(&[("a", "b"), ("b", "a")]), pairs(&[]));
        // A file that takes the place of a moved one.
        assert_eq!(moved(&[("a", "b"), ("c", "b")]), pairs(&[("b", "c")]));
    }

    #[test]
    fn moved_folder_takes_its_moved_files_along() {
        let mut moves = Moves::default();
        moves.leave(b"x".to_vec(), 1);
        moves.arrive(b"d/x", 1);
        moves.leave(b"d".to_vec(), 2);
        assert_eq!(moves.arrive_folder(b"e", 2), Some(b"d".to_vec()));
        assert_eq!(moves.arrive_folder(b"f", 3), None);
        assert_eq!(moves.take(), [(b"e/x".to_vec(), b"x".to_vec())]);
    }
}
