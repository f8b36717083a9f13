//! What a process logs and measures.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// The metrics of one process; each role registers its own under its prefix.
pub type Metrics = prometheus_client::registry::Registry;

/// The media type of [`encode_metrics`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The environment variable that says what is logged, in the usual form of `level` or
/// `part=level,part=level`.
pub const LOG_VARIABLE: &str = "WARREN_LOG";

/// Our own parts inform; the libraries only complain.
const LOG_DEFAULT: &str = "info,rustls=error,hyper=warn";

/// In which form logs are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// An object per line.
    Json,
}

/// Why logging cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable's value is not a filter.
    #[error(
        "{LOG_VARIABLE} is not a log filter: write for example 'info' or 'info,directory=debug'"
    )]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// Somebody has begun already.
    #[error("logging has begun already in this process")]
    Twice,
}

/// Logs to standard error from now on.
///
/// # Errors
/// [`LogError`] if the variable is wrong, or at a second call.
pub fn init_logs(format: LogFormat) -> Result<(), LogError> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(text) if !text.is_empty() => EnvFilter::try_new(text).map_err(LogError::Filter)?,
        _ => EnvFilter::new(LOG_DEFAULT),
    };
    let is_terminal = io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(is_terminal);
    let begun = match format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Auto if !is_terminal => logs.json().flatten_event(true).try_init(),
        LogFormat::Auto | LogFormat::Text => logs.try_init(),
    };
    begun.map_err(|_| LogError::Twice)
}

/// All metrics as OpenMetrics text.
#[must_use]
pub fn encode_metrics(metrics: &Metrics) -> String {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, metrics).is_err() {
        tracing::error!("the metrics cannot be encoded");
        text.clear();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    #[test]
    fn metrics_are_written_as_open_metrics_text() {
        let mut metrics = Metrics::with_prefix("warren");
        let lookups: Counter = Counter::default();
        metrics.register("lookups", "Lookups answered", lookups.clone());
        lookups.inc();
        let text = encode_metrics(&metrics);
        assert!(text.contains("warren_lookups_total 1\n"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
