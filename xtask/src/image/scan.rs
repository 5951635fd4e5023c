//! Which TCP ports of a running image answer, asked from outside over a network of their own.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv6Addr, SocketAddrV6, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::process;

/// The network interface of this machine that leads to the scanned one; QEMU makes it and takes it away again.
pub(crate) const INTERFACE: &str = "strongroom0";
/// The address of one link that follows from [`super::machine::HARDWARE_ADDRESS`] (RFC 4291 appendix A).
const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0x5054, 0x00ff, 0xfe53, 0x7472);
/// How long a port may take to answer. What the packet filter drops never does.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How many ports are tried at a time.
const AT_ONCE: usize = 800;

/// The ports that answer, of all there are; first waits until the machine serves.
pub(crate) fn open_ports(until_it_serves: impl FnOnce() -> Result<()>) -> Result<Vec<u16>> {
    let index = format!("/sys/class/net/{INTERFACE}/ifindex");
    for _ in 0..200 {
        if Path::new(&index).exists() {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    process::answer(Command::new("ip").args(["link", "set", INTERFACE, "up"]))?;
    until_it_serves()?;
    let index = fs::read_to_string(index).context("the interface to the machine is gone")?;
    let index = index.trim().parse().context("the interface has no index")?;
    let address = |port| SocketAddrV6::new(ADDRESS, port, 0, index);
    reach(address(8443))?;
    let (next, open) = (AtomicU32::new(1), Mutex::new(BTreeSet::new()));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            let work = || {
                while let Ok(port) = u16::try_from(next.fetch_add(1, Ordering::Relaxed)) {
                    if TcpStream::connect_timeout(&address(port).into(), PATIENCE).is_ok() {
                        open.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .insert(port);
                    }
                }
            };
            // Where there can be no more threads those that there are do it.
            if thread::Builder::new()
                .stack_size(64 << 10)
                .spawn_scoped(scope, work)
                .is_err()
            {
                break;
            }
        }
    });
    reach(address(9443))?;
    let open = open.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(open.into_iter().collect())
}

/// Sees that the machine can be reached at all: a scan of what is not there finds nothing open.
fn reach(listener: SocketAddrV6) -> Result<()> {
    let since = Instant::now();
    while TcpStream::connect_timeout(&listener.into(), Duration::from_secs(5)).is_err() {
        if since.elapsed() > Duration::from_mins(1) {
            bail!(
                "the machine's own listener {listener} cannot be reached, so that nothing can be said of its ports"
            );
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
