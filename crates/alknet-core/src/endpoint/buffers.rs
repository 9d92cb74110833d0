//! The buffers of UDP sockets: what they hold while the node is busy elsewhere, and lose beyond that.

use std::net::UdpSocket;

use socket2::SockRef;

/// What a socket asks for in each direction. With Linux's usual 208 KiB, which packets share with their bookkeeping, it
/// holds ninety of full size, for all connections of the node together: at 1 Gbit/s that is a millisecond, and further
/// ones are lost. With 4 MiB it holds 40 ms of them. quic-go asks for 7 MiB and has operators raise the limits to 7,500,000
/// bytes; 4 MiB are what recent kernels give to any program, so that there nothing has to be raised.
pub(crate) const WANTED: usize = 4 * 1024 * 1024;

/// What a socket has got, in the measure that it is asked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffers {
    pub(crate) receive: usize,
    pub(crate) send: usize,
}

/// Asks for larger buffers. A socket without them works, too, so that there are no errors.
pub(crate) fn enlarge(socket: &UdpSocket) -> Buffers {
    let socket = SockRef::from(socket);
    let receive = || socket.recv_buffer_size().map(asked_for).unwrap_or_default();
    let send = || socket.send_buffer_size().map(asked_for).unwrap_or_default();
    // An operator may have given more to all sockets.
    if receive() < WANTED {
        let _ = socket.set_recv_buffer_size(WANTED);
    }
    if send() < WANTED {
        let _ = socket.set_send_buffer_size(WANTED);
    }
    Buffers { receive: receive(), send: send() }
}

/// Linux doubles what it is asked for, to have room for its bookkeeping, and tells the double (socket(7)).
fn asked_for(size: usize) -> usize {
    if cfg!(target_os = "linux") { size / 2 } else { size }
}

/// Tells the operator once what the sockets have got, and how they get more.
pub(crate) fn report(sockets: impl Iterator<Item = Buffers>) {
    // They all ask for the same, so that what the first one got says it for all.
    let Some(buffers) = sockets.into_iter().next() else { return };
    match shortage(buffers) {
        Some(shortage) => tracing::info!("{shortage}"),
        None => {
            tracing::debug!(receive = buffers.receive, send = buffers.send, "UDP sockets have the buffers they want")
        }
    }
}

fn shortage(buffers: Buffers) -> Option<String> {
    let Buffers { receive, send } = buffers;
    let limits = [("net.core.rmem_max", receive), ("net.core.wmem_max", send)];
    let short: Vec<_> = limits.iter().filter(|(_, got)| *got < WANTED).collect();
    let settings: Vec<_> = short.iter().map(|(limit, _)| format!("{limit}={WANTED}")).collect();
    (!short.is_empty()).then(|| {
        format!(
            "UDP sockets have got {} KiB to receive and {} KiB to send in place of {} KiB, so that fast QUIC connections may \
             lose packets: run sysctl -w {}, and restart the node",
            receive / 1024,
            send / 1024,
            WANTED / 1024,
            settings.join(" "),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A limit of this machine. In a network namespace of its own, a process does not see it.
    fn limit(name: &str) -> Option<usize> {
        let text = std::fs::read_to_string(format!("/proc/sys/net/core/{name}")).ok()?;
        text.trim().parse().ok()
    }

    #[test]
    fn a_socket_has_got_what_it_wants_or_what_the_machine_allows() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = asked_for(SockRef::from(&socket).recv_buffer_size().unwrap());
        let got = enlarge(&socket);
        assert!(got.receive >= before, "{before} became less: {got:?}");
        let kernels = SockRef::from(&socket);
        assert_eq!(asked_for(kernels.recv_buffer_size().unwrap()), got.receive);
        assert_eq!(asked_for(kernels.send_buffer_size().unwrap()), got.send);
        if let (Some(receive), Some(send)) = (limit("rmem_max"), limit("wmem_max")) {
            assert!(got.receive >= receive.min(WANTED) && got.send >= send.min(WANTED), "{got:?}");
        }
        assert_eq!(enlarge(&socket), got, "asking again changes nothing");
    }

    #[test]
    fn what_an_operator_gave_is_not_taken_away() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let more = SockRef::from(&socket);
        // What goes beyond the limit of this machine is cut to it.
        more.set_recv_buffer_size(2 * WANTED).unwrap();
        let before = asked_for(more.recv_buffer_size().unwrap());
        assert!(enlarge(&socket).receive >= before);
    }

    #[test]
    fn the_limits_that_are_too_low_are_named() {
        let buffers = |receive, send| Buffers { receive, send };
        assert_eq!(shortage(buffers(WANTED, WANTED)), None);
        assert_eq!(shortage(buffers(2 * WANTED, WANTED)), None);
        assert_eq!(
            shortage(buffers(212_992, WANTED)).unwrap(),
            "UDP sockets have got 208 KiB to receive and 4096 KiB to send in place of 4096 KiB, so that fast QUIC connections \
             may lose packets: run sysctl -w net.core.rmem_max=4194304, and restart the node"
        );
        let both = shortage(buffers(1, 2)).unwrap();
        assert!(both.contains("net.core.rmem_max=4194304 net.core.wmem_max=4194304"), "{both}");
    }
}
