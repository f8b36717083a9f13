//! A relay in front of a server, which breaks connections when it is told to.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Where a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server never hears of the commit.
    BeforeCommit,
    /// The server commits, and nobody hears of it.
    AfterCommit,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    cut: Option<(Cut, usize)>,
    open: Vec<TcpStream>,
}

pub struct Relay {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Relay {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let mut state = shared.lock().unwrap();
                let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target));
                let (false, Ok(server)) = (state.is_closed, server) else { continue };
                state.open = vec![client.try_clone().unwrap(), server.try_clone().unwrap()];
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || answers(from, to));
                let shared = shared.clone();
                std::thread::spawn(move || questions(client, server, &shared));
            }
        });
        Self { port, state }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Breaks the connection once, at a commit after so many others.
    pub fn cut(&self, cut: Cut, skipped: usize) {
        self.state.lock().unwrap().cut = Some((cut, skipped));
    }

    pub fn has_cut(&self) -> bool {
        self.state.lock().unwrap().cut.is_none()
    }

    /// Nothing goes through any more.
    pub fn close(&self) {
        let mut state = self.state.lock().unwrap();
        state.is_closed = true;
        state.open.drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    pub fn open(&self) {
        self.state.lock().unwrap().is_closed = false;
    }
}

fn answers(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn questions(mut client: TcpStream, mut server: TcpStream, state: &Mutex<State>) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = client.read(&mut bytes) {
        let is_commit = bytes[..count].windows(6).any(|word| word == b"COMMIT");
        let cut = if is_commit { due(&mut state.lock().unwrap()) } else { None };
        if cut.is_some() {
            // Nobody hears anything from here on.
            let _ = client.shutdown(Shutdown::Both);
        }
        if cut == Some(Cut::BeforeCommit) || server.write_all(&bytes[..count]).is_err() {
            break;
        }
        if cut.is_some() {
            // The server reads it before it notices the end.
            let _ = server.shutdown(Shutdown::Write);
            return;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
}

fn due(state: &mut State) -> Option<Cut> {
    let (cut, skipped) = state.cut.take()?;
    match skipped.checked_sub(1) {
        None => Some(cut),
        Some(skipped) => {
            state.cut = Some((cut, skipped));
            None
        }
    }
}
