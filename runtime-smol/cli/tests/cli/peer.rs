//! A peer that answers every request in one way.

use super::PATIENCE;
use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    thread::{self, JoinHandle},
};

pub(crate) struct Peer {
    address: SocketAddr,
    thread: JoinHandle<Vec<String>>,
}

impl Peer {
    /// Answers requests other than ACK until a final answer other than 401 and 407 was given to one,
    /// and that one was acknowledged: `answer` says the status and further headers.
    pub(crate) fn start(
        answer: impl Fn(&str) -> (&'static str, &'static str) + Send + 'static,
    ) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let address = socket.local_addr().unwrap();
        let thread = thread::spawn(move || {
            let (mut requests, mut is_over) = (Vec::new(), false);
            let mut buffer = [0; 65_536];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if request.starts_with("ACK ") {
                    if is_over {
                        break;
                    }
                    continue;
                }
                let (status, headers) = answer(&request);
                let response = respond(&request, status, headers);
                socket.send_to(response.as_bytes(), from).unwrap();
                is_over = !status.starts_with("401") && !status.starts_with("407");
                requests.push(request);
            }
            requests
        });
        Self { address, thread }
    }

    pub(crate) fn uri(&self) -> String {
        format!("sip:peer@{}", self.address)
    }

    /// What came.
    pub(crate) fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn respond(request: &str, status: &str, headers: &str) -> String {
    let mut response = format!("SIP/2.0 {status}\r\n");
    for line in request.lines().take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or("");
        if ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name) {
            response += line;
            response += if name == "To" {
                ";tag=peer\r\n"
            } else {
                "\r\n"
            };
        }
    }
    response + headers + "Content-Length: 0\r\n\r\n"
}
