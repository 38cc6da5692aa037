//! A proxy that makes a server do one thing wrong.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use crate::perf::amqp::frame::{BODY, Frame, METHOD};

/// What happens once on each connection, at a certain message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// Nothing goes on for so long.
    Stall(Duration),
    /// The message comes again, so much later.
    Repeat(Duration),
}

/// A proxy for the server at `address` with a fault at message `number` of those that clients publish.
pub(super) fn upstream(address: SocketAddr, number: usize, fault: Fault) -> SocketAddr {
    start(address, Some((number, fault)), None)
}

/// A proxy for the server at `address` with a fault at message `number` of those that clients get.
pub(super) fn downstream(address: SocketAddr, number: usize, fault: Fault) -> SocketAddr {
    start(address, None, Some((number, fault)))
}

type At = Option<(usize, Fault)>;

fn start(server: SocketAddr, up: At, down: At) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let server = TcpStream::connect(server).unwrap();
            for socket in [&client, &server] {
                socket.set_nodelay(true).unwrap();
            }
            let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            // A connection that ends ends its threads.
            thread::spawn(move || pump(from, to, 0, down));
            thread::spawn(move || pump(client, server, 8, up));
        }
    });
    address
}

/// Passes frames on, after the `head` bytes of a protocol header. Messages have a body of one frame.
fn pump(mut from: TcpStream, mut to: TcpStream, head: usize, at: At) -> io::Result<()> {
    let mut header = vec![0; head];
    from.read_exact(&mut header)?;
    to.write_all(&header)?;
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; 64 * 1024]);
    let (mut message, mut count) = (Vec::new(), 0);
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            return to.shutdown(std::net::Shutdown::Write);
        }
        bytes.extend(&chunk[..read]);
        let mut used = 0;
        while let Some((frame, length)) = Frame::split(&bytes[used..]).map_err(io::Error::other)? {
            let whole = &bytes[used..used + length];
            used += length;
            if frame.kind == METHOD {
                message.clear();
            }
            message.extend(whole);
            count += usize::from(frame.kind == BODY);
            let fault = at.filter(|&(number, _)| frame.kind == BODY && number == count);
            if let Some((_, Fault::Stall(length))) = fault {
                thread::sleep(length);
            }
            to.write_all(whole)?;
            if let Some((_, Fault::Repeat(later))) = fault {
                thread::sleep(later);
                to.write_all(&message)?;
            }
        }
        bytes.drain(..used);
    }
}
