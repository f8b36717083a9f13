//! What runs in the lab's containers: linked statically, it is all that its image holds.
//!
//! `answerer serve FOLDER` says in the folder and to whoever connects what its host is called;
//! `answerer ask ADDR:PORT` prints what another one says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, "serve", folder] => serve(folder),
        [_, "ask", address] => ask(address),
        _ => Err(std::io::Error::other("serve FOLDER, or ask ADDR:PORT")),
    }
}

fn serve(folder: &str) -> std::io::Result<()> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")?;
    std::fs::write(format!("{folder}/{}", host.trim()), "")?;
    for connection in TcpListener::bind("0.0.0.0:7000")?.incoming() {
        connection?.write_all(host.as_bytes())?;
    }
    Ok(())
}

fn ask(address: &str) -> std::io::Result<()> {
    let address = address.parse().map_err(std::io::Error::other)?;
    let patience = std::time::Duration::from_secs(2);
    let mut connection = TcpStream::connect_timeout(&address, patience)?;
    connection.set_read_timeout(Some(patience))?;
    let mut host = String::new();
    connection.read_to_string(&mut host)?;
    print!("{host}");
    Ok(())
}
