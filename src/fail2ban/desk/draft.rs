//! A stream of commands → the jails it makes, and what it says of the server.
//!
//! Pure but for what [`set`] asks of the disk. A command that is wrong costs its jail; everything else goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{JailOrder, Order, ServerOrder, order, set};
use crate::fail2ban::JailSpec;
use crate::python::{Command, Raised};

/// What a stream says.
#[derive(Debug, Default)]
pub struct Drafted {
    /// What it says of the server as a whole, in its order.
    pub server: Vec<ServerOrder>,
    /// The jails it speaks of that are right, by name.
    pub jails: Vec<JailSpec>,
    /// Those of them that it starts.
    pub started: BTreeSet<Arc<str>>,
    /// What is wrong, each with its jail, if it is about one.
    pub wrong: Vec<(Option<Arc<str>>, Raised)>,
    /// What the client found wrong in its files.
    pub complaints: Vec<String>,
}

/// Reads a stream; `known` are the jails that it may change without making them.
pub fn draft(stream: Vec<Command>, known: &dyn Fn(&str) -> Option<JailSpec>) -> Drafted {
    let mut drafted = Drafted::default();
    let mut jails: BTreeMap<Arc<str>, JailSpec> = BTreeMap::new();
    let mut wrong: BTreeMap<Arc<str>, Raised> = BTreeMap::new();
    for command in stream {
        let order = match order(&command) {
            Ok(order) => order,
            Err(raised) => {
                match jail_of(&command) {
                    Some(jail) => _ = wrong.entry(jail.into()).or_insert(raised),
                    None => drafted.wrong.push((None, raised)),
                }
                continue;
            }
        };
        let (jail, outcome) = match order {
            Order::Server(order @ ServerOrder::Set(..)) => {
                drafted.server.push(order);
                continue;
            }
            Order::Complain(text) => {
                drafted.complaints.push(text);
                continue;
            }
            Order::Add { jail, backend } => {
                let added = JailSpec::added(&jail, &backend);
                let outcome = added.map(|spec| _ = jails.insert(spec.name.clone(), spec));
                (jail, outcome)
            }
            Order::Start(jail) => {
                drafted.started.insert(jail.as_str().into());
                let outcome = change(&mut jails, &jail, known, |_| Ok(()));
                (jail, outcome)
            }
            Order::Jail { jail, order: JailOrder::Set(words) } => {
                let outcome = change(&mut jails, &jail, known, |spec| set(spec, &words).map(drop));
                (jail, outcome)
            }
            // A question changes nothing, and nobody hears the answer.
            _ => continue,
        };
        if let Err(raised) = outcome {
            wrong.entry(jail.into()).or_insert(raised);
        }
    }
    jails.retain(|name, _| !wrong.contains_key(name));
    drafted.jails = jails.into_values().collect();
    drafted.wrong.extend(wrong.into_iter().map(|(jail, raised)| (Some(jail), raised)));
    drafted
}

fn change(
    jails: &mut BTreeMap<Arc<str>, JailSpec>,
    jail: &str,
    known: &dyn Fn(&str) -> Option<JailSpec>,
    how: impl FnOnce(&mut JailSpec) -> Result<(), Raised>,
) -> Result<(), Raised> {
    if !jails.contains_key(jail) {
        let spec = known(jail).ok_or_else(|| Raised::unknown_jail(jail))?;
        jails.insert(jail.into(), spec);
    }
    jails.get_mut(jail).map_or(Ok(()), how)
}

/// The jail that a command is about, when it cannot be understood.
fn jail_of(command: &Command) -> Option<String> {
    let verb = command.first()?.as_text()?;
    matches!(&*verb, "add" | "set" | "multi-set" | "start").then(|| command.get(1)?.as_text()).flatten()
}
