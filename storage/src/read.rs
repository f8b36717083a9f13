//! Reading values: out of the queue if they are on their way to the disk, else from the log, where
//! each is proven before it is returned.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::batch::Batch;
use crate::disk::read_full_at;
use crate::error::{Damage, ReadError, Seq, Why};
use crate::format::{Kind, Op, Ops, RecordParse, parse_record};
use crate::index::Place;
use crate::shared::Shared;
use crate::state::{Health, State};
use crate::volume::Segment;

/// Entries that are taken from the index before others have their turn with it.
pub(crate) const STEP: usize = 256;

/// A value and the batch that put it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value {
    /// The value's bytes.
    pub bytes: Vec<u8>,
    /// The batch that put it; it may not be durable yet.
    pub seq: Seq,
}

/// Never what is in it.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes, batch {})", self.bytes.len(), self.seq)
    }
}

/// Where a value is to be had from.
enum Source {
    Queue(Vec<u8>),
    Log(Place),
}

pub(crate) fn get(shared: &Shared, key: &[u8]) -> Result<Option<Value>, ReadError> {
    let state = shared.state();
    state.check_index()?;
    let Some(place) = state.index.get(key) else {
        return Ok(None);
    };
    let bytes = match state.source(key, place)? {
        Source::Queue(bytes) => bytes,
        Source::Log(place) => {
            let segments = Arc::clone(&state.segments);
            drop(state);
            Reader::new(shared, &segments).take(key, &place)?
        }
    };
    Ok(Some(Value { bytes, seq: Seq(place.seq) }))
}

/// So many entries at once are of one moment.
pub(crate) fn for_each(
    shared: &Shared,
    prefix: &[u8],
    at_once: usize,
    visit: &mut dyn FnMut(&[u8], &[u8]),
) -> Result<(), ReadError> {
    let mut after: Option<Box<[u8]>> = None;
    loop {
        let (sources, segments) = step(shared, prefix, after.as_deref(), at_once)?;
        let mut reader = Reader::new(shared, &segments);
        for (key, source) in &sources {
            match source {
                Source::Queue(bytes) => visit(key, bytes),
                Source::Log(place) => visit(key, reader.value(key, place)?),
            }
        }
        match sources.into_iter().nth(at_once - 1) {
            Some((last, _)) => after = Some(last),
            None => return Ok(()),
        }
    }
}

type Step = (Vec<(Box<[u8]>, Source)>, Arc<Vec<Arc<Segment>>>);

fn step(
    shared: &Shared,
    prefix: &[u8],
    after: Option<&[u8]>,
    at_once: usize,
) -> Result<Step, ReadError> {
    let state = shared.state();
    state.check_index()?;
    let sources: Result<_, ReadError> = state
        .index
        .range(prefix, after)
        .take(at_once)
        .map(|(key, place)| Ok((Box::from(key), state.source(key, place)?)))
        .collect();
    Ok((sources?, Arc::clone(&state.segments)))
}

/// The keys that begin with `prefix`, in order, some at once.
pub(crate) fn keys(shared: &Shared, prefix: &[u8]) -> Vec<Box<[u8]>> {
    let mut keys: Vec<Box<[u8]>> = Vec::new();
    loop {
        let before = keys.len();
        let after = keys.last().cloned();
        let state = shared.state();
        keys.extend(
            state.index.range(prefix, after.as_deref()).take(STEP).map(|(key, _)| key.into()),
        );
        drop(state);
        if keys.len() < before + STEP {
            return keys;
        }
    }
}

impl State {
    /// After a failed write the index is wrong until it was rebuilt.
    fn check_index(&self) -> Result<(), ReadError> {
        match &self.health {
            Health::Stopped(failure) if !self.index_is_true => {
                Err(ReadError::Stopped(failure.clone()))
            }
            _ => Ok(()),
        }
    }

