//! Taking over what has changed.

use std::ops::Range;
use std::sync::Arc;

use crate::atlas::{Atlas, Cursor};
use crate::cut::is_cut;
use crate::pack::{PackError, Packer};
use crate::place::Place;
use crate::segment::{Damaged, Segment};

/// What becomes of one name: its new place, or none once it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch<'a> {
    /// The name's bytes, without `@`.
    pub name: &'a [u8],
    /// Where it is now.
    pub place: Option<Place<'a>>,
}

/// Why patches cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// The atlas cannot be read.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// A patch's name is none, or they are not sorted.
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl Atlas {
    /// Takes over patches, sorted by their names, each name once. Segments that no patch touches stay
    /// as they are. After each stretch that was made anew, `step` sees the atlas as it is by then:
    /// that stretch and all behind it are new, everything before it is still old. Whoever keeps the
    /// patches at hand meanwhile can show each of these, and if he lets go of the one before, there
    /// is never more than one stretch in memory twice.
    ///
    /// # Errors
    /// [`MergeError`] if a segment cannot be read or the patches are out of order.
    pub fn merge(
        self,
        patches: &[Patch<'_>],
        mut step: impl FnMut(&Self),
    ) -> Result<Self, MergeError> {
        let mut atlas = self;
        // From behind, so that the numbers of the segments before stay what they are.
        let mut left = patches;
        while let Some(last) = left.last() {
            let (segments, count) = atlas.stretch(left, last.name);
            let (before, these) = left.split_at(left.len() - count);
            let made = repack(atlas.segments.get(segments.clone()).unwrap_or_default(), these)?;
            atlas.segments.splice(segments, made.into_iter().map(Arc::new));
            atlas = Self::of(atlas.segments);
            step(&atlas);
            left = before;
        }
        Ok(atlas)
    }

    /// The segments that have to be made anew together for the last patch, and how many of the
    /// patches, counted from the end, belong to them.
    fn stretch(&self, patches: &[Patch<'_>], last: &[u8]) -> (Range<usize>, usize) {
        let Some(end) = self.segments.len().checked_sub(1) else { return (0..0, patches.len()) };
        let of = |name: &[u8]| self.segment_of(name).unwrap_or(0);
        let top = of(last).min(end);
        let mut bottom = top;
        // Without its first name a segment has no cut, and belongs to the one before.
        while bottom > 0 && self.loses_its_cut(bottom, patches) {
            bottom -= 1;
        }
        let before = patches.partition_point(|patch| of(patch.name) < bottom);
        (bottom..top + 1, patches.len() - before)
    }

    fn loses_its_cut(&self, segment: usize, patches: &[Patch<'_>]) -> bool {
        let first = self.segments.get(segment).map(|segment| segment.first()).unwrap_or_default();
        let patch = patches.binary_search_by(|patch| patch.name.cmp(first));
        patch.is_ok_and(|at| patches.get(at).is_some_and(|patch| patch.place.is_none()))
            || !is_cut(first)
    }
}

/// Neighbouring segments and their patches, merged.
fn repack(old: &[Arc<Segment>], patches: &[Patch<'_>]) -> Result<Vec<Segment>, MergeError> {
    let mut packer = Packer::default();
    let mut put = |patch: &Patch<'_>| match patch.place {
        Some(place) => packer.push(patch.name, place),
        None => Ok(()),
    };
    let mut patches = patches.iter().peekable();
    let mut rows = Cursor::new(old);
    while let Some(row) = rows.next() {
        let row = row?;
        while let Some(patch) = patches.next_if(|patch| patch.name < row.name) {
            put(patch)?;
        }
        let patch = patches.next_if(|patch| patch.name == row.name);
        let old = Patch { name: row.name, place: Some(row.place) };
        put(patch.unwrap_or(&old))?;
    }
    patches.try_for_each(put)?;
    Ok(packer.finish()?)
}
