//! Sockets as the agent wants them, and errors in its words.

use sipsimple::{agent::Class, base::LinkError};
use socket2::{Domain, Protocol, Socket, Type};
use std::{io, net::SocketAddr};

/// Makes a non-blocking socket bound to `bind`, marked for its class of traffic.
///
/// # Errors
///
/// What the system says.
pub fn socket(kind: Type, bind: SocketAddr, class: Class) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM {
        Protocol::UDP
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(bind), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if bind.is_ipv6() {
        // IPv4 has sockets of its own: one address family a socket.
        socket.set_only_v6(true)?;
    }
    // A mark that the system refuses is no reason not to speak.
    let _ = match bind {
        SocketAddr::V4(_) => socket.set_tos_v4(dscp(class) << 2),
        SocketAddr::V6(_) => socket.set_tclass_v6(dscp(class) << 2),
    };
    if kind == Type::STREAM {
        // A restarted agent takes its port back at once (TIME-WAIT).
        socket.set_reuse_address(true)?;
    }
    socket.bind(&bind.into())?;
    Ok(socket)
}

/// RFC 4594, 4: telephony EF, signalling CS5, bulk AF11, the rest standard.
fn dscp(class: Class) -> u32 {
    match class {
        Class::Voice => 46,
        Class::Signalling => 40,
        Class::Bulk => 10,
        Class::Discovery => 0,
    }
}

/// Puts a system error into the agent's words.
pub fn link_error(error: &io::Error) -> LinkError {
    use io::ErrorKind as Kind;
    match (error.kind(), error.raw_os_error()) {
        (Kind::ConnectionRefused, _) => LinkError::Refused,
        (Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe, _) => LinkError::Reset,
        (Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown, _) => {
            LinkError::Unreachable
        }
        (Kind::TimedOut, _) => LinkError::TimedOut,
        (Kind::AddrInUse, _) => LinkError::AddressInUse,
        (Kind::AddrNotAvailable, _) => LinkError::AddressGone,
        (Kind::PermissionDenied, _) => LinkError::Denied,
        (_, Some(EMSGSIZE)) => LinkError::TooLarge,
        (_, Some(EMFILE | ENFILE)) => LinkError::TooMany,
        (_, code) => LinkError::Other(code.unwrap_or(0)),
    }
}

/// True for the error that a non-blocking `connect` begins with.
pub fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

// Numbers of Linux that std has no name for.
const EMSGSIZE: i32 = 90;
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const EINPROGRESS: i32 = 115;
