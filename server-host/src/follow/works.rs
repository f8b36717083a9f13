//! Doing what a roster orders: for one volume one thing after another, for all of them a few at once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::VolumeId;
use protocol::control::placement::Placement;
use protocol::control::roster::{Done, Order, Outcome};
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::outcomes::Outcomes;
use crate::cell::Cell;
use crate::error::CellError;
use crate::limits::{ORDERS_AT_ONCE, REASON_CHARS_MAX, RESIDENTS_MAX};

/// The orders that are being done.
pub(crate) struct Works {
    cell: Cell,
    outcomes: Arc<Outcomes>,
    /// What is to be done next for each volume that something is being done for.
    under_way: Mutex<HashMap<VolumeId, Option<Order>>>,
    places: Semaphore,
}

impl Works {
    pub(crate) fn new(cell: Cell, outcomes: Arc<Outcomes>) -> Arc<Self> {
        let (under_way, places) = (Mutex::default(), Semaphore::new(ORDERS_AT_ONCE));
        Arc::new(Self { cell, outcomes, under_way, places })
    }

    /// Takes part of a list.
    pub(crate) fn take(self: &Arc<Self>, orders: Vec<Order>) {
        for order in orders {
            self.take_one(order);
        }
    }

    /// Takes a whole list: whoever is not on it lives here no more.
    pub(crate) fn take_whole(self: &Arc<Self>, orders: Vec<Order>) {
        let named: HashSet<VolumeId> = orders.iter().map(Order::volume).collect();
        let mut here: HashSet<VolumeId> = self.cell.volumes().into_iter().collect();
        here.extend(self.under_way().keys());
        for volume in here.difference(&named) {
            self.take_one(Order::Release { volume: *volume });
        }
        self.take(orders);
    }

    fn take_one(self: &Arc<Self>, order: Order) {
        let volume = order.volume();
        let mut under_way = self.under_way();
        if let Some(next) = under_way.get_mut(&volume) {
            *next = Some(order);
            return;
        }
        if let Order::Keep { placement } = &order {
            return self.keep(placement);
        }
        if under_way.len() >= RESIDENTS_MAX {
            warn!(%volume, "an order is left out: too many are under way");
            return;
        }
        under_way.insert(volume, None);
        drop(under_way);
        tokio::spawn(Arc::clone(self).work(order));
    }

    /// Costs a table's entry, and so waits for nothing.
    fn keep(&self, placement: &Placement) {
        if self.cell.counters().residents >= RESIDENTS_MAX && !self.cell.has(placement.volume) {
            warn!(identity = %placement.identity, "she is left out: the cell is full");
            return;
        }
        if let Err(error) = self.cell.adopt(placement) {
            warn!(identity = %placement.identity, %error, "a placement is not believed");
        }
    }

    async fn work(self: Arc<Self>, mut order: Order) {
        let volume = order.volume();
        loop {
            // It is never closed; if it were, the limit would be all that is lost.
            let place = self.places.acquire().await.ok();
            self.carry_out(order).await;
            drop(place);
            let mut under_way = self.under_way();
            match under_way.get_mut(&volume).and_then(Option::take) {
                Some(next) => order = next,
                None => {
                    under_way.remove(&volume);
                    return;
                }
            }
        }
    }

    async fn carry_out(&self, order: Order) {
        match order {
            Order::Create { placement, secret } => {
                let created = match self.cell.counters().residents < RESIDENTS_MAX {
                    true => self.cell.create(placement.clone(), secret).await,
                    false => Err(CellError::Full),
                };
                self.note(placement, created, Outcome::Created);
            }
            Order::Keep { placement } => self.keep(&placement),
            Order::Release { volume } => self.cell.release(volume).await,
            Order::Remove { placement } => {
                let removed = self.cell.remove(&placement).await;
                self.note(placement, removed, Outcome::Removed);
            }
        }
    }

    fn note(&self, placement: Placement, result: Result<(), CellError>, done: Outcome) {
        let Placement { identity, volume, epoch, .. } = placement;
        let outcome = match result {
            Ok(()) => {
                info!(%identity, ?done, "an order is done");
                done
            }
            Err(error) => {
                let reason = error.with_causes();
                warn!(%identity, reason, "an order failed");
                Outcome::Failed { reason: reason.chars().take(REASON_CHARS_MAX).collect() }
            }
        };
        self.outcomes.add(Done { identity, volume, epoch, outcome });
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<VolumeId, Option<Order>>> {
        // Each change is one call.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
