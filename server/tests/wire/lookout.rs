//! A store that was opened elsewhere: what its old server remembers is given out for a short time at
//! most, although nobody tells it.

use std::time::Duration;

use tokio::time::Instant;

use super::lab::Lab;

#[tokio::test]
async fn what_is_remembered_is_not_given_out_long_after_another_has_the_store() {
    let lab = Lab::new().await;
    let alice = lab.start_watched("@alice").await;
    let mut owner = lab.owner("@alice").await;
    let mut monitor = lab.owner("@alice").await;
    owner.data("update:n.x@alice v").await;
    monitor.watch("monitor").await;
    lab.take_over("@alice");
    let taken = Instant::now();
    let mut answers = 0;
    while owner.ask_or_end("llookup:n.x@alice").await.starts_with("data:") {
        answers += 1;
        assert!(taken.elapsed() < Duration::from_secs(3), "it still answers");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(answers > 0, "a look is good for a while");
    assert!(alice.server.is_fenced());
    let told = monitor.ask_or_end("noop:0").await;
    assert!(!told.contains("data:"), "all its connections end: {told}");
}

#[tokio::test]
async fn a_write_that_finds_the_fence_ends_the_answers_at_once() {
    let lab = Lab::new().await;
    let alice = lab.start_watched("@alice").await;
    let (mut writer, mut reader) = (lab.owner("@alice").await, lab.owner("@alice").await);
    writer.data("update:n.x@alice v").await;
    lab.take_over("@alice");
    assert_eq!(writer.ask_or_end("update:n.x@alice w").await, "");
    assert!(alice.server.is_fenced());
    assert_eq!(reader.ask_or_end("llookup:n.x@alice").await, "");
}

#[tokio::test]
async fn a_store_that_is_nobody_elses_is_answered_from_as_long_as_it_likes() {
    let lab = Lab::new().await;
    let _alice = lab.start_watched("@alice").await;
    let mut owner = lab.owner("@alice").await;
    owner.data("update:n.x@alice v").await;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(5) {
        assert_eq!(owner.data("llookup:n.x@alice").await, "v");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
