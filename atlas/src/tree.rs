//! Hash trees as in RFC 9162 (section 2.1), with SHA-256: leaves, and how one is proven to be under
//! a root.

use sha2::{Digest as _, Sha256};

/// A hash.
pub(crate) type Hash = [u8; 32];

/// What a hash is of; it stands before what is hashed, so that none passes for one of another kind.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Leaf = 0,
    Node = 1,
    Segment = 2,
    Atlas = 3,
}

pub(crate) fn hash(kind: Kind, parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    hasher.update([kind as u8]);
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// The root over leaves, of which there is at least one.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => hash(Kind::Node, &[]),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(left_of(leaves.len()));
            hash(Kind::Node, &[&root(left), &root(right)])
        }
    }
}

/// The hashes that lead from a leaf to the root, from the leaf's neighbour upwards.
pub(crate) fn path(leaves: &[Hash], index: usize) -> Vec<Hash> {
    let mut path = Vec::new();
    climb(leaves, index, &mut path);
    path
}

fn climb(leaves: &[Hash], index: usize, path: &mut Vec<Hash>) {
    if leaves.len() < 2 {
        return;
    }
    let (left, right) = leaves.split_at(left_of(leaves.len()));
    match index.checked_sub(left.len()) {
        None => {
            climb(left, index, path);
            path.push(root(right));
        }
        Some(index) => {
            climb(right, index, path);
            path.push(root(left));
        }
    }
}

/// The root that a leaf and a path lead to; none if the path does not fit the place.
pub(crate) fn root_of(leaf: Hash, index: u64, count: u64, path: &[Hash]) -> Option<Hash> {
    if index >= count {
        return None;
    }
    let (mut at, mut last, mut hash_now) = (index, count - 1, leaf);
    for neighbour in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash_now = hash(Kind::Node, &[neighbour, &hash_now]);
            // A last one without a neighbour stands for itself a row higher.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash_now = hash(Kind::Node, &[&hash_now, neighbour]);
        }
        at >>= 1;
        last >>= 1;
    }
    (last == 0).then_some(hash_now)
}

/// How many leaves stand on the left: the largest power of two that leaves some on the right.
fn left_of(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|number| hash(Kind::Leaf, &[&number.to_be_bytes()])).collect()
    }

    #[test]
    fn each_leaf_is_proven_in_trees_of_every_size_and_nowhere_else() {
        for count in 1..=40 {
            let leaves = leaves(count);
            let whole = root(&leaves);
            for index in 0..count {
                let path = path(&leaves, index);
                let from = |leaf, index: usize, count: usize, path: &[Hash]| {
                    root_of(leaf, index as u64, count as u64, path) == Some(whole)
                };
                assert!(from(leaves[index], index, count, &path), "{index} of {count}");
                for other in (0..count).filter(|other| *other != index) {
                    assert!(!from(leaves[other], index, count, &path));
                    assert!(!from(leaves[index], other, count, &path), "{index} as {other}");
                }
                for at in 0..path.len() {
                    let mut bad = path.clone();
                    bad[at][0] ^= 1;
                    assert!(!from(leaves[index], index, count, &bad));
                    assert!(!from(leaves[index], index, count, &path[..at]), "cut short");
                }
                let longer = [&path[..], &[whole]].concat();
                assert!(!from(leaves[index], index, count, &longer));
            }
        }
    }

    #[test]
    fn a_leaf_does_not_pass_for_a_node() {
        let [left, right] = leaves(2).try_into().unwrap();
        assert_ne!(hash(Kind::Leaf, &[&left, &right]), root(&[left, right]));
    }
}
