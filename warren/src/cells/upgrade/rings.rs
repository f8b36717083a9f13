//! Which cells are renewed together, and in which order: a decision, and nothing else.

use std::str::FromStr;

use protocol::control::names::CellId;

use super::watch::{Look, Sight};

/// How many cells each ring has; behind the last one, nothing or all that are left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rings {
    sizes: Vec<usize>,
    has_rest: bool,
}

impl FromStr for Rings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "rings are numbers of cells, and `rest` behind them: 1,2,rest".to_owned();
        let mut words: Vec<&str> = text.split(',').map(str::trim).collect();
        let has_rest = words.pop_if(|last| *last == "rest").is_some();
        let size = |word: &str| word.parse().ok().filter(|size| *size > 0).ok_or_else(bad);
        let sizes = words.into_iter().map(size).collect::<Result<Vec<usize>, _>>()?;
        if sizes.is_empty() && !has_rest { Err(bad()) } else { Ok(Self { sizes, has_rest }) }
    }
}

/// What is to be done with a swarm's cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Way {
    /// They run the image already.
    pub skipped: Vec<CellId>,
    /// The plan names the image, but the engine took it back.
    pub refused: Vec<CellId>,
    /// The others, in rings.
    pub rings: Vec<Vec<CellId>>,
}

/// Sorts a swarm's cells. Those that are to run the image already and do not come first: they are the
/// rest of an upgrade that was broken off.
pub fn way(look: &Look, image: &str, rings: &Rings) -> Way {
    let mut way = Way::default();
    let (mut begun, mut others) = (Vec::new(), Vec::new());
    for (cell, sight) in &look.cells {
        match sight {
            Sight { image: has, .. } if has != image => others.push(*cell),
            Sight { is_taken_back: true, .. } => way.refused.push(*cell),
            Sight { is_reporting: true, .. } => way.skipped.push(*cell),
            _ => begun.push(*cell),
        }
    }
    let mut left = begun.into_iter().chain(others).peekable();
    for size in &rings.sizes {
        way.rings.push(left.by_ref().take(*size).collect());
    }
    if rings.has_rest {
        way.rings.push(left.collect());
    }
    way.rings.retain(|ring| !ring.is_empty());
    way
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::super::watch::tests::{cell, look, sight};
    use super::*;

    #[test]
    fn rings_are_read_as_people_write_them() {
        let read = |text: &str| text.parse::<Rings>();
        assert_eq!(read("1,2,rest"), Ok(Rings { sizes: vec![1, 2], has_rest: true }));
        assert_eq!(read("1, 3"), Ok(Rings { sizes: vec![1, 3], has_rest: false }));
        assert_eq!(read("rest"), Ok(Rings { sizes: vec![], has_rest: true }));
        for bad in ["", ",", "0,rest", "rest,1", "1,,2", "-1", "1,rest,rest", "one", "1;2"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    fn rings(text: &str, look: &Look) -> Vec<Vec<u16>> {
        let way = way(look, "new", &text.parse().unwrap());
        let number = |cell: CellId| cell.to_string()[5..].parse().unwrap();
        way.rings.into_iter().map(|ring| ring.into_iter().map(number).collect()).collect()
    }

    #[test]
    fn each_ring_has_its_cells_and_none_is_empty() {
        let old = sight("old", 1);
        let five = look(0, (1..=5).map(|number| (number, old.clone())));
        assert_eq!(rings("1,2,rest", &five), [vec![1], vec![2, 3], vec![4, 5]]);
        assert_eq!(rings("1,2", &five), [vec![1], vec![2, 3]], "no rest was asked for");
        assert_eq!(rings("1,9,rest", &five), [vec![1], vec![2, 3, 4, 5]]);
        assert_eq!(rings("rest", &five), [[1, 2, 3, 4, 5]]);
        assert!(rings("1,2,rest", &look(0, [])).is_empty());
    }

    #[test]
    fn what_runs_already_is_skipped_and_what_only_should_comes_first() {
        let silent = Sight { is_reporting: false, ..sight("new", 3) };
        let refused = Sight { is_taken_back: true, ..sight("new", 3) };
        let seen = look(0, [(1, sight("old", 1)), (2, sight("new", 3)), (3, silent), (4, refused)]);
        let way = way(&seen, "new", &"1,rest".parse().unwrap());
        assert_eq!(way.skipped, [cell(2)]);
        assert_eq!(way.refused, [cell(4)]);
        assert_eq!(way.rings, [[cell(3)], [cell(1)]]);
    }
}
