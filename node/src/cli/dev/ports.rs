//! Ports on this machine that nobody uses.

use std::net::{Ipv4Addr, TcpListener};

use rand::Rng;

use super::super::CliError;

/// Where free ports are looked for: above those of common services and below those that systems give
/// to outgoing connections (Linux: from 32768), which come and go.
const SEARCHED: std::ops::Range<u16> = 10_000..32_000;

/// How far the ports of the replicas' own connections are above those for JSON-RPC: at least the most
/// replicas that there can be.
const PEERS_ABOVE_RPC: u16 = 100;

/// The ports of one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ports {
    /// For JSON-RPC.
    pub(super) rpc: u16,
    /// For the other replicas.
    pub(super) peers: u16,
}

/// Ports for `count` replicas, from `base` on, or free ones if it is 0.
pub(super) fn choose(count: usize, base: u16) -> Result<Vec<Ports>, CliError> {
    if base != 0 {
        return fixed(count, base);
    }
    // Two networks that are started at once look in different places.
    let start = rand::rng().random_range(SEARCHED);
    let mut free = (start..SEARCHED.end).chain(SEARCHED.start..start).filter(|port| is_free(*port));
    let mut next = || free.next().ok_or_else(|| CliError::failed("no port is free"));
    (0..count).map(|_| Ok(Ports { rpc: next()?, peers: next()? })).collect()
}

fn fixed(count: usize, base: u16) -> Result<Vec<Ports>, CliError> {
    let ports = (0..count).map(|index| {
        let rpc = u16::try_from(index).ok().and_then(|index| base.checked_add(index));
        let peers = rpc.and_then(|rpc| rpc.checked_add(PEERS_ABOVE_RPC));
        match (rpc, peers) {
            (Some(rpc), Some(peers)) => Ok(Ports { rpc, peers }),
            _ => Err(CliError::bad_input(format!(
                "--base-port {base}: {count} replicas need the ports up to {}",
                usize::from(base) + usize::from(PEERS_ABOVE_RPC) + count - 1
            ))),
        }
    });
    let ports: Vec<Ports> = ports.collect::<Result<_, _>>()?;
    match ports.iter().flat_map(|ports| [ports.rpc, ports.peers]).find(|port| !is_free(*port)) {
        Some(port) => Err(CliError::failed(format!(
            "port {port} is in use; choose another --base-port, or none"
        ))),
        None => Ok(ports),
    }
}

/// Whether nobody listens on `port`.
pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_ports_differ_and_fixed_ones_start_at_the_base() {
        let mut ports: Vec<u16> =
            choose(8, 0).unwrap().iter().flat_map(|ports| [ports.rpc, ports.peers]).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 16);
        assert!(matches!(choose(1, 65_500), Err(CliError::BadInput(_))));
    }

    #[test]
    fn a_fixed_port_that_is_in_use_is_refused() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let Some(base) = port.checked_sub(PEERS_ABOVE_RPC) else { return };
        assert!(choose(1, base).is_err());
    }
}
