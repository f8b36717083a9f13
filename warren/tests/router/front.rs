//! One socket for a range of ports: replaced in place, killed, and asked which way leads where. Each
//! test has a network of its own.

use std::process::Output;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use testkit::namespace::is_inside;

use super::*;

const FRONT: [&str; 4] = ["--ports", "12000-31999", "--redirect", "always"];

/// The front, and more.
fn front<'a>(more: &[&'a str]) -> Vec<&'a str> {
    FRONT.into_iter().chain(more.iter().copied()).collect()
}

fn signal(process: &Child, name: &str) {
    let pid = process.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

impl World {
    /// Another router, which knows these registrars.
    fn spawn_again(&self, urls: &str, words: &[&str]) -> (Child, String) {
        tokio::task::block_in_place(|| spawn(self.scratch.path(), urls, words))
    }

    fn trace(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_warren"))
            .args(["router", "trace", "--router", &self.health])
            .args(["--port", &self.port().to_string(), "--json"])
            .output()
            .unwrap()
    }

    fn traced(&self) -> Value {
        serde_json::from_slice(&self.trace().stdout).unwrap()
    }

    /// Says back what each client says.
    fn serve_cell(&mut self) {
        let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        unused.set_nonblocking(true).unwrap();
        let unused = TcpListener::from_std(unused).unwrap();
        let listener = std::mem::replace(&mut self.cell, unused);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let key = LinkKey::parse(LINK_KEY).unwrap();
                    if preface::read(&mut stream, &key, SystemClock.now()).await.is_err() {
                        return;
                    }
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
    }
}

async fn exchange(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"hello").await?;
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"hello");
    Ok(())
}

