//! What a router believes of what it hears.

use net::https::UpstreamError;
use protocol::control::roster::Position;
use protocol::control::routes::ROUTES_MAX;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::world::{Cell, LOOPBACK, World, free_port, part, place, route, until, volume, whole};

async fn is_open(port: u16) -> bool {
    TcpStream::connect((LOOPBACK, port)).await.is_ok()
}

fn at(run: u64, number: u64) -> Option<Position> {
    Some(Position { run, number })
}

#[tokio::test]
async fn ports_open_and_close_as_it_is_told() {
    let (world, [a, b, c]) = (World::start(), [free_port(), free_port(), free_port()]);
    assert_eq!(world.follower.status().at, None);
    world.tell(whole(3, 8, vec![route(a, Some((1, 1))), route(b, Some((2, 1)))], vec![])).await;
    assert_eq!([is_open(a).await, is_open(b).await, is_open(c).await], [true, true, false]);

    world.tell(part(3, 9, vec![route(a, None), route(c, Some((3, 1)))], vec![])).await;
    assert_eq!([is_open(a).await, is_open(b).await, is_open(c).await], [false, true, true]);

    world.tell(whole(4, 1, vec![route(a, Some((1, 1)))], vec![])).await;
    assert_eq!([is_open(a).await, is_open(b).await, is_open(c).await], [true, false, false]);
    assert_eq!(world.registrar.asked(), [None, at(3, 8), at(3, 9), at(4, 1)]);
}

#[tokio::test]
async fn a_port_that_is_given_to_another_leads_to_her() {
    let (world, cell, port) = (World::start(), Cell::open().await, free_port());
    let places = vec![place(1, 1, Some(cell.address())), place(2, 1, None)];
    world.tell(whole(1, 1, vec![route(port, Some((1, 2)))], places.clone())).await;
    world.tell(part(1, 2, vec![route(port, Some((9, 1)))], places)).await;
    let mut client = TcpStream::connect((LOOPBACK, port)).await.unwrap();
    client.write_all(b"x").await.unwrap();
    assert_eq!(cell.next().await.1.volume, volume(9));
}

#[tokio::test]
async fn of_two_words_about_a_port_the_later_counts() {
    let (world, cell, port) = (World::start(), Cell::open().await, free_port());
    let twice = vec![
        route(port, Some((1, 1))),
        route(port, None),
        route(port, Some((2, 1))),
        route(port, Some((3, 1))),
    ];
    world.tell(whole(1, 1, twice, vec![place(1, 1, Some(cell.address()))])).await;
    let _client = TcpStream::connect((LOOPBACK, port)).await.unwrap();
    assert_eq!(cell.next().await.1.volume, volume(3));
}

#[tokio::test]
async fn a_registrar_that_was_set_back_is_not_believed() {
    let (world, port) = (World::start(), free_port());
    world.tell(whole(5, 10, vec![route(port, Some((1, 1)))], vec![])).await;
    let lies =
        [whole(4, 99, vec![], vec![]), whole(5, 9, vec![], vec![]), part(5, 9, vec![], vec![])];
    for (index, lie) in lies.into_iter().enumerate() {
        world.registrar.say(Ok(lie));
        world.until(|status| status.refused == index as u64 + 1).await;
        assert!(is_open(port).await);
        assert_eq!(world.follower.status().at, at(5, 10));
    }
    until(|| world.registrar.asked().last() == Some(&None)).await;
    // Everything, from a run that follows: what it says from now on counts.
    world.tell(whole(6, 1, vec![], vec![])).await;
    assert!(!is_open(port).await);
}

#[tokio::test]
async fn changes_to_what_is_not_known_are_not_believed() {
    let (world, port) = (World::start(), free_port());
    world.registrar.say(Ok(part(1, 1, vec![route(port, Some((1, 1)))], vec![])));
    world.until(|status| status.refused == 1).await;
    world.tell(whole(1, 1, vec![], vec![])).await;
    world.registrar.say(Ok(part(2, 1, vec![route(port, Some((1, 1)))], vec![])));
    world.until(|status| status.refused == 2).await;
    let many = vec![route(port, Some((1, 1))); ROUTES_MAX + 1];
    world.registrar.say(Ok(part(1, 2, many, vec![])));
    world.until(|status| status.refused == 3).await;
    assert!(!is_open(port).await);
}

#[tokio::test]
async fn seventy_thousand_routes_to_a_few_ports_are_a_few_ports() {
    let (world, ports) = (World::start(), [free_port(), free_port(), free_port()]);
    let routes = (0..70_000).map(|index| route(ports[index % 3], Some((1, 1)))).collect();
    world.tell(whole(1, 1, routes, vec![])).await;
    assert_eq!(world.router.counters().routes, 3);
}

#[tokio::test]
async fn a_registrar_that_is_away_changes_nothing() {
    let (world, cell, port) = (World::start(), Cell::open().await, free_port());
    let places = vec![place(1, 1, Some(cell.address()))];
    world.registrar.say(Err(UpstreamError::NoAddress));
    world.tell(whole(1, 1, vec![route(port, Some((7, 1)))], places)).await;
    for _ in 0..3 {
        world.registrar.say(Err(UpstreamError::NoAddress));
    }
    world.until(|status| status.unanswered == 4).await;
    let _client = TcpStream::connect((LOOPBACK, port)).await.unwrap();
    assert_eq!(cell.next().await.1.volume, volume(7));
    // It goes on from where it was.
    until(|| world.registrar.asked().len() == 6).await;
    assert_eq!(world.registrar.asked().last(), Some(&at(1, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_registrar_that_answers_nothing_at_once_is_not_asked_without_a_pause() {
    let world = World::start();
    world.tell(whole(1, 1, vec![], vec![])).await;
    let (asked, began) = (world.registrar.asked().len(), tokio::time::Instant::now());
    for _ in 0..100 {
        world.registrar.say(Ok(part(1, 1, vec![], vec![])));
    }
    until(|| world.registrar.asked().len() == asked + 100).await;
    assert!(began.elapsed().as_secs() >= 19, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_port_that_something_else_has_opens_once_it_is_free() {
    let (world, other) = (World::start(), std::net::TcpListener::bind((LOOPBACK, 0)).unwrap());
    let port = other.local_addr().unwrap().port();
    world.tell(whole(1, 1, vec![route(port, Some((1, 1)))], vec![])).await;
    assert_eq!(world.router.counters().routes_waiting, 1);
    drop(other);
    until(|| world.router.counters().routes == 1).await;
    assert!(is_open(port).await);
}
