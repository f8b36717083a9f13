//! 1–15: the directory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::check::{Check, failed, same, that};
use crate::wire::{Client, PATIENCE};
use crate::{Statement, World, row};

/// Their rows.
pub const STATEMENTS: &[Statement] = &[
    row!(1, "greets with `@` within 1 s and then waits", greets),
    row!(2, "a known name gives its address and the prompt in one record", known),
    row!(3, "CRLF is as good as LF", crlf),
    row!(4, "capitals do not matter", capitals),
    row!(5, "an unknown name gives null and the prompt", unknown),
    row!(6, "an empty line gives null and the prompt", empty),
    row!(7, "a name with an emoji is found", emoji),
    row!(8, "a name cut inside a character is found", cut_emoji),
    row!(9, "two questions on one connection are answered in order", two),
    row!(10, "`@exit` closes without a byte", exit),
    row!(11, "256 characters without a line end close without an answer", too_long),
    row!(12, "invalid UTF-8 disturbs nobody else", not_utf8),
    row!(13, "an aborted TLS handshake disturbs nobody else", aborted_handshake),
    row!(14, "rubbish without TLS is dropped and delays nobody", rubbish),
    row!(15, "the first unknown name is answered at once, the second is slowed down", slowed),
];

const STRANGER: &str = "nobodybythisnameishere";

impl World {
    fn alices_address(&self) -> String {
        format!("{}:{}\r\n@", self.alice.host, self.alice.port)
    }
}

/// The directory still answers, within a second.
async fn still_answers(world: &World) -> Check {
    let began = Instant::now();
    let mut client = world.ask_directory().await?;
    client.expect(world.alice.bare(), &world.alices_address()).await?;
    let took = began.elapsed();
    that(took < Duration::from_secs(2), "an answer at once", format_args!("after {took:?}"))
}

async fn greets(world: Arc<World>) -> Check {
    let (host, port) = &world.directory;
    let mut client = Client::connect(host, *port, world.tls.plain()).await?;
    let began = Instant::now();
    client.is_told("the greeting", "@").await?;
    that(began.elapsed() < Duration::from_secs(1), "a greeting within 1 s", "a later one")?;
    client.is_silent().await
}

async fn known(world: Arc<World>) -> Check {
    world.ask_directory().await?.expect(world.alice.bare(), &world.alices_address()).await
}

async fn crlf(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    client.expect(&format!("{}\r", world.alice.bare()), &world.alices_address()).await
}

async fn capitals(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    client.expect(&world.alice.bare().to_uppercase(), &world.alices_address()).await
}

async fn unknown(world: Arc<World>) -> Check {
    world.ask_directory().await?.expect(STRANGER, "null\r\n@").await
}

async fn empty(world: Arc<World>) -> Check {
    world.ask_directory().await?.expect("\r", "null\r\n@").await
}

async fn emoji(world: Arc<World>) -> Check {
    let name = world.emoji_name()?.trim_start_matches('@');
    let answer = world.ask_directory().await?.ask(name).await?;
    that(answer != "null\r\n@" && answer.contains(':'), "an address", answer)
}

async fn cut_emoji(world: Arc<World>) -> Check {
    let name = world.emoji_name()?.trim_start_matches('@');
    let mut client = world.ask_directory().await?;
    let line = format!("{name}\n");
    let inside = (1..line.len()).find(|at| !line.is_char_boundary(*at)).unwrap_or(1);
    let (first, rest) = line.as_bytes().split_at(inside);
    client.send_bytes(first).await?;
    client.is_silent().await?;
    client.send_bytes(rest).await?;
    let answer = client.answer().await?;
    that(answer != "null\r\n@" && answer.contains(':'), "an address", answer)
}

async fn two(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    client.expect(world.alice.bare(), &world.alices_address()).await?;
    let bobs = format!("{}:{}\r\n@", world.bob.host, world.bob.port);
    client.expect(world.bob.bare(), &bobs).await
}

async fn exit(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    client.send("@exit").await?;
    same("what comes after @exit", client.rest().await?.as_str(), "")
}

async fn too_long(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    client.send(&"x".repeat(256)).await?;
    same("what comes after 256 characters", client.rest().await?.as_str(), "")
}

async fn not_utf8(world: Arc<World>) -> Check {
    let mut other = world.ask_directory().await?;
    let mut client = world.ask_directory().await?;
    client.send_bytes(b"\xff\xfe\xc3(\n").await?;
    other.expect(world.alice.bare(), &world.alices_address()).await?;
    still_answers(&world).await
}

async fn tcp(world: &World) -> Check<TcpStream> {
    let (host, port) = &world.directory;
    let connecting = TcpStream::connect((host.as_str(), *port)).await;
    connecting.map_err(|error| failed("a TCP connection", error))
}

async fn aborted_handshake(world: Arc<World>) -> Check {
    let mut aborted = tcp(&world).await?;
    // The head of a ClientHello, and no more.
    let sent = aborted.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await;
    sent.map_err(|error| failed("a TCP connection", error))?;
    drop(aborted);
    still_answers(&world).await
}

async fn rubbish(world: Arc<World>) -> Check {
    let mut plain = tcp(&world).await?;
    let sent = plain.write_all(b"alice\nGET / HTTP/1.1\r\n\r\n").await;
    sent.map_err(|error| failed("a TCP connection", error))?;
    still_answers(&world).await?;
    let mut rest = Vec::new();
    let closed = timeout(PATIENCE, plain.read_to_end(&mut rest)).await;
    that(closed.is_ok(), "a close", "still open")?;
    that(!rest.starts_with(b"@"), "no answer without TLS", format_args!("{rest:?}"))
}

async fn slowed(world: Arc<World>) -> Check {
    let mut client = world.ask_directory().await?;
    let began = Instant::now();
    client.expect(&format!("{STRANGER}1"), "null\r\n@").await?;
    let first = began.elapsed();
    that(first < Duration::from_secs(1), "the first at once", format_args!("{first:?}"))?;
    let began = Instant::now();
    client.send(&format!("{STRANGER}2\n")).await?;
    let second = client.record().await?;
    let took = began.elapsed();
    // Late, or no answer at all: both make guessing expensive.
    let is_limited = took >= Duration::from_millis(2_900) || second.is_none();
    that(is_limited, "the second after 3 s or not at all", format_args!("after {took:?}"))
}