/// Connects, says something and hears it, again and again.
async fn come_and_go(port: u16, is_over: Arc<AtomicBool>, served: Arc<AtomicU64>) -> Vec<String> {
    let mut failures = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let answered = async {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
            exchange(&mut stream).await
        };
        match answered.await {
            Ok(()) => drop(served.fetch_add(1, Ordering::Relaxed)),
            Err(error) => failures.push(error.to_string()),
        }
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_is_replaced_again_and_again_and_nobody_is_refused() {
    if !is_inside("front::a_router_is_replaced_again_and_again_and_nobody_is_refused") {
        return;
    }
    let words =
        front(&["--handover", "private/router", "--drain-deadline", "60", "--network-rate", "0"]);
    let words: Vec<_> = words.into_iter().chain(["--identity-rate", "0"]).collect();
    let mut world = World::start_with(&words).await;
    world.registrar.say(200, world.routes(3, 9).to_string());
    world.until_says("/readyz", "HTTP/1.1 200 ").await;
    *world.registrar.whole.lock().unwrap() = Some(world.routes(3, 9).to_string());
    world.serve_cell();

    let (is_over, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(come_and_go(world.port(), is_over.clone(), served.clone())))
        .collect();
    for _ in 0..5 {
        let mut held = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
        exchange(&mut held).await.unwrap();
        let wanted = served.load(Ordering::Relaxed) + 50;
        while served.load(Ordering::Relaxed) < wanted {
            tokio::task::yield_now().await;
        }
        let (new, health) = world.spawn_again(&world.urls, &words);
        let mut old = std::mem::replace(&mut world.router, new);
        world.health = health;
        // Who is carried by the old one is so to her end, and then it ends as well.
        exchange(&mut held).await.unwrap();
        assert!(old.try_wait().unwrap().is_none());
        drop(held);
        let status = tokio::task::block_in_place(|| old.wait().unwrap());
        assert_eq!(status.code(), Some(0));
    }
    let wanted = served.load(Ordering::Relaxed) + 50;
    while served.load(Ordering::Relaxed) < wanted {
        tokio::task::yield_now().await;
    }
    is_over.store(true, Ordering::Relaxed);
    for client in clients {
        assert_eq!(client.await.unwrap(), Vec::<String>::new());
    }
    println!("{} connections over 5 replacements, none refused", served.load(Ordering::Relaxed));
    // One that wants something else does not take over, and the one that runs goes on.
    let other = ["--ports", "12000-12999", "--front-port", "9999", "--handover", "private/router"];
    let refused = tokio::task::block_in_place(|| {
        command(world.scratch.path(), &world.urls, &other).output().unwrap()
    });
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    let mut client = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
    exchange(&mut client).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_router_that_was_killed_serves_from_its_last_routes_without_the_registrar() {
    if !is_inside(
        "front::a_router_that_was_killed_serves_from_its_last_routes_without_the_registrar",
    ) {
        return;
    }
    const NOWHERE: &str = "https://localhost:1";
    let words = front(&["--state", "routes"]);
    let mut world = World::start_with(&words).await;
    world.registrar.say(200, world.routes(3, 9).to_string());
    drop({
        world.until_says("/readyz", "HTTP/1.1 200 ").await;
        world.is_carried().await
    });
    let file = world.scratch.path().join("routes");
    let began = Instant::now();
    while !file.exists() {
        assert!(began.elapsed() < PATIENCE, "the last routes are never written");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let traced = world.traced();
    assert_eq!(
        (&traced["route"]["way"], &traced["route"]["is_redirected"]),
        (&json!("carried"), &json!(true))
    );
    assert_eq!(traced["route"]["volume"], VOLUME);
    assert_eq!(traced["route"]["address"], json!(world.cell.local_addr().unwrap()));
    assert!(traced["route"]["knowledge"]["heard_ms"].is_u64());

    for _ in 0..2 {
        world.router.kill().unwrap();
        world.router.wait().unwrap();
        let refused = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "no rule is left");
        (world.router, world.health) = world.spawn_again(NOWHERE, &words);
        assert!(world.says("/readyz").await.starts_with("HTTP/1.1 200 "));
        drop(world.is_carried().await);
        let knowledge = &world.traced()["route"]["knowledge"];
        assert_eq!(knowledge["at"], json!({ "run": 3, "number": 9 }));
        assert!(knowledge["heard_ms"].is_null() && knowledge["kept"].is_i64(), "{knowledge}");
    }

    // A registrar that was set back is not believed.
    world.router.kill().unwrap();
    world.router.wait().unwrap();
    let mut back = world.routes(2, 50);
    back["routes"] = json!([]);
    world.registrar.say(200, back.to_string());
    (world.router, world.health) = world.spawn_again(&world.urls, &words);
    world.until_says("/metrics", "news_refused_total 1").await;
    drop(world.is_carried().await);

    // Nor is a file that was spoilt.
    world.router.kill().unwrap();
    world.router.wait().unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&file, bytes).unwrap();
    (world.router, world.health) = world.spawn_again(NOWHERE, &words);
    assert!(world.says("/readyz").await.starts_with("HTTP/1.1 503 "));
    let trace = world.trace();
    assert_eq!(trace.status.code(), Some(1));
    let traced: Value = serde_json::from_slice(&trace.stdout).unwrap();
    assert_eq!(traced["route"]["way"], "refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_turns_readiness_first_and_then_the_door() {
    if !is_inside("front::a_signal_turns_readiness_first_and_then_the_door") {
        return;
    }
    let words = front(&["--drain-delay", "3600", "--drain-deadline", "60"]);
    let mut world = World::start_with(&words).await;
    world.registrar.say(200, world.routes(3, 9).to_string());
    world.until_says("/readyz", "HTTP/1.1 200 ").await;
    signal(&world.router, "-TERM");
    world.until_says("/readyz", "it is about to end").await;
    world.serve_cell();
    let mut client = TcpStream::connect(("127.0.0.1", world.port())).await.unwrap();
    exchange(&mut client).await.unwrap();
    // The second one ends the delay.
    signal(&world.router, "-TERM");
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", world.port())).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "it takes new ones yet");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    exchange(&mut client).await.unwrap();
    drop(client);
    let status = tokio::task::block_in_place(|| world.router.wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_may_be_redirected_each_port_has_a_listener() {
    if !is_inside("front::where_nothing_may_be_redirected_each_port_has_a_listener") {
        return;
    }
    let mut world = World::start_with(&front(&[])).await;
    world.router.kill().unwrap();
    world.router.wait().unwrap();
    let unprivileged = |when: &str| {
        let words = ["--ports", "12000-31999", "--redirect", when];
        let router = command(world.scratch.path(), &world.urls, &words);
        let mut without = Command::new("setpriv");
        without.args(["--bounding-set", "-net_admin", "--inh-caps", "-net_admin"]);
        without.arg(router.get_program()).args(router.get_args());
        without.current_dir(world.scratch.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        without
    };
    let refused = tokio::task::block_in_place(|| unprivileged("always").output().unwrap());
    assert_eq!(refused.status.code(), Some(4), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("CAP_NET_ADMIN"));
    let auto = unprivileged("auto").stderr(Stdio::null()).spawn().unwrap();
    (world.router, world.health) = tokio::task::block_in_place(|| health_of(auto));
    world.registrar.say(200, world.routes(3, 9).to_string());
    world.until_says("/readyz", "HTTP/1.1 200 ").await;
    drop(world.is_carried().await);
    assert_eq!(world.traced()["route"]["is_redirected"], json!(false));
    world.until_says("/metrics", "warren_router_listeners 1").await;
}
