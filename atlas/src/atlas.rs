//! All segments, in order.

use std::sync::Arc;

use crate::place::Place;
use crate::rows::Row;
use crate::segment::{Damaged, Segment, SegmentRows};

/// Where everybody is. A copy costs one pointer a segment.
#[derive(Debug, Clone, Default)]
pub struct Atlas {
    pub(crate) segments: Vec<Arc<Segment>>,
    len: usize,
}

impl Atlas {
    /// Puts segments together.
    ///
    /// # Errors
    /// [`Damaged`] if they are not in order.
    pub fn new(segments: Vec<Arc<Segment>>) -> Result<Self, Damaged> {
        let neighbours = segments.iter().zip(segments.iter().skip(1));
        for (before, after) in neighbours {
            if before.first() >= after.first() {
                return Err(Damaged("its segments are not in order"));
            }
        }
        Ok(Self::of(segments))
    }

    pub(crate) fn of(segments: Vec<Arc<Segment>>) -> Self {
        let len = segments.iter().map(|segment| segment.len()).sum();
        Self { segments, len }
    }

    /// How many names it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Its segments, in order.
    #[must_use]
    pub fn segments(&self) -> &[Arc<Segment>] {
        &self.segments
    }

    /// Where this name is. It takes no lock and no memory.
    #[must_use]
    pub fn find<'a>(&'a self, name: &'a [u8]) -> Option<Place<'a>> {
        self.segments.get(self.segment_of(name)?)?.find(name)
    }

    /// The number of the segment that holds this name, if any does.
    pub(crate) fn segment_of(&self, name: &[u8]) -> Option<usize> {
        self.segments.partition_point(|segment| segment.first() <= name).checked_sub(1)
    }

    /// Reads it from the first name to the last.
    #[must_use]
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(&self.segments)
    }

    /// Bytes of memory that it takes, all counted.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let segments: usize = self.segments.iter().map(|segment| segment.memory_bytes()).sum();
        segments + self.segments.capacity() * size_of::<Arc<Segment>>()
    }
}

/// Reads rows in the order of their names.
pub struct Cursor<'a> {
    rest: &'a [Arc<Segment>],
    rows: Option<SegmentRows<'a>>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(segments: &'a [Arc<Segment>]) -> Self {
        Self { rest: segments, rows: None }.advance()
    }

    /// The next row; its name is good until the next call. None at the end.
    ///
    /// # Errors
    /// [`Damaged`] if a row cannot be read; what is behind it in its segment is not read.
    #[expect(clippy::should_implement_trait, reason = "a row borrows the cursor")]
    pub fn next(&mut self) -> Option<Result<Row<'_>, Damaged>> {
        while self.rows.as_ref().is_some_and(SegmentRows::is_done) {
            let next = Self { rest: self.rest, rows: None }.advance();
            *self = next;
        }
        self.rows.as_mut()?.next()
    }

    fn advance(mut self) -> Self {
        if let Some((first, rest)) = self.rest.split_first() {
            self.rows = Some(SegmentRows::new(first));
            self.rest = rest;
        }
        self
    }
}

impl std::fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cursor").field("segments_left", &self.rest.len()).finish_non_exhaustive()
    }
}