    fn source(&self, key: &[u8], place: Place) -> Result<Source, ReadError> {
        if place.seq <= self.durable {
            return Ok(Source::Log(place));
        }
        let batch = self.unsynced(place.seq).map(Batch::bytes).unwrap_or_default();
        match find(batch, key, place.seq) {
            Some(range) => Ok(Source::Queue(batch.get(range).unwrap_or_default().to_vec())),
            // The index names only batches that are in the log or in the queue.
            None => Err(ReadError::Io(std::io::Error::other("a batch is in no queue"))),
        }
    }
}

/// Reads values from the log and keeps the record it read last, since neighbours share one.
pub(crate) struct Reader<'a> {
    shared: &'a Shared,
    segments: &'a [Arc<Segment>],
    record: Vec<u8>,
    body: Range<usize>,
    at: Option<(u32, u32)>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(shared: &'a Shared, segments: &'a [Arc<Segment>]) -> Self {
        Self { shared, segments, record: Vec::new(), body: 0..0, at: None }
    }

    /// The value of a key at its place.
    pub(crate) fn value(&mut self, key: &[u8], place: &Place) -> Result<&[u8], ReadError> {
        let range = self.locate(key, place)?;
        Ok(self.record.get(range).unwrap_or_default())
    }

    /// The same, leaving the reader: the record's memory becomes the value's.
    fn take(mut self, key: &[u8], place: &Place) -> Result<Vec<u8>, ReadError> {
        let range = self.locate(key, place)?;
        self.record.truncate(range.end);
        self.record.drain(..range.start);
        Ok(self.record)
    }

    fn locate(&mut self, key: &[u8], place: &Place) -> Result<Range<usize>, ReadError> {
        if self.at != Some((place.segment, place.offset)) {
            self.at = None;
            self.load(place)?;
            self.at = Some((place.segment, place.offset));
        }
        let body = self.record.get(self.body.clone()).unwrap_or_default();
        let start = self.body.start;
        find(body, key, place.seq)
            .filter(|value| value.len() == place.value_bytes as usize)
            .map(|value| value.start + start..value.end + start)
            .ok_or_else(|| self.damage(place, Why::OutOfPlace).into())
    }

    fn load(&mut self, place: &Place) -> Result<(), ReadError> {
        let segment = self.segments.iter().find(|s| s.name.number == place.segment);
        let segment = segment.ok_or_else(|| self.damage(place, Why::Missing))?;
        self.record.resize(place.bytes as usize, 0);
        let count = read_full_at(&*segment.file, &mut self.record, u64::from(place.offset))?;
        self.record.truncate(count);
        let head = match parse_record(&self.record) {
            RecordParse::Done(head, _) => head,
            RecordParse::Incomplete(_) => return Err(self.damage(place, Why::Cut).into()),
            RecordParse::Refused(_) => return Err(self.damage(place, Why::Frame).into()),
        };
        let body = segment.sealer.open(&head, &mut self.record);
        self.body = body.map_err(|_| self.damage(place, Why::Seal))?;
        // A batch stands in its own record, a snapshot names each entry's batch itself.
        match head.kind {
            Kind::Ops if head.seq == place.seq => Ok(()),
            Kind::Snapshot => Ok(()),
            _ => Err(self.damage(place, Why::OutOfPlace).into()),
        }
    }

    fn damage(&self, place: &Place, why: Why) -> Damage {
        let segment = self.segments.iter().find(|s| s.name.number == place.segment);
        let segment = segment.map_or(String::new(), |segment| segment.name.to_string());
        let (volume, offset) = (self.shared.id, u64::from(place.offset));
        Damage { volume, segment, offset, seq: Seq(place.seq), why }
    }
}

/// Where in a body the value stands that a batch gave a key.
fn find(body: &[u8], key: &[u8], seq: u64) -> Option<Range<usize>> {
    let mut ops = Ops::new(body);
    let mut found = None;
    while let Some(op) = ops.next() {
        let value = match op.ok()? {
            Op::Put { key: known, value } if known == key => value,
            Op::Keep { key: known, value, seq: kept } if known == key && kept == seq => value,
            _ => continue,
        };
        // A value is the last field of its change.
        let end = body.len() - ops.left();
        found = Some(end - value.len()..end);
    }
    found
}
