//! A QR code as SVG, for a page without images and scripts.

use std::fmt::Write;

use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code that readers need.
const QUIET_MODULES: usize = 4;

/// The code of `text` as an `<svg>` element with only numbers of ours in it; none if the text is
/// too long for a code. Dark on light, also on a dark page: readers need it so.
pub(super) fn svg(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let side = width + 2 * QUIET_MODULES;
    let mut svg = format!(
        "<svg class=\"qr\" viewBox=\"0 0 {side} {side}\" role=\"img\" \
         aria-label=\"QR code of the activation secret\" shape-rendering=\"crispEdges\">\
         <rect width=\"{side}\" height=\"{side}\" fill=\"#fff\"/><path fill=\"#000\" d=\""
    );
    for (index, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (index % width + QUIET_MODULES, index / width + QUIET_MODULES);
            // Writing to a String cannot fail.
            _ = write!(svg, "M{x} {y}h1v1h-1z");
        }
    }
    svg.push_str("\"/></svg>");
    Some(svg)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    /// Reads the modules back out of the SVG's path.
    fn modules(svg: &str) -> Vec<(usize, usize)> {
        let path = svg.split("d=\"").nth(1).unwrap().split('"').next().unwrap();
        let squares =
            path.split('M').skip(1).map(|square| square.strip_suffix("h1v1h-1z").unwrap());
        let numbers = squares.map(|square| square.split_once(' ').unwrap());
        numbers.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect()
    }

    #[test]
    fn the_path_draws_every_dark_module_and_no_other() {
        let secret = "0123456789abcdef".repeat(8);
        let svg = svg(&secret).unwrap();
        let code = QrCode::with_error_correction_level(&secret, EcLevel::M).unwrap();
        let dark = modules(&svg);
        for y in 0..code.width() {
            for x in 0..code.width() {
                let is_drawn = dark.contains(&(x + QUIET_MODULES, y + QUIET_MODULES));
                assert_eq!(is_drawn, code[(x, y)] == Color::Dark, "{x} {y}");
            }
        }
        assert!(!svg.contains(&secret));
    }

    #[test]
    fn a_text_without_a_code_gives_none() {
        assert_eq!(svg(&"x".repeat(4_000)), None);
    }
}
