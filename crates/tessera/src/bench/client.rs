//! A client that costs little: one connection, one request at a time, answers whole and in one buffer.
//!
//! It shares the processors with what it measures, so it reads of HTTP/1.1 what the router sends and no more: a status
//! and a `content-length`.

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The largest answer read, in bytes: a batch of a thousand outcomes has half of it.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Result<Self, Error> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(4096) })
    }

    /// Sends a request and waits for its answer.
    pub async fn ask(&mut self, request: &str) -> Result<Answer<'_>, Error> {
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        let head = loop {
            self.more().await?;
            if let Some(head) = head(&self.received)? {
                break head;
            }
        };
        let end = head.body + head.length;
        while self.received.len() < end {
            self.more().await?;
        }
        Ok(Answer { status: head.status, body: &self.received[head.body..end] })
    }

    async fn more(&mut self) -> Result<(), Error> {
        if self.received.len() > ANSWER_MAX {
            return Err(malformed("an answer above 4 MiB"));
        }
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "the server closed the connection")),
            _ => Ok(()),
        }
    }
}

struct Head {
    status: u16,
    body: usize,
    length: usize,
}

/// The head of an answer, once all of it is there.
fn head(received: &[u8]) -> Result<Option<Head>, Error> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&received[..end]).map_err(|_| malformed("a head that is not text"))?;
    let status = text.get(9..12).and_then(|status| status.parse().ok()).ok_or_else(|| malformed("no status"))?;
    let length = text.split("\r\n").skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let length = length.ok_or_else(|| malformed("no content-length"))?;
    Ok(Some(Head { status, body: end + 4, length }))
}

fn malformed(problem: &str) -> Error {
    Error::new(ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let answer = b"HTTP/1.1 422 Unprocessable\r\nContent-Length: 12\r\ndate: today\r\n\r\n{";
        assert!(head(&answer[..answer.len() - 2]).unwrap().is_none());
        let head = head(answer).unwrap().unwrap();
        assert_eq!((head.status, head.body, head.length), (422, answer.len() - 1, 12));
        assert!(super::head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
    }
}
