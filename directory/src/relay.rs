//! A directory hands on what it was told, to directories that follow it as they would the registrar.
//! They need not believe it: everything is in the registrar's own words.

use std::time::Duration;

use feed::{Chronicle, News, Signed};
use protocol::FeedId;
use tokio::time::timeout;

use crate::directory::Directory;
use crate::feed::{BoxFuture, FeedAnswer, FeedError, FeedSource};
use crate::limits::RENEWAL_WAIT;

impl FeedSource for Directory {
    fn snapshot(&self) -> BoxFuture<'_, Result<Vec<u8>, FeedError>> {
        Box::pin(async {
            let turn = timeout(RENEWAL_WAIT, self.turn()).await.map_err(|_| FeedError::Deadline)?;
            let base = self.told().as_ref().and_then(Chronicle::base).ok_or_else(nothing_told)?;
            let copy = move || {
                // What is copied is not to be renewed meanwhile: then it would be there twice.
                let _turn = turn;
                base.to_bytes()
            };
            tokio::task::spawn_blocking(copy).await.map_err(|e| FeedError::Unreachable(e.into()))
        })
    }

    fn checkpoint(&self) -> BoxFuture<'_, Result<Signed, FeedError>> {
        Box::pin(async {
            let signed = self.told().as_ref().map(|told| told.signed().clone());
            signed.ok_or_else(nothing_told)
        })
    }

    fn after(
        &self,
        feed: FeedId,
        number: u64,
        wait: Duration,
    ) -> BoxFuture<'_, Result<FeedAnswer, FeedError>> {
        Box::pin(async move {
            if self.told().as_ref().is_some_and(|told| told.feed() == feed) {
                let mut position = self.position();
                let is_news = |at: &Option<_>| {
                    at.is_some_and(|at: crate::apply::Position| {
                        at.number > number || at.feed != feed
                    })
                };
                // Whatever ends the wait: what there is then is the answer.
                drop(timeout(wait, position.wait_for(is_news)).await);
            }
            let told = self.told();
            match told.as_ref().ok_or_else(nothing_told)?.after(feed, number) {
                News::Word(signed) => Ok(FeedAnswer::Batch(signed)),
                News::SnapshotNeeded => Ok(FeedAnswer::SnapshotNeeded),
                News::NotYet => Err(FeedError::Deadline),
            }
        })
    }
}

fn nothing_told() -> FeedError {
    FeedError::Unreachable("this directory was told nothing itself".into())
}
