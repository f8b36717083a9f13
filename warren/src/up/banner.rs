//! What `warren up` prints when it is ready.

use std::path::Path;

use crate::args::UpArgs;
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::output;
use crate::up::parts::Parts;

/// Says what runs where and how to go on.
pub fn print(args: &UpArgs, dir: &DataDir, parts: &Parts) -> Result<(), Failure> {
    let endpoints = parts.endpoints();
    let option = option_for(args.data_dir.data_dir.as_deref());
    let https = endpoints.directory_https.as_ref();
    let servers = match args.name_port {
        Some(port) => format!("{}:{port}", args.hostname),
        None => format!("{}:{}", args.hostname, args.ports),
    };
    let https = https.map(|url| format!(", {url}")).unwrap_or_default();
    output::line(format_args!(
        "warren is up\n\n  \
         directory   {directory}   (TLS){https}\n  \
         registrar   {registrar}   (web page and API)\n  \
         servers     {servers}   ({count} identities)\n  \
         metrics     {metrics}\n  \
         data        {data}\n  \
         authority   {ca}\n\n\
         Next, in another terminal:\n  \
         warren identity register @alice{option}\n  \
         warren resolve @alice{option}\n\n\
         Ctrl-C ends it.",
        directory = endpoints.directory,
        registrar = endpoints.registrar,
        count = parts.identities(),
        metrics = endpoints.metrics,
        data = dir.path().display(),
        ca = endpoints.ca_file.display(),
    ))
}

fn option_for(data_dir: Option<&Path>) -> String {
    data_dir.map(|dir| format!(" --data-dir {}", dir.display())).unwrap_or_default()
}
