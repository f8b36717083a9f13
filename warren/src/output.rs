//! Writing results to stdout, where a closed pipe is no crash.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// Prints one line of text.
pub fn line(text: impl Display) -> Result<(), Failure> {
    written(writeln!(io::stdout().lock(), "{text}"))
}

/// Prints one JSON object on a line of its own.
pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text =
        serde_json::to_string(value).map_err(|error| Failure::from_error(Exit::Failed, &error))?;
    line(text)
}

/// Whether a person reads stdout.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// A QR code of Unicode half blocks, with the quiet zone that scanners need.
pub fn qr_code(text: &str) -> Option<String> {
    let code = qrcode::QrCode::new(text).ok()?;
    let blocks = code
        .render::<qrcode::render::unicode::Dense1x2>()
        .dark_color(qrcode::render::unicode::Dense1x2::Light)
        .light_color(qrcode::render::unicode::Dense1x2::Dark)
        .build();
    Some(blocks)
}

/// What became of a write to stdout.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        // Whoever read us has seen enough (`warren … | head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write to stdout: {error}"))
        }),
    }
}
