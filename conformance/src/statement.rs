//! One numbered statement.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::check::Check;
use crate::world::World;

/// A statement on its way.
pub type Running = Pin<Box<dyn Future<Output = Check> + Send>>;

/// A line of section 10 of the protocol notes.
#[derive(Clone, Copy)]
pub struct Statement {
    /// Its number there.
    pub number: u16,
    /// What it says, in a few words of our own.
    pub text: &'static str,
    /// How it can be seen.
    pub how: How,
}

/// Where a statement can be seen.
#[derive(Clone, Copy)]
pub enum How {
    /// From outside, by this function.
    Outside(fn(Arc<World>) -> Running),
    /// From outside, but with no other statement beside it.
    Alone(fn(Arc<World>) -> Running),
    /// Only from inside, or only by waiting for hours: these tests of the workspace show it, each
    /// as `path/to/file.rs::name`.
    Inside(&'static [&'static str]),
}

/// A row of a table of statements.
#[macro_export]
macro_rules! row {
    ($number:literal, $text:literal, $function:path) => {
        $crate::Statement {
            number: $number,
            text: $text,
            how: $crate::How::Outside(|world| Box::pin($function(world))),
        }
    };
    ($number:literal, $text:literal, alone $function:path) => {
        $crate::Statement {
            number: $number,
            text: $text,
            how: $crate::How::Alone(|world| Box::pin($function(world))),
        }
    };
    ($number:literal, $text:literal, inside $($test:literal),+) => {
        $crate::Statement { number: $number, text: $text, how: $crate::How::Inside(&[$($test),+]) }
    };
}
