//! The same load for everybody: questions over UDP on several sockets, so many under way on each.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

/// A question that is not answered after this is lost.
const PATIENCE: Duration = Duration::from_millis(500);

/// A kind of load.
#[derive(Clone, Copy)]
pub struct Load {
    pub sockets: usize,
    /// Questions under way on each socket.
    pub at_once: usize,
    /// Questions a second in all; without it, as fast as the answers come.
    pub rate: Option<f64>,
}

/// What came of it.
#[derive(Default)]
pub struct Tally {
    pub sent: u64,
    pub answered: u64,
    /// Answers that were not the one record asked for.
    pub wrong: u64,
}

impl Tally {
    pub fn lost(&self) -> u64 {
        self.sent - self.answered
    }
}

impl Load {
    /// Asks for `duration`; all sockets ask the same questions from different ones on.
    pub fn run(self, port: u16, questions: &[Vec<u8>], duration: Duration) -> Tally {
        let until = Instant::now() + duration;
        thread::scope(|scope| {
            let ask = |at| move || self.ask(port, questions, at, until);
            let callers: Vec<_> = (0..self.sockets).map(|at| scope.spawn(ask(at))).collect();
            callers.into_iter().fold(Tally::default(), |all, caller| {
                let one = caller.join().expect("no panic");
                Tally {
                    sent: all.sent + one.sent,
                    answered: all.answered + one.answered,
                    wrong: all.wrong + one.wrong,
                }
            })
        })
    }

    fn ask(self, port: u16, questions: &[Vec<u8>], at: usize, until: Instant) -> Tally {
        let mut caller = Caller::new(port, questions.iter().cycle().skip(at * 997));
        let began = Instant::now();
        let mut under_way = 0;
        loop {
            let now = Instant::now();
            let due = match self.rate {
                _ if now >= until => 0,
                None => self.at_once - under_way,
                Some(rate) => {
                    let share = rate / self.sockets as f64;
                    let due = (now - began).as_secs_f64() * share;
                    (due as u64).saturating_sub(caller.tally.sent).min(64) as usize
                }
            };
            (0..due).for_each(|_| caller.send());
            under_way += due;
            if under_way == 0 && now >= until {
                return caller.tally;
            }
            // Paced, it comes back to send when something is due.
            let wait = if self.rate.is_some() && now < until { 1 } else { PATIENCE.as_millis() };
            let received = caller.receive(Duration::from_millis(wait as u64));
            under_way -= received.min(under_way);
            if received == 0 && wait > 1 {
                under_way = 0;
            }
        }
    }
}

struct Caller<Q> {
    socket: UdpSocket,
    questions: Q,
    /// Which ids are under way.
    waiting: Vec<bool>,
    id: u16,
    buffer: [u8; 2048],
    tally: Tally,
}

impl<'a, Q: Iterator<Item = &'a Vec<u8>>> Caller<Q> {
    fn new(port: u16, questions: Q) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.connect(("127.0.0.1", port)).expect("an address");
        let waiting = vec![false; 1 << 16];
        let tally = Tally::default();
        Self { socket, questions, waiting, id: 0, buffer: [0; 2048], tally }
    }

    fn send(&mut self) {
        let mut question = self.questions.next().expect("an endless list").clone();
        self.id = self.id.wrapping_add(1);
        question[..2].copy_from_slice(&self.id.to_be_bytes());
        self.waiting[usize::from(self.id)] = true;
        self.tally.sent += 1;
        // Nobody may be there yet.
        drop(self.socket.send(&question));
    }

    /// Waits for an answer, and takes what else has come; how many that were.
    fn receive(&mut self, wait: Duration) -> usize {
        self.socket.set_read_timeout(Some(wait)).expect("a time that is not zero");
        let mut received = self.take();
        if received == 1 {
            self.socket.set_nonblocking(true).expect("a socket");
            while self.take() == 1 {
                received += 1;
            }
            self.socket.set_nonblocking(false).expect("a socket");
        }
        received
    }

    fn take(&mut self) -> usize {
        let Ok(length) = self.socket.recv(&mut self.buffer) else { return 0 };
        let answer = &self.buffer[..length];
        let id = usize::from(u16::from_be_bytes([answer[0], answer[1]]));
        if !std::mem::take(&mut self.waiting[id]) {
            return 0;
        }
        self.tally.answered += 1;
        let (code, count) = (answer[3] & 0xf, u16::from_be_bytes([answer[6], answer[7]]));
        self.tally.wrong += u64::from(code != 0 || count != 1);
        1
    }
}

/// A question for the service of a name in the zone.
pub fn question(name: &str, zone: &str) -> Vec<u8> {
    // Its id follows; one question, nothing else.
    let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in ["_atproto", "_tcp", name].into_iter().chain(zone.split('.')) {
        bytes.push(u8::try_from(label.len()).expect("a label"));
        bytes.extend_from_slice(label.as_bytes());
    }
    // The root, SRV, the Internet.
    bytes.extend_from_slice(&[0, 0, 33, 0, 1]);
    bytes
}
