//! Sockets as the agent wants them, and errors in its words.

use sipsimple::{
    agent::{Class, Multicast},
    base::LinkError,
};
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use std::{
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    time::Duration,
};

/// Opens a non-blocking UDP socket, marked for its class of traffic, as a member of a group if one is
/// wanted.
///
/// The agent opens a socket for each of its addresses and never one for all of them: what arrived
/// was sent to the socket's own address, and what leaves has it. Datagrams therefore carry no local
/// address of their own (`from`, `to`).
///
/// ICMP errors are not told: Linux keeps them from sockets that are not connected unless they ask for
/// the error queue (ip(7), IP_RECVERR), which neither std nor socket2 can. Dead peers are noticed by
/// the agent's own deadlines; `Undeliverable` is what the system says when it is given the datagram.
///
/// # Errors
///
/// What the system says.
pub fn udp(bind: SocketAddr, class: Class, group: Option<&Multicast>) -> io::Result<UdpSocket> {
    let socket = socket(Type::DGRAM, bind, class)?;
    // A burst of calls must survive a slow turn; the system takes as much of it as it allows.
    let _ = match class {
        Class::Signalling => socket.set_recv_buffer_size(SIGNALLING_BUFFER),
        Class::Voice | Class::Bulk | Class::Discovery => Ok(()),
    };
    if group.is_some() {
        // Other programs on this machine listen, too.
        socket.set_reuse_address(true)?;
    }
    socket.bind(&bind.into())?;
    if let Some(Multicast {
        group,
        interface,
        ttl,
    }) = group
    {
        match group {
            IpAddr::V4(group) => {
                let index = InterfaceIndexOrAddress::Index(*interface);
                socket.join_multicast_v4_n(group, &index)?;
                socket.set_multicast_ttl_v4(u32::from(*ttl))?;
                socket.set_multicast_loop_v4(true)?;
            }
            IpAddr::V6(group) => {
                socket.join_multicast_v6(group, *interface)?;
                socket.set_multicast_if_v6(*interface)?;
                socket.set_multicast_hops_v6(u32::from(*ttl))?;
                socket.set_multicast_loop_v6(true)?;
            }
        }
    }
    Ok(socket.into())
}

/// Opens a non-blocking TCP listener.
///
/// # Errors
///
/// What the system says.
pub fn listener(bind: SocketAddr, class: Class) -> io::Result<TcpListener> {
    let socket = socket(Type::STREAM, bind, class)?;
    // A restarted agent takes its port back at once (TIME-WAIT).
    socket.set_reuse_address(true)?;
    socket.bind(&bind.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Begins a non-blocking TCP connection: it stands, or has an error, when it can be written to.
///
/// # Errors
///
/// What the system says at once.
pub fn stream(from: Option<IpAddr>, to: SocketAddr, class: Class) -> io::Result<TcpStream> {
    let from = from.unwrap_or_else(|| match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    });
    let from = SocketAddr::new(from, 0);
    let socket = socket(Type::STREAM, from, class)?;
    socket.bind(&from.into())?;
    // Messages are small and whole: waiting for more of them only delays.
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&to.into()) {
        Err(error) if !is_in_progress(&error) => Err(error),
        _ => Ok(socket.into()),
    }
}

fn socket(kind: Type, bind: SocketAddr, class: Class) -> io::Result<Socket> {
    let protocol = match kind {
        Type::DGRAM => Protocol::UDP,
        _ => Protocol::TCP,
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
    Ok(socket)
}

/// RFC 4594, 4: telephony EF, signalling CS5, bulk AF11, the rest standard.
const fn dscp(class: Class) -> u32 {
    match class {
        Class::Voice => 46,
        Class::Signalling => 40,
        Class::Bulk => 10,
        Class::Discovery => 0,
    }
}

/// Puts a system error into the agent's words.
pub fn link_error(error: &io::Error) -> LinkError {
    use ErrorKind as Kind;
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
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || error.raw_os_error() == Some(EINPROGRESS)
}

/// What to do after an error of a socket that lives on: a listener or a UDP socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// There is nothing; the system will say when there is.
    Wait,
    /// It was about one connection or one earlier datagram: go on with the next one.
    GoOn,
    /// Out of file descriptors or memory, of which the system gives no sign when they are there
    /// again: try once more after so long.
    Pause(Duration),
}

/// Sorts the errors of `accept` and `recv_from`.
pub fn patience(error: &io::Error) -> Patience {
    match error.kind() {
        ErrorKind::WouldBlock => Patience::Wait,
        ErrorKind::Interrupted
        | ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionRefused => Patience::GoOn,
        _ => Patience::Pause(PAUSE),
    }
}

/// How a wish that no runtime understands is refused.
pub const UNSUPPORTED: LinkError = LinkError::Other(0);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 1_024;
/// Of datagrams of 1.3 kB, what 100 calls a second bring in one second.
const SIGNALLING_BUFFER: usize = 1024 * 1024;
/// Short for a caller, long for a processor.
const PAUSE: Duration = Duration::from_millis(100);

// Numbers of Linux that std has no name for.
const EMSGSIZE: i32 = 90;
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const EINPROGRESS: i32 = 115;

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    fn any(ip: impl Into<IpAddr>) -> SocketAddr {
        SocketAddr::new(ip.into(), 0)
    }

    #[test]
    fn sockets_are_marked_for_their_traffic() {
        let voice = udp(any(Ipv4Addr::LOCALHOST), Class::Voice, None).unwrap();
        assert_eq!(SockRef::from(&voice).tos_v4().unwrap(), 0xb8);
        let listener = listener(any(Ipv4Addr::LOCALHOST), Class::Signalling).unwrap();
        assert_eq!(SockRef::from(&listener).tos_v4().unwrap(), 0xa0);
        match udp(any(Ipv6Addr::LOCALHOST), Class::Voice, None) {
            Ok(voice) => {
                assert_eq!(SockRef::from(&voice).tclass_v6().unwrap(), 0xb8);
                assert!(SockRef::from(&voice).only_v6().unwrap());
            }
            Err(error) => println!("skipped: no IPv6: {error}"),
        }
    }

    #[test]
    fn a_group_is_joined_by_several() {
        let group = Multicast {
            group: IpAddr::from([224, 0, 0, 251]),
            interface: 1,
            ttl: 1,
        };
        let bind = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let first = match udp(bind(0), Class::Discovery, Some(&group)) {
            Ok(first) => first,
            Err(error) => return println!("skipped: no multicast: {error}"),
        };
        let port = first.local_addr().unwrap().port();
        let second = udp(bind(port), Class::Discovery, Some(&group)).unwrap();
        assert_eq!(second.local_addr().unwrap().port(), port);
        assert!(udp(bind(port), Class::Voice, None).is_err());
    }

    #[test]
    fn errors_have_their_names() {
        let of = |code| io::Error::from_raw_os_error(code);
        for (code, error) in [
            (111, LinkError::Refused),
            (104, LinkError::Reset),
            (113, LinkError::Unreachable),
            (98, LinkError::AddressInUse),
            (90, LinkError::TooLarge),
            (24, LinkError::TooMany),
            (5, LinkError::Other(5)),
        ] {
            assert_eq!(link_error(&of(code)), error, "{code}");
        }
        assert_eq!(patience(&of(24)), Patience::Pause(PAUSE));
        assert_eq!(patience(&of(103)), Patience::GoOn);
        assert_eq!(patience(&of(11)), Patience::Wait);
    }
}
