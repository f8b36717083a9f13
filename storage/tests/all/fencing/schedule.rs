//! Threads of which one runs at a time, and a seed says which: whoever is about to call the disk may
//! have to wait until the others have done more.

use std::sync::{Condvar, Mutex, MutexGuard};

/// Splitmix64: small, and the same on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// True once in so many times.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

pub struct Schedule {
    state: Mutex<State>,
    turns: Vec<Condvar>,
}

/// Taking part; over when dropped, also by a panic.
pub struct Turns<'a> {
    schedule: &'a Schedule,
    me: usize,
}

impl Drop for Turns<'_> {
    fn drop(&mut self) {
        self.schedule.end(self.me);
    }
}

struct State {
    dice: Dice,
    current: usize,
    running: Vec<bool>,
    /// How many choices each one sleeps through: a process that is paused.
    asleep: Vec<u64>,
}

impl Schedule {
    pub fn new(seed: u64, threads: usize) -> Self {
        let (running, asleep) = (vec![true; threads], vec![0; threads]);
        let state = State { dice: Dice(seed), current: 0, running, asleep };
        Self { state: Mutex::new(state), turns: (0..threads).map(|_| Condvar::new()).collect() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Draws, for whoever's turn it is.
    pub fn dice<T>(&self, draw: impl FnOnce(&mut Dice) -> T) -> T {
        draw(&mut self.state().dice)
    }

    /// Waits for the first turn.
    pub fn begin(&self, me: usize) -> Turns<'_> {
        self.wait(self.state(), me);
        Turns { schedule: self, me }
    }

    /// A point at which others may come first.
    pub fn step(&self, me: usize) {
        let mut state = self.state();
        if !state.dice.once_in(3) {
            return;
        }
        if state.dice.once_in(6) {
            state.asleep[me] = state.dice.below(40);
        }
        self.pass_on(&mut state);
        self.wait(state, me);
    }

    fn end(&self, me: usize) {
        let mut state = self.state();
        state.running[me] = false;
        self.pass_on(&mut state);
    }

    fn wait(&self, mut state: MutexGuard<'_, State>, me: usize) {
        while state.current != me {
            state = self.turns[me].wait(state).unwrap();
        }
    }

    fn pass_on(&self, state: &mut State) {
        let all = || 0..self.turns.len();
        let running: Vec<usize> = all().filter(|one| state.running[*one]).collect();
        if running.is_empty() {
            return;
        }
        let mut able: Vec<usize> =
            running.iter().copied().filter(|one| state.asleep[*one] == 0).collect();
        state.asleep.iter_mut().for_each(|left| *left = left.saturating_sub(1));
        if able.is_empty() {
            able = running;
        }
        state.current = able[usize::try_from(state.dice.below(able.len() as u64)).unwrap()];
        self.turns[state.current].notify_one();
    }
}
