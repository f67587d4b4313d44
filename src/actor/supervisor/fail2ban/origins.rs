//! Where banned addresses are at home (`status JAIL cymru`): network, country and registry, by Team Cymru's DNS zones.
//!
//! What a resolver is asked and what it answers is in [`crate::net::txt`]; here it is asked, for a short time.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use crate::id::Id;
use crate::net::txt;
use crate::subnet::Subnet;

/// How long all the questions may take; what is not known by then is not told.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where the system's resolver is named.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// What stands in a list when nothing can be found out.
const FAILED: &str = "error";

/// Networks, countries and registries, an entry for each address; the word `error` when the resolver does not answer.
pub(super) async fn find(banned: Vec<Id>) -> [Vec<String>; 3] {
    let until = Instant::now() + PATIENCE;
    let mut lists = [Vec::new(), Vec::new(), Vec::new()];
    for id in banned {
        let Some(name) = id.net().filter(Subnet::is_single).map(|net| txt::origin_of(net.address())) else {
            continue;
        };
        let Some(found) = ask(&name, until).await else {
            return [0, 1, 2].map(|_| vec![FAILED.to_owned()]);
        };
        for (list, word) in lists.iter_mut().zip(told(&found)) {
            list.push(word);
        }
    }
    lists
}

/// What one address's texts say: `23028 | 216.90.108.0/24 | US | arin | 1998-09-25`.
fn told(found: &txt::Found) -> [String; 3] {
    let texts = match found {
        txt::Found::Nothing => return [0, 1, 2].map(|_| "nxdomain".to_owned()),
        txt::Found::Texts(texts) => texts,
    };
    let field = |index: usize| {
        let words = texts.iter().filter_map(|text| text.split('|').nth(index));
        let words: BTreeSet<&str> =
            words.map(str::trim).map(|word| if word.is_empty() { "unknown" } else { word }).collect();
        words.into_iter().collect::<Vec<_>>().join(", ")
    };
    [field(0), field(2), field(3)]
}

/// Asks the system's resolvers, one after the other; none: no answer came.
async fn ask(name: &str, until: Instant) -> Option<txt::Found> {
    let servers = txt::servers(&std::fs::read_to_string(RESOLV_CONF).unwrap_or_default());
    for server in servers {
        // Half of what is left for each, so that one that is silent does not cost the others their turn.
        let turn = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        if let Ok(Some(found)) = timeout_at(turn, ask_one(server, name)).await {
            return Some(found);
        }
    }
    None
}

async fn ask_one(server: SocketAddr, name: &str) -> Option<txt::Found> {
    let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(server).await.ok()?;
    // The port is the kernel's choice; the number tells a late answer from the one that is waited for.
    let number = socket.local_addr().ok()?.port();
    socket.send(&txt::question(number, name)?).await.ok()?;
    let mut answer = [0; 4096];
    loop {
        let length = socket.recv(&mut answer).await.ok()?;
        if let Some(found) = txt::answer(number, &answer[..length]) {
            return Some(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_an_address() {
        let texts = txt::Found::Texts(vec![
            "23028 | 216.90.108.0/24 | US | arin | 1998-09-25".to_owned(),
            "701 | 216.90.108.0/23 |  | arin | 1998-09-25".to_owned(),
        ]);
        assert_eq!(told(&texts), ["23028, 701", "US, unknown", "arin"]);
        assert_eq!(told(&txt::Found::Nothing)[0], "nxdomain");
    }
}
