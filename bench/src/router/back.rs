//! What stands behind all fronts: two servers that do what they are told.
//!
//! A conversation begins with whatever the front says about its client (PROXY protocol 1 or 2), then
//! perhaps with a TLS `ClientHello` that names a server, then with one letter of what is wanted.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Says everything again.
pub const ECHO: u8 = b'e';
/// Sends for as long as it is read.
pub const FLOW: u8 = b'f';
/// Says in one byte which of the servers it is.
pub const WHO: u8 = b'w';

/// The servers, and the threads that they and the load share.
pub struct Back {
    pub runtime: Runtime,
    pub addresses: [SocketAddr; 2],
}

impl Back {
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("threads");
        let addresses = [0, 1].map(|which| runtime.block_on(serve(which)));
        Self { runtime, addresses }
    }
}

async fn serve(which: u8) -> SocketAddr {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 90, which + 1], 0))).expect("a free port");
    let listener: TcpListener = socket.listen(4096).expect("a listener");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("descriptors enough");
            tokio::spawn(answer(stream, which));
        }
    });
    address
}

/// Nobody is told how it ended.
async fn answer(stream: TcpStream, which: u8) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(1024, stream);
    loop {
        match *stream.fill_buf().await? {
            [b'\r', ..] => skip(&mut stream, 16, |head| [head[14], head[15]]).await?,
            [b'P', ..] => drop(stream.read_until(b'\n', &mut Vec::new()).await?),
            [0x16, ..] => skip(&mut stream, 5, |head| [head[3], head[4]]).await?,
            [_, ..] => break,
            [] => return Ok(()),
        }
    }
    match stream.read_u8().await? {
        ECHO => echo(stream).await,
        FLOW => flow(stream.into_inner()).await,
        _ => stream.get_mut().write_all(&[which]).await,
    }
}

/// A head that says how long the rest is.
async fn skip(
    stream: &mut BufReader<TcpStream>,
    head: usize,
    length: fn(&[u8]) -> [u8; 2],
) -> std::io::Result<()> {
    let mut bytes = vec![0; head];
    stream.read_exact(&mut bytes).await?;
    let length = u16::from_be_bytes(length(&bytes));
    stream.read_exact(&mut vec![0; length.into()]).await.map(drop)
}

async fn echo(mut stream: BufReader<TcpStream>) -> std::io::Result<()> {
    loop {
        let bytes = stream.fill_buf().await?.to_vec();
        if bytes.is_empty() {
            return Ok(());
        }
        stream.consume(bytes.len());
        stream.get_mut().write_all(&bytes).await?;
    }
}

async fn flow(mut stream: TcpStream) -> std::io::Result<()> {
    let bytes = vec![7; 256 * 1024];
    loop {
        stream.write_all(&bytes).await?;
    }
}
