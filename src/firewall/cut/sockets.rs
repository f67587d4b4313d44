//! The kernel's words for sockets: how to ask which there are, and how to end one.
//!
//! Pure. Source: `linux/sock_diag.h`, `linux/inet_diag.h`. Whatever is read may be cut short or senseless.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Flow;
use crate::firewall::nftables::wire::{self, FAMILY_IPV4, FAMILY_IPV6, Writer};
use crate::subnet::Subnet;

/// `SOCK_DIAG_BY_FAMILY`: which there are, and one of them.
const BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`.
const DESTROY: u16 = 21;
/// Ports, addresses, interface and cookie: by this the kernel knows a socket.
const ID: usize = 48;
/// Where `inet_diag_msg` has it: behind family, state, timer and retransmissions.
const ID_AT: usize = 4;
/// All states in which there is a peer who may still send: `TCP_ESTABLISHED` (1) to `FIN_WAIT2` (5), `CLOSE_WAIT` (8),
/// `LAST_ACK` (9), `CLOSING` (11). A socket of UDP that has a peer is established.
const ALIVE: u32 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 8 | 1 << 9 | 1 << 11;

/// `INET_DIAG_REQ_BYTECODE`, `INET_DIAG_BC_JMP`, `INET_DIAG_BC_D_COND`.
const BYTECODE: u16 = 1;
const JUMP: u8 = 1;
const PEER: u8 = 8;

/// A socket with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Socket {
    /// Its connection.
    pub(super) flow: Flow,
    family: u8,
    /// As the kernel wrote it, with the cookie that no other socket ever has.
    id: [u8; ID],
}

/// Asks for all sockets of a family and a protocol that have a peer; with `peers`, one of these.
pub(super) fn list(writer: &mut Writer, is_ipv6: bool, protocol: u8, peers: &[Subnet]) {
    let head = request(family(is_ipv6), protocol, &[0; ID]);
    writer.plain(BY_FAMILY, wire::NLM_F_DUMP, &head, |body| {
        if !peers.is_empty() {
            body.bytes(BYTECODE, &program(peers));
        }
    });
}

/// Has the kernel leave out who is none of these peers: it then copies next to nothing. Each is a condition; if it holds, a
/// jump to the end follows, which is "yes"; if the last does not, it goes past the end, which is "no".
fn program(peers: &[Subnet]) -> Vec<u8> {
    const CONDITION: usize = 4 + 8;
    let length = |peer: &Subnet| CONDITION + if peer.is_ipv6() { 16 } else { 4 };
    let mut rest = peers.iter().map(length).sum::<usize>() + (peers.len() - 1) * 4;
    let mut program = Vec::with_capacity(rest);
    for peer in peers {
        let length = length(peer);
        program.extend([PEER, length as u8]);
        program.extend((length as u16 + 4).to_ne_bytes());
        program.extend([family(peer.is_ipv6()), peer.length(), 0, 0]);
        // Of any port.
        program.extend((-1_i32).to_ne_bytes());
        match peer.address() {
            IpAddr::V4(four) => program.extend(four.octets()),
            IpAddr::V6(six) => program.extend(six.octets()),
        }
        rest -= length;
        if rest > 0 {
            program.extend([JUMP, 4]);
            program.extend((rest as u16).to_ne_bytes());
            rest -= 4;
        }
    }
    program
}

/// Ends one.
pub(super) fn destroy(writer: &mut Writer, socket: &Socket) {
    let head = request(socket.family, socket.flow.protocol, &socket.id);
    writer.plain(DESTROY, wire::NLM_F_ACK, &head, |_| {});
}

fn family(is_ipv6: bool) -> u8 {
    if is_ipv6 { FAMILY_IPV6 } else { FAMILY_IPV4 }
}

/// `inet_diag_req_v2`.
fn request(family: u8, protocol: u8, id: &[u8; ID]) -> [u8; 8 + ID] {
    let mut head = [0; 8 + ID];
    head[0] = family;
    head[1] = protocol;
    head[4..8].copy_from_slice(&ALIVE.to_ne_bytes());
    head[8..].copy_from_slice(id);
    head
}

/// The socket that an answer tells of; none: it tells of nothing that has a peer.
pub(super) fn read(body: &[u8], protocol: u8) -> Option<Socket> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let id: [u8; ID] = *body.get(ID_AT..)?.first_chunk()?;
    let is_alive = ALIVE.checked_shr(state.into()).is_some_and(|rest| rest & 1 == 1);
    let port = |at: usize| u16::from_be_bytes([id[at], id[at + 1]]);
    let peer: [u8; 16] = *id[20..].first_chunk()?;
    let peer: IpAddr = match family {
        FAMILY_IPV4 => {
            let [a, b, c, d, ..] = peer;
            Ipv4Addr::new(a, b, c, d).into()
        }
        FAMILY_IPV6 => IpAddr::from(Ipv6Addr::from(peer)).to_canonical(),
        _ => return None,
    };
    let flow = Flow { protocol, peer, peer_port: port(2), port: port(0) };
    (is_alive && !peer.is_unspecified() && flow.peer_port != 0).then_some(Socket { flow, family, id })
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::super::TCP;
    use super::*;

    /// An answer as the kernel writes it.
    pub(in crate::firewall::cut) fn answer(
        family: u8,
        state: u8,
        port: u16,
        peer: IpAddr,
        peer_port: u16,
    ) -> Vec<u8> {
        let mut body = vec![family, state, 0, 0];
        body.extend(port.to_be_bytes());
        body.extend(peer_port.to_be_bytes());
        body.extend([0; 16]);
        let mut there = match peer {
            IpAddr::V4(four) => four.octets().to_vec(),
            IpAddr::V6(six) => six.octets().to_vec(),
        };
        there.resize(16, 0);
        body.extend(there);
        body.extend([7; 12]);
        body.extend([0; 20]);
        body
    }

    #[test]
    fn a_socket_is_told_and_ended_by_the_same_id() {
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        let six: IpAddr = "2001:db8::1".parse().unwrap();
        for (family, told, peer) in [(2, four, four), (10, mapped, four), (10, six, six)] {
            let body = answer(family, 1, 22, told, 4711);
            let socket = read(&body, TCP).unwrap();
            assert_eq!(socket.flow, Flow { protocol: TCP, peer, peer_port: 4711, port: 22 });
            let mut writer = Writer::new(1);
            destroy(&mut writer, &socket);
            let sent: Vec<_> = wire::messages(writer.bytes()).collect();
            assert_eq!((sent[0].kind, sent[0].flags), (DESTROY, wire::NLM_F_REQUEST | wire::NLM_F_ACK));
            assert_eq!((sent[0].body[0], sent[0].body[1]), (family, TCP));
            assert_eq!(sent[0].body[8..], body[4..52], "ports, addresses, interface, cookie");
        }
    }

    #[test]
    fn who_has_no_peer_is_no_connection() {
        let four: IpAddr = "192.0.2.1".parse().unwrap();
        for (family, state, peer, peer_port) in [
            (2, 10, four, 4711),
            (2, 6, four, 4711),
            (2, 7, four, 4711),
            (2, 200, four, 4711),
            (2, 1, "0.0.0.0".parse().unwrap(), 4711),
            (10, 1, "::".parse().unwrap(), 4711),
            (2, 1, four, 0),
            (1, 1, four, 4711),
        ] {
            let body = answer(family, state, 22, peer, peer_port);
            assert_eq!(read(&body, TCP), None, "{family} {state} {peer} {peer_port}");
        }
    }

    /// What the kernel makes of a program, after the checks that it makes before.
    fn run(program: &[u8], peer: IpAddr, is_ipv6: bool) -> bool {
        let (mut at, length) = (0, program.len() as isize);
        while (at as isize) < length {
            let [code, yes, low, high] = *program[at..].first_chunk().unwrap();
            let no = usize::from(u16::from_ne_bytes([low, high]));
            assert!(no >= 4 && no % 4 == 0 && (at + no) as isize <= length + 4 && yes >= 4 && yes % 4 == 0);
            let holds = code == PEER && {
                let four = program[at + 4] == FAMILY_IPV4;
                let bytes = &program[at + 12..at + usize::from(yes)];
                let net = if four {
                    IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap())
                } else {
                    IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap())
                };
                assert_eq!(program[at + 8..at + 12], [255; 4]);
                assert!(is_ipv6 || four, "the kernel would say no");
                Subnet::new(net, program[at + 5]).unwrap().contains(&peer.into())
            };
            at += if holds { usize::from(yes) } else { no };
        }
        at as isize == length
    }

    proptest! {
        #[test]
        fn the_kernel_leaves_out_who_is_none_of_them(
            peers in prop::collection::vec((any::<u8>(), 20_u8..=32, any::<bool>()), 1..16),
            asked in (any::<u8>(), any::<bool>()),
        ) {
            let address = |last: u8, six: bool| {
                let six = six.then(|| IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last & 3, last]));
                six.unwrap_or(IpAddr::from([192, 0, last & 3, last]))
            };
            let net = |(last, length, six)| Subnet::new(address(last, six), length + 96 * u8::from(six)).unwrap();
            let peers: Vec<Subnet> = peers.into_iter().map(net).collect();
            let peer = address(asked.0, asked.1);
            let plain = peers.iter().any(|net| net.contains(&peer.into()));
            prop_assert_eq!(run(&program(&peers), peer, true), plain);
        }

        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..120), flips in any::<(u8, u8)>()) {
            let mut body = answer(2 + 8 * (flips.0 % 2), 1, 22, "192.0.2.1".parse().unwrap(), 1);
            body.truncate(bytes.len());
            for body in [bytes, body] {
                if let Some(socket) = read(&body, TCP) {
                    prop_assert!(body.len() >= ID_AT + ID && !socket.flow.peer.is_unspecified());
                }
            }
        }
    }
}
